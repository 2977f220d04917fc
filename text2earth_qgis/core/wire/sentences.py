"""What a backend says, in the user's language: it speaks English, and its texts are looked up.

A sentence comes with its values in it, so it is compared with texts that have fields. A value may be part of
a sentence, or sentences, itself. What is not known, such as the words of a newer backend, stays as it came.
Knows no QGIS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Mapping, Optional

from text2earth_qgis.core.language import said_by_backends

_FIELD = re.compile(r"\{(\w+)\}")
_SENTENCE = re.compile(r"(?<=[.!?]) (?=[^a-z\s])")  # between two of them
_NUMBER = re.compile(r"-?\d+(,\d{3})*(\.\d+)?")
_OF_LAND = ("what", "kind", "word", "shows", "shown", "listed")  # fields that words for land fill


def translated(said: str) -> str:
    """Return what a backend says, some sentences, in the user's language as far as they are known."""
    shown, rest = [], _SENTENCE.split(said)
    while rest:
        for count in range(len(rest), 0, -1):  # a known text may be several sentences
            found = _shown(" ".join(rest[:count]), "texts")
            if found is not None or count == 1:
                shown.append(rest[0] if found is None else found)
                del rest[:count]
                break
    return " ".join(shown)


def land(said: str) -> str:
    """Return in the user's language what a backend understood or shows: "two ponds (water)"."""
    if ", " in said:
        return ", ".join(land(one) for one in said.split(", "))
    found = _shown(said, "words")
    if found is not None:
        return found
    words, known = said.split(" "), _catalogue("words").whole
    return " ".join(known[word] for word in words) if all(word in known for word in words) else said


@dataclass(frozen=True)
class _Text:
    """A text with fields: its English as a pattern, the longest piece between fields, how it is shown."""

    pattern: re.Pattern[str]
    piece: str
    shown: str

    def filled(self, said: str) -> Optional[str]:
        """Return how ``said`` is shown; None: it is another text."""
        found = self.pattern.fullmatch(said) if self.piece in said else None
        if found is None:
            return None
        return self.shown.format(**{name: _value(name, value) for name, value in found.groupdict().items()})


@dataclass(frozen=True)
class _Catalogue:
    """Texts as they are shown: ``whole`` ones, and those with fields, the most telling first."""

    whole: Mapping[str, str]
    texts: tuple[_Text, ...]


def _value(name: str, said: str) -> str:
    """Return what fills a field in the user's language."""
    if _NUMBER.fullmatch(said):
        signs = said_by_backends()["numbers"]
        return "".join(signs.get(sign, sign) for sign in said)
    shown = translated(said)
    return land(said) if shown == said and name in _OF_LAND else shown


@lru_cache(maxsize=1_000)
def _shown(said: str, kind: str) -> Optional[str]:
    """Return how a whole text is shown; None: it is not known."""
    catalogue = _catalogue(kind)
    if said in catalogue.whole:
        return catalogue.whole[said]
    return next((shown for text in catalogue.texts if (shown := text.filled(said)) is not None), None)


@lru_cache(maxsize=2)
def _catalogue(kind: str) -> _Catalogue:
    texts = said_by_backends().get(kind, {})
    with_fields = sorted(filter(_FIELD.search, texts), key=lambda one: len(_FIELD.sub("", one)), reverse=True)
    return _Catalogue(
        {one: shown for one, shown in texts.items() if not _FIELD.search(one)},
        tuple(_Text(_pattern(one), max(_FIELD.split(one)[::2], key=len), texts[one]) for one in with_fields),
    )


def _pattern(text: str) -> re.Pattern[str]:
    """Return what an English text with fields matches; whole sentences only fill a field at its end."""
    pieces = _FIELD.split(text)  # text and names in turn
    parts = [re.escape(pieces[0])]
    for name, after in zip(pieces[1::2], pieces[2::2]):
        value = rf"(?:(?!{_SENTENCE.pattern}).)*?" if after else ".*?"
        parts.append(f"(?P<{name}>{value}){re.escape(after)}")
    return re.compile("".join(parts), re.DOTALL)
