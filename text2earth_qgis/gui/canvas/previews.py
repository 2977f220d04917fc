"""Unfinished pictures of jobs, painted in place on the canvas.

Fetches the preview that a status links to, one at a time for each job, and shows it in a ``PreviewItem``.
Knows no widget of the dock.
"""

from __future__ import annotations

from typing import Callable, Optional

from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtGui import QImage

from text2earth_qgis.core.crs import crs_of
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.runs.watcher import RunStatus
from text2earth_qgis.core.wire import calls
from text2earth_qgis.core.wire.async_client import AsyncClient
from text2earth_qgis.core.wire.schemas import Link
from text2earth_qgis.gui.canvas.preview_item import PreviewItem


class Previews(QObject):
    """The previews of all jobs under way."""

    def __init__(
        self, canvas: QgsMapCanvas, client: Callable[[], AsyncClient], parent: Optional[QObject] = None
    ) -> None:
        """Paint on ``canvas``; ``client`` returns what to ask with."""
        super().__init__(parent)
        self._canvas = canvas
        self._client = client
        self._items: dict[str, PreviewItem] = {}
        self._asked: set[str] = set()

    def follow(self, progress: RunStatus) -> None:
        """Show the latest preview of a job, if it has one."""
        key, status = progress.run.key, progress.status
        link = status.link("preview") if status is not None and status.status == "running" else None
        if link is None or not link.outline or key in self._asked:
            return
        self._asked.add(key)
        self._client().run(
            calls.fetch(link.href),
            lambda data: self._show(key, link, data),
            lambda error: self._missed(key, error),
        )

    def drop(self, key: str) -> None:
        """Take the preview of a job off the canvas."""
        self._asked.discard(key)
        item = self._items.pop(key, None)
        if item is not None:
            item.remove()

    def clear(self) -> None:
        """Take all previews off the canvas."""
        for key in list(self._items):
            self.drop(key)
        self._asked.clear()

    def items(self) -> list[PreviewItem]:
        """Return the previews on the canvas."""
        return list(self._items.values())

    def _show(self, key: str, link: Link, data: bytes) -> None:
        image, crs = QImage.fromData(data), crs_of(link.crs)
        if key not in self._asked or image.isNull() or not crs.isValid():
            return
        self._asked.discard(key)
        if key not in self._items:
            self._items[key] = PreviewItem(self._canvas)
        self._items[key].show_image(image, link.outline, crs)

    def _missed(self, key: str, _error: PluginError) -> None:
        """A preview may be gone by the time it is asked for: the next status links to the next one."""
        self._asked.discard(key)
