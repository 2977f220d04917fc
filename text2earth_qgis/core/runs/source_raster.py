"""The raster of sources: fetched beside a result, it says for each pixel which image it was copied from.

The backend counts columns and rows from the corner of what was sent to it; here they become those of the
user's own rasters. Any thread; knows no job.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Mapping

from osgeo import gdal

from text2earth_qgis.core.errors import unwritable
from text2earth_qgis.core.imagery import datasets
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Box, Json

DOMAIN = "SOURCES"  # of metadata: what each number means
OUTPUT = "sources"  # of a job
_BANDS = 3
_LAYOUT = ["TILED=YES", "COMPRESS=DEFLATE", "PREDICTOR=2", "SPARSE_OK=TRUE", "BIGTIFF=IF_SAFER"]


@dataclass(frozen=True)
class SourceRaster:
    """Where the raster of sources goes, and for what was cut out of rasters, column and row of its corner.

    ``corners`` are by the names that the backend gives to images: ``raster``, ``sample 1``.
    """

    target: Path
    corners: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def to_json(self) -> Json:
        """Return what ``from_json`` reads."""
        return {"target": str(self.target), "corners": {name: list(at) for name, at in self.corners.items()}}

    @classmethod
    def from_json(cls, data: Json) -> SourceRaster:
        """Read what ``to_json`` wrote."""
        corners = {name: (int(at[0]), int(at[1])) for name, at in data["corners"].items()}
        return cls(Path(data["target"]), corners)

    @property
    def part(self) -> Path:
        """Return the file that it is fetched to."""
        return self.target.with_name(f"{self.target.name}.fetched")

    def finish(self, result: Path) -> None:
        """Make the raster of what was fetched, on the grid of the ``result``. Raises a ``PluginError``."""
        stage = self.part.with_name(f"{self.part.name}.moved")
        try:
            with datasets.gdal_errors(
                tr("{target} cannot be written").format(target=self.target), GDAL_PAM_ENABLED="NO"
            ):
                fetched = datasets.require(gdal.OpenEx(str(self.part), gdal.OF_RASTER))
                whole = datasets.require(gdal.OpenEx(str(result), gdal.OF_RASTER))
                moves = self._moves(fetched)
                if moves or _size(whole) != _size(fetched):
                    _write(stage, fetched, whole, moves)
                    os.replace(stage, self.part)
            os.replace(self.part, self.target)
        except OSError as error:
            raise unwritable(self.target, error) from error
        finally:
            stage.unlink(missing_ok=True)

    def _moves(self, fetched: gdal.Dataset) -> dict[int, tuple[int, int]]:
        """Return by number of an image how far its columns and rows are to be moved."""
        names = {int(key): json.loads(text)["name"] for key, text in fetched.GetMetadata(DOMAIN).items()}
        return {one: self.corners[name] for one, name in names.items() if any(self.corners.get(name, ()))}


def _size(dataset: gdal.Dataset) -> tuple[int, int]:
    return dataset.RasterXSize, dataset.RasterYSize


def _write(
    path: Path, fetched: gdal.Dataset, whole: gdal.Dataset, moves: Mapping[int, tuple[int, int]]
) -> None:
    """Write what was fetched into its place in a larger raster, columns and rows moved."""
    driver = gdal.GetDriverByName("GTiff")
    made = datasets.require(driver.Create(str(path), *_size(whole), _BANDS, gdal.GDT_Int32, _LAYOUT))
    if whole.GetGCPCount():
        made.SetGCPs(whole.GetGCPs(), whole.GetGCPProjection())
    else:
        made.SetProjection(whole.GetProjection())
        made.SetGeoTransform(whole.GetGeoTransform())
    for number in range(1, _BANDS + 1):
        made.GetRasterBand(number).SetNoDataValue(fetched.GetRasterBand(number).GetNoDataValue())
        made.GetRasterBand(number).SetDescription(fetched.GetRasterBand(number).GetDescription())
    made.SetMetadata(fetched.GetMetadata())
    made.SetMetadata(fetched.GetMetadata(DOMAIN), DOMAIN)
    left, top = _corner(fetched, whole)
    width, height = _size(fetched)
    for strip in datasets.strips(Box(0, 0, width, height), width * 4 * _BANDS):
        pixels = [datasets.read(fetched.GetRasterBand(number), strip).copy() for number in (1, 2, 3)]
        if (pixels[0] < 0).all():
            continue
        for one, at in moves.items():
            pixels[1][pixels[0] == one] += at[0]
            pixels[2][pixels[0] == one] += at[1]
        for number, values in enumerate(pixels, start=1):
            there = strip.col + left, strip.row + top, strip.width, strip.height
            datasets.require(made.GetRasterBand(number).WriteRaster(*there, values.tobytes()))
    made = None
    datasets.require_written()


def _corner(part: gdal.Dataset, whole: gdal.Dataset) -> tuple[int, int]:
    """Return column and row of the first pixel of a part in the whole."""
    if whole.GetGCPCount():
        one, other = part.GetGCPs()[0], whole.GetGCPs()[0]
        return round(other.GCPPixel - one.GCPPixel), round(other.GCPLine - one.GCPLine)
    inverse, place = gdal.InvGeoTransform(whole.GetGeoTransform()), part.GetGeoTransform()
    col, row = gdal.ApplyGeoTransform(inverse, place[0], place[3])
    return round(col), round(row)
