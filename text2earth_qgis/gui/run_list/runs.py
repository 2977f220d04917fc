"""The list of runs: those under way with their progress, those of before with their results.

Shows ``history.Run`` values and the latest status of each; what the user wants with one is told by signals.
Runs under way are real widgets with a Cancel button, the others are painted.
"""

from __future__ import annotations

from functools import partial
from typing import Callable, Collection, Iterable, Optional

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import (
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    Qt,
    pyqtSignal,
)
from qgis.PyQt.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLineEdit,
    QListView,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from text2earth_qgis.core.language import tr, trn
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.timers import single_shot
from text2earth_qgis.gui import words
from text2earth_qgis.gui.icons import icon
from text2earth_qgis.gui.notice import Notice
from text2earth_qgis.gui.results import open_folder
from text2earth_qgis.gui.run_list.card import JobCard
from text2earth_qgis.gui.run_list.delegate import RunDelegate
from text2earth_qgis.gui.run_list.model import Read, RunsModel
from text2earth_qgis.gui.run_list.rows import Row
from text2earth_qgis.gui.run_list.undo_line import UndoLine
from text2earth_qgis.gui.run_list.view import RunsView

TITLE = 28  # characters of a prompt in a question
PAUSE_MS = 150  # in which the next letter may come
AGAIN = ("generate", "edit", "extend")  # processes that have a form
CONTINUE = tr("Continue this scene")


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
    removed = pyqtSignal(list)  # keys, from the list
    discarded = pyqtSignal(list)  # with their files
    undone = pyqtSignal()
    offer_closed = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.model = RunsModel(self)
        self.view = RunsView()
        self.view.setModel(self.model)
        self.view.setAccessibleName(tr("Runs"))
        self.delegate = RunDelegate(self.view)
        self.view.setItemDelegate(self.delegate)
        self.view.setUniformItemSizes(False)
        self.view.setSelectionMode(QListView.SelectionMode.ExtendedSelection)
        self.view.setMinimumHeight(60)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._menu)
        self.view.doubleClicked.connect(self._activate)
        self.view.deleted.connect(self._ask_to_remove)
        self.view.undone.connect(self.undone)
        self.view.selectionModel().selectionChanged.connect(self._turn)
        self.question = Notice()
        self.offer = UndoLine()
        self.offer.undone.connect(self.undone)
        self.offer.closed.connect(self.offer_closed)
        self.search = QLineEdit()  # QGIS's own is grey on grey in dark themes, once it was cleared
        self.search.setClearButtonEnabled(True)
        self.search.addAction(
            QgsApplication.getThemeIcon("/search.svg"), QLineEdit.ActionPosition.LeadingPosition
        )
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
        layout.addWidget(self.offer)
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

    def remove(self, keys: Collection[str]) -> None:
        """Drop runs from the list; what comes after them is chosen."""
        place = next((first for first, _last in self.model.spans(keys)), -1)
        self.view.clearSelection()  # else it changes with every line
        self.model.remove(keys)
        after = [self.model.row_at(self.model.index(line)) for line in (place, place + 1, place - 1)]
        following = next((row for row in after if row is not None), None)
        if following is not None:
            self.choose(following.run.key)
        self._turn()

    def bring_back(self, runs: Iterable[Run]) -> None:
        """List runs again that were removed, choose them and show the first."""
        rows = [Row(run) for run in runs]
        self.model.insert(rows)
        self._turn()
        self._select(row.run.key for row in rows)

    def offer_undo(self, count: int) -> None:
        """Offer to bring back so many runs, or nothing."""
        self.view.can_undo = count > 0
        self.offer.offer(count)

    def row(self, key: str) -> Optional[Row]:
        """Return the row of a run."""
        return self.model.row_at(self._index(key))

    def card(self, key: str) -> Optional[JobCard]:
        """Return the widget of a run under way."""
        return self.view.indexWidget(self._index(key))

    def selected(self) -> list[Row]:
        """Return the selected runs, from top to bottom."""
        places = sorted(index.row() for index in self.view.selectionModel().selectedIndexes())
        return [row for row in (self.model.row_at(self.model.index(place)) for place in places) if row]

    def chosen(self) -> Optional[Row]:
        """Return the selected run, if it is one."""
        rows = self.selected()
        return rows[0] if len(rows) == 1 else None

    def choose(self, key: str) -> None:
        """Select a run alone, whatever keys are held down, and scroll to it."""
        index = self._index(key)
        alone = QItemSelectionModel.SelectionFlag.ClearAndSelect
        self.view.selectionModel().setCurrentIndex(index, alone)
        self.view.scrollTo(index)

    def _select(self, keys: Iterable[str]) -> None:
        """Select runs that are listed, and scroll to the first of them."""
        spans = self.model.spans(set(keys))
        if spans:
            selection = QItemSelection()
            for first, last in spans:
                selection.select(self.model.index(first), self.model.index(last))
            top, model = self.model.index(spans[0][0]), self.view.selectionModel()
            model.setCurrentIndex(top, QItemSelectionModel.SelectionFlag.NoUpdate)
            model.select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)
            self.view.scrollTo(top)

    def _index(self, key: str) -> QModelIndex:
        return self.model.index(self.model.find(key))

    def _turn(self, *_selection: QItemSelection) -> None:
        """Other runs are chosen: what was asked of those before is not answered any more."""
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
            "show_on_map": over and run.has_file,
            "use_again": run.process in AGAIN,
            "varied": over and run.process in AGAIN,
            "removed": over,
        }

    def _removable(self) -> list[Row]:
        """Return the selected runs that are over."""
        return [row for row in self.selected() if row.progress is None]

    def _enable(self) -> None:
        allowed = {**self._allowed(self.chosen()), "removed": bool(self._removable())}
        for name, button in self.buttons.items():
            button.setEnabled(allowed[name])
        self.buttons["fetch"].setVisible(allowed["fetch"])

    def _tell(self, what: str) -> None:
        row = self.chosen()
        if what == "removed":
            self._ask_to_remove()
        elif row is not None:
            getattr(self, what).emit(row.run.key)

    def _ask_to_remove(self) -> None:
        """Ask what of the chosen runs is to go."""
        rows = self._removable()
        if not rows:
            return
        keys, there = [row.run.key for row in rows], any(row.run.has_file for row in rows)
        actions: dict[str, Callable[[], None]] = {tr("Remove"): partial(self._answer, self.removed, keys)}
        if there:
            with_files = trn("With its file", "With their files", len(rows))
            actions[with_files] = partial(self._answer, self.discarded, keys)
        actions[tr("Cancel")] = self.question.hide
        text = _question_about(rows[0], there) if len(rows) == 1 else _question_about_all(rows, there)
        self.question.tell(text, "warning", actions)

    def _answer(self, signal: pyqtSignal, keys: list[str]) -> None:
        self.question.hide()
        self.view.setFocus()  # so that Ctrl+Z takes it back
        signal.emit(keys)

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
            if button.isEnabled():
                menu.addAction(button.icon(), button.toolTip(), partial(self._tell, what))
        if self.chosen() is None:  # what else there is concerns one run
            self._pop_up(menu, place)
            return
        if can_continue(row):
            menu.addAction(CONTINUE, lambda: self.continued.emit(row.run.key))
        if allowed["show_on_map"]:
            menu.addAction(tr("Open folder"), partial(open_folder, row.run.target))
        if row.seed is not None:
            copy = tr("Copy the seed {seed}").format(seed=row.seed)
            menu.addAction(copy, lambda: QApplication.clipboard().setText(str(row.seed)))
        menu.addAction(tr("Copy the prompt"), lambda: QApplication.clipboard().setText(row.run.prompt))
        self._pop_up(menu, place)

    def _pop_up(self, menu: QMenu, place: QPoint) -> None:
        menu.exec(self.view.viewport().mapToGlobal(place))
        menu.deleteLater()


def _question_about(row: Row, there: bool) -> str:
    """Ask about a run, whose file may be there."""
    text = tr("Remove “{title}” from the list?")
    if there:
        text = tr("Remove “{title}” from the list? Its file can go to the trash.")
    elif row.run.job and row.run.open:
        text = tr("Remove “{title}” from the list? Its result, which was not fetched, is deleted too.")
    return text.format(title=words.first_line(row.title, TITLE))


def _question_about_all(rows: list[Row], there: bool) -> str:
    """Ask about several runs, files of which may be there."""
    text = trn("Remove {count} run from the list?", "Remove {count} runs from the list?", len(rows))
    sentences = [text.format(count=words.number(len(rows)))]
    if there:
        sentences.append(tr("Their files can go to the trash."))
    if any(row.run.job and row.run.open for row in rows):
        sentences.append(tr("Results that were not fetched are deleted too."))
    return " ".join(sentences)
