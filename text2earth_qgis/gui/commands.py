"""What the user can have done from menu, toolbar and keyboard; QGIS lets them choose other shortcuts.

Owns the actions and where they are shown. What they do, the window says.
"""

from __future__ import annotations

from typing import Callable

from qgis.gui import QgisInterface
from qgis.PyQt.QtWidgets import QMenu

try:
    from qgis.PyQt.QtGui import QAction  # Qt 6
except ImportError:
    from qgis.PyQt.QtWidgets import QAction

from text2earth_qgis.core.language import tr
from text2earth_qgis.gui.icons import icon

NAME = "Text2Earth"  # of menu and toolbar


class Commands:
    """The actions of the plugin, in *Raster > Text2Earth* and a toolbar; ``close`` takes them back."""

    def __init__(self, interface: QgisInterface) -> None:
        self._interface = interface
        self._window = interface.mainWindow()
        self._actions: list[QAction] = []
        self._menu = QMenu(NAME, self._window)  # addPluginToRasterMenu would leave its menu behind
        interface.rasterMenu().addMenu(self._menu)
        self._toolbar = interface.addToolBar(NAME)
        self._toolbar.setObjectName("Text2EarthToolBar")
        self.panel = self._add("", "text2earth", tr("Text2Earth panel"), "Ctrl+Alt+I")
        self.panel.setToolTip(tr("Make imagery from an extent and a prompt"))
        self.panel.setCheckable(True)
        self._toolbar.addAction(self.panel)

    def add(self, name: str, picture: str, title: str, act: Callable[[], None], shortcut: str = "") -> None:
        """Add a command at the end of the menu."""
        self._add(name, picture, title, shortcut).triggered.connect(lambda _checked=False: act())

    def _add(self, name: str, picture: str, title: str, shortcut: str) -> QAction:
        action = QAction(icon(picture), title, self._window)
        action.setObjectName("mActionText2Earth" + name)  # by which QGIS keeps the shortcut
        self._interface.registerMainWindowAction(action, shortcut)
        self._menu.addAction(action)
        self._actions.append(action)
        return action

    def close(self) -> None:
        """Take everything back."""
        self._window.removeToolBar(self._toolbar)
        self._toolbar.deleteLater()
        self._interface.rasterMenu().removeAction(self._menu.menuAction())
        self._menu.deleteLater()
        for action in self._actions:
            self._interface.unregisterMainWindowAction(action)
            action.deleteLater()
