"""The base of panels for what is drawn on a vector layer: the layer, fields of it, and what comes of them.

Reading the layer is left to others, who tell what was found. What an earlier run was sent can be kept without
its layer.
"""

from __future__ import annotations

from typing import Generic, Mapping, Optional, Sequence, TypeVar

from qgis.core import QgsVectorLayer
from qgis.gui import QgsFieldComboBox
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QFormLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from text2earth_qgis.core.wire.schemas import Json, Layout, Polygons
from text2earth_qgis.gui import words
from text2earth_qgis.gui.accessible import name_fields, name_widget
from text2earth_qgis.gui.panels.drawn.polygons import PolygonField

SAID = 120  # characters of what the features say
F = TypeVar("F", Polygons, Layout)


class DrawnPanel(QWidget, Generic[F]):
    """Layer, fields, and a line on what is sent. ``titled`` says what to call the section."""

    changed = pyqtSignal()
    titled = pyqtSignal(str)
    made = pyqtSignal(object)  # a layer to draw on
    title: str
    earlier: str  # the choice of what an earlier run was sent
    unread: str  # the sentence where the layer cannot be read
    usual: Mapping[str, str]  # names of fields, by what they are for

    def __init__(
        self, features: PolygonField, tips: Mapping[str, str], parent: Optional[QWidget] = None
    ) -> None:
        """Take the choice of the layer, and what to say of each field."""
        super().__init__(parent)
        self.revision = 0  # counts what ``changed`` told
        self.features = features
        self._kept: Optional[F] = None
        self._names = dict(self.usual)  # of fields, the last ones chosen
        self._layer: Optional[QgsVectorLayer] = None
        self.fields = {name: field_combo(tip) for name, tip in tips.items()}
        for combo in self.fields.values():
            combo.fieldChanged.connect(lambda _field: self._touched())
        self.said = QLabel()
        self.said.setWordWrap(True)
        self.said.setTextFormat(Qt.TextFormat.PlainText)
        self.form = QWidget()

    def lay_out(self, rows: Sequence[tuple[str, QWidget]]) -> None:
        """Put the parts below each other, ``rows`` in the form; then follow the layer."""
        self.rows = form = QFormLayout(self.form)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        for title, field in rows:
            form.addRow(title, field)
        name_fields(form)
        name_widget(self.features, self.title)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (self.features, self.form, self.said):
            layout.addWidget(widget)
        self.features.changed.connect(self._follow)
        self._follow()
        self.show_found(None)

    def kept(self) -> Optional[F]:
        """Return what the earlier run was sent, if it is chosen."""
        return self._kept if self.features.layers.currentText() == self.earlier else None

    def unreadable(self) -> str:
        """Say that the layer cannot be read, if so; empty if it can."""
        layer = self.features.layer()
        if layer is None or layer.isValid():
            return ""
        return self.unread.format(layer=layer.name())

    def has_layer(self) -> bool:
        """Whether a layer is chosen."""
        return self.features.layer() is not None

    def amount(self, found: F) -> str:
        """Return how much is sent, in words."""
        raise NotImplementedError

    def says(self, found: F) -> Sequence[str]:
        """Return what the features say, each once."""
        raise NotImplementedError

    def show_found(self, found: Optional[F]) -> None:
        """Show how much is sent and what it says; None shows nothing."""
        count = self.amount(found) if found else ""
        said = words.first_line(", ".join(self.says(found)), SAID) if found else ""
        self.said.setText(f"{count}: {said}" if said else count)
        self.said.setVisible(bool(found))
        self.titled.emit(f"{self.title}: {count}" if found else self.title)

    def keep(self, found: Optional[F]) -> None:
        """Offer what an earlier run was sent, and choose it; None takes it away."""
        self._kept = found
        layers = self.features.layers
        layers.setAdditionalItems([self.earlier] if found else [])
        self.features.choose(None)
        if found:
            layers.setCurrentIndex(layers.findText(self.earlier))
        self.show_found(found)
        self._touched()

    def memory(self) -> Json:
        """Return the names of the fields: what does not depend on the project."""
        return self.chosen_names()

    def recall(self, memory: Json) -> None:
        """Remember the names of fields for the next layer that has them."""
        self._names = {**self.usual, **{name: str(memory[name]) for name in self.usual if name in memory}}

    def close_layers(self) -> None:
        """Follow no layer any more."""
        self.features.close()

    def chosen_names(self) -> dict[str, str]:
        """Return the fields that are chosen; without a layer the last ones."""
        if self.features.layer() is None:
            return dict(self._names)
        return {name: combo.currentField() for name, combo in self.fields.items()}

    def _follow(self) -> None:
        """Choose the fields of the last time, or of the usual names, where another layer has them."""
        layer = self.features.layer()
        self.form.setVisible(self.has_layer())
        self.features.only.setVisible(layer is not None)
        if layer is not self._layer:
            self._layer = layer
            for name, combo in self.fields.items():
                combo.blockSignals(True)
                combo.setLayer(layer)
                there = [combo.itemText(row) for row in range(combo.count())]
                wanted = (one for one in (self._names[name], self.usual[name]) if one in there)
                combo.setField(next(wanted, there[0] if there else ""))
                combo.blockSignals(False)
        self._touched()

    def _touched(self) -> None:
        self._names = self.chosen_names()
        self.revision += 1
        self.changed.emit()


def field_combo(tip: str) -> QgsFieldComboBox:
    """Return a choice of a field that may be narrow."""
    combo = QgsFieldComboBox()
    combo.setToolTip(tip)
    make_narrow(combo)
    return combo


def make_narrow(combo: QComboBox) -> None:
    """Let a combo box be narrower than its longest entry."""
    combo.setMinimumContentsLength(6)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
