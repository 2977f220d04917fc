"""The layout: a vector layer that says what lies where, its field, what that has, and what comes of it."""

from __future__ import annotations

from typing import Optional, Sequence

from qgis.core import QgsMapLayerProxyModel, QgsProject, QgsVectorLayerFeatureSource
from qgis.PyQt.QtWidgets import QComboBox, QMenu, QToolButton, QWidget

from text2earth_qgis.core.imagery.drawn import layout_features
from text2earth_qgis.core.wire.schemas import Json, LayoutFeatures
from text2earth_qgis.gui.canvas.scratch_layout import KINDS, add_layout
from text2earth_qgis.gui.panels.drawn import DrawnPanel, make_narrow
from text2earth_qgis.gui.panels.polygons import PolygonField

NO_LAYER = "No layout"
TIP = "Areas, lines and points that say what lies where, over what the prompt asks for"
TIPS = {"field": "The field that says what each feature is, such as: lake, road, house"}


class LayoutPanel(DrawnPanel[LayoutFeatures]):
    """Layer, field, table, and a line on what is sent."""

    title, unit, earlier = "Layout", "feature", "That of the earlier run"
    usual = {"field": layout_features.FIELD}

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(PolygonField(NO_LAYER, TIP, QgsMapLayerProxyModel.Filter.HasGeometry), TIPS, parent)
        self.field = self.fields["field"]
        self.features.row.addWidget(self._new_button())
        self.table = QComboBox()
        self.table.setToolTip("What that field has: words, or the values of a map")
        for table, title in layout_features.TABLES.items():
            self.table.addItem(title, table)
        make_narrow(self.table)
        self.table.currentIndexChanged.connect(lambda _row: self._touched())
        self.lay_out([("Class", self.field), ("Values", self.table)])

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

    def missing(self) -> str:
        """Name what the form still lacks, as a sentence; empty if nothing."""
        layer = self.features.layer()
        if layer is None or self.unreadable() or self.field.currentField():
            return self.unreadable()
        return f"The layout '{layer.name()}' has no field that could say what each feature is."

    def says(self, found: LayoutFeatures) -> Sequence[str]:
        """Return the classes of the features."""
        return layout_features.classes(found)

    def memory(self) -> Json:
        """Return the name of the field and the table: what does not depend on the project."""
        return {**super().memory(), "table": self.table.currentData()}

    def recall(self, memory: Json) -> None:
        """Remember the name of the field for the next layer that has it, and the table."""
        super().recall(memory)
        self.table.setCurrentIndex(max(0, self.table.findData(memory.get("table"))))

    def draw(self, kind: str) -> None:
        """Make a layer to draw on, and choose it."""
        project = QgsProject.instance()
        self.features.choose(add_layout(project, project.crs(), kind))
        self.table.setCurrentIndex(0)

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
