"""What is asked for: prompt, extent, GSD, seed, and, folded away, the rest.

Turns what the user set into the inputs of ``generate`` and back. Whether they make sense is for the backend's
``plan`` to say; here only an empty prompt or extent is noticed.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Optional, Sequence

from qgis.core import QgsMapLayer, QgsProject
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from text2earth_qgis.core.imagery.drawn.drawings import Drawings, DrawnLayers
from text2earth_qgis.core.imagery.drawn.features import SearchArea
from text2earth_qgis.core.imagery.rasters import crs_text
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Extent, GenerateInputs, Json
from text2earth_qgis.gui import words
from text2earth_qgis.gui.accessible import name_fields, name_widget
from text2earth_qgis.gui.panels.advanced import AdvancedPanel
from text2earth_qgis.gui.panels.choices import ChoiceRow
from text2earth_qgis.gui.panels.drawn.layout import LayoutPanel
from text2earth_qgis.gui.panels.drawn.like_here import LikeHerePanel
from text2earth_qgis.gui.panels.drawn.regions import RegionsPanel
from text2earth_qgis.gui.panels.extent import ExtentField
from text2earth_qgis.gui.panels.fields import GsdField, SeedField, fold
from text2earth_qgis.gui.panels.model import NO_SOURCES, by_example
from text2earth_qgis.gui.prompt.box import PromptBox
from text2earth_qgis.gui.prompt.edit import PromptEdit

EXAMPLE = tr(
    "Such as: a village with red roofs beside a river, farmland around it, a road from north to south"
)
AVOID = tr("What the picture should not show, such as: clouds, blur")


class RequestPanel(QWidget):
    """The form. ``changed`` follows every edit, ``submitted`` Ctrl+Enter in a prompt."""

    changed = pyqtSignal()
    submitted = pyqtSignal()
    unfolded = pyqtSignal()  # or folded

    def __init__(self, canvas: QgsMapCanvas, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.prompt_box = PromptBox(EXAMPLE, 4)
        self.prompt = self.prompt_box.edit
        self.negative = PromptEdit(AVOID, 2)
        self.extent = ExtentField(canvas)
        self.gsd = GsdField()
        self.choices = ChoiceRow()
        self.seed = SeedField()
        self.advanced = AdvancedPanel()
        self.advanced.grid_changed.connect(self._follow_model)
        self.regions, self.layout_panel = RegionsPanel(), LayoutPanel()
        self.like_here = LikeHerePanel(QgsProject.instance())
        avoid = fold(tr("Negative prompt"), self.negative)
        lots = fold(tr("Regions"), self.regions)
        drawn = fold(tr("Layout"), self.layout_panel)
        like = fold(tr("Like here"), self.like_here)
        self.like_here.titled.connect(like.setTitle)
        self.regions.titled.connect(lots.setTitle)
        self.layout_panel.titled.connect(drawn.setTitle)
        more = fold(tr("More settings"), self.advanced)
        more.collapsedStateChanged.connect(lambda _closed: self.changed.emit())
        for part in (avoid, lots, drawn, like, more):
            part.collapsedStateChanged.connect(lambda _closed: self.unfolded.emit())
        self._folds = {"negative": avoid, "regions": lots, "layout": drawn, "like": like, "more": more}
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow(tr("Extent"), self.extent)
        form.addRow(tr("GSD"), self.gsd)
        form.addRow(self.choices)
        form.addRow(tr("Seed"), self.seed)
        name_fields(form)
        name_widget(self.negative, tr("Negative prompt"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(9, 9, 9, 0)
        for widget in (self.prompt_box, avoid, lots, drawn, like):
            layout.addWidget(widget)
        layout.addLayout(form)
        layout.addWidget(more)
        layout.addStretch(1)
        self.prompt_box.changed.connect(self.changed)
        self.negative.textChanged.connect(self.changed)
        for edit in (self.prompt_box, self.negative):
            edit.submitted.connect(self.submitted)
        self.like_here.changed.connect(self._follow_samples)
        self.advanced.start.changed.connect(self._follow_samples)
        for field in (self.extent, self.seed, self.regions, self.layout_panel, self.like_here, self.advanced):
            field.changed.connect(self.changed)
        self.gsd.changed.connect(self.changed)
        self.choices.chosen.connect(self.gsd.set_value)

    def missing(self) -> str:
        """Name what the form still lacks, as a sentence; empty if nothing."""
        extent = self.extent.missing()
        shown = self.prompt.text() or self.layout_panel.is_given() or self.like_here.is_given()
        if not shown and self.extent.box()[1].isValid():
            return tr("Write in the prompt what the picture should show.")
        drawn = self.regions.missing() or self.layout_panel.missing() or self._missing_samples()
        return extent or drawn or self.advanced.refusal

    def _missing_samples(self) -> str:
        """Name what is wrong with samples and sources, as a sentence; empty if nothing."""
        values, begins = self.advanced.values(), self.begins_like_here()
        if begins and not self.like_here.is_given():
            return tr("Draw what it is to begin with under Like here, or begin with something else.")
        chosen = self.advanced.card() if values["model"] and not begins else {}
        sentence = self.like_here.missing(None, chosen)
        unsaid = self.advanced.sources.isChecked() and not by_example(self.advanced.card())
        return sentence or (NO_SOURCES if unsaid else "")

    def begins_like_here(self) -> bool:
        """Whether a diffusion model is to begin with land like the samples."""
        return bool(self.advanced.values().get("start") == "samples")

    def inputs(self) -> Optional[GenerateInputs]:
        """Return the request, None as long as something is missing."""
        extent = self.extent.value()
        if extent is None or self.missing():
            return None
        project = QgsProject.instance().crs()
        inputs = GenerateInputs(
            prompt=self.prompt.text(),
            negative_prompt=self.negative.text(),
            extent=extent,
            gsd=self.gsd.value(),
            project_crs=crs_text(project) if project.isValid() else None,
            seed=self.seed.value(),
            variants=self.seed.variants(),
        )
        return replace(inputs, **self.advanced.values())

    def to_plan(self) -> Optional[GenerateInputs]:
        """Return the request as it can be planned: samples are sent only when it is run."""
        inputs = self.inputs()
        if inputs is None or not self.like_here.is_given():
            return inputs
        if self.begins_like_here():
            return replace(inputs, start="bank")
        return replace(inputs, model=self.advanced.card().get("id"))

    def drawn_choice(self) -> object:
        """Return everything that the regions and the layout to be read depend on, to be compared."""
        revisions = self.regions.revision, self.layout_panel.revision, self.like_here.revision
        return revisions, self.extent.value(), self.advanced.canvas.currentData()

    def drawn_layers(self) -> DrawnLayers:
        """Return the layers of regions and layout that are to be read, and near what."""
        alone = self.advanced.canvas.currentData() == "extent"
        near = SearchArea(*self.extent.box(), QgsProject.instance().transformContext(), alone)
        return DrawnLayers(self.regions.chosen(), self.layout_panel.chosen(), near)

    def reads_layers(self) -> bool:
        """Whether regions, a layout or samples come from a layer."""
        return self.regions.has_layer() or self.layout_panel.has_layer() or self.like_here.is_given()

    def kept(self) -> Drawings:
        """Return the regions and the layout of the earlier run, as far as they are chosen."""
        return Drawings(self.regions.kept(), self.layout_panel.kept())

    def show_drawn(self, found: Drawings) -> None:
        """Show what of regions and layout is sent."""
        self.regions.show_found(found.regions)
        self.layout_panel.show_drawn(found)

    def set_inputs(self, inputs: GenerateInputs, seed: Optional[int]) -> None:
        """Show the settings of an earlier run, with the seed that it took."""
        self.extent.set_value(inputs.extent)
        self._show(inputs if seed is None else replace(inputs, seed=seed))

    def continue_scene(self, inputs: GenerateInputs) -> None:
        """Show the settings of a scene that goes on in the chosen extent, and where that is set."""
        self._show(inputs)
        self._folds["more"].setCollapsed(False)

    def _show(self, inputs: GenerateInputs) -> None:
        self.prompt.setPlainText(inputs.prompt)
        self.negative.setPlainText(inputs.negative_prompt)
        self._folds["negative"].setCollapsed(not inputs.negative_prompt)
        self.regions.keep(inputs.regions)
        self._folds["regions"].setCollapsed(inputs.regions is None)
        self.layout_panel.keep(inputs.layout)
        self._folds["layout"].setCollapsed(inputs.layout is None)
        self.gsd.set_value(inputs.gsd)
        self.seed.set_value(inputs.seed)
        self.seed.set_variants(inputs.variants)
        self.advanced.set_inputs(inputs)

    def use_samples(self, samples: Sequence[Json], layers: Sequence[Optional[QgsMapLayer]]) -> None:
        """Show the samples of an earlier run."""
        self.like_here.restore(samples, layers)
        self._folds["like"].setCollapsed(not samples)

    def memory(self) -> Json:
        """Return the settings to keep for the next session: all but extent and CRS."""
        return {
            "prompt": self.prompt.text(),
            "negative_prompt": self.negative.text(),
            "gsd": self.gsd.value(),
            "seed": self.seed.value(),
            "variants": self.seed.variants(),
            **self.advanced.memory(),
            "region_fields": self.regions.memory(),
            "layout_field": self.layout_panel.memory(),
        }

    def recall(self, memory: Json) -> None:
        """Show the settings that ``memory`` returned."""
        self.regions.recall(memory.get("region_fields") or {})
        self.layout_panel.recall(memory.get("layout_field") or {})
        self.advanced.sources.setChecked(bool(memory.get("sources")))
        nowhere = Extent([0.0, 0.0, 0.0, 0.0])
        known = {item.name for item in fields(GenerateInputs)}
        kept = {name: value for name, value in memory.items() if name in known and value is not None}
        self._show(GenerateInputs(**{"prompt": "", "extent": nowhere, **kept}))

    def unfold(self, opened: bool) -> None:
        """Open or close what most runs leave alone."""
        self._folds["more"].setCollapsed(not opened)

    def wants_price(self) -> bool:
        """Whether the user looks at the choice of the canvas."""
        return not self._folds["more"].isCollapsed()

    def show_automatic_gsd(self, chosen: Optional[float] = None) -> None:
        """Say what an automatic GSD comes to: the size that was chosen, or where it comes from."""
        meaning = self.advanced.automatic_gsd()
        self.gsd.set_automatic(f"{meaning} ({words.significant(chosen)} m)" if chosen else meaning)

    def _follow_samples(self) -> None:
        """Show which model works, which samples may decide."""
        self.advanced.set_like(self.like_here.is_given() and not self.begins_like_here())

    def _follow_model(self) -> None:
        self.prompt_box.set_card(self.advanced.card())
        self.gsd.set_sizes(self.advanced.sizes())
        self.show_automatic_gsd()
        self.changed.emit()
