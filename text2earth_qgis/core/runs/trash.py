"""Results moved to the computer's trash, from which they can be taken back."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtCore import QDir, QFile, QStandardPaths

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.runs.history import Run


def to_trash(run: Run) -> Path:
    """Move the result of a run to the trash, with what QGIS and GDAL keep beside it, and the part of a VRT.

    Returns where it is now.
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
    for path in beside:
        if path.is_file():
            QFile.moveToTrash(str(path))
    return Path(there)
