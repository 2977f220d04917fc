"""The tab that edits a raster inside a mask: form, check of raster and mask, tint and brush on the map."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Callable, Optional

from qgis.core import (
    QgsCoordinateTransform,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject

from text2earth_qgis.core import settings
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.imagery import edit_request, online, online_fetch
from text2earth_qgis.core.imagery.drawn.drawings import DrawnLayers
from text2earth_qgis.core.imagery.edit_request import EditPreview, EditRequest
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.layers import layer_of, origin_in_file, path_of, source_of
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.tasks import Listener
from text2earth_qgis.core.wire import calls
from text2earth_qgis.core.wire.schemas import Json
from text2earth_qgis.gui.canvas.brush import Brush
from text2earth_qgis.gui.canvas.mask_preview import MaskPreview
from text2earth_qgis.gui.canvas.scratch_mask import NAME, is_mask, paint, restore_mask
from text2earth_qgis.gui.connection import Connection
from text2earth_qgis.gui.modes.mode import UNKNOWN
from text2earth_qgis.gui.modes.painting import PaintingMode
from text2earth_qgis.gui.panels.edit import EditPanel
from text2earth_qgis.gui.panels.plan import PlanPanel
from text2earth_qgis.gui.runner import Runner

GONE = tr("This was made of “{name}”, which is not where it was. Choose the raster, then press Run.")
UNMASKED = tr("The file does not have the mask of this edit of “{name}”. Draw or choose one, then press Run.")


class EditMode(PaintingMode):
    """The dock's second tab."""

    key = "edit"
    title = tr("Edit")
    section = "edit-a-raster"
    hint = tr("Make this edit (Ctrl+Enter in the prompt)")

    def __init__(
        self,
        canvas: QgsMapCanvas,
        project: QgsProject,
        plan: PlanPanel,
        connection: Connection,
        parent: Optional[QObject] = None,
    ) -> None:
        self.form = EditPanel(project)
        super().__init__(self.form, canvas, project, plan, connection, parent)
        self.preview = MaskPreview(canvas, project, self.form.area, self)
        self.form.changed.connect(self._tint)
        self.form.mask.wanted.connect(self.new_mask)
        self.form.mask.changed.connect(self._follow_mask)
        self.brush = Brush(canvas, project)
        self.form.brush.wanted.connect(self._take_brush)
        self.form.brush.sized.connect(self.brush.set_size)
        self.form.brush.tell()
        self.brush.resized.connect(self.form.brush.show_size)
        self.brush.left.connect(lambda: self.form.brush.show_active(False))
        self.brush.stroked.connect(self._paint)
        self.brush.undone.connect(self._undo)

    def show(self, shown: bool) -> None:
        """Show the tint while the form is seen; only then the mask is painted."""
        super().show(shown)
        if not shown:
            self.brush.leave()
        self._tint()

    def missing(self) -> str:
        """Name what the form still lacks."""
        return self.form.missing()

    def request(self) -> EditRequest:
        """Return what is asked for, without what is drawn. Raises ``PluginError``."""
        return self.form.request()

    def drawn_layers(self) -> DrawnLayers:
        """Return the layer of a layout, and near what it is read."""
        return self.form.drawn_layers()

    def run(self, runner: Runner) -> None:
        """Send raster and mask, and start the job; raises ``PluginError``.

        Before imagery of an online layer is sent for the first time, it is asked whether it may.
        """
        request, imagery = self.form.request(), self.form.imagery()
        self.remember_prompt()
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
        kept.update(
            sources=bool(run.sources), fill=not (run.inputs.get("prompt") or run.inputs.get("layout"))
        )
        self.form.recall({**kept, **run.inputs, "seed": run.recipe.get("seed", run.inputs.get("seed"))})
        if source is not None:
            self.form.source.setLayer(source)
        mask = self._project.mapLayer(run.assembly.get("mask", ""))
        if mask is None:
            mask = restore_mask(self._project, run.inputs.get("mask") or {})
        if mask is not None:
            self.form.mask.choose(mask)
        self.use_drawn(run)

    def use_recipe(self, recipe: Json, layer: QgsRasterLayer) -> None:
        """Show the settings in the recipe of an edited layer; tells what is left to choose."""
        edit = recipe.get("edit")
        filled = {"fill": not recipe.get("prompt"), "layout": None}
        own = edit if isinstance(edit, dict) else {}
        self.form.recall({**self.form.memory(), **recipe, **own, **filled})
        drawn = self.use_recorded(recipe)
        file = path_of(layer)
        origin = origin_in_file(file)
        place, mask = origin.found(Path(file)), restore_mask(self._project, origin.mask)
        source = layer_of(place, self._project) if place is not None else None
        if source is not None:
            self.form.source.setLayer(source)
        if mask is not None:
            self.form.mask.choose(mask)
        if drawn.note or not origin.name:
            raise PluginError(drawn.note or UNKNOWN)
        if source is None:
            raise PluginError(GONE.format(name=origin.name))
        if mask is None:
            raise PluginError(UNMASKED.format(name=origin.name))

    def memory(self) -> Json:
        """Return all but the layers."""
        return self.form.memory()

    def recall(self, memory: Json) -> None:
        """Show the settings that ``memory`` returned."""
        self.form.recall(memory)

    def close(self) -> None:
        """Undo what was done outside the dock."""
        super().close()
        self.brush.leave()
        self.brush.deleteLater()
        self.preview.close()

    def new_mask(self) -> None:
        """Make a mask layer in the raster's CRS, and choose it."""
        self.new_layer(NAME, self.form.mask)

    def uncover(self) -> None:
        """Take the tint off the map, until something changes: there is a result to be seen."""
        self.preview.hide()

    def look(self) -> Callable[[Listener], EditPreview]:
        """Prepare to look at raster and mask."""
        request, imagery, gsd = self.form.request(), self.form.imagery(), self.form.chosen_gsd()
        if imagery is None:
            return super().look()
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

    def show_preview(self, found: EditPreview) -> None:
        """Show the part that is used, and what it comes to as far as that is known."""
        self.plan.show_edit(found, self.work(found), self.connection.state.url)
