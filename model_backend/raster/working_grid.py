"""The grid on which the model works when a raster is edited, and resampling to it and back.

Where the raster's own pixels are square on the ground (within 5 %) and of a size the model knows, that is the
raster's own grid, rotated or not: nothing is resampled. Elsewhere (degrees, stretched pixels, too fine or too
coarse ones) it is a metric frame, and what the model made is warped back once; pixels outside the mask
never make that journey. Boxes are (col, row, width, height) in pixels; views are (3, rows, columns), 0
black to 1 white. Knows no model beyond its card's range.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, hypot

import numpy as np
import pyproj
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject

from model_backend.arrays import BoolArray, Float32Array, Float64Array
from model_backend.errors import InvalidInput
from model_backend.models.card import ModelCard
from model_backend.raster.files.source import Source, read, read_known
from model_backend.raster.georeference import geodesy
from model_backend.raster.georeference.crs import crs_text
from model_backend.raster.georeference.grids import decimal, expand, overlap, significant, slices_in, strips
from model_backend.raster.georeference.levels import fits, level_of, nearest, rule
from model_backend.raster.stretch import Stretch
from model_backend.schemas import Box, Frame, GroundSampleDistance

_EVEN = 1.05  # ratio of the longest to the shortest ground direction of a pixel that counts as square
_FARTHEST = 6.0  # times finer or coarser than the model's pixels: 10 cm imagery and 0.5 m are 5
_STRIP = 1 << 20  # pixels that are read at a time


@dataclass(frozen=True)
class WorkingGrid:
    """A grid to work on: endless pixels of ``crs`` laid by ``transform``; ``own``: it is the raster's."""

    source: Source
    own: bool
    crs: pyproj.CRS
    transform: Affine
    gsd: GroundSampleDistance  # of the raster's own pixels, along columns and rows
    level: int | None
    ratio: float  # pixels of the raster per pixel of this grid, along a side
    warnings: tuple[str, ...]

    @property
    def frame(self) -> Frame:
        """The grid as recipes name it; of a rotated one, pixel sizes are along its own axes."""
        t = self.transform
        sizes = [decimal(hypot(t.a, t.d), 15), decimal(hypot(t.b, t.e), 15)]
        return Frame(crs=crs_text(self.crs), pixel_size=sizes, anchor=[t.c, t.f])

    def box(self, box: Box) -> Box:
        """Return the pixels of this grid around a box of the raster's."""
        return box if self.own else _mapped(box, self.source.ground[1], self.transform, self._forth())

    def source_box(self, canvas: Box) -> Box | None:
        """Return the box of the raster under a box of this grid, None if it lies beside it."""
        if self.own:
            return overlap(canvas, self.source.box)
        there = self.transform, self.source.ground[1]
        return overlap(expand(_mapped(canvas, *there, self._back()), 2), self.source.box)

    def read_view(self, canvas: Box, stretch: Stretch) -> tuple[Float32Array, BoolArray]:
        """Read a box of this grid as the model sees it, and where it is known; the rest is made up."""
        box = self.source_box(canvas)
        if box is None:
            grey = np.full((3, canvas.height, canvas.width), 0.5, np.float32)
            return grey, np.zeros(grey.shape[1:], np.bool_)
        view = np.empty((3, box.height, box.width), np.float32)
        known = np.empty((box.height, box.width), np.bool_)
        for part in strips(box, _STRIP):
            here = slices_in(part, box)
            there = known[here] = read_known(self.source, part)
            shown = stretch.view(np.where(there, read(self.source, part, self.source.roles.visible), 0))
            view[:, *here] = np.clip(np.where(there, shown, 0.5), 0, 1)
        return _padded(view, known, box, canvas) if self.own else self._warped(view, known, box, canvas)

    def mask_on(self, mask: BoolArray, at: Box, canvas: Box) -> BoolArray:
        """Return a mask of the raster's pixels at ``at`` as pixels of ``canvas``, those that it touches."""
        if self.own:
            out = np.zeros((canvas.height, canvas.width), np.bool_)
            both = overlap(at, canvas)
            if both is not None:
                out[slices_in(both, canvas)] = mask[slices_in(both, at)]
            return out
        method = Resampling.max if self.ratio > 1 else Resampling.bilinear
        share = np.zeros((canvas.height, canvas.width), np.float32)
        self._reproject(mask.astype(np.float32), share, at, canvas, method)
        out = share > 1e-3
        if not out.any():  # a mask smaller than a pixel of this grid
            whole = overlap(self.box(at), canvas)
            assert whole is not None
            out[slices_in(whole, canvas)] = True
        return out

    def onto_source(self, view: Float32Array, canvas: Box, to: Box) -> Float32Array:
        """Resample a view of ``canvas`` onto a box of the raster's pixels, (3, rows, columns)."""
        if self.own:
            rows, cols = slices_in(to, canvas)
            return view[:, rows, cols]
        out = np.zeros((3, to.height, to.width), np.float32)
        reproject(
            view,
            out,
            src_transform=_at(self.transform, canvas),
            src_crs=_rasterio(self.crs),
            dst_transform=_at(self.source.ground[1], to),
            dst_crs=_rasterio(self.source.ground[0]),
            resampling=Resampling.cubic if self.ratio > 0.7 else Resampling.average,
        )
        return out

    def _warped(
        self, view: Float32Array, known: BoolArray, box: Box, canvas: Box
    ) -> tuple[Float32Array, BoolArray]:
        method = Resampling.average if self.ratio > 1.5 else Resampling.bilinear
        out = np.full((3, canvas.height, canvas.width), 0.5, np.float32)
        self._reproject(view, out, box, canvas, method)
        share = np.zeros((canvas.height, canvas.width), np.float32)
        self._reproject(known.astype(np.float32), share, box, canvas, method)
        return np.clip(out, 0, 1), share > 0.999

    def _reproject(
        self, values: Float32Array, out: Float32Array, at: Box, canvas: Box, method: Resampling
    ) -> None:
        reproject(
            values,
            out,
            src_transform=_at(self.source.ground[1], at),
            src_crs=_rasterio(self.source.ground[0]),
            dst_transform=_at(self.transform, canvas),
            dst_crs=_rasterio(self.crs),
            resampling=method,
            init_dest_nodata=False,
        )

    def _forth(self) -> pyproj.Transformer:
        return geodesy.transformer(self.source.ground[0], self.crs)

    def _back(self) -> pyproj.Transformer:
        return geodesy.transformer(self.crs, self.source.ground[0])


def working_grid_for(source: Source, around: Box, card: ModelCard) -> WorkingGrid:
    """Return the grid for an edit whose mask lies in ``around`` (pixels of the raster).

    Raises InvalidInput for ``source`` where the raster's CRS has no scale, or pixels far from what the model
    makes.
    """
    middle = around.col + around.width / 2, around.row + around.height / 2
    try:
        crs, transform = source.ground
        lon, lat = geodesy.wgs84(crs, *(transform @ middle))
        metric = geodesy.metric_crs(lon, lat, crs)
        steps = _ground_steps(source, metric, middle)
    except geodesy.NotDefined as error:
        detail = f"The mask cannot be measured in {source.crs.name}: {error}."
        raise InvalidInput("source", detail) from None
    most, least = (float(size) for size in np.linalg.svd(steps, compute_uv=False))
    own_gsd = (most * least) ** 0.5
    gsd = GroundSampleDistance(x=float(hypot(*steps[:, 0])), y=float(hypot(*steps[:, 1])))
    level, used = level_of(own_gsd, card), nearest(own_gsd, card)
    if card.by_example and not fits(own_gsd, card):
        allowed = rule(card)
        detail = f"The raster's pixels are {own_gsd:.4g} m on the ground; {card.title} has {allowed}."
        detail += " Without a prompt, land of any pixel size is filled from its surroundings."
        raise InvalidInput("source", detail, value=own_gsd, allowed=allowed)
    if card.copies or (most <= _EVEN * least and fits(own_gsd, card)):
        return WorkingGrid(source, True, source.crs, source.transform, gsd, level, 1.0, ())
    ratio = used / own_gsd
    if max(ratio, 1 / ratio) > _FARTHEST:
        allowed = f"{rule(card)}; an edit bridges a factor of {_FARTHEST:g}"
        detail = f"The raster's pixels are {own_gsd:.4g} m on the ground; {card.title} makes {allowed}."
        raise InvalidInput("source", f"{detail} Resample the raster first.", value=own_gsd, allowed=allowed)
    size = float(significant(used, 6))
    transform = Affine(size, 0, 0, 0, -size, 0)
    warnings = [f"Painted in {metric.name} with pixels of {used:.4g} m, then resampled into the raster's."]
    if used > own_gsd:
        known = f"The raster's pixels are {own_gsd:.4g} m on the ground; {card.title} makes {rule(card)}"
        warnings.append(f"{known}, so the painted part will look softer.")
    return WorkingGrid(source, False, metric, transform, gsd, level, ratio, tuple(warnings))


def _ground_steps(source: Source, metric: pyproj.CRS, middle: tuple[float, float]) -> Float64Array:
    """Return ground metres (x, y) of one column (first column of the matrix) and one row (second)."""
    col, row = middle
    cols = np.array([col - 0.5, col + 0.5, col, col])
    rows = np.array([row, row, row - 0.5, row + 0.5])
    crs, transform = source.ground
    x, y = geodesy.transformer(crs, metric).transform(*(transform @ (cols, rows)))
    steps = np.array([[x[1] - x[0], x[3] - x[2]], [y[1] - y[0], y[3] - y[2]]])
    if not np.isfinite(steps).all() or abs(np.linalg.det(steps)) < 1e-12:
        raise geodesy.NotDefined("the CRS has no scale there")
    return steps


def _padded(view: Float32Array, known: BoolArray, box: Box, canvas: Box) -> tuple[Float32Array, BoolArray]:
    """Return a part of the raster grown to the canvas: mirrored at the raster's edges, and unknown there."""
    rows, cols = slices_in(box, canvas)
    pads = (rows.start, canvas.height - rows.stop), (cols.start, canvas.width - cols.stop)
    if not any(map(any, pads)):
        return view, known
    return np.pad(view, ((0, 0), *pads), mode="symmetric"), np.pad(known, pads)


def _mapped(box: Box, own: Affine, other: Affine, transformer: pyproj.Transformer) -> Box:
    """Return the pixels of another grid around a box; the outline is followed, since edges bend."""
    x, y = geodesy.outline((box.col, box.row, box.col + box.width, box.row + box.height), 41)
    cols, rows = ~other @ transformer.transform(*(own @ (x, y)))
    if not (np.isfinite(cols).all() and np.isfinite(rows).all()):
        raise InvalidInput("mask", "The mask reaches to where the raster's CRS is not defined.")
    left, top = floor(cols.min()), floor(rows.min())
    return Box(col=left, row=top, width=ceil(cols.max()) - left, height=ceil(rows.max()) - top)


def _at(transform: Affine, box: Box) -> Affine:
    return transform @ Affine.translation(box.col, box.row)


def _rasterio(crs: pyproj.CRS) -> CRS:
    return CRS.from_wkt(crs.to_wkt())
