"""The tab that makes imagery of an extent: form, the backend's plan, outline on the map."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from qgis.core import QgsProject, QgsRasterLayer, QgsRectangle
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject

from text2earth_qgis.core import layers
from text2earth_qgis.core.continuation import SHARED, begun, inputs_from_recipe
from text2earth_qgis.core.crs import crs_of
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.imagery.drawn.drawings import Drawings
from text2earth_qgis.core.imagery.drawn.recorded import recorded, recorded_samples
from text2earth_qgis.core.imagery.rasters import extent_of
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.tasks import Listener
from text2earth_qgis.core.wire.schemas import Extent, GenerateInputs, Json, Plan
from text2earth_qgis.gui import ground, words
from text2earth_qgis.gui.canvas.footprint import Footprint
from text2earth_qgis.gui.canvas.scratch_mask import add_mask
from text2earth_qgis.gui.connection import Connection
from text2earth_qgis.gui.debounce import Debounced, Question
from text2earth_qgis.gui.modes.like_here import SamplesOnMap
from text2earth_qgis.gui.modes.mode import Mode
from text2earth_qgis.gui.panels.drawn.like_here import AREA_NAME
from text2earth_qgis.gui.panels.drawn.sample_row import SampleRow
from text2earth_qgis.gui.panels.plan import PlanPanel, about, price
from text2earth_qgis.gui.panels.request import RequestPanel
from text2earth_qgis.gui.planning.choices import Choice
from text2earth_qgis.gui.planning.planner import Planner
from text2earth_qgis.gui.runner import Runner

PAUSE_MS = 200  # in which the user may go on
ANY_PROMPT = "land"  # for a plan that is only to tell how long scenes take
SENT = {  # whether there are regions, and a layout
    (False, False): tr("Runs on {host}: prompt and extent are sent there."),
    (True, False): tr("Runs on {host}: prompts, extent and regions are sent there."),
    (False, True): tr("Runs on {host}: prompts, extent and layout are sent there."),
    (True, True): tr("Runs on {host}: prompts, extent and regions and layout are sent there."),
}


class GenerateMode(Mode):
    """The dock's first tab."""

    key = "generate"
    title = tr("Generate")
    section = "make-a-scene"
    hint = tr("Make this image (Ctrl+Enter in the prompt)")

    def __init__(
        self,
        canvas: QgsMapCanvas,
        plan: PlanPanel,
        connection: Connection,
        parent: Optional[QObject] = None,
    ) -> None:
        self.request = RequestPanel(canvas)
        super().__init__(self.request, plan, connection, parent)
        self._project = QgsProject.instance()
        self.planned: Optional[Plan] = None
        self._inputs_planned: Optional[GenerateInputs] = None
        self.drawn: Optional[Drawings] = None  # as read from the chosen layers
        self._read_for: object = None  # what they were read for
        self.reading = Debounced(tr("reading regions and layout"), PAUSE_MS, self)
        self.reading.found.connect(self._show_drawn)
        self.reading.refused.connect(self._refused)
        self.planner = Planner(self)
        self.footprint = Footprint(canvas)
        self._sent: Optional[GenerateInputs] = None  # as the form had it
        self._made: Optional[GenerateInputs] = None  # whose result is to be seen
        self.samples = SamplesOnMap(canvas, self._project, self.request.like_here, self)
        self.request.like_here.layer_wanted.connect(self._new_area)
        self.request.prompt_box.follow(connection)
        for panel in (self.request.regions, self.request.layout_panel):
            panel.made.connect(self.layer_made)
        self.request.changed.connect(self.changed)
        self.request.submitted.connect(self.submitted)
        self.request.unfolded.connect(self.unfolded)
        advanced = self.request.advanced
        self.planner.planned.connect(self._planned)
        self.planner.offered.connect(self._offer)
        self.request.extent.estimate = self._estimate
        self.request.extent.begun.connect(self._gauge)
        self.planner.priced.connect(lambda one, all_: advanced.show_price(price(one, all_)))
        self.planner.unpriced.connect(
            lambda error: advanced.show_price(tr("The other canvas: {reason}").format(reason=error))
        )
        self.planner.refused.connect(self._refused)
        self.planner.unreachable.connect(connection.lost)
        connection.changed.connect(self._follow_models)

    @property
    def checked(self) -> bool:
        """Whether there is a plan."""
        return self.planned is not None

    def missing(self) -> str:
        """Name what the form still lacks."""
        return self.request.missing()

    def show(self, shown: bool) -> None:
        """Outline the extent while the form is seen; only then it can be drawn."""
        super().show(shown)
        if not shown:
            self.request.extent.leave_tool()
        self.samples.show(shown)
        self._outline()

    def uncover(self) -> None:
        """Take the outline off the map, until something changes: there is a result to be seen."""
        self._made = self._sent
        self._outline()

    def ask(self) -> None:
        """Ask the backend for its plan."""
        self.planned, self._inputs_planned, self.refused = None, None, False
        self.request.show_automatic_gsd()
        missing, ready = self.missing(), self.connection.state.ready
        self._outline()
        self.request.advanced.show_price("")
        self._show_choices()
        self.stop()
        if missing or not ready:
            self.plan.show_hint(missing) if ready else self.plan.clear()
            return
        self.plan.wait()
        if not self.request.reads_layers():
            self.request.show_drawn(self.request.kept())
            self._plan()
        elif self.drawn is not None and self._read_for == self.request.drawn_choice():
            self._plan()
        else:
            self.drawn, self._read_for = None, self.request.drawn_choice()
            self.reading.ask(self._question)

    def reason(self) -> str:
        """Return why this cannot be run."""
        reason = super().reason()
        if not reason and self.request.reads_layers() and self.drawn is None:
            return tr("Reading the layers that were drawn.")
        if not reason and self._is_open() and self.planned is None:
            return tr("Looking for a pixel size that does not take long.")
        return reason

    def run(self, runner: Runner) -> None:
        """Send the request as a job; raises ``PluginError``."""
        inputs, asked = self._inputs_planned or self._inputs(), self.request.inputs()
        if inputs is not None and asked is not None:
            samples, sources = self.request.like_here.samples(), self.request.advanced.sources.isChecked()
            runner.start(replace(inputs, start=asked.start), samples, sources)
            self.request.prompt_box.remember()
            self._sent = asked

    def use_again(self, run: Run) -> None:
        """Show the settings of an earlier run, with the seed that it took."""
        inputs = GenerateInputs.from_json(run.inputs)
        self.request.set_inputs(inputs, run.recipe.get("seed"))
        self.request.use_samples(inputs.samples or (), [self._project.mapLayer(one) for one in run.samples])
        self.request.advanced.sources.setChecked(bool(run.sources))

    def forget_seed(self) -> None:
        """Take a new seed in the next run."""
        self.request.seed.set_value(None)

    def use_recipe(self, recipe: Json, layer: QgsRasterLayer) -> None:
        """Show the settings in the recipe of a layer, and where it lies."""
        pixel = QgsRectangle.fromCenterAndSize(
            layer.extent().center(), layer.rasterUnitsPerPixelX(), layer.rasterUnitsPerPixelY()
        )
        size = ground.size(pixel, layer.crs(), QgsProject.instance().transformContext())
        known = {name: recipe[name] for name in SHARED if recipe.get(name) is not None}
        extent = extent_of(layer.extent(), layer.crs())
        start = begun(recipe["start"]) if recipe.get("start") else {}
        drawn = recorded(recipe)
        own = {"extent": extent, "gsd": min(size) if size else None}
        inputs = GenerateInputs(
            **{"prompt": "", **known, **start, **own}, regions=drawn.regions, layout=drawn.layout
        )
        self.request.set_inputs(inputs, recipe.get("seed"))
        self.request.use_samples(recorded_samples(recipe), ())
        if drawn.note:
            raise PluginError(drawn.note)

    def continue_scene(self, run: Run) -> None:
        """Show the settings and the canvas of a run, for a scene that goes on; may raise ``PluginError``."""
        profile = layers.profile_in_file(run.target)
        inputs = GenerateInputs.from_json(run.inputs)  # which has prompts that a recipe may lack
        found = inputs_from_recipe({**run.recipe, "prompt": inputs.prompt}, inputs.prompt, profile)
        own = {
            "extent": inputs.extent,
            "negative_prompt": inputs.negative_prompt,
            "regions": inputs.regions,
            "layout": inputs.layout,
        }
        self.request.continue_scene(GenerateInputs(**{**found, **own}))
        like = inputs.samples or ()
        self.request.use_samples(like, [self._project.mapLayer(one) for one in run.samples])

    def memory(self) -> Json:
        """Return all but the extent."""
        return self.request.memory()

    def recall(self, memory: Json) -> None:
        """Show the settings that ``memory`` returned."""
        self.request.recall(memory)

    def stop(self) -> None:
        """Ask nothing any more."""
        self.reading.stop()
        self.planner.stop()

    def close(self) -> None:
        """Take outline and map tool off the canvas."""
        self.stop()
        self.request.regions.close_layers()
        self.request.layout_panel.close_layers()
        self.request.like_here.close_layers()
        self.samples.close()
        self.footprint.remove()
        self.request.extent.close_tool()

    def _inputs(self) -> Optional[GenerateInputs]:
        """Return the request, with its regions and its layout."""
        inputs = self.request.to_plan()
        found = (self.request.reads_layers() and self.drawn) or Drawings()
        found = found.over(self.request.kept())
        return inputs if inputs is None else replace(inputs, regions=found.regions, layout=found.layout)

    def _question(self) -> Optional[Question]:
        """Prepare to read the layers that the form names."""
        if not self.request.reads_layers():
            return None
        wanted, samples = self.request.drawn_layers(), self.request.like_here.samples()

        def read(listener: Listener) -> Drawings:
            for sample in samples:
                sample.check(listener.stop)
            return wanted.read(listener.stop)

        return read

    def _show_drawn(self, found: Drawings) -> None:
        self.drawn = found
        self.request.show_drawn(found.over(self.request.kept()))
        self._plan()
        self.answered.emit()

    def _plan(self) -> None:
        inputs = self._inputs()
        if inputs is not None:
            self.planner.plan(self.connection.client, inputs, self.request.wants_price(), self._sizes())

    def _sizes(self) -> list[float]:
        """Return the pixel sizes to choose from, none where another layer says."""
        inputs = self.request.inputs()
        given = inputs is None or inputs.align or inputs.joins
        return [] if given else self.request.advanced.sizes().offered

    def _is_open(self) -> bool:
        """Whether the pixel size is chosen by the time that it takes."""
        return self.request.gsd.value() is None and bool(self._sizes())

    def _show_choices(self) -> None:
        """Show what was offered as long as it holds."""
        inputs, row = self._inputs(), self.request.choices
        if inputs is None or not self._sizes():
            row.hide()
        else:
            row.setEnabled(self.planner.knows(self.connection.client, inputs))
        row.mark(self.request.gsd.value())

    def _offer(self, found: list[Choice]) -> None:
        self.request.choices.offer(found)
        self.request.choices.mark(self.request.gsd.value())

    def _estimate(self, width: float, height: float) -> str:
        """Say how many pixels so many metres come to, and how long they take, as far as it is known."""
        inputs = self._unplaced()
        pace = self.planner.pace(inputs)
        size = inputs.gsd or pace.finest(self.request.advanced.sizes().offered, width * height)
        if size is None:
            return ""
        columns, rows = (max(1, round(side / size)) for side in (width, height))
        text = tr("about {width} × {height} px of {size}").format(
            width=words.number(columns), height=words.number(rows), size=words.gsd(size, size)
        )
        seconds = pace.seconds(columns * rows)
        return text if seconds is None else f"{text} · {about(seconds)}"

    def _gauge(self) -> None:
        """Find out how long scenes take, before the first one is drawn."""
        if self.connection.state.ready:
            sizes = self.request.advanced.sizes().offered
            self.planner.gauge(self.connection.client, self._unplaced(), sizes)

    def _unplaced(self) -> GenerateInputs:
        """Return the settings of a request, wherever it will be."""
        settings = {**self.request.advanced.values(), "joins": None, "align": None, "crs": None}
        prompt = self.request.prompt.text() or ANY_PROMPT
        inputs = GenerateInputs(prompt, Extent([0.0] * 4), self.request.gsd.value())
        return replace(inputs, variants=self.request.seed.variants(), **settings)

    def _planned(self, plan: Plan, inputs: GenerateInputs) -> None:
        self.planned, self._inputs_planned = plan, inputs
        if self._is_open():
            self.request.show_automatic_gsd(inputs.gsd)
        self.request.choices.mark(inputs.gsd)
        regions, laid_out = (
            plan.recipe.get("regions"),
            plan.recipe.get("layout") or plan.recipe.get("land_cover"),
        )
        sent = SENT[bool(regions), bool(laid_out)]
        if self.request.like_here.is_given():
            sent = " ".join((sent, tr("The pixels of the samples are sent there, too.")))
        self.plan.show_plan(plan, self.connection.state.url, sent)
        self._outline()
        self.answered.emit()

    def _refused(self, error: PluginError) -> None:
        self._refuse(str(error))

    def _follow_models(self) -> None:
        if self.connection.state.ready:
            self.request.advanced.set_models(list(self.connection.state.models))
            self.request.like_here.set_models(self.connection.state.models)

    def _new_area(self, row: SampleRow) -> None:
        """Make a layer to draw the area of a sample on, and choose it."""
        layer = add_mask(self._project, self._project.crs(), title=AREA_NAME)
        row.area.choose(layer)
        self.layer_made.emit(layer)

    def _outline(self) -> None:
        """Show on the canvas where the result will be, while the form is seen."""
        box, crs = self.request.extent.box()
        made = self._made is not None and self._made == self.request.inputs()
        if not self.shown or made or box.isEmpty():
            self.footprint.hide()
        elif self.planned is not None:
            self.footprint.show(QgsRectangle(*self.planned.bbox), crs_of(self.planned.crs), True)
        else:
            self.footprint.show(box, crs, False)
