"""Like here: areas of rasters that show how what is made by example is to look.

Drawn on the map, or the polygons of a layer, or all of a raster. Only for backends that have images to make
land by example of. The samples of an earlier run are gone from the backend; their areas and words are shown
again, their rasters as far as those are still in the project.
"""

from __future__ import annotations

from typing import Optional, Sequence

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from text2earth_qgis.core.imagery.samples import SampleRequest
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Json
from text2earth_qgis.gui.icons import icon
from text2earth_qgis.gui.panels.drawn.sample_row import DrawnArea, SampleRow
from text2earth_qgis.gui.panels.model import by_example

AREA_NAME = tr("Like here")
MOST = 8  # samples of a request


class LikeHerePanel(QWidget):
    """The samples; a sentence instead, where the backend cannot use them."""

    changed = pyqtSignal()
    titled = pyqtSignal(str)
    drawing = pyqtSignal(bool)  # an area on the map is wanted, or no more
    layer_wanted = pyqtSignal(object)  # SampleRow: a new layer to draw its area on

    def __init__(self, project: QgsProject, own: str = "", parent: Optional[QWidget] = None) -> None:
        """Call the raster that is worked on ``own``; empty where there is none."""
        super().__init__(parent)
        self._project, self._own = project, own
        self.rows: list[SampleRow] = []
        self.revision = 0  # counts what ``changed`` told
        self.draw = QToolButton()
        self.draw.setIcon(icon("draw_extent"))
        self.draw.setText(tr("Draw on the map"))
        self.draw.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.draw.setCheckable(True)
        self.draw.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.draw.setToolTip(
            tr(
                "Drag a box over any raster of the map: what is made looks like what is in it. A click on a "
                "box takes it away, Esc leaves."
            )
        )
        self.draw.clicked.connect(self.drawing)
        self.add = QToolButton()
        self.add.setText(tr("From layer"))
        self.add.setToolTip(tr("Take all of a raster, or the polygons of a layer on it"))
        self.add.clicked.connect(lambda _checked=False: self.add_row())
        self.form = QWidget()
        self._list = QVBoxLayout()
        buttons = QHBoxLayout()
        buttons.addWidget(self.draw, 1)
        buttons.addWidget(self.add)
        inside = QVBoxLayout(self.form)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.addLayout(self._list)
        inside.addLayout(buttons)
        self.said = QLabel()
        self.said.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.form)
        layout.addWidget(self.said)
        self.set_models(())

    def set_models(self, models: Sequence[Json]) -> None:
        """Show the fields if one of the backend's models can use them."""
        able = any(by_example(card) and card.get("installed") for card in models)
        self.form.setVisible(able)
        self.say(
            ""
            if able
            else tr(
                "The backend has no images to make land by example of. Install the model open-land there."
            )
        )

    def say(self, sentence: str) -> None:
        """Show a sentence below the samples, none if it is empty."""
        self.said.setText(sentence)
        self.said.setVisible(bool(sentence))

    def is_given(self) -> bool:
        """Whether there is a sample, and the backend can use it."""
        return bool(self.rows) and not self.form.isHidden()

    def missing(self, own: Optional[QgsRasterLayer], chosen: Json) -> str:
        """Name what is wrong with the samples, as a sentence; ``chosen`` is the card of a chosen model."""
        rows = self.rows if self.is_given() else []
        return next(filter(None, (row.missing(own, chosen) for row in rows)), "")

    def samples(self, own: Optional[QgsRasterLayer] = None) -> tuple[SampleRequest, ...]:
        """Return the samples as they are now, of the ``own`` raster where no other is chosen."""
        found = [row.sample(own) for row in self.rows] if self.is_given() else []
        return tuple(sample for sample in found if sample is not None)

    def restore(self, samples: Sequence[Json], layers: Sequence[Optional[QgsMapLayer]]) -> None:
        """Show the samples of an earlier run; ``layers`` are their rasters, None for those that are gone."""
        for row in list(self.rows):
            self._drop(row)
        for place, sample in enumerate(samples):
            self.add_row().restore(sample, layers[place] if place < len(layers) else None)
        self._touched()

    def add_row(self) -> SampleRow:
        """Add a sample: all of a raster, until an area is chosen."""
        row = SampleRow(self._project, self._own)
        row.changed.connect(self._touched)
        row.removed.connect(lambda: self.take_away(row))
        row.wanted.connect(lambda: self.layer_wanted.emit(row))
        self.rows.append(row)
        self._list.addWidget(row)
        self._touched()
        return row

    def add_drawn(self, area: DrawnArea, raster: Optional[QgsRasterLayer]) -> None:
        """Add a sample that was drawn on the map."""
        self.add_row().take(area, raster)

    def take_away(self, row: SampleRow) -> None:
        """Remove a sample."""
        self._drop(row)
        self._touched()

    def show_active(self, active: bool) -> None:
        """Show whether the map tool is in hand."""
        self.draw.setChecked(active)

    def close_layers(self) -> None:
        """Follow no layer any more."""
        for row in self.rows:
            row.area.close()

    def _drop(self, row: SampleRow) -> None:
        if row in self.rows:
            self.rows.remove(row)
            row.area.close()
            row.hide()
            row.deleteLater()

    def _touched(self) -> None:
        for number, row in enumerate(self.rows, 1):
            row.number(number)
        for button in (self.draw, self.add):
            button.setEnabled(len(self.rows) < MOST)
        self.revision += 1
        self.titled.emit(f"{AREA_NAME}: {len(self.rows)}" if self.rows else AREA_NAME)
        self.changed.emit()
