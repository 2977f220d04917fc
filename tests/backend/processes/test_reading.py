"""What a model understands of prompts: its words in five languages, those it does not know, what is near."""

from __future__ import annotations

import pytest

from model_backend import processes
from model_backend.engine.composition.prompt import read
from model_backend.errors import TooLarge
from model_backend.models.card import ModelCard
from model_backend.models.registry import KNOWN, Registry
from model_backend.processes.prompts import unknown_words
from model_backend.processes.reading.nearest import nearest
from model_backend.processes.reading.read import read_prompt
from model_backend.processes.reading.terms import LANGUAGES, NEAR, TERMS
from model_backend.processes.reading.vocabulary import in_language, vocabulary
from tests.support.backend.planning import plan_context

pytestmark = pytest.mark.fast


@pytest.fixture(scope="module")
def card(limits) -> ModelCard:
    """Of land by example."""
    return Registry(limits).default().card


@pytest.fixture(scope="module")
def mini(limits) -> ModelCard:
    """Of a network that lists the words of its captions."""
    return Registry(limits).get("text2earth-mini").card


@pytest.mark.parametrize("name", ["card", "mini"])
def test_every_word_that_is_offered_is_understood(name, request):
    card = request.getfixturevalue(name)
    words = vocabulary(card)
    assert len(words["terms"]) >= 10
    for language in LANGUAGES:
        offered = [word for term in words["terms"] for word in term[language]]
        offered += words["nouns"][language]
        assert len({*offered}) > 40
        for word in offered:
            assert read_prompt(word, card).unknown == [], (language, word)


def test_a_term_is_the_same_land_in_every_language(card):
    for usual, term in zip(TERMS, vocabulary(card)["terms"], strict=True):
        assert tuple(term[language][0] for language in LANGUAGES) == usual
        drawn = {_kind(word) for some in term.values() for word in some}
        assert len(drawn) == 1, usual


def _kind(word: str) -> str:
    composition = read(word).composition
    return composition.things[0].kind if composition.things else composition.background


def test_a_model_of_free_text_has_no_vocabulary():
    card = next(card for card in KNOWN if card.id == "text2earth")
    assert vocabulary(card) is None
    assert read_prompt("a quokka beside a fjord", card).unknown == []


@pytest.mark.parametrize(
    ("prompt", "language", "unknown"),
    [
        ("a lake in a forest", "en", {}),
        ("A Fjord in a forrest", "en", {"Fjord": "lake", "forrest": "forest"}),
        ("ein See im Wald", "de", {}),
        ("ein Fjord im Buchenwald", "de", {"Fjord": "See", "Buchenwald": "Wald"}),
        ("une montagne près d'un étang", "fr", {"montagne": "rocher"}),
        ("un glaciar en el bosque", "es", {"glaciar": "roca"}),
        ("森林中的峡湾", "zh", {"峡湾": "湖"}),
        ("mountains, xyzzy", "en", {"mountains": "rock", "xyzzy": None}),
        ("", "en", {}),
    ],
)
def test_unknown_words_and_what_is_near(card, prompt, language, unknown):
    reading = read_prompt(prompt, card)
    assert reading.language == language
    assert {one.word: (one.nearest or [None])[0] for one in reading.unknown} == unknown
    assert all(one.word in prompt for one in reading.unknown)


def test_a_word_is_named_as_it_stands_in_the_prompt(mini):
    reading = read_prompt("Steinbruch und Wald", mini)  # which knows no quarry
    assert [one.word for one in reading.unknown] == ["Steinbruch"]
    assert [one.word for one in read_prompt("ein Fußballplatz im Wald", mini).unknown] == ["Fußballplatz"]


def test_near_words_are_known_and_the_others_are_not(card):
    for every, near in NEAR:
        assert unknown_words(card, " ".join(near)) == []
        for word in every.split():
            assert read_prompt(word, card).unknown, word
            assert nearest(word, card, "en") == list(near)[:3]
    assert in_language("bay", "de") == "Bucht"
    assert in_language("swamp", "de") == "swamp"


def test_the_process_answers_and_refuses_what_is_too_long(limits):
    process = processes.get("read")
    context = plan_context(limits)
    answer = process.answer(process.parse({"prompt": "ein Fjord"}), context)
    assert answer == {
        "reading": {
            "language": "de",
            "unknown": [{"word": "Fjord", "nearest": ["See", "Bucht", "Fluss"]}],
        }
    }
    with pytest.raises(TooLarge):
        process.answer(process.parse({"prompt": "a" * (limits.max_prompt + 1)}), context)
