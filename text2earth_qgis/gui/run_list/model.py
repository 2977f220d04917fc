"""The lines of the list of runs: those under way first, then the others day by day, the newest first.

Reads runs page by page as the list is scrolled, and only those with the words that are looked for. What is
shown of a run, ``rows`` knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from heapq import merge
from typing import Any, Callable, Collection, Iterable, Optional, Union

from qgis.PyQt.QtCore import QAbstractListModel, QModelIndex, QObject, Qt

from text2earth_qgis.core.language import tr
from text2earth_qgis.core.runs.history import PAGE, Run
from text2earth_qgis.gui import words
from text2earth_qgis.gui.run_list.rows import Row, tooltip

Read = Callable[[str, Optional[Run]], list[Run]]  # those with words, older than a run
NOWHERE = QModelIndex()


@dataclass(frozen=True)
class Heading:
    """What stands above the runs of a day, or (None) above those under way."""

    day: Optional[date]

    @property
    def title(self) -> str:
        """What it says; a day is another one tomorrow."""
        return tr("Under way") if self.day is None else words.day(self.day)


Line = Union[Heading, Row]


def heading_of(row: Row) -> Heading:
    """Return what a run stands under."""
    if row.progress is not None:
        return Heading(None)
    return Heading(datetime.fromisoformat(row.run.created).astimezone().date())


class RunsModel(QAbstractListModel):
    """Lines: ``Heading`` or ``Row``."""

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self.lines: list[Line] = []
        self.words = ""  # what is looked for
        self._read: Read = lambda _words, _before: []
        self._under_way: dict[str, Row] = {}
        self._more = False  # older ones may be there

    @property
    def rows(self) -> list[Row]:
        """The runs that are listed."""
        return [line for line in self.lines if isinstance(line, Row)]

    @property
    def under_way(self) -> list[Row]:
        """The runs under way that are listed, newest first."""
        return [row for row in self.rows if row.progress is not None]

    def read(self, read: Read) -> None:
        """List the runs that ``read`` returns."""
        self._read = read
        self.search(self.words)

    def search(self, words: str) -> None:
        """List only the runs that have all of these words."""
        self.beginResetModel()
        self.words, self._more = words, True
        live = sorted(self._under_way.values(), key=_rank, reverse=True)
        self.lines = self._headed([row for row in live if self._wanted(row)], None)
        self.endResetModel()
        self.fetchMore()

    def canFetchMore(self, parent: QModelIndex = NOWHERE) -> bool:
        """Say whether older runs may be there."""
        return self._more and not parent.isValid()

    def fetchMore(self, parent: QModelIndex = NOWHERE) -> None:
        """Read the next page."""
        last = next((row.run for row in reversed(self.rows) if row.progress is None), None)
        page = self._read(self.words, last)
        self._more = len(page) == PAGE
        listed = {row.run.key for row in self.rows}
        new = [Row(run) for run in page if run.key not in self._under_way and run.key not in listed]
        self._put_lines(len(self.lines), self._headed(new, self.lines[-1] if self.lines else None))

    def rowCount(self, parent: QModelIndex = NOWHERE) -> int:
        """Return the number of lines."""
        return 0 if parent.isValid() else len(self.lines)

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Let runs be chosen, not headings."""
        if self.row_at(index) is None:
            return Qt.ItemFlag.NoItemFlags
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return title, tooltip, or the line itself (UserRole)."""
        if not index.isValid():
            return None
        line = self.lines[index.row()]
        if role == Qt.ItemDataRole.UserRole:
            return line
        if role == Qt.ItemDataRole.DisplayRole:
            return line.title
        if role == Qt.ItemDataRole.ToolTipRole and isinstance(line, Row):
            return tooltip(line.run)
        return None

    def row_at(self, index: QModelIndex) -> Optional[Row]:
        """Return the run of a line, None where there is none."""
        line = self.lines[index.row()] if index.isValid() else None
        return line if isinstance(line, Row) else None

    def find(self, key: str) -> int:
        """Return the line of a run, -1 if it is not listed."""
        lines = enumerate(self.lines)
        return next((place for place, line in lines if isinstance(line, Row) and line.run.key == key), -1)

    def spans(self, keys: Collection[str]) -> list[tuple[int, int]]:
        """Return the first and last lines of runs that follow each other, headings apart."""
        wanted, goes_on = set(keys), False
        spans: list[tuple[int, int]] = []
        for place, line in enumerate(self.lines):
            if isinstance(line, Row):
                if line.run.key in wanted:
                    spans.append((spans.pop()[0] if goes_on else place, place))
                goes_on = line.run.key in wanted
        return spans

    def put(self, row: Row) -> None:
        """Show a new or changed run."""
        key, place = row.run.key, self.find(row.run.key)
        if row.progress is None:
            self._under_way.pop(key, None)
        else:
            self._under_way[key] = row
        before = self.lines[place] if place >= 0 else None
        if isinstance(before, Row) and heading_of(before) == heading_of(row):
            self.lines[place] = row
            index = self.index(place)
            self.dataChanged.emit(index, index)
            return
        if before is not None:
            self.remove([key])
        self.insert([row])

    def remove(self, keys: Collection[str]) -> None:
        """Drop runs from the list, and headings with the last one below them."""
        gone = set(keys)
        kept = self._headed([row for row in self.rows if row.run.key not in gone], None)
        for first, last in reversed(_gaps(self.lines, kept)):
            self.beginRemoveRows(NOWHERE, first, last)
            del self.lines[first : last + 1]
            self.endRemoveRows()

    def insert(self, rows: Iterable[Row]) -> None:
        """Put runs in their places; those that are older than all that was read come with their page."""
        listed = self.rows
        known = {row.run.key for row in listed}
        oldest = min(map(_rank, listed), default=(False, "9999"))
        new = [
            row
            for row in rows
            if row.run.key not in known
            and self._wanted(row)
            and (not self._more or row.progress is not None or _rank(row) >= oldest)
        ]
        new.sort(key=_rank, reverse=True)
        lines = self._headed(list(merge(new, listed, key=_rank, reverse=True)), None)
        for first, last in _gaps(lines, self.lines):
            self._put_lines(first, lines[first : last + 1])

    def _wanted(self, row: Row) -> bool:
        return all(word in row.run.words for word in self.words.casefold().split())

    def _put_lines(self, place: int, lines: list[Line]) -> None:
        if lines:
            self.beginInsertRows(NOWHERE, place, place + len(lines) - 1)
            self.lines[place:place] = lines
            self.endInsertRows()

    def _headed(self, rows: list[Row], before: Optional[Line]) -> list[Line]:
        """Return rows with the headings that they need after a line."""
        found: list[Line] = []
        above = heading_of(before) if isinstance(before, Row) else before
        for row in rows:
            if heading_of(row) != above:
                above = heading_of(row)
                found.append(above)
            found.append(row)
        return found


def _gaps(lines: list[Line], fewer: list[Line]) -> list[tuple[int, int]]:
    """Return the first and last places of the runs of lines that ``fewer``, which has the others, lacks."""
    gaps: list[tuple[int, int]] = []
    there = 0
    for place, line in enumerate(lines):
        if there < len(fewer) and (fewer[there] is line or fewer[there] == line):
            there += 1
        elif gaps and gaps[-1][1] == place - 1:
            gaps[-1] = (gaps[-1][0], place)
        else:
            gaps.append((place, place))
    return gaps


def _rank(row: Row) -> tuple[bool, str]:
    """Return what runs are ordered by, the greatest first."""
    return row.progress is not None, row.run.created
