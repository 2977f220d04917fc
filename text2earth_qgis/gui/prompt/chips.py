"""Words to choose from: small buttons in two rows, and behind one more button the rest.

A click puts a word into the prompt or takes it out. Knows the words, not the prompt.
"""

from __future__ import annotations

from typing import Optional, Sequence

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QKeyEvent, QResizeEvent
from qgis.PyQt.QtWidgets import QToolButton, QWidget

from text2earth_qgis.core.language import tr

ROWS = 2  # unless all are wanted
GAP = 4  # pixels
STYLE = (
    "QToolButton { border: 1px solid palette(mid); border-radius: 9px; padding: 1px 7px; }"
    "QToolButton:hover, QToolButton:focus { border-color: palette(highlight); }"
    "QToolButton:checked { background: palette(highlight); color: palette(highlighted-text); }"
)
PLAIN = (
    "QToolButton { border: none; background: transparent; padding: 1px 7px; }"
    "QToolButton:hover, QToolButton:focus { color: palette(highlight); }"
)


class Chip(QToolButton):
    """One word. The arrow keys go from one to the next."""

    stepped = pyqtSignal(int)

    def __init__(self, text: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setText(text)
        self.setCheckable(True)
        self.setStyleSheet(STYLE)

    def keyPressEvent(self, event: Optional[QKeyEvent]) -> None:
        """Go on with the arrow keys."""
        steps = {
            Qt.Key.Key_Left: -1,
            Qt.Key.Key_Up: -1,
            Qt.Key.Key_Right: 1,
            Qt.Key.Key_Down: 1,
        }
        if event is not None and event.key() in steps:
            self.stepped.emit(steps[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)


class ChipRows(QWidget):
    """The buttons. ``chosen`` carries the number of a word, and whether it is to be in the prompt."""

    chosen = pyqtSignal(int, bool)

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.chips: list[Chip] = []
        self.more = Chip("", self)
        self.more.setStyleSheet(PLAIN)
        self.more.toggled.connect(lambda _all: self._arrange())
        self.more.stepped.connect(lambda step: self._step(self.more, step))
        self.setAccessibleName(tr("Words that the model understands"))
        self.hide()

    def set_words(self, words: Sequence[str]) -> None:
        """Offer these words; nothing is shown where there are none."""
        if [chip.text() for chip in self.chips] != list(words):
            for chip in self.chips:
                chip.hide()
                chip.deleteLater()
            self.chips = [self._chip(number, word) for number, word in enumerate(words)]
            QWidget.setTabOrder(self.chips[-1], self.more) if self.chips else None
            self._arrange()
        self.setVisible(bool(words))

    def check(self, checked: Sequence[bool]) -> None:
        """Show which words are in the prompt."""
        for chip, there in zip(self.chips, checked):
            chip.blockSignals(True)
            chip.setChecked(there)
            chip.blockSignals(False)

    def resizeEvent(self, event: Optional[QResizeEvent]) -> None:
        """Fill the new width."""
        super().resizeEvent(event)
        self._arrange()

    def _chip(self, number: int, word: str) -> Chip:
        chip = Chip(word, self)
        chip.setToolTip(tr("Put this word into the prompt, or take it out"))
        chip.toggled.connect(lambda there: self.chosen.emit(number, there))
        chip.stepped.connect(lambda step: self._step(chip, step))
        chip.show()
        return chip

    def _arrange(self) -> None:
        """Put the buttons side by side; only the first of them takes the focus by Tab."""
        every = self.more.isChecked()
        self.more.setText(tr("Fewer") if every else tr("More…"))
        places = flow([chip.sizeHint().width() for chip in self.chips], self.width())
        row_height = self.more.sizeHint().height() + GAP
        last, beside = self.more.sizeHint().width(), len(self.chips)
        if not every and places and places[-1][1] >= ROWS:
            beside = sum(row < ROWS for _, row in places)
            while beside and places[beside - 1][0] + self.chips[beside - 1].sizeHint().width() > (
                self.width() - last - GAP
            ):
                beside -= 1
        for number, (chip, (x, row)) in enumerate(zip(self.chips, places)):
            chip.setVisible(number < beside)
            chip.setFocusPolicy(Qt.FocusPolicy.ClickFocus if number else Qt.FocusPolicy.StrongFocus)
            chip.setGeometry(x, row * row_height, chip.sizeHint().width(), row_height - GAP)
        widths = [chip.sizeHint().width() for chip in self.chips[:beside]]
        places = flow([*widths, last], self.width())
        self.more.setVisible(every or beside < len(self.chips))
        self.more.setGeometry(places[-1][0], places[-1][1] * row_height, last, row_height - GAP)
        self.more.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        shown = places if not self.more.isHidden() else places[:-1]
        self.setFixedHeight((shown[-1][1] + 1) * row_height - GAP if shown else 0)

    def _step(self, chip: Chip, step: int) -> None:
        shown = [one for one in (*self.chips, self.more) if not one.isHidden()]
        shown[(shown.index(chip) + step) % len(shown)].setFocus(Qt.FocusReason.TabFocusReason)


def flow(widths: Sequence[int], room: int) -> list[tuple[int, int]]:
    """Return where things of some widths come to stand: the place in a row, in pixels, and the row."""
    places, x, row = [], 0, 0
    for width in widths:
        if x and x + width > room:
            x, row = 0, row + 1
        places.append((x, row))
        x += width + GAP
    return places
