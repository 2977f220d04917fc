"""Words that go into a prompt and out of it again, and the prompts that are remembered."""

from __future__ import annotations

import pytest
from qgis.core import QgsSettings

from text2earth_qgis.core import prompt_memory
from text2earth_qgis.core.vocabulary import Vocabulary

pytestmark = pytest.mark.fast

LAKE = {"en": ["lake", "lakes"], "de": ["See", "Seen"], "zh": ["湖", "湖泊"]}
FOREST = {"en": ["forest", "forests"], "de": ["Wald", "Wälder"], "zh": ["森林"]}
CARD = {
    "vocabulary": {
        "terms": [LAKE, FOREST],
        "nouns": {"en": ["row house", "farmland", "village", "river"], "de": ["Dorf"], "zh": ["村"]},
        "joining": {
            "en": ["a", "in", "with", "and", "next to", "the", "small"],
            "de": ["ein", "im", "und", "in", "einem"],
            "zh": ["中的", "和"],
        },
    }
}


@pytest.fixture
def words():
    return Vocabulary.of(CARD)


def test_a_model_of_free_text_has_none():
    assert Vocabulary.of({"id": "any", "vocabulary": None}) is None
    assert Vocabulary.of({}) is None


@pytest.mark.parametrize(
    ("prompt", "language", "there"),
    [
        ("", "en", "lake"),
        ("a village", "en", "a village, lake"),
        ("a village with a ", "en", "a village with a lake"),
        ("a village next to", "en", "a village next to lake"),
        ("a village,", "en", "a village, lake"),
        ("an island", "en", "an island, lake"),  # not "and"
        ("ein Dorf in einem", "de", "ein Dorf in einem See"),
        ("ein Dorf", "de", "ein Dorf, See"),
        ("森林中的", "zh", "森林中的湖"),
        ("森林", "zh", "森林，湖"),
    ],
)
def test_a_word_is_put_in(words, prompt, language, there):
    assert words.with_word(prompt, LAKE[language][0], language) == there
    assert words.names(there, LAKE)


@pytest.mark.parametrize(
    ("prompt", "language", "rest"),
    [
        ("lake", "en", ""),
        ("a village, lake", "en", "a village"),
        ("farmland with a lake and a river", "en", "farmland and a river"),
        ("a small lake in a forest", "en", "forest"),
        ("Lakes, a village", "en", "village"),
        ("a village, lake, river", "en", "a village, river"),
        ("a lake, a village, lakes", "en", "village"),
        ("lakeside", "en", "lakeside"),
        ("ein Dorf und ein See", "de", "ein Dorf"),
        ("Ein See im Wald", "de", "Wald"),
        ("森林中的湖", "zh", "森林"),
        ("湖泊和森林", "zh", "森林"),
    ],
)
def test_a_word_is_taken_out(words, prompt, language, rest):
    assert words.without(prompt, LAKE, language) == rest


def test_the_language_of_a_prompt(words):
    assert words.language("de") == "de"
    assert words.language("it") == "en"
    assert words.is_in("ein See im Wald", "de")
    assert not words.is_in("a lake im Wald", "de")
    assert words.is_in("a row house", "en")
    assert words.is_in("", "de")
    assert "Wälder" in words.every("de")


def test_the_last_twenty_prompts_and_favourites_are_kept():
    for key in (prompt_memory.RECENT, prompt_memory.FAVOURITES):
        QgsSettings().remove(key)
    assert prompt_memory.recent() == prompt_memory.favourites() == []
    for number in range(25):
        prompt_memory.remember(f" lake {number}\n")
    prompt_memory.remember("lake 20")
    prompt_memory.remember("  ")
    assert prompt_memory.recent()[:3] == ["lake 20", "lake 24", "lake 23"]
    assert len(prompt_memory.recent()) == prompt_memory.MOST == 20
    for prompt in ("森林中的湖", "a forest"):
        prompt_memory.keep(prompt, True)
    prompt_memory.keep("a forest", False)
    prompt_memory.keep("a lake", True)
    assert prompt_memory.favourites() == ["森林中的湖", "a lake"]
