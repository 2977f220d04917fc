"""Known words near to one that a model does not know: by meaning, as a part of it, or by spelling."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import cast

from model_backend.models.card import ModelCard
from model_backend.processes.prompts import unknown_words
from model_backend.processes.reading.terms import NEAR
from model_backend.processes.reading.vocabulary import in_language, vocabulary

_MOST = 3
_LIKE = 0.75  # how much of a word is spelt alike
_PART = 4  # letters of a word that counts as a part of a longer one

_NEAR = {word.casefold(): near for every, near in NEAR for word in every.split()}


def nearest(word: str, card: ModelCard, language: str) -> list[str]:
    """Return up to three words of a language that the model knows, the nearest first; empty: none is near."""
    small = word.casefold()
    meant = _NEAR.get(small) or _NEAR.get(small.removesuffix("s")) or _NEAR.get(small.removesuffix("es"))
    by_meaning = [in_language(one, language) for one in meant or () if not unknown_words(card, one)]
    if by_meaning:
        return by_meaning[:_MOST]
    known = {one.casefold(): one for one in _nouns(card, language)}
    parts = [one for one in known if len(one) >= _PART and small.endswith(one) and one != small]
    like = get_close_matches(small, known, _MOST, _LIKE)
    found: list[str] = []
    for one in (*sorted(parts, key=len, reverse=True), *like):
        if not any(one.startswith(other) or other.startswith(one) for other in found):  # forest, forests
            found.append(one)
    return [known[one] for one in found][:_MOST]


def _nouns(card: ModelCard, language: str) -> Iterable[str]:
    words = vocabulary(card)
    if words is None:
        return
    for term in cast(list[dict[str, list[str]]], words["terms"]):
        yield from term[language]
    yield from cast(dict[str, list[str]], words["nouns"])[language]
