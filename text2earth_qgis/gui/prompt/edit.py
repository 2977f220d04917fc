"""The text field of a prompt: Tab leaves it, Ctrl+Enter asks to run, known words are completed.

Knows words; what a model makes of them is told from outside.
"""

from __future__ import annotations

import re
from typing import Iterable, Optional

from qgis.PyQt.QtCore import QEvent, QSize, QStringListModel, Qt, pyqtSignal
from qgis.PyQt.QtGui import QKeyEvent, QPalette, QTextCursor
from qgis.PyQt.QtWidgets import QCompleter, QPlainTextEdit, QWidget

LEAST = 2  # letters of a word before it is completed
_LAST = re.compile(r"[\u4e00-\u9fff]$|[^\W\d_\u4e00-\u9fff](?:['’-]?[^\W\d_\u4e00-\u9fff])*$")
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class PromptEdit(QPlainTextEdit):
    """A plain text field of a few lines. Tab leaves it, Ctrl+Enter asks to run."""

    submitted = pyqtSignal()

    def __init__(self, placeholder: str, lines: int, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._lines = lines
        self.setPlaceholderText(placeholder)
        self.setTabChangesFocus(True)
        self.document().setDocumentMargin(5)
        height = self._height(lines)
        self.setMinimumHeight(height)
        self.setMaximumHeight(height)
        self._words = QStringListModel(self)
        self.completer = QCompleter(self._words, self)
        self.completer.setWidget(self)
        self.completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.completer.activated.connect(self._complete)

    def text(self) -> str:
        """Return the typed text, without white space around it."""
        return self.toPlainText().strip()

    def replace_text(self, text: str) -> None:
        """Show another text, which Ctrl+Z takes back."""
        cursor = QTextCursor(self.document())
        cursor.select(QTextCursor.SelectionType.Document)
        cursor.insertText(text)
        self.moveCursor(QTextCursor.MoveOperation.End)

    def set_words(self, words: Iterable[str]) -> None:
        """Complete these words."""
        self._words.setStringList(sorted(set(words), key=str.casefold))

    def sizeHint(self) -> QSize:
        """Return a size of the given number of lines."""
        return QSize(160, self._height(self._lines))

    def changeEvent(self, event: Optional[QEvent]) -> None:
        """Keep the example paler than what is typed: themes of QGIS give both the same colour."""
        super().changeEvent(event)
        palette, role = self.palette(), QPalette.ColorRole.PlaceholderText
        groups = QPalette.ColorGroup.Active, QPalette.ColorGroup.Inactive
        pale = palette.color(groups[0], QPalette.ColorRole.Text)
        pale.setAlphaF(0.5)
        if any(palette.color(group, role) != pale for group in groups):
            for group in groups:
                palette.setColor(group, role, pale)
            self.setPalette(palette)

    def event(self, event: Optional[QEvent]) -> bool:
        """Let Tab choose from the list of words while that is open."""
        pressed = isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress
        tab = pressed and event.key() == Qt.Key.Key_Tab  # type: ignore[union-attr]
        if tab and self.completer.popup().isVisible():
            self._complete(self.completer.currentCompletion())
            return True
        return super().event(event)

    def keyPressEvent(self, event: Optional[QKeyEvent]) -> None:
        """Ask to run on Ctrl+Enter; leave the keys of the list of words to it."""
        if event is None:
            return
        popup = self.completer.popup()
        if event.key() in _ENTER and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            popup.hide()
            self.submitted.emit()
        elif popup.isVisible() and event.key() in (*_ENTER, Qt.Key.Key_Escape):
            event.ignore()
        else:
            super().keyPressEvent(event)
            if event.text():
                self._offer()

    def _offer(self) -> None:
        """Offer words that begin as the one before the cursor, unless that is one of them."""
        begun, popup = self._begun(), self.completer.popup()
        least = 1 if begun > "\u4e00" else LEAST
        self.completer.setCompletionPrefix(begun)
        whole = begun.casefold() == self.completer.currentCompletion().casefold()
        if len(begun) < least or whole or not self.completer.completionCount():
            popup.hide()
            return
        popup.setCurrentIndex(self.completer.completionModel().index(0, 0))
        place = self.cursorRect()
        place.setWidth(popup.sizeHintForColumn(0) + popup.verticalScrollBar().sizeHint().width() + 8)
        self.completer.complete(place)

    def _begun(self) -> str:
        """Return the word before the cursor, as far as it is typed."""
        cursor = self.textCursor()
        found = _LAST.search(cursor.block().text()[: cursor.positionInBlock()])
        return found[0] if found else ""

    def _complete(self, word: str) -> None:
        """Put a whole word in place of the one that was begun."""
        self.completer.popup().hide()
        cursor, begun = self.textCursor(), self._begun()
        for _ in begun:
            cursor.movePosition(QTextCursor.MoveOperation.Left, QTextCursor.MoveMode.KeepAnchor)
        cursor.insertText(word)
        self.setTextCursor(cursor)

    def _height(self, lines: int) -> int:
        margins = 2 * (self.frameWidth() + int(self.document().documentMargin()))
        return lines * self.fontMetrics().lineSpacing() + margins + 2
