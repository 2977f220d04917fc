"""How the list of runs is painted: headings, and runs that are over with their pictures."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import QModelIndex, QPoint, QRect, QSize, Qt
from qgis.PyQt.QtGui import QFont, QFontMetrics, QPainter, QPalette, QPixmap, QTextLayout
from qgis.PyQt.QtWidgets import (
    QApplication,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.gui.icons import icon
from text2earth_qgis.gui.run_list.model import Heading
from text2earth_qgis.gui.run_list.rows import PAD, SYMBOLS, Row, detail
from text2earth_qgis.gui.run_list.thumbnails import Thumbnails

MARK = 3  # pixels at the left of a chosen card
MOST_LINES = 3  # of a sentence about a failure


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
        if isinstance(row, Heading):
            return QSize(50, option.fontMetrics.height() + 2 * PAD)
        view = option.widget
        card = view.indexWidget(index) if view is not None else None
        width = view.viewport().width() if view is not None else 280
        if card is not None:
            return QSize(50, card.heightForWidth(width))
        lines = 2
        if _may_be_long(row.run):
            lines = 1 + len(self._lines(option, row, width - self._indent(option) - PAD))
        return QSize(50, lines * option.fontMetrics.height() + 2 * PAD + 1)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw one row."""
        row = index.data(Qt.ItemDataRole.UserRole)
        if isinstance(row, Heading):
            _paint_heading(painter, option, row.title)
            return
        if row.progress is not None:  # its card says the rest, in colours for the list's own ground
            if option.state & QStyle.StateFlag.State_Selected:
                mark = QRect(option.rect.topLeft(), QSize(MARK, option.rect.height()))
                painter.fillRect(mark, option.palette.color(QPalette.ColorRole.Highlight))
            return
        style = option.widget.style() if option.widget else QApplication.style()
        style.drawPrimitive(QStyle.PrimitiveElement.PE_PanelItemViewItem, option, painter, option.widget)
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
        colour.setAlphaF(1.0 if selected else 0.7)  # some themes' selections are hard enough to read
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
        text, most = detail(row.run), MOST_LINES if _may_be_long(row.run) else 1
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
        last = option.fontMetrics.elidedText(rest, Qt.TextElideMode.ElideRight, width)
        return [*lines, last] if last else lines


def _may_be_long(run: Run) -> bool:
    """Whether what is said of a run may take more than a line."""
    return run.state == "failed" or run.open


def _paint_heading(painter: QPainter, option: QStyleOptionViewItem, title: str) -> None:
    """Draw what stands above the runs of a day."""
    font = QFont(option.font)
    font.setBold(True)
    painter.setFont(font)
    colour = option.palette.color(QPalette.ColorGroup.Active, QPalette.ColorRole.Text)
    colour.setAlphaF(0.7)
    painter.setPen(colour)
    room = option.rect.adjusted(PAD, PAD, -PAD, 0)
    text = QFontMetrics(font).elidedText(title, Qt.TextElideMode.ElideRight, room.width())
    painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, text)
    painter.setFont(option.font)
