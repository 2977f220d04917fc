"""The layout: a layer or a raster that says what lies where, its field, what that has, what comes of it."""

from __future__ import annotations

from typing import Optional, Sequence

from qgis.core import QgsMapLayerProxyModel, QgsProject, QgsVectorLayerFeatureSource
from qgis.PyQt.QtWidgets import QComboBox, QMenu, QToolButton, QWidget

from text2earth_qgis.core.errors import RasterRefused
from text2earth_qgis.core.imagery.drawn import layout_features
from text2earth_qgis.core.imagery.drawn.drawings import AnyLayout, Drawings
from text2earth_qgis.core.imagery.drawn.layout_raster import class_layer, size_of
from text2earth_qgis.core.language import tr, trn
from text2earth_qgis.core.wire.schemas import Json, Layout, LayoutRaster
from text2earth_qgis.gui import words
from text2earth_qgis.gui.canvas.scratch_layout import add_layout
from text2earth_qgis.gui.panels.drawn.base import DrawnPanel, make_narrow
from text2earth_qgis.gui.panels.drawn.polygons import PolygonField

NO_LAYER = tr("No layout")
TIP = tr(
    "Areas, lines and points, or a raster of classes, that say what lies where over what the prompt asks for"
)
KINDS_OF_LAYERS = QgsMapLayerProxyModel.Filter.HasGeometry | QgsMapLayerProxyModel.Filter.RasterLayer
OFFERED = {"areas": tr("For areas"), "lines": tr("For lines"), "points": tr("For points")}
TIPS = {"field": tr("The field that says what each feature is, such as: lake, road, house")}


class LayoutPanel(DrawnPanel[Layout]):
    """Layer, field, table, and a line on what is sent."""

    title, earlier = tr("Layout"), tr("That of the earlier run")
    unread = tr("The layout '{layer}' cannot be read. Choose another layer.")
    usual = {"field": layout_features.FIELD}

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(PolygonField(NO_LAYER, TIP, KINDS_OF_LAYERS), TIPS, parent)
        self.field = self.fields["field"]
        self.features.row.addWidget(self._new_button())
        self.table = QComboBox()
        self.table.setToolTip(
            tr(
                "What the field or the raster has: words, or the values of a map. The words of a raster are "
                "the names of its classes, in its style or its file."
            )
        )
        for table, title in layout_features.TABLES.items():
            self.table.addItem(title, table)
        make_narrow(self.table)
        self.table.currentIndexChanged.connect(lambda _row: self._touched())
        self.lay_out([(tr("Class"), self.field), (tr("Values"), self.table)])

    def has_layer(self) -> bool:
        """Whether a layer or a raster is chosen."""
        return super().has_layer() or self.features.raster() is not None

    def is_given(self) -> bool:
        """Whether there is a layout: a layer, or that of an earlier run."""
        return self.has_layer() or self.kept() is not None

    def chosen(self) -> Optional[AnyLayout]:
        """Return layer, field and table as they are chosen, unsaved edits included; None if no layer is.

        Raises ``RasterRefused`` for a raster that cannot be one.
        """
        layer, raster = self.features.layer(), self.features.raster()
        if raster is not None:
            return class_layer(raster, self.table.currentData())
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
        if layer is None:
            try:
                self.chosen()
            except RasterRefused as error:
                return str(error)
        if layer is None or self.unreadable() or self.field.currentField():
            return self.unreadable()
        return tr("The layout '{layer}' has no field that could say what each feature is.").format(
            layer=layer.name()
        )

    def amount(self, found: Layout) -> str:
        """Return how many features are sent, or how large a raster."""
        if isinstance(found, LayoutRaster):
            return size_of(found)
        number = len(found.geojson["features"])
        return trn("{number} feature", "{number} features", number).format(number=words.number(number))

    def says(self, found: Layout) -> Sequence[str]:
        """Return the classes of features; those of a raster only the backend knows."""
        return [] if isinstance(found, LayoutRaster) else layout_features.classes(found)

    def show_drawn(self, found: Drawings) -> None:
        """Show what of a layout is sent, and what is to be said of it."""
        self.show_found(found.layout)
        if found.layout and found.note:
            self.said.setText(f"{self.said.text()}. {found.note}")

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
        layer = add_layout(project, project.crs(), kind)
        self.features.choose(layer)
        self.made.emit(layer)
        self.table.setCurrentIndex(0)

    def _follow(self) -> None:
        super()._follow()
        for part in (self.field, self.rows.labelForField(self.field)):
            part.setVisible(self.features.raster() is None)  # whose pixels are the classes

    def _new_button(self) -> QToolButton:
        """Return the button that makes a layer to draw on."""
        button = QToolButton()
        button.setText(tr("New"))
        button.setToolTip(
            tr("Make a layer in memory to draw a layout on, with a list of words to choose from")
        )
        button.setAccessibleName(tr("New layout layer"))
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(button)
        for kind, title in OFFERED.items():
            menu.addAction(title).triggered.connect(lambda _checked, kind=kind: self.draw(kind))
        button.setMenu(menu)
        return button
