"""The dock: puts the panels together, and runs.

Knows how the parts depend on each other (a change asks for a plan, a backend that is away stops both); leaves
what is asked for to the modes, what is shown to the panels, jobs to the runner and layers to the results.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Callable, Optional

from qgis.core import QgsApplication, QgsProject
from qgis.gui import QgsDockWidget, QgsMapCanvas
from qgis.PyQt.QtCore import QEvent, Qt, pyqtSignal
from qgis.PyQt.QtGui import QKeyEvent, QResizeEvent
from qgis.PyQt.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.runs.watcher import RunStatus
from text2earth_qgis.core.settings import PREFIX
from text2earth_qgis.core.wire.schemas import Plan
from text2earth_qgis.gui.canvas.previews import Previews
from text2earth_qgis.gui.connection import Connection, State
from text2earth_qgis.gui.divided import Divided
from text2earth_qgis.gui.icons import icon
from text2earth_qgis.gui.modes.again import Again
from text2earth_qgis.gui.modes.edit import EditMode
from text2earth_qgis.gui.modes.extend import ExtendMode
from text2earth_qgis.gui.modes.generate import GenerateMode
from text2earth_qgis.gui.modes.mode import Mode
from text2earth_qgis.gui.modes.tabs import ModeTabs
from text2earth_qgis.gui.notice import Notice
from text2earth_qgis.gui.panels.plan import PlanPanel
from text2earth_qgis.gui.results import Results
from text2earth_qgis.gui.run_list.removals import Removals
from text2earth_qgis.gui.run_list.rows import Row
from text2earth_qgis.gui.run_list.runs import RunsPanel
from text2earth_qgis.gui.runner import Runner
from text2earth_qgis.gui.setup import first_layer
from text2earth_qgis.gui.setup.front import Front
from text2earth_qgis.gui.variants.variants import Variants

TITLE = "Text2Earth"
DIVIDED = PREFIX + "gui/splitter"
PLAN_LINES = 9  # kept free for the plan, margins included
LIST_LEAST = 150  # pixels of the list of runs


@dataclass(frozen=True)
class Parts:
    """What the dock is made with."""

    canvas: QgsMapCanvas
    connection: Connection
    runner: Runner
    results: Results
    front: Front
    removals: Removals


class Dock(QgsDockWidget):
    """The window of the plugin."""

    options_wanted = pyqtSignal()
    help_wanted = pyqtSignal()

    def __init__(self, parts: Parts, parent: Optional[QWidget] = None) -> None:
        super().__init__(TITLE, parent)
        self.setObjectName("Text2EarthDock")
        self.setAllowedAreas(Qt.DockWidgetArea.LeftDockWidgetArea | Qt.DockWidgetArea.RightDockWidgetArea)
        self.connection, self.runner, self.results = parts.connection, parts.runner, parts.results
        self.front, self.removals = parts.front, parts.removals
        self._canvas = parts.canvas
        self._runs_when_ready = False  # what was asked for, unless it is refused
        self._shows_next = False  # the first layer, when it comes
        self.notice = Notice()
        self.question = Notice()
        self.plan = PlanPanel()
        self.generate = GenerateMode(parts.canvas, self.plan, parts.connection, self)
        self.edit = EditMode(parts.canvas, QgsProject.instance(), self.plan, parts.connection, self)
        self.extend = ExtendMode(parts.canvas, QgsProject.instance(), self.plan, parts.connection, self)
        self.request = self.generate.request
        self.tabs = ModeTabs((self.generate, self.edit, self.extend))
        self.again = Again(self.tabs, self.generate, self.edit, self.extend, self.runner)
        self.run_button = QPushButton(icon("run"), tr("Run"))
        self.runs = RunsPanel()
        self.variants = Variants(parts.runner, QgsProject.instance(), self)
        self.previews = Previews(parts.canvas, lambda: self.connection.client, self)
        self._lay_out()
        self._connect()
        self.tabs.recall()
        self.divided.recall(DIVIDED)
        self.runs.read(self.runner.latest)
        self._show_connection()
        self._turn()

    @property
    def planned(self) -> Optional[Plan]:
        """The backend's plan of what the form to generate says now."""
        return self.generate.planned

    @property
    def mode(self) -> Mode:
        """The mode that is shown."""
        return self.tabs.mode

    def turn_to(self, mode: Mode) -> None:
        """Show another mode."""
        self.tabs.turn_to(mode)

    def _lay_out(self) -> None:
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(self.tabs.forms)
        scroll.setMinimumHeight(120)
        foot = QWidget()
        below = QVBoxLayout(foot)
        below.setContentsMargins(9, 4, 9, 4)
        below.addWidget(self.plan)
        below.addWidget(self.question)
        below.addWidget(self.run_button)
        foot.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        top = QWidget()
        upper = QVBoxLayout(top)
        upper.setContentsMargins(0, 0, 0, 0)
        upper.addWidget(scroll, 1)
        upper.addWidget(foot)
        bottom = QWidget()
        lower = QVBoxLayout(bottom)
        lower.setContentsMargins(0, 0, 0, 0)
        beside = QHBoxLayout()
        beside.setContentsMargins(9, 0, 9, 0)
        beside.addWidget(self.variants.strip)
        lower.addLayout(beside)
        lower.addWidget(self.runs, 1)
        self.divided = Divided(top, bottom, self._needed, LIST_LEAST)
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(0, 0, 0, 0)
        margin = QHBoxLayout()
        margin.setContentsMargins(9, 6, 9, 0)
        margin.addWidget(self.notice)
        layout.addWidget(self.tabs)
        layout.addLayout(margin)
        layout.addWidget(self.divided, 1)
        self.front.take(body)
        self.setWidget(self.front)

    def _connect(self) -> None:
        for mode in self.tabs.modes:
            mode.changed.connect(lambda mode=mode: self._edited() if mode is self.mode else None)
            mode.answered.connect(self._enable)
            mode.submitted.connect(self.run)
            mode.asked.connect(self._ask)
            mode.unfolded.connect(self.divided.divide)
        self.tabs.currentChanged.connect(lambda _index: self._turn())
        self.run_button.clicked.connect(lambda _checked=False: self.run())
        self.connection.changed.connect(self._show_connection)
        self.runner.changed.connect(self._show_progress)
        self.runner.lost.connect(self.connection.lost)
        self.runner.settled.connect(self._show_settled)
        self.runner.finished.connect(self._add)
        self.runner.failed.connect(self._complain)
        self.runner.forgotten.connect(self.runs.remove)
        self.runs.cancelled.connect(self.runner.cancel)
        self.runs.fetch.connect(self.runner.fetch)
        self.runner.restored.connect(self.runs.bring_back)
        self.runs.removed.connect(self.removals.remove)
        self.runs.discarded.connect(lambda keys: self.removals.remove(keys, with_files=True))
        self.runs.undone.connect(self.removals.undo)
        self.runs.offer_closed.connect(self.removals.close)
        self.removals.changed.connect(self.runs.offer_undo)
        self.runs.show_on_map.connect(lambda key: self._with_run(key, self.results.show))
        self.runs.use_again.connect(lambda key: self._with_run(key, self.again.use))
        self.runs.varied.connect(lambda key: self._with_run(key, self.again.vary))
        self.runs.continued.connect(lambda key: self._with_run(key, self.again.resume))
        for part in (self.variants.strip, self.runs.question, self.question):
            part.resized.connect(self.divided.divide)
        self.variants.refused.connect(self.results.complain)
        self.again.ready.connect(self._run_when_ready)
        self.again.refused.connect(self.results.complain)
        self.front.first_wanted.connect(self._make_first_layer)
        self.visibilityChanged.connect(self._seen)

    def shut_down(self) -> None:
        """Undo what was done outside the dock: canvas items, map tool, questions under way."""
        self.tabs.store()
        self.divided.store(DIVIDED)
        self.previews.clear()
        self.runs.delegate.thumbnails.close()
        self.variants.close()
        for mode in self.tabs.modes:
            mode.close()

    def run(self) -> None:
        """Send the request as a job."""
        if self.run_button.isEnabled():
            try:
                self.mode.run(self.runner)
            except PluginError as error:
                self.results.complain(str(error))

    def event(self, event: Optional[QEvent]) -> bool:
        """Take F1 before QGIS opens its own help."""
        if isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_F1:
            event.accept()
            if event.type() == QEvent.Type.KeyPress:
                self.help_wanted.emit()
            return True
        return bool(super().event(event))

    def resizeEvent(self, event: Optional[QResizeEvent]) -> None:
        """Divide the new height, once what is inside has its new width."""
        super().resizeEvent(event)
        self.divided.divide()

    def _needed(self) -> int:
        """Return the height in pixels of all that is above the list."""
        plan = PLAN_LINES * self.fontMetrics().lineSpacing() + self.run_button.sizeHint().height()
        panel = self.mode.panel
        form = panel.layout().totalHeightForWidth(panel.width())
        return int(max(form, panel.sizeHint().height()) + plan)

    def _ask(self, text: str, answers: dict[str, Callable[[], None]]) -> None:
        """Put a question that is to be answered before the request is run."""

        def answered(act: Callable[[], None]) -> None:
            self.question.hide()
            act()

        actions = {title: partial(answered, act) for title, act in answers.items()}
        self.question.tell(text, "warning", {**actions, tr("Cancel"): self.question.hide})

    def _edited(self) -> None:
        """Check the request that the form shows now."""
        self.question.hide()
        self.divided.divide()
        self.mode.ask()
        self._enable()

    def _enable(self) -> None:
        """Let Run be pressed, or say why not."""
        state = self.connection.state
        reason = state.trouble if state.asked else tr("Looking for the backend.")
        reason = reason or self.mode.reason()
        self._runs_when_ready &= not (self.mode.refused or self.mode.missing())
        self.run_button.setEnabled(not reason)
        if not reason and self._runs_when_ready:
            self._runs_when_ready = False
            self.run()
        self.run_button.setToolTip(reason or self.mode.hint)

    def _show_connection(self) -> None:
        state = self.connection.state
        if state.trouble:
            self._tell_trouble(state)
        elif state.ready and self.front.outdated:
            self.notice.tell(self.front.outdated, "info", {tr("Update…"): self.front.open})
        else:
            self.notice.hide()
        self._edited()

    def _make_first_layer(self, prompt: str) -> None:
        """Fill the form for a small scene in the middle of the map, and run it once there is a plan."""
        box = first_layer.place(self._canvas, QgsProject.instance())
        self._canvas.setExtent(box)
        self._canvas.refresh()
        self.turn_to(self.generate)
        self.request.recall({"prompt": prompt, "gsd": first_layer.GSD})
        self.request.extent.take(box)
        self._shows_next = True
        self._run_when_ready()

    def _run_when_ready(self) -> None:
        """Run what the form says as soon as it can be."""
        self._runs_when_ready = True
        self._enable()

    def _unlock(self) -> None:
        """Let QGIS ask for its master password, as the user wishes."""
        if QgsApplication.authManager().setMasterPassword(True):
            self.connection.check()

    def _tell_trouble(self, state: State) -> None:
        trouble = state.trouble
        actions = {tr("Set up…"): self.front.open, tr("Try again"): self.connection.check}
        if state.locked:
            actions = {tr("Unlock"): self._unlock, tr("Options"): self.options_wanted.emit}
        if self.front.starter.busy:
            self.notice.tell(tr("Starting the backend on this computer…"), "queued")
        elif self.front.failure:
            self.notice.tell(
                self.front.failure,
                "warning",
                {tr("Set up…"): self.front.open, tr("Try again"): self._start_again},
            )
        else:
            self.notice.tell(trouble, "warning", actions)

    def _start_again(self) -> None:
        self.front.start()
        self._show_connection()

    def _show_progress(self, progress: RunStatus) -> None:
        self.runs.put(Row(progress.run, progress))
        self.previews.follow(progress)

    def _show_settled(self, run: Run) -> None:
        self.previews.drop(run.key)
        self.runs.put(Row(run))

    def _add(self, run: Run) -> None:
        if self.runner.at_home(run):
            for mode in self.tabs.modes:
                mode.uncover()
            if self._shows_next:
                self._shows_next = False
                self.results.show(run)
            elif self.variants.takes(run):
                self.results.note(run)
            else:
                self.results.add(run)
        else:
            self.results.offer(run)

    def _turn(self) -> None:
        """Show the form of the chosen mode, and what belongs to it on the map."""
        self.tabs.show_mode(self.isVisible())
        self._edited()

    def _complain(self, run: Run, sentence: str) -> None:
        self.results.report(run.message or sentence)

    def _with_run(self, key: str, action: Callable[[Run], object]) -> None:
        run = self.runner.run(key)
        if run is not None:
            action(run)

    def _seen(self, visible: bool) -> None:
        self.connection.watch(visible)
        self.tabs.show_mode(visible)
