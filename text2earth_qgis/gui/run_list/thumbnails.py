"""Small pictures of results for the list of runs, read from their files in the background, each once."""

from __future__ import annotations

from collections import OrderedDict
from typing import Optional

import numpy as np
from osgeo import gdal
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtGui import QImage, QPixmap

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.imagery.datasets import gdal_errors, read, require
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.tasks import BackgroundTask, Listener
from text2earth_qgis.core.timers import single_shot
from text2earth_qgis.core.wire.schemas import Box

SIDE = 96  # pixels of the longer side, for screens that are dense too
KEPT = 300  # pictures
_NOTHING = QPixmap()


class Thumbnails(QObject):
    """Pictures by file; ``came`` tells that one is there that was asked for before.

    They may be asked for while a widget is painted: a task begins only after that, since QGIS repaints its
    own bar of progress at once then, and Qt does not survive that within another painting.
    """

    came = pyqtSignal(str)

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._pictures: OrderedDict[str, QPixmap] = OrderedDict()
        self._wanted: list[str] = []
        self._task: Optional[BackgroundTask] = None
        self._closed = False
        self._soon = single_shot(self, self._go_on)

    def of(self, path: str) -> QPixmap:
        """Return the picture of a file; an empty one if it is not read yet, or cannot be."""
        if path in self._pictures:
            self._pictures.move_to_end(path)
        elif path not in self._wanted:
            self._wanted.append(path)
            self._soon.start()
        return self._pictures.get(path, _NOTHING)

    def close(self) -> None:
        """Read nothing any more, also if the widget is painted once more."""
        self._closed = True
        self._soon.stop()
        self._wanted.clear()
        if self._task is not None:
            self._task.drop()
            self._task = None

    def _go_on(self) -> None:
        """Read the picture that was asked for last: what is seen now."""
        if self._task is None and self._wanted and not self._closed:
            path = self._wanted[-1]
            self._task = BackgroundTask(
                tr("reading a thumbnail"),
                lambda _listener: thumbnail(path, _listener),
                lambda image, _error: self._take(path, image),
                quiet=True,
            )
            self._task.start()

    def _take(self, path: str, image: Optional[QImage]) -> None:
        self._task = None
        if path in self._wanted:
            self._wanted.remove(path)
        self._pictures[path] = _NOTHING if image is None else QPixmap.fromImage(image)
        while len(self._pictures) > KEPT:
            self._pictures.popitem(last=False)
        if image is not None:
            self.came.emit(path)
        self._go_on()


def thumbnail(path: str, _listener: Listener) -> QImage:
    """Return a small picture of the first three bands of a raster, or its only one. Raises ``PluginError``.

    Bytes are shown as they are, other values between their 2nd and 98th percentile.
    """
    with gdal_errors(tr("This result cannot be shown")):
        dataset = require(gdal.OpenEx(path, gdal.OF_RASTER | gdal.OF_READONLY))
        width, height = dataset.RasterXSize, dataset.RasterYSize
        share = SIDE / max(width, height)
        shape = max(1, round(height * share)), max(1, round(width * share))
        numbers = (1, 2, 3) if dataset.RasterCount >= 3 else (1, 1, 1)
        whole = Box(0, 0, width, height)
        bands = [read(require(dataset.GetRasterBand(number)), whole, shape) for number in numbers]
    if any(band.dtype.kind == "c" for band in bands):
        raise PluginError(tr("Complex numbers have no colour."))
    pixels = np.ascontiguousarray(np.stack([_bytes(band) for band in bands], axis=-1))
    image = QImage(pixels.tobytes(), shape[1], shape[0], 3 * shape[1], QImage.Format.Format_RGB888)
    return image.copy()  # of the bytes, which nobody else holds


def _bytes(band: np.ndarray) -> np.ndarray:
    if band.dtype == np.uint8:
        return band
    there = band[np.isfinite(band)] if band.dtype.kind == "f" else band
    low, high = np.percentile(there, (2, 98)) if there.size else (0.0, 1.0)
    stretched = (band.astype(np.float64) - low) * (255 / max(float(high - low), 1e-9))
    return np.nan_to_num(stretched).clip(0, 255).astype(np.uint8)
