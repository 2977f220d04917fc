"""From a prompt to the things it names: each with its kind, how many, how large, and what it lies in.

Words are taken from left to right, the longest known phrase first. Knows the vocabulary; what becomes of the
things is ``prompt``'s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Literal

from model_backend.engine.composition import words
from model_backend.engine.composition.forms import KIND_OF, Form, form_of
from model_backend.models.languages import in_english

Relation = Literal["", "inside", "beside", "with", "and"]

_TOKEN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\d+|[,;.]")
_LONGEST = 4  # words of a phrase
_DENSER = {"houses": "dense houses", "sparse houses": "houses", "buildings": "buildings"}
_RELATIONS: dict[Relation, frozenset[str]] = {
    "inside": words.INSIDE,
    "beside": words.BESIDE,
    "with": words.WITH,
    "": words.STOPS,
}
_SPARSER = {"houses": "sparse houses", "dense houses": "houses"}


@dataclass(frozen=True)
class Mention:
    """One thing that a prompt names."""

    word: str
    kind: str
    form: Form
    relation: Relation  # to what was named before
    count: int | None = None  # None: the prompt does not say
    plural: bool = False
    winding: int | None = None
    negated: bool = False
    joined: bool = False  # to the noun before, as in "forest road"


@dataclass(frozen=True)
class _State:
    """What has been read of a phrase."""

    relation: Relation = ""
    count: int | None = None
    size: int = 100
    dense: int = 0
    winding: int | None = None
    negated: bool = False
    joined: bool = False


def mentions(text: str) -> tuple[list[Mention], list[str]]:
    """Return the things that a text names and the words that mean nothing here, each once."""
    tokens = [token.replace("’", "'") for token in _TOKEN.findall(in_english(text).casefold())]
    found: list[Mention] = []
    unknown: list[str] = []
    state, at = _State(), 0
    while at < len(tokens):
        for length in range(min(_LONGEST, len(tokens) - at), 0, -1):
            phrase = " ".join(tokens[at : at + length])
            if noun := _noun(phrase):
                found.append(_mention(*noun, state))
                state = replace(state, joined=True)
                break
            if (read := _read(phrase, state, tokens[at + length :])) is not None:
                state = read
                break
        else:
            unknown.append(tokens[at])
            state = replace(state, joined=False)
        at += length
    return found, list(dict.fromkeys(unknown))


def _noun(phrase: str) -> tuple[str, bool] | None:
    """Return the singular of a word for land and whether it was a plural; None: no such word."""
    if phrase in KIND_OF:
        return phrase, False
    for ending, instead in (("ies", "y"), ("ches", "ch"), ("shes", "sh"), ("s", "")):
        if phrase.endswith(ending) and (single := phrase.removesuffix(ending) + instead) in KIND_OF:
            return single, True
    return None


def _read(phrase: str, state: _State, rest: list[str]) -> _State | None:
    """Take note of a phrase that says something about the next noun; None: it is none of those."""
    if phrase in words.AND:
        # "no roads, houses or trees" is one list, "no roads, a lake" is not
        more = phrase != "," or any(word in words.OR for word in takewhile(_lists, rest))
        return _State("and", negated=state.negated and more)
    for relation, phrases in _RELATIONS.items():
        if phrase in phrases:
            return _State(relation)
    if phrase in words.NOT:
        return _State(state.relation, negated=True)
    if phrase.isdigit() or phrase in words.COUNTS:
        count = int(phrase) if phrase.isdigit() else words.COUNTS[phrase]
        # an article ends what "no" began, as in "no trees and a lake"
        negated = state.negated and state.relation != "and"
        return replace(state, count=max(1, min(count, words.MOST)), negated=negated, joined=False)
    if phrase in words.SIZES:
        return replace(state, size=state.size * words.SIZES[phrase] // 100)
    if phrase in words.DENSE or phrase in words.SPARSE:
        return replace(state, dense=1 if phrase in words.DENSE else -1)
    if phrase in words.WINDING:
        return replace(state, winding=words.WINDING[phrase])
    return state if phrase in words.FILLERS or phrase.removesuffix("s") in words.FILLERS else None


def _lists(word: str) -> bool:
    return not any(word in some for some in (words.STOPS, words.INSIDE, words.WITH, words.NOT))


def _mention(word: str, plural: bool, state: _State) -> Mention:
    kind, form = KIND_OF[word], form_of(word)
    size = state.size
    if state.dense:
        kind = (_DENSER if state.dense > 0 else _SPARSER).get(kind, kind)
    form = form._replace(low=form.low * size // 100, high=form.high * size // 100)
    mention = Mention(
        word, kind, form, state.relation, state.count, plural, state.winding, state.negated, state.joined
    )
    fewer = state.dense < 0 and kind == KIND_OF[word] and plural and state.count is None
    return replace(mention, count=words.PLURAL - 1) if fewer else mention
