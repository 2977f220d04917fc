"""A process that is not ours: it cuts a raster's bytes into files, a block each, without a model or a plan.

``python -m tests.support.backend.toy_process serve ...`` is a backend that offers it too.
"""

from __future__ import annotations

import sys
from typing import Annotated

from pydantic import Field

from model_backend import processes
from model_backend.__main__ import main
from model_backend.jobs.context import JobContext, file_result
from model_backend.jobs.store.rows import Claim, Result
from model_backend.processes.base import PlanContext, Process, Workload
from model_backend.schemas import Upload, Value


class SplitInputs(Value):
    """Inputs of the process ``split``."""

    raster: Upload
    parts: Annotated[int, Field(ge=1, le=9)] = 2


class Split(Process[SplitInputs]):
    """Cuts a raster's bytes into files."""

    id = "split"
    title = "Split"
    text = "Cuts a raster's bytes into files."
    inputs = SplitInputs
    outputs = {f"part_{number}": {"title": "Part", "schema": {"type": "string"}} for number in range(9)}
    handler = "tests.support.backend.toy_process:run"

    def workload(self, inputs: SplitInputs, context: PlanContext) -> Workload:
        context.raster("raster", inputs.raster)
        return Workload((1,) * inputs.parts)


PROCESS = Split()


def run(process: Split, claim: Claim, context: JobContext) -> list[Result]:
    """Write a part."""
    assert claim.part is not None
    inputs = process.parse(claim.inputs)
    content = context.plan_context(claim).raster("raster", inputs.raster).path.read_bytes()
    path = context.folder / "part.bin"
    path.write_bytes(content[claim.part :: inputs.parts])
    return [file_result(f"part_{claim.part}", "Part", "application/octet-stream", path)]


if __name__ == "__main__":
    processes.register("tests.support.backend.toy_process")
    sys.exit(main())
