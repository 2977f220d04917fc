"""The process ``plan``: returns the plan that another process makes of inputs (grid, cost, warnings)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from model_backend.errors import InvalidInput
from model_backend.processes.base import PlanContext, StoredRaster
from model_backend.processes.describe import model_schema
from model_backend.processes.imagery import ImageryProcess
from model_backend.processes.values import ValueProcess
from model_backend.raster.files.unsent import write_unsent
from model_backend.schemas import Plan, PlanInputs, UnsentRaster, Upload

_NOTHING = "0" * 64  # as the SHA-256 of a raster that is not here


class PlanProcess(ValueProcess[PlanInputs]):
    """Answers the plan of one of the processes ``planned``; fields that are wrong lie in ``inputs``."""

    id = "plan"
    title = "Plan"
    text = "Says what a request would give and cost: grid, GSD, windows, time, disk, warnings."
    keywords = ("cost", "grid")
    inputs = PlanInputs
    outputs = {"plan": {"title": "Plan", "schema": model_schema(Plan)}}

    def __init__(self, planned: Iterable[ImageryProcess[Any]]) -> None:
        self._planned = {process.id: process for process in planned}

    def with_uploads(
        self, inputs: Mapping[str, Any], upload: Callable[[str, object], object]
    ) -> dict[str, Any]:
        """Do so for the inputs of the other process."""
        process, given = self._planned.get(str(inputs.get("process"))), inputs.get("inputs")
        if process is None or not isinstance(given, dict):  # refused when they are parsed
            return dict(inputs)
        try:
            return {**inputs, "inputs": process.with_uploads(given, upload)}
        except InvalidInput as error:
            raise error.within("inputs") from None

    def answer(self, inputs: PlanInputs, context: PlanContext) -> dict[str, Any]:
        """Return the output ``plan``, a Plan as JSON; raises what the other process's own ``plan`` raises."""
        process = self._planned[inputs.process]
        wanted = frozenset(inputs.outputs or ())
        if strange := sorted(wanted - {*process.outputs}):
            names = ", ".join(process.outputs)
            raise InvalidInput(
                "outputs", f"There is no output {strange[0][:100]!r}.", value=strange[0], allowed=names
            )
        context = replace(context, outputs=wanted)
        if inputs.raster is None:
            plan = _plan(process, inputs.inputs, context)
        else:
            plan = _plan_unsent(process, inputs.inputs, inputs.raster, context)
        return {"plan": plan.model_dump(mode="json")}


def _plan(process: ImageryProcess[Any], inputs: Mapping[str, Any], context: PlanContext) -> Plan:
    try:
        return process.plan(process.parse(inputs), context)
    except InvalidInput as error:
        raise error.within("inputs") from None


def _plan_unsent(
    process: ImageryProcess[Any], inputs: Mapping[str, Any], raster: UnsentRaster, context: PlanContext
) -> Plan:
    """Plan an edit or extension of a raster of which only the grid is known."""
    if "source" not in process.rasters or "source" in inputs:
        detail = "`raster` stands for the `source` of an edit or extension. Leave one of the two out."
        raise InvalidInput("raster", detail, allowed="a process with a `source`, and none in `inputs`")
    with TemporaryDirectory(prefix="text2earth-") as folder:
        path = Path(folder, "unsent.tif")
        write_unsent(raster, path, context.limits)

        def stored(name: str, upload: Upload) -> StoredRaster:
            return StoredRaster(path, _NOTHING) if name == "source" else context.raster(name, upload)

        given = {**inputs, "source": {"upload": _NOTHING[:32]}}
        return _plan(process, given, replace(context, raster=stored))
