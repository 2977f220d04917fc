"""The layout: a vector layer that says what lies where, its field, what that has, and what comes of it.

Reading the layer is left to others, who tell what was found. The layout of an earlier run can be kept without
its layer.
"""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsMapLayerProxyModel, QgsProject, QgsVectorLayer, QgsVectorLayerFeatureSource
from qgis.gui import QgsFieldComboBox
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QFormLayout,
    QLabel,
    QMenu,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from text2earth_qgis.core.imagery.drawn import layout_features
from text2earth_qgis.core.wire.schemas import Json, LayoutFeatures
from text2earth_qgis.gui import words
from text2earth_qgis.gui.accessible import name_fields, name_widget
from text2earth_qgis.gui.canvas.scratch_layout import KINDS, add_layout
from text2earth_qgis.gui.panels.polygons import PolygonField

NO_LAYER = "No layout"
EARLIER = "That of the earlier run"


class LayoutPanel(QWidget):
    """Layer, field, table, and a line on what is sent. ``titled`` says what to call the section."""

    changed = pyqtSignal()
    titled = pyqtSignal(str)

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.revision = 0  # counts what ``changed`` told
        self._kept: Optional[LayoutFeatures] = None
        self._name = layout_features.FIELD  # of the field, the last one chosen
        self._layer: Optional[QgsVectorLayer] = None
        self.features = PolygonField(
            NO_LAYER,
            "Areas, lines and points that say what lies where, over what the prompt asks for",
            QgsMapLayerProxyModel.Filter.HasGeometry,
        )
        self.features.row.addWidget(self._new_button())
        self.field = QgsFieldComboBox()
        self.field.setToolTip("The field that says what each feature is, such as: lake, road, house")
        self.table = QComboBox()
        self.table.setToolTip("What that field has: words, or the values of a map")
        for table, title in layout_features.TABLES.items():
            self.table.addItem(title, table)
        for combo in (self.field, self.table):
            combo.setMinimumContentsLength(6)
            combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.field.fieldChanged.connect(lambda _field: self._touched())
        self.table.currentIndexChanged.connect(lambda _row: self._touched())
        self.said = QLabel()
        self.said.setWordWrap(True)
        self.said.setTextFormat(Qt.TextFormat.PlainText)
        self.form = QWidget()
        form = QFormLayout(self.form)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Class", self.field)
        form.addRow("Values", self.table)
        name_fields(form)
        name_widget(self.features, "Layout")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (self.features, self.form, self.said):
            layout.addWidget(widget)
        self.features.changed.connect(self._follow)
        self._follow()
        self.show_found(None)

    def chosen(self) -> Optional[layout_features.LayoutLayer]:
        """Return the layer, field and table that are chosen, unsaved edits included; None if no layer is."""
        layer = self.features.layer()
        if layer is None:
            return None
        return layout_features.LayoutLayer(
            layer.name(),
            QgsVectorLayerFeatureSource(layer),
            layer.crs(),
            layer.fields(),
            self.field.currentField(),
            self.table.currentData(),
            ids=self.features.ids(),
        )

    def kept(self) -> Optional[LayoutFeatures]:
        """Return the layout of the earlier run, if it is chosen."""
        return self._kept if self.features.layers.currentText() == EARLIER else None

    def missing(self) -> str:
        """Name what the form still lacks, as a sentence; empty if nothing."""
        layer = self.features.layer()
        if layer is None:
            return ""
        if not layer.isValid():
            return f"The layout '{layer.name()}' cannot be read. Choose another layer."
        if not self.field.currentField():
            return f"The layout '{layer.name()}' has no field that could say what each feature is."
        return ""

    def show_found(self, found: Optional[LayoutFeatures]) -> None:
        """Show the number and the classes of the features that are sent; None shows nothing."""
        count = words.count(len(found.geojson["features"]), "feature") if found else ""
        classes = words.first_line(", ".join(layout_features.classes(found)), 120) if found else ""
        self.said.setText(f"{count}: {classes}" if classes else count)
        self.said.setVisible(bool(found))
        self.titled.emit(f"Layout: {count}" if found else "Layout")

    def keep(self, found: Optional[LayoutFeatures]) -> None:
        """Offer the layout of an earlier run, and choose it; None takes it away."""
        self._kept = found
        layers = self.features.layers
        layers.setAdditionalItems([EARLIER] if found else [])
        self.features.choose(None)
        if found:
            layers.setCurrentIndex(layers.findText(EARLIER))
        self.show_found(found)
        self._touched()

    def memory(self) -> Json:
        """Return the name of the field and the table: what does not depend on the project."""
        return {"field": self._name, "table": self.table.currentData()}

    def recall(self, memory: Json) -> None:
        """Remember the name of the field for the next layer that has it, and the table."""
        self._name = str(memory.get("field") or layout_features.FIELD)
        self.table.setCurrentIndex(max(0, self.table.findData(memory.get("table"))))

    def close_layers(self) -> None:
        """Follow no layer any more."""
        self.features.close()

    def _new_button(self) -> QToolButton:
        """Return the button that makes a layer to draw on."""
        button = QToolButton()
        button.setText("New")
        button.setToolTip("Make a layer in memory to draw a layout on, with a list of words to choose from")
        button.setAccessibleName("New layout layer")
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(button)
        for kind in KINDS:
            menu.addAction(f"For {kind}").triggered.connect(lambda _checked, kind=kind: self.draw(kind))
        button.setMenu(menu)
        return button

    def draw(self, kind: str) -> None:
        """Make a layer to draw on, and choose it."""
        project = QgsProject.instance()
        self.features.choose(add_layout(project, project.crs(), kind))
        self.table.setCurrentIndex(0)

    def _follow(self) -> None:
        """Choose the field of the last time, or of the usual name, where another layer has it."""
        layer = self.features.layer()
        self.form.setVisible(layer is not None)
        self.features.only.setVisible(layer is not None)
        if layer is not self._layer:
            self._layer = layer
            self.field.blockSignals(True)
            self.field.setLayer(layer)
            there = [self.field.itemText(row) for row in range(self.field.count())]
            wanted = (name for name in (self._name, layout_features.FIELD) if name in there)
            self.field.setField(next(wanted, there[0] if there else ""))
            self.field.blockSignals(False)
        self._touched()

    def _touched(self) -> None:
        if self.features.layer() is not None:
            self._name = self.field.currentField()
        self.revision += 1
        self.changed.emit()
