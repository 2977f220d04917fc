"""What the tabs that paint into a raster share: the look at raster and drawn layers, their plan, their time.

The base of ``EditMode`` and ``ExtendMode``. Before Run rasters are looked at on this computer, and none of
their pixels are sent.
"""

from __future__ import annotations

from typing import Callable, Optional, Sequence

from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject

from text2earth_qgis.core.errors import BackendError, PluginError
from text2earth_qgis.core.imagery import edit_request
from text2earth_qgis.core.imagery.drawn.drawings import Drawings, DrawnLayers
from text2earth_qgis.core.imagery.drawn.recorded import recorded, recorded_samples
from text2earth_qgis.core.imagery.edit_request import EditPreview, EditRequest
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.pixel_sizes import PixelSizes
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.tasks import Listener
from text2earth_qgis.core.wire import calls
from text2earth_qgis.core.wire.quiet_network import Pending
from text2earth_qgis.core.wire.schemas import Json, Plan, layout_from_json
from text2earth_qgis.gui.canvas.scratch_mask import add_mask
from text2earth_qgis.gui.connection import Connection
from text2earth_qgis.gui.debounce import Debounced, Question
from text2earth_qgis.gui.modes.like_here import SamplesOnMap
from text2earth_qgis.gui.modes.mode import Mode
from text2earth_qgis.gui.panels.drawn.like_here import AREA_NAME
from text2earth_qgis.gui.panels.drawn.polygons import PolygonField
from text2earth_qgis.gui.panels.painting import PaintingPanel
from text2earth_qgis.gui.panels.plan import PlanPanel, Work

WINDOW = 256  # pixels, of a model that does not say
PAUSE_MS = 350  # in which the next change may come
REFUSALS = (400, 413)  # an input is wrong, or above a limit


class PaintingMode(Mode):
    """A tab with a ``form`` of a raster and what is painted into it."""

    def __init__(
        self,
        form: PaintingPanel,
        canvas: QgsMapCanvas,
        project: QgsProject,
        plan: PlanPanel,
        connection: Connection,
        parent: Optional[QObject] = None,
    ) -> None:
        super().__init__(form, plan, connection, parent)
        self._painting, self._canvas, self._project = form, canvas, project
        self.found: Optional[EditPreview] = None
        self.drawn = Drawings()  # regions and layout that were read with it
        self.planned: Optional[Plan] = None
        self._timing: Optional[Pending] = None  # the question what it comes to
        self.reading = Debounced(tr("looking at the raster"), PAUSE_MS, self)
        self.reading.found.connect(self._show_found)
        self.reading.refused.connect(lambda error: self._refuse(str(error)))
        self.samples = SamplesOnMap(canvas, project, form.like_here, self)
        form.layout_panel.made.connect(self.layer_made)
        form.like_here.layer_wanted.connect(lambda row: self.new_layer(AREA_NAME, row.area))
        form.prompt_box.follow(connection)
        form.changed.connect(self.changed)
        form.submitted.connect(self.submitted)
        form.unfolded.connect(self.unfolded)
        connection.changed.connect(self._follow_models)

    @property
    def checked(self) -> bool:
        """Whether raster and drawn layers were read."""
        return self.found is not None

    def ask(self) -> None:
        """Look at raster and drawn layers, on this computer."""
        self.found, self.planned, self.drawn, self.refused = None, None, Drawings(), False
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
        if not reason and self.reads_layers() and not self.checked:
            return tr("Reading the layer that was drawn.")
        return reason

    def reads_layers(self) -> bool:
        """Whether something drawn is read from a layer."""
        return self._painting.layout_panel.has_layer()

    def request(self) -> EditRequest:
        """Return what is asked for, without what is drawn. Raises ``PluginError``."""
        raise NotImplementedError

    def drawn_layers(self) -> DrawnLayers:
        """Return the layers of what is drawn, and near what they are read."""
        raise NotImplementedError

    def look(self) -> Callable[[Listener], EditPreview]:
        """Prepare to look at what is asked for."""
        card = {} if self._painting.copies_surroundings() else self._painting.model.card()
        request, window = self.request(), int(card.get("window") or WINDOW)
        return lambda listener: edit_request.preview_edit(request, window, listener.stop)

    def show_preview(self, found: EditPreview) -> None:
        """Show what was found, and what it comes to as far as that is known."""
        raise NotImplementedError

    def remember_prompt(self) -> None:
        """Note that the prompt is run, if it counts."""
        if self._painting.words():
            self._painting.prompt_box.remember()

    def forget_seed(self) -> None:
        """Take a new seed in the next run."""
        self._painting.seed.set_value(None)

    def stop(self) -> None:
        """Look at nothing any more."""
        self.reading.stop()
        self._stop_timing()

    def show(self, shown: bool) -> None:
        """Begin with a raster that is seen, if none is chosen; show the samples while the form is seen."""
        super().show(shown)
        if shown and self._painting.layer() is None:
            self._painting.choose(self._project.layerTreeRoot().checkedLayers())
        self.samples.show(shown)

    def close(self) -> None:
        """Undo what was done outside the dock."""
        self.stop()
        self.samples.close()
        self._painting.close_layers()

    def new_layer(self, title: str, field: PolygonField) -> None:
        """Make a layer in the raster's CRS to draw polygons on, and choose it."""
        source = self._painting.layer()
        crs = source.crs() if source is not None else QgsCoordinateReferenceSystem()
        layer = add_mask(self._project, crs if crs.isValid() else self._project.crs(), title=title)
        field.choose(layer)
        self.layer_made.emit(layer)

    def use_recorded(self, recipe: Json) -> Drawings:
        """Show the layout in the recipe of a layer, and what samples showed, whose areas it does not have.

        Returns all that was drawn.
        """
        drawn = recorded(recipe)
        self._painting.use_samples(recorded_samples(recipe), ())
        self._painting.use_layout(drawn.layout)
        return drawn

    def use_drawn(self, run: Run) -> None:
        """Show the samples and the layout of an earlier run."""
        samples = run.inputs.get("samples") or ()
        self._painting.use_samples(samples, self._layers(run.samples))
        self._painting.use_layout(layout_from_json(run.inputs.get("layout")))

    def _layers(self, ids: Sequence[str]) -> list[Optional[QgsRasterLayer]]:
        return [self._project.mapLayer(one) for one in ids]

    def _question(self) -> Question:
        """Prepare to read raster and drawn layers."""
        layers, look = self.drawn_layers(), self.look()
        return lambda listener: (look(listener), layers.read(listener.stop))

    def _show_found(self, answer: tuple[EditPreview, Drawings]) -> None:
        self.found, self.drawn = answer
        self.show_drawn()
        self.show_preview(self.found)
        self.answered.emit()
        self._ask_for_plan(self.found)

    def show_drawn(self) -> None:
        """Show what of the drawn layers is sent."""
        kept = Drawings(layout=self._painting.layout_panel.kept())
        self._painting.layout_panel.show_drawn(self.drawn.over(kept))

    def work(self, found: EditPreview) -> Work:
        """Return what is known of the work: by the plan, else by the model."""
        if self.planned is not None:
            return Work.of(self.planned)
        if self._painting.copies_surroundings():
            return Work(None)
        return Work(PixelSizes.of(self._painting.model.card()).nearest(max(found.pixel)))

    def _ask_for_plan(self, found: EditPreview) -> None:
        """Ask what it comes to, by where it lies; nothing of the raster is sent."""
        if found.unsent is None:
            return
        drawn = self.drawn.over(Drawings(layout=self._painting.layout_panel.kept()))
        there = {"layout": drawn.layout, "regions": drawn.regions}
        settings = {**self._painting.settings(), **{key: one and one.to_json() for key, one in there.items()}}
        if self._painting.like_here.is_given() and not settings["model"]:
            settings["model"] = self._painting.model.card().get("id")
        inputs = {name: value for name, value in settings.items() if value is not None}
        self._timing = self.connection.client.run(
            calls.plan(self.key, {**inputs, **found.unsent.area}, raster=found.unsent.raster),
            self._planned,
            self._unplanned,
        )

    def _planned(self, plan: Plan) -> None:
        self._timing, self.planned = None, plan
        if self.found is not None:
            self.show_preview(self.found)

    def _unplanned(self, error: PluginError) -> None:
        """Refuse what the backend would refuse; where it only cannot tell, time stays open."""
        self._timing = None
        refused = isinstance(error, BackendError) and error.status in REFUSALS
        if refused and not str(getattr(error, "field", None) or "").startswith("raster"):
            self._refuse(str(error))

    def _stop_timing(self) -> None:
        if self._timing is not None:
            self._timing.cancel()
            self._timing = None

    def _follow_models(self) -> None:
        if self.connection.state.ready:
            self._painting.model.set_models(list(self.connection.state.models))
            self._painting.like_here.set_models(self.connection.state.models)
