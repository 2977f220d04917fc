"""The map tool that compares: left of a line, which the mouse drags, the map is shown without one layer.

The map without the layer is drawn in the background, as QGIS draws its own, and painted over the canvas; the
project and its layers stay as they are.
"""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsMapLayer, QgsMapRendererParallelJob, QgsMapSettings, QgsProject
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem, QgsMapMouseEvent
from qgis.PyQt.QtCore import QRectF, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QImage, QKeyEvent, QPainter, QPen

from text2earth_qgis.core.language import tr
from text2earth_qgis.gui.canvas.map_tool import BorrowingTool

NEAR = 8  # pixels of margin around names
LONGEST = 40  # characters of a name


class Swipe(BorrowingTool):
    """Compares a layer with what is below it, until Esc is pressed or another tool is chosen."""

    drawn = pyqtSignal()  # the map without the layer is there

    def __init__(self, canvas: QgsMapCanvas, project: QgsProject) -> None:
        super().__init__(canvas)
        self._project = project
        self._layer = ""
        self._job: Optional[QgsMapRendererParallelJob] = None
        self.curtain: Optional[Curtain] = None
        self.setCursor(Qt.CursorShape.SplitHCursor)

    def compare(self, layer: QgsMapLayer) -> None:
        """Show the map without a layer in the left half, with it in the right."""
        self.leave()
        node = self._project.layerTreeRoot().findLayer(layer.id())
        if node is not None:
            node.setItemVisibilityCheckedParentRecursive(True)
        self._layer = layer.id()
        self.begin()

    def activate(self) -> None:
        """Draw the curtain, and draw it anew with the map."""
        super().activate()
        layer = self._project.mapLayer(self._layer)
        if layer is None:
            return
        self.curtain = Curtain(self._canvas, layer.name())
        self._canvas.renderStarting.connect(self._draw)
        self._project.layersWillBeRemoved.connect(self._removed)
        self._draw()

    def deactivate(self) -> None:
        """Leave the canvas as it was."""
        self._stop()
        if self.curtain is not None:
            self._canvas.renderStarting.disconnect(self._draw)
            self._project.layersWillBeRemoved.disconnect(self._removed)
            self.curtain.remove()
            self.curtain = None
        super().deactivate()

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        """Bring the line to the mouse."""
        self.canvasMoveEvent(event)

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        """Let the line follow the mouse while its button is down."""
        if self.curtain is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self.curtain.move_to(event.pos().x() / max(1, self._canvas.viewport().width()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leave on Esc; move the line by the arrow keys."""
        steps = {Qt.Key.Key_Left: -0.02, Qt.Key.Key_Right: 0.02}
        if event.key() == Qt.Key.Key_Escape:
            self.leave()
        elif self.curtain is not None and event.key() in steps:
            self.curtain.move_to(self.curtain.share + steps[event.key()])
        else:
            return
        event.accept()

    def _removed(self, ids: list[str]) -> None:
        if self._layer in ids:
            self.leave()

    def _draw(self) -> None:
        """Draw the map without the layer, in the background."""
        self._stop()
        settings = QgsMapSettings(self._canvas.mapSettings())
        settings.setLayers([layer for layer in settings.layers() if layer.id() != self._layer])
        self._job = QgsMapRendererParallelJob(settings)
        self._job.finished.connect(self._show)
        self._job.start()

    def _show(self) -> None:
        if self._job is not None and self.curtain is not None:
            self.curtain.show_image(self._job.renderedImage())
            self.drawn.emit()

    def _stop(self) -> None:
        """Stop what is being drawn; its picture is of a map that is no longer seen."""
        if self._job is not None:
            self._job.finished.disconnect(self._show)
            self._job.cancelWithoutBlocking()
            self._job = None
        if self.curtain is not None:
            self.curtain.show_image(QImage())


class Curtain(QgsMapCanvasItem):
    """A picture of the canvas from its left edge to a line; ``share`` is where that is, from 0 to 1."""

    def __init__(self, canvas: QgsMapCanvas, name: str) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._name = name if len(name) <= LONGEST else f"{name[:LONGEST]}…"
        self._image = QImage()
        self.share = 0.5
        self.setZValue(60)

    def show_image(self, image: QImage) -> None:
        """Paint a picture of the whole canvas; an empty one lets the map be seen."""
        self._image = image
        self.update()

    def move_to(self, share: float) -> None:
        """Move the line."""
        self.share = min(max(share, 0.0), 1.0)
        self.update()

    def remove(self) -> None:
        """Take the item off its canvas; the object is not used again."""
        scene = self.scene()
        if scene is not None:
            scene.removeItem(self)
            self._canvas.update()

    def boundingRect(self) -> QRectF:
        """Return the whole viewport, in item coordinates."""
        return QRectF(self._canvas.viewport().rect()).translated(-self.pos())

    def paint(self, painter: Optional[QPainter], *_: object) -> None:
        """Draw the picture left of the line, the line, and on either side what is seen there."""
        if painter is None:
            return
        view = QRectF(self._canvas.viewport().rect())
        line = view.width() * self.share
        painter.translate(-self.pos())
        if not self._image.isNull():
            painter.save()
            painter.setClipRect(QRectF(0, 0, line, view.height()))
            painter.drawImage(view, self._image, QRectF(self._image.rect()))
            painter.restore()
        painter.setPen(QPen(QColor(255, 255, 255, 230), 3))
        painter.drawLine(int(line), 0, int(line), int(view.height()))
        left = QRectF(0, NEAR, line - NEAR, 40)
        right = QRectF(line + NEAR, NEAR, view.width() - line - NEAR, 40)
        self._label(
            painter, left, tr("without {layer}").format(layer=self._name), Qt.AlignmentFlag.AlignRight
        )
        self._label(painter, right, self._name, Qt.AlignmentFlag.AlignLeft)

    def _label(self, painter: QPainter, room: QRectF, text: str, side: Qt.AlignmentFlag) -> None:
        box = painter.boundingRect(room, side, text)
        if box.width() > room.width():  # the line is too near to the edge
            return
        painter.fillRect(box.adjusted(-4, -2, 4, 2), QColor(0, 0, 0, 150))
        painter.setPen(QColor("white"))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
