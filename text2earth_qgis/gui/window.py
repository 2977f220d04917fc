"""The plugin's share of QGIS's window: dock, menu, toolbar and options page, taken back line for line.

The only user of ``iface``. Knows how the parts depend on the settings; what they do, they know.
"""

from __future__ import annotations

from qgis.core import Qgis, QgsMessageLog, QgsProject, QgsRasterLayer
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import Qt, QUrl
from qgis.PyQt.QtGui import QDesktopServices

from text2earth_qgis.core import paths, settings
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.runs.history import History, Run
from text2earth_qgis.core.timers import single_shot
from text2earth_qgis.core.wire import quiet_network
from text2earth_qgis.gui.canvas.swipe import Swipe
from text2earth_qgis.gui.commands import NAME, Commands
from text2earth_qgis.gui.connection import Connection
from text2earth_qgis.gui.dock import Dock, Parts
from text2earth_qgis.gui.layer_menu import LayerMenu
from text2earth_qgis.gui.options.page import PAGE, OptionsFactory
from text2earth_qgis.gui.results import Results
from text2earth_qgis.gui.run_list.removals import Removals
from text2earth_qgis.gui.runner import Runner
from text2earth_qgis.gui.setup.front import Front


class PluginWindow:
    """Everything that the plugin adds to the window; ``close`` takes it back."""

    def __init__(self, iface: QgisInterface) -> None:
        self._iface = iface
        window = iface.mainWindow()
        canvas, project = iface.mapCanvas(), QgsProject.instance()
        self._scout = quiet_network.Scout()
        self._connection = Connection(lambda: settings.access(settings.load()))
        self._factory = OptionsFactory(self._connection)
        self._factory.signals.applied.connect(self.settings_changed)
        iface.registerOptionsWidgetFactory(self._factory)
        self._connection.changed.connect(self._take_up)
        self.runner = Runner(History(settings.profile_folder() / "history.sqlite"), project)
        self.runner.failed.connect(self._log_failure)
        self._front = Front(self._connection)
        self._front.changed.connect(self.settings_changed)
        self._front.said.connect(lambda text: self._log(text, Qgis.MessageLevel.Info))
        self._results = Results(canvas, project, iface.messageBar())
        self._swipe = Swipe(canvas, project)
        self._results.comparison_wanted.connect(self._swipe.compare)
        self._results.log_wanted.connect(iface.openMessageLog)
        self._removals = Removals(self.runner, self._results)
        parts = Parts(canvas, self._connection, self.runner, self._results, self._front, self._removals)
        self.dock = Dock(parts, window)
        self.dock.options_wanted.connect(self.show_options)
        self.dock.help_wanted.connect(self.show_guide)
        for mode in self.dock.tabs.modes:
            mode.layer_made.connect(iface.setActiveLayer)
        self._layers = LayerMenu(iface, project)
        self._layers.edit_wanted.connect(self._edit_layer)
        self._layers.comparison_wanted.connect(lambda layers: self._swipe.compare(*layers))
        self._layers.settings_wanted.connect(self._use_settings_of)
        self._layers.remake_wanted.connect(self._remake)
        iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        self.dock.hide()  # QGIS restores its windows after this, and opens the dock if it was open
        self._commands = Commands(iface)
        self.dock.setToggleVisibilityAction(self._commands.panel)
        add = self._commands.add
        add("Run", "run", tr("Run what the Text2Earth panel says"), self.run, "Ctrl+Alt+Return")
        add("Brush", "brush", tr("Paint a mask with the brush"), self.paint, "Ctrl+Alt+B")
        add("SetUp", "fetch", tr("Set up a backend…"), self.show_setup)
        add("Options", "options", tr("Options…"), self.show_options)
        add("Guide", "info", tr("User guide"), self.show_guide)
        self._start = single_shot(None, self.runner.take_up)
        self._start.start(0)  # once QGIS has its window

    def close(self) -> None:
        """Take everything back, in the opposite order. Jobs go on."""
        self._start.stop()
        self._commands.close()
        self._swipe.leave()
        self._swipe.deleteLater()
        self._layers.close()
        self._layers.deleteLater()
        self._front.close_all()
        self._results.close()
        self.dock.shut_down()
        self._iface.removeDockWidget(self.dock)
        self.dock.deleteLater()
        self._removals.stop()
        self.runner.stop()
        self.runner.deleteLater()
        self._connection.close()
        self._connection.deleteLater()
        self._scout.close()
        self._scout.deleteLater()
        quiet_network.close()
        self._iface.unregisterOptionsWidgetFactory(self._factory)
        self._factory.close()
        self._factory.deleteLater()

    def show_dock(self) -> None:
        """Open the dock."""
        self.dock.setUserVisible(True)

    def run(self) -> None:
        """Run what the panel says, once it is seen."""
        if self.dock.isVisible():
            self.dock.run()
        self.show_dock()

    def paint(self) -> None:
        """Take the brush, or lay it down."""
        self.show_dock()
        self.dock.turn_to(self.dock.edit)
        self.dock.edit.form.brush.button.click()

    def show_guide(self) -> None:
        """Open the page of the user guide on what the panel shows, in the browser."""
        page = paths.guide_page("connect" if self._front.on_setup else self.dock.mode.section)
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(page))):
            text = tr("No browser could be started. The user guide is {file}.").format(file=page)
            self._iface.messageBar().pushWarning(NAME, text)

    def show_setup(self) -> None:
        """Open the page of the dock that sets a backend up."""
        self.show_dock()
        self._front.open()

    def show_options(self) -> None:
        """Open the page of Settings > Options."""
        self._iface.showOptionsDialog(self._iface.mainWindow(), PAGE)

    def settings_changed(self) -> None:
        """Turn to the backend that the settings name now."""
        self._front.forget()
        self._connection.start_over()
        self.runner.take_up()

    def _edit_layer(self, layer: QgsRasterLayer) -> None:
        self.show_dock()
        self.dock.again.edit(layer)

    def _use_settings_of(self, layer: QgsRasterLayer) -> None:
        self.show_dock()
        self.dock.again.use_layer(layer)

    def _remake(self, layer: QgsRasterLayer) -> None:
        self.show_dock()
        self.dock.again.remake(layer)

    def _take_up(self) -> None:
        """Go on with runs whose backend, or its token, was away."""
        if self._connection.state.ready:
            self.runner.take_up()
            self._removals.look()

    def _log_failure(self, run: Run, sentence: str) -> None:
        self._log(f"Job {run.job or '(not accepted)'} on {run.server}: {sentence}", Qgis.MessageLevel.Warning)

    def _log(self, text: str, level: Qgis.MessageLevel) -> None:
        QgsMessageLog.logMessage(text, NAME, level, notifyUser=False)
