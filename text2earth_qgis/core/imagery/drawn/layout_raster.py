"""A layout as QGIS has it: a raster of classes, of which the part around what is asked for is sent.

It travels in the request itself, so that plan, run and a later run have it without a file to look after: a
town of twenty kilometres at 10 m is a few hundred kilobytes. What would be more than a request may have is
thinned out. What values mean the table says, or else the names that the layer's style or the file has for
them. Any thread, but for ``class_layer``.
"""

from __future__ import annotations

import base64
import tempfile
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Optional

from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsMultiBandColorRenderer,
    QgsPalettedRasterRenderer,
    QgsPointXY,
    QgsRasterLayer,
    QgsRectangle,
)

from text2earth_qgis.core.crs import forgetting_crs
from text2earth_qgis.core.errors import RasterRefused
from text2earth_qgis.core.imagery import datasets, rasters
from text2earth_qgis.core.imagery.datasets import Grid, RasterFile, Stop
from text2earth_qgis.core.imagery.drawn.features import SearchArea
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Box, LayoutRaster

MOST = 640_000  # bytes of a file: in base64 a third more, of the megabyte that a request may have
MOST_PIXELS = 4096 * 4096  # that are looked at in full
AROUND = 0.25  # times the longer side of what is asked for, on every side
FAR = 3.0  # the same of a picture that joins others: their land is looked at too
CELLS = 8  # at least
NAMED = 1_000  # classes that may have names
ALONE = {"GDAL_PAM_ENABLED": "NO", "GDAL_TIFF_INTERNAL_MASK": "YES"}


@dataclass(frozen=True)
class ClassLayer:
    """A raster of classes for any thread: its band, the table of its values, and the names its style has."""

    file: RasterFile
    band: int
    table: str
    names: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """What its user calls it."""
        return self.file.name


def class_layer(layer: QgsRasterLayer, table: str) -> ClassLayer:
    """Return a layer as a raster of classes, in the main thread. Raises ``RasterRefused``."""
    name = layer.name()
    if layer.providerType() != "gdal":
        raise RasterRefused(
            tr(
                "'{name}' has no raster file with classes. Choose another layout, or save it as GeoTIFF "
                "first (Export > Save As)."
            ).format(name=name)
        )
    renderer = layer.renderer()
    if isinstance(renderer, QgsMultiBandColorRenderer) and layer.bandCount() > 1:
        raise RasterRefused(
            tr(
                "'{name}' is shown in colours of several bands. Show the band that has the classes "
                "(Symbology > Paletted/Unique values), or choose another layout."
            ).format(name=name)
        )
    bands = renderer.usesBands() if renderer is not None else []
    names = renderer.classes() if isinstance(renderer, QgsPalettedRasterRenderer) else []
    found = {f"{one.value:.0f}": one.label.strip() for one in names}
    named = tuple((value, label) for value, label in found.items() if label and not _is_number(label))
    return ClassLayer(rasters.file_of(layer), bands[0] if bands else 1, table, named)


def read_classes(layer: ClassLayer, near: SearchArea, stop: Stop) -> tuple[LayoutRaster, str]:
    """Return the raster around what is asked for as it travels, and what is to be said of that.

    Raises ``RasterRefused`` with what to do.
    """
    source = layer.file.open()
    grid = datasets.grid_of(source, layer.file)
    box = _around(near, grid)
    if box is None:
        raise RasterRefused(
            tr("The layout '{name}' does not reach to what is asked for.").format(name=layer.name)
        )
    thinned = max(1, ceil((box.width * box.height / MOST_PIXELS) ** 0.5))
    with tempfile.TemporaryDirectory(prefix="text2earth-") as folder:
        while True:
            path = Path(folder) / f"classes{thinned}.tif"
            _write(source, layer, box, thinned, path, stop)
            if path.stat().st_size <= MOST or min(box.width, box.height) < 2 * thinned:
                break
            thinned *= 2
        content = base64.b64encode(path.read_bytes()).decode("ascii")
    names = dict(layer.names or _names_in(source.GetRasterBand(layer.band)))
    named = dict(list(names.items())[:NAMED]) if layer.table in ("words", "osm") else {}
    note = (
        tr("Every {thinned} x {thinned} pixels are sent as one: more is too much.").format(thinned=thinned)
        if thinned > 1
        else ""
    )
    return LayoutRaster(content, table=layer.table, classes=named or None), note


def size_of(layout: LayoutRaster) -> str:
    """Return how much of a raster is sent, in words."""
    length = len(layout.source) * 3 // 4 if isinstance(layout.source, str) else 0
    return tr("a raster of {size:,} kB").format(size=max(1, round(length / 1000)))


def _around(near: SearchArea, grid: Grid) -> Optional[Box]:
    """Return the pixels around what is asked for, None if there are none."""
    wide = QgsRectangle(near.box)
    wide.grow((AROUND if near.alone else FAR) * max(wide.width(), wide.height()))
    there = Grid((wide.xMinimum(), wide.width(), 0.0, wide.yMaximum(), 0.0, -wide.height()), 1, 1, near.crs)
    with forgetting_crs():
        way = QgsCoordinateTransform(near.crs, grid.crs, near.context)
        points = []
        for x, y in there.outline(there.box):
            try:
                point = way.transform(QgsPointXY(x, y))
            except QgsCsException:
                continue
            points.append((point.x(), point.y()))
    if not points:
        return None
    try:
        found = datasets.box_around(grid.pixels(points))
    except ValueError:
        return None
    return datasets.overlap(datasets.grown(found, CELLS), grid.box)


def _write(source: gdal.Dataset, layer: ClassLayer, box: Box, thinned: int, path: Path, stop: Stop) -> None:
    """Write the classes of a box, of every square of ``thinned`` pixels the most frequent."""
    wkt = layer.file.crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT2_2019)
    options = gdal.TranslateOptions(
        format="GTiff",
        bandList=[layer.band],
        srcWin=[box.col, box.row, box.width, box.height],
        width=max(1, box.width // thinned),
        height=max(1, box.height // thinned),
        resampleAlg="mode" if thinned > 1 else "near",
        outputSRS=wkt if layer.file.assigned else None,
        creationOptions=["COMPRESS=DEFLATE", "ZLEVEL=9", "TILED=YES"],
        callback=datasets.gdal_callback(lambda _share: None, stop),
    )
    with datasets.gdal_errors(tr("'{name}' cannot be read").format(name=layer.name), **ALONE):
        with datasets.stoppable(stop):
            datasets.require(gdal.Translate(str(path), source, options=options))
        datasets.require_written()


def _names_in(band: gdal.Band) -> dict[str, str]:
    """Return the names that a file has for its values: its categories, or a column of its table."""
    names = {str(value): str(name) for value, name in enumerate(band.GetRasterCategoryNames() or ()) if name}
    table = band.GetDefaultRAT()
    if names or table is None:
        return names
    columns = range(table.GetColumnCount())
    texts = [column for column in columns if table.GetTypeOfCol(column) == gdal.GFT_String]
    name = next((column for column in columns if table.GetUsageOfCol(column) == gdal.GFU_Name), None)
    name = next(iter(texts), None) if name is None else name
    values = (gdal.GFU_MinMax, gdal.GFU_Min)
    value = next((column for column in columns if table.GetUsageOfCol(column) in values), None)
    if name is None:
        return {}
    return {
        str(row if value is None else table.GetValueAsInt(row, value)): table.GetValueAsString(row, name)
        for row in range(table.GetRowCount())
        if table.GetValueAsString(row, name)
    }


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
