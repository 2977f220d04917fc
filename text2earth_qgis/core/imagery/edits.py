"""An edit, from the user's raster and mask to a job's inputs, and for callers that wait to the result.

Finds where the mask lies, cuts the raster around it, sends both, and asks the backend's ``plan`` whether what
was sent is all it works on. An extension is the same, with new land (``land``) in place of a mask. Only what
needs the main thread is in ``Order`` already; all this runs in any thread. What becomes of the part that
comes back is ``assembly``'s. No rule of the engine is here.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Optional, Sequence, Union

from osgeo import gdal
from qgis.core import QgsCoordinateTransformContext, QgsProcessingFeedback, QgsProcessingMultiStepFeedback

from text2earth_qgis.core.errors import PluginError, Unreachable
from text2earth_qgis.core.imagery import crops, datasets, mask_raster, masks, patch
from text2earth_qgis.core.imagery.assembly import Assembly, stamp_of
from text2earth_qgis.core.imagery.datasets import RasterFile, Stop
from text2earth_qgis.core.imagery.extension import ExtensionArea, Land, plot_of
from text2earth_qgis.core.imagery.rasters import Look
from text2earth_qgis.core.runs.blocking import (
    Done,
    Listener,
    RunContext,
    pool_thread_released,
    run_job,
    shares,
    stoppable,
)
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.settings import Access
from text2earth_qgis.core.wire import calls
from text2earth_qgis.core.wire.client import Client
from text2earth_qgis.core.wire.schemas import Box, EditInputs, ExtendInputs, Json, Upload
from text2earth_qgis.core.wire.transport import open_client

ROUNDS = 3  # cuts that are tried before the largest one has to do
WINDOW = 256  # pixels, of a backend that does not say its models' windows


@dataclass(frozen=True)
class Order:
    """An edit or extension as asked for: ``wishes`` are the inputs besides source, mask or land, stretch.

    ``stretch`` is displayed, 2-98 % or numbers (see ``cuts``), ``result`` one of ``assembly.RESULTS``.
    ``layers`` are the ids of the source's and the mask's layer in the project, to find them again.
    """

    source: RasterFile
    look: Look
    mask: Union[masks.Mask, Land]
    context: QgsCoordinateTransformContext
    target: Path
    wishes: Json
    stretch: str = "displayed"
    result: str = "whole"
    project: str = ""
    layers: tuple[str, str] = ("", "")

    @property
    def process(self) -> str:
        """The process that does it."""
        return "extend" if isinstance(self.mask, Land) else "edit"

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


@dataclass(frozen=True)
class Ready:
    """An edit whose files are on the backend: what is left is to run it and to put the part in its place."""

    inputs: Union[EditInputs, ExtendInputs]
    assembly: Assembly


@dataclass(frozen=True)
class EditPreview:
    """What can be said of an edit before anything is sent: the ``cut`` that would be, of what, and how large.

    ``pixel`` is ground metres of a column and of a row. ``origin`` says where pixels come from that are still
    to be fetched; empty if they are in a file.
    """

    cut: Box
    raster: Box
    pixel: tuple[float, float]
    bytes: int
    origin: str = ""


@dataclass
class _Outbox:
    """Sends files, and takes them back."""

    access: Access
    client: Client
    listener: Listener
    uploads: list[str] = field(default_factory=list)

    def send(self, path: Path) -> Upload:
        """Send a file; it is one of the uploads from its first byte on."""
        size = path.stat().st_size
        # Not cancellable, but short: only its answer names what a cancel has to remove.
        upload = str(open_client(self.access).run(calls.begin_upload(size))["id"])
        self.uploads.append(upload)
        with pool_thread_released():
            self.client.upload(upload, path, shares(self.listener.progress))
        return Upload(upload)

    def keep(self, kept: list[str]) -> None:
        """Remove what was sent, but for some; the backend does the same a day later."""
        drop_uploads(self.access, [one for one in self.uploads if one not in kept], self.listener)


def run_edit(desk: RunContext, order: Order, feedback: QgsProcessingFeedback) -> Done:
    """Make an edit or extension, write it to ``order.target`` and return.

    Raises a ``PluginError``: ``Cancelled`` after job and uploads were deleted on the backend.
    """
    steps = QgsProcessingMultiStepFeedback(2, feedback)
    with stoppable(steps) as stop:
        listener = Listener(lambda share: steps.setProgress(100 * share), steps.pushInfo, stop.isCanceled)
        ready = prepare(desk.access, order, listener)
        steps.setCurrentStep(1)
        run = Run(
            server=desk.access.url,
            inputs=ready.inputs.to_json(),
            target=str(order.target),
            project=order.project,
            process=order.process,
            assembly=ready.assembly.to_json(),
        )
        try:
            done = run_job(desk, run, steps)
        except Unreachable:  # the job may go on, and need its files
            raise
        except BaseException:
            drop_uploads(desk.access, uploads_of(run.inputs), listener)
            raise
        drop_uploads(desk.access, uploads_of(run.inputs), listener)
        return done


def prepare(access: Access, order: Order, listener: Listener) -> Ready:
    """Send what an edit needs. Raises a ``PluginError``, after what was sent is removed again."""
    order.check()
    with tempfile.TemporaryDirectory(prefix="text2earth-") as folder:
        source = order.source.open()
        patch.check_target(order.target, source)
        crops.check(source, order.source)
        outbox = _Outbox(access, open_client(access, listener), listener)
        try:
            ready = _send(order, source, outbox, Path(folder))
        except BaseException:
            outbox.keep([])
            raise
        outbox.keep(uploads_of(ready.inputs.to_json()))
        return ready


def look_over(order: Order, window: int, stop: Stop) -> EditPreview:
    """Return what can be said of an edit with polygons before anything is sent; ``window`` is the model's.

    Raises ``RasterRefused`` with what to do.
    """
    source = order.source.open()
    crops.check(source, order.source)
    grid = datasets.grid_of(source, order.source)
    place = masks.Place(grid, order.context, float(order.wishes.get("grow") or 0.0))
    _polygons, box = masks.polygons_of(order.mask, place, stop)
    cut: Optional[Box] = crops.around_mask(box, window, place.reach, grid.box)
    if cut is None:
        raise masks.outside()
    pixel = source.RasterCount * gdal.GetDataTypeSize(source.GetRasterBand(1).DataType) // 8
    return EditPreview(cut, grid.box, masks.ground_pixel(grid, order.context), cut.width * cut.height * pixel)


def painters(client: Client, model: Optional[str]) -> list[Json]:
    """Return the cards of the models that an edit may be made by."""
    with pool_thread_released():
        return painters_of(client.models(), model)


def painters_of(models: Sequence[Json], model: Optional[str]) -> list[Json]:
    """Return those of all models' cards that an edit may be made by; ``model`` is the id of a chosen one."""
    cards = [card for card in models if card.get("pipeline") == "inpaint"]
    return [card for card in cards if (card.get("id") == model if model else card.get("installed"))]


def window_of(cards: list[Json]) -> int:
    """Return the pixels of a side of what models see at once: a first guess of what they need."""
    return max((int(card.get("window") or WINDOW) for card in cards), default=WINDOW)


def uploads_of(inputs: Json) -> list[str]:
    """Return the ids of the uploads that the inputs of a job name."""
    named = (inputs.get(name) for name in ("source", "mask"))
    return [str(one["upload"]) for one in named if isinstance(one, dict) and "upload" in one]


def drop_uploads(access: Access, uploads: list[str], listener: Listener) -> None:
    """Remove uploads that nothing needs any more."""
    for upload in uploads:
        try:
            open_client(access).run(calls.drop_upload(upload))
        except PluginError as error:
            listener.say(f"What was sent may stay on the backend for a day: {error}")


def _send(order: Order, source: gdal.Dataset, outbox: _Outbox, folder: Path) -> Ready:
    """Send the mask and as much of the raster as the backend works on."""
    grid, client, listener = datasets.grid_of(source, order.source), outbox.client, outbox.listener
    place = masks.Place(grid, order.context, float(order.wishes.get("grow") or 0.0))
    plot: Optional[ExtensionArea] = None
    if isinstance(order.mask, Land):
        plot = plot_of(order.mask, source, grid, order.context, listener.stop)
        box = plot.box
    else:
        mask, box = _mask(order, place, outbox, folder)
    window = window_of(painters(client, order.wishes.get("model")))
    stamp = stamp_of(source)
    cut: Optional[Box] = crops.around_mask(box, window, place.reach, grid.box)
    if cut is None:
        raise masks.outside()
    for turn in range(ROUNDS):
        path = folder / f"source{turn}.tif"
        with pool_thread_released():
            crops.write(source, order.source, cut, path, listener.stop)
        bands, stretch = _shown(order, source, path)
        listener.say(
            f"{cut.width} x {cut.height} of {grid.width} x {grid.height} pixels of '{order.source.name}' "
            f"{'and the mask ' if plot is None else ''}are sent to {calls.site(client.base_url)} "
            f"({path.stat().st_size / 1e6:.1f} MB)."
        )
        wishes = {**order.wishes, "bands": bands or None, "stretch": stretch}
        sent = outbox.send(path)
        if plot is None:
            inputs = EditInputs(source=sent, mask=mask, **wishes)
        else:
            inputs = ExtendInputs(source=sent, extent=plot.extent, fill_holes=plot.fill_holes, **wishes)
        with pool_thread_released():
            recipe = client.plan(order.process, inputs.to_json()).recipe
        wanted = crops.needed(recipe, cut, grid, order.context)
        if crops.reaches(cut, wanted, grid.box) or turn == ROUNDS - 1:
            break
        cut = crops.wider(cut, wanted, window, grid.box)
        path.unlink()
    painted = crops.located(recipe, recipe["grid"], cut, grid, order.context)
    at = cut if plot is None else datasets.union(cut, plot.box)
    assembly = Assembly(
        source=order.source,
        stamp=stamp,
        part=order.part(),
        result=order.result,
        at=at,
        changed=datasets.overlap(painted, at) or at,
        bands=_bands(source, recipe["edit"]),
        layer=order.layers[0],
        mask=order.layers[1],
        whole=None if plot is None else plot.whole,
    )
    return Ready(replace(inputs, seed=int(recipe["seed"])), assembly)


def _mask(order: Order, place: masks.Place, outbox: _Outbox, folder: Path) -> tuple[object, Box]:
    """Return the mask as it travels, and where it lies in the source."""
    path, stop = folder / "mask.tif", outbox.listener.stop
    if not isinstance(order.mask, masks.Shapes):
        box = masks.picture_of(order.mask, place, path, stop)
    else:
        polygons, box = masks.polygons_of(order.mask, place, stop)
        if polygons is not None:
            return polygons, box
        box = mask_raster.write(order.mask, place, box, path, stop)
    return outbox.send(path), box


def _shown(order: Order, source: gdal.Dataset, cut: Path) -> tuple[tuple[int, ...], Optional[crops.Ranges]]:
    """Return the bands that the model sees, and the values shown black and white; none: backend's choice."""
    asked = order.wishes.get("bands")
    bands = tuple(asked) if asked else order.look.bands
    wanted = order.stretch.strip().lower()
    if wanted in ("", "displayed"):
        return bands, crops.shown_as_displayed(source, order.look, bands)
    if wanted.replace(" ", "") in ("2-98%", "2-98"):
        with datasets.quiet(f"'{order.source.name}' cannot be read"):
            return bands, crops.shown_by_percent(cut, bands) if bands else None
    return bands, crops.shown_between(order.stretch, bands)


def _bands(source: gdal.Dataset, recipe: Json) -> tuple[int, ...]:
    """Return the bands of the source that its edit has."""
    bands = range(1, source.RasterCount + 1)
    if recipe["extra_bands"] != "drop":
        return tuple(bands)
    alpha = gdal.GCI_AlphaBand
    first = [band for band in bands if source.GetRasterBand(band).GetColorInterpretation() == alpha][:1]
    return tuple(band for band in bands if band in recipe["bands"] or band in first)
