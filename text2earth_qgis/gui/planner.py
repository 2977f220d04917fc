"""Asks the backend for its plan of a request while the user edits it.

One question at a time: an edit takes back the question before, and waits a moment for the next edit. Where
the GSD is left open, it plans the model's pixel sizes one after the other, coarse ones first, and takes the
finest that does not take long. Knows the process ``plan`` and no widget.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, Optional, Sequence

from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from text2earth_qgis.core.errors import Locked, PluginError, Unreachable
from text2earth_qgis.core.wire import calls
from text2earth_qgis.core.wire.async_client import AsyncClient, Pending
from text2earth_qgis.core.wire.schemas import GenerateInputs, Plan

PAUSE_MS = 350
BUDGET = 120.0  # seconds that an automatic GSD may take
WORTH = 20  # times the budget: what takes longer is not offered either
SECONDS = 0.1  # of a window, where a model's speed is not known yet
BY_EXAMPLE_SECONDS = 0.03  # of a unit of work of land by example, on a computer that made none yet
OTHER_CANVAS: dict[object, str] = {"extent": "ground", "ground": "extent"}


@dataclass(frozen=True)
class _Question:
    """A request to be planned, where, and whether its price on the other canvas is asked too.

    ``sizes`` are those to choose from where the GSD is left open, coarsest first.
    """

    client: AsyncClient
    inputs: GenerateInputs
    with_price: bool
    sizes: tuple[float, ...]


def takes(plan: Plan) -> float:
    """Return the seconds that a plan takes, a guess where the model's speed is not known."""
    if plan.seconds is not None:
        return plan.seconds
    return plan.windows * SECONDS or plan.evaluations * BY_EXAMPLE_SECONDS


class Planner(QObject):
    """Plans the latest request only.

    ``planned`` carries the Plan and the inputs that it is of, ``offered`` (size, Plan) of two finer and a
    coarser pixel size, ``priced`` the plans on the extent's own canvas and on the ground, ``unpriced`` the
    reason why there is no second plan, ``refused`` the refusal of the request, ``unreachable`` that no answer
    came, or none with these credentials (all three a PluginError).
    """

    planned = pyqtSignal(object, object)
    offered = pyqtSignal(object)
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

    def plan(
        self, client: AsyncClient, inputs: GenerateInputs, with_price: bool, sizes: Sequence[float] = ()
    ) -> None:
        """Plan these inputs a moment from now; ``with_price`` also on the other canvas.

        ``sizes`` are those that an open GSD may become; without, it is left to the backend.
        """
        self.stop()
        self._question = _Question(client, inputs, with_price, tuple(sorted(sizes, reverse=True)))
        self._pause.start()

    def stop(self) -> None:
        """Take back the question; no signal comes."""
        self._pause.stop()
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None

    def _ask(self) -> None:
        question = self._question
        if question is None:
            return
        if question.sizes:
            self._choose(question, question.sizes, [])
        else:
            self._run(question.client, question.inputs, lambda plan: self._answered(question, plan))

    def _run(
        self,
        client: AsyncClient,
        inputs: GenerateInputs,
        done: Callable[[Plan], None],
        failed: Optional[Callable[[PluginError], None]] = None,
    ) -> None:
        self._pending = client.run(calls.plan("generate", inputs), done, failed or self._failed)

    def _choose(
        self,
        question: _Question,
        sizes: tuple[float, ...],
        found: list[tuple[float, Plan]],
        refusal: Optional[PluginError] = None,
    ) -> None:
        """Plan the coarsest of the sizes that are left, until finer ones take too long; then decide."""
        worth = not found or takes(found[-1][1]) <= BUDGET * WORTH / 4  # the next takes four times as long
        if sizes and worth:
            size, rest = sizes[0], sizes[1:]

            def refused(error: PluginError) -> None:
                if _is_answer(error):
                    self._choose(question, () if found else rest, found, refusal or error)
                else:
                    self._failed(error)

            inputs = replace(question.inputs, gsd=size)
            self._run(
                question.client,
                inputs,
                lambda plan: self._choose(question, rest, [*found, (size, plan)], refusal),
                refused,
            )
        elif found:
            good = sum(takes(plan) <= BUDGET for _, plan in found)
            place = max(0, good - 1)
            size, plan = found[place]
            self.offered.emit([*found[place + 1 : place + 3][::-1], *found[max(0, place - 1) : place]])
            self._answered(replace(question, inputs=replace(question.inputs, gsd=size)), plan, question)
        elif refusal is not None:
            self._failed(refusal)

    def _answered(self, question: _Question, plan: Plan, asked: Optional[_Question] = None) -> None:
        self._pending = None
        self.planned.emit(plan, question.inputs)
        canvas = question.inputs.canvas
        latest = self._question is (asked or question)
        if not latest or not question.with_price or canvas not in OTHER_CANVAS:
            return  # or a slot of the signal asked for another plan
        self._run(
            question.client,
            replace(question.inputs, canvas=OTHER_CANVAS[canvas]),
            lambda found: self._compare(canvas, plan, found),
            self._without_price,
        )

    def _compare(self, canvas: object, plan: Plan, other: Plan) -> None:
        self._pending = None
        self.priced.emit(*((plan, other) if canvas == "extent" else (other, plan)))

    def _without_price(self, error: PluginError) -> None:
        self._pending = None
        self.unpriced.emit(error)

    def _failed(self, error: PluginError) -> None:
        self._pending = None
        (self.refused if _is_answer(error) else self.unreachable).emit(error)


def _is_answer(error: PluginError) -> bool:
    """Whether the backend answered the question, if only with a refusal."""
    return not isinstance(error, (Unreachable, Locked)) and getattr(error, "status", None) != 401
