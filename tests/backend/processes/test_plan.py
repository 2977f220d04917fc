"""Plans: exact figures, defaults, limits, and that a huge request costs nothing to refuse."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from model_backend import processes
from model_backend.engine import cost, lattice
from model_backend.errors import InvalidInput, ModelUnavailable, TooLarge
from model_backend.models.card import read_card
from model_backend.models.registry import Registry
from model_backend.schemas import Box, Plan, PlanInputs, Recipe
from model_backend.settings import Settings
from tests.support.backend.planning import plan_context
from tests.support.backend.planning import planned as planned_by
from tests.support.backend.tiny_bank import build_bank

pytestmark = pytest.mark.fast

METRES = {"bbox": [500_000.0, 5_200_000.0, 500_064.0, 5_200_064.0], "crs": "EPSG:32632"}
GOOD: dict[str, Any] = {"prompt": "a lake", "extent": METRES, "gsd": 1.0, "seed": 7}


diffusion = pytest.mark.parametrize("kind", ["diffusion"], indirect=True)
"""For what only such models have: windows, samplers, levels."""


@pytest.fixture(scope="module", params=["diffusion", "by example"])
def kind(request: pytest.FixtureRequest) -> str:
    """Of the default model."""
    return str(request.param)


@pytest.fixture(scope="module")
def limits(kind: str, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with a tiny model, or bank, as default."""
    model = tiny if kind == "diffusion" else build_bank(tmp_path_factory.mktemp("banks"))
    return Settings(data_dir=tmp_path_factory.mktemp("data"), model=str(model))


@pytest.fixture(scope="module")
def registry(limits: Settings) -> Registry:
    """The models of those settings."""
    return Registry(limits)


@pytest.fixture
def planned(limits: Settings, registry: Registry) -> Any:
    """Plan inputs, with limits changed."""

    def run(inputs: dict[str, Any], rate: float | None = None, **changed: Any) -> Plan:
        return planned_by("generate", inputs, limits.model_copy(update=changed), rate, registry=registry)

    return run


def metres(width: float, height: float) -> dict[str, Any]:
    """Return an extent of that size."""
    return {"bbox": [500_000.0, 5_200_000.0, 500_000.0 + width, 5_200_000.0 + height], "crs": "EPSG:32632"}


@diffusion
def test_figures_are_those_of_the_engine(planned: Any, registry: Registry) -> None:
    entry = registry.default()
    card = entry.card
    for size, canvas in (((64, 64), "extent"), ((300, 200), "extent"), ((300, 200), "ground")):
        made = planned(GOOD | {"extent": metres(*size), "canvas": canvas, "variants": 3}, rate=0.25)
        recipe = made.recipe
        assert recipe.grid == Box(col=500_000, row=-5_200_000 - size[1], width=size[0], height=size[1])
        count = cost.count(recipe, card, entry.schedule)
        assert made.windows == count.windows
        assert made.evaluations == 3 * count.evaluations
        assert made.seconds == round(0.25 * made.evaluations, 1)
        assert (made.width, made.height) == size
        if canvas == "extent":
            assert recipe.canvas == lattice.canvas_box(recipe.grid, card.engine, card.vae_factor)


@diffusion
def test_defaults_come_from_the_card(planned: Any, registry: Registry) -> None:
    card = registry.default().card
    recipe = planned({"prompt": "a lake", "extent": METRES}).recipe
    assert recipe.sampler == card.sampler
    assert recipe.steps == card.steps[card.sampler]
    assert recipe.guidance == card.guidance
    assert recipe.model == card.id
    assert recipe.revision == card.revision_or_hash
    assert recipe.level == max(card.levels or ())
    assert 0 <= recipe.seed < 2**31
    assert planned({"prompt": "", "extent": METRES}).recipe.seed != recipe.seed
    euler = planned(GOOD | {"sampler": "euler", "steps": 3, "guidance": 2}).recipe
    assert (euler.sampler, euler.steps, euler.guidance, euler.seed) == ("euler", 3, 2.0, 7)


def test_the_same_inputs_give_the_same_recipe(planned: Any) -> None:
    first, second = planned(GOOD), planned(GOOD)
    assert first == second
    assert first.recipe.digest() == second.recipe.digest()
    assert Plan.model_validate_json(first.model_dump_json()) == first
    assert Recipe.model_validate_json(first.recipe.canonical()) == first.recipe


def test_seconds_are_unknown_until_measured(planned: Any) -> None:
    assert planned(GOOD).seconds is None


def test_bytes_cover_what_is_written(planned: Any) -> None:
    pixels = 300 * 200 * 3
    plain = planned(GOOD | {"extent": metres(300, 200)})
    assert plain.bytes > pixels + 5 / 3 * pixels  # blocks, the file with overviews, which are made beside it
    degrees = planned(GOOD | {"extent": metres(300, 200), "crs": "EPSG:4326"})
    assert degrees.bytes > plain.bytes + pixels  # and the working frame
    assert planned(GOOD | {"extent": metres(300, 200), "variants": 4}).bytes == 4 * plain.bytes


@diffusion
def test_canvas_of_another_layer(planned: Any) -> None:
    whole = planned(GOOD | {"extent": metres(300, 300)}).recipe
    part = planned(GOOD | {"canvas": whole.canvas.model_dump()}).recipe
    assert part.canvas == whole.canvas
    assert part.frame == whole.frame
    grid = whole.canvas.model_dump()
    for wrong, words in (
        (grid | {"col": grid["col"] + 10_000}, "does not contain"),
        (grid | {"col": 10**30}, "does not contain"),
        (grid | {"width": grid["width"] + 1}, "whole windows"),
        ({"col": 500_000, "row": -5_200_064, "width": 64, "height": 65}, "whole windows"),
    ):
        with pytest.raises(InvalidInput, match=words) as caught:
            planned(GOOD | {"canvas": wrong})
        assert caught.value.field == "canvas"
        assert caught.value.allowed


def test_the_ground_canvas_is_priced(planned: Any) -> None:
    box, ground = planned(GOOD), planned(GOOD | {"canvas": "ground"})
    assert ground.recipe.canvas == "ground"
    assert ground.evaluations > box.evaluations
    sentence = next(text for text in ground.warnings if "ground canvas" in text)
    assert f"{ground.evaluations:,}" in sentence
    assert f"{ground.evaluations / box.evaluations:.1f} times" in sentence
    assert not any("ground canvas" in text for text in box.warnings)


def test_warnings_are_sentences(planned: Any) -> None:
    for crs in ("EPSG:3857", "EPSG:4326", "EPSG:3395"):
        made = planned(GOOD | {"crs": crs})
        assert made.warnings
        assert all(text.endswith(".") for text in made.warnings)


def test_words_the_model_never_saw_and_its_licence(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wordy"
    shutil.copytree(tiny, folder)
    card = read_card(folder).model_copy(
        update={"words": ("lake", "forest"), "non_commercial": True, "licence": "research"}
    )
    card.write(folder)
    limits = Settings(data_dir=tmp_path, model=str(folder))

    def warnings(prompt: str) -> list[str]:
        return planned_by("generate", GOOD | {"prompt": prompt}, limits).warnings

    licence = f"{card.title} is not for commercial use: research."
    assert warnings("a LAKE") == [licence]
    assert warnings("") == [licence]
    assert "forest, lake" in warnings("zebra crossing")[0]


def test_limits(planned: Any, kind: str) -> None:
    huge = {"col": -(10**9), "row": -(10**9), "width": 10**10, "height": 10**10}
    one = planned(GOOD).evaluations
    cases: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        (GOOD | {"prompt": "x" * 2001}, {}, "prompt"),
        (GOOD | {"negative_prompt": "x" * 1_000_000}, {}, "negative_prompt"),
        (GOOD | {"extent": metres(9000, 9000)}, {}, "extent.bbox"),
        (GOOD | {"extent": metres(1e6, 1e6), "gsd": 0.5}, {}, "extent.bbox"),
        (GOOD, {"max_pixels": 64 * 64 - 1}, "extent.bbox"),
        (GOOD, {"max_evaluations": one - 1}, "extent.bbox"),
        (GOOD | {"variants": 2}, {"max_evaluations": one}, "variants"),
        (GOOD | {"canvas": "ground"}, {"max_evaluations": one}, "canvas"),
        (GOOD | {"canvas": huge}, {}, "canvas"),
    ]
    if kind == "diffusion":  # its canvas is whole windows, and so larger
        cases.append((GOOD | {"extent": metres(100, 100)}, {"max_pixels": 100 * 100}, "extent.bbox"))
    for inputs, changed, field in cases:
        with pytest.raises(TooLarge) as caught:
            planned(inputs, **changed)
        assert caught.value.status == 413
        assert caught.value.field == field
        assert "at most" in str(caught.value.allowed)
        assert str(caught.value).endswith(".")


def test_every_variant_has_a_seed(planned: Any) -> None:
    assert planned(GOOD | {"seed": 2**53 - 8, "variants": 8}).recipe.seed == 2**53 - 8
    with pytest.raises(InvalidInput, match="seed"):
        planned(GOOD | {"seed": 2**53 - 8 + 1, "variants": 8})


def test_models(planned: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        planned(GOOD | {"model": "nope"})
    assert caught.value.field == "model"
    assert "tiny" in str(caught.value.allowed)
    with pytest.raises(ModelUnavailable, match="models pull text2earth-inpainting"):
        planned(GOOD | {"model": "text2earth-inpainting"})
    with pytest.raises(ModelUnavailable, match="models pull text2earth"):
        planned(GOOD | {"model": "text2earth"})


def test_huge_requests_allocate_nothing(planned: Any) -> None:
    inputs = GOOD | {"extent": metres(2e6, 2e6), "gsd": 0.5}
    ground = GOOD | {"extent": metres(4000, 4000), "canvas": "ground"}
    planned(GOOD | {"canvas": "ground"})
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            planned(inputs)
        big = planned(ground, max_evaluations=10**12)
        with pytest.raises(TooLarge):
            planned(ground, max_evaluations=10)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert big.evaluations > 5_000
    assert peak < 3_000_000


def test_the_process_plan_answers_json(limits: Settings) -> None:
    process, context = processes.get("plan"), plan_context(limits, 0.1)
    answer = process.answer(PlanInputs(process="generate", inputs=GOOD), context)
    assert set(answer) == {"plan"}
    Plan.model_validate(answer["plan"])
    for inputs, field in (
        (GOOD | {"gsd": -1}, "inputs.gsd"),
        (GOOD | {"gsd": 1e9}, "inputs.gsd"),
        ({}, "inputs.prompt"),
    ):
        with pytest.raises(InvalidInput) as caught:
            process.answer(PlanInputs(process="generate", inputs=inputs), context)
        assert caught.value.field == field


def test_planning_needs_no_torch(tiny: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from model_backend.models.registry import Registry
from model_backend.processes.base import PlanContext
from model_backend.processes.generate import PROCESS
from model_backend.settings import Settings
limits = Settings(model={str(tiny)!r})
context = PlanContext(Registry(limits), limits, lambda model: None, None)
assert PROCESS.plan(PROCESS.parse({GOOD!r}), context).windows
print(sorted({{"torch", "diffusers", "transformers"}} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
