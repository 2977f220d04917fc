"""One tab of the dock: a form, and a check of the request before it is run.

The base of ``GenerateMode``, ``EditMode`` and ``ExtendMode``. The dock shows one of them, asks it whenever
something changes, and lets the user run it; it knows nothing of what is asked for.
"""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsRasterLayer
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtWidgets import QWidget

from text2earth_qgis.core.language import tr
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.wire.schemas import Json
from text2earth_qgis.gui.connection import Connection
from text2earth_qgis.gui.panels.plan import PlanPanel
from text2earth_qgis.gui.runner import Runner

REFUSED = tr("This request is refused; see above.")
UNKNOWN = tr(
    "The file says how this was made, but not from which raster and where on it. Choose both, then press Run."
)


class Mode(QObject):
    """One tab of the dock. ``changed`` asks to be asked again, ``answered`` follows a plan or a refusal."""

    key = ""  # its name in the settings
    title = ""
    section = "index"  # of the user guide
    hint = ""  # the tooltip of Run
    changed = pyqtSignal()
    answered = pyqtSignal()
    submitted = pyqtSignal()
    asked = pyqtSignal(str, dict)  # a question to be answered before it is run, and what may be done
    unfolded = pyqtSignal()
    layer_made = pyqtSignal(object)  # to be drawn on

    def __init__(
        self, panel: QWidget, plan: PlanPanel, connection: Connection, parent: Optional[QObject] = None
    ) -> None:
        super().__init__(parent)
        self.panel, self.plan, self.connection = panel, plan, connection
        self.shown = False  # the user sees this form
        self.refused = False

    def missing(self) -> str:
        """Name what the form still lacks, as a sentence; empty if nothing."""
        raise NotImplementedError

    @property
    def checked(self) -> bool:
        """Whether the request was checked as it is now, and can be run."""
        raise NotImplementedError

    def reason(self) -> str:
        """Return why this cannot be run, as a sentence; empty if it can."""
        return self.missing() or (REFUSED if self.refused else "")

    def show(self, shown: bool) -> None:
        """Show or hide what this form has on the map."""
        self.shown = shown

    def uncover(self) -> None:
        """Take what covers the map off it, until something changes: there is a result to be seen."""

    def ask(self) -> None:
        """Check the request, without waiting for the answer."""
        raise NotImplementedError

    def run(self, runner: Runner) -> None:
        """Start it; raises ``PluginError``."""
        raise NotImplementedError

    def use_again(self, run: Run) -> None:
        """Show the settings of an earlier run. Raises ``PluginError`` if it cannot be made again here."""
        raise NotImplementedError

    def use_recipe(self, recipe: Json, layer: QgsRasterLayer) -> None:
        """Show the settings in the recipe of a layer. Raises as ``use_again`` does."""
        raise NotImplementedError

    def forget_seed(self) -> None:
        """Take a new seed in the next run."""
        raise NotImplementedError

    def memory(self) -> Json:
        """Return the settings to keep for the next session."""
        raise NotImplementedError

    def recall(self, memory: Json) -> None:
        """Show the settings that ``memory`` returned."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ask nothing any more: another tab is shown."""
        raise NotImplementedError

    def close(self) -> None:
        """Undo what was done outside the dock."""
        raise NotImplementedError

    def _refuse(self, sentence: str) -> None:
        self.refused = True
        self.plan.show_refusal(sentence)
        self.answered.emit()
