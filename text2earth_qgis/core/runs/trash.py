"""Results moved to the computer's trash, and taken back from it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable

from qgis.PyQt.QtCore import QDir, QFile, QStandardPaths

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.runs.history import Run


@dataclass(frozen=True)
class Trashed:
    """A file in the trash: where it was, and where it is, as far as the computer tells (else empty)."""

    origin: Path
    there: str


def to_trash(run: Run) -> list[Trashed]:
    """Move the result of a run to the trash, with what QGIS and GDAL keep beside it, and the part of a VRT.

    Raises ``PluginError`` where there is no trash for it, or another program has it open: it stays.
    """
    target = Path(run.target)
    own = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation)
    QDir().mkpath(own)  # without it Qt takes the working directory for the trash
    moved, there = QFile.moveToTrash(str(target))
    if not moved:
        raise PluginError(
            tr(
                "{path} cannot be moved to the trash: there is none for it, or another program has it open. "
                "It stays in the list."
            ).format(path=target)
        )
    beside = [target.with_name(f"{target.name}.aux.xml")]
    if target.suffix == ".vrt" and run.assembly.get("part"):
        beside.append(Path(run.assembly["part"]))
    found = [Trashed(target, there)]
    for path in beside:
        if path.is_file():
            moved, there = QFile.moveToTrash(str(path))
            found += [Trashed(path, there)] if moved else []
    return found


def from_trash(files: Iterable[Trashed]) -> None:
    """Move files back to where they were.

    Raises ``PluginError`` for the first that is not in the trash any more, or whose place is taken.
    """
    for file in files:
        there = Path(file.there)
        if not file.there or not there.is_file():
            text = tr("{path} is not in the trash any more.")
            raise PluginError(text.format(path=file.origin))
        if file.origin.exists():
            text = tr("{path} stays in the trash: another file has its place by now.")
            raise PluginError(text.format(path=file.origin))
        try:
            file.origin.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(str(there), str(file.origin))
        except OSError as error:
            text = tr("{path} cannot be taken back from the trash: {reason}.")
            raise PluginError(text.format(path=file.origin, reason=error.strerror)) from error
        note = there.parent.with_name("info") / f"{there.name}.trashinfo"  # that of Linux's desktops
        note.unlink(missing_ok=True)
