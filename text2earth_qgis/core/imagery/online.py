"""Online layers as the source of an edit: the pixels around a mask are rendered to a file, which is edited.

XYZ and WMTS at the zoom level whose pixels are nearest to the wanted size on the ground, on the grid of their
tiles; everything else (WMS, ...) in pixels of that size. What is missing stops it: an edit would take a hole
for land. A layer is read in the main thread (``online_of``); the rest works in any thread and blocks. Knows
how a mask lies on a grid and what a model's pixels are; what is sent to the backend is for ``edits``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import ceil, floor, log
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Optional
from urllib.parse import unquote

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

from text2earth_qgis.core import settings
from text2earth_qgis.core.errors import RasterRefused
from text2earth_qgis.core.imagery import datasets, edits, masks
from text2earth_qgis.core.imagery.datasets import Grid, RasterFile
from text2earth_qgis.core.imagery.edits import EditPreview, Order, Ready
from text2earth_qgis.core.runs.blocking import Listener, pool_thread_released
from text2earth_qgis.core.settings import Access
from text2earth_qgis.core.wire import calls
from text2earth_qgis.core.wire.schemas import Box, Json
from text2earth_qgis.core.wire.transport import open_client, pause

TILE = 256  # pixels of a side of what is counted, and missed
MOST = 1024  # tiles of one edit
AT_ONCE = 4  # tiles of a side that are asked for together
WORLD = 20037508.342789244  # half a side of the square that XYZ tiles divide, in EPSG:3857
FINEST = 0.05  # metres on the ground, where the model does not say


@dataclass(frozen=True)
class Online:
    """A layer whose pixels are on a server: ``layer`` is a copy of it that is ours alone.

    ``zooms`` are the pixel sizes it has, in units of its CRS; none: it has any. ``credit`` is who made it.
    """

    name: str
    layer: QgsRasterLayer
    host: str
    credit: str
    zooms: tuple[float, ...]
    tiled: bool  # on the tile grid of XYZ

    def grid(self, size: tuple[float, float]) -> Grid:
        """Return the grid of all its pixels of a size (x, y) in units of its CRS."""
        if self.tiled:
            side = round(2 * WORLD / size[0])
            return Grid((-WORLD, size[0], 0.0, WORLD, 0.0, -size[1]), side, side, self.layer.crs())
        box = self.layer.extent()
        left, top = floor(box.xMinimum() / size[0]), ceil(box.yMaximum() / size[1])
        columns = ceil(box.xMaximum() / size[0]) - left
        rows = top - floor(box.yMinimum() / size[1])
        at = (left * size[0], size[0], 0.0, top * size[1], 0.0, -size[1])
        return Grid(at, columns, rows, self.layer.crs())


@dataclass(frozen=True)
class Sheet:
    """What is rendered of a layer: a grid, of how many tiles, and its pixels' metres on the ground."""

    grid: Grid
    tiles: int
    metres: float


def is_online(layer: QgsRasterLayer) -> bool:
    """Whether the pixels of a layer come from a provider that has no file of them."""
    return layer.providerType() != "gdal"


def check(layer: QgsRasterLayer) -> None:
    """Refuse an online layer that does not say where it lies. Raises ``RasterRefused``."""
    if not layer.crs().isValid() or layer.extent().isEmpty():
        raise RasterRefused(f"'{layer.name()}' has no CRS or no extent. Save it as GeoTIFF first.")


def online_of(layer: QgsRasterLayer) -> Online:
    """Return an online layer for use in any thread; in the main thread. Raises ``RasterRefused``."""
    check(layer)
    crs, provider = layer.crs(), layer.dataProvider()
    zooms = tuple(sorted(provider.nativeResolutions())) if layer.providerType() == "wms" else ()
    host = host_of(layer)
    mercator = crs.authid() in ("EPSG:3857", "EPSG:900913")
    return Online(
        name=layer.name() or host or layer.providerType(),
        layer=layer.clone(),
        host=host,
        credit="; ".join([*layer.metadata().rights(), *filter(None, [layer.attribution()])]),
        zooms=zooms,
        tiled=mercator and bool(zooms) and all(_is_zoom(size) for size in zooms),
    )


def host_of(layer: QgsRasterLayer) -> str:
    """Return the host that the pixels of a layer come from, '' if they are on this computer."""
    found = re.search(r"https?://([^/?#&'\"\s]+)", unquote(layer.source()))
    return found.group(1).rpartition("@")[2].lower() if found else ""


def asks(online: Online) -> bool:
    """Whether the user has still to allow that imagery of this host is sent to the backend."""
    return bool(online.host) and not settings.sends_imagery_of(online.host)


def check_allowed(online: Online, access: Access, allow: bool) -> None:
    """Refuse to send what the user has not allowed to be sent; ``allow`` is remembered for the host."""
    if not asks(online):
        return
    if not allow:
        raise RasterRefused(
            f"Imagery of {online.host} would be sent to the backend at {calls.site(access.url)}. If its "
            "terms allow that, tick 'Send imagery of this online layer to the backend' (SEND_ONLINE=true in "
            "scripts). It is asked once for each host."
        )
    settings.send_imagery_of(online.host)


def file_for(online: Online, folder: Path) -> RasterFile:
    """Return the file that ``fetch`` makes of a layer."""
    return RasterFile(online.name, str(folder / "online.tif"), (), online.layer.crs(), False)


def look_over(
    online: Online, order: Order, gsd: Optional[float], cards: list[Json], listener: Listener
) -> EditPreview:
    """Return what can be said before anything is fetched; ``cards`` are of the models that may make the edit.

    Asks neither the layer's server nor the backend. Raises ``RasterRefused`` with what to do.
    """
    sheet = plan(online, order, gsd or finest_of(cards), edits.window_of(cards), listener)
    box, metres = sheet.grid.box, _ground(sheet.grid, sheet.grid.box, order)
    return EditPreview(box, box, metres, 3 * box.width * box.height, origin(online, sheet))


def prepare(online: Online, gsd: Optional[float], access: Access, order: Order, listener: Listener) -> Ready:
    """Fetch what an edit needs, and send it: ``edits.prepare`` of a file that is gone when this returns.

    So ``order.result`` has to be patch. Raises as ``fetch`` and ``edits.prepare``.
    """
    with TemporaryDirectory(prefix="text2earth-") as folder:
        order = replace(order, source=file_for(online, Path(folder)))
        fetch(access, online, order, gsd, listener.part(0, 0.5))
        return edits.prepare(access, order, listener.part(0.5, 1))


def fetch(access: Access, online: Online, order: Order, gsd: Optional[float], listener: Listener) -> Sheet:
    """Render what the edit needs to ``order.source``; ``gsd`` in metres, None: the finest of the model.

    Raises a ``PluginError``: ``Cancelled``, or with what to do.
    """
    cards = edits.painters(open_client(access, listener), order.wishes.get("model"))
    window = edits.window_of(cards)
    sheet = plan(online, order, gsd or finest_of(cards), window, listener)
    size = f"{sheet.grid.width} x {sheet.grid.height} pixels of {sheet.metres:.3g} m"
    listener.say(f"{origin(online, sheet)} That is {size}.")
    write(online, sheet, Path(order.source.source), listener)
    return sheet


def origin(online: Online, sheet: Sheet) -> str:
    """Return how much of whom is fetched from where, and who made it, in sentences."""
    place = f" from {online.host}" if online.host not in online.name else ""
    credit = f" Attribution: {online.credit.rstrip('.')}." if online.credit else ""
    return f"{sheet.tiles:,} tiles of '{online.name}'{place} are fetched.{credit}"


def finest_of(cards: list[Json]) -> float:
    """Return metres per pixel at the finest level of the models."""
    levels = [level for card in cards for level in card.get("levels") or ()]
    if levels:
        return float(2 ** (17 - max(levels)))
    return max(FINEST, min((float(card["gsd"][0]) for card in cards if card.get("gsd")), default=1.0))


def plan(online: Online, order: Order, gsd: float, window: int, listener: Listener) -> Sheet:
    """Return what is to be rendered for an edit with pixels of ``gsd`` metres, and a window around the mask.

    Raises ``RasterRefused`` if the mask is outside, or for too many tiles.
    """
    start = (0.001 if online.layer.crs().isGeographic() else 100.0,) * 2  # about a hundred metres
    coarse = online.grid(start)
    unit = _ground(coarse, _mask_box(order, coarse, listener), order)
    per_unit = (unit[0] / start[0], unit[1] / start[1])
    size = (gsd / per_unit[0], gsd / per_unit[1])
    if online.zooms:
        size = (min(online.zooms, key=lambda zoom: abs(log(zoom / size[0]))),) * 2
    grid = online.grid(size)
    box = _mask_box(order, grid, listener)
    metres = size[0] * per_unit[0]
    grow = float(order.wishes.get("grow") or 0.0)
    reach = ceil(grow / min(metres, size[1] * per_unit[1])) + 1
    around = datasets.grown(box, reach + ceil(window * max(1.0, gsd / metres)))
    part = datasets.overlap(_whole_tiles(around), grid.box)
    if part is None:
        raise masks.outside()
    tiles = ceil(part.width / TILE) * ceil(part.height / TILE)
    if tiles > MOST:
        raise RasterRefused(
            f"With pixels of {metres:.3g} m the mask and its surroundings are {tiles:,} tiles of "
            f"'{online.name}'; one edit may take {MOST:,}. Draw a smaller mask, or set a coarser ground "
            "sample distance (GSD)."
        )
    return Sheet(_cut(grid, part), tiles, metres)


def write(online: Online, sheet: Sheet, path: Path, listener: Listener) -> None:
    """Render a sheet to ``path``, a GeoTIFF of red, green and blue. Raises if a tile is missing."""
    grid, missing = sheet.grid, 0
    parts = list(_parts(grid.box))
    with datasets.quiet(f"The pixels of '{online.name}' cannot be kept"):
        made = _create(online, grid, path)
        for number, part in enumerate(parts):
            datasets.checked(listener.stop)
            pixels = _render(online.layer, _cut(grid, part), listener)
            missing += sum(
                not pixels[row : row + TILE, col : col + TILE, 3].all()
                for row in range(0, part.height, TILE)
                for col in range(0, part.width, TILE)
            )
            bands = np.ascontiguousarray(pixels[:, :, :3].transpose(2, 0, 1)).tobytes()
            datasets.some(made.WriteRaster(part.col, part.row, part.width, part.height, bands))
            listener.progress((number + 1) / len(parts))
        made = None
        datasets.written()
    if missing:
        raise RasterRefused(
            f"{missing} of {sheet.tiles} tiles of '{online.name}' at {sheet.metres:.3g} m are missing. Its "
            "server may be busy or have no imagery there: try again later, draw the mask elsewhere, or set a "
            "coarser ground sample distance (GSD)."
        )


def _mask_box(order: Order, grid: Grid, listener: Listener) -> Box:
    """Return the pixels of a grid around the mask."""
    place = masks.Place(grid, order.context)
    if isinstance(order.mask, masks.Shapes):
        return masks.polygons_of(order.mask, place, listener.stop)[1]
    return masks.picture_of(order.mask, place, Path(order.source.source).with_name("mask.tif"), listener.stop)


def _ground(grid: Grid, box: Box, order: Order) -> tuple[float, float]:
    """Return ground metres of a column and of a row in the middle of a box."""
    middle = Box(box.col + box.width // 2, box.row + box.height // 2, 1, 1)
    return masks.ground_pixel(_cut(grid, middle), order.context)


def _cut(grid: Grid, box: Box) -> Grid:
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


def _create(online: Online, grid: Grid, path: Path) -> gdal.Dataset:
    options = ["TILED=YES", "COMPRESS=DEFLATE", "PHOTOMETRIC=RGB"]
    driver = gdal.GetDriverByName("GTiff")
    made = datasets.some(driver.Create(str(path), grid.width, grid.height, 3, gdal.GDT_Byte, options))
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
    datasets.checked(listener.stop)
    plain = image.convertToFormat(QImage.Format.Format_RGBA8888)
    bits = plain.constBits()
    bits.setsize(plain.sizeInBytes())
    return np.frombuffer(bytes(bits), "u1").reshape(grid.height, grid.width, 4)


def _is_zoom(size: float) -> bool:
    """Whether a pixel size is that of a zoom level of XYZ tiles."""
    level = log(2 * WORLD / TILE / size, 2)
    return abs(level - round(level)) < 1e-6
