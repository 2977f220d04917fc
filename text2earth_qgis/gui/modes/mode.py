"""What the dock can ask for: a form, and what is found out about it before it is run.

The base of ``GenerateMode`` and ``EditMode``. The dock shows one of them, asks it whenever something changes,
and lets the user run it; it knows nothing of what is asked for.
"""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtWidgets import QWidget

from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.wire.schemas import Json
from text2earth_qgis.gui.connection import Connection
from text2earth_qgis.gui.panels.plan import PlanPanel
from text2earth_qgis.gui.runner import Runner

REFUSED = "This request is refused; see above."


class Mode(QObject):
    """One tab of the dock. ``changed`` asks to be asked again, ``answered`` follows a plan or a refusal."""

    title = ""
    hint = ""  # the tooltip of Run
    changed = pyqtSignal()
    answered = pyqtSignal()
    submitted = pyqtSignal()
    unfolded = pyqtSignal()

    def __init__(
        self, panel: QWidget, plan: PlanPanel, connection: Connection, parent: Optional[QObject] = None
    ) -> None:
        super().__init__(parent)
        self.panel, self.plan, self.connection = panel, plan, connection
        self.shown = False  # the user sees this form
        self.refused = False

    def missing(self) -> str:
        """Return what the user still has to give, as a sentence; empty if nothing."""
        raise NotImplementedError

    def reason(self) -> str:
        """Return why this cannot be run, as a sentence; empty if it can."""
        return self.missing() or (REFUSED if self.refused else "")

    def show(self, shown: bool) -> None:
        """Take note whether the user sees this form; what it has on the map goes with it."""
        self.shown = shown

    def ask(self) -> None:
        """Find out what the request comes to, without waiting."""
        raise NotImplementedError

    def run(self, runner: Runner) -> None:
        """Start it; raises ``PluginError``."""
        raise NotImplementedError

    def use_again(self, run: Run) -> None:
        """Show the settings of an earlier run."""
        raise NotImplementedError

    def memory(self) -> Json:
        """Return what is worth remembering for the next session."""
        raise NotImplementedError

    def recall(self, memory: Json) -> None:
        """Show what ``memory`` returned."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ask nothing any more: the user looks at something else."""
        raise NotImplementedError

    def close(self) -> None:
        """Undo what was done outside the dock."""
        raise NotImplementedError

    def _refuse(self, sentence: str) -> None:
        self.refused = True
        self.plan.show_refusal(sentence)
        self.answered.emit()
