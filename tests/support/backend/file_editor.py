"""For tests of edits: rasters of many kinds, and the worker's own way from file to file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
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
FACTS = ("crs", "transform", "width", "height", "count", "dtypes", "nodatavals", "scales", "offsets", "units",
         "descriptions", "colorinterp")  # fmt: skip


GRIDS = {
    "utm": ("EPSG:32632", Affine(1, 0, 500000, 0, -1, 5200000)),
    "degrees": ("EPSG:4326", Affine(2e-5, 0, 8.0, 0, -2e-5, 60.0)),  # 1.1 m by 2.2 m
    "mercator": ("EPSG:3857", Affine(2, 0, 890555, 0, -2, 8399737)),  # 1 m on the ground at 60 N
    "feet": ("EPSG:2263", Affine(3, 0, 983000, 0, -3, 210000)),  # New York, US survey feet
    "rotated": ("EPSG:32632", Affine(1, 0, 500000, 0, -1, 5200000) @ Affine.rotation(30)),
}
NODATA = {"uint8": 0, "uint16": 65535, "int16": -32768, "float32": -9999.0}
PLACE = Affine(1, 0, 500000, 0, -1, 5200000)


def write(path: Path, pixels: NDArray[Any], **profile: Any) -> Path:
    """Write pixels, (bands, rows, columns), at 1 m in UTM unless ``profile`` says otherwise."""
    count, height, width = pixels.shape
    size = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": pixels.dtype}
    with rasterio.open(path, "w", **{**size, "crs": "EPSG:32632", "transform": PLACE, **profile}) as file:
        file.write(pixels)
    return path


def rich_scene(path: Path, dtype: str, bands: int, grid: str, nodata: float | None) -> Path:
    """A scene with structure, holes of nodata, and everything that a header can say."""
    crs, transform = GRIDS[grid]
    height, width = 72, 90
    row, col = np.mgrid[:height, :width]
    chance = np.random.default_rng(bands)
    wave = (
        0.5 + 0.3 * np.sin(row / 9) * np.cos(col / 7) + 0.05 * chance.standard_normal((bands, height, width))
    )
    top = {"uint8": 250, "uint16": 12000, "int16": 9000, "float32": 0.4}[dtype]
    pixels = (wave.clip(0.02, 1) * top).astype(dtype)
    if nodata is not None:
        pixels[:, 20:40, 45:72] = nodata
    write(path, pixels, crs=crs, transform=transform, nodata=nodata)
    with rasterio.open(path, "r+") as file:
        file.scales = [0.5 + band for band in range(bands)]
        file.offsets = [float(band) for band in range(bands)]
        file.descriptions = [f"band of {band}" for band in range(bands)]
        file.update_tags(SENSOR="a camera", TIFFTAG_IMAGEDESCRIPTION="the field behind the house")
        file.update_tags(1, WAVELENGTH="red", STATISTICS_MEAN="5")
    return path


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


def polygon(path: Path, corners: list[tuple[float, float]]) -> tuple[dict[str, Any], str]:
    """Corners in pixels as GeoJSON in the raster's CRS."""
    with rasterio.open(path) as file:
        ring = [list(file.transform @ corner) for corner in [*corners, corners[0]]]
        return {"type": "Polygon", "coordinates": [ring]}, file.crs.to_string()


def differences(before: Path, after: Path) -> NDArray[np.bool_]:
    """Which values differ in any bit, (bands, rows, columns)."""
    with rasterio.open(before) as one, rasterio.open(after) as two:
        old, new = one.read(), two.read()
    assert old.dtype == new.dtype
    size = old.dtype.itemsize
    bits = [np.ascontiguousarray(item).view(np.uint8).reshape(*item.shape, size) for item in (old, new)]
    return (bits[0] != bits[1]).any(-1)


def facts(path: Path) -> dict[str, Any]:
    with rasterio.open(path) as file:
        return {name: getattr(file, name) for name in FACTS}


def rings(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The pixels just inside and just outside a mask."""

    def wider(part: NDArray[np.bool_]) -> NDArray[np.bool_]:
        out = part.copy()
        out[1:] |= part[:-1]
        out[:-1] |= part[1:]
        out[:, 1:] |= part[:, :-1]
        out[:, :-1] |= part[:, 1:]
        return out

    return mask & wider(~mask), ~mask & wider(mask)
