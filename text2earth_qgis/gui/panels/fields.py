"""The input widgets that QGIS does not have: GSD and seed fields.

Each holds one value of a request; None means "left to the model or the backend". Knows no other field.
"""

from __future__ import annotations

import random
from typing import Optional

from qgis.core import QgsMapLayerProxyModel
from qgis.gui import QgsCollapsibleGroupBoxBasic, QgsDoubleSpinBox, QgsMapLayerComboBox
from qgis.PyQt.QtCore import QModelIndex, QRegularExpression, pyqtSignal
from qgis.PyQt.QtGui import QRegularExpressionValidator, QValidator
from qgis.PyQt.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QSizePolicy,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from text2earth_qgis.core.language import tr, trn
from text2earth_qgis.core.pixel_sizes import PixelSizes
from text2earth_qgis.core.runs.variants import MOST, SEED_RANGE
from text2earth_qgis.gui import words
from text2earth_qgis.gui.icons import icon

SEEDS = tr(
    "The seed is the number that a picture grows from: the same seed and settings give the same picture. "
    "Left empty, every run takes a new one. Variants take this seed, the next one, and so on; what each took "
    "stands in its name, so that it can be had again."
)
SEED_LIMIT = 2**53 - 1
GSD_LIMIT = 100_000.0


class GsdSpinBox(QgsDoubleSpinBox):
    """Ground metres per pixel. Its lowest value means automatic; the arrows step through a model's sizes."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setDecimals(4)
        self.setRange(0.0, GSD_LIMIT)
        self.setSuffix(" m")
        self.setSpecialValueText(tr("Automatic"))
        self.setClearValue(0.0, tr("Automatic"))
        self.setMinimumWidth(60)
        self._sizes: list[float] = []

    def set_steps(self, sizes: list[float]) -> None:
        """Let the arrows go from one of these sizes to the next; others may still be typed."""
        self._sizes = sizes

    def textFromValue(self, value: float) -> str:
        """Return the number without trailing zeros."""
        text = self.locale().toString(value, "f", self.decimals())
        point = self.locale().decimalPoint()
        return text.rstrip("0").rstrip(str(point)) if str(point) in text else text

    def stepBy(self, steps: int) -> None:
        """Go to the next size of the model; below the finest is automatic."""
        value = self.value()
        for _ in range(abs(steps)):
            if steps > 0:
                value = next((size for size in self._sizes if size > value), value)
            else:
                value = next((size for size in reversed(self._sizes) if size < value), 0.0)
        self.setValue(value)


class GsdField(QWidget):
    """GSD with a menu of round values that the chosen model can be asked for."""

    changed = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.spin = GsdSpinBox()
        self.spin.valueChanged.connect(lambda _value: self.changed.emit())
        self._menu = QMenu(self)
        button = QToolButton()
        button.setText("…")
        button.setToolTip(tr("Pixel sizes that the model makes"))
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setMenu(self._menu)
        button.setAccessibleName(tr("Pixel sizes that the model makes"))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.spin, 1)
        layout.addWidget(button)
        self.setFocusProxy(self.spin)
        self.set_sizes(PixelSizes((), 0.5, 200.0))

    def value(self) -> Optional[float]:
        """Return ground metres per pixel, None for automatic."""
        return self.spin.value() or None

    def set_value(self, gsd: Optional[float]) -> None:
        """Set ground metres per pixel, None for automatic."""
        self.spin.setValue(gsd or 0.0)

    def set_sizes(self, sizes: PixelSizes) -> None:
        """Offer the pixel sizes that a model makes."""
        self.spin.set_steps(sizes.offered)
        self.spin.setToolTip(
            tr("Ground sample distance: metres on the ground per pixel. This model makes {sizes}.").format(
                sizes=sizes.words
            )
        )
        self._menu.clear()
        self._menu.addAction(tr("Automatic"), lambda: self.set_value(None))
        for gsd in sizes.offered:
            self._menu.addAction(
                tr("{size} m per pixel").format(size=words.significant(gsd)),
                lambda value=gsd: self.set_value(value),
            )

    def set_automatic(self, meaning: str) -> None:
        """Show ``meaning`` where no number is chosen."""
        if meaning != self.spin.specialValueText():
            self.spin.blockSignals(True)  # the value stays
            self.spin.setSpecialValueText(meaning)
            self.spin.setClearValue(0.0, meaning)
            self.spin.blockSignals(False)


class VariantsSpinBox(QSpinBox):
    """How many variants of a picture are made at a time."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setRange(1, MOST)
        self.setToolTip(SEEDS)
        self.setAccessibleName(tr("Variants"))

    def textFromValue(self, value: int) -> str:
        """Return the number with what it counts."""
        return trn("{number} variant", "{number} variants", value).format(number=value)

    def valueFromText(self, text: Optional[str]) -> int:
        """Return the number in a text."""
        digits = "".join(sign for sign in text or "" if sign.isdigit())
        return min(MOST, max(1, int(digits or 1)))

    def validate(self, text: Optional[str], place: int) -> tuple[QValidator.State, str, int]:
        """Accept what has a number in it, with or without what it counts."""
        return QValidator.State.Acceptable, text or "", place


class SeedField(QWidget):
    """The seed: empty for a new one in each run, else the same picture again; and how many variants."""

    changed = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._edit = QLineEdit()
        self._edit.setClearButtonEnabled(True)
        self._edit.setPlaceholderText(tr("New for each run"))
        self._edit.setToolTip(SEEDS)
        self._edit.setValidator(QRegularExpressionValidator(QRegularExpression(r"\d{0,16}"), self))
        self._edit.setMinimumWidth(60)
        self._edit.textChanged.connect(lambda _text: self.changed.emit())
        dice = QToolButton()
        dice.setIcon(icon("dice"))
        dice.setToolTip(tr("Throw a seed and keep it"))
        dice.setAccessibleName(tr("Random seed"))
        dice.clicked.connect(lambda _checked=False: self.set_value(random.randrange(SEED_RANGE)))  # nosec B311
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._variants = VariantsSpinBox()
        self._variants.valueChanged.connect(lambda _number: self.changed.emit())
        layout.addWidget(self._edit, 1)
        layout.addWidget(dice)
        layout.addWidget(self._variants)
        self.setFocusProxy(self._edit)

    def value(self) -> Optional[int]:
        """Return the seed, None for a new one in each run."""
        text = self._edit.text()
        return min(int(text), SEED_LIMIT) if text else None

    def set_value(self, seed: Optional[int]) -> None:
        """Set the seed, None for a new one in each run."""
        self._edit.setText("" if seed is None else str(seed))

    def variants(self) -> int:
        """Return how many variants are wanted, 1 to 8."""
        return int(self._variants.value())

    def set_variants(self, count: int) -> None:
        """Set how many variants are wanted."""
        self._variants.setValue(count)


def fold(title: str, content: QWidget) -> QgsCollapsibleGroupBoxBasic:
    """Return ``content`` in a box of that title, closed."""
    box = QgsCollapsibleGroupBoxBasic(title)
    layout = QVBoxLayout(box)
    layout.setContentsMargins(9, 4, 9, 9)
    layout.addWidget(content)
    box.setCollapsed(True)
    return box


def align_labels(*forms: QFormLayout) -> None:
    """Let the fields of forms below each other begin at the same place."""
    role = QFormLayout.ItemRole.LabelRole
    items = [form.itemAt(row, role) for form in forms for row in range(form.rowCount())]
    labels = [item.widget() for item in items if item is not None]
    for label in labels:
        label.setMinimumWidth(max(one.sizeHint().width() for one in labels))


def raster_field(nothing: str, tip: str = "") -> QgsMapLayerComboBox:
    """Return a choice of a raster layer of the project; ``nothing`` is the choice of none."""
    return layer_field(QgsMapLayerProxyModel.Filter.RasterLayer, nothing, tip)


def layer_field(kinds: QgsMapLayerProxyModel.Filter, nothing: str, tip: str) -> QgsMapLayerComboBox:
    """Return a choice of a layer of the project that is of one of these kinds.

    ``nothing`` is the choice of none. It also follows the removal of the chosen layer, in whose place QGIS
    would choose its neighbour.
    """
    field = QgsMapLayerComboBox()
    field.setFilters(kinds)
    field.setAllowEmptyLayer(True, nothing)
    field.setCurrentIndex(0)
    field.setMinimumContentsLength(6)
    field.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    field.setToolTip(tip)

    def let_go(_parent: QModelIndex, first: int, last: int) -> None:
        if first <= field.currentIndex() <= last:
            field.setCurrentIndex(0)

    field.model().rowsAboutToBeRemoved.connect(let_go)
    return field
