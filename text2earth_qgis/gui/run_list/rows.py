"""The rows of the list of runs: what they say, and how those that are over are painted.

Turns a ``history.Run`` and, while it is under way, its ``RunStatus`` into words. Knows no button.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Optional

from qgis.PyQt.QtCore import QAbstractListModel, QModelIndex, QPoint, QRect, QSize, Qt
from qgis.PyQt.QtGui import QPainter, QPalette, QPixmap, QTextLayout
from qgis.PyQt.QtWidgets import (
    QApplication,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from text2earth_qgis.core.language import tr
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.runs.phases import phase
from text2earth_qgis.core.runs.watcher import RunStatus
from text2earth_qgis.gui import words
from text2earth_qgis.gui.icons import icon
from text2earth_qgis.gui.run_list.thumbnails import Thumbnails

SYMBOLS = {
    "preparing": "queued", "submitting": "queued", "accepted": "queued", "running": "running",
    "dismissing": "dismissed", "successful": "fetch", "fetched": "successful", "failed": "failed",
    "dismissed": "dismissed",
}  # fmt: skip
SETTINGS = {  # in a recipe
    "model": tr("Model: {value}"), "seed": tr("Seed: {value}"), "level": tr("Level: {value}"),
    "steps": tr("Steps: {value}"), "sampler": tr("Sampler: {value}"), "guidance": tr("Guidance: {value}"),
}  # fmt: skip
PAD = 6
MOST_LINES = 3  # of a sentence about a failure


@dataclass(frozen=True)
class Row:
    """One line of the list: the stored run, and where it stands if it is under way."""

    run: Run
    progress: Optional[RunStatus] = None

    @property
    def title(self) -> str:
        """Return the prompt on one line."""
        return words.first_line(str(self.run.inputs.get("prompt") or "")) or tr("Without prompt")

    @property
    def seed(self) -> Optional[int]:
        """Return the seed, as soon as it is known."""
        status = self.progress.status if self.progress else None
        return self.run.recipe.get("seed", status.seed if status else None)


def progress_text(progress: RunStatus) -> str:
    """Describe how far a run under way is, as a phrase."""
    status = progress.status
    if status is None or status.finished:
        return progress.text
    if status.status == "accepted":
        place = status.queue_position
        if not place:
            return tr("Waiting")
        return (
            tr("Next in the queue")
            if place == 1
            else tr("{place} in the queue").format(place=words.ordinal(place))
        )
    text = progress.text.strip().rstrip(".")
    if not status.eta:
        return text
    return f"{text} · " + tr("{time} left").format(time=words.duration(status.eta))


def detail(run: Run) -> str:
    """Describe a run that is over, or waits to be fetched, in one line."""
    when = words.moment(datetime.fromisoformat(run.created))
    if run.state == "failed" or (run.open and run.message):
        return " · ".join((when, run.message or tr("failed")))
    if run.open:
        host = words.host(run.server)
        where = tr("on this computer") if words.is_local(run.server) else tr("on {host}").format(host=host)
        return f"{when} · {where}"
    if run.state == "dismissed":
        return " · ".join((when, tr("cancelled")))
    parts, grid = [when], run.recipe.get("resampled") or run.recipe.get("grid")
    edited = edited_raster(run)
    if edited:
        parts.append(edited)
    elif grid:
        parts.append(f"{words.number(grid['width'])} × {words.number(grid['height'])} px")
    if run.recipe.get("seed") is not None:
        parts.append(tr("seed {seed}").format(seed=run.recipe["seed"]))
    return " · ".join(parts)


def edited_raster(run: Run) -> str:
    """Return the name of the raster that a run edits, empty if it edits none."""
    return str(run.assembly.get("source", {}).get("name") or "")


def tooltip(run: Run) -> str:
    """Return everything worth knowing about a run."""
    lines = [str(run.inputs.get("prompt") or ""), ""]
    lines += [text for text in (phase(run.message), run.notes) if text]
    for name, text in SETTINGS.items():
        if run.recipe.get(name) is not None:
            lines.append(text.format(value=run.recipe[name]))
    if edited_raster(run):
        lines.append(tr("Raster: {value}").format(value=edited_raster(run)))
    lines.append(tr("Backend: {value}").format(value=run.server))
    if run.state == "fetched":
        lines.append(tr("File: {value}").format(value=run.target))
    if run.project:
        lines.append(tr("Project: {value}").format(value=run.project))
    return "\n".join(lines)


class RunsModel(QAbstractListModel):
    """The rows, newest first."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.rows: list[Row] = []

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008 (Qt)
        """Return the number of runs."""
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return title, tooltip, or the Row itself (UserRole)."""
        if not index.isValid():
            return None
        row = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return row.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip(row.run)
        return row if role == Qt.ItemDataRole.UserRole else None

    def find(self, key: str) -> int:
        """Return the place of a run, -1 if it is not listed."""
        return next((place for place, row in enumerate(self.rows) if row.run.key == key), -1)

    def put(self, row: Row) -> None:
        """Show a new or changed run."""
        place = self.find(row.run.key)
        if place < 0:
            self.beginInsertRows(QModelIndex(), 0, 0)
            self.rows.insert(0, row)
            self.endInsertRows()
        else:
            self.rows[place] = row
            index = self.index(place)
            self.dataChanged.emit(index, index)

    def remove(self, key: str) -> None:
        """Drop a run from the list."""
        place = self.find(key)
        if place >= 0:
            self.beginRemoveRows(QModelIndex(), place, place)
            del self.rows[place]
            self.endRemoveRows()

    def reset(self, rows: list[Row]) -> None:
        """Show other runs."""
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()


class RunDelegate(QStyledItemDelegate):
    """Paints a run that is over: its picture or a symbol, prompt, one dimmed line; a failure gets up to
    three."""

    def __init__(self, parent: QListView) -> None:
        super().__init__(parent)
        self.thumbnails = Thumbnails(self)
        self.thumbnails.came.connect(lambda _path: parent.viewport().update())

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """Return the height that the texts take at the width of the view."""
        row = index.data(Qt.ItemDataRole.UserRole)
        view = option.widget
        card = view.indexWidget(index) if view is not None else None
        width = view.viewport().width() if view is not None else 280
        if card is not None:
            return QSize(50, card.heightForWidth(width))
        lines = 1 + len(self._lines(option, row, width - self._indent(option) - PAD))
        return QSize(50, lines * option.fontMetrics.height() + 2 * PAD + 1)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw one row."""
        style = option.widget.style() if option.widget else QApplication.style()
        style.drawPrimitive(QStyle.PrimitiveElement.PE_PanelItemViewItem, option, painter, option.widget)
        row = index.data(Qt.ItemDataRole.UserRole)
        if row.progress is not None:
            return
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        role = QPalette.ColorRole.HighlightedText if selected else QPalette.ColorRole.Text
        colour = option.palette.color(role)
        size = option.fontMetrics.height()
        box = option.rect.adjusted(0, PAD, -PAD, -PAD)
        symbol = QRect(box.left() + PAD, box.top(), size, size)
        if selected and row.run.state != "fetched":  # keeps the symbol's colours apart from the selection's
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(option.palette.color(QPalette.ColorRole.Base))
            painter.drawEllipse(symbol.adjusted(-1, -1, 1, 1))
        self._paint_picture(painter, row.run, symbol, option.widget)
        text = box.adjusted(self._indent(option), 0, 0, 0)
        painter.setPen(colour)
        base = text.topLeft() + QPoint(0, option.fontMetrics.ascent())
        title = option.fontMetrics.elidedText(row.title, Qt.TextElideMode.ElideRight, text.width())
        painter.drawText(base, title)
        colour.setAlphaF(0.7)
        painter.setPen(colour)
        for place, line in enumerate(self._lines(option, row, text.width()), 1):
            painter.drawText(base + QPoint(0, place * size), line)

    def _paint_picture(self, painter: QPainter, run: Run, symbol: QRect, widget: Optional[QWidget]) -> None:
        """Draw the picture of a result, as high as both lines; the symbol of what has none."""
        picture = self.thumbnails.of(run.target) if run.state == "fetched" else QPixmap()
        if picture.isNull():
            icon(SYMBOLS[run.state]).paint(painter, symbol)
            return
        room = symbol.adjusted(0, 0, symbol.height(), symbol.height())
        size = picture.size().scaled(room.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRect(QPoint(0, 0), size)
        place.moveCenter(room.center())
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
        painter.drawPixmap(place, picture)

    def _indent(self, option: QStyleOptionViewItem) -> int:
        return 2 * option.fontMetrics.height() + 2 * PAD

    def _lines(self, option: QStyleOptionViewItem, row: Row, width: int) -> list[str]:
        """Return the lines below the prompt, the last one cut to ``width`` pixels."""
        text, most = detail(row.run), MOST_LINES if row.run.state == "failed" or row.run.open else 1
        layout, starts = QTextLayout(text, option.font), []
        layout.beginLayout()
        line = layout.createLine()
        while line.isValid():
            line.setLineWidth(max(40, width))
            starts.append(line.textStart())
            line = layout.createLine()
        layout.endLayout()
        ends = [*starts[1:], len(text)]
        lines = [text[start:end].strip() for start, end in zip(starts, ends)][: most - 1]
        rest = text[starts[len(lines)] :] if len(starts) > len(lines) else ""
        return [*lines, option.fontMetrics.elidedText(rest, Qt.TextElideMode.ElideRight, width)]
