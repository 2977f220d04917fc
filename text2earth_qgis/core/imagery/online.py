"""Online layers as the source of an edit: where their pixels come from, who made them, their grid.

A layer is read in the main thread (``online_layer``); ``online_fetch`` renders its pixels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil, floor, log
from pathlib import Path
from urllib.parse import unquote

from qgis.core import QgsRasterLayer

from text2earth_qgis.core.errors import RasterRefused
from text2earth_qgis.core.imagery.datasets import Grid, RasterFile
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Json

TILE = 256  # pixels of a side of a tile
WORLD = 20037508.342789244  # half a side of the square that XYZ tiles divide, in EPSG:3857
FINEST = 0.05  # metres on the ground, where the model does not say


@dataclass(frozen=True)
class OnlineLayer:
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


def is_online(layer: QgsRasterLayer) -> bool:
    """Whether the pixels of a layer come from a provider that has no file of them."""
    return layer.providerType() != "gdal"


def check(layer: QgsRasterLayer) -> None:
    """Refuse an online layer that does not say where it lies. Raises ``RasterRefused``."""
    if not layer.crs().isValid() or layer.extent().isEmpty():
        raise RasterRefused(
            tr("'{name}' has no CRS or no extent. Save it as GeoTIFF first.").format(name=layer.name())
        )


def online_layer(layer: QgsRasterLayer) -> OnlineLayer:
    """Return an online layer for use in any thread; in the main thread. Raises ``RasterRefused``."""
    check(layer)
    crs, provider = layer.crs(), layer.dataProvider()
    zooms = tuple(sorted(provider.nativeResolutions())) if layer.providerType() == "wms" else ()
    host = host_of(layer)
    mercator = crs.authid() in ("EPSG:3857", "EPSG:900913")
    return OnlineLayer(
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


def file_for(online: OnlineLayer, folder: Path) -> RasterFile:
    """Return the file that ``fetch`` makes of a layer."""
    return RasterFile(online.name, str(folder / "online.tif"), (), online.layer.crs(), False)


def finest_gsd(cards: list[Json]) -> float:
    """Return metres per pixel at the finest level of the models."""
    levels = [level for card in cards for level in card.get("levels") or ()]
    if levels:
        return float(2 ** (17 - max(levels)))
    return max(FINEST, min((float(card["gsd"][0]) for card in cards if card.get("gsd")), default=1.0))


def _is_zoom(size: float) -> bool:
    """Whether a pixel size is that of a zoom level of XYZ tiles."""
    level = log(2 * WORLD / TILE / size, 2)
    return abs(level - round(level)) < 1e-6
