"""An edit or extension as the user asks for it, and what can be said of it before anything is sent.

What needs the main thread has been read into an ``EditRequest`` already: all this runs in any thread. No rule
of the engine is here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional, Sequence, Union

from osgeo import gdal
from qgis.core import QgsCoordinateTransformContext

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.imagery import crops, datasets, masks
from text2earth_qgis.core.imagery.datasets import Grid, RasterFile, Stop
from text2earth_qgis.core.imagery.extension import Extension, ExtensionArea, extension_area
from text2earth_qgis.core.imagery.rasters import DisplayedBands, crs_text
from text2earth_qgis.core.imagery.samples import SampleRequest
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.threads import pool_thread_released
from text2earth_qgis.core.wire.client import Client
from text2earth_qgis.core.wire.schemas import Box, Json, Layout, Polygons, UnsentRaster

PAINTERS = ("inpaint", "examples")  # pipelines of models that can paint what a prompt asks for
WINDOW = 256  # pixels, of a backend that does not say its models' windows


@dataclass(frozen=True)
class EditRequest:
    """An edit or extension as asked for: ``options`` are the inputs besides source, mask or land, stretch.

    ``stretch`` is displayed, 2-98 % or numbers (see ``crops``), ``result`` one of ``assembly.RESULTS``.
    ``layers`` are the ids of the source's and the mask's layer in the project, to find them again. What is
    painted by example looks like ``samples``. The raster of sources goes to ``sources``, if it is wanted.
    """

    source: RasterFile
    displayed: DisplayedBands
    mask: Union[masks.Mask, Extension]
    context: QgsCoordinateTransformContext
    target: Path
    options: Json
    stretch: str = "displayed"
    result: str = "whole"
    project: str = ""
    layers: tuple[str, str] = ("", "")
    samples: tuple[SampleRequest, ...] = ()
    sources: Optional[Path] = None

    @property
    def process(self) -> str:
        """The process that does it."""
        return "extend" if isinstance(self.mask, Extension) else "edit"

    def with_layout(self, layout: Layout) -> EditRequest:
        """Return the same with a layout of what is painted."""
        return replace(self, options={**self.options, "layout": layout})

    def check(self) -> None:
        """Refuse a name that does not fit the result. Raises ``PluginError``."""
        endings = (".vrt",) if self.result == "vrt" else (".tif", ".tiff")
        if not self.target.name.lower().endswith(endings):
            said = (
                tr("{target}: the result is a VRT, its name must end in .vrt. Choose another.")
                if self.result == "vrt"
                else tr("{target}: the result is a GeoTIFF, its name must end in .tif. Choose another.")
            )
            raise PluginError(said.format(target=self.target))

    def part(self) -> Path:
        """Return where the edited part is fetched to: a free name, unless it is the result."""
        if self.result == "patch":
            return self.target
        names = (f"{self.target.stem}_patch{number}.tif" for number in ("", *range(2, 1000)))
        return next(path for path in map(self.target.with_name, names) if not path.exists())


@dataclass(frozen=True)
class Unsent:
    """What an edit can be planned by before it is sent: the grid around it, and inputs that say where."""

    raster: UnsentRaster
    area: Json


@dataclass(frozen=True)
class EditPreview:
    """What can be said of an edit before anything is sent: the ``crop`` of the raster that would be.

    ``pixel`` is ground metres of a column and of a row. ``origin`` says where pixels come from that are still
    to be fetched; empty if they are in a file. ``whole`` are the pixels of the result of an extension.
    ``unsent`` is what it can be planned by, None if only its pixels tell.
    """

    crop: Box
    raster: Box
    pixel: tuple[float, float]
    bytes: int
    origin: str = ""
    whole: Optional[Box] = None
    unsent: Optional[Unsent] = None


def preview_edit(request: EditRequest, window: int, stop: Stop) -> EditPreview:
    """Return what can be said before anything is sent; ``window`` is the model's, in pixels.

    Raises ``RasterRefused`` with what to do.
    """
    source = request.source.open()
    crops.check_editable(source, request.source)
    grid = datasets.grid_of(source, request.source)
    placement = masks.MaskPlacement(grid, request.context, float(request.options.get("grow") or 0.0))
    area = None
    if isinstance(request.mask, Extension):
        area = extension_area(request.mask, source, grid, request.context, stop)
        box = area.box
    else:
        box = masks.box_around(request.mask, placement, stop)
    crop = crops.first_crop(box, window, placement.reach, grid.box)
    if crop is None:
        raise masks.outside_raster()
    for sample in request.samples:
        sample.check(stop)
    pixel = source.RasterCount * gdal.GetDataTypeSize(source.GetRasterBand(1).DataType) // 8
    size = masks.ground_pixel(grid, request.context)
    bands = source.RasterCount
    return EditPreview(
        crop,
        grid.box,
        size,
        crop.width * crop.height * pixel,
        whole=area.whole if area else None,
        unsent=unsent_extension(grid, crop, bands, area) if area else unsent_edit(grid, crop, bands, box),
    )


def unsent_edit(grid: Grid, crop: Box, bands: int, mask: Box) -> Unsent:
    """Return an edit of the pixels of a grid in a box around the mask, of which ``crop`` is sent."""
    corners = grid.outline(mask, 1)
    ring = [list(corner) for corner in (*corners, corners[0])]
    polygon = Polygons({"type": "Polygon", "coordinates": [ring]}, crs_text(grid.crs))
    return Unsent(_raster(grid, crop, bands), {"mask": polygon.to_json()})


def unsent_extension(grid: Grid, crop: Box, bands: int, area: ExtensionArea) -> Optional[Unsent]:
    """Return an extension, of which ``crop`` is sent; None for one whose work depends on holes."""
    if area.fill_holes:
        return None
    return Unsent(_raster(grid, crop, bands), {"extent": area.extent.to_json()})


def _raster(grid: Grid, crop: Box, bands: int) -> UnsentRaster:
    x, a, b, y, d, e = grid.transform
    corner = x + a * crop.col + b * crop.row, y + d * crop.col + e * crop.row
    transform = (a, b, corner[0], d, e, corner[1])
    return UnsentRaster(crs_text(grid.crs), transform, crop.width, crop.height, bands)


def fetch_edit_models(client: Client, model: Optional[str]) -> list[Json]:
    """Return the cards of the models that an edit may be made by."""
    with pool_thread_released():
        return edit_models(client.models(), model)


def edit_models(models: Sequence[Json], model: Optional[str]) -> list[Json]:
    """Return those of all models' cards that an edit may be made by; ``model`` is the id of a chosen one."""
    cards = [card for card in models if card.get("pipeline") in PAINTERS]
    if model:
        return [card for card in cards if card.get("id") == model]
    installed = [card for card in cards if card.get("installed")]
    return [card for card in installed if card.get("default")] or installed


def window_size(cards: list[Json]) -> int:
    """Return the pixels of a side of what models see at once: a first guess of what they need."""
    return max((int(card.get("window") or WINDOW) for card in cards), default=WINDOW)
