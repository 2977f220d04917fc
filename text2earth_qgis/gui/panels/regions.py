"""Regions: a polygon layer, the fields that say what each polygon shows, and what comes of them.

Reading the layer is left to others, who tell what was found. The regions of an earlier
run can be kept without their layer.
"""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsFieldProxyModel, QgsVectorLayer, QgsVectorLayerFeatureSource
from qgis.gui import QgsFieldComboBox
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QFormLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from text2earth_qgis.core.imagery.drawn import region_features
from text2earth_qgis.core.wire.schemas import Json, Polygons
from text2earth_qgis.gui import words
from text2earth_qgis.gui.accessible import name_fields, name_widget
from text2earth_qgis.gui.panels.polygons import PolygonField

NO_LAYER = "No regions"
EARLIER = "Those of the earlier run"
USUAL = {"prompt": "prompt", "negative": "negative_prompt", "priority": "priority"}
TIPS = {
    "prompt": "The field that says what each polygon shows, such as: a lake",
    "negative": "The field that says what each polygon should not show",
    "priority": "A field with numbers: where polygons overlap, the higher one is seen, else the later one",
}


class RegionsPanel(QWidget):
    """Layer, fields, and a line on what is sent. ``titled`` says what to call the section."""

    changed = pyqtSignal()
    titled = pyqtSignal(str)

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.revision = 0  # counts what ``changed`` told
        self._kept: Optional[Polygons] = None
        self._names = dict(USUAL)  # of fields, the last ones chosen
        self._layer: Optional[QgsVectorLayer] = None
        self.areas = PolygonField(
            NO_LAYER, "Polygons in which something else is to be seen than the prompt above says"
        )
        self.fields = {name: _field_combo(tip) for name, tip in TIPS.items()}
        number, text = QgsFieldProxyModel.Filter.Numeric, QgsFieldProxyModel.Filter.String
        for name, combo in self.fields.items():
            combo.setFilters(number if name == "priority" else text)
            combo.setAllowEmptyFieldName(name != "prompt")
            combo.fieldChanged.connect(lambda _field: self._touched())
        self.said = QLabel()
        self.said.setWordWrap(True)
        self.said.setTextFormat(Qt.TextFormat.PlainText)
        self.form = QWidget()
        form = QFormLayout(self.form)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        for name, title in (("prompt", "Prompt"), ("negative", "Negative"), ("priority", "Priority")):
            form.addRow(title, self.fields[name])
        name_fields(form)
        name_widget(self.areas, "Regions")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (self.areas, self.form, self.said):
            layout.addWidget(widget)
        self.areas.changed.connect(self._follow)
        self._follow()
        self.show_found(None)

    def chosen(self) -> Optional[region_features.RegionLayer]:
        """Return the layer and fields that are chosen, unsaved edits included; None if no layer is."""
        layer = self.areas.layer()
        if layer is None:
            return None
        names = {name: combo.currentField() for name, combo in self.fields.items()}
        source = QgsVectorLayerFeatureSource(layer)
        return region_features.RegionLayer(
            layer.name(), source, layer.crs(), layer.fields(), **names, ids=self.areas.ids()
        )

    def kept(self) -> Optional[Polygons]:
        """Return the regions of the earlier run, if they are chosen."""
        return self._kept if self.areas.layers.currentText() == EARLIER else None

    def missing(self) -> str:
        """Name what the form still lacks, as a sentence; empty if nothing."""
        layer = self.areas.layer()
        if layer is None:
            return ""
        if not layer.isValid():
            return f"The regions '{layer.name()}' cannot be read. Choose another layer."
        if not self.fields["prompt"].currentField():
            wanted = "a text field that could say what each shows"
            return f"The regions '{layer.name()}' lack {wanted}. Add one, or choose another layer."
        return ""

    def show_found(self, found: Optional[Polygons]) -> None:
        """Show the number and the prompts of the regions that are sent; None shows nothing."""
        count = words.count(len(found.geojson["features"]), "polygon") if found else ""
        prompts = words.first_line(", ".join(region_features.prompts(found)), 120) if found else ""
        self.said.setText(f"{count}: {prompts}" if prompts else count)
        self.said.setVisible(bool(found))
        self.titled.emit(f"Regions: {count}" if found else "Regions")

    def keep(self, found: Optional[Polygons]) -> None:
        """Offer the regions of an earlier run, and choose them; None takes them away."""
        self._kept = found
        layers = self.areas.layers
        layers.setAdditionalItems([EARLIER] if found else [])
        self.areas.choose(None)
        if found:
            layers.setCurrentIndex(layers.findText(EARLIER))
        self.show_found(found)
        self._touched()

    def memory(self) -> Json:
        """Return the names of the fields: what does not depend on the project."""
        return self._chosen_names()

    def recall(self, memory: Json) -> None:
        """Remember the names of fields for the next layer that has them."""
        self._names = {**USUAL, **{name: str(memory[name]) for name in USUAL if name in memory}}

    def close_layers(self) -> None:
        """Follow no layer any more."""
        self.areas.close()

    def _chosen_names(self) -> dict[str, str]:
        """Return the fields that are chosen; without a layer the last ones."""
        if self.areas.layer() is None:
            return dict(self._names)
        return {name: combo.currentField() for name, combo in self.fields.items()}

    def _follow(self) -> None:
        """Choose the fields of the last time, or of the usual names, where another layer has them."""
        layer = self.areas.layer()
        self.form.setVisible(layer is not None)
        self.areas.only.setVisible(layer is not None)
        if layer is not self._layer:
            self._layer = layer
            for name, combo in self.fields.items():
                combo.blockSignals(True)
                combo.setLayer(layer)
                there = [combo.itemText(row) for row in range(combo.count())]
                wanted = (one for one in (self._names[name], USUAL[name]) if one in there)
                combo.setField(next(wanted, there[0] if there else ""))
                combo.blockSignals(False)
        self._touched()

    def _touched(self) -> None:
        self._names = self._chosen_names()
        self.revision += 1
        self.changed.emit()


def _field_combo(tip: str) -> QgsFieldComboBox:
    combo = QgsFieldComboBox()
    combo.setToolTip(tip)
    combo.setMinimumContentsLength(6)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return combo
