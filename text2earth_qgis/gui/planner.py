"""Asks the backend for its plan of a request while the user edits it.

One question at a time: an edit takes back the question before, and waits a moment for the next edit. Knows
the process ``plan`` and no widget.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional

from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from text2earth_qgis.core.errors import PluginError, Unreachable
from text2earth_qgis.core.wire import calls
from text2earth_qgis.core.wire.async_client import AsyncClient, Pending
from text2earth_qgis.core.wire.schemas import GenerateInputs, Plan

PAUSE_MS = 350
OTHER_CANVAS: dict[object, str] = {"extent": "ground", "ground": "extent"}


@dataclass(frozen=True)
class _Question:
    """A request to be planned, where, and whether its price on the other canvas is asked too."""

    client: AsyncClient
    inputs: GenerateInputs
    with_price: bool


class Planner(QObject):
    """Plans the latest request only.

    ``planned`` carries the Plan, ``priced`` the plans on the extent's own canvas and on the ground,
    ``unpriced`` the reason why there is no second plan, ``refused`` the refusal of the request,
    ``unreachable`` that no answer came (all three a PluginError).
    """

    planned = pyqtSignal(object)
    priced = pyqtSignal(object, object)
    unpriced = pyqtSignal(object)
    refused = pyqtSignal(object)
    unreachable = pyqtSignal(object)

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._question: Optional[_Question] = None  # the latest
        self._pending: Optional[Pending] = None
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self._ask)

    def plan(self, client: AsyncClient, inputs: GenerateInputs, with_price: bool) -> None:
        """Plan these inputs a moment from now; ``with_price`` also on the other canvas."""
        self.stop()
        self._question = _Question(client, inputs, with_price)
        self._pause.start()

    def stop(self) -> None:
        """Take back the question; no signal comes."""
        self._pause.stop()
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None

    def _ask(self) -> None:
        question = self._question
        if question is not None:
            self._pending = question.client.run(
                calls.plan("generate", question.inputs),
                lambda plan: self._answered(question, plan),
                self._failed,
            )

    def _answered(self, question: _Question, plan: Plan) -> None:
        self._pending = None
        self.planned.emit(plan)
        canvas = question.inputs.canvas
        if question is not self._question or not question.with_price or canvas not in OTHER_CANVAS:
            return  # or a slot of the signal asked for another plan
        other = calls.plan("generate", replace(question.inputs, canvas=OTHER_CANVAS[canvas]))
        self._pending = question.client.run(
            other, lambda found: self._compare(canvas, plan, found), self._without_price
        )

    def _compare(self, canvas: object, plan: Plan, other: Plan) -> None:
        self._pending = None
        self.priced.emit(*((plan, other) if canvas == "extent" else (other, plan)))

    def _without_price(self, error: PluginError) -> None:
        self._pending = None
        self.unpriced.emit(error)

    def _failed(self, error: PluginError) -> None:
        self._pending = None
        (self.unreachable if isinstance(error, Unreachable) else self.refused).emit(error)
