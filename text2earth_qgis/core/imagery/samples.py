"""Samples: "like here", an area of the user's raster that shows how land by example is to look.

Finds the area's pixels, cuts them out of the file with a margin, and sends that. What is made of it is the
backend's to say. Any thread; what needs the main thread has been read into a ``SampleRequest`` already.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Optional, Sequence

from osgeo import gdal
from qgis.core import QgsCoordinateTransformContext, QgsRasterLayer

from text2earth_qgis.core.errors import RasterRefused
from text2earth_qgis.core.imagery import crops, datasets, masks, rasters, roles
from text2earth_qgis.core.imagery.datasets import RasterFile, Stop
from text2earth_qgis.core.imagery.rasters import DisplayedBands
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.tasks import Listener
from text2earth_qgis.core.threads import pool_thread_released
from text2earth_qgis.core.wire import calls
from text2earth_qgis.core.wire.access import Access
from text2earth_qgis.core.wire.schemas import Box, Json, Polygons
from text2earth_qgis.core.wire.transport import open_client
from text2earth_qgis.core.wire.uploads import Uploads

ROLE = roles.SAMPLE  # of the polygons
NAME = "sample {}"  # as the backend calls them, by their numbers from 1
MARGIN = 64  # pixels around an area, in which its shore may lie
SIDE = 2048  # pixels of a square that is as large as a sample can be


@dataclass(frozen=True)
class SampleRequest:
    """A sample as asked for: polygons on a raster (None: all of it), and in ``words`` what they show.

    ``layer`` is the id of the raster's layer in the project, to find it again.
    """

    source: RasterFile
    displayed: DisplayedBands
    area: Optional[masks.MaskPolygons]
    words: str
    context: QgsCoordinateTransformContext
    layer: str = ""

    def check(self, stop: Stop) -> None:
        """Refuse what cannot be sent. Raises ``RasterRefused`` with what to do."""
        _located(self, self.source.open(), stop)


def sample_of(
    layer: QgsRasterLayer,
    area: Optional[masks.MaskPolygons],
    words: str,
    context: QgsCoordinateTransformContext,
) -> SampleRequest:
    """Return the sample of a layer, in the main thread. Raises ``RasterRefused``."""
    if layer.providerType() != "gdal":
        raise RasterRefused(
            tr(
                "'{name}' has no raster file that a sample could be cut out of. Choose another raster, "
                "or save it as GeoTIFF first (Export > Save As)."
            ).format(name=layer.name())
        )
    file, displayed = rasters.file_of(layer), rasters.displayed_bands(layer)
    return SampleRequest(file, displayed, area, words.strip(), context, layer.id())


class SentSamples(NamedTuple):
    """The input ``samples``, and columns and rows where the parts of the rasters begin that were sent.

    Corners are by the names that the backend has for samples.
    """

    inputs: list[Json]
    corners: dict[str, tuple[int, int]]


def send_alone(access: Access, samples: Sequence[SampleRequest], listener: Listener) -> SentSamples:
    """Send the samples of a request that sends no other file."""
    uploads = Uploads(access, open_client(access, listener), listener)
    try:
        with tempfile.TemporaryDirectory(prefix="text2earth-") as folder:
            return send(samples, uploads, Path(folder))
    except BaseException:
        uploads.keep([])
        raise


def send(samples: Sequence[SampleRequest], uploads: Uploads, folder: Path) -> SentSamples:
    """Send samples, by way of files in ``folder``."""
    sent = SentSamples([], {})
    for number, sample in enumerate(samples, 1):
        found, corner = _send_one(sample, uploads, folder)
        sent.inputs.append(found)
        sent.corners[NAME.format(number)] = corner
    return sent


def _send_one(sample: SampleRequest, uploads: Uploads, folder: Path) -> tuple[Json, tuple[int, int]]:
    """Send a sample; return its input, and the corner of what was sent."""
    source, listener, path = sample.source.open(), uploads.listener, folder / "sample.tif"
    box, polygons = _located(sample, source, listener.stop)
    with pool_thread_released():
        crops.write(source, sample.source, box, path, listener.stop)
    bands = crops.bands_shown(source, sample.displayed)
    stretch = crops.stretch_as_displayed(source, sample.displayed, bands)
    listener.say(
        tr("{width} x {height} pixels of '{name}' are sent as a sample to {backend} ({size:.1f} MB).").format(
            width=box.width,
            height=box.height,
            name=sample.source.name,
            backend=calls.site(uploads.client.base_url),
            size=path.stat().st_size / 1e6,
        )
    )
    found: Json = {"source": uploads.send(path).to_json(), "words": sample.words}
    path.unlink()
    if polygons is not None:
        found["area"] = polygons.to_json()
    if bands:
        found["bands"] = list(bands)
    if bands and stretch:
        found["stretch"] = [list(pair) for pair in stretch]
    return found, (box.col, box.row)


def _located(sample: SampleRequest, source: gdal.Dataset, stop: Stop) -> tuple[Box, Optional[Polygons]]:
    """Return the pixels to send, and the polygons as they travel."""
    crops.check_editable(source, sample.source)
    grid = datasets.grid_of(source, sample.source)
    if sample.area is None:
        box, polygons = grid.box, None
    else:
        placement = masks.MaskPlacement(grid, sample.context)
        polygons, around = masks.polygons_to_send(sample.area, placement, stop)
        if polygons is None:
            raise RasterRefused(
                tr(
                    "The area of the sample '{name}' has too many corners to be sent. Simplify it, or "
                    "draw a plainer one."
                ).format(name=sample.area.name)
            )
        inside = datasets.overlap(datasets.grown(around, MARGIN), grid.box)
        if inside is None:
            raise masks.outside_raster(ROLE)
        box = inside
    if box.width * box.height > SIDE * SIDE:
        said = (
            tr(
                "A sample may have {side:,} x {side:,} pixels; its area with a margin has {width:,} x "
                "{height:,} of '{name}'. Draw or select a smaller area."
            )
            if sample.area is not None
            else tr(
                "A sample may have {side:,} x {side:,} pixels; the raster has {width:,} x {height:,} of "
                "'{name}'. Draw or select a smaller area."
            )
        )
        raise RasterRefused(
            said.format(side=SIDE, width=box.width, height=box.height, name=sample.source.name)
        )
    return box, polygons
