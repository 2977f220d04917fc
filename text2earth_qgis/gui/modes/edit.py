"""The tab that edits a raster inside a mask: form, check of raster and mask, tint and brush on the map."""

from __future__ import annotations

from functools import partial
from typing import Callable, Optional

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject, pyqtSignal

from text2earth_qgis.core import settings
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.imagery import edit_request, online, online_fetch
from text2earth_qgis.core.imagery.drawn.drawings import Drawings
from text2earth_qgis.core.imagery.edit_request import EditPreview
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.layers import source_of
from text2earth_qgis.core.pixel_sizes import PixelSizes
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.tasks import Listener
from text2earth_qgis.core.wire import calls
from text2earth_qgis.core.wire.async_client import Pending
from text2earth_qgis.core.wire.schemas import Extent, GenerateInputs, Json, layout_from_json
from text2earth_qgis.gui.canvas.brush import Brush
from text2earth_qgis.gui.canvas.mask_preview import MaskPreview
from text2earth_qgis.gui.canvas.scratch_mask import NAME, add_mask, is_mask, paint, restore_mask
from text2earth_qgis.gui.connection import Connection
from text2earth_qgis.gui.debounce import Debounced, Question
from text2earth_qgis.gui.modes.mode import Mode, check_layers
from text2earth_qgis.gui.panels.edit import EditPanel
from text2earth_qgis.gui.panels.like_here import AREA_NAME
from text2earth_qgis.gui.panels.plan import PlanPanel
from text2earth_qgis.gui.panels.polygons import PolygonField
from text2earth_qgis.gui.runner import Runner

WINDOW = 256  # pixels, of a model that does not say
PAUSE_MS = 350  # in which the next stroke may come
SOMEWHERE, SOMEWHERE_CRS = (500_000.0, 5_000_000.0), "EPSG:32631"  # where a metre is a metre


class EditMode(Mode):
    """The dock's second tab."""

    key = "edit"
    title = tr("Edit")
    section = "edit-a-raster"
    hint = tr("Make this edit (Ctrl+Enter in the prompt)")
    layer_made = pyqtSignal(object)  # a mask layer, to be drawn on

    def __init__(
        self,
        canvas: QgsMapCanvas,
        project: QgsProject,
        plan: PlanPanel,
        connection: Connection,
        parent: Optional[QObject] = None,
    ) -> None:
        self.form = EditPanel(project)
        super().__init__(self.form, plan, connection, parent)
        self._canvas, self._project = canvas, project
        self.found: Optional[EditPreview] = None
        self.drawn = Drawings()  # the layout that was read with it
        self._timing: Optional[Pending] = None  # the question how long it takes
        self.preview = MaskPreview(canvas, project, self.form.area, self)
        self.reading = Debounced(tr("looking at the mask"), PAUSE_MS, self)
        self.reading.found.connect(self._show_found)
        self.reading.refused.connect(self._refused)
        self.form.changed.connect(self.changed)
        self.form.changed.connect(self._tint)
        self.form.submitted.connect(self.submitted)
        self.form.unfolded.connect(self.unfolded)
        self.form.mask.wanted.connect(self.new_mask)
        self.form.like_here.area.wanted.connect(self._new_area)
        self.form.mask.changed.connect(self._follow_mask)
        self.brush = Brush(canvas, project)
        self.form.brush.wanted.connect(self._take_brush)
        self.form.brush.sized.connect(self.brush.set_size)
        self.form.brush.tell()
        self.brush.resized.connect(self.form.brush.show_size)
        self.brush.left.connect(lambda: self.form.brush.show_active(False))
        self.brush.stroked.connect(self._paint)
        self.brush.undone.connect(self._undo)
        connection.changed.connect(self._follow_models)

    def show(self, shown: bool) -> None:
        """Begin with a raster that is seen, if none is chosen yet."""
        super().show(shown)
        if not shown:
            self.brush.leave()
        elif self.form.layer() is None:
            self.form.choose(self._project.layerTreeRoot().checkedLayers())
        self._tint()

    @property
    def checked(self) -> bool:
        """Whether raster and mask were read."""
        return self.found is not None

    def missing(self) -> str:
        """Name what the form still lacks."""
        return self.form.missing()

    def ask(self) -> None:
        """Look at raster and mask, on this computer."""
        self.found, self.drawn, self.refused = None, Drawings(), False
        self._stop_timing()
        missing, ready = self.missing(), self.connection.state.ready
        if missing or not ready:
            self.reading.stop()
            self.plan.show_hint(missing) if ready else self.plan.clear()
        else:
            self.plan.wait()
            self.reading.ask(self._question)

    def reason(self) -> str:
        """Return why this cannot be run."""
        reason = super().reason()
        if not reason and self.form.layout_panel.has_layer() and not self.checked:
            return tr("Reading the layer that was drawn.")
        return reason

    def run(self, runner: Runner) -> None:
        """Send raster and mask, and start the job; raises ``PluginError``.

        Before imagery of an online layer is sent for the first time, it is asked whether it may.
        """
        request, imagery = self.form.request(), self.form.imagery()
        layout = self.drawn.layout or self.form.layout_panel.kept()
        if layout is not None:
            request = request.with_layout(layout)
        if imagery is None:
            runner.edit(request)
        elif not settings.sends_imagery_of(imagery.host):
            self._ask_to_send(imagery)
        else:
            runner.edit(request, partial(online_fetch.prepare, imagery, self.form.chosen_gsd()))

    def use_again(self, run: Run) -> None:
        """Show raster, mask and settings of an earlier run, with the seed that it took."""
        source, kept = source_of(run.assembly, self._project), self.form.memory()
        if source is None or not online.is_online(source):  # of an online layer there is one kind of result
            kept["result"] = run.assembly.get("result")
        self.form.recall({**kept, **run.inputs, "seed": run.recipe.get("seed", run.inputs.get("seed"))})
        if source is not None:
            self.form.source.setLayer(source)
        mask = self._project.mapLayer(run.assembly.get("mask", ""))
        if mask is None:
            mask = restore_mask(self._project, run.inputs.get("mask") or {})
        if mask is not None:
            self.form.mask.choose(mask)
        sample = next(iter(run.inputs.get("samples") or ()), None)
        self.form.use_sample(sample, self._project.mapLayer(run.assembly.get("sample", "")))
        self.form.use_layout(layout_from_json(run.inputs.get("layout")))

    def forget_seed(self) -> None:
        """Take a new seed in the next run."""
        self.form.seed.set_value(None)

    def use_recipe(self, recipe: Json, layer: QgsRasterLayer) -> None:
        """Show the settings in the recipe of an edited layer; raster and mask are left to choose."""
        edit, examples = recipe.get("edit"), recipe.get("examples") or {}
        self.form.recall({**self.form.memory(), **recipe, **(edit if isinstance(edit, dict) else {})})
        made_like = next(iter(examples.get("samples") or ()), None)
        self.form.use_sample(made_like and {"words": made_like.get("kind") or ""}, None)
        self.form.use_layout(None)
        check_layers(recipe)

    def memory(self) -> Json:
        """Return all but the layers."""
        return self.form.memory()

    def recall(self, memory: Json) -> None:
        """Show the settings that ``memory`` returned."""
        self.form.recall(memory)

    def stop(self) -> None:
        """Look at nothing any more."""
        self.reading.stop()
        self._stop_timing()

    def close(self) -> None:
        """Undo what was done outside the dock."""
        self.stop()
        self.brush.leave()
        self.brush.deleteLater()
        self.preview.close()
        self.form.close_layers()

    def new_mask(self) -> None:
        """Make a mask layer in the raster's CRS, and choose it."""
        self._new_layer(NAME, self.form.mask)

    def _new_area(self) -> None:
        """Make a layer to draw on what a sample is of, and choose it."""
        self._new_layer(AREA_NAME, self.form.like_here.area)

    def _new_layer(self, title: str, field: PolygonField) -> None:
        source = self.form.layer()
        crs = source.crs() if source is not None else QgsCoordinateReferenceSystem()
        layer = add_mask(self._project, crs if crs.isValid() else self._project.crs(), title=title)
        field.choose(layer)
        self.layer_made.emit(layer)

    def uncover(self) -> None:
        """Take the tint off the map, until something changes: there is a result to be seen."""
        self.preview.hide()

    def _question(self) -> Question:
        """Prepare to read raster, mask and layout."""
        layers, look = self.form.drawn_layers(), self._look()
        return lambda listener: (look(listener), layers.read(listener.stop))

    def _look(self) -> Callable[[Listener], EditPreview]:
        """Prepare to look at raster and mask."""
        request, imagery, gsd = self.form.request(), self.form.imagery(), self.form.chosen_gsd()
        if imagery is None:
            window = int(self.form.model.card().get("window") or WINDOW)
            return lambda listener: edit_request.preview_edit(request, window, listener.stop)
        cards = edit_request.edit_models(self.connection.state.models, request.options["model"])
        return lambda listener: online_fetch.preview_edit(imagery, request, gsd, cards, listener)

    def _ask_to_send(self, imagery: online.OnlineLayer) -> None:
        """Ask whether imagery of a host may be sent to the backend; if so, remember it and run."""
        credit = f"\n{imagery.credit}" if imagery.credit else ""
        backend = calls.site(self.connection.state.url)

        def send() -> None:
            settings.send_imagery_of(imagery.host)
            self.submitted.emit()

        self.asked.emit(
            tr(
                "Send imagery of {host} to the backend at {backend}? Allow it only if the terms of its "
                "provider do. You are asked once for each provider."
            ).format(host=imagery.host, backend=backend)
            + credit,
            {tr("Send it"): send},
        )

    def _tint(self) -> None:
        """Show on the map what the edit will cover, while the form is seen."""
        if self.shown:
            self.preview.show()
        else:
            self.preview.hide()

    def _take_brush(self, wanted: bool) -> None:
        """Paint on the chosen mask; on a new one if it is a layer of the user's own."""
        if not wanted:
            self.brush.leave()
            return
        if not is_mask(self.form.mask.layer()):
            self.new_mask()
        self.brush.begin()
        self.form.brush.show_active(True)

    def _paint(self, stroke: QgsGeometry, erase: bool) -> None:
        layer, crs = self.form.mask.layer(), self._canvas.mapSettings().destinationCrs()
        if layer is None:
            return
        try:
            paint(layer, stroke, QgsCoordinateTransform(crs, layer.crs(), self._project), erase)
        except PluginError as error:
            self._refuse(str(error))

    def _undo(self, again: bool) -> None:
        layer = self.form.mask.layer()
        stack = layer.undoStack() if layer is not None else None
        if layer is not None and stack is not None:
            stack.redo() if again else stack.undo()
            layer.triggerRepaint()

    def _follow_mask(self) -> None:
        """Put the brush away where there is nothing to paint on."""
        if not is_mask(self.form.mask.layer()):
            self.brush.leave()

    def _show_found(self, answer: tuple[EditPreview, Drawings]) -> None:
        self.found, self.drawn = answer
        kept = Drawings(layout=self.form.layout_panel.kept())
        self.form.layout_panel.show_drawn(self.drawn.over(kept))
        self._show_plan(None)
        self.answered.emit()
        self._ask_for_time(self.found)

    def _size(self, found: EditPreview) -> float:
        """Return the pixel size that the model would work in."""
        return PixelSizes.of(self.form.model.card()).nearest(max(found.pixel))

    def _show_plan(self, seconds: Optional[float]) -> None:
        if self.found is not None:
            self.plan.show_edit(self.found, self._size(self.found), seconds, self.connection.state.url)

    def _ask_for_time(self, found: EditPreview) -> None:
        """Ask how long a scene takes that is as large as what the model sees; no answer leaves it open."""
        width, height = found.crop.width * found.pixel[0], found.crop.height * found.pixel[1]
        x, y = SOMEWHERE
        inputs = GenerateInputs(
            self.form.prompt.text(), Extent([x, y, x + width, y + height], SOMEWHERE_CRS),
            gsd=self._size(found), **self.form.model.values(),
        )  # fmt: skip
        self._timing = self.connection.client.run(
            calls.plan("generate", inputs),
            lambda plan: self._timed(plan.seconds),
            lambda _error: self._timed(None),
        )

    def _timed(self, seconds: Optional[float]) -> None:
        self._timing = None
        if seconds is not None:
            self._show_plan(seconds)

    def _stop_timing(self) -> None:
        if self._timing is not None:
            self._timing.cancel()
            self._timing = None

    def _refused(self, error: PluginError) -> None:
        self._refuse(str(error))

    def _follow_models(self) -> None:
        if self.connection.state.ready:
            self.form.model.set_models(list(self.connection.state.models))
            self.form.like_here.set_models(self.connection.state.models)
