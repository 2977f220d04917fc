"""The map tool that compares: left of a line, which the mouse drags, the map is shown without one layer.

Of two layers each has a side. The map without a layer is drawn in the background, as QGIS draws its own, and
painted over the canvas; the project and its layers stay as they are.
"""

from __future__ import annotations

from functools import partial
from typing import Callable, Optional

from qgis.core import QgsMapLayer, QgsMapRendererParallelJob, QgsMapSettings, QgsProject
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem, QgsMapMouseEvent
from qgis.PyQt.QtCore import QRectF, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QImage, QKeyEvent, QPainter, QPen

from text2earth_qgis.core.language import tr
from text2earth_qgis.gui.canvas.map_tool import BorrowingTool

NEAR = 8  # pixels of margin around names
LONGEST = 40  # characters of a name
LEFT, RIGHT = 0, 1


class Swipe(BorrowingTool):
    """Compares a layer with what is below it, or with another one, until Esc or another tool is chosen."""

    drawn = pyqtSignal()  # what is compared is there

    def __init__(self, canvas: QgsMapCanvas, project: QgsProject) -> None:
        super().__init__(canvas)
        self._project = project
        self._layers: list[str] = []  # ids: the upper one, which is seen on the right, and the other one
        self._jobs: list[tuple[QgsMapRendererParallelJob, Callable[[], None]]] = []
        self.curtain: Optional[Curtain] = None
        self.setCursor(Qt.CursorShape.SplitHCursor)

    def compare(self, *layers: QgsMapLayer) -> None:
        """Show one layer in the right half of the map, in the left half the map without it.

        Of two, each is shown in one half, the upper one on the right, and the other one is left out there.
        """
        self.leave()
        root = self._project.layerTreeRoot()
        order = root.layerOrder()
        self._layers = [layer.id() for layer in sorted(layers, key=order.index)]
        for one in self._layers:
            root.findLayer(one).setItemVisibilityCheckedParentRecursive(True)
        self.begin()

    def activate(self) -> None:
        """Draw the curtain, and draw it anew with the map."""
        super().activate()
        found = [self._project.mapLayer(one) for one in self._layers]
        names = [layer.name() for layer in found if layer is not None]
        if not names or len(names) < len(self._layers):
            return
        left = names[1] if len(names) == 2 else tr("without {layer}").format(layer=_short(names[0]))
        self.curtain = Curtain(self._canvas, left, names[0])
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
        if set(self._layers) & set(ids):
            self.leave()

    def _draw(self) -> None:
        """Draw the map without the upper layer for the left, without the other one for the right."""
        self._stop()
        for number, hidden in enumerate(self._layers):
            settings = QgsMapSettings(self._canvas.mapSettings())
            settings.setLayers([layer for layer in settings.layers() if layer.id() != hidden])
            job, show = QgsMapRendererParallelJob(settings), partial(self._show, number)
            job.finished.connect(show)
            self._jobs.append((job, show))
            job.start()

    def _show(self, number: int) -> None:
        if self.curtain is None or number >= len(self._jobs):
            return
        self.curtain.show_image(number, self._jobs[number][0].renderedImage())
        if not any(job.isActive() for job, _ in self._jobs):
            self.drawn.emit()

    def _stop(self) -> None:
        """Stop what is being drawn; its picture is of a map that is no longer seen."""
        for job, show in self._jobs:
            job.finished.disconnect(show)
            job.cancelWithoutBlocking()
        self._jobs = []
        if self.curtain is not None:
            self.curtain.clear()


class Curtain(QgsMapCanvasItem):
    """Pictures of the canvas on both sides of a line; ``share`` is where that is, from 0 to 1."""

    def __init__(self, canvas: QgsMapCanvas, left: str, right: str) -> None:
        """Tell by ``left`` and ``right`` what is seen there."""
        super().__init__(canvas)
        self._canvas = canvas
        self._names = _short(left), _short(right)
        self._images: dict[int, QImage] = {}
        self.share = 0.5
        self.setZValue(60)

    @property
    def sides(self) -> int:
        """How many sides have a picture."""
        return len(self._images)

    def show_image(self, side: int, image: QImage) -> None:
        """Paint a picture of the whole canvas on one side; where there is none the map is seen."""
        self._images[side] = image
        self.update()

    def clear(self) -> None:
        """Let the map be seen."""
        self._images.clear()
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
        sides = QRectF(0, 0, line, view.height()), QRectF(line, 0, view.width() - line, view.height())
        for side, image in self._images.items():
            painter.save()
            painter.setClipRect(sides[side])
            painter.drawImage(view, image, QRectF(image.rect()))
            painter.restore()
        painter.setPen(QPen(QColor(255, 255, 255, 230), 3))
        painter.drawLine(int(line), 0, int(line), int(view.height()))
        left = QRectF(0, NEAR, line - NEAR, 40)
        right = QRectF(line + NEAR, NEAR, view.width() - line - NEAR, 40)
        self._label(painter, left, self._names[LEFT], Qt.AlignmentFlag.AlignRight)
        self._label(painter, right, self._names[RIGHT], Qt.AlignmentFlag.AlignLeft)

    def _label(self, painter: QPainter, room: QRectF, text: str, side: Qt.AlignmentFlag) -> None:
        box = painter.boundingRect(room, side, text)
        if box.width() > room.width():  # the line is too near to the edge
            return
        painter.fillRect(box.adjusted(-4, -2, 4, 2), QColor(0, 0, 0, 150))
        painter.setPen(QColor("white"))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}…"
