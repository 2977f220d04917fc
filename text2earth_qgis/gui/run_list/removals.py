"""What the user removes from the list of runs, and takes back.

A removal can be undone for five minutes, unless its line is closed; then its runs are erased, by whichever
QGIS of this user notices first, this one or the next one that is started. Removals are undone from the last
one back. Knows the runner and the results, no widget.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Mapping, Optional, Sequence

from qgis.PyQt.QtCore import QObject, pyqtSignal

from text2earth_qgis.core.runs.trash import Trashed
from text2earth_qgis.core.timers import single_shot
from text2earth_qgis.gui.results import Results
from text2earth_qgis.gui.runner import Runner

OFFERED = timedelta(minutes=5)
LOOK_MS = 30_000  # between two looks whether a removal is that old


@dataclass(frozen=True)
class Removal:
    """Runs that were removed at once, and their files that went to the trash."""

    keys: Sequence[str]
    trashed: Mapping[str, list[Trashed]]
    when: datetime


class Removals(QObject):
    """Removes runs, brings them back, and ends what can no longer be brought back."""

    changed = pyqtSignal(int)  # runs that the next undo brings back

    def __init__(self, runner: Runner, results: Results, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._runner, self._results = runner, results
        self._removals: list[Removal] = []
        self._clock = single_shot(self, self.look, LOOK_MS)
        self._clock.start()

    def remove(self, keys: Sequence[str], with_files: bool = False) -> None:
        """Take runs that are over off the list; a file that cannot go to the trash keeps its run there."""
        under_way = set(self._runner.under_way())
        keys = [key for key in keys if key not in under_way]
        trashed: dict[str, list[Trashed]] = {}
        if with_files:
            there = [run for run in self._runner.runs(keys) if run.has_file]
            trashed = self._results.discard(there)
            kept = {run.key for run in there} - set(trashed)
            keys = [key for key in keys if key not in kept]
        if keys:
            self._removals.append(Removal(keys, trashed, _now()))
            self._runner.forget(keys)
            self._tell()

    def undo(self) -> None:
        """Bring back what was removed last, with its files."""
        self.look()
        if self._removals:
            removal = self._removals.pop()
            self._results.take_back(self._runner.runs(removal.trashed), removal.trashed)
            self._runner.restore(removal.keys)
            self._tell()

    def stop(self) -> None:
        """Look no more: QGIS closes, and what was removed is erased at another start."""
        self._clock.stop()

    def close(self) -> None:
        """Offer nothing any more: what was removed is erased."""
        keys = {key for removal in self._removals for key in removal.keys}
        self._removals = []
        self._tell()
        self._runner.erase(_now() - OFFERED, keys)

    def look(self) -> None:
        """Erase what was removed too long ago, in an earlier session or this one."""
        last = _now() - OFFERED
        old = [removal for removal in self._removals if removal.when <= last]
        if old:
            self._removals = [removal for removal in self._removals if removal not in old]
            self._tell()
        self._runner.erase(last)
        self._clock.start()

    def _tell(self) -> None:
        self.changed.emit(len(self._removals[-1].keys) if self._removals else 0)


def _now() -> datetime:
    return datetime.now(timezone.utc)
