"""Which prompt holds where: masks of the place alone, bounds per window, and scenes that follow them."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Point, Polygon

from model_backend.engine import cost, outlines
from model_backend.engine.diffusion import prompt_field
from model_backend.engine.diffusion.prompt_field import Batching, Prompt, PromptField
from model_backend.engine.diffusion.sampler import Lengths, Step
from model_backend.engine.editing.active_windows import canvas_around
from model_backend.engine.editing.edit import Edit
from model_backend.engine.lattice import Layout, Window, canvas_box
from model_backend.engine.makers import EditCanvas
from model_backend.engine.scene import Scene
from model_backend.models.card import EngineParameters, read_card
from model_backend.models.loader import Model, load
from model_backend.schemas import REGION_UNITS, Box, Recipe, Region
from tests.support.backend.recipes import recipe_of
from tests.support.backend.tiny_models import ProgressRecorder, build_tiny, load_tiny

MINI = Path(__file__).resolve().parents[3] / "resources" / "models" / "text2earth-mini"
SHORT = EngineParameters(
    window=8,
    stride=6,
    boundaries=(500,),
    guidance_cutoff=100,
    decode_window=14,
    decode_core=8,
    decode_halo=3,
    decode_fade=2,
    batch=4,
)
BASE = Prompt("the desert", "")
CANVAS = canvas_box(Box(col=0, row=0, width=208, height=208), SHORT, 8)


def ring(*corners: tuple[float, float]) -> list[int]:
    """Return a ring of corners in pixels (column, row)."""
    return [round(value * REGION_UNITS) for corner in corners for value in corner]


def square(left: float, top: float, side: float) -> list[int]:
    return ring((left, top), (left + side, top), (left + side, top + side), (left, top + side))


def region(prompt: str, *rings: list[int], negative: str = "") -> Region:
    return Region(prompt=prompt, negative_prompt=negative, rings=list(rings))


def field(*areas: Region, canvas: Box | None = CANVAS, factor: int = 8, guided: bool = True) -> PromptField:
    return PromptField(BASE, areas, Layout(SHORT, factor, canvas), guided)


def needs(areas: PromptField) -> tuple[int, int]:
    """Return what the first window needs at a guided and at a plain step."""
    guided, plain = areas.needs([Window(0, 0)])
    return int(guided[0]), int(plain[0])


def hard(areas: PromptField, rows: range, cols: range) -> dict[int, np.ndarray]:
    """Return the share of each latent that every prompt covers, before any blur."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompt_field, "_BLUR", (0, 0, 1, 0, 0))
        return {number: share / 16 for number, share in areas._shares(rows, cols).items()}


class TestMasks:
    def test_a_square_of_whole_latents_covers_them_and_no_others(self):
        found = hard(field(region("a lake", square(16, 24, 16))), range(0, 8), range(0, 8))
        expected = np.zeros((8, 8))
        expected[3:5, 2:4] = 1
        np.testing.assert_array_equal(found[1], expected)
        np.testing.assert_array_equal(found[0], 1 - expected)

    def test_holes_and_parts_by_even_and_odd(self):
        lake = region("a lake", square(0, 0, 64), square(16, 16, 32), square(24, 24, 16))
        found = hard(field(lake), range(0, 8), range(0, 8))[1]
        expected = np.ones((8, 8))
        expected[2:6, 2:6] = 0
        expected[3:5, 3:5] = 1
        np.testing.assert_array_equal(found, expected)

    def test_later_regions_cover_earlier_ones(self):
        found = hard(
            field(region("a lake", square(0, 0, 64)), region("a road", square(32, 0, 64))),
            range(0, 8),
            range(0, 8),
        )
        assert (found[1][:, :4] == 1).all()
        assert (found[1][:, 4:] == 0).all()
        assert (found[2][:, 4:] == 1).all()

    def test_equal_prompts_are_one(self):
        areas = field(
            region("a lake", square(0, 0, 16)),
            region("a lake", square(40, 0, 16)),
            region(BASE.text, square(8, 0, 8)),
        )
        assert areas.prompts == (BASE, Prompt("a lake", ""))

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(st.tuples(st.floats(-20, 90), st.floats(-20, 90)), min_size=3, max_size=9),
        st.sampled_from([1, 3, 4, 8]),
        st.integers(-3, 5),
        st.integers(0, 9),
    )
    def test_points_inside_are_those_of_shapely(self, corners: Any, factor: int, corner: int, shift: int):
        """Star-shaped polygons, against GEOS, on every point that is not on an edge."""
        middle = np.mean(corners, axis=0)
        around = sorted(corners, key=lambda c: np.arctan2(c[1] - middle[1], c[0] - middle[0]))
        units = np.array(ring(*around)).reshape(-1, 2) / REGION_UNITS
        shape = Polygon(units)
        canvas = Box(col=shift, row=2 * shift, width=8 * factor, height=8 * factor)
        areas = PromptField(BASE, [region("x", ring(*around))], Layout(SHORT, factor, canvas), True)
        cells = range(corner, corner + 6)
        found = hard(areas, cells, cells).get(1, np.zeros((6, 6)))
        assert found.min() >= 0
        if not shape.is_valid:
            return
        row0, col0 = (2 * shift) % factor, shift % factor
        for i, row in enumerate(cells):
            for j, col in enumerate(cells):
                points = [
                    Point(col0 + factor * (col + (a + 0.5) / 4), row0 + factor * (row + (b + 0.5) / 4))
                    for a in range(4)
                    for b in range(4)
                ]
                unclear = sum(shape.boundary.distance(point) < 1e-6 for point in points)
                inside = sum(shape.contains(point) for point in points)
                assert inside <= 16 * found[i, j] <= inside + unclear

    def test_masks_belong_to_the_place(self):
        rng = np.random.default_rng(0)
        shapes = [region(f"{n}", ring(*rng.uniform(-50, 250, (5, 2)))) for n in range(6)]
        areas = field(*shapes, canvas=None)
        whole = areas._shares(range(-10, 40), range(-10, 40))
        for _ in range(20):
            top, left = rng.integers(-10, 30, 2)
            height, width = rng.integers(1, 10, 2)
            rows, cols = range(top, top + height), range(left, left + width)
            part = areas._shares(rows, cols)
            for number, share in whole.items():
                expected = share[top + 10 : top + 10 + height, left + 10 : left + 10 + width]
                np.testing.assert_array_equal(part.get(number, np.zeros_like(expected)), expected)
            assert (sum(part.values()) == prompt_field._WHOLE).all()

    def test_many_edges_are_followed_in_parts(self, monkeypatch: pytest.MonkeyPatch):
        angles = np.linspace(0, 2 * np.pi, 3000, endpoint=False)
        radius = 60 + 20 * np.sin(40 * angles)
        star = region(
            "a star", ring(*zip(100 + radius * np.cos(angles), 100 + radius * np.sin(angles), strict=True))
        )
        whole = field(star)._shares(range(0, 26), range(0, 26))
        monkeypatch.setattr(outlines, "_TOGETHER", 7)
        parts = field(star)._shares(range(0, 26), range(0, 26))
        np.testing.assert_array_equal(whole[1], parts[1])
        area = Polygon(np.array(star.rings[0]).reshape(-1, 2) / REGION_UNITS).area
        assert (
            abs(whole[1].sum() / prompt_field._WHOLE * 64 / area - 1) < 0.02
        )  # lobes as narrow as a few points


class TestBounds:
    def test_a_window_far_from_regions_follows_the_scenes_prompt(self):
        assert field(region("a lake", square(150, 150, 20))).mixture(Window(0, 0)).prompts == (0,)

    def test_a_window_inside_a_region_follows_it_alone(self):
        mixture = field(region("a lake", square(-100, -100, 400))).mixture(Window(1, 1))
        assert (mixture.prompts, mixture.weights) == ((1,), None)

    def test_weights_are_soft_and_sum_to_one(self):
        mixture = field(region("a lake", square(-100, -100, 132))).mixture(Window(0, 0))
        assert mixture.weights is not None
        assert mixture.weights.dtype == np.float32
        np.testing.assert_array_equal(mixture.weights.sum(0), 1)
        across = mixture.weights[mixture.prompts.index(1), 0]
        assert all(one >= other for one, other in pairwise(across))
        assert across[0] == 1
        assert across[-1] == 0
        assert len(set(across.tolist())) == 6  # five latents of transition

    def test_at_most_four_prompts_the_largest_first(self):
        strips = [region(f"{n}", ring((0, y), (64, y), (64, y + h), (0, y + h))) for n, y, h in STRIPS]
        mixture = field(*strips).mixture(Window(0, 0))
        assert len(mixture.prompts) == prompt_field.MOST_PROMPTS
        assert mixture.prompts[0] == 1
        assert mixture.weights is not None
        np.testing.assert_array_equal(mixture.weights.sum(0), 1)
        dropped = range(7, 8)  # latents of a strip that is left out go to the largest
        assert (mixture.weights[0][dropped] > 0).all()

    def test_at_most_six_evaluations(self):
        quarters = [(0, 0), (32, 0), (0, 32), (32, 32)]
        own = [region(f"{n}", square(*corner, 32), negative=f"not {n}") for n, corner in enumerate(quarters)]
        assert len(field(*own).mixture(Window(0, 0)).prompts) == 3
        assert needs(field(*own)) == (6, 3)
        shared = [region(f"{n}", square(*corner, 32), negative="no") for n, corner in enumerate(quarters)]
        assert len(field(*shared).mixture(Window(0, 0)).prompts) == 4
        assert needs(field(*shared)) == (5, 4)
        assert needs(field(*own, guided=False)) == (4, 4)

    def test_less_than_a_latent_is_not_worth_an_evaluation(self):
        assert field(region("a boat", square(20, 20, 7))).mixture(Window(0, 0)).prompts == (0,)
        assert field(region("a boat", square(20, 20, 9))).mixture(Window(0, 0)).prompts == (0, 1)

    @pytest.mark.parametrize("canvas", [CANVAS, None])
    def test_many_windows_are_counted_as_one_by_one(self, canvas: Box | None):
        rng = np.random.default_rng(1)
        shapes = [
            region(f"{n}", square(*rng.uniform(-20, 190, 2), rng.uniform(5, 70)), negative=f"{n % 3}")
            for n in range(25)
        ]
        areas = field(*shapes, canvas=canvas)
        rows, cols = (range(0, 4), range(0, 4)) if canvas else (range(-2, 5), range(-1, 6))
        survey = areas.survey(rows, cols)
        windows = [Window(row, col) for row in rows for col in cols]
        alone = field(*shapes, canvas=canvas).needs(windows)
        assert np.array_equal(survey.needs.reshape(2, -1), alone)
        assert np.array_equal(survey.needed(windows), alone)
        assert alone.guided.max() > 3
        counted = survey.count([(rows, cols)], [Lengths(3, 2)], 4)
        assert counted.needed == 3 * alone.guided.sum() + 2 * alone.plain.sum()
        assert counted.steps == 5 * len(windows)


STRIPS = [(0, 0, 20), (1, 20, 14), (2, 34, 11), (3, 45, 10), (4, 55, 9)]


@pytest.fixture(scope="module")
def model(tiny: Path) -> Model:
    return load_tiny(tiny, engine=SHORT)


LAKE = region("a lake and the forest", square(20, -30, 90), square(40, 20, 30), negative="desert")
ROAD = region("a road", ring((-20, 100), (260, 90), (260, 130), (-20, 140)))
HOUSES = region("houses", square(130, 30, 100), negative="river")


def recipe(*areas: Region, canvas: Box | None = None, **changes: Any) -> Recipe:
    texts = {"prompt": BASE.text, "negative_prompt": BASE.negative}
    return recipe_of(canvas, **{**texts, "regions": list(areas) or None, **changes})


def box(col: int, row: int, width: int, height: int) -> Box:
    return Box(col=col, row=row, width=width, height=height)


def pixels(model: Model, wanted: Box, *areas: Region, **changes: Any) -> np.ndarray:
    return Scene(model, recipe(*areas, **changes)).pixels(wanted, ProgressRecorder())


class TestScenes:
    @pytest.mark.parametrize("canvas", [None, CANVAS])
    def test_any_box_in_any_order_has_the_same_bits(self, model: Model, canvas: Box | None):
        areas = LAKE, ROAD, HOUSES
        whole = pixels(model, box(0, 0, 200, 160), *areas, canvas=canvas)
        scene = Scene(model, recipe(*areas, canvas=canvas))
        for col, row, width, height in ((130, 90, 60, 50), (0, 0, 30, 40), (40, 10, 130, 70)):
            expected = whole[:, row : row + height, col : col + width]
            part = box(col, row, width, height)
            np.testing.assert_array_equal(scene.pixels(part, ProgressRecorder()), expected)
            np.testing.assert_array_equal(pixels(model, part, *areas, canvas=canvas), expected)

    def test_groups_and_batches_change_no_bit(self, model: Model, monkeypatch: pytest.MonkeyPatch):
        whole = pixels(model, CANVAS, LAKE, ROAD, HOUSES, canvas=CANVAS)
        monkeypatch.setattr(prompt_field, "_GROUP", 1)
        np.testing.assert_array_equal(pixels(model, CANVAS, LAKE, ROAD, HOUSES, canvas=CANVAS), whole)

    def test_a_region_over_all_is_a_scene_of_its_prompt(self, model: Model):
        everywhere = region("a lake", square(-5000, -5000, 10_000), negative="desert")
        plain = pixels(model, CANVAS, canvas=CANVAS, prompt="a lake", negative_prompt="desert")
        np.testing.assert_array_equal(pixels(model, CANVAS, everywhere, canvas=CANVAS), plain)

    def test_pixels_far_from_a_region_stay(self, model: Model):
        """A window and its neighbours of the phase before are all that a pixel depends on."""
        lake = region("a lake", square(0, 0, 50))
        far = box(200, 200, 60, 60)
        np.testing.assert_array_equal(pixels(model, far, lake), pixels(model, far))
        near = box(0, 0, 60, 60)
        assert np.abs(pixels(model, near, lake).astype(int) - pixels(model, near)).mean() > 3

    @pytest.mark.parametrize(("guidance", "guided"), [(1.0, False), (4.0, True), (4.0, False)])
    def test_evaluations_are_blended_by_the_masks(self, model: Model, guidance: float, guided: bool):
        """One window, one step: what the UNet says to each prompt, guided and added up by hand."""
        import torch

        from model_backend.engine.diffusion.guidance import Guidance

        areas = PromptField(BASE, [LAKE, HOUSES], Layout(SHORT, 8, CANVAS), guidance > 1)
        windows = [Window(0, 0), Window(1, 1), Window(3, 0), Window(0, 2)]
        mixtures = [areas.mixture(window) for window in windows]
        assert {len(mixture.prompts) for mixture in mixtures} >= {1, 2}
        x = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(1))
        heard: list[int] = []
        over = Guidance(model, areas.prompts, 16, guidance).over(mixtures, Batching(windows=4, batch=3))
        found = over.predict(x, Step(300.0, 1, 0, 0, 0, 0, guided), called=heard.append)
        size, needed = 3 * (1 + guided), areas.needs(windows)[not guided].sum()
        assert heard == [size] * -(-needed // size)
        for sample, mixture, blended in zip(x, mixtures, found, strict=True):
            total = torch.zeros(4, 8, 8)
            for rank, number in enumerate(mixture.prompts):
                prompt = areas.prompts[number]
                embeds = model.embed([prompt.negative, prompt.text])
                both = model.denoise(torch.stack([sample, sample]), 300.0, embeds, torch.tensor([0.0, 16.0]))
                said = both[0] + guidance * (both[1] - both[0]) if guided else both[1]
                weight = 1.0 if mixture.weights is None else torch.from_numpy(mixture.weights[rank])
                total += weight * said
            torch.testing.assert_close(blended, total, atol=1e-5, rtol=1e-5)

    def test_counted_before_is_computed_after(self, model: Model):
        for canvas, wanted in ((CANVAS, CANVAS), (None, box(10, 20, 150, 90))):
            watcher = ProgressRecorder()
            Scene(model, recipe(LAKE, ROAD, HOUSES, canvas=canvas)).pixels(wanted, watcher)
            made = recipe(LAKE, ROAD, HOUSES, canvas=canvas, grid=wanted)
            counted = cost.count(made, model.card, model.schedule)
            assert watcher.steps[-1] == (counted.evaluations, counted.evaluations)
            plain = made.model_copy(update={"regions": None})
            cheaper = cost.count(plain, model.card, model.schedule)
            assert cheaper.evaluations < counted.evaluations
            assert (cheaper.windows, cheaper.steps) == (counted.windows, counted.steps)
            assert cheaper.mean < 2 < counted.mean

    def test_an_edit_follows_regions_too(self, tmp_path: Path):
        inpaint = load_tiny(build_tiny(tmp_path, "inpaint"), engine=SHORT)
        canvas = canvas_around(box(20, 20, 100, 100), box(0, 0, 160, 160), SHORT, 8)
        view = np.full((3, canvas.height, canvas.width), 0.5, np.float32)
        paint = np.zeros(view.shape[1:], bool)
        paint[20 - canvas.row : 120 - canvas.row, 20 - canvas.col : 120 - canvas.col] = True
        there = EditCanvas(canvas, view, paint, np.ones_like(paint))

        def painted(*areas: Region, **changes: Any) -> np.ndarray:
            return Edit(inpaint, recipe(*areas, canvas=canvas, **changes), there).view(ProgressRecorder())

        everywhere = region("a lake", square(-500, -500, 1000), negative="desert")
        plain = painted(prompt="a lake", negative_prompt="desert")
        np.testing.assert_array_equal(painted(everywhere), plain)
        assert np.abs(painted(ROAD) - painted()).max() > 0.01


@pytest.mark.slow
def test_the_bundled_model_follows_regions():
    """Five regions of land cover at 8 m: each has the colour of its own prompt rather than of another's."""
    mini = load(MINI, read_card(MINI), "cpu")
    prompts = ("open water", "a forest", "annual crops", "an industrial area", "a pasture")
    common = {"level": 14, "steps": 6, "guidance": mini.card.guidance, "negative_prompt": ""}

    def scene(wanted: Box, *lots: Region, **more: Any) -> np.ndarray:
        canvas = canvas_box(wanted, mini.card.engine, mini.card.vae_factor)
        return pixels(mini, wanted, *lots, canvas=canvas, **common, **more).astype(float)

    side = 80
    corners = [(cell % 3 * side, cell // 3 * side) for cell in range(len(prompts))]
    lots = [region(prompt, square(*corner, side)) for prompt, corner in zip(prompts, corners, strict=True)]
    made = scene(box(0, 0, 3 * side, 2 * side), *lots, prompt="a residential area")
    alone = {prompt: scene(box(0, 0, 64, 64), prompt=prompt).mean((1, 2)) for prompt in prompts}
    right = 0
    for prompt, (left, top) in zip(prompts, corners, strict=True):
        inside = made[:, top + 12 : top + side - 12, left + 12 : left + side - 12].mean((1, 2))
        right += prompt == min(prompts, key=lambda other: float(np.abs(alone[other] - inside).sum()))
    assert right >= 4


class TestRecipes:
    def test_a_recipe_without_regions_says_nothing_of_them(self):
        plain = recipe(LAKE, ROAD, HOUSES, canvas=CANVAS).model_copy(update={"regions": None})
        assert "regions" not in json.loads(plain.canonical())
        assert "regions" not in plain.model_dump(mode="json")
        assert Recipe.model_validate_json(plain.canonical()) == plain

    def test_a_recipe_with_regions_comes_back(self):
        made = recipe(LAKE, ROAD, HOUSES, canvas=CANVAS)
        assert Recipe.model_validate_json(made.canonical()) == made
        assert made.regions == [LAKE, ROAD, HOUSES]
