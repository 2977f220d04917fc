"""Words of a prompt that its model does not know: underlined in the field, and named in one line below it."""

from __future__ import annotations

from html import escape
from typing import Optional, Sequence
from urllib.parse import quote, unquote

from qgis.PyQt.QtCore import QRegularExpression, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QSyntaxHighlighter, QTextCharFormat, QTextDocument
from qgis.PyQt.QtWidgets import QLabel, QWidget

from text2earth_qgis.core.language import tr

UNDERLINE = QColor(220, 85, 82)
MOST = 4  # words that are named

Unknown = Sequence[tuple[str, Sequence[str]]]  # words, each with known ones that come near


class UnknownWords(QSyntaxHighlighter):
    """Underlines words wherever they stand."""

    def __init__(self, document: QTextDocument) -> None:
        super().__init__(document)
        self._found: Optional[QRegularExpression] = None
        self._format = QTextCharFormat()
        self._format.setUnderlineStyle(QTextCharFormat.UnderlineStyle.WaveUnderline)
        self._format.setUnderlineColor(UNDERLINE)

    def mark(self, words: Sequence[str]) -> None:
        """Underline these words and no others."""
        pattern = pattern_of(words)
        self._found = pattern if words else None
        self.rehighlight()

    def highlightBlock(self, text: Optional[str]) -> None:
        """Underline what is in one line (QSyntaxHighlighter)."""
        if self._found is None:
            return
        found = self._found.globalMatch(text)
        while found.hasNext():
            one = found.next()
            self.setFormat(one.capturedStart(), one.capturedLength(), self._format)


def pattern_of(words: Sequence[str]) -> QRegularExpression:
    """Return what finds words in a text; those of Chinese stand between others without a space."""
    options = QRegularExpression.PatternOption
    return QRegularExpression(
        "|".join(
            QRegularExpression.escape(word)
            if word[:1] > "\u2e80"
            else rf"(?<!\w){QRegularExpression.escape(word)}(?!\w)"
            for word in words
        ),
        options.CaseInsensitiveOption | options.UseUnicodePropertiesOption,
    )


class UnknownLine(QLabel):
    """Names the words, and known ones that come near, which can be clicked: ``replaced`` has both."""

    replaced = pyqtSignal(str, str)

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.LinksAccessibleByMouse | Qt.TextInteractionFlag.LinksAccessibleByKeyboard
        )
        self.setAccessibleName(tr("Words that are not understood"))
        self.linkActivated.connect(self._take)
        self.hide()

    def tell(self, unknown: Unknown) -> None:
        """Name these words; nothing is shown where there are none."""
        self.setText(sentence(unknown))
        self.setVisible(bool(unknown))

    def _take(self, link: str) -> None:
        word, instead = map(unquote, link.split("/"))
        self.replaced.emit(word, instead)


def sentence(unknown: Unknown) -> str:
    """Return the line as rich text: "Not understood: 'fjord'. Nearest: lake, river"."""
    names = ", ".join(tr("'{word}'").format(word=escape(word)) for word, _ in unknown[:MOST])
    if len(unknown) > MOST:
        names = tr("{words} and {number} more").format(words=names, number=len(unknown) - MOST)
    said = tr("Not understood: {words}.").format(words=names)
    near = dict.fromkeys((word, instead) for word, some in unknown[:MOST] for instead in some)
    links = [
        f'<a href="{quote(word, safe="")}/{quote(instead, safe="")}">{escape(instead)}</a>'
        for word, instead in near
    ]
    closest = tr("Nearest: {words}").format(words=", ".join(links))
    return f"{said} {closest}" if links else said
