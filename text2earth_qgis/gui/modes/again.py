"""What was made before as the request of the form: a run or a layer again, with another seed, continued."""

from __future__ import annotations

from typing import Callable

from qgis.core import QgsRasterLayer
from qgis.PyQt.QtCore import QObject, pyqtSignal

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.layers import path_of, recipe_of
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.gui.modes.edit import EditMode
from text2earth_qgis.gui.modes.extend import ExtendMode
from text2earth_qgis.gui.modes.generate import GenerateMode
from text2earth_qgis.gui.modes.mode import Mode
from text2earth_qgis.gui.modes.tabs import ModeTabs
from text2earth_qgis.gui.runner import Runner


class Again(QObject):
    """Fills the form of the mode that made something, and shows it."""

    ready = pyqtSignal()  # the form says all; it is to be run as soon as it can be
    refused = pyqtSignal(str)  # why not

    def __init__(
        self, tabs: ModeTabs, generate: GenerateMode, edit: EditMode, extend: ExtendMode, runner: Runner
    ) -> None:
        super().__init__(tabs)
        self._tabs, self._generate, self._edit, self._runner = tabs, generate, edit, runner
        self._modes: dict[str, Mode] = {"generate": generate, "edit": edit, "extend": extend}  # by process

    def use(self, run: Run) -> bool:
        """Show the settings of a run; return whether all of them could be."""
        mode = self._mode(run.process)
        return self._try(lambda: mode.use_again(run))

    def vary(self, run: Run) -> None:
        """Make a run again with another seed."""
        if self.use(run):
            self._tabs.mode.forget_seed()
            self.ready.emit()

    def use_layer(self, layer: QgsRasterLayer) -> bool:
        """Show the settings that a layer was made with: those of its run, else of its recipe.

        Returns whether all of them could be.
        """
        run = self._runner.run_of(path_of(layer))
        if run is not None:
            return self.use(run)
        recipe = recipe_of(layer) or {}
        mode = self._mode(str(recipe.get("process")))
        return self._try(lambda: mode.use_recipe(recipe, layer))

    def remake(self, layer: QgsRasterLayer) -> None:
        """Make again what a layer shows, with its seed: as it is, if backend and model are the same."""
        if self.use_layer(layer):
            self.ready.emit()

    def edit(self, layer: QgsRasterLayer) -> None:
        """Begin to edit a raster layer."""
        self._tabs.turn_to(self._edit)
        self._edit.form.source.setLayer(layer)

    def resume(self, run: Run) -> None:
        """Ask for more of the scene that a run made, on all sides."""
        if self._try(lambda: self._generate.continue_scene(run)):
            self._tabs.turn_to(self._generate)

    def _mode(self, process: str) -> Mode:
        mode = self._modes.get(process, self._generate)
        self._tabs.turn_to(mode)
        return mode

    def _try(self, work: Callable[[], None]) -> bool:
        try:
            work()
        except PluginError as error:
            self.refused.emit(str(error))
            return False
        return True
