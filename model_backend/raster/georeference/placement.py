"""Placing a request: from extent, ground sample distance and CRS to a frame, its pixels and the file's grid.

The story of a request's georeference; ``place`` is the only door. A file's transform comes from the snapped
extent alone, never from the level; the level comes from the ground sample distance, never from the CRS.

- A CRS that is even (its pixels are square on the ground within 5 %) is its own frame. If it is also true to
  scale within 1 %, pixels are ``gsd`` long in its units, whatever the place, so that requests share frames.
- EPSG:3857 takes the pixels of the zoom level nearest on the ground, on the tiles' own grid.
- Every other CRS is served through a metric frame (UTM, UPS) on its datum, resampled once.

Knows CRSs, extents and pixels; knows no model beyond its levels and range, and allocates nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import log2, sqrt

import pyproj

from model_backend.errors import InvalidInput
from model_backend.models.card import ModelCard
from model_backend.raster.georeference import geodesy
from model_backend.raster.georeference.crs import (
    crs_text,
    parse_any,
    parse_crs,
    storable,
    unusable,
)
from model_backend.raster.georeference.extent import Area, area_of, defined
from model_backend.raster.georeference.grids import (
    Affine6,
    Bounds,
    PixelGrid,
    common_anchor,
    decimal,
    expand,
    significant,
)
from model_backend.raster.georeference.levels import checked, fits, level_of, nearest, rule
from model_backend.schemas import Align, Box, Frame, GenerateInputs, GroundSampleDistance, OutputGrid

_TRUE = 0.01  # scale error of a CRS that counts as true
_EVEN = 1.05  # ratio of the longest to the shortest ground direction of a pixel that counts as square
_STRETCHED = 20  # EPSG:3857 at 87 degrees; beyond, a CRS is out of its place
_FARTHEST = 1e12  # units; beyond, an anchor has no digits left for pixels
_MARGIN = 4  # pixels around what a resampled file needs: cubic reads 2
_TILE_ORIGIN = 20037508.342789244  # EPSG:3857, half of the equator (OGC 17-083r4, WebMercatorQuad)
_ZOOMS = range(25)


@dataclass(frozen=True)
class Placement:
    """A request's place: the pixels to generate (frame, grid, level) and the grid of the file."""

    frame: Frame
    grid: Box
    level: int | None
    crs: str
    crs_name: str
    width: int
    height: int
    transform: Affine6
    bbox: Bounds
    gsd: GroundSampleDistance
    output: OutputGrid | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _AskedPixels:
    """The pixel size that a request asks for: ground metres, or another raster's grid."""

    gsd: float
    grid: PixelGrid | None
    card: ModelCard


@dataclass(frozen=True)
class _Pixels:
    """A grid chosen for a CRS; ``warnings`` say what a user would not expect."""

    grid: PixelGrid
    warnings: tuple[str, ...] = ()


def place(inputs: GenerateInputs, card: ModelCard) -> Placement:
    """Return the place of a request; raises InvalidInput that names the field and what is allowed."""
    area = area_of(inputs.extent)
    target, field, warnings = _target(inputs, area)
    if not storable(crs_text(target)):
        detail = f"A GeoTIFF cannot hold the CRS {target.name}."
        raise InvalidInput(
            field, detail, value=crs_text(target)[:200], allowed="a CRS that a GeoTIFF can hold"
        )
    bounds = _projected(area, target, field)
    centre = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    asked = _asked_pixels(inputs, card, target, centre)
    scale = _scale(target, centre, asked.grid, field)
    if target.is_projected and asked.grid is None:
        _check_stretch(target, scale.mean, field)
    if target.is_projected and scale.most <= _EVEN * scale.least:
        pixels = _direct(target, scale, asked)
        return _placement(target, pixels, bounds, card, warnings)
    if inputs.joins is not None:
        detail = (
            "The pixels of the scene to continue are not square on the ground here. Start another scene, "
            "without `joins`."
        )
        raise InvalidInput(
            "extent.bbox", detail, value=inputs.extent.bbox, allowed="an extent near the scene"
        )
    return _resampled(target, bounds, area, asked, card, warnings)


def _target(inputs: GenerateInputs, area: Area) -> tuple[pyproj.CRS, str, tuple[str, ...]]:
    """Return the CRS of the file, the field it comes from, and what to say about it."""
    asked = parse_crs(inputs.crs, "crs") if inputs.crs is not None else None
    if inputs.align is not None and inputs.joins is not None:
        detail = "A scene that continues another one has its pixels: leave `align` out."
        raise InvalidInput("align", detail, allowed="nothing beside `joins`")
    for field, grid in (
        ("align", inputs.align),
        ("joins.frame", inputs.joins.frame if inputs.joins else None),
    ):
        if grid is None:
            continue
        aligned = parse_crs(grid.crs, f"{field}.crs")
        if asked is not None and not asked.equals(aligned, ignore_axis_order=True):
            detail = f"`crs` and `{field}.crs` differ; a raster on the pixels of another has its CRS."
            raise InvalidInput("crs", detail, value=crs_text(asked)[:200], allowed=crs_text(aligned)[:200])
        return aligned, f"{field}.crs", ()
    if asked is not None:
        return asked, "crs", ()
    project = parse_any(inputs.project_crs, "project_crs").crs if inputs.project_crs is not None else None
    if project is not None and _is_metric_here(project, area):
        return project, "project_crs", ()
    chosen = geodesy.metric_crs(area.lon, area.lat)
    if project is None:
        return chosen, "extent.bbox", ()
    detail = f"{project.name} is not metric and true to scale here: the file is in {chosen.name}."
    return chosen, "extent.bbox", (detail,)


def _is_metric_here(crs: pyproj.CRS, area: Area) -> bool:
    """Say whether ``crs`` is projected, in metres, and true within 1 % in every direction here."""
    if unusable(crs) or not crs.is_projected or _unit(crs) != 1:
        return False
    try:
        minx, miny, maxx, maxy = geodesy.project(area.bounds, area.crs, crs)
        scale = geodesy.scale_at(crs, (minx + maxx) / 2, (miny + maxy) / 2, (100.0, 100.0))
    except geodesy.NotDefined:
        return False
    return scale.least >= (1 - _TRUE) * 100 and scale.most <= (1 + _TRUE) * 100


def _unit(crs: pyproj.CRS) -> float:
    """Return the metres (projected) or radians (geographic) of one unit of ``crs``."""
    return float(crs.axis_info[0].unit_conversion_factor)


def _projected(area: Area, target: pyproj.CRS, field: str) -> Bounds:
    """Return the extent's bounds in ``target``; refuses what is not one piece there."""
    bounds = defined(lambda: geodesy.project(area.bounds, area.crs, target), field, list(area.bounds), target)
    defined(lambda: geodesy.check_domain(bounds, target), field, list(area.bounds), target)
    return bounds


def _scale(crs: pyproj.CRS, centre: tuple[float, float], grid: PixelGrid | None, field: str) -> geodesy.Scale:
    """Return ground metres per pixel of ``grid``, or per unit of ``crs``, at a place."""
    if grid is not None:
        return _pixel_scale(crs, centre, grid, field)
    step = 100.0 / _unit(crs) if crs.is_projected else 1e-5 / _unit(crs)
    scale = defined(lambda: geodesy.scale_at(crs, *centre, (step, step)), field, list(centre), crs)
    return geodesy.Scale(scale.x / step, scale.y / step, scale.most / step, scale.least / step)


def _pixel_scale(crs: pyproj.CRS, centre: tuple[float, float], grid: PixelGrid, field: str) -> geodesy.Scale:
    """Return ground metres per pixel of ``grid`` at a place."""
    width, height = (float(size) for size in grid.sizes)
    return defined(lambda: geodesy.scale_at(crs, *centre, (width, height)), field, list(centre), crs)


def _check_stretch(crs: pyproj.CRS, metres: float, field: str) -> None:
    """Refuse a projected CRS so far from where it is meant for that its pixels would be absurd."""
    stretch = max(_unit(crs) / metres, metres / _unit(crs))
    if stretch > _STRETCHED:
        rule = f"a CRS meant for this place (at most {_STRETCHED} times off)"
        detail = f"{crs.name} is {stretch:,.0f} times off scale at this place."
        raise InvalidInput(field, detail, value=crs_text(crs)[:200], allowed=rule)


def _asked_pixels(
    inputs: GenerateInputs, card: ModelCard, target: pyproj.CRS, centre: tuple[float, float]
) -> _AskedPixels:
    """Return the pixels asked for, refused if they are out of the model's range."""
    shared = inputs.align or (inputs.joins.frame if inputs.joins else None)
    if shared is None:
        default = nearest(2.0 ** (17 - max(card.levels)) if card.levels else 1.0, card)
        gsd = default if inputs.gsd is None else inputs.gsd
        return _AskedPixels(checked(gsd, card, "gsd"), None, card)
    field = "align" if inputs.align else "joins.frame"
    grid = _shared(shared, field)
    scale = _pixel_scale(target, centre, grid, f"{field}.pixel_size")
    if inputs.gsd is not None and abs(inputs.gsd / scale.mean - 1) > _TRUE:
        rule = f"nothing, or the {scale.mean:.4g} m of the raster whose pixels are shared"
        raise InvalidInput("gsd", f"`gsd` must be {rule}.", value=inputs.gsd, allowed=rule)
    return _AskedPixels(checked(scale.mean, card, f"{field}.pixel_size"), grid, card)


def _shared(grid: Align | Frame, field: str) -> PixelGrid:
    """Return the pixel grid of a raster to align to, or of a scene to continue."""
    if not all(Fraction(size) > 0 for size in grid.pixel_size):
        detail = f"The pixels of `{field}` have no size."
        raise InvalidInput(f"{field}.pixel_size", detail, value=grid.pixel_size, allowed="sizes above 0")
    if max(abs(value) for value in grid.anchor) > _FARTHEST:
        rule = f"coordinates within ±{_FARTHEST:.0e}"
        detail = f"The corner in `{field}` must have {rule}."
        raise InvalidInput(f"{field}.anchor", detail, value=grid.anchor, allowed=rule)
    (width, height), (x, y) = grid.pixel_size, grid.anchor
    if isinstance(grid, Frame):  # as it is, since boxes and noise count from there
        return PixelGrid((width, height), (x, y))
    return PixelGrid((width, height), common_anchor(grid.anchor, grid.pixel_size))


def _direct(crs: pyproj.CRS, scale: geodesy.Scale, asked: _AskedPixels) -> _Pixels:
    """Return the pixels of a CRS that is its own frame; ``scale`` is ground metres per unit."""
    if asked.grid is not None:
        return _Pixels(asked.grid)
    if _is_web_mercator(crs):
        return _tile_pixels(crs, scale.mean, asked)
    unit = _unit(crs)
    if abs(scale.mean / unit - 1) <= _TRUE:
        size = decimal(Fraction(repr(asked.gsd)) / Fraction(repr(unit)))
        return _Pixels(PixelGrid((size, size)))
    size = significant(asked.gsd / scale.mean, 4)
    detail = f"{crs.name} is off scale here: {size} of its units are {asked.gsd:g} m on the ground."
    return _Pixels(PixelGrid((size, size)), (detail,))


def _is_web_mercator(crs: pyproj.CRS) -> bool:
    """Say whether ``crs`` is EPSG:3857 under any of its names, by where it puts a place."""
    lonlat = pyproj.CRS.from_epsg(4326)
    x, y = geodesy.transformer(lonlat, crs).transform(90.0, 45.0)
    return bool(abs(x - _TILE_ORIGIN / 2) < 1e-3 and abs(y - 5621521.486192066) < 1e-3)


def _tile_pixels(crs: pyproj.CRS, metres: float, asked: _AskedPixels) -> _Pixels:
    """Return the pixels of the zoom level nearest on the ground to what is asked for, on the tiles' grid."""
    sizes = {zoom: 2 * _TILE_ORIGIN / 256 / 2**zoom for zoom in _ZOOMS}
    fitting = {zoom: size for zoom, size in sizes.items() if fits(size * metres, asked.card)}
    if not fitting:
        allowed = rule(asked.card)
        raise InvalidInput("crs", f"No zoom level of {crs.name} has {allowed} here.", allowed=allowed)
    zoom = min(fitting, key=lambda level: abs(log2(sizes[level] * metres / asked.gsd)))
    size = decimal(Fraction(repr(_TILE_ORIGIN)) / 128 / 2**zoom, 15)
    detail = (
        f"{crs.name} stretches the ground: its pixels of zoom level {zoom} ({sizes[zoom]:.4g} m in the CRS) "
        f"are {sizes[zoom] * metres:.4g} m on the ground here; {asked.gsd:.4g} m was asked for."
    )
    return _Pixels(PixelGrid((size, size), (-_TILE_ORIGIN, _TILE_ORIGIN)), (detail,))


def _resampled(
    target: pyproj.CRS,
    bounds: Bounds,
    area: Area,
    asked: _AskedPixels,
    card: ModelCard,
    warnings: tuple[str, ...],
) -> Placement:
    """Return a placement in a metric frame for a file whose own pixels are not square on the ground."""
    centre = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    grid = asked.grid
    if grid is None:
        scale = _scale(target, centre, None, "crs")
        grid = PixelGrid((significant(asked.gsd / scale.x, 6), significant(asked.gsd / scale.y, 6)))
    box = grid.snap(bounds)
    metric = geodesy.metric_crs(area.lon, area.lat, target)
    whole = grid.bounds(box)
    needed = defined(lambda: geodesy.project(whole, target, metric), "crs", list(area.bounds), target)
    size = significant(asked.gsd, 6)
    working = PixelGrid((size, size))
    made = _placement(metric, _Pixels(working), needed, card, (), margin=_MARGIN)
    transform = grid.transform(box)
    names = f"{target.name} are not square on the ground: made in {metric.name}"
    return Placement(
        frame=made.frame,
        grid=made.grid,
        level=made.level,
        crs=crs_text(target),
        crs_name=target.name,
        width=box.width,
        height=box.height,
        transform=transform,
        bbox=whole,
        gsd=_gsd(target, grid, box),
        output=OutputGrid(
            crs=crs_text(target), transform=list(transform), width=box.width, height=box.height
        ),
        warnings=(*warnings, f"Pixels of {names} and resampled once."),
    )


def _placement(
    crs: pyproj.CRS,
    pixels: _Pixels,
    bounds: Bounds,
    card: ModelCard,
    warnings: tuple[str, ...],
    margin: int = 0,
) -> Placement:
    """Return the placement of ``bounds`` on pixels of ``crs`` itself."""
    grid, text = pixels.grid, crs_text(crs)
    box = expand(grid.snap(bounds), margin)
    gsd = _gsd(crs, grid, box)
    return Placement(
        frame=Frame(crs=text, pixel_size=list(grid.pixel_size), anchor=list(grid.anchor)),
        grid=box,
        level=level_of(sqrt(gsd.x * gsd.y), card),
        crs=text,
        crs_name=crs.name,
        width=box.width,
        height=box.height,
        transform=grid.transform(box),
        bbox=grid.bounds(box),
        gsd=gsd,
        output=None,
        warnings=(*warnings, *pixels.warnings),
    )


def _gsd(crs: pyproj.CRS, grid: PixelGrid, box: Box) -> GroundSampleDistance:
    """Return the ground metres of a pixel at the centre of ``box``, along rows and along columns."""
    minx, miny, maxx, maxy = grid.bounds(box)
    scale = _pixel_scale(crs, ((minx + maxx) / 2, (miny + maxy) / 2), grid, "extent.bbox")
    return GroundSampleDistance(x=scale.x, y=scale.y)
