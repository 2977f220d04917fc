"""The dock: puts the panels together, and runs.

Knows how the parts depend on each other (an edit asks for a plan, a backend that is away stops both); leaves
what they show to the panels, jobs to the runner and layers to the results.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Optional

from qgis.core import QgsRectangle, QgsSettings
from qgis.gui import QgsDockWidget, QgsMapCanvas
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QResizeEvent
from qgis.PyQt.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.history import Run
from text2earth_qgis.core.schemas import GenerateInputs, Plan
from text2earth_qgis.core.settings import PREFIX
from text2earth_qgis.core.watcher import Standing
from text2earth_qgis.gui import words
from text2earth_qgis.gui.connection import Connection
from text2earth_qgis.gui.footprint import Footprint
from text2earth_qgis.gui.ground import crs_of
from text2earth_qgis.gui.icons import icon
from text2earth_qgis.gui.notice import Notice
from text2earth_qgis.gui.panels.plan import PlanPanel, price
from text2earth_qgis.gui.panels.request import RequestPanel
from text2earth_qgis.gui.panels.runs import Row, RunsPanel
from text2earth_qgis.gui.planner import Planner
from text2earth_qgis.gui.previews import Previews
from text2earth_qgis.gui.results import Results
from text2earth_qgis.gui.runner import Runner

TITLE = "Text2Earth"
REMEMBERED = PREFIX + "gui/request"
DIVIDED = PREFIX + "gui/splitter"
PLAN_LINES = 9  # kept free for the plan, margins included
LIST_LEAST = 150  # pixels of the list of runs
TERMINAL = "text2earth-backend serve"


@dataclass(frozen=True)
class Parts:
    """What the dock is made with."""

    canvas: QgsMapCanvas
    connection: Connection
    runner: Runner
    results: Results


class Dock(QgsDockWidget):
    """The window of the plugin."""

    options_wanted = pyqtSignal()
    backend_wanted = pyqtSignal()

    def __init__(self, parts: Parts, parent: Optional[QWidget] = None) -> None:
        super().__init__(TITLE, parent)
        self.setObjectName("Text2EarthDock")
        self.setAllowedAreas(Qt.DockWidgetArea.LeftDockWidgetArea | Qt.DockWidgetArea.RightDockWidgetArea)
        self.connection, self.runner, self.results = parts.connection, parts.runner, parts.results
        self.can_start_backend = False
        self.planned: Optional[Plan] = None
        self._refused = False
        self.notice = Notice()
        self.request = RequestPanel(parts.canvas)
        self.plan = PlanPanel()
        self.run_button = QPushButton(icon("run"), "Run")
        self.runs = RunsPanel()
        self._dividing = QTimer(self)  # when the parts have their new sizes
        self._dividing.setSingleShot(True)
        self._dividing.setInterval(0)
        self._dividing.timeout.connect(self._divide)
        self.planner = Planner(self)
        self.footprint = Footprint(parts.canvas)
        self.previews = Previews(parts.canvas, lambda: self.connection.client, self)
        self._lay_out()
        self._connect()
        self._recall()
        self.runs.reset([Row(run) for run in self.runner.runs()])
        self._show_connection()
        self._edited()

    def _lay_out(self) -> None:
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(self.request)
        scroll.setMinimumHeight(120)
        foot = QWidget()
        below = QVBoxLayout(foot)
        below.setContentsMargins(9, 4, 9, 4)
        below.addWidget(self.plan)
        below.addWidget(self.run_button)
        foot.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        top = QWidget()
        upper = QVBoxLayout(top)
        upper.setContentsMargins(0, 0, 0, 0)
        upper.addWidget(scroll, 1)
        upper.addWidget(foot)
        self._splitter = QSplitter(Qt.Orientation.Vertical)
        self._splitter.addWidget(top)
        self._splitter.addWidget(self.runs)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.splitterMoved.connect(self._divide_by_hand)
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(0, 0, 0, 0)
        margin = QHBoxLayout()
        margin.setContentsMargins(9, 6, 9, 0)
        margin.addWidget(self.notice)
        layout.addLayout(margin)
        layout.addWidget(self._splitter, 1)
        self.setWidget(body)

    def _connect(self) -> None:
        self.request.changed.connect(self._edited)
        self.request.submitted.connect(self.run)
        self.request.unfolded.connect(self._dividing.start)
        self.run_button.clicked.connect(lambda _checked=False: self.run())
        self.planner.planned.connect(self._planned)
        self.planner.priced.connect(lambda one, all_: self.request.advanced.show_price(price(one, all_)))
        self.planner.unpriced.connect(
            lambda error: self.request.advanced.show_price(f"The other canvas: {error}")
        )
        self.planner.refused.connect(self._refuse)
        self.planner.unreachable.connect(self.connection.lost)
        self.connection.changed.connect(self._show_connection)
        self.runner.changed.connect(self._show_standing)
        self.runner.settled.connect(self._show_settled)
        self.runner.finished.connect(self._add)
        self.runner.failed.connect(self._complain)
        self.runner.forgotten.connect(self.runs.remove)
        self.runs.cancelled.connect(self.runner.cancel)
        self.runs.fetch.connect(self.runner.fetch)
        self.runs.removed.connect(self.runner.forget)
        self.runs.show_on_map.connect(lambda key: self._with_run(key, self.results.show))
        self.runs.use_again.connect(lambda key: self._with_run(key, self._use_again))
        self.visibilityChanged.connect(self._seen)

    def shut_down(self) -> None:
        """Undo what was done outside the dock: canvas items, map tool, questions under way."""
        stored = QgsSettings()
        stored.setValue(REMEMBERED, json.dumps(self.request.memory()))
        if self._by_hand:
            stored.setValue(DIVIDED, self._splitter.saveState())
        self.planner.stop()
        self.previews.clear()
        self.footprint.remove()
        self.request.extent.close_tool()

    def run(self) -> None:
        """Send the request as a job."""
        inputs = self.request.inputs()
        if inputs is None or not self.run_button.isEnabled():
            return
        try:
            self.runner.start(inputs)
        except PluginError as error:
            self.results.complain(str(error))

    def _recall(self) -> None:
        stored = QgsSettings()
        self.request.recall(json.loads(stored.value(REMEMBERED, "") or "{}"))
        divided = stored.value(DIVIDED)
        self._by_hand = bool(divided)
        if divided:
            self._splitter.restoreState(divided)

    def resizeEvent(self, event: Optional[QResizeEvent]) -> None:
        """Divide the new height, once what is inside has its new width."""
        super().resizeEvent(event)
        self._dividing.start()

    def _divide(self) -> None:
        """Give the form what it needs and the list the rest, until the user moves the line between them."""
        if self._by_hand:
            return
        room = self._splitter.height()
        plan = PLAN_LINES * self.fontMetrics().lineSpacing() + self.run_button.sizeHint().height()
        form = self.request.layout().totalHeightForWidth(self.request.width())
        top = min(max(form, self.request.sizeHint().height()) + plan, room - LIST_LEAST)
        self._splitter.setSizes([top, room - top])

    def _divide_by_hand(self, *_place: int) -> None:
        self._by_hand = True

    def _edited(self) -> None:
        """Ask what the request comes to now."""
        self._dividing.start()
        self.planned, self._refused = None, False
        missing, ready = self.request.missing(), self.connection.state.ready
        self._outline()
        self.request.advanced.show_price("")
        if missing or not ready:
            self.planner.stop()
            self.plan.show_hint(missing) if ready else self.plan.clear()
        else:
            self.plan.wait()
            self.planner.plan(self.connection.client, self.request.inputs(), self.request.wants_price())
        self._enable()

    def _planned(self, plan: Plan) -> None:
        self.planned = plan
        self.plan.show_plan(plan, self.connection.state.url)
        self._outline()

    def _refuse(self, error: PluginError) -> None:
        self._refused = True
        self.plan.show_refusal(str(error))
        self._enable()

    def _enable(self) -> None:
        """Let Run be pressed, or say why not."""
        state = self.connection.state
        if not state.asked:
            reason = "Looking for the backend."
        elif state.trouble:
            reason = state.trouble
        else:
            reason = self.request.missing() or (
                "The backend refuses this request; see above." if self._refused else ""
            )
        self.run_button.setEnabled(not reason)
        self.run_button.setToolTip(reason or "Make this image (Ctrl+Enter in the prompt)")

    def _outline(self) -> None:
        """Show on the canvas where the result will be, while the dock is open."""
        box, crs = self.request.extent.box()
        if not self.isVisible() or box.isEmpty():
            self.footprint.hide()
        elif self.planned is not None:
            self.footprint.show(QgsRectangle(*self.planned.bbox), crs_of(self.planned.crs), True)
        else:
            self.footprint.show(box, crs, False)

    def _show_connection(self) -> None:
        state = self.connection.state
        if state.trouble:
            self._tell_trouble(state.trouble, state.url)
        else:
            self.notice.hide()
        if state.ready:
            self.request.advanced.set_models(list(state.models))
        self._edited()

    def allow_start(self, possible: bool) -> None:
        """Offer to start a backend where none answers, or not."""
        self.can_start_backend = possible
        self._show_connection()

    def show_starting(self) -> None:
        """Say that a backend is being started; what becomes of it, the connection tells."""
        self.notice.tell("Starting a backend on this computer…", "queued")

    def show_ended(self, sentence: str) -> None:
        """Say that the backend that was started here has ended."""
        self.notice.tell(
            sentence, "warning", {"Options": self.options_wanted.emit, "Start it": self.backend_wanted.emit}
        )

    def _tell_trouble(self, trouble: str, url: str) -> None:
        actions = {"Options": self.options_wanted.emit, "Try again": self.connection.check}
        if words.is_local(url) and "No backend answers" in trouble:
            if self.can_start_backend:
                actions = {"Start it": self.backend_wanted.emit, **actions}
            trouble += f"\nIn a terminal: {TERMINAL}"
        self.notice.tell(trouble, "warning", actions)

    def _show_standing(self, standing: Standing) -> None:
        self.runs.put(Row(standing.run, standing))
        self.previews.follow(standing)

    def _show_settled(self, run: Run) -> None:
        self.previews.drop(run.key)
        self.runs.put(Row(run))

    def _add(self, run: Run) -> None:
        if self.runner.at_home(run):
            self.results.add(run)
        else:
            self.results.offer(run)

    def _complain(self, run: Run, sentence: str) -> None:
        self.results.complain(run.message or sentence)

    def _use_again(self, run: Run) -> None:
        self.request.set_inputs(GenerateInputs.from_json(run.inputs), run.recipe.get("seed"))

    def _with_run(self, key: str, action: object) -> None:
        row = self.runs.row(key)
        if row is not None:
            action(row.run)  # type: ignore[operator]

    def _seen(self, visible: bool) -> None:
        self.connection.watch(visible)
        self._outline()
