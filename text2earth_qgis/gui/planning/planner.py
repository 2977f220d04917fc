"""Asks the backend for its plan of a request while the user edits it.

One question at a time: an edit takes back the question before, and waits a moment for the next edit. It also
plans the model's pixel sizes one after the other, coarse ones first, to offer some with their times; where
the GSD is left open, the finest that does not take long is taken. What sizes take is remembered by extent, so
that a prompt is typed without asking for it again. Knows the process ``plan`` and no widget.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Callable, Optional, Sequence

from qgis.PyQt.QtCore import QObject, pyqtSignal

from text2earth_qgis.core.errors import Locked, PluginError, Unreachable
from text2earth_qgis.core.timers import single_shot
from text2earth_qgis.core.wire import calls
from text2earth_qgis.core.wire.async_client import AsyncClient
from text2earth_qgis.core.wire.quiet_network import Pending
from text2earth_qgis.core.wire.schemas import Extent, GenerateInputs, Plan
from text2earth_qgis.gui.planning import choices
from text2earth_qgis.gui.planning.choices import Choice, Pace

PAUSE_MS = 350
MOST = 32  # extents of which it is remembered what sizes take
CHANGED = 0.2  # share by which a time may differ from the remembered one
GAUGED = (512, 2048)  # pixels of a side of scenes that are planned to know a model's pace
SOMEWHERE, SOMEWHERE_CRS = (500_000.0, 5_000_000.0), "EPSG:32631"  # where a metre is a metre
OTHER_CANVAS: dict[object, str] = {"extent": "ground", "ground": "extent"}


@dataclass(frozen=True)
class _Question:
    """A request to be planned, where, and whether its price on the other canvas is asked too.

    ``sizes`` are those to choose from, coarsest first.
    """

    client: AsyncClient
    inputs: GenerateInputs
    with_price: bool
    sizes: tuple[float, ...]

    @property
    def is_open(self) -> bool:
        """Whether the pixel size is to be chosen."""
        return self.inputs.gsd is None and bool(self.sizes)

    @property
    def place(self) -> str:
        """What the times of sizes depend on."""
        bare = replace(self.inputs, prompt="", negative_prompt="", seed=None, gsd=None)
        return self.client.access.url + json.dumps(bare.to_json(), sort_keys=True)


class Planner(QObject):
    """Plans the latest request only.

    ``offered`` carries up to three (size, Plan) to choose from, coarsest first, ``planned`` the Plan and the
    inputs that it is of, ``priced`` the plans on the extent's own canvas and on the ground, ``unpriced`` the
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
        self._found: dict[str, list[Choice]] = {}  # by place
        self._paces: dict[str, Pace] = {}  # by what the pace depends on
        self._pause = single_shot(self, self._ask, PAUSE_MS)

    def plan(
        self, client: AsyncClient, inputs: GenerateInputs, with_price: bool, sizes: Sequence[float] = ()
    ) -> None:
        """Plan these inputs a moment from now; ``with_price`` also on the other canvas.

        ``sizes`` are those that may be chosen; without, an open GSD is left to the backend.
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

    def knows(self, client: AsyncClient, inputs: GenerateInputs) -> bool:
        """Say whether it is remembered what sizes take for these inputs."""
        return _Question(client, inputs, False, ()).place in self._found

    def pace(self, inputs: GenerateInputs) -> Pace:
        """Return how long scenes with such settings take, by the plans until now."""
        return self._paces.get(_settings(inputs), Pace())

    def gauge(self, client: AsyncClient, inputs: GenerateInputs, sizes: Sequence[float]) -> None:
        """Ask how long scenes with such settings take, unless it is known or something is asked for."""
        if self._pending is None and not self._pause.isActive() and not self.pace(inputs).points and sizes:
            self._gauge(client, inputs, min(sizes), GAUGED)

    def _gauge(self, client: AsyncClient, inputs: GenerateInputs, size: float, sides: Sequence[int]) -> None:
        (x, y), side = SOMEWHERE, sides[0] * size
        somewhere = Extent([x, y, x + side, y + side], SOMEWHERE_CRS)

        def gauged(_plan: Plan) -> None:
            self._pending = None
            if sides[1:]:
                self._gauge(client, inputs, size, sides[1:])

        def failed(_error: PluginError) -> None:
            self._pending = None  # no time is shown; what is wrong is said with the plan

        self._run(client, replace(inputs, extent=somewhere, gsd=size), gauged, failed)

    def _ask(self) -> None:
        question = self._question
        if question is None:
            return
        found = self._found.get(question.place)
        if not question.is_open:
            self._plan(question, question.inputs)
        elif found:
            self._plan(question, replace(question.inputs, gsd=found[choices.best(found)][0]))
        else:
            self._walk(question, question.sizes, [])

    def _run(
        self,
        client: AsyncClient,
        inputs: GenerateInputs,
        done: Callable[[Plan], None],
        failed: Optional[Callable[[PluginError], None]] = None,
    ) -> None:
        def answered(plan: Plan) -> None:
            self._paces[_settings(inputs)] = self.pace(inputs).with_plan(plan)
            done(plan)

        self._pending = client.run(calls.plan("generate", inputs), answered, failed or self._failed)

    def _plan(self, question: _Question, inputs: GenerateInputs) -> None:
        self._run(question.client, inputs, lambda plan: self._answered(question, inputs, plan))

    def _walk(
        self,
        question: _Question,
        sizes: tuple[float, ...],
        found: list[Choice],
        refusal: Optional[PluginError] = None,
        planned: bool = False,
    ) -> None:
        """Plan the coarsest of the sizes that are left, until finer ones take too long; then decide.

        What was ``planned`` already is only offered.
        """
        worth = not found or choices.takes(found[-1][1]) <= choices.BUDGET * choices.WORTH / 4
        if sizes and worth:  # the next takes four times as long
            size, rest = sizes[0], sizes[1:]

            def refused(error: PluginError) -> None:
                if _is_answer(error):
                    self._walk(question, () if found else rest, found, refusal or error, planned)
                else:
                    self._failed(error)

            self._run(
                question.client,
                replace(question.inputs, gsd=size),
                lambda plan: self._walk(question, rest, [*found, (size, plan)], refusal, planned),
                refused,
            )
        elif found:
            self._pending = None
            self._remember(question, found)
            self.offered.emit(choices.three(found))
            if not planned:
                size, plan = found[choices.best(found)]
                self._answered(question, replace(question.inputs, gsd=size), plan)
        elif refusal is not None and not planned:
            self._failed(refusal)
        else:
            self._pending = None

    def _remember(self, question: _Question, found: list[Choice]) -> None:
        self._found.pop(question.place, None)
        self._found[question.place] = found
        while len(self._found) > MOST:
            del self._found[next(iter(self._found))]

    def _answered(self, question: _Question, inputs: GenerateInputs, plan: Plan) -> None:
        self._pending = None
        known = self._known(question, inputs, plan)
        if known:
            self.offered.emit(choices.three(known))
        self.planned.emit(plan, inputs)
        if self._question is not question or self._pause.isActive():
            return  # a slot of the signal asked for another plan
        canvas = inputs.canvas
        if question.with_price and canvas in OTHER_CANVAS:
            self._run(
                question.client,
                replace(inputs, canvas=OTHER_CANVAS[canvas]),
                lambda other: self._compare(question, canvas, plan, other),
                lambda error: self._without_price(question, error),
            )
        else:
            self._offer(question)

    def _known(self, question: _Question, inputs: GenerateInputs, plan: Plan) -> list[Choice]:
        """Return what sizes take, as far as it is remembered and still holds."""
        found = self._found.get(question.place, [])
        for size, before in found:
            if size == inputs.gsd and _differ(before.seconds, plan.seconds):
                del self._found[question.place]
                return []
        return found

    def _offer(self, question: _Question) -> None:
        """Find out what sizes take, if that is not known, or no longer."""
        if question.sizes and question.place not in self._found:
            self._walk(question, question.sizes, [], planned=True)

    def _compare(self, question: _Question, canvas: object, plan: Plan, other: Plan) -> None:
        self._pending = None
        self.priced.emit(*((plan, other) if canvas == "extent" else (other, plan)))
        self._offer(question)

    def _without_price(self, question: _Question, error: PluginError) -> None:
        self._pending = None
        self.unpriced.emit(error)
        self._offer(question)

    def _failed(self, error: PluginError) -> None:
        self._pending = None
        (self.refused if _is_answer(error) else self.unreachable).emit(error)


def _settings(inputs: GenerateInputs) -> str:
    """Return what of a request decides how long a pixel takes."""
    canvas = inputs.canvas if inputs.canvas == "ground" else "extent"
    how = (inputs.model, inputs.sampler, inputs.steps, inputs.guidance, inputs.variants, inputs.start, canvas)
    return json.dumps(how)


def _differ(before: Optional[float], now: Optional[float]) -> bool:
    """Say whether a time is another one than was remembered."""
    if before is None or now is None:
        return before is not now
    return abs(now - before) > CHANGED * max(now, before, 1.0)


def _is_answer(error: PluginError) -> bool:
    """Whether the backend answered the question, if only with a refusal."""
    return not isinstance(error, (Unreachable, Locked)) and getattr(error, "status", None) != 401
