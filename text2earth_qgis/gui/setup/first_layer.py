"""The end of the setup: a first layer on the map, for which the user presses one button.

Knows a prompt and a place; making it is the dock's.
"""

from __future__ import annotations

from typing import Optional

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QGroupBox, QLabel, QPushButton, QVBoxLayout, QWidget

from text2earth_qgis.core.language import tr
from text2earth_qgis.gui import ground
from text2earth_qgis.gui.icons import icon
from text2earth_qgis.gui.prompt.edit import PromptEdit

PROMPT = tr("a village beside a lake, farmland around it, a forest")
SIDE = 768.0  # metres
GSD = 1.0
SOMEWHERE = QgsPointXY(9.0, 48.0)  # where the map shows no place of the user's


class FirstLayer(QGroupBox):
    """A prompt and a button. ``wanted`` says what of."""

    wanted = pyqtSignal(str)

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(tr("Your first layer"), parent)
        self.prompt = PromptEdit("", 3)
        self.prompt.setPlainText(PROMPT)
        self.prompt.setAccessibleName(tr("Prompt of the first layer"))
        self.button = QPushButton(icon("run"), tr("Make it"))
        text = QLabel(tr("It appears in the middle of the map in some ten seconds."))
        text.setWordWrap(True)
        layout = QVBoxLayout(self)
        for widget in (self.prompt, text, self.button):
            layout.addWidget(widget)
        self.prompt.submitted.connect(self._want)
        self.button.clicked.connect(lambda _checked=False: self._want())

    def _want(self) -> None:
        self.wanted.emit(self.prompt.text() or PROMPT)


def place(canvas: QgsMapCanvas, project: QgsProject) -> QgsRectangle:
    """Return the square of a first layer, in the CRS of the map: in its middle, if it shows anything."""
    crs, context = canvas.mapSettings().destinationCrs(), project.transformContext()
    if project.mapLayers():
        square = _square(canvas.extent().center(), crs, project)
        if square is not None:
            return square
    turn = QgsCoordinateTransform(QgsCoordinateReferenceSystem("EPSG:4326"), crs, context)
    try:
        middle = turn.transform(SOMEWHERE)
    except QgsCsException:  # that is far outside of this CRS: then where its map begins
        middle = canvas.extent().center()
    return _square(middle, crs, project) or canvas.extent()


def _square(
    middle: QgsPointXY, crs: QgsCoordinateReferenceSystem, project: QgsProject
) -> Optional[QgsRectangle]:
    """Return a square of ``SIDE`` around a point, None where that is not on Earth."""
    unit = 1e-4 if crs.isGeographic() else 1.0
    size = ground.size(QgsRectangle.fromCenterAndSize(middle, unit, unit), crs, project.transformContext())
    if size is None:
        return None
    return QgsRectangle.fromCenterAndSize(middle, SIDE / size[0] * unit, SIDE / size[1] * unit)
