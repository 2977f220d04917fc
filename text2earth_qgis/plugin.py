"""The plugin as QGIS sees it: algorithms always, and a share of the window where there is one."""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsApplication
from qgis.gui import QgisInterface

from text2earth_qgis.gui.window import PluginWindow
from text2earth_qgis.processing.provider import Text2EarthProvider


class Text2EarthPlugin:
    """Made by QGIS at start; lives until QGIS ends or the plugin is switched off.

    ``iface`` is None in qgis_process: there is the Processing provider then, and no ``window``.
    """

    def __init__(self, iface: QgisInterface) -> None:
        """Keep the window of QGIS; None in qgis_process, which makes the provider alone."""
        self._iface = iface
        self._provider: Optional[Text2EarthProvider] = None
        self.window: Optional[PluginWindow] = None

    def initProcessing(self) -> None:
        """Offer the algorithms; all that qgis_process asks for."""
        self._provider = Text2EarthProvider()
        QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self) -> None:
        """Register everything; ``unload`` takes it back in the opposite order."""
        self.initProcessing()
        if self._iface is not None:
            self.window = PluginWindow(self._iface)

    def unload(self) -> None:
        """Take everything back. Jobs go on: this is what closing QGIS calls too."""
        if self.window is not None:
            self.window.close()
            self.window = None
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
            self._provider = None
