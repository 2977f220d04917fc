"""Edits and extensions from file to file, as a worker makes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_backend.arrays import Float32Array
from model_backend.jobs.handlers import painting
from model_backend.models.loader import Model
from model_backend.processes import edit, extend
from model_backend.processes.painting import Prepared
from model_backend.raster.files.edit_writer import Patch, write_edit
from model_backend.raster.files.provenance import Provenance
from model_backend.raster.files.upload_check import rewrite
from model_backend.raster.georeference.grids import slices_in
from model_backend.schemas import Plan
from model_backend.settings import Settings
from tests.support.backend.planning import plan_context
from tests.support.backend.tiny_models import ProgressRecorder

MADE = Provenance("Tiny", "Apache-2.0", "", "profile", False, datetime(2026, 1, 1, tzinfo=UTC))


class SilentReporter:
    """A watch of a job that nobody looks at."""

    seconds = None

    def say(self, message: str) -> None:
        pass

    def step(self, done: int, total: int) -> None:
        pass

    def preview(self, rgb: NDArray[np.uint8]) -> None:
        pass

    def picture(self, rgb: NDArray[np.uint8]) -> None:
        pass

    def note(self, sentence: str) -> None:
        pass


Paint = Callable[[Prepared], Float32Array]


class FileEditor:
    """Edits files with one model."""

    def __init__(self, model: Model, folder: Path, work: Path) -> None:
        self._model, self._folder, self._work = model, folder, work
        self.limits = Settings(model=str(folder))
        self.prepared: Prepared

    def run(
        self, path: Path, mask: dict[str, Any], crs: str, paint: Paint | None = None, **inputs: Any
    ) -> Path:
        """Return the edited file; ``paint`` stands for the model."""
        stored, out = self._work / "stored.tif", self._work / "out.tif"
        rewrite(path, stored, 1 << 30)
        patch, plan = self.work(stored, mask, crs, paint, **inputs)
        write_edit(out, self.prepared.source, patch, plan, plan.recipe, MADE)
        return out

    def work(
        self, stored: Path, mask: dict[str, Any], crs: str, paint: Paint | None = None, **inputs: Any
    ) -> tuple[Patch, Plan]:
        """Return what an edit of one of our own files comes to, before it is written."""
        given = {"prompt": "a lake", "seed": 1, "steps": 1, "feather": 0, **inputs}
        wanted = edit.PROCESS.parse(
            {"source": {"upload": "0" * 32}, "mask": {"geojson": mask, "crs": crs}, **given}
        )
        context = plan_context(self.limits, rasters={"source": stored})
        plan = edit.PROCESS.plan(wanted, context)
        prepared = self.prepared = edit.PROCESS.prepare(wanted, self._model.card, context)
        if paint is not None:
            view = paint(prepared)
        else:
            watch = ProgressRecorder()
            view = painting.edit_of(self._model, plan.recipe, prepared).view(watch)
            assert watch.steps[-1] == (plan.evaluations, plan.evaluations)
        return painting.join(prepared, view, plan.recipe, SilentReporter()), plan

    def extend(
        self, path: Path, bbox: list[float], crs: str, paint: Paint | None = None, **inputs: Any
    ) -> Path:
        """Return a file that continues another over more land; ``paint`` stands for the model."""
        stored, out = self._work / "stored.tif", self._work / "out.tif"
        rewrite(path, stored, 1 << 30)
        given = {"prompt": "a lake", "seed": 1, "steps": 1, **inputs}
        extent = {"bbox": bbox, "crs": crs}
        wanted = extend.PROCESS.parse({"source": {"upload": "0" * 32}, "extent": extent, **given})
        context = plan_context(self.limits, rasters={"source": stored})
        plan = extend.PROCESS.plan(wanted, context)
        prepared = self.prepared = extend.PROCESS.prepare(wanted, self._model.card, context)
        view = (
            paint(prepared)
            if paint
            else painting.edit_of(self._model, plan.recipe, prepared).view(ProgressRecorder())
        )
        write_edit(
            out,
            prepared.source,
            painting.join(prepared, view, plan.recipe, SilentReporter()),
            plan,
            plan.recipe,
            MADE,
        )
        return out

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The mask of the last edit over the whole raster."""
        box = self.prepared.source.box
        out = np.zeros((box.height, box.width), np.bool_)
        out[slices_in(self.prepared.at, self.prepared.source.box)] = self.prepared.paint
        return out
