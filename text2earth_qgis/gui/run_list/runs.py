"""The list of runs: those under way with their progress, those of before with their results.

Shows ``history.Run`` values and the latest status of each; what the user wants with one is told by signals.
Runs under way are real widgets with a Cancel button, the others are painted.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Callable, Optional

from qgis.gui import QgsFilterLineEdit
from qgis.PyQt.QtCore import QModelIndex, QPoint, QRectF, Qt, pyqtSignal
from qgis.PyQt.QtGui import QKeyEvent, QKeySequence, QPainter, QPalette, QResizeEvent, QTextOption
from qgis.PyQt.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QListView,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from text2earth_qgis.core.language import tr
from text2earth_qgis.core.timers import single_shot
from text2earth_qgis.gui import words
from text2earth_qgis.gui.icons import icon
from text2earth_qgis.gui.notice import Notice
from text2earth_qgis.gui.results import open_folder
from text2earth_qgis.gui.run_list.card import JobCard
from text2earth_qgis.gui.run_list.delegate import RunDelegate
from text2earth_qgis.gui.run_list.model import Read, RunsModel
from text2earth_qgis.gui.run_list.rows import Row

TITLE = 28  # characters of a prompt in a question
PAUSE_MS = 150  # in which the next letter may come
AGAIN = ("generate", "edit", "extend")  # processes that have a form
CONTINUE = tr("Continue this scene")
NONE = tr("No run has these words.")
EMPTY = tr("Your runs appear here. One that finishes while QGIS is closed can be fetched later.")


class _View(QListView):
    """The list; asks for new heights when its width changes, and tells what it is for while empty."""

    deleted = pyqtSignal()  # the key was pressed

    def resizeEvent(self, event: Optional[QResizeEvent]) -> None:
        super().resizeEvent(event)
        self.scheduleDelayedItemsLayout()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Delete):
            self.deleted.emit()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: object) -> None:
        super().paintEvent(event)
        model = self.model()
        if model.rowCount() == 0:
            painter = QPainter(self.viewport())
            colour = self.palette().color(QPalette.ColorRole.Text)
            colour.setAlphaF(0.6)
            painter.setPen(colour)
            option = QTextOption(Qt.AlignmentFlag.AlignHCenter)
            option.setWrapMode(QTextOption.WrapMode.WordWrap)
            room = QRectF(self.viewport().rect().adjusted(12, 12, -12, -12))
            painter.drawText(room, NONE if model.words else EMPTY, option)


def can_continue(row: Row) -> bool:
    """Whether a new scene can continue that of a run."""
    return row.run.state == "fetched" and row.run.process == "generate" and "frame" in row.run.recipe


class RunsPanel(QWidget):
    """Search, buttons for the chosen run, list."""

    cancelled = pyqtSignal(str)
    fetch = pyqtSignal(str)
    show_on_map = pyqtSignal(str)
    use_again = pyqtSignal(str)
    varied = pyqtSignal(str)
    continued = pyqtSignal(str)
    removed = pyqtSignal(str)  # from the list
    discarded = pyqtSignal(str)  # with its file

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.model = RunsModel(self)
        self.view = _View()
        self.view.setModel(self.model)
        self.view.setAccessibleName(tr("Runs"))
        self.delegate = RunDelegate(self.view)
        self.view.setItemDelegate(self.delegate)
        self.view.setUniformItemSizes(False)
        self.view.setMinimumHeight(40)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._menu)
        self.view.doubleClicked.connect(self._activate)
        self.view.deleted.connect(self._ask_to_remove)
        self.view.selectionModel().currentChanged.connect(self._turn)
        self.question = Notice()
        self.search = QgsFilterLineEdit()
        self.search.setShowSearchIcon(True)
        self.search.setPlaceholderText(tr("Search runs"))
        self.search.setAccessibleName(tr("Search runs"))
        self.search.setToolTip(tr("Words of the prompt, the raster's name, the seed or the file's name"))
        self._pause = single_shot(self, self._look, PAUSE_MS)
        self.search.textChanged.connect(lambda _text: self._pause.start())
        self.buttons: dict[str, QToolButton] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(9, 4, 9, 9)
        layout.setSpacing(2)
        layout.addLayout(self._header())
        layout.addWidget(self.question)
        layout.addWidget(self.view, 1)
        self._enable()

    def _header(self) -> QHBoxLayout:
        """Return search and buttons, side by side."""
        header = QHBoxLayout()
        header.setContentsMargins(0, 0, 0, 0)
        header.addWidget(self.search, 1)
        for name, symbol, text in (
            ("fetch", "fetch", tr("Fetch the result")),
            ("show_on_map", "zoom", tr("Show on the map")),
            ("use_again", "reuse", tr("Use these settings and this seed again, for the same picture")),
            ("varied", "dice", tr("Make it again with another seed")),
            ("removed", "remove", tr("Remove from this list…")),
        ):
            button = QToolButton()
            button.setIcon(icon(symbol))
            button.setToolTip(text)
            button.setAccessibleName(text)
            button.setAutoRaise(True)
            button.clicked.connect(lambda _checked=False, what=name: self._tell(what))
            header.addWidget(button)
            self.buttons[name] = button
        return header

    def read(self, read: Read) -> None:
        """List the runs that ``read`` returns."""
        self.model.read(read)
        self._set_cards()

    def put(self, row: Row) -> None:
        """Show a new or changed run; a new one is chosen, and brought into view."""
        key, chosen = row.run.key, self.chosen()
        new = row.progress is not None and self.model.find(key) < 0
        if new and self.model.words:
            self.search.clear()
            self._look()
        self.model.put(row)
        self._set_card(row)
        moved = chosen is not None and chosen.run.key == key and self.view.currentIndex() != self._index(key)
        if new or moved:
            self.choose(key)
        self._enable()

    def remove(self, key: str) -> None:
        """Drop a run from the list."""
        self.model.remove(key)
        self._turn()

    def row(self, key: str) -> Optional[Row]:
        """Return the row of a run."""
        return self.model.row_at(self._index(key))

    def card(self, key: str) -> Optional[JobCard]:
        """Return the widget of a run under way."""
        return self.view.indexWidget(self._index(key))

    def chosen(self) -> Optional[Row]:
        """Return the selected run."""
        return self.model.row_at(self.view.currentIndex())

    def choose(self, key: str) -> None:
        """Select a run, and scroll to it."""
        index = self._index(key)
        self.view.setCurrentIndex(index)
        self.view.scrollTo(index)

    def _index(self, key: str) -> QModelIndex:
        return self.model.index(self.model.find(key))

    def _turn(self, *_index: QModelIndex) -> None:
        """Another run is chosen: what was asked of the one before is not answered any more."""
        self.question.hide()
        self._enable()

    def _look(self) -> None:
        """List what has the words that are looked for."""
        self._pause.stop()
        chosen = self.chosen()
        self.model.search(self.search.text())
        self._set_cards()
        if chosen is not None and self.model.find(chosen.run.key) >= 0:
            self.choose(chosen.run.key)

    def _set_cards(self) -> None:
        for row in self.model.under_way:
            self._set_card(row)
        self._enable()

    def _set_card(self, row: Row) -> None:
        """Give a run under way its widget, take it away afterwards."""
        index = self._index(row.run.key)
        card = self.view.indexWidget(index)
        if row.progress is None or not index.isValid():
            return
        if card is None:
            card = JobCard(row)
            card.cancelled.connect(partial(self.cancelled.emit, row.run.key))
            self.view.setIndexWidget(index, card)
            self.view.scheduleDelayedItemsLayout()
        else:
            card.show_row(row)
            if card.heightForWidth(card.width()) != card.height():
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
        if row is None:
            return
        if what == "removed":
            self._ask_to_remove()
        else:
            getattr(self, what).emit(row.run.key)

    def _ask_to_remove(self) -> None:
        """Ask what of the chosen run is to go."""
        row = self.chosen()
        if row is None or not self._allowed(row)["removed"]:
            return
        key, there = row.run.key, row.run.state == "fetched" and Path(row.run.target).is_file()
        text = tr("Remove “{title}” from the list?")
        actions: dict[str, Callable[[], None]] = {tr("Remove"): partial(self._answer, self.removed, key)}
        if there:
            text = tr("Remove “{title}” from the list? Its file can go to the trash.")
            actions[tr("With its file")] = partial(self._answer, self.discarded, key)
        elif row.run.job and row.run.open:
            text = tr("Remove “{title}” from the list? Its result, which was not fetched, is deleted too.")
        actions[tr("Cancel")] = self.question.hide
        title = words.first_line(row.title, TITLE)
        self.question.tell(text.format(title=title), "warning", actions)

    def _answer(self, signal: pyqtSignal, key: str) -> None:
        self.question.hide()
        signal.emit(key)

    def _activate(self, index: QModelIndex) -> None:
        allowed = self._allowed(self.model.row_at(index))
        for what in ("fetch", "show_on_map"):
            if allowed[what]:
                self._tell(what)

    def _menu(self, place: QPoint) -> None:
        row = self.model.row_at(self.view.indexAt(place))
        if row is None:
            return
        menu, allowed = QMenu(self), self._allowed(row)
        for what, button in self.buttons.items():
            if allowed[what]:
                menu.addAction(button.icon(), button.toolTip(), partial(self._tell, what))
        if can_continue(row):
            menu.addAction(CONTINUE, lambda: self.continued.emit(row.run.key))
        if allowed["show_on_map"]:
            menu.addAction(tr("Open folder"), partial(open_folder, row.run.target))
        if row.seed is not None:
            copy = tr("Copy the seed {seed}").format(seed=row.seed)
            menu.addAction(copy, lambda: QApplication.clipboard().setText(str(row.seed)))
        menu.addAction(tr("Copy the prompt"), lambda: QApplication.clipboard().setText(row.run.prompt))
        menu.exec(self.view.viewport().mapToGlobal(place))
        menu.deleteLater()
