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
from text2earth_qgis.core.wire.schemas import Box, Json

DOMAIN = "SOURCES"  # of metadata: what each number means
OUTPUT = "sources"  # of a job
_BYTES = 12  # of a pixel
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

    def finish(self) -> None:
        """Make the raster of what was fetched. Raises a ``PluginError``."""
        try:
            with datasets.gdal_errors(f"{self.target} cannot be written", GDAL_PAM_ENABLED="NO"):
                moves = self._moves()
                if moves:
                    self._move(moves)
            os.replace(self.part, self.target)
        except OSError as error:
            raise unwritable(self.target, error) from error

    def _moves(self) -> dict[int, tuple[int, int]]:
        """Return by number of an image how far its columns and rows are to be moved."""
        fetched = datasets.require(gdal.OpenEx(str(self.part), gdal.OF_RASTER))
        names = {int(key): json.loads(text)["name"] for key, text in fetched.GetMetadata(DOMAIN).items()}
        return {one: self.corners[name] for one, name in names.items() if any(self.corners.get(name, ()))}

    def _move(self, moves: Mapping[int, tuple[int, int]]) -> None:
        """Write what was fetched anew, columns and rows moved."""
        stage = self.part.with_name(f"{self.part.name}.moved")
        fetched = datasets.require(gdal.OpenEx(str(self.part), gdal.OF_RASTER))
        made = datasets.require(gdal.GetDriverByName("GTiff").CreateCopy(str(stage), fetched, 0, _LAYOUT))
        whole = Box(0, 0, fetched.RasterXSize, fetched.RasterYSize)
        for strip in datasets.strips(whole, whole.width * _BYTES):
            numbers = datasets.read(fetched.GetRasterBand(1), strip)
            found = [one for one in moves if (numbers == one).any()]
            for axis in (0, 1) if found else ():
                band = made.GetRasterBand(axis + 2)
                places = datasets.read(band, strip).copy()
                for one in found:
                    places[numbers == one] += moves[one][axis]
                size = strip.col, strip.row, strip.width, strip.height
                datasets.require(band.WriteRaster(*size, places.tobytes()))
        made.SetMetadata(fetched.GetMetadata(DOMAIN), DOMAIN)
        made = None
        datasets.require_written()
        os.replace(stage, self.part)
