"""An edit, from the user's raster and mask to the result, for callers that wait.

Finds where the mask lies, cuts the raster around it, sends both, asks the backend's ``plan`` whether what was
sent is all it works on, runs the job and assembles the result. The uploads are removed at the end, and on a
cancel the job too. Only what an algorithm needs of the main thread is in ``Order`` already; all this runs in
any thread. No rule of the engine is here.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Iterator, Optional

from osgeo import gdal
from qgis.core import QgsCoordinateTransformContext, QgsProcessingFeedback, QgsProcessingMultiStepFeedback

from text2earth_qgis.core import calls, cuts, datasets, masks, patch
from text2earth_qgis.core.client import Client
from text2earth_qgis.core.datasets import RasterFile, Stop
from text2earth_qgis.core.errors import Cancelled, PluginError, Unreachable
from text2earth_qgis.core.history import Run
from text2earth_qgis.core.jobs import Desk, Done, dismiss, note, pool_thread_released, run_job, stoppable
from text2earth_qgis.core.rasters import Look
from text2earth_qgis.core.schemas import Box, EditInputs, Json, Upload
from text2earth_qgis.core.transport import Feedback, open_client

RESULTS = ("whole", "patch", "vrt")
ROUNDS = 3  # cuts that are tried before the largest one has to do
WINDOW = 256  # pixels, of a backend that does not say its models' windows


@dataclass(frozen=True)
class Order:
    """An edit as asked for: ``wishes`` are the members of ``EditInputs`` besides source, mask, stretch.

    ``stretch`` is displayed, 2-98 % or numbers (see ``cuts``); ``result`` one of ``RESULTS``.
    """

    source: RasterFile
    look: Look
    mask: masks.Mask
    context: QgsCoordinateTransformContext
    target: Path
    wishes: Json
    stretch: str = "displayed"
    result: str = "whole"
    project: str = ""

    def check(self) -> None:
        """Refuse a name that does not fit the result. Raises ``PluginError``."""
        endings = (".vrt",) if self.result == "vrt" else (".tif", ".tiff")
        if not self.target.name.lower().endswith(endings):
            kind = "a VRT" if self.result == "vrt" else "a GeoTIFF"
            raise PluginError(
                f"{self.target}: the result is {kind}, its name must end in {endings[0]}. Choose another."
            )

    def part(self) -> Path:
        """Return where the edited part is fetched to: a free name, unless it is the result."""
        if self.result == "patch":
            return self.target
        names = (f"{self.target.stem}_patch{number}.tif" for number in ("", *range(2, 1000)))
        return next(path for path in map(self.target.with_name, names) if not path.exists())


@dataclass
class _Sent:
    """What is on the backend, and which pixels of the source it is."""

    cut: Box
    inputs: EditInputs
    plan: Json


@dataclass
class _Outbox:
    """Sends files, and takes them back in the end."""

    desk: Desk
    client: Client
    feedback: QgsProcessingFeedback
    uploads: list[str] = field(default_factory=list)

    def send(self, path: Path) -> Upload:
        """Send a file; it is one of the uploads from its first byte on."""
        size = path.stat().st_size
        # Not cancellable, but short: only its answer names what a cancel has to remove.
        upload = str(open_client(self.desk.access).run(calls.begin_upload(size))["id"])
        self.uploads.append(upload)
        with pool_thread_released():
            self.client.upload(upload, path, lambda there, of: self.feedback.setProgress(100 * there / of))
        return Upload(upload)

    def clear(self) -> None:
        """Remove what was sent; the backend does the same a day later."""
        while self.uploads:
            try:
                open_client(self.desk.access).run(calls.drop_upload(self.uploads.pop()))
            except PluginError as error:
                self.feedback.pushWarning(f"What was sent may stay on the backend for a day: {error}")


def run_edit(desk: Desk, order: Order, feedback: QgsProcessingFeedback) -> Done:
    """Make an edit, write it to ``order.target`` and return.

    Raises a ``PluginError``: ``Cancelled`` after job and uploads were deleted on the backend.
    """
    order.check()
    steps = QgsProcessingMultiStepFeedback(3, feedback)
    with stoppable(steps) as stop, tempfile.TemporaryDirectory(prefix="text2earth-") as folder:
        source = order.source.open()
        patch.check_target(order.target, source)
        cuts.check(source, order.source)
        with _outbox(desk, steps, stop) as outbox:
            sent = _send(order, source, outbox, Path(folder), stop)
            steps.setCurrentStep(1)
            run = Run(
                server=desk.access.url,
                inputs=sent.inputs.to_json(),
                target=str(order.part()),
                project=order.project,
                process="edit",
            )
            done = run_job(desk, run, steps)
        steps.setCurrentStep(2)
        try:
            made = _patch(order, source, sent, done)
            _assemble(order, source, made, steps, stop)
        except Cancelled:
            dismiss(desk, done.run, feedback)
            Path(done.run.target).unlink(missing_ok=True)
            raise
        except PluginError as error:
            raise PluginError(f"{error} The edited part is in {done.run.target}.") from error
        return replace(done, run=note(desk, replace(done.run, target=str(order.target)), feedback))


@contextmanager
def _outbox(desk: Desk, feedback: QgsProcessingFeedback, stop: Feedback) -> Iterator[_Outbox]:
    """Yield an outbox that is cleared unless the backend is away, where a job may still need the files."""
    outbox = _Outbox(desk, open_client(desk.access, stop), feedback)
    try:
        yield outbox
    except Unreachable:
        raise
    except BaseException:
        outbox.clear()
        raise
    outbox.clear()


def _send(order: Order, source: gdal.Dataset, outbox: _Outbox, folder: Path, stop: Feedback) -> _Sent:
    """Send the mask and as much of the raster as the backend works on."""
    grid, client, feedback = datasets.grid_of(source, order.source), outbox.client, outbox.feedback
    place = masks.Place(grid, order.context, float(order.wishes.get("grow") or 0.0))
    mask, box = _mask(order, place, outbox, folder, stop.isCanceled)
    window = _window(client, order.wishes.get("model"))
    cut: Optional[Box] = cuts.around_mask(box, window, place.reach, grid.box)
    if cut is None:
        raise masks.outside()
    for turn in range(ROUNDS):
        path = folder / f"source{turn}.tif"
        with pool_thread_released():
            cuts.write(source, order.source, cut, path, stop.isCanceled)
        bands, stretch = _shown(order, source, path)
        feedback.pushInfo(
            f"{cut.width} x {cut.height} of {grid.width} x {grid.height} pixels of '{order.source.name}' and "
            f"the mask are sent to {calls.site(client.base_url)} ({path.stat().st_size / 1e6:.1f} MB)."
        )
        wishes = {**order.wishes, "bands": bands or None, "stretch": stretch}
        inputs = EditInputs(source=outbox.send(path), mask=mask, **wishes)
        with pool_thread_released():
            recipe = client.plan("edit", inputs.to_json()).recipe
        wanted = cuts.needed(recipe, cut, grid, order.context)
        if cuts.reaches(cut, wanted, grid.box) or turn == ROUNDS - 1:
            break
        cut = cuts.wider(cut, wanted, window, grid.box)
        path.unlink()
    return _Sent(cut, inputs, recipe)


def _mask(order: Order, place: masks.Place, outbox: _Outbox, folder: Path, stop: Stop) -> tuple[object, Box]:
    """Return the mask as it travels, and where it lies in the source."""
    if isinstance(order.mask, masks.Shapes):
        return masks.polygons_of(order.mask, place, stop)
    path = folder / "mask.tif"
    box = masks.picture_of(order.mask, place, path, stop)
    return outbox.send(path), box


def _window(client: Client, model: Optional[str]) -> int:
    """Return the pixels of a side of what the model sees at once: a first guess of what it needs."""
    with pool_thread_released():
        cards = [card for card in client.models() if card.get("pipeline") == "inpaint"]
    named = [card for card in cards if (card.get("id") == model if model else card.get("installed"))]
    return max((int(card.get("window") or WINDOW) for card in named), default=WINDOW)


def _shown(order: Order, source: gdal.Dataset, cut: Path) -> tuple[tuple[int, ...], Optional[cuts.Ranges]]:
    """Return the bands that the model sees, and the values shown black and white; none: backend's choice."""
    asked = order.wishes.get("bands")
    bands = tuple(asked) if asked else order.look.bands
    wanted = order.stretch.strip().lower()
    if wanted in ("", "displayed"):
        return bands, cuts.shown_as_displayed(source, order.look, bands)
    if wanted.replace(" ", "") in ("2-98%", "2-98"):
        with datasets.quiet(f"'{order.source.name}' cannot be read"):
            return bands, cuts.shown_by_percent(cut, bands) if bands else None
    return bands, cuts.shown_between(order.stretch, bands)


def _patch(order: Order, source: gdal.Dataset, sent: _Sent, done: Done) -> patch.Patch:
    """Return what came back: which bands and pixels of the source it has."""
    recipe = done.plan.recipe
    bands = tuple(range(1, source.RasterCount + 1))
    if recipe["edit"]["extra_bands"] == "drop":
        alpha = [
            band
            for band in bands
            if source.GetRasterBand(band).GetColorInterpretation() == gdal.GCI_AlphaBand
        ]
        bands = tuple(band for band in bands if band in recipe["edit"]["bands"] or band in alpha[:1])
    grid = datasets.grid_of(source, order.source)
    painted = cuts.located(recipe, recipe["grid"], sent.cut, grid, order.context)
    changed = datasets.overlap(painted, sent.cut) or sent.cut
    return patch.Patch(Path(done.run.target), sent.cut, changed, bands)


def _assemble(
    order: Order, source: gdal.Dataset, made: patch.Patch, feedback: QgsProcessingFeedback, stop: Feedback
) -> None:
    patch.check_patch(source, made)
    if order.result == "patch":
        return
    feedback.setProgressText("Writing the result")
    if order.result == "vrt":
        patch.write_vrt(source, order.source, made, order.target)
        return
    watch = (lambda share: feedback.setProgress(100 * share), stop.isCanceled)
    patch.write_whole(source, order.source, made, order.target, watch)
    made.path.unlink()
