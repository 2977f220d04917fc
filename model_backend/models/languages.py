"""Prompts in other languages: words of German, French, Spanish and Chinese, looked up in a table.

A table is no translator: it has the words for land, numbers, sizes and places that English prompts are read
by, so that "Ein See im Wald" is a lake in a forest. What it lacks stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

_TABLES = Path(__file__).with_suffix(".json")
_LONGEST = 4  # words of a phrase
_PARTS = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\W+|[\d_]+")
_ELISION = re.compile(r"\b(?:([dD])|[lL])['’](?=\w)")
_HAN = re.compile(r"[\u4e00-\u9fff]")
_MARKS = str.maketrans("，、。；", ",,.;")


@lru_cache
def tables() -> Mapping[str, Mapping[str, str]]:
    """Return for each language its words, in small letters, and what they are in English."""
    found: dict[str, dict[str, str]] = json.loads(_TABLES.read_text(encoding="utf-8"))
    return found


@lru_cache
def _english() -> frozenset[str]:
    """Return words that are English, though some are words of other languages too, as large is in French."""
    return frozenset(
        word for table in tables().values() for english in table.values() for word in english.split()
    )


def in_english(text: str) -> str:
    """Return a prompt with what a table knows in English; a prompt in English as it is.

    A language counts as that of a prompt if its table knows at least half of the words that it does not have
    in common with English.
    """
    return _read(text)[1]


def language_of(text: str) -> str:
    """Return the language that ``in_english`` takes a prompt for: a key of ``tables``, or ``en``."""
    return _read(text)[0]


def _read(text: str) -> tuple[str, str]:
    """Return the language of a text, and the text in English."""
    language, best, most = "en", text, (0, 0)
    for name, table in tables().items():
        said, known, unknown = _looked_up(text, name, table)
        if known >= unknown and (known, -unknown) > most:
            language, best, most = name, said, (known, -unknown)
    return language, best


def _looked_up(text: str, language: str, table: Mapping[str, str]) -> tuple[str, int, int]:
    """Return a text in English, how many words the table knew, and how many it did not."""
    text = text.translate(_MARKS)
    if language == "fr":
        text = _ELISION.sub(lambda found: "de " if found[1] else "", text)
    said, known, unknown = [], 0, 0
    for part in _phrases(_PARTS.findall(text), table):
        english = table.get(part.casefold())
        if english is None or (english != part.casefold() and part.casefold() in _english()):
            unknown += part[:1].isalpha()
        elif english != part.casefold():
            known += 1
        if english is not None and _HAN.match(part):
            english = f" {english} "
        said.append(part if english is None else english)
    return "".join(said), known, unknown


def _phrases(parts: list[str], table: Mapping[str, str]) -> Iterator[str]:
    """Yield the longest phrases that a table knows, and what is between them as it is."""
    at = 0
    while at < len(parts):
        for end in range(min(at + 2 * _LONGEST - 1, len(parts)), at, -1):
            phrase = "".join(parts[at:end])
            if end == at + 1 or phrase.casefold() in table:
                break
        if end == at + 1 and _HAN.match(parts[at]):
            yield from _characters(parts[at], table)
        else:
            yield phrase
        at = end


def _characters(run: str, table: Mapping[str, str]) -> Iterator[str]:
    """Cut a text without spaces into the longest words that a table knows."""
    longest, at, rest = max(map(len, table)), 0, ""
    while at < len(run):
        for end in range(min(at + longest, len(run)), at, -1):
            if run[at:end] in table:
                if rest:
                    yield rest
                yield run[at:end]
                rest, at = "", end
                break
        else:
            rest, at = rest + run[at], at + 1
    if rest:
        yield rest
