"""Samples on the map: the tool that draws them, and where those lie that the form has."""

from __future__ import annotations

from typing import Optional

from qgis.core import (
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject

from text2earth_qgis.core.language import tr
from text2earth_qgis.gui import ground, words
from text2earth_qgis.gui.canvas.draw_extent import DrawExtent
from text2earth_qgis.gui.canvas.sample_areas import COLOUR, SampleAreas
from text2earth_qgis.gui.panels.drawn.like_here import LikeHerePanel
from text2earth_qgis.gui.panels.drawn.sample_row import DrawnArea


class SamplesOnMap(QObject):
    """Shows the drawn areas of a panel on the map while its form is seen, and draws new ones."""

    def __init__(
        self,
        canvas: QgsMapCanvas,
        project: QgsProject,
        panel: LikeHerePanel,
        parent: Optional[QObject] = None,
    ) -> None:
        super().__init__(parent)
        self._canvas, self._project, self.panel = canvas, project, panel
        self._shown = False
        self.areas = SampleAreas(canvas, project)
        self.tool = DrawExtent(canvas, self._describe, COLOUR, HINT)
        self.tool.drawn.connect(self._take)
        self.tool.clicked.connect(self._take_away)
        panel.drawing.connect(self._take_tool)
        panel.changed.connect(self._show)
        canvas.mapToolSet.connect(self._follow_tool)

    def show(self, shown: bool) -> None:
        """Show the areas, or hide them and leave the tool."""
        self._shown = shown
        if not shown:
            self.tool.leave()
        self._show()

    def close(self) -> None:
        """Leave the canvas for good."""
        self.show(False)
        self._canvas.mapToolSet.disconnect(self._follow_tool)
        self.tool.deleteLater()
        self.areas.remove()

    def _take_tool(self, wanted: bool) -> None:
        self.panel.say("")
        if wanted:
            self.tool.begin()
        else:
            self.tool.leave()

    def _follow_tool(self, *_tools: object) -> None:
        self.panel.show_active(self._canvas.mapTool() is self.tool)

    def _show(self) -> None:
        drawn = [(number, row.shown()) for number, row in enumerate(self.panel.rows, 1)]
        areas = [(number, area.shape, area.crs) for number, area in drawn if area is not None]
        self.areas.show_areas(areas if self._shown else [])

    def _take(self, box: QgsRectangle) -> None:
        raster = self._raster_at(box.center())
        if raster is None:
            self.panel.say(
                tr("There is no raster file where you drew. Draw the area on a raster of the map.")
            )
            return
        crs = self._canvas.mapSettings().destinationCrs()
        self.panel.add_drawn(DrawnArea(QgsGeometry.fromRect(box), crs), raster)

    def _take_away(self, place: QgsPointXY) -> None:
        number = self.areas.at(place)
        if number is not None:
            self.panel.take_away(self.panel.rows[number - 1])

    def _raster_at(self, place: QgsPointXY) -> Optional[QgsRasterLayer]:
        """Return the uppermost raster with a file that is seen at a place of the map."""
        crs = self._canvas.mapSettings().destinationCrs()
        for layer in self._canvas.layers():
            if not isinstance(layer, QgsRasterLayer) or layer.providerType() != "gdal":
                continue
            way = QgsCoordinateTransform(crs, layer.crs(), self._project.transformContext())
            try:
                if layer.extent().contains(way.transform(place)):
                    return layer
            except QgsCsException:
                continue
        return None

    def _describe(self, box: QgsRectangle) -> str:
        """Put the size of a box into words, in pixels of the raster below it too."""
        size = ground.size(box, self._canvas.mapSettings().destinationCrs(), self._project.transformContext())
        raster = self._raster_at(box.center())
        if size is None or raster is None:
            return tr("No raster file is here")
        pixel = QgsRectangle.fromCenterAndSize(
            raster.extent().center(), raster.rasterUnitsPerPixelX(), raster.rasterUnitsPerPixelY()
        )
        one = ground.size(pixel, raster.crs(), self._project.transformContext())
        if one is None:
            return words.area(*size)
        return tr("{area} · {width} × {height} px of {name}").format(
            area=words.area(*size), width=words.number(round(size[0] / one[0])),
            height=words.number(round(size[1] / one[1])), name=raster.name(),
        )  # fmt: skip


HINT = tr("Drag a box over what it is to look like. A click on a box removes it, Esc leaves.")
