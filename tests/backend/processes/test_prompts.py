"""What a plan says of the words of its prompts: those the model does not know, and those it will not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from model_backend.models.registry import Registry
from model_backend.settings import Settings
from tests.support.backend.planning import planned

METRES = {"bbox": [500_000.0, 5_200_000.0, 500_064.0, 5_200_064.0], "crs": "EPSG:32632"}
GOOD: dict[str, Any] = {"prompt": "a lake", "extent": METRES, "gsd": 1.0, "seed": 7}


@pytest.fixture(scope="module")
def registry(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """The tiny model, which knows any word and reads 77 tokens, and the bundled one, which reads 32."""
    return Registry(Settings(data_dir=tmp_path_factory.mktemp("data"), model=str(tiny)))


@pytest.fixture
def said(registry: Registry, tmp_path: Path) -> Any:
    """Say what a plan warns of."""

    def warnings(**inputs: Any) -> str:
        limits = Settings(data_dir=tmp_path)
        return "\n".join(planned("generate", GOOD | inputs, limits, registry=registry).warnings)

    return warnings


def region(prompt: str, negative: str = "") -> dict[str, Any]:
    west, south = METRES["bbox"][:2]
    corners = [(0, 0), (60, 0), (60, 60), (0, 60), (0, 0)]
    ring = [[west + x, south + y] for x, y in corners]
    words = {"prompt": prompt, "negative_prompt": negative}
    return {"type": "Feature", "properties": words, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def regions(*features: dict[str, Any]) -> dict[str, Any]:
    return {"geojson": {"type": "FeatureCollection", "features": list(features)}, "crs": "EPSG:32632"}


MINI = {"model": "text2earth-mini"}


def test_unknown_words_are_named_one_by_one(said: Any) -> None:
    words = said(**MINI, prompt="A lake with Gloop, and no blarf", negative_prompt="trees, zork")
    assert (
        "Text2Earth mini does not know: gloop, no, blarf (prompt); zork (negative prompt). It knows" in words
    )
    assert "does not know" not in said(**MINI, prompt="a river in the forest", negative_prompt="houses")
    assert "does not know" not in said(prompt="gloop")  # of an open vocabulary


def test_a_prompt_of_unknown_words_alone_says_so(said: Any) -> None:
    words = said(**MINI, prompt="the gloop of Blarf")
    assert "Text2Earth mini knows none of the words of the prompt. It knows words such as" in words
    assert "does not know: gloop" not in words


def test_a_long_list_is_cut_short(said: Any) -> None:
    words = said(**MINI, prompt="lake " + " ".join(f"gloop{letter}" for letter in "abcdefghijk"))
    assert "gloopa, gloopb, gloopc, gloopd, gloope, gloopf, gloopg, glooph and 3 more (prompt)" in words


def test_words_of_regions_are_named_too(said: Any) -> None:
    words = said(**MINI, regions=regions(region("a road with gloop", "blarf river")))
    assert 'gloop (prompt "a road with gloop" of a region); blarf (negative prompt "blarf river" of' in words


def test_what_is_not_read_is_counted_and_quoted(said: Any) -> None:
    assert "longer than" not in said(prompt="lake " * 75)
    words = said(prompt="lake " * 75 + "and a road", negative_prompt="forest " * 76)
    assert (
        "The prompt is longer than the model reads: its last 3 tokens are ignored, from "
        '"and a road" on. Say what matters first, or say less.'
    ) in words
    assert (
        'The negative prompt is longer than the model reads: its last token is ignored, from "forest' in words
    )
    assert said(**MINI, prompt="lake " * 31).count("its last token is ignored") == 1


def test_regions_are_counted_and_quoted(said: Any) -> None:
    words = said(regions=regions(region("road " * 80)))
    assert 'The prompt "road road road road road road ..." of a region is longer' in words
    assert "its last 5 tokens are ignored" in words


def test_the_authors_level_prefix_does_not_count(said: Any) -> None:
    assert "longer than" not in said(prompt="16_GOOGLE_LEVEL_" + "lake " * 75)
