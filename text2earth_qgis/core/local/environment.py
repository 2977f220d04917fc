"""The backend's Python environment on this computer: where it is, what is in it, how programs are run.

It is the plugin's own, in the data folder of the user, so that all profiles and versions of QGIS share it.
Nothing of QGIS's Python, Qt, GDAL and PROJ is handed to what runs in it.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Optional, Sequence

from qgis.PyQt.QtCore import QProcess, QProcessEnvironment

FOREIGN = (
    "PYTHON",
    "QT_",
    "QGIS",
    "GDAL_",
    "PROJ_",
    "LD_LIBRARY",
    "LD_PRELOAD",
    "DYLD_",
    "VIRTUAL_ENV",
    "CONDA",
)
MARK = "installed.json"  # written last: without it an environment is no use


@dataclass(frozen=True)
class Installed:
    """What is installed: the backend's version, and whether diffusion models (torch) are too."""

    version: str
    full: bool


@dataclass(frozen=True)
class Environment:
    """An environment, by the data folder of its backend."""

    data: Path

    @property
    def folder(self) -> Path:
        """Return the folder of the environment alone."""
        return self.data / "environment"

    @property
    def python(self) -> Path:
        """Return its Python, which need not be there."""
        return self.folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

    def installed(self) -> Optional[Installed]:
        """Return what is installed, None if nothing is, or not all of it."""
        try:
            found = json.loads((self.folder / MARK).read_text("utf-8"))
            return Installed(str(found["version"]), bool(found["full"]))
        except (OSError, ValueError, KeyError, TypeError):  # missing, or cut off: then it is made anew
            return None

    def mark(self, installed: Installed) -> None:
        """Say what is installed, once all of it is."""
        (self.folder / MARK).write_text(json.dumps(asdict(installed)), "utf-8")

    def size(self) -> int:
        """Return the bytes on disk of what is installed; takes a moment."""
        return sum(
            os.lstat(os.path.join(place, name)).st_size
            for place, _, names in os.walk(self.folder)
            for name in names
        )


def run_program(process: QProcess, program: str, arguments: Sequence[str]) -> None:
    """Start a program without waiting, in the user's folder and without what belongs to QGIS.

    What it says, errors too, is the output of ``process``.
    """
    process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
    process.setProcessEnvironment(clean_environment())
    process.setWorkingDirectory(str(Path.home()))
    process.start(program, list(arguments))


def clean_environment() -> QProcessEnvironment:
    """Return the variables of this process without what belongs to QGIS."""
    variables = QProcessEnvironment.systemEnvironment()
    for key in list(variables.keys()):
        if key.upper().startswith(FOREIGN):
            variables.remove(key)
    variables.insert("PYTHONUNBUFFERED", "1")
    variables.insert("PYTHONNOUSERSITE", "1")
    variables.insert("PYTHONSAFEPATH", "1")  # nor a folder that happens to be the current one
    return variables
