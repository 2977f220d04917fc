"""Regions: a polygon layer, the fields that say what each polygon shows, and what comes of them."""

from __future__ import annotations

from typing import Optional, Sequence

from qgis.core import QgsFieldProxyModel, QgsProject, QgsVectorLayerFeatureSource
from qgis.PyQt.QtWidgets import QWidget

from text2earth_qgis.core.imagery.drawn import region_features
from text2earth_qgis.core.language import tr, trn
from text2earth_qgis.core.wire.schemas import Polygons
from text2earth_qgis.gui import words
from text2earth_qgis.gui.canvas.scratch_layout import add_regions
from text2earth_qgis.gui.panels.drawn.base import DrawnPanel
from text2earth_qgis.gui.panels.drawn.polygons import PolygonField

NO_LAYER = tr("No regions")
TIP = tr("Polygons in which something else is to be seen than the prompt above says")
TIPS = {
    "prompt": tr("The field that says what each polygon shows, such as: a lake"),
    "negative": tr("The field that says what each polygon should not show"),
    "priority": tr(
        "A field with numbers: where polygons overlap, the higher one is seen, else the later one"
    ),
}


class RegionsPanel(DrawnPanel[Polygons]):
    """Layer, fields, and a line on what is sent."""

    title, earlier = tr("Regions"), tr("Those of the earlier run")
    unread = tr("The regions '{layer}' cannot be read. Choose another layer.")
    usual = {"prompt": "prompt", "negative": "negative_prompt", "priority": "priority"}

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(PolygonField(NO_LAYER, TIP), TIPS, parent)
        number, text = QgsFieldProxyModel.Filter.Numeric, QgsFieldProxyModel.Filter.String
        for name, combo in self.fields.items():
            combo.setFilters(number if name == "priority" else text)
            combo.setAllowEmptyFieldName(name != "prompt")
        self.features.offer_new(
            tr("New regions layer"),
            tr("Make a layer in memory to draw regions on, with a list of words to choose from"),
        )
        self.features.wanted.connect(self.draw)
        titles = {"prompt": tr("Prompt"), "negative": tr("Negative"), "priority": tr("Priority")}
        self.lay_out([(titles[name], combo) for name, combo in self.fields.items()])

    def chosen(self) -> Optional[region_features.RegionLayer]:
        """Return the layer and fields that are chosen, unsaved edits included; None if no layer is."""
        layer = self.features.layer()
        if layer is None:
            return None
        source = QgsVectorLayerFeatureSource(layer)
        return region_features.RegionLayer(
            layer.name(), source, layer.crs(), layer.fields(), **self.chosen_names(), ids=self.features.ids()
        )

    def draw(self) -> None:
        """Make a layer to draw on, and choose it."""
        project = QgsProject.instance()
        layer = add_regions(project, project.crs())
        self.features.choose(layer)
        self.made.emit(layer)

    def missing(self) -> str:
        """Name what the form still lacks, as a sentence; empty if nothing."""
        layer = self.features.layer()
        if layer is None or self.unreadable() or self.fields["prompt"].currentField():
            return self.unreadable()
        return tr(
            "The regions '{layer}' lack a text field that could say what each shows. Add one, or choose "
            "another layer."
        ).format(layer=layer.name())

    def amount(self, found: Polygons) -> str:
        """Return how many polygons are sent."""
        number = len(found.geojson["features"])
        return trn("{number} polygon", "{number} polygons", number).format(number=words.number(number))

    def says(self, found: Polygons) -> Sequence[str]:
        """Return the prompts of the regions."""
        return region_features.prompts(found)
