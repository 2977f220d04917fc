"""The words that a model understands, and what adding one to a prompt or taking one out makes of it.

As the backend lists them with the model. Whether a prompt is understood only the backend can say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Mapping, Optional, Sequence

from text2earth_qgis.core.wire.schemas import Json

ENGLISH = "en"
_HAN = re.compile(r"[\u4e00-\u9fff]")
_WORD = re.compile(r"[\u4e00-\u9fff]+|[^\W\d_]+(?:['’-][^\W\d_]+)*")

Words = Mapping[str, Sequence[str]]  # by language


@dataclass(frozen=True)
class Vocabulary:
    """``terms`` name most land, in each language the usual word first; ``joining`` stand before nouns."""

    terms: tuple[Words, ...]
    nouns: Words
    joining: Words

    @classmethod
    def of(cls, card: Json) -> Optional[Vocabulary]:
        """Read a model's card; None: the model reads free text, or its backend does not say."""
        found = card.get("vocabulary")
        return cls(tuple(found["terms"]), found["nouns"], found["joining"]) if found else None

    def language(self, wanted: str) -> str:
        """Return that language if there are words of it, else English."""
        return wanted if wanted in self.joining else ENGLISH

    def every(self, language: str) -> list[str]:
        """Return all words of a language."""
        terms = [word for term in self.terms for word in term[language]]
        return [*terms, *self.nouns[language], *self.joining[language]]

    def is_in(self, prompt: str, language: str) -> bool:
        """Say whether every word of a prompt is of that language; so nothing is, in any."""
        known = {one.casefold() for word in self.every(language) for one in (word, *word.split())}
        return all(word.casefold() in known for word in _WORD.findall(prompt))

    def names(self, prompt: str, term: Words) -> bool:
        """Say whether a prompt names a term, in any language."""
        return _first(prompt, term) is not None

    def with_word(self, prompt: str, word: str, language: str) -> str:
        """Return a prompt that has a word more, after a comma unless it goes on: "a lake in "."""
        prompt = prompt.rstrip()
        comma, space = ("，", "") if language == "zh" else (", ", " ")
        if not prompt:
            return word
        if prompt[-1] in ",，、;；.。" or self._ending(prompt, language) is not None:
            return f"{prompt}{space}{word}"
        return f"{prompt}{comma}{word}"

    def without(self, prompt: str, term: Words, language: str) -> str:
        """Return a prompt without a term, and without what belonged to it: articles, commas, "and"."""
        found = _first(prompt, term)
        while found is not None:
            before, after = prompt[: found[0]], prompt[found[1] :]
            while (ending := self._ending(before, language)) is not None:
                before = before[:ending].rstrip()
            before = before.rstrip(" ,，、")
            prompt = before + after if before else self._begin(after, language)
            found = _first(prompt, term)
        return prompt.strip()

    def _ending(self, text: str, language: str) -> Optional[int]:
        """Return where the joining word begins that a text ends with; None: it ends with none."""
        text = text.rstrip()
        for word in sorted(self.joining[language], key=len, reverse=True):
            start = len(text) - len(word)
            apart = start == 0 or bool(_HAN.match(word)) or not text[start - 1 : start].isalpha()
            if start >= 0 and apart and text[start:].casefold() == word.casefold():
                return start
        return None

    def _begin(self, text: str, language: str) -> str:
        """Return a text without the commas and joining words that it begins with."""
        while True:
            text = text.lstrip(" ,，、")
            for word in sorted(self.joining[language], key=len, reverse=True):
                rest = text[len(word) :]
                apart = bool(_HAN.match(word)) or not rest[:1].isalpha()
                if text.casefold().startswith(word.casefold()) and apart and rest:
                    text = rest
                    break
            else:
                return text


def _first(prompt: str, term: Words) -> Optional[tuple[int, int]]:
    """Return where the first word of a term stands in a prompt, the longest of those there."""
    small = prompt.casefold()
    words = {word for some in term.values() for word in some if word.casefold() in small}
    for word in sorted(words, key=len, reverse=True):
        pattern = re.escape(word) if _HAN.match(word) else rf"(?<!\w){re.escape(word)}(?!\w)"
        found = re.search(pattern, prompt, re.IGNORECASE)
        if found:
            return found.start(), found.end()
    return None
