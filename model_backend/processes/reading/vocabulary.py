"""The words that a model understands, in five languages, for lists to choose from and completion.

None for models that read free text. Words are spelt as people write them: German nouns with a capital letter.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache

from model_backend.engine.composition import words
from model_backend.engine.composition.forms import KIND_OF
from model_backend.engine.composition.mentions import mentions
from model_backend.models.card import ModelCard
from model_backend.models.languages import tables
from model_backend.processes.prompts import unknown_words
from model_backend.processes.reading.terms import LANGUAGES, TERMS

Words = Mapping[str, list[str]]  # by language

_SMALL = (*words.COUNTS, *words.SIZES, *words.WINDING, *sorted(words.DENSE | words.SPARSE))
_BETWEEN = sorted(words.INSIDE | words.BESIDE | words.WITH | (words.AND - {","}) | words.NOT | {"the", "of"})


def vocabulary(card: ModelCard) -> dict[str, object] | None:
    """Return what can be offered to somebody who writes a prompt; None: the model reads free text.

    ``terms`` are what prompts name most, each with its words by language, the usual one first, plurals
    included; ``nouns`` are other words for land, ``joining`` are words that belong before a noun, both by
    language.
    """
    if not is_closed(card):
        return None
    return _vocabulary(card.by_example, card.words)


def is_closed(card: ModelCard) -> bool:
    """Say whether it is known which words mean something to a model."""
    return card.by_example or card.words is not None


@lru_cache(maxsize=8)
def _vocabulary(by_example: bool, known: tuple[str, ...] | None) -> dict[str, object]:
    card = ModelCard(
        id="any", title="", gsd=(1, 2), pipeline="examples" if by_example else "text2image", words=known
    )
    every = [_term(usual, card) for usual in TERMS if not unknown_words(card, usual[0])]
    taken = {word.casefold() for term in every for some in term.values() for word in some}
    spelt = {language: [*_spelt(language)] for language in LANGUAGES}
    nouns = {
        language: [
            word
            for word, english, noun in found
            if noun and word.casefold() not in taken and not unknown_words(card, english)
        ]
        for language, found in spelt.items()
    }
    if known:
        nouns["en"] = [word for word in sorted(known) if word not in taken]
    joining = {
        language: [word for word, english, noun in found if not noun and not unknown_words(card, english)]
        for language, found in spelt.items()
    }
    return {"terms": every, "nouns": nouns, "joining": joining}


def _term(usual: tuple[str, ...], card: ModelCard) -> dict[str, list[str]]:
    """Return the words of a term by language: the usual one, its plural or singular, and synonyms."""
    english = usual[0]
    forms = {english, _plural(english), english.removesuffix("s") if english == "houses" else english}
    forms = {form for form in forms if not unknown_words(card, form)}
    found = {"en": [english, *sorted(forms - {english})]}
    for language, word in zip(LANGUAGES[1:], usual[1:], strict=True):
        same = [one for one, meaning, _ in _spelt(language) if meaning in forms and one != word]
        found[language] = [word, *same]
    return found


def _plural(word: str) -> str:
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return word if word.endswith("s") else f"{word}{'es' if word.endswith(('ch', 'sh')) else 's'}"


def in_language(english: str, language: str) -> str:
    """Return the usual word for an English one, in English if the table has none."""
    for term in TERMS:
        if term[0] == english:
            return term[LANGUAGES.index(language)]
    return next((word for word, meaning, _ in _spelt(language) if meaning == english), english)


@lru_cache
def _spelt(language: str) -> tuple[tuple[str, str, bool], ...]:
    """Return the words of a language as people write them, what each is in English, and whether a noun."""
    return tuple(_entries(language))


def _entries(language: str) -> Iterator[tuple[str, str, bool]]:
    if language == "en":
        yield from ((word, word, True) for word in KIND_OF)
        yield from ((word, word, False) for word in (*_SMALL, *_BETWEEN))
        return
    table = tables()[language]
    usual = {term[LANGUAGES.index(language)].casefold(): term[LANGUAGES.index(language)] for term in TERMS}
    accents = {_plain(word): word for word in table if _plain(word) != word}
    for word, english in table.items():
        if table.get(accents.get(word, "")) == english:
            continue  # the same word, typed without its accents
        noun = bool(mentions(english)[0])
        yield usual.get(word) or (_german(word, noun) if language == "de" else word), english, noun


def _german(word: str, noun: bool) -> str:
    word = word.replace("strasse", "straße").replace("gross", "groß")
    return word[0].upper() + word[1:] if noun else word


def _plain(word: str) -> str:
    """Return a word without accents."""
    return "".join(sign for sign in unicodedata.normalize("NFD", word) if not unicodedata.combining(sign))
