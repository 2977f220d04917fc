"""Prompts in German, French, Spanish and Chinese mean what they mean in English."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_backend.engine.composition.forms import KIND_OF
from model_backend.engine.composition.prompt import read
from model_backend.models.card import read_card
from model_backend.models.languages import in_english, tables
from model_backend.models.prompt_tokens import plain_prompt
from model_backend.processes.prompts import unknown_words

ROOT = Path(__file__).parents[3]
MINI = ROOT / "resources/models/text2earth-mini"

SAME = {
    "Ein See im Wald": "a lake in forest",
    "Felder mit einem Dorf und zwei Seen": "fields with a village and two lakes",
    "ein Wohngebiet ohne Straßen": "a residential area no streets",
    "WÄLDER UND WIESEN": "forests and meadows",
    "un lac dans une forêt": "a lake in a forest",
    "Un village près d'une rivière, sans routes": "a village near a river, no roads",
    "l’île dans le lac": "island in the lake",
    "un lago en un bosque": "a lake in a forest",
    "campos de cultivo con un río sinuoso": "fields with a winding river",
    "森林中的湖": "forest with lake",
    "农田和一个村庄，没有道路": "farmland and a village, no road",
}


@pytest.mark.parametrize("prompt", SAME)
def test_a_prompt_in_another_language_is_that_in_english(prompt):
    reading = read(prompt)
    assert reading == read(SAME[prompt])
    assert not reading.unknown


@pytest.mark.parametrize("language", ["de", "fr", "es", "zh"])
def test_whatever_a_table_says_in_english_is_understood(language):
    table = tables()[language]
    assert len(table) > 150
    for word, english in table.items():
        assert not read(english).unknown, (word, english)
        assert word == word.casefold()
    shown = {thing for english in table.values() for thing in (english, english.removesuffix("s"))}
    assert {"lake", "river", "forest", "field", "house", "road", "village", "beach"} <= shown & {*KIND_OF}


def test_english_stays_as_it_is():
    vocabulary = read_card(MINI).words
    for prompt in (
        "a lake in a forest",
        "see the forest from above",
        "a marina on a canal, no park",
        "a city with a port and a large mine",
        "an orchard in Tuscany",
        "Ein Fjord at sea",
        *(vocabulary or ()),
        "",
        " \n,;",
    ):
        assert in_english(prompt) == prompt


def test_what_no_table_knows_stays_and_is_named():
    assert in_english("Ein See im Quarkwald") == "a lake in Quarkwald"
    assert read("Ein See im Quarkwald").unknown == ("quarkwald",)
    assert in_english("中国") == "中国"


def test_a_diffusion_model_reads_english_too():
    card = read_card(MINI)
    assert plain_prompt("ein Wald", card) == "a forest"
    assert unknown_words(card, "Wald mit Zebras") == ["zebras"]


def test_the_tables_are_sorted_and_no_word_is_twice():
    text = (ROOT / "model_backend/models/languages.json").read_text(encoding="utf-8")

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = [name for name, _ in pairs]
        assert len({*names}) == len(names)
        return dict(pairs)

    for words in json.loads(text, object_pairs_hook=once).values():
        assert list(words) == sorted(words)
