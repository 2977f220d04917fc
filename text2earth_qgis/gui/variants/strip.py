"""The strip of variants in the dock: their pictures, what the chosen one is, and buttons to keep or discard.

Knows no run but those that it is given, and no map.
"""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QResizeEvent
from qgis.PyQt.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from text2earth_qgis.core.language import tr
from text2earth_qgis.core.runs.variants import seed_of
from text2earth_qgis.gui.variants.pictures import Pictures, Variant

TIP = tr("Click shows a variant on the map, Left and Right the next one. Enter keeps it, Delete discards it.")


class VariantStrip(QFrame):
    """The widgets; hidden where no variant waits for the user."""

    resized = pyqtSignal()  # it is hidden or shown, or has other pictures
    all_kept = pyqtSignal()
    all_discarded = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.caption = QLabel()
        self.caption.setTextFormat(Qt.TextFormat.PlainText)
        self.caption.setMinimumWidth(20)
        self.caption.setIndent(0)  # which some themes have
        self.pictures = Pictures()
        self.pictures.setToolTip(TIP)
        self.pictures.resized.connect(self.resized)
        self.keep, self.discard = QPushButton(tr("Keep")), QPushButton(tr("Discard"))
        self.keep.setToolTip(tr("Make it a usual result (Enter)"))
        self.discard.setToolTip(
            tr("Take it off the map (Delete). Its file and its line in the list of runs stay.")
        )
        self.keep.clicked.connect(lambda _checked=False: self._decide(self.pictures.kept))
        self.discard.clicked.connect(lambda _checked=False: self._decide(self.pictures.discarded))
        self.all = QToolButton()
        self.all.setText(tr("All"))
        self.all.setAccessibleName(tr("All variants"))
        self.all.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.all)
        self.keep_all = menu.addAction(tr("Keep all"), self.all_kept.emit)
        self.discard_all = menu.addAction(tr("Discard all"), self.all_discarded.emit)
        self.all.setMenu(menu)
        self._variants: list[Variant] = []
        self._text = ""
        self._lay_out()
        self.hide()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        for widget in (self.keep, self.discard):
            buttons.addWidget(widget, 1)
        buttons.addWidget(self.all)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 8)
        layout.setSpacing(4)
        for widget in (self.caption, self.pictures):
            layout.addWidget(widget)
        layout.addLayout(buttons)

    def show_variants(self, variants: list[Variant], chosen: str) -> None:
        """Show these variants of one set, one of which may be chosen; none hides the strip."""
        before, self._variants = bool(self._variants), variants
        self.setVisible(bool(variants))
        if before != bool(variants):
            self.resized.emit()
        if not variants:
            return
        self.pictures.show_variants(variants, chosen)
        self._describe(next((variant for variant in variants if variant.run.key == chosen), None))
        self.keep_all.setEnabled(any(variant.ready for variant in variants))

    @property
    def keys(self) -> list[str]:
        """Return the keys of the runs that are shown."""
        return [variant.run.key for variant in self._variants]

    def _describe(self, variant: Optional[Variant]) -> None:
        """Say what the chosen one is, or how far all are."""
        self.keep.setEnabled(variant is not None and variant.ready)
        self.discard.setEnabled(variant is not None)
        if variant is None:
            there = sum(one.ready for one in self._variants)
            text = tr("{there} of {count} variants are there: click one.")
            self._say(text.format(there=there, count=len(self._variants)))
        elif variant.state:
            text = tr("{number} of {count}: {state}")
            self._say(text.format(number=variant.number, count=variant.of, state=variant.state))
        else:
            text = tr("{number} of {count} on the map, seed {seed}")
            self._say(text.format(number=variant.number, count=variant.of, seed=seed_of(variant.run)))

    def _say(self, text: str) -> None:
        """Show a text on one line; the tool tip has all of it, and the prompt."""
        self._text = text
        self.caption.setToolTip(f"{text}\n{self._variants[0].run.inputs.get('prompt') or ''}".strip())
        self._fit()

    def resizeEvent(self, event: Optional[QResizeEvent]) -> None:
        """Fit the text."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        metrics, width = self.caption.fontMetrics(), self.caption.contentsRect().width()
        self.caption.setText(metrics.elidedText(self._text, Qt.TextElideMode.ElideRight, width))

    def _decide(self, signal: pyqtSignal) -> None:
        index = self.pictures.currentIndex()
        if index.isValid():
            signal.emit(self._variants[index.row()].run.key)
            self.pictures.setFocus()  # so that the keys go on with the next one
