"""What edits and extensions of a raster have in common: raster, what is painted, and, folded away, the rest.

The base of both forms. What can be seen without opening a file is noticed here; the rest is for
``edit_request.preview_edit`` and the backend to say.
"""

from __future__ import annotations

from typing import Optional, Sequence, Union

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QFormLayout, QVBoxLayout, QWidget

from text2earth_qgis.core.imagery import edit_request
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import EditInputs, ExtendInputs, Json, Layout
from text2earth_qgis.gui.accessible import name_widget
from text2earth_qgis.gui.panels.bands import BandsPanel
from text2earth_qgis.gui.panels.drawn.layout import LayoutPanel
from text2earth_qgis.gui.panels.drawn.like_here import LikeHerePanel
from text2earth_qgis.gui.panels.fields import SeedField, align_labels, fold, raster_field
from text2earth_qgis.gui.panels.model import NO_SOURCES, ModelPanel, by_example, sources_box
from text2earth_qgis.gui.prompt.box import PromptBox
from text2earth_qgis.gui.prompt.edit import PromptEdit

UNABLE = tr("The backend has no model that can edit. Install an inpainting model there.")
WITHOUT_MODEL: Json = {"model": None, "sampler": None, "steps": None, "guidance": None}


class PainterPanel(ModelPanel):
    """The fields of the model, of models that can paint into a raster."""

    def able(self, card: Json) -> bool:
        """Whether a model can paint."""
        return card.get("pipeline") in edit_request.PAINTERS


class PaintingPanel(QWidget):
    """The form. ``changed`` follows every change; ``submitted`` Ctrl+Enter in a prompt."""

    changed = pyqtSignal()
    submitted = pyqtSignal()
    unfolded = pyqtSignal()  # or folded

    def __init__(self, project: QgsProject, own: str, parent: Optional[QWidget] = None) -> None:
        """Call the raster that is worked on ``own`` where another could be meant."""
        super().__init__(parent)
        self._project = project
        self.source = raster_field(tr("No raster yet"))
        self.fill = QCheckBox()
        self.examples = "", ""  # what the prompt's field says: with a prompt, and filled without one
        self.prompt_box = PromptBox("", 3)
        self.prompt = self.prompt_box.edit
        self.negative = PromptEdit("", 2)
        self.seed = SeedField()
        self.bands = BandsPanel()
        self.model = PainterPanel()
        self.sources = sources_box()
        self.like_here = LikeHerePanel(project, own)
        self.layout_panel = LayoutPanel()
        self._folds = {
            "negative": fold(tr("Negative prompt"), self.negative),
            "layout": fold(tr("Layout"), self.layout_panel),
            "like": fold(tr("Like here"), self.like_here),
            "more": fold(tr("More settings"), self._more()),
        }

    def _more(self) -> QWidget:
        """Return what most runs leave alone."""
        more = QWidget()
        inner = QVBoxLayout(more)
        inner.setContentsMargins(0, 0, 0, 0)
        for part in (self.bands, self.model, self.sources):
            inner.addWidget(part)
        align_labels(self.bands.form, self.model.form)
        return more

    def lay_out(self, top: QFormLayout, form: QFormLayout) -> None:
        """Put the parts below each other: ``top``, what is painted, ``form``, the rest; then follow them."""
        name_widget(self.negative, tr("Negative prompt"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(9, 9, 9, 0)
        layout.addLayout(top)
        drawn = [part for name, part in self._folds.items() if name != "more"]
        for widget in (self.fill, self.prompt_box, *drawn):
            layout.addWidget(widget)
        layout.addLayout(form)
        layout.addWidget(self._folds["more"])
        layout.addStretch(1)
        self._connect()

    def _connect(self) -> None:
        for part in self._folds.values():
            part.collapsedStateChanged.connect(lambda _closed: self.unfolded.emit())
        self.prompt_box.changed.connect(self.changed)
        self.negative.textChanged.connect(self.changed)
        for edit in (self.prompt_box, self.negative):
            edit.submitted.connect(self.submitted)
        self.like_here.changed.connect(lambda: self.model.set_like(self.like_here.is_given()))
        for field in (self.seed, self.bands, self.layout_panel, self.like_here):
            field.changed.connect(self.changed)
        self.model.changed.connect(self.changed)
        self.model.grid_changed.connect(self._follow_model)
        self.layout_panel.titled.connect(self._folds["layout"].setTitle)
        self.like_here.titled.connect(self._folds["like"].setTitle)
        self.fill.toggled.connect(self._follow_fill)
        self._follow_fill(self.fill.isChecked())
        self.sources.toggled.connect(lambda _checked: self.changed.emit())
        self.source.layerChanged.connect(self.follow_source)

    def layer(self) -> Optional[QgsRasterLayer]:
        """Return the raster layer to work on."""
        layer = self.source.currentLayer()
        return layer if isinstance(layer, QgsRasterLayer) else None

    def choose(self, layers: list[QgsMapLayer]) -> None:
        """Take the first of some layers that can be worked on."""
        rasters_there = (one for one in layers if isinstance(one, QgsRasterLayer))
        self.source.setLayer(next((one for one in rasters_there if one.providerType() == "gdal"), None))

    def words(self) -> str:
        """Return the prompt, empty where what is there goes on."""
        return "" if self.fill.isChecked() else self.prompt.text()

    def is_drawn(self) -> bool:
        """Whether something drawn says what is to be seen."""
        return self.layout_panel.is_given()

    def copies_surroundings(self) -> bool:
        """Whether what is painted is copied from the raster itself: nothing says what else it should be."""
        settings = self.settings()
        return not (settings["prompt"] or settings["model"] or self.is_drawn() or self.like_here.is_given())

    def settings(self) -> Json:
        """Return the inputs that both have, besides rasters, stretch and what is drawn."""
        alone = self.fill.isChecked() and not self.is_drawn()
        return {
            "prompt": self.words(),
            "negative_prompt": "" if alone else self.negative.text(),
            "bands": self.bands.bands(),
            "extra_bands": self.bands.extra.currentData(),
            "seed": self.seed.value(),
            "variants": self.seed.variants(),
            **(WITHOUT_MODEL if alone else self.model.values()),
        }

    def missing_rest(self, layer: QgsRasterLayer) -> str:
        """Name what is wrong with the parts that both have, as a sentence; empty if nothing."""
        settings = self.settings()
        if (settings["prompt"] or self.is_drawn()) and not self.model.card():
            return UNABLE
        chosen = self.model.card() if settings["model"] else {}
        sentence = (
            self.bands.missing() or self.like_here.missing(layer, chosen) or self.layout_panel.missing()
        )
        if not sentence and self.sources.isChecked():
            copied = self.copies_surroundings() or by_example(self.model.card())
            sentence = "" if copied else NO_SOURCES
        return sentence

    def show_settings(self, inputs: Union[EditInputs, ExtendInputs]) -> None:
        """Show the settings of an earlier run that both have, but for its layers."""
        self.prompt.setPlainText(inputs.prompt)
        self.negative.setPlainText(inputs.negative_prompt)
        self._folds["negative"].setCollapsed(not inputs.negative_prompt)
        self.seed.set_value(inputs.seed)
        self.seed.set_variants(inputs.variants)
        self.bands.extra.setCurrentIndex(max(0, self.bands.extra.findData(inputs.extra_bands)))
        self.model.set_values(inputs)

    def use_samples(self, samples: Sequence[Json], layers: Sequence[Optional[QgsMapLayer]]) -> None:
        """Show the samples of an earlier run."""
        self.like_here.restore(samples, layers)
        self._folds["like"].setCollapsed(not samples)

    def use_layout(self, layout: Optional[Layout]) -> None:
        """Show the layout of an earlier run, None if it had none."""
        self.layout_panel.keep(layout)
        self._folds["layout"].setCollapsed(layout is None)

    def kept_settings(self) -> Json:
        """Return the settings to keep for the next session: those that do not depend on the project."""
        kept = {**self.settings(), **self.model.values(), "prompt": self.prompt.text()}
        own = {"fill": self.fill.isChecked(), "sources": self.sources.isChecked()}
        return {
            **kept,
            "negative_prompt": self.negative.text(),
            **own,
            "layout_field": self.layout_panel.memory(),
        }

    def recall_rest(self, memory: Json) -> None:
        """Show what ``kept_settings`` returned besides the inputs of the process."""
        self.fill.setChecked(bool(memory.get("fill")))
        self.sources.setChecked(bool(memory.get("sources")))
        self.layout_panel.recall(memory.get("layout_field") or {})

    def unfold(self, opened: bool) -> None:
        """Open or close what most runs leave alone."""
        self._folds["more"].setCollapsed(not opened)

    def close_layers(self) -> None:
        """Follow no layer any more."""
        self.like_here.close_layers()
        self.layout_panel.close_layers()

    def follow_source(self, _layer: Optional[QgsMapLayer] = None) -> None:
        """Offer what another raster has."""
        self.bands.set_layer(self.layer())
        self.changed.emit()

    def _follow_model(self) -> None:
        self.prompt_box.set_card(self.model.card())
        self.changed.emit()

    def _follow_fill(self, filled: bool) -> None:
        self.prompt.setPlaceholderText(self.examples[filled])
        self.prompt_box.setEnabled(not filled)
        self.negative.setEnabled(not filled)
        self.changed.emit()


def form_layout() -> QFormLayout:
    """Return a form whose fields grow with it."""
    form = QFormLayout()
    form.setContentsMargins(0, 0, 0, 0)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
    return form
