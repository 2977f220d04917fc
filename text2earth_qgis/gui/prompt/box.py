"""A prompt with all that helps to write it: title and menus, the field, what is not understood, words.

The same for everything that takes a prompt. Knows no request.
"""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QMenu, QToolButton, QVBoxLayout, QWidget

from text2earth_qgis.core import prompt_memory
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.vocabulary import ENGLISH, Vocabulary
from text2earth_qgis.core.wire.schemas import Json, PromptReading
from text2earth_qgis.gui import words
from text2earth_qgis.gui.accessible import name_widget
from text2earth_qgis.gui.connection import Connection
from text2earth_qgis.gui.icons import icon
from text2earth_qgis.gui.prompt.chips import ChipRows
from text2earth_qgis.gui.prompt.edit import PromptEdit
from text2earth_qgis.gui.prompt.library import library
from text2earth_qgis.gui.prompt.reader import PromptReader
from text2earth_qgis.gui.prompt.unknown import UnknownLine, UnknownWords, pattern_of

LONGEST = 60  # characters of a prompt in a menu


class PromptBox(QWidget):
    """``edit`` is the field. ``changed`` follows every change of the text, ``submitted`` Ctrl+Enter."""

    changed = pyqtSignal()
    submitted = pyqtSignal()

    def __init__(self, placeholder: str, lines: int, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.edit = PromptEdit(placeholder, lines)
        self.unknown = UnknownLine()
        self.chips = ChipRows()
        self._marks = UnknownWords(self.edit.document())
        self._reader: Optional[PromptReader] = None
        self._card: Json = {}
        self._vocabulary: Optional[Vocabulary] = None
        self._language = user_language()
        self._before = ""
        self.favourite = _button("star", tr("Keep this prompt among the favourites"))
        self.favourite.setIcon(icon("star", "star_kept"))
        self.favourite.setCheckable(True)
        self.recent = _menu_button("recent", tr("Favourites and recent prompts"))
        self.starters = _menu_button("library", tr("Prompts to start from"))
        self._lay_out()
        self.edit.textChanged.connect(self._follow_text)
        self.edit.submitted.connect(self.submitted)
        self.favourite.clicked.connect(lambda kept: prompt_memory.keep(self.edit.text(), kept))
        self.recent.menu().aboutToShow.connect(self._fill_recent)
        self.starters.menu().aboutToShow.connect(self._fill_starters)
        self.chips.chosen.connect(self._choose)
        self.unknown.replaced.connect(self._replace)
        self._show_favourite()

    def _lay_out(self) -> None:
        title = QLabel(tr("Prompt"))
        title.setBuddy(self.edit)
        name_widget(self.edit, tr("Prompt"))
        top = QHBoxLayout()
        top.setSpacing(2)
        top.addWidget(title, 1)
        for button in (self.favourite, self.recent, self.starters):
            top.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(top)
        for widget in (self.edit, self.unknown, self.chips):
            layout.addWidget(widget)

    def follow(self, connection: Connection) -> None:
        """Ask this backend what is understood."""
        self._reader = PromptReader(connection, self)
        self._reader.read.connect(self._show_reading)

    def set_card(self, card: Json) -> None:
        """Offer the words of the model that is chosen, and read the prompt as it does."""
        if card == self._card:
            return
        self._card, self._vocabulary = card, Vocabulary.of(card)
        self._marks.mark(())
        self.unknown.tell(())
        self._show_words()
        self._read()

    def remember(self) -> None:
        """Note that the prompt is run."""
        prompt_memory.remember(self.edit.text())

    def _follow_text(self) -> None:
        text = self.edit.toPlainText()
        if text == self._before:  # underlining is a change too, but not of the text
            return
        self._before = text
        self._show_favourite()
        self._show_words()
        self._read()
        self.changed.emit()

    def _read(self) -> None:
        if self._reader is None:
            return
        if self._vocabulary is not None and self.edit.text():
            self._reader.ask(self.edit.toPlainText(), self._card["id"])
        else:
            self._reader.stop()
            self._marks.mark(())
            self.unknown.tell(())

    def _show_reading(self, prompt: str, reading: PromptReading) -> None:
        if prompt != self.edit.toPlainText():
            return
        self._marks.mark([word for word, _ in reading.unknown])
        self.unknown.tell(reading.unknown)
        known = self._vocabulary
        if known is not None:
            own = known.language(user_language())
            plain = reading.language == ENGLISH and not known.is_in(prompt, own)
            self._language = ENGLISH if plain else own if reading.language == ENGLISH else reading.language
            self._show_words()

    def _show_words(self) -> None:
        """Offer words in the language of the prompt, and show which of them it has."""
        known, text = self._vocabulary, self.edit.toPlainText()
        if known is None:
            self.edit.set_words(())
            self.chips.set_words(())
            return
        if not text.strip():
            self._language = known.language(user_language())
        self.edit.set_words({*known.every(self._language), *known.every(known.language(user_language()))})
        self.chips.set_words([term[self._language][0] for term in known.terms])
        self.chips.check([known.names(text, term) for term in known.terms])

    def _choose(self, number: int, there: bool) -> None:
        known, text = self._vocabulary, self.edit.toPlainText()
        if known is None:
            return
        term = known.terms[number]
        if there:
            self.edit.replace_text(known.with_word(text, term[self._language][0], self._language))
        else:
            self.edit.replace_text(known.without(text, term, self._language))

    def _replace(self, word: str, instead: str) -> None:
        """Put a known word in place of one that is not."""
        found = pattern_of([word]).match(self.edit.toPlainText())
        if found.hasMatch():
            cursor = self.edit.textCursor()
            cursor.setPosition(found.capturedStart())
            cursor.setPosition(found.capturedEnd(), cursor.MoveMode.KeepAnchor)
            cursor.insertText(instead)

    def _show_favourite(self) -> None:
        text = self.edit.text()
        kept = text in prompt_memory.favourites()
        self.favourite.setEnabled(bool(text))
        self.favourite.setChecked(kept)

    def _fill_recent(self) -> None:
        menu = self.recent.menu()
        menu.clear()
        for title, prompts in (
            (tr("Favourites"), prompt_memory.favourites()),
            (tr("Recent"), prompt_memory.recent()),
        ):
            if prompts:
                menu.addSection(title)
                self._add_prompts(menu, prompts)
        if menu.isEmpty():
            menu.addAction(tr("No prompts yet")).setEnabled(False)

    def _fill_starters(self) -> None:
        menu = self.starters.menu()
        menu.clear()
        for title, prompts in library().items():
            self._add_prompts(menu.addMenu(title), prompts)

    def _add_prompts(self, menu: QMenu, prompts: object) -> None:
        for prompt in prompts:  # type: ignore[attr-defined]
            entry = menu.addAction(words.first_line(prompt, LONGEST).replace("&", "&&"))
            entry.setToolTip(prompt)
            entry.triggered.connect(lambda _checked, prompt=prompt: self.edit.replace_text(prompt))


def user_language() -> str:
    """Return the language of QGIS, in two letters."""
    return str(QgsApplication.locale())[:2]


def _button(symbol: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setIcon(icon(symbol))
    button.setAutoRaise(True)
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button


def _menu_button(symbol: str, tip: str) -> QToolButton:
    button = _button(symbol, tip)
    button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    menu = QMenu(button)
    menu.setToolTipsVisible(True)
    button.setMenu(menu)
    return button
