"""Variants from the runner to the map: which set waits for the user, what is shown of it, what is decided.

Knows the runner, the strip and the layers; the dock puts the strip in its place.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QObject, pyqtSignal

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.runs import variants
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.runs.watcher import RunStatus
from text2earth_qgis.core.timers import single_shot
from text2earth_qgis.gui.runner import Runner
from text2earth_qgis.gui.variants.on_map import VariantLayers
from text2earth_qgis.gui.variants.pictures import Variant
from text2earth_qgis.gui.variants.strip import VariantStrip


class Variants(QObject):
    """The sets that wait for the user; the newest of the open project is in the strip."""

    refused = pyqtSignal(str)  # a sentence: why one cannot be shown

    def __init__(self, runner: Runner, project: QgsProject, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self.strip = VariantStrip()
        self._runner, self._project = runner, project
        self._layers = VariantLayers(project)
        self._sets: dict[str, list[Run]] = {}
        self._progress: dict[str, RunStatus] = {}
        self._chosen = ""  # key of the run that is on the map
        self._later = single_shot(self, self._show)  # once a project is read or emptied
        project.readProject.connect(self._reopened)
        project.cleared.connect(self._reopened)
        runner.changed.connect(self._follow)
        runner.settled.connect(self._settled)
        runner.forgotten.connect(self._forget)
        runner.restored.connect(lambda _runs: self._recall())
        pictures = self.strip.pictures
        pictures.chosen.connect(self.choose)
        pictures.kept.connect(self.keep)
        pictures.discarded.connect(self.discard)
        self.strip.all_kept.connect(self._keep_all)
        self.strip.all_discarded.connect(self._discard_all)
        self._recall()

    def close(self) -> None:
        """Follow no project any more."""
        self._project.readProject.disconnect(self._reopened)
        self._project.cleared.disconnect(self._reopened)
        self.strip.pictures.thumbnails.close()

    def takes(self, run: Run) -> bool:
        """Whether a result that has arrived is shown here; the first of a set goes on the map at once."""
        if not variants.waits(run):
            return False
        shown = self.strip.keys
        if run.key in shown and self._chosen not in shown:
            self.choose(run.key)
        return True

    def choose(self, key: str) -> None:
        """Show a variant on the map, in place of the one before; one that is not there is only described."""
        self._chosen = key
        run = self._run(key)
        if run is not None and run.state == "fetched":
            self._on_map(self._layers.show, run)
        self._show()

    def keep(self, key: str) -> None:
        """Make a variant a usual result."""
        run = self._run(key)
        if run is not None and run.state == "fetched" and self._on_map(self._layers.keep, run):
            self._decide(run, variants.KEPT)
            self._chosen = ""
            self._show()

    def discard(self, key: str) -> None:
        """Take a variant off the map, or stop it; the next one is shown."""
        run, keys = self._run(key), self.strip.keys
        if run is None:
            return
        self._layers.drop(run)
        self._decide(run, variants.DISCARDED)
        others = [*keys[keys.index(key) + 1 :], *reversed(keys[: keys.index(key)])]
        ready = (one for one in map(self._run, others) if one is not None and one.state == "fetched")
        following = next(ready, None)
        if following is None:
            self._chosen = ""
            self._show()
        else:
            self.choose(following.key)

    def _keep_all(self) -> None:
        chosen = self._chosen
        for key in [*(one for one in self.strip.keys if one != chosen), chosen]:  # the chosen one is on top
            if self._run(key) is not None:
                self.keep(key)

    def _discard_all(self) -> None:
        for key in self.strip.keys:
            run = self._run(key)
            if run is not None:
                self._layers.drop(run)
                self._decide(run, variants.DISCARDED)
        self._chosen = ""
        self._show()

    def _decide(self, run: Run, choice: str) -> None:
        self._runner.decide(run.key, choice)
        self._put(replace(run, choice=choice))

    def _on_map(self, act: object, run: Run) -> bool:
        try:
            act(run)  # type: ignore[operator]
        except PluginError as error:
            self.refused.emit(str(error))
            return False
        return True

    def _follow(self, progress: RunStatus) -> None:
        if progress.run.variant_of:
            self._progress[progress.run.key] = progress
            self._put(progress.run)
            self._show()

    def _settled(self, run: Run) -> None:
        if run.variant_of:
            self._progress.pop(run.key, None)
            self._put(run)
            self._show()

    def _recall(self) -> None:
        """Take the sets that wait from the list of runs."""
        self._sets = variants.sets(self._runner.undecided())
        self._show()

    def _forget(self, keys: list[str]) -> None:
        gone = set(keys)
        self._sets = {of: [run for run in runs if run.key not in gone] for of, runs in self._sets.items()}
        self._show()

    def _put(self, run: Run) -> None:
        """Take over how a run is now; what was decided of it here stays."""
        runs = self._sets.setdefault(run.variant_of, [])
        known = self._run(run.key)
        if known is not None and known.choice:
            run = replace(run, choice=known.choice)
        others = [one for one in runs if one.key != run.key]
        self._sets[run.variant_of] = sorted([*others, run], key=variants.seed_of)

    def _run(self, key: str) -> Optional[Run]:
        return next((run for runs in self._sets.values() for run in runs if run.key == key), None)

    def _reopened(self) -> None:
        self._chosen = ""
        self._later.start(0)

    def _show(self) -> None:
        """Show the newest set of the open project that waits for the user."""
        for of, runs in reversed(self._sets.items()):
            waiting = [run for run in runs if variants.waits(run)]
            if any(run.open or run.state == "fetched" for run in waiting) and self._is_home(runs):
                self.strip.show_variants(
                    [self._variant(run, runs) for run in waiting], self._chosen if of else ""
                )
                return
        self.strip.show_variants([], "")

    def _variant(self, run: Run, runs: list[Run]) -> Variant:
        return Variant(run, runs.index(run) + 1, len(runs), self._progress.get(run.key))

    def _is_home(self, runs: list[Run]) -> bool:
        """Whether a set belongs to the open project: it was asked for from it, or is in it."""
        unsaved = not self._project.fileName()
        return any(
            self._runner.at_home(run) or (unsaved and not run.project) or self._layers.has(run)
            for run in runs
        )
