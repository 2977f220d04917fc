"""Two parts of the dock above each other: the upper gets the height it needs, or what the user gives it."""

from __future__ import annotations

from typing import Callable

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QSplitter, QWidget

from text2earth_qgis.core.timers import single_shot


class Divided(QSplitter):
    """The two parts; ``needed`` is the height of the upper one in pixels."""

    def __init__(self, upper: QWidget, lower: QWidget, needed: Callable[[], int], least: int) -> None:
        """Leave at least ``least`` pixels to the lower part."""
        super().__init__(Qt.Orientation.Vertical)
        self._needed, self._least = needed, least
        self._by_hand = False
        self.addWidget(upper)
        self.addWidget(lower)
        self.setChildrenCollapsible(False)
        self.splitterMoved.connect(self._move)
        self._soon = single_shot(self, self._divide)  # when the parts have their new sizes

    def divide(self) -> None:
        """Divide the height anew, once what is inside has its new width."""
        self._soon.start()

    def store(self, key: str) -> None:
        """Keep where the user moved the line to."""
        if self._by_hand:
            QgsSettings().setValue(key, self.saveState())

    def recall(self, key: str) -> None:
        """Divide as ``store`` kept it."""
        divided = QgsSettings().value(key)
        self._by_hand = bool(divided)
        if divided:
            self.restoreState(divided)

    def _divide(self) -> None:
        if not self._by_hand:
            top = min(self._needed(), self.height() - self._least)
            self.setSizes([top, self.height() - top])

    def _move(self, *_place: int) -> None:
        self._by_hand = True
