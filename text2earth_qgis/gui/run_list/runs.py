"""The list of runs: those under way with their progress, those of before with their results.

Shows ``history.Run`` values and the latest status of each; what the user wants with one is told by signals.
Runs under way are real widgets with a Cancel button, the others are painted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from qgis.PyQt.QtCore import QModelIndex, QPoint, QRectF, Qt, pyqtSignal
from qgis.PyQt.QtGui import QPainter, QPalette, QResizeEvent, QTextOption
from qgis.PyQt.QtWidgets import (
    QApplication,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListView,
    QMenu,
    QProgressBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from text2earth_qgis.core.language import tr
from text2earth_qgis.gui.icons import icon
from text2earth_qgis.gui.run_list.rows import (
    PAD,
    SYMBOLS,
    Row,
    RunDelegate,
    RunsModel,
    progress_text,
    tooltip,
)

AGAIN = ("generate", "edit", "extend")  # processes that have a form
CONTINUE = tr("Continue this scene")
EMPTY = tr("Your runs appear here. One that finishes while QGIS is closed can be fetched later.")


class JobCard(QWidget):
    """A run under way: prompt, what is happening, progress, Cancel."""

    cancelled = pyqtSignal()

    def __init__(self, row: Row, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._row = row
        self._symbol = QLabel()
        self._title = QLabel()
        self._phase = QLabel()
        for label in (self._title, self._phase):
            label.setMinimumWidth(20)
            label.setTextFormat(Qt.TextFormat.PlainText)
        self._bar = QProgressBar()
        self._phase.setWordWrap(True)  # what went wrong may be long
        self._bar.setTextVisible(False)
        self._bar.setRange(0, 1000)
        self._bar.setValue(0)
        self._bar.setFixedHeight(8)
        self.cancel = QToolButton()
        self.cancel.setText(tr("Cancel"))
        self.cancel.clicked.connect(lambda _checked=False: self.cancelled.emit())
        layout = QGridLayout(self)
        layout.setContentsMargins(PAD, PAD, PAD, PAD)
        layout.setVerticalSpacing(3)
        layout.setColumnStretch(1, 1)
        layout.addWidget(self._symbol, 0, 0)
        layout.addWidget(self._title, 0, 1)
        layout.addWidget(self.cancel, 0, 2)
        layout.addWidget(self._bar, 1, 1, 1, 2)
        layout.addWidget(self._phase, 2, 1, 1, 2)
        self.show_row(row)

    def show_row(self, row: Row) -> None:
        """Show where the run stands."""
        self._row = row
        size = self.fontMetrics().height()
        self._symbol.setPixmap(icon(SYMBOLS[row.run.state]).pixmap(size, size))
        self.cancel.setEnabled(row.run.state != "dismissing")
        if row.progress is not None and row.progress.percent is not None:  # else as far as it was
            self._bar.setValue(round(10 * row.progress.percent))
        self._fit()

    def phase(self) -> str:
        """Return the phrase that says how far the run is."""
        return progress_text(self._row.progress) if self._row.progress else ""

    def progress(self) -> float:
        """Return the share of the bar that is filled."""
        return self._bar.value() / 1000

    def resizeEvent(self, event: Optional[QResizeEvent]) -> None:
        """Fit the texts."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        title, elide = self._title, Qt.TextElideMode.ElideRight
        title.setText(title.fontMetrics().elidedText(self._row.title, elide, title.width()))
        self._phase.setText(self.phase())
        self.setToolTip(tooltip(self._row.run))


class _View(QListView):
    """The list; asks for new heights when its width changes, and tells what it is for while empty."""

    def resizeEvent(self, event: Optional[QResizeEvent]) -> None:
        super().resizeEvent(event)
        self.scheduleDelayedItemsLayout()

    def paintEvent(self, event: object) -> None:
        super().paintEvent(event)
        if self.model().rowCount() == 0:
            painter = QPainter(self.viewport())
            colour = self.palette().color(QPalette.ColorRole.Text)
            colour.setAlphaF(0.6)
            painter.setPen(colour)
            option = QTextOption(Qt.AlignmentFlag.AlignHCenter)
            option.setWrapMode(QTextOption.WrapMode.WordWrap)
            painter.drawText(QRectF(self.viewport().rect().adjusted(12, 12, -12, -12)), EMPTY, option)


def can_continue(row: Row) -> bool:
    """Whether a new scene can continue that of a run."""
    return row.run.state == "fetched" and row.run.process == "generate" and "frame" in row.run.recipe


class RunsPanel(QWidget):
    """Title, buttons for the chosen run, list."""

    cancelled = pyqtSignal(str)
    fetch = pyqtSignal(str)
    show_on_map = pyqtSignal(str)
    use_again = pyqtSignal(str)
    varied = pyqtSignal(str)
    continued = pyqtSignal(str)
    removed = pyqtSignal(str)

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.model = RunsModel(self)
        self.view = _View()
        self.view.setModel(self.model)
        self.view.setAccessibleName(tr("Runs"))
        self.delegate = RunDelegate(self.view)
        self.view.setItemDelegate(self.delegate)
        self.view.setUniformItemSizes(False)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._menu)
        self.view.doubleClicked.connect(self._activate)
        self.view.selectionModel().currentChanged.connect(lambda *_: self._enable())
        self.buttons: dict[str, QToolButton] = {}
        header = QHBoxLayout()
        header.setContentsMargins(0, 0, 0, 0)
        header.addWidget(QLabel(tr("Runs")))
        header.addStretch(1)
        for name, symbol, text in (
            ("fetch", "fetch", tr("Fetch the result")),
            ("show_on_map", "zoom", tr("Show on the map")),
            ("use_again", "reuse", tr("Use these settings and this seed again, for the same picture")),
            ("varied", "dice", tr("Make it again with another seed")),
            ("removed", "remove", tr("Remove from this list")),
        ):
            button = QToolButton()
            button.setIcon(icon(symbol))
            button.setToolTip(text)
            button.setAccessibleName(text)
            button.setAutoRaise(True)
            button.clicked.connect(lambda _checked=False, what=name: self._tell(what))
            header.addWidget(button)
            self.buttons[name] = button
        layout = QVBoxLayout(self)
        layout.setContentsMargins(9, 4, 9, 9)
        layout.setSpacing(2)
        layout.addLayout(header)
        layout.addWidget(self.view, 1)
        self._enable()

    def reset(self, rows: list[Row]) -> None:
        """Show these runs, newest first."""
        self.model.reset(rows)
        for row in rows:
            if row.progress is not None:
                self._set_card(row)
        self._enable()

    def put(self, row: Row) -> None:
        """Show a new or changed run."""
        self.model.put(row)
        self._set_card(row)
        self._enable()

    def remove(self, key: str) -> None:
        """Drop a run from the list."""
        self.model.remove(key)
        self._enable()

    def row(self, key: str) -> Optional[Row]:
        """Return the row of a run."""
        place = self.model.find(key)
        return self.model.rows[place] if place >= 0 else None

    def card(self, key: str) -> Optional[JobCard]:
        """Return the widget of a run under way."""
        return self.view.indexWidget(self.model.index(self.model.find(key)))

    def chosen(self) -> Optional[Row]:
        """Return the selected run."""
        index = self.view.currentIndex()
        return self.model.rows[index.row()] if index.isValid() else None

    def choose(self, key: str) -> None:
        """Select a run."""
        self.view.setCurrentIndex(self.model.index(self.model.find(key)))

    def _set_card(self, row: Row) -> None:
        """Give a run under way its widget, take it away afterwards."""
        index = self.model.index(self.model.find(row.run.key))
        card = self.view.indexWidget(index)
        if row.progress is not None:
            if card is None:
                card = JobCard(row)
                card.cancelled.connect(lambda key=row.run.key: self.cancelled.emit(key))
                self.view.setIndexWidget(index, card)
                self.view.scheduleDelayedItemsLayout()
            else:
                card.show_row(row)
                if card.heightForWidth(card.width()) != card.height():
                    self.view.scheduleDelayedItemsLayout()
        elif card is not None:
            card.hide()  # it is deleted only in the next turn of the event loop
            self.view.setIndexWidget(index, None)
            self.view.scheduleDelayedItemsLayout()

    def _allowed(self, row: Optional[Row]) -> dict[str, bool]:
        if row is None:
            return dict.fromkeys(self.buttons, False)
        run, over = row.run, row.progress is None
        return {
            "fetch": over and run.open,
            "show_on_map": over and run.state == "fetched" and Path(run.target).is_file(),
            "use_again": run.process in AGAIN,
            "varied": over and run.process in AGAIN,
            "removed": over,
        }

    def _enable(self) -> None:
        allowed = self._allowed(self.chosen())
        for name, button in self.buttons.items():
            button.setEnabled(allowed[name])
        self.buttons["fetch"].setVisible(allowed["fetch"])

    def _tell(self, what: str) -> None:
        row = self.chosen()
        if row is not None:
            getattr(self, what).emit(row.run.key)

    def _activate(self, index: QModelIndex) -> None:
        allowed = self._allowed(self.model.rows[index.row()])
        for what in ("fetch", "show_on_map"):
            if allowed[what]:
                self._tell(what)

    def _menu(self, place: QPoint) -> None:
        row = self.chosen()
        if row is None or not self.view.indexAt(place).isValid():
            return
        menu, allowed = QMenu(self), self._allowed(row)
        for what, button in self.buttons.items():
            if allowed[what]:
                menu.addAction(button.icon(), button.toolTip(), lambda what=what: self._tell(what))
        if can_continue(row):
            menu.addAction(CONTINUE, lambda: self.continued.emit(row.run.key))
        if row.seed is not None:
            menu.addAction(
                tr("Copy the seed {seed}").format(seed=row.seed),
                lambda: QApplication.clipboard().setText(str(row.seed)),
            )
        menu.addAction(
            tr("Copy the prompt"), lambda: QApplication.clipboard().setText(str(row.run.inputs.get("prompt")))
        )
        menu.exec(self.view.viewport().mapToGlobal(place))
        menu.deleteLater()
