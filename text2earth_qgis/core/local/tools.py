"""What is on this computer to make a Python environment with: uv, and Pythons that are not QGIS's own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from qgis.PyQt.QtCore import QStandardPaths

from text2earth_qgis.core.local.installation import Tools

NAMES = ("python3.12", "python3.11", "python3.13", "python3", "python")
SYSTEM = ("/usr", "/usr/local")  # where QGIS shares the Python of the system, which is left as it is
PLACES = {  # where installers put Pythons that the PATH of a program with windows does not name
    "darwin": (
        "/Library/Frameworks/Python.framework/Versions/3.12/bin",
        "/Library/Frameworks/Python.framework/Versions/3.11/bin",
        "/Library/Frameworks/Python.framework/Versions/3.13/bin",
        "/opt/homebrew/bin",
        "/usr/local/bin",
    ),
    "win32": (
        r"%LOCALAPPDATA%\Programs\Python\Python312",
        r"%LOCALAPPDATA%\Programs\Python\Python311",
        r"%LOCALAPPDATA%\Programs\Python\Python313",
        r"%PROGRAMFILES%\Python312",
        r"%PROGRAMFILES%\Python311",
        r"%PROGRAMFILES%\Python313",
    ),
}


def find(chosen: str = "") -> Tools:
    """Return what there is; a Python that the user chose is the only one then."""
    nvidia = bool(QStandardPaths.findExecutable("nvidia-smi"))
    if chosen:
        return Tools(pythons=(chosen,), nvidia=nvidia)
    places = [os.path.expandvars(place) for place in PLACES.get(sys.platform, ())]
    found = [QStandardPaths.findExecutable(name) for name in NAMES]
    found += [QStandardPaths.findExecutable(name, [place]) for place in places for name in NAMES]
    uv = QStandardPaths.findExecutable("uv") or QStandardPaths.findExecutable(
        "uv", [str(Path.home() / ".local" / "bin"), str(Path.home() / ".cargo" / "bin"), *places]
    )
    pythons = dict.fromkeys(python for python in found if python and not _is_qgis_s(python))
    return Tools(uv, tuple(pythons), nvidia)


def _is_qgis_s(python: str) -> bool:
    """Whether a Python came with QGIS: it goes when QGIS does."""
    if sys.base_prefix in SYSTEM:
        return False
    return Path(sys.base_prefix) in Path(os.path.realpath(python)).parents
