"""The pixels of an online layer around a mask are rendered to a file, which is then edited as any other.

XYZ and WMTS at the zoom level whose pixels are nearest to the wanted size on the ground, on the grid of their
tiles; everything else (WMS, ...) in pixels of that size. What is missing stops it: an edit would take a hole
for land. Works in any thread and blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, log
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Optional

import numpy as np
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsMapRendererCustomPainterJob,
    QgsMapSettings,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor, QImage, QPainter

from text2earth_qgis.core.errors import RasterRefused
from text2earth_qgis.core.imagery import datasets, edit_preparation, edit_request, masks
from text2earth_qgis.core.imagery.datasets import Grid
from text2earth_qgis.core.imagery.edit_preparation import SentRequest
from text2earth_qgis.core.imagery.edit_request import EditPreview, EditRequest, unsent_edit
from text2earth_qgis.core.imagery.extension import Extension
from text2earth_qgis.core.imagery.online import TILE, OnlineLayer, file_for, finest_gsd
from text2earth_qgis.core.language import tr, trn
from text2earth_qgis.core.tasks import Listener
from text2earth_qgis.core.threads import pause, pool_thread_released
from text2earth_qgis.core.wire.access import Access
from text2earth_qgis.core.wire.schemas import Box, Json
from text2earth_qgis.core.wire.transport import open_client

MOST = 1024  # tiles of one edit
BANDS = 3  # of what is rendered
AT_ONCE = 4  # tiles of a side that are asked for together


@dataclass(frozen=True)
class FetchPlan:
    """What is rendered of a layer: a grid, of how many tiles, and its pixels' metres on the ground."""

    grid: Grid
    tiles: int
    metres: float


def preview_edit(
    online: OnlineLayer, request: EditRequest, gsd: Optional[float], cards: list[Json], listener: Listener
) -> EditPreview:
    """Return what can be said before anything is fetched; ``cards`` are of the models that may make the edit.

    Asks neither the layer's server nor the backend. Raises ``RasterRefused`` with what to do.
    """
    fetch_plan = plan_fetch(
        online, request, gsd or finest_gsd(cards), edit_request.window_size(cards), listener
    )
    for sample in request.samples:
        sample.check(listener.stop)
    box, metres = fetch_plan.grid.box, _ground(fetch_plan.grid, fetch_plan.grid.box, request)
    told = unsent_edit(fetch_plan.grid, box, BANDS, _mask_box(request, fetch_plan.grid, listener))
    size = BANDS * box.width * box.height
    return EditPreview(box, box, metres, size, origin(online, fetch_plan), unsent=told)


def prepare(
    online: OnlineLayer, gsd: Optional[float], access: Access, request: EditRequest, listener: Listener
) -> SentRequest:
    """Fetch what an edit needs, and send it: ``edit_preparation.prepare`` of a file that is then gone.

    So ``request.result`` has to be patch. Raises as ``fetch`` and ``edit_preparation.prepare``.
    """
    with TemporaryDirectory(prefix="text2earth-") as folder:
        request = replace(request, source=file_for(online, Path(folder)))
        fetch(access, online, request, gsd, listener.part(0, 0.5))
        return edit_preparation.prepare(access, request, listener.part(0.5, 1))


def fetch(
    access: Access, online: OnlineLayer, request: EditRequest, gsd: Optional[float], listener: Listener
) -> FetchPlan:
    """Render what the edit needs to ``request.source``; ``gsd`` in metres, None: the finest of the model.

    Raises a ``PluginError``: ``Cancelled``, or with what to do.
    """
    cards = edit_request.fetch_edit_models(open_client(access, listener), request.options.get("model"))
    window = edit_request.window_size(cards)
    fetch_plan = plan_fetch(online, request, gsd or finest_gsd(cards), window, listener)
    size = tr("That is {width} x {height} pixels of {metres:.3g} m.").format(
        width=fetch_plan.grid.width, height=fetch_plan.grid.height, metres=fetch_plan.metres
    )
    listener.say(f"{origin(online, fetch_plan)} {size}")
    write(online, fetch_plan, Path(request.source.source), listener)
    return fetch_plan


def origin(online: OnlineLayer, fetch_plan: FetchPlan) -> str:
    """Return how much of whom is fetched from where, and who made it, in sentences."""
    tiles = fetch_plan.tiles
    if online.host in online.name:
        said = trn(
            "{tiles:,} tile of '{name}' is fetched.", "{tiles:,} tiles of '{name}' are fetched.", tiles
        )
    else:
        said = trn(
            "{tiles:,} tile of '{name}' from {host} is fetched.",
            "{tiles:,} tiles of '{name}' from {host} are fetched.",
            tiles,
        )
    said = said.format(tiles=tiles, name=online.name, host=online.host)
    if not online.credit:
        return said
    return f"{said} " + tr("Attribution: {credit}.").format(credit=online.credit.rstrip("."))


def plan_fetch(
    online: OnlineLayer, request: EditRequest, gsd: float, window: int, listener: Listener
) -> FetchPlan:
    """Return what is to be rendered for an edit with pixels of ``gsd`` metres, and a window around the mask.

    Raises ``RasterRefused`` if the mask is outside, or for too many tiles.
    """
    start = (0.001 if online.layer.crs().isGeographic() else 100.0,) * 2  # about a hundred metres
    coarse = online.grid(start)
    unit = _ground(coarse, _mask_box(request, coarse, listener), request)
    per_unit = (unit[0] / start[0], unit[1] / start[1])
    size = (gsd / per_unit[0], gsd / per_unit[1])
    if online.zooms:
        size = (min(online.zooms, key=lambda zoom: abs(log(zoom / size[0]))),) * 2
    grid = online.grid(size)
    box = _mask_box(request, grid, listener)
    metres = size[0] * per_unit[0]
    grow = float(request.options.get("grow") or 0.0)
    reach = ceil(grow / min(metres, size[1] * per_unit[1])) + 1
    around = datasets.grown(box, reach + ceil(window * max(1.0, gsd / metres)))
    part = datasets.overlap(_whole_tiles(around), grid.box)
    if part is None:
        raise masks.outside_raster()
    tiles = ceil(part.width / TILE) * ceil(part.height / TILE)
    if tiles > MOST:
        raise RasterRefused(
            tr(
                "With pixels of {metres:.3g} m the mask and its surroundings are {tiles:,} tiles of "
                "'{name}'; one edit may take {most:,}. Draw a smaller mask, or set a coarser ground "
                "sample distance (GSD)."
            ).format(metres=metres, tiles=tiles, name=online.name, most=MOST)
        )
    return FetchPlan(_part_of(grid, part), tiles, metres)


def write(online: OnlineLayer, fetch_plan: FetchPlan, path: Path, listener: Listener) -> None:
    """Render what is planned to ``path``, a GeoTIFF of red, green and blue. Raises if a tile is missing."""
    grid, missing = fetch_plan.grid, 0
    parts = list(_parts(grid.box))
    with datasets.gdal_errors(tr("The pixels of '{name}' cannot be kept").format(name=online.name)):
        made = _create(online, grid, path)
        for number, part in enumerate(parts):
            datasets.raise_if_stopped(listener.stop)
            pixels = _render(online.layer, _part_of(grid, part), listener)
            missing += sum(
                not pixels[row : row + TILE, col : col + TILE, 3].all()
                for row in range(0, part.height, TILE)
                for col in range(0, part.width, TILE)
            )
            bands = np.ascontiguousarray(pixels[:, :, :3].transpose(2, 0, 1)).tobytes()
            datasets.require(made.WriteRaster(part.col, part.row, part.width, part.height, bands))
            listener.progress((number + 1) / len(parts))
        made = None
        datasets.require_written()
    if missing:
        raise RasterRefused(
            tr(
                "{missing} of {tiles} tiles of '{name}' at {metres:.3g} m are missing. Its server may be "
                "busy or have no imagery there: try again later, draw the mask elsewhere, or set a coarser "
                "ground sample distance (GSD)."
            ).format(missing=missing, tiles=fetch_plan.tiles, name=online.name, metres=fetch_plan.metres)
        )


def _mask_box(request: EditRequest, grid: Grid, listener: Listener) -> Box:
    """Return the pixels of a grid around the mask."""
    if isinstance(request.mask, Extension):
        raise RasterRefused(tr("An online layer cannot be extended. Save it as GeoTIFF first."))
    return masks.box_around(request.mask, masks.MaskPlacement(grid, request.context), listener.stop)


def _ground(grid: Grid, box: Box, request: EditRequest) -> tuple[float, float]:
    """Return ground metres of a column and of a row in the middle of a box."""
    middle = Box(box.col + box.width // 2, box.row + box.height // 2, 1, 1)
    return masks.ground_pixel(_part_of(grid, middle), request.context)


def _part_of(grid: Grid, box: Box) -> Grid:
    x, width, _, y, _, height = grid.transform
    at = (x + box.col * width, width, 0.0, y + box.row * height, 0.0, height)
    return Grid(at, box.width, box.height, grid.crs)


def _whole_tiles(box: Box) -> Box:
    col, row = box.col // TILE * TILE, box.row // TILE * TILE
    width = ceil((box.col + box.width - col) / TILE) * TILE
    return Box(col, row, width, ceil((box.row + box.height - row) / TILE) * TILE)


def _parts(box: Box) -> list[Box]:
    side = AT_ONCE * TILE
    return [
        Box(col, row, min(side, box.width - col), min(side, box.height - row))
        for row in range(0, box.height, side)
        for col in range(0, box.width, side)
    ]


def _create(online: OnlineLayer, grid: Grid, path: Path) -> gdal.Dataset:
    options = ["TILED=YES", "COMPRESS=DEFLATE", "PHOTOMETRIC=RGB"]
    driver = gdal.GetDriverByName("GTiff")
    made = datasets.require(driver.Create(str(path), grid.width, grid.height, 3, gdal.GDT_Byte, options))
    made.SetGeoTransform(grid.transform)
    made.SetProjection(grid.crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT2_2019))
    if online.credit:
        made.SetMetadataItem("TIFFTAG_COPYRIGHT", online.credit)
    return made


def _render(layer: QgsRasterLayer, grid: Grid, listener: Listener) -> np.ndarray:
    """Return the pixels of a grid, (rows, columns, red green blue alpha)."""
    x, width, _, y, _, height = grid.transform
    wanted = QgsMapSettings()
    wanted.setLayers([layer])
    wanted.setDestinationCrs(grid.crs)
    wanted.setOutputDpi(96)
    wanted.setBackgroundColor(QColor(0, 0, 0, 0))
    wanted.setExtent(QgsRectangle(x, y + grid.height * height, x + grid.width * width, y))
    wanted.setOutputSize(QSize(grid.width, grid.height))
    wanted.setFlag(QgsMapSettings.Flag.Antialiasing, False)
    wanted.setFlag(QgsMapSettings.Flag.RenderMapTile, True)
    image = QImage(grid.width, grid.height, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(0)
    painter = QPainter(image)
    job = QgsMapRendererCustomPainterJob(wanted, painter)
    with pool_thread_released():
        job.start()
        while job.isActive():
            if listener.stop():
                job.cancelWithoutBlocking()
            pause(0.01)
    painter.end()
    datasets.raise_if_stopped(listener.stop)
    plain = image.convertToFormat(QImage.Format.Format_RGBA8888)
    bits = plain.constBits()
    bits.setsize(plain.sizeInBytes())
    return np.frombuffer(bytes(bits), "u1").reshape(grid.height, grid.width, 4)
