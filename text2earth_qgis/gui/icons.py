"""The plugin's icons.

They are SVGs in mid tones with at least 3:1 contrast on white and on the dark grey of "Night Mapping", so one
set serves every theme. Knows only where the files are.
"""

from __future__ import annotations

from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QIcon

from text2earth_qgis.core.paths import resource


def icon(name: str, checked: str = "") -> QIcon:
    """Return the icon ``resources/icons/NAME.svg``; ``checked`` is another one for a button that is."""
    found = QIcon(resource("icons", f"{name}.svg"))
    if checked:
        found.addFile(resource("icons", f"{checked}.svg"), QSize(), QIcon.Mode.Normal, QIcon.State.On)
    return found
