"""From prompts to label maps: what is understood, what is drawn where, the same whatever box is asked for."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_backend.engine.by_example.parcels import Parcels, most
from model_backend.engine.composition.composition import Reading
from model_backend.engine.composition.drawing import Scale
from model_backend.engine.composition.land import Land, land
from model_backend.engine.composition.prompt import read
from model_backend.engine.synthesis.labels import Everywhere
from model_backend.models.banks.direction import apart, direction
from model_backend.models.land_cover import KINDS
from model_backend.schemas import Box

ALL = tuple(kind.id for kind in KINDS)
COARSE = ("water", "forest", "farmland", "grassland", "town", "industry", "road", "shrubland")

#: Prompt, what lies everywhere, things as "count word kind shape".
UNDERSTOOD = {
    "a lake in a forest": ("forest", ["1 lake water round"]),
    "farmland with a village and a river": ("farmland", ["1 village town round", "1 river water line"]),
    "dense housing beside a harbour": ("dense houses", ["1 harbour harbour quay", "1 sea water side"]),
    "a residential area, no roads": ("houses", []),
    "satellite image of fields with two ponds": ("farmland", ["2 pond water round"]),
    "forest": ("forest", []),
    "a coast with a sandy beach": ("grassland", ["1 coast water side", "1 beach sand side"]),
    "river through a town": ("town", ["1 river water line"]),
    "desert": ("bare", []),
    "an aerial image of a parking lot next to a warehouse": (
        "buildings",
        ["1 parking lot parking block", "1 warehouse industry block"],
    ),
    "airport": ("grassland", ["1 airport airport strip"]),
    "a village at the edge of a forest": ("forest", ["1 village town round"]),
    "forest road": ("forest", ["1 road road line"]),
    "many small ponds in a large meadow": ("grassland", ["7 pond water round"]),
    "an island in a lake": ("water", ["1 island grassland round"]),
    "3 lakes surrounded by woods": ("forest", ["3 lake water round"]),
    "a highway through dense forest with several lakes": (
        "forest",
        ["1 highway road line", "4 lake water round"],
    ),
    "forest next to farmland": ("forest", ["1 farmland farmland side"]),
    "farmland, forest and villages": ("farmland", ["3 forest forest round", "3 village town round"]),
    "sparse houses along a winding river": ("sparse houses", ["1 river water line"]),
    "a river between fields and a wood": ("farmland", ["1 river water line", "1 wood forest round"]),
    "sea": ("water", []),
    "trees": ("forest", []),
    "a park in the city": ("town", ["1 park grassland round"]),
    "two hedges in a pasture": ("grassland", ["2 hedge shrubland line"]),
    "a runway in the desert": ("bare", ["1 runway airport strip"]),
    "industrial buildings along a canal": ("industry", ["1 canal water line"]),
    "a marina on a lake": ("houses", ["1 marina harbour quay", "1 lake water round"]),
    "a group of ponds in a meadow": ("grassland", ["3 pond water round"]),
    "a lake with a beach": ("grassland", ["1 lake water round", "1 beach sand side"]),
    "beach": ("grassland", ["1 beach sand side", "1 sea water side"]),
    "boats in the sea": ("water", ["3 boat harbour round"]),
    "grass with lots of trees and a straight road": (
        "grassland",
        ["7 tree forest round", "1 road road line"],
    ),
}


def shown(reading: Reading) -> list[str]:
    return [f"{one.count} {one.word} {one.kind} {one.shape}" for one in reading.composition.things]


def square(side: int, start: int = 0) -> Box:
    return Box(col=start, row=start, width=side, height=side)


def made(prompt: str, seed: int, canvas: Box | None, gsd: float, kinds: tuple[str, ...] = ALL) -> Land:
    return land(read(prompt).composition, seed, canvas, gsd, kinds)


def kinds_of(prompt: str, seed: int, side: int, gsd: float, kinds: tuple[str, ...] = ALL) -> np.ndarray:
    level = 2 if side > 1024 else 0
    return np.array(kinds)[
        made(prompt, seed, square(side), gsd, kinds).labels.labels(square(side >> level), level)
    ]


def crosses(mask: np.ndarray) -> bool:
    """Whether a mask leads from one side to the opposite one."""
    return _leads_down(mask) or _leads_down(mask.T)


def _leads_down(mask: np.ndarray) -> bool:
    height, width = mask.shape
    seen = np.zeros((height + 2, width + 2), bool)
    free = np.pad(mask, 1)
    queue = deque((1, col + 1) for col in np.flatnonzero(mask[0]).tolist())
    while queue:
        row, col = queue.popleft()
        if seen[row, col] or not free[row, col]:
            continue
        if row == height:
            return True
        seen[row, col] = True
        queue.extend((row + j, col + i) for j in (-1, 0, 1) for i in (-1, 0, 1))
    return False


@pytest.mark.fast
@pytest.mark.parametrize("prompt", UNDERSTOOD)
def test_a_prompt_names_what_lies_everywhere_and_what_lies_in_it(prompt):
    reading = read(prompt)
    assert (reading.composition.background, shown(reading)) == UNDERSTOOD[prompt]
    assert reading.unknown == ()
    assert reading.notes == ()


def test_case_punctuation_and_plurals_do_not_matter():
    assert read("Two LAKES, in a Forest.").composition == read("two lakes in forests").composition


def test_adjectives_change_sizes_and_bends():
    usual, small, wide = (
        read(f"a {word} river in a field").composition.things[0] for word in ("", "narrow", "wide")
    )
    assert small.high < usual.high < wide.high
    straight, winding = (read(f"a {word} river").composition.things[0] for word in ("straight", "winding"))
    assert straight.winding == 0 < usual.winding < winding.winding


def test_understood_words_are_told_in_plain_words():
    assert read("fields with two ponds, a river, no roads").understood == (
        "fields (farmland), everywhere",
        "two ponds (water)",
        "river (water), from side to side",
        "no roads",
    )


def test_words_that_mean_nothing_are_named_once():
    reading = read("a purple lake in a quizzical purple forest", "blurry trees")
    assert reading.unknown == ("purple", "quizzical", "blurry")
    assert reading.composition.background == "forest"
    assert reading.notes == ("The prompts both ask for and exclude forest: it is drawn.",)


@pytest.mark.parametrize("prompt", ["", "  ", "xyzzy", "no roads"])
def test_nothing_to_draw_gives_a_mix_and_says_so(prompt):
    reading = read(prompt)
    assert len(reading.composition.things) >= 3
    assert "the scene shows farmland, wood, village, lake, river." in reading.notes[0]


@pytest.mark.parametrize(
    ("prompt", "negative", "absent"),
    [
        ("a residential area, no roads", "", ["road"]),
        ("fields without houses or trees and a lake", "", ["houses", "dense houses", "forest"]),
        ("a town", "roads, parking lots", ["road", "parking"]),
        ("a meadow without roads, houses or trees", "", ["road", "houses", "forest"]),
        ("", "water, towns", ["water", "town", "houses"]),
        ("fields, no trees and no villages", "water", ["forest", "town", "water", "harbour"]),
    ],
)
def test_what_is_excluded_is_not_seen(prompt, negative, absent):
    composition = read(prompt, negative).composition
    assert set(absent) <= set(composition.excluded)
    seen = np.unique(land(composition, 4, square(512), 1.0, ALL).labels.labels(square(512), 0))
    assert not {ALL[label] for label in seen} & set(absent)


def test_of_many_things_the_first_are_drawn():
    reading = read(", ".join(["a lake", "a pond"] * 40))
    assert len(reading.composition.things) == 24
    assert reading.notes == ("The prompt names 80 things: the first 24 are drawn.",)


def test_what_no_longer_is_excluded_is_drawn():
    assert shown(read("fields without houses or trees and a lake")) == ["1 lake water round"]


PLACES = st.integers(-3000, 3000)
SIDES = st.integers(1, 70)
SCENES = [
    ("farmland with a village, two ponds and a river", 1.0),
    ("dense housing beside a harbour, a road", 2.0),
    ("a coast with a beach", 10.0),
    ("a town with a lake and a parking lot", 0.5),
    ("an airport and a highway in a forest", 8.0),
]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SCENES), st.booleans(), PLACES, PLACES, SIDES, SIDES, st.integers(0, 3))
def test_any_box_of_any_level_is_what_the_finest_level_has_there(
    scene, ground, row, col, height, width, level
):
    prompt, gsd = scene
    labels = made(prompt, 5, None if ground else square(1024, -200), gsd).labels
    box = Box(col=col >> level, row=row >> level, width=width, height=height)
    found = labels.labels(box, level)
    step = 1 << level
    whole = labels.labels(
        Box(
            col=(box.col << level) - 9,
            row=(box.row << level) - 5,
            width=width * step + 20,
            height=height * step + 20,
        ),
        0,
    )
    assert np.array_equal(found, whole[5 + step // 2 :: step, 9 + step // 2 :: step][:height, :width])


@pytest.mark.parametrize("gsd", [0.5, 1, 10, 30])
@pytest.mark.parametrize("side", [256, 512, 4096])
@pytest.mark.parametrize(
    ("prompt", "kind", "low", "high"),
    [
        ("a lake in a forest", "water", 0.0, 0.2),
        ("fields with two ponds", "water", 0.0, 0.25),
        ("farmland with a village", "town", 0.0, 0.2),
        ("coast", "water", 0.15, 0.6),
        ("a parking lot next to a warehouse", "parking", 0.0, 0.12),
        ("airport", "airport", 0.0, 0.2),
        ("houses beside a harbour", "harbour", 0.0, 0.12),
    ],
)
def test_what_is_asked_for_is_inside_the_canvas_and_of_natural_size(prompt, kind, low, high, side, gsd):
    for seed in range(20 if side == 256 else 5):
        seen = kinds_of(prompt, seed, side, gsd) == kind
        assert low < seen.mean() < high, seed
        if low == 0:
            rim = len(seen) // 40
            assert seen.sum() > (90 if side <= 1024 else 9), seed
            assert seen[rim:-rim, rim:-rim].sum() > 0.8 * seen.sum(), seed


@pytest.mark.parametrize(("prompt", "kind"), [("river through farmland", "water"), ("forest road", "road")])
@pytest.mark.parametrize(("gsd", "side"), [(0.5, 512), (1, 400), (5, 512), (10, 256), (30, 512)])
def test_rivers_and_roads_lead_from_side_to_side(prompt, kind, gsd, side):
    for seed in range(20):
        if kind == "road" and gsd > 7:
            continue
        assert crosses(kinds_of(prompt, seed, side, gsd) == kind), seed


def test_rivers_of_the_ground_go_on_over_any_border():
    labels = made("a river in a forest", 8, None, 5).labels
    whole = labels.labels(Box(col=-1500, row=700, width=2048, height=2048), 0)
    assert crosses(whole == ALL.index("water"))


@pytest.mark.parametrize("gsd", [0.5, 1, 10, 30])
def test_things_recur_on_the_ground(gsd):
    for prompt, kind in (("lakes in a forest", "water"), ("farmland with villages", "town")):
        labels = made(prompt, 3, None, gsd).labels
        level = 3 if gsd < 5 else 0
        shares = [
            (
                labels.labels(Box(col=9000 * n, row=-7000 * n, width=1500, height=1500), level)
                == ALL.index(kind)
            ).mean()
            for n in range(3)
        ]
        assert all(0.003 < share < 0.4 for share in shares)


def test_towns_have_streets_where_they_can_be_seen():
    for prompt in ("a town", "a residential area", "dense housing"):
        assert 0.08 < (kinds_of(prompt, 2, 512, 1.0) == "road").mean() < 0.25
        assert crosses(kinds_of(prompt, 2, 512, 1.0) == "road")
    assert "road" not in kinds_of("a town", 2, 512, 10)
    assert "road" not in kinds_of("a town", 2, 512, 1.0, ("houses", "water"))


@pytest.mark.parametrize("degrees", [0, 30, 60])
def test_streets_run_the_way_that_is_asked_for_or_across_it(degrees):
    box = Box(col=0, row=0, width=1200, height=1200)
    houses = land(read("houses", "").composition, 3, box, 0.6, ALL, degrees)
    streets = houses.labels.labels(box, 0) == ALL.index("road")
    assert 0.08 < streets.mean() < 0.3
    picture = np.repeat(np.where(streets, 200, 0).astype(np.uint8)[..., None], 3, -1)
    assert apart(direction(picture), degrees) <= 4


def test_fields_are_parcels_with_borders_the_same_for_any_box():
    whole = Box(col=-200, row=50, width=600, height=500)
    fields = Parcels.over(Everywhere(4), 4, (20, 9), Scale.of(1.0, 7, 0))
    labels = fields.labels(whole, 0)
    assert len(np.unique(labels)) >= 4
    assert {*np.unique(labels).tolist()} <= {*range(20, 29)}
    changes = (labels[1:] != labels[:-1]).mean() + (labels[:, 1:] != labels[:, :-1]).mean()
    assert changes < 0.03  # parcels are large
    part = Box(col=-31, row=60, width=77, height=90)
    assert np.array_equal(fields.labels(part, 0), labels[10:100, 169:246])
    half = Box(col=-50, row=25, width=40, height=30)
    assert np.array_equal(fields.labels(half, 1), labels[1:61:2, 101:181:2])
    other = Parcels.over(Everywhere(5), 4, (20, 9), Scale.of(1.0, 7, 0)).labels(whole, 0)
    assert (other == 5).all()
    assert [most(kinds) for kinds in (18, 19, 21, 30, 40)] == [11, 11, 9, 0, 0]


def test_a_road_thinner_than_a_pixel_is_left_out_and_named():
    result = made("a highway and a river in a forest", 1, square(256), 30)
    assert result.warnings == (
        "Left out: highway, 25 m wide: less than a pixel of 30 m. Choose smaller pixels to see it.",
    )
    assert crosses(result.labels.labels(square(256), 0) == ALL.index("water"))


def test_a_missing_kind_is_replaced_by_the_nearest_and_named():
    result = made("a golf course beside a wood", 1, square(256), 10, COARSE)
    assert result.warnings == ("There are no examples of golf at this pixel size: grassland is shown.",)
    assert set(np.unique(result.labels.labels(square(256), 0))) <= set(range(len(COARSE)))


def test_beaches_lie_between_land_and_water():
    seen = kinds_of("a coast with a sandy beach", 6, 512, 2)
    land_here, sand, water = (seen == kind for kind in ("grassland", "sand", "water"))
    assert 0.005 < sand.mean() < 0.2
    assert not (land_here[1:] & water[:-1]).any()
    assert not (land_here[:, 1:] & water[:, :-1]).any()


def test_what_is_beside_something_is_near_it():
    for seed in range(10):
        seen = kinds_of("a warehouse beside a pond in a meadow", seed, 512, 1)
        places = [np.argwhere(seen == kind).mean(0) for kind in ("industry", "water")]
        assert np.abs(places[0] - places[1]).max() < 200, seed


@pytest.mark.parametrize(
    "prompt", ["a village, a harbour, an airport, two rivers and a road", "many lakes", "a town"]
)
@pytest.mark.parametrize(
    "canvas", [Box(col=3, row=-7, width=16, height=16), Box(col=0, row=0, width=900, height=40)]
)
@pytest.mark.parametrize("gsd", [0.1, 2.5, 1000.0])
def test_odd_canvases_are_filled(prompt, canvas, gsd):
    assert made(prompt, 2, canvas, gsd).labels.labels(canvas, 0).shape == (canvas.height, canvas.width)


def test_seeds_differ():
    one, other = (kinds_of("lakes in a forest", seed, 256, 10) for seed in (1, 2))
    assert (one != other).any()


@pytest.mark.parametrize("prompt", ["a lake in a forest", "farmland with a village and a river", "a town"])
def test_a_label_map_is_made_in_no_time(prompt):
    labels = made(prompt, 1, square(1024), 1).labels
    labels.labels(square(64), 0)
    times = []
    for _ in range(3):
        start = time.process_time()
        labels.labels(square(1024), 0)
        times.append(time.process_time() - start)
    assert min(times) < 0.5


def test_composing_needs_no_torch():
    code = "import sys, model_backend.engine.composition.land; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 0
