"""Small pictures of variants beside each other, as many in a row as there is room for; one is chosen.

Shows ``history.Run`` values and how far those are that are not there yet. Left and Right go from one to the
next, also from the end of a row. Knows no button and no map.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any, Optional

from qgis.PyQt.QtCore import QAbstractListModel, QModelIndex, QRect, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QKeyEvent, QPainter, QPalette, QResizeEvent
from qgis.PyQt.QtWidgets import (
    QListView,
    QSizePolicy,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from text2earth_qgis.core.language import tr
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.runs.variants import seed_of
from text2earth_qgis.core.runs.watcher import RunStatus
from text2earth_qgis.gui.icons import icon
from text2earth_qgis.gui.run_list.rows import SYMBOLS, progress_text
from text2earth_qgis.gui.run_list.thumbnails import Thumbnails

LEAST, LARGEST = 60, 112  # pixels of a picture's side, frame included
FRAME = 4
BAR = 5  # pixels of height, of the progress


@dataclass(frozen=True)
class Variant:
    """One of the pictures: its run, its number of all of its set, and how far it is."""

    run: Run
    number: int
    of: int
    progress: Optional[RunStatus] = None

    @property
    def ready(self) -> bool:
        """Whether its file is there."""
        return self.run.state == "fetched"

    @property
    def state(self) -> str:
        """Say how it stands, in words."""
        if self.ready:
            return ""
        if self.run.state == "failed":
            return self.run.message or tr("Failed")
        return progress_text(self.progress) if self.progress else tr("Waiting")

    @property
    def title(self) -> str:
        """Name it: its number and its seed."""
        text = tr("Variant {number} of {count}, seed {seed}")
        return text.format(number=self.number, count=self.of, seed=seed_of(self.run))


class PicturesModel(QAbstractListModel):
    """The variants, by number."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.variants: list[Variant] = []

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008 (Qt)
        """Return the number of variants."""
        return 0 if parent.isValid() else len(self.variants)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a variant (UserRole), or what it is called."""
        if not index.isValid():
            return None
        variant = self.variants[index.row()]
        if role == Qt.ItemDataRole.UserRole:
            return variant
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            return ". ".join(text for text in (variant.title, variant.state) if text)
        return None

    def show(self, variants: list[Variant]) -> None:
        """Show these; rows that stay are only painted anew."""
        before = [variant.run.key for variant in self.variants]
        if before == [variant.run.key for variant in variants]:
            self.variants = variants
            self.dataChanged.emit(self.index(0), self.index(len(variants) - 1))
            return
        self.beginResetModel()
        self.variants = variants
        self.endResetModel()


class _Delegate(QStyledItemDelegate):
    """Paints one variant: its picture, or how far it is."""

    def __init__(self, thumbnails: Thumbnails, parent: QListView) -> None:
        super().__init__(parent)
        self._thumbnails = thumbnails

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        return self.parent().gridSize()

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        variant = index.data(Qt.ItemDataRole.UserRole)
        palette, box = option.palette, option.rect.adjusted(1, 1, -1, -1)
        painter.save()
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(box, palette.color(QPalette.ColorRole.Highlight))
        inside = box.adjusted(FRAME - 1, FRAME - 1, 1 - FRAME, 1 - FRAME)
        picture = self._thumbnails.of(variant.run.target) if variant.ready else None
        if picture is not None and not picture.isNull():
            size = picture.size().scaled(inside.size(), Qt.AspectRatioMode.KeepAspectRatio)
            place = QRect(inside.topLeft(), size)
            place.moveCenter(inside.center())
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
            painter.drawPixmap(place, picture)
        else:
            self._paint_wait(painter, palette, inside, variant)
        painter.restore()

    def _paint_wait(self, painter: QPainter, palette: QPalette, inside: QRect, variant: Variant) -> None:
        painter.fillRect(inside, palette.color(QPalette.ColorRole.AlternateBase))
        side = min(inside.width(), 20)
        symbol = QRect(0, 0, side, side)
        symbol.moveCenter(inside.center())
        icon(SYMBOLS[variant.run.state]).paint(painter, symbol)
        percent = variant.progress.percent if variant.progress else None
        if percent:
            bar = QRect(inside.left(), inside.bottom() - BAR + 1, round(inside.width() * percent / 100), BAR)
            painter.fillRect(bar, palette.color(QPalette.ColorRole.Highlight))


class Pictures(QListView):
    """The view. ``chosen`` follows a click or a key, ``kept`` Enter, ``discarded`` Delete: keys of runs."""

    resized = pyqtSignal()  # in height
    chosen = pyqtSignal(str)
    kept = pyqtSignal(str)
    discarded = pyqtSignal(str)

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.pictures = PicturesModel(self)
        self.thumbnails = Thumbnails(self)
        self.setModel(self.pictures)
        self.setItemDelegate(_Delegate(self.thumbnails, self))
        self.setAccessibleName(tr("Variants"))
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setMovement(QListView.Movement.Static)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setUniformItemSizes(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFrameShape(QListView.Shape.NoFrame)
        self.viewport().setAutoFillBackground(False)
        self.thumbnails.came.connect(lambda _path: self.viewport().update())
        self.clicked.connect(lambda index: self._tell(self.chosen, index))

    def show_variants(self, variants: list[Variant], chosen: str) -> None:
        """Show these, one of them chosen, if it is among them."""
        self.pictures.show(variants)
        keys = [variant.run.key for variant in variants]
        if chosen in keys:
            self.setCurrentIndex(self.pictures.index(keys.index(chosen)))
        else:
            self.setCurrentIndex(QModelIndex())
            self.clearSelection()
        self._fit()

    def keyPressEvent(self, event: Optional[QKeyEvent]) -> None:
        """Choose with Left and Right, keep with Enter, discard with Delete."""
        key = event.key() if event is not None else None
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        decisions = {
            Qt.Key.Key_Return: self.kept,
            Qt.Key.Key_Enter: self.kept,
            Qt.Key.Key_Delete: self.discarded,
        }
        if key in steps:
            row = self.currentIndex().row() + steps[key]
            if 0 <= row < self.pictures.rowCount():
                self.setCurrentIndex(self.pictures.index(row))
                self._tell(self.chosen, self.currentIndex())
        elif key in decisions:
            self._tell(decisions[key], self.currentIndex())
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: Optional[QResizeEvent]) -> None:
        """Put as many into a row as the new width has room for."""
        super().resizeEvent(event)
        self._fit()

    def _tell(self, signal: pyqtSignal, index: QModelIndex) -> None:
        if index.isValid():
            signal.emit(self.pictures.variants[index.row()].run.key)

    def _fit(self) -> None:
        count, width = max(1, self.pictures.rowCount()), max(LEAST, self.viewport().width())
        in_row = min(count, width // LEAST)
        rows = ceil(count / in_row)
        side = min(LARGEST, width // in_row)
        self.setGridSize(QSize(side, side))
        height = rows * side + self.height() - self.viewport().height()  # with what the theme draws around it
        if height != self.maximumHeight():
            self.setFixedHeight(height)
            self.resized.emit()
