"""All runs of this user, from the click on Run to the file: the dock's list is a view of this.

Owns one ``JobWatcher`` per run under way, takes up at the start what was left open, and remembers from which
project a run was started. Knows no widget and adds no layer.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Container, Iterable, Optional, Sequence

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QObject, pyqtSignal

from text2earth_qgis.core import settings
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.imagery.edit_preparation import Prepare, SentRequest, prepare
from text2earth_qgis.core.imagery.edit_request import EditRequest
from text2earth_qgis.core.imagery.samples import SampleRequest, send_alone
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.runs import variants
from text2earth_qgis.core.runs.blocking import is_waited_for
from text2earth_qgis.core.runs.erasing import Eraser
from text2earth_qgis.core.runs.history import History, Run
from text2earth_qgis.core.runs.source_raster import SourceRaster
from text2earth_qgis.core.runs.variants import Send
from text2earth_qgis.core.runs.watcher import JobWatcher, RunStatus
from text2earth_qgis.core.settings import Settings
from text2earth_qgis.core.tasks import Listener
from text2earth_qgis.core.wire import calls
from text2earth_qgis.core.wire.access import Access
from text2earth_qgis.core.wire.async_client import AsyncClient
from text2earth_qgis.core.wire.schemas import GenerateInputs
from text2earth_qgis.core.wire.uploads import uploads_of


class Runner(QObject):
    """Starts, follows, cancels, fetches and forgets runs, in the main thread."""

    changed = pyqtSignal(object)  # RunStatus of a run under way
    lost = pyqtSignal(object)  # PluginError: the backend does not answer a run under way
    settled = pyqtSignal(object)  # Run that is no longer under way
    finished = pyqtSignal(object)  # Run whose file is there
    failed = pyqtSignal(object, str)  # Run, sentence
    forgotten = pyqtSignal(list)  # keys of runs taken off the list
    restored = pyqtSignal(list)  # brief Runs that are on it again

    def __init__(self, history: History, project: QgsProject, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._history = history
        self._project = project
        self._generation = 0  # counts the projects of this session, so that unsaved ones can be told apart
        self._homes: dict[str, int] = {}
        self._watchers: dict[str, JobWatcher] = {}
        self._seeds: dict[str, int] = {}
        self._deletions: list[AsyncClient] = []
        self._eraser = Eraser(history, _current_access, self)
        project.cleared.connect(self._other_project)

    def latest(self, words: str = "", before: Optional[Run] = None) -> list[Run]:
        """Return a page of runs, brief, newest first: those with all words, older than ``before``."""
        return self._history.latest(words, before)

    def run(self, key: str) -> Optional[Run]:
        """Return a run with all that it has."""
        return self._history.get(key)

    def run_of(self, target: str) -> Optional[Run]:
        """Return the latest run whose result is this file."""
        return self._history.of_file(target)

    def under_way(self) -> list[str]:
        """Return the keys of the runs that are being followed."""
        return list(self._watchers)

    def start(
        self, inputs: GenerateInputs, samples: Sequence[SampleRequest] = (), with_sources: bool = False
    ) -> None:
        """Send a request and its samples, each variant of it as a run.

        Raises ``PluginError`` if there is no place for the results.
        """
        chosen = settings.load()
        access, project = settings.access(chosen), self._project.fileName()
        inputs = replace(inputs, record_prompt=chosen.record_prompt)
        like = [sample.layer for sample in samples]
        once = variants.SentOnce(_sending_samples(access, inputs, samples))
        first = ""
        for seed in variants.seeds(inputs.seed, inputs.variants):
            asked = replace(inputs, seed=seed, variants=1)
            run = Run(access.server, asked.to_json(), "", project=project, samples=like)
            target = self._target(run, chosen, ".tif")
            sources = SourceRaster(_sources(target)).to_json() if with_sources else {}
            first = first or run.key
            of = first if inputs.variants > 1 else ""
            run = replace(run, target=str(target), sources=sources, variant_of=of)
            self._homes[run.key] = self._generation
            if samples:
                self._watch(replace(run, state="preparing"), variants.of_seed(once, seed))
            else:
                self._watch(run)

    def edit(self, request: EditRequest, send: Send = prepare) -> None:
        """Send an edit or extension, each variant of it as a run; the results get their names here.

        ``send`` does that, in a worker. Raises ``PluginError`` if there is no place for the results.
        """
        chosen = settings.load()
        access, ending = settings.access(chosen), ".vrt" if request.result == "vrt" else ".tif"
        options = {**request.options, "record_prompt": chosen.record_prompt, "variants": 1}
        count, like = int(request.options.get("variants") or 1), [one.layer for one in request.samples]
        once: Optional[variants.SentOnce] = None
        for seed in variants.seeds(options.get("seed"), count):
            asked = {**options, "seed": seed}
            run = Run(access.server, asked, "", project=request.project, process=request.process)
            target = self._target(run, chosen, ending)
            sources = None if request.sources is None else _sources(target)
            wanted = replace(request, options=asked, target=target, sources=sources)
            if once is None:
                first, once = run.key, variants.SentOnce(_sending(access, wanted, send))
            run = replace(run, target=str(target), state="preparing", variant_of=first if count > 1 else "")
            run = replace(run, samples=like, sources=SourceRaster(sources).to_json() if sources else {})
            self._homes[run.key] = self._generation
            self._watch(run, variants.of_seed(once, seed, wanted.part()))

    def take_up(self) -> None:
        """Go on with every run that was left open, as far as its backend is the one in use."""
        for run in self._history.unfinished():
            if run.key not in self._watchers and not is_waited_for(run) and self._reachable(run):
                self._watch(run)

    def fetch(self, key: str) -> None:
        """Fetch a finished result, or go on watching a run that was given up."""
        run = self._history.get(key)
        if run is None or key in self._watchers:
            return
        if self._reachable(run):
            self._watch(run)
        else:
            self.failed.emit(
                run,
                tr(
                    "This run is on {site}. To fetch its result, set that address in Settings > Options > "
                    "Text2Earth."
                ).format(site=calls.site(run.server)),
            )

    def cancel(self, key: str) -> None:
        """Stop a job for good, on the backend too."""
        if key in self._watchers:
            self._watchers[key].cancel()

    def runs(self, keys: Iterable[str]) -> list[Run]:
        """Return these runs with all that they have, as far as they are not erased."""
        return [run for run in map(self._history.get, keys) if run is not None]

    def forget(self, keys: Sequence[str]) -> None:
        """Take runs that are over off the list; they can be restored until they are erased."""
        self._history.remove(keys)
        self.forgotten.emit(list(keys))

    def restore(self, keys: Sequence[str]) -> None:
        """Put runs that were forgotten, and are not erased yet, back on the list."""
        self.restored.emit(self._history.restore(keys))

    def erase(self, until: datetime, keys: Container[str] = ()) -> None:
        """Delete forgotten runs for good, at their backend too: those until then, and those of ``keys``."""
        self._eraser.erase(self._history.removed(until, keys))

    def decide(self, key: str, choice: str) -> None:
        """Note that the user keeps a variant, or does not; one that is not there yet is stopped."""
        if choice == variants.DISCARDED:
            self.cancel(key)
        watcher = self._watchers.get(key)
        run = self._history.get(key)
        if watcher is not None:
            watcher.decide(choice)
        elif run is not None:
            self._history.put(replace(run, choice=choice))

    def undecided(self) -> list[Run]:
        """Return all variants of the sets in which the user has not decided on every one."""
        return self._history.undecided()

    def at_home(self, run: Run) -> bool:
        """Whether the open project is the one that a run was started from."""
        if run.key in self._homes:
            return self._homes[run.key] == self._generation
        return bool(run.project) and run.project == self._project.fileName()

    def stop(self) -> None:
        """Stop watching; every job goes on."""
        self._project.cleared.disconnect(self._other_project)
        for watcher in self._watchers.values():
            watcher.stop()
        for client in self._deletions:
            client.close()
        self._eraser.close()
        self._watchers.clear()

    def _target(self, run: Run, chosen: Settings, ending: str) -> Path:
        """Return a name for the result of a run, in a folder that is there."""
        folder = settings.result_folder(chosen, self._project)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            sentence = tr(
                "Results cannot be saved in {folder}: {reason}. Choose another folder in Settings > Options "
                "> Text2Earth."
            )
            raise PluginError(sentence.format(folder=folder, reason=error.strerror)) from error
        title = str(run.inputs["prompt"]) if chosen.record_prompt else "text2earth"
        return folder / file_name(title, run.key, ending)

    def _watch(self, run: Run, prepare: Optional[Prepare] = None) -> None:
        chosen = settings.load()
        watcher = JobWatcher(_current_access, self._history, run, chosen.poll_seconds, self, prepare)
        self._watchers[run.key] = watcher
        watcher.changed.connect(self._changed)
        watcher.lost.connect(self.lost)
        watcher.finished.connect(self._finished)
        watcher.failed.connect(self._failed)
        watcher.dismissed.connect(self._settle)
        sending = run.state in ("preparing", "submitting")
        self.changed.emit(RunStatus(run, tr("Sending") if sending else tr("Asking where it stands")))
        watcher.start()

    def _changed(self, progress: RunStatus) -> None:
        if progress.status is not None and progress.status.seed is not None:
            self._seeds[progress.run.key] = progress.status.seed
        self.changed.emit(progress)

    def _settle(self, run: Run) -> None:
        watcher = self._watchers.pop(run.key, None)
        if watcher is not None:
            watcher.deleteLater()
        seed = self._seeds.pop(run.key, None)
        if not run.recipe and seed is not None:  # ended without a recipe, but can be asked for again
            run = self._history.put(replace(run, recipe={"seed": seed}))
        if not run.open and self._reachable(run):
            for upload in self._unneeded(run):
                self._delete(calls.drop_upload(upload))
        self.settled.emit(run)

    def _unneeded(self, run: Run) -> list[str]:
        """Return the uploads of a run that is over, none of which another variant needs."""
        others = [watcher.run for watcher in self._watchers.values()]
        if run.variant_of and any(one.variant_of == run.variant_of for one in others):
            return []  # the last one to end has them all
        return uploads_of(run.inputs)

    def _finished(self, run: Run) -> None:
        self._settle(run)
        self.finished.emit(run)

    def _failed(self, run: Run, sentence: str) -> None:
        if not run.message or run.open:
            run = replace(run, message=sentence)
        self._settle(run)
        self.failed.emit(run, sentence)

    def _delete(self, call: calls.Call[bool]) -> None:
        """Delete something on the backend that is not needed any more; if that fails, it expires there."""
        client = AsyncClient(_current_access(), self)
        client.run(call, lambda _there: None, lambda _error: None)
        self._deletions.append(client)

    def _other_project(self) -> None:
        self._generation += 1

    def _reachable(self, run: Run) -> bool:
        """Whether a run is on the backend that the settings name; credentials go nowhere else."""
        return _current_access().has(run.server)


def _current_access() -> Access:
    """Return how to reach the backend that the settings name now."""
    return settings.access(settings.load())


def _sending(access: Access, request: EditRequest, send: Send) -> Prepare:
    """Return the function that sends an edit, in a worker."""
    return lambda listener: send(access, request, listener)


def _sending_samples(access: Access, inputs: GenerateInputs, samples: Sequence[SampleRequest]) -> Prepare:
    """Return the function that sends the samples of a scene, in a worker."""

    def send(listener: Listener) -> SentRequest:
        sent = send_alone(access, samples, listener)
        return SentRequest(replace(inputs, samples=sent.inputs, variants=1), corners=sent.corners)

    return send


def _sources(target: Path) -> Path:
    """Return where the raster of sources of a result goes."""
    return target.with_name(f"{target.stem}_sources.tif")


def file_name(title: str, key: str, ending: str = ".tif") -> str:
    """Return a readable name in plain ASCII that is not taken: words of the prompt, time, part of the key."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    if len(slug) > 40:
        slug = slug[:40].rsplit("-", 1)[0]
    return str(Path(f"{slug or 'text2earth'}_{datetime.now():%Y%m%d-%H%M%S}_{key[:6]}{ending}"))
