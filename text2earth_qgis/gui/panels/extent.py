"""The extent of a scene: typed, taken from the canvas or a layer, or drawn on the map."""

from __future__ import annotations

from typing import Callable, Optional

from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRectangle
from qgis.gui import QgsExtentWidget, QgsMapCanvas
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QToolButton, QVBoxLayout, QWidget

from text2earth_qgis.core.crs import crs_of
from text2earth_qgis.core.imagery.rasters import extent_of
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Extent
from text2earth_qgis.gui import ground, words
from text2earth_qgis.gui.canvas.draw_extent import DrawExtent
from text2earth_qgis.gui.icons import icon


class ExtentField(QWidget):
    """The extent: typed, taken from the canvas or a layer, or drawn."""

    changed = pyqtSignal()
    begun = pyqtSignal()  # to draw

    def __init__(self, canvas: QgsMapCanvas, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self.estimate: Callable[[float, float], str] = lambda _width, _height: ""  # of metres on the ground
        self._widget = QgsExtentWidget(None, QgsExtentWidget.WidgetStyle.CondensedStyle)
        self._widget.setNullValueAllowed(True, tr("None yet"))
        self._widget.setMapCanvas(canvas, False)
        self._widget.setMinimumWidth(90)
        self._text = self._widget.findChild(QLineEdit, "mCondensedLineEdit")
        if self._text is not None:
            self._text.setAccessibleName(tr("Extent"))
        self._follow_crs()
        self._widget.extentChanged.connect(self._show_size)
        self._tool = DrawExtent(canvas, self.describe)
        self._tool.drawn.connect(self.take)
        self.draw_button = QToolButton()
        self.draw_button.setIcon(icon("draw_extent"))
        self.draw_button.setToolTip(tr("Draw the extent on the map"))
        self.draw_button.setAccessibleName(tr("Draw the extent"))
        self.draw_button.setCheckable(True)
        self.draw_button.clicked.connect(self._toggle_tool)
        canvas.mapToolSet.connect(self._show_tool)
        canvas.destinationCrsChanged.connect(self._follow_crs)
        self._size = QLabel()
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._widget, 1)
        row.addWidget(self.draw_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addWidget(self._size)
        self._show_size()

    def leave_tool(self) -> None:
        """Give the canvas back, if an extent is being drawn."""
        self._tool.leave()

    def close_tool(self) -> None:
        """Leave the canvas for good."""
        self.leave_tool()
        self._canvas.mapToolSet.disconnect(self._show_tool)
        self._canvas.destinationCrsChanged.disconnect(self._follow_crs)
        self._tool.deleteLater()

    def value(self) -> Optional[Extent]:
        """Return the extent in the CRS it is shown in, None if there is none that could be."""
        return None if self.missing() else extent_of(*self.box())

    def missing(self) -> str:
        """Name what is wrong with the extent, as a sentence; empty if nothing."""
        box, crs = self.box()
        if not crs.isValid():
            return tr("This project has no CRS. Choose one, so that the map has a place on Earth.")
        if box.isEmpty():
            return tr("Choose an extent, or draw one on the map.")
        if ground.size(box, crs, QgsProject.instance().transformContext()) is None:
            return tr("This extent is not on Earth. Draw another one on the map.")
        return ""

    def box(self) -> tuple[QgsRectangle, QgsCoordinateReferenceSystem]:
        """Return the extent as QGIS has it; empty if there is none."""
        box = self._widget.outputExtent() if self._widget.isValid() else QgsRectangle()
        return box, self._widget.outputCrs()

    def set_value(self, extent: Extent) -> None:
        """Show an extent given in any CRS."""
        self._widget.setOutputExtentFromUser(QgsRectangle(*extent.bbox), crs_of(extent.crs))

    def clear(self) -> None:
        """Have no extent."""
        self._widget.clear()
        if self._text is not None:
            self._text.deselect()  # QGIS selects the text for none, as if it waited for another

    def describe(self, box: QgsRectangle) -> str:
        """Put the size of a box, in the CRS of the canvas, into words."""
        return self._describe(box, self._canvas.mapSettings().destinationCrs())

    def _describe(self, box: QgsRectangle, crs: QgsCoordinateReferenceSystem) -> str:
        size = ground.size(box, crs, QgsProject.instance().transformContext())
        if size is None:
            return "" if box.isEmpty() else tr("Not on Earth")
        return " · ".join(text for text in (words.area(*size), self.estimate(*size)) if text)

    def take(self, box: QgsRectangle) -> None:
        """Show a box given in the CRS of the canvas."""
        self._widget.setOutputExtentFromUser(box, self._canvas.mapSettings().destinationCrs())

    def _toggle_tool(self, checked: bool) -> None:
        if checked:
            self.begun.emit()
            self._tool.begin()
        else:
            self.leave_tool()

    def _show_tool(self, *_tools: object) -> None:
        self.draw_button.setChecked(self._canvas.mapTool() is self._tool)

    def _follow_crs(self) -> None:
        """Show the extent in the CRS of the map."""
        crs, there = self._canvas.mapSettings().destinationCrs(), self._widget.isValid()
        self._widget.setOutputCrs(crs)
        if not there:  # else "none" turns into a box of zeros
            self.clear()

    def _show_size(self, *_extent: object) -> None:
        box, crs = self.box()
        size = ground.size(box, crs, QgsProject.instance().transformContext())
        self._size.setText(words.area(*size) if size else "")
        self._size.setVisible(size is not None)
        if self._text is not None and not self._text.hasFocus():
            self._text.setCursorPosition(0)  # the beginning says more than the end
        self.changed.emit()
