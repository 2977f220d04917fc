"""Land by example: a function of recipe and place, whatever is asked for first; copies, no mixtures."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from model_backend.arrays import UInt8Array
from model_backend.engine.synthesis import extents
from model_backend.engine.synthesis import usage as usage_module
from model_backend.engine.synthesis.atlas import Atlas, Exemplar
from model_backend.engine.synthesis.fill import Filling, Hole, _Stage, depth
from model_backend.engine.synthesis.labels import MIXED, permitted
from model_backend.engine.synthesis.parameters import FILL, FILL_GAMMA, SCENE_GAMMA, Parameters
from model_backend.engine.synthesis.pyramid import UNUSABLE, half, half_labels
from model_backend.engine.synthesis.scene import Synthesis
from model_backend.engine.synthesis.score import NEVER, expected_difference
from model_backend.engine.synthesis.usage import Usage
from model_backend.schemas import Box

CANVAS = Box(col=-40, row=24, width=176, height=144)


def land(seed: int, tone: int = 0, side: int = 96) -> UInt8Array:
    """Fields of flat colours with roads between them and some grain."""
    chance = np.random.default_rng(seed)
    fields = np.repeat(np.repeat(chance.integers(60, 200, (side // 16, side // 16, 3)), 16, 0), 16, 1)
    fields[::16] = fields[:, ::16] = 230
    return (fields + tone + chance.normal(0, 6, fields.shape)).clip(0, 255).astype(np.uint8)


class Mapped:
    """Labels of a canvas, (height, width) bytes; beyond its edges they go on as they are."""

    def __init__(self, canvas: Box, labels: UInt8Array) -> None:
        self._canvas, self._labels = canvas, labels

    def labels(self, box: Box, level: int) -> UInt8Array:
        """Sample the map at the middle of every pixel of the level."""
        middle = (1 << level) >> 1
        height, width = self._labels.shape
        rows = (np.arange(box.row, box.row + box.height) << level) + middle - self._canvas.row
        cols = (np.arange(box.col, box.col + box.width) << level) + middle - self._canvas.col
        found: UInt8Array = self._labels[rows.clip(0, height - 1)[:, None], cols.clip(0, width - 1)]
        return found


def exemplars(*labels: int) -> list[Exemplar]:
    """Chips of land with one label each; the label sets the tone."""
    return [
        Exemplar(land(number, -40 * label), np.full((96, 96), label, np.uint8))
        for number, label in enumerate(labels)
    ]


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return Atlas.of(exemplars(0, 0, 0, 0), 4, SCENE_GAMMA)


def crop(sources: np.ndarray, canvas: Box, box: Box) -> np.ndarray:
    top, left = box.row - canvas.row, box.col - canvas.col
    return sources[top : top + box.height, left : left + box.width]


def test_any_box_of_a_canvas_is_that_of_the_whole(atlas):
    whole = Synthesis(atlas, 7, CANVAS, CANVAS).sources(CANVAS)
    for box in (
        Box(col=-40, row=24, width=64, height=64),
        Box(col=3, row=61, width=50, height=41),
        Box(col=100, row=150, width=36, height=18),
    ):
        alone = Synthesis(atlas, 7, CANVAS, CANVAS)
        assert np.array_equal(alone.sources(box), crop(whole, CANVAS, box))
        assert np.array_equal(alone.sources(CANVAS), whole)


def test_requests_on_the_ground_agree_where_they_overlap(atlas):
    one, other = Box(col=-9, row=-30, width=70, height=40), Box(col=20, row=-11, width=50, height=60)
    shared = Box(col=20, row=-11, width=41, height=21)
    ground = [Synthesis(atlas, 7, box, None).sources(box) for box in (one, other)]
    assert np.array_equal(crop(ground[0], one, shared), crop(ground[1], other, shared))


@pytest.mark.parametrize("canvas", [CANVAS, None])
def test_a_scene_in_pieces_is_that_of_one_piece(atlas, canvas, monkeypatch):
    whole = Synthesis(atlas, 7, CANVAS, canvas).sources(CANVAS)
    monkeypatch.setattr(extents, "WHOLE", 16)
    monkeypatch.setattr(extents, "PIECE", 40)
    scene = Synthesis(atlas, 7, CANVAS, canvas)
    assert scene.overview() is None
    assert np.array_equal(scene.sources(CANVAS), whole)
    right = Box(col=90, row=30, width=40, height=40)
    scene.keep(right)
    assert set(scene._pieces) == set(scene.extents.pieces(right))
    assert np.array_equal(scene.sources(right), crop(whole, CANVAS, right))


def test_seeds_differ_and_the_same_seed_does_not(atlas):
    box = Box(col=0, row=0, width=64, height=64)
    one, same, other = (Synthesis(atlas, seed, box, box).sources(box) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert (one != other).any(-1).mean() > 0.9


def test_every_pixel_is_a_copy_of_one_source_pixel(atlas):
    scene = Synthesis(atlas, 3, CANVAS, CANVAS)
    sources = scene.sources(CANVAS)
    level = atlas.levels[0]
    pixels = scene.pixels(sources).transpose(1, 2, 0)
    assert np.array_equal(pixels, level.pixels[sources[..., 0], sources[..., 1], :3])
    whole = {tuple(color) for chip in exemplars(0, 0, 0, 0) for color in chip.pixels.reshape(-1, 3)}
    assert {tuple(color) for color in pixels.reshape(-1, 3)} <= whole
    assert len(np.unique(sources.reshape(-1, 2), axis=0)) > pixels[..., 0].size / 8


def test_neighbours_are_copied_together_where_that_is_worth_something(atlas):
    box = Box(col=0, row=0, width=128, height=128)
    cuts = []
    for coherence in (0, 2_000):
        parameters = Parameters(coherence=coherence)
        found = Synthesis(atlas, 7, box, box, parameters=parameters).sources(box)
        cuts.append(((found[:, 1:] - found[:, :-1]) != (0, 1)).any(-1).mean())
    assert cuts[1] < 0.75 * cuts[0]


def test_labels_say_what_is_to_be_seen():
    atlas = Atlas.of(exemplars(0, 0, 1, 1), 4, SCENE_GAMMA)
    labels = np.zeros((144, 176), np.uint8)
    labels[:, 90:] = 1
    labels[60:64] = 1  # thinner than a patch
    sources = Synthesis(atlas, 5, CANVAS, CANVAS, Mapped(CANVAS, labels)).sources(CANVAS)
    chip = sources[..., 0] // 96
    assert (chip[:, 95:] >= 2).all()
    assert (chip[:50, :85] < 2).all()
    assert (chip[61:63, :85] >= 2).mean() > 0.95


def test_a_stop_is_heard_between_passes_and_nothing_is_lost(atlas):
    heard: list[int] = []

    def stop(level: int, pixels: int) -> None:
        heard.append(level)
        if len(heard) == 9:
            raise KeyboardInterrupt

    scene = Synthesis(atlas, 7, CANVAS, CANVAS)
    with pytest.raises(KeyboardInterrupt):
        scene.sources(CANVAS, stop)
    assert len(heard) == 9
    assert np.array_equal(scene.sources(CANVAS), Synthesis(atlas, 7, CANVAS, CANVAS).sources(CANVAS))


def test_a_first_look_at_all_of_it_comes_from_the_coarse_levels(atlas):
    scene = Synthesis(atlas, 7, CANVAS, CANVAS)
    look = scene.overview()
    assert look is not None
    assert look.shape == (36, 44, 3)
    whole = scene.pixels(scene.sources(CANVAS)).transpose(1, 2, 0)
    means = whole.reshape(36, 4, 44, 4, 3).mean((1, 3))
    assert np.corrcoef(look.reshape(-1), means.reshape(-1))[0, 1] > 0.7


def test_what_will_lie_where_is_known_in_mean_colours_before_any_work():
    atlas = Atlas.of(exemplars(0, 0, 1, 1), 4, SCENE_GAMMA)
    labels = np.zeros((144, 176), np.uint8)
    labels[:, 88:] = 1
    scene = Synthesis(atlas, 5, CANVAS, CANVAS, Mapped(CANVAS, labels))
    sketch = scene.sketch(CANVAS)
    assert sketch.shape == (18, 22, 3)
    assert not scene._pieces
    whole = scene.pixels(scene.sources(CANVAS)).transpose(1, 2, 0)
    means = whole.reshape(18, 8, 22, 8, 3).mean((1, 3))
    for side in np.s_[:, :10], np.s_[:, 12:]:
        assert np.abs(sketch[side].mean((0, 1)) - means[side].mean((0, 1))).max() < 12
    assert Synthesis(atlas, 5, CANVAS, None).sketch(Box(col=0, row=0, width=9000, height=90)).shape[1] < 257


THREADS = """
import hashlib, sys
import numba
from tests.backend.engine.test_synthesis import CANVAS, SCENE_GAMMA, Atlas, Synthesis, exemplars
numba.set_num_threads(int(sys.argv[1]))
sources = Synthesis(Atlas.of(exemplars(0, 0, 0, 0), 4, SCENE_GAMMA), 7, CANVAS, CANVAS).sources(CANVAS)
assert "torch" not in sys.modules
print(hashlib.sha256(sources.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_threads_change_no_bit_and_no_torch_is_imported(atlas):
    expected = hashlib.sha256(Synthesis(atlas, 7, CANVAS, CANVAS).sources(CANVAS).tobytes()).hexdigest()
    for threads in ("1", "2"):
        command = [sys.executable, "-c", THREADS, threads]
        done = subprocess.run(command, capture_output=True, text=True, env={"NUMBA_NUM_THREADS": "2"})
        assert done.stdout.strip() == expected, done.stderr


# ---- holes ---------------------------------------------------------------------------------------


def hole_in(image: UInt8Array) -> Hole:
    mask = np.zeros(image.shape[:2], np.bool_)
    mask[40:62, 30:70] = True
    smooth = image.copy()
    smooth[mask] = image[~mask].mean(0)
    return Hole(smooth, mask, ~mask, np.zeros(mask.shape, np.uint8))


def filled(hole: Hole, seed: int = 1) -> tuple[Atlas, np.ndarray]:
    own = Exemplar(hole.image, np.where(hole.mask, UNUSABLE, 0).astype(np.uint8))
    atlas = Atlas.of([own], 4, FILL_GAMMA, FILL.line_gain)
    return atlas, Filling(atlas, FILL, seed, 0).sources(hole)


def test_a_hole_is_filled_from_known_land_alone_and_roads_go_on():
    image = land(3, side=128)
    image[48:52] = 20  # a dark road through the hole
    hole = hole_in(image)
    atlas, sources = filled(hole)
    rows, cols = sources[hole.mask].T
    assert not hole.mask[rows, cols].any()
    painted = atlas.levels[0].pixels[sources[..., 0], sources[..., 1], :3]
    road = painted[48:52, 30:70].mean(-1)
    assert (road < 60).mean() > 0.9
    assert np.array_equal(filled(hole)[1], sources)


def test_land_goes_on_far_beyond_its_edge_as_rich_as_it_was():
    """The first look closes the hole ring by ring: without it, far land is the flattest there is."""
    image = land(3, side=128)
    image[40:88, 8:56] = (60, 90, 120)  # a lake, which differs little from anything smooth
    known = np.zeros((128, 224), np.bool_)
    known[:, :128] = True
    whole = np.zeros((128, 224, 3), np.uint8)
    whole[:, :128], whole[:, 128:] = image, image.reshape(-1, 3).mean(0).astype(np.uint8)
    hole = Hole(whole, ~known, known, np.zeros(known.shape, np.uint8))
    atlas = Atlas.of([Exemplar(whole, np.where(known, 0, UNUSABLE).astype(np.uint8))], 4, FILL_GAMMA)
    filling = Filling(atlas, FILL, 5, 0)
    coarsest = _Stage(filling, 3, hole, *filling._pyramid(hole)[3])
    matches = coarsest._peeled(lambda: None)
    assert (matches.scores[coarsest._mask] < NEVER).all()
    sources = filling.sources(hole)
    painted = atlas.levels[0].pixels[sources[..., 0], sources[..., 1], :3].astype(int)[:, 150:]
    assert np.abs(np.diff(painted, axis=1)).mean() > 0.7 * np.abs(np.diff(image.astype(int), axis=1)).mean()


def test_depth_counts_steps_from_the_rim():
    mask = np.zeros((7, 9), np.bool_)
    mask[1:6, 1:8] = True
    assert depth(mask).max() == 3
    assert depth(mask)[1].tolist() == [0, 1, 1, 1, 1, 1, 1, 1, 0]
    assert (depth(np.ones((4, 4), np.bool_)) == 1).all()


# ---- parts ---------------------------------------------------------------------------------------


def test_halving_is_the_binomial_filter():
    image = np.zeros((4, 4, 1), np.uint8)
    image[1, 1] = 64
    assert half(image)[..., 0].tolist() == [[9, 3], [3, 1]]
    labels = np.array([[1, 1, 2, UNUSABLE], [1, 3, 2, 2]], np.uint8)
    assert half_labels(labels).tolist() == [[3, UNUSABLE]]


@pytest.mark.parametrize("eighths", [3, 4, 6])
def test_expected_differences_are_the_power_that_is_written_down(eighths):
    image = land(0)
    valid = np.zeros(image.shape[:2], np.uint8)
    valid[3:-3, 3:-3] = 1
    found = expected_difference(image, valid, eighths)
    patch = image[40:47, 50:57].astype(float)
    variance = np.mean([patch[..., k].var() for k in range(3)])
    assert found[43, 53] == pytest.approx(64 * (1 + variance / 100) ** (eighths / 8), rel=0.01)
    assert found[0, 0] == 64


@pytest.mark.parametrize("room", [1, 2, 9])
def test_uses_are_counted_in_a_cell_and_the_eight_around(room, monkeypatch):
    sources = np.zeros((30, 30, 2), np.int32)
    sources[..., 0] = np.arange(30)[:, None]
    sources[..., 1] = np.arange(30)
    sources[0, 0] = sources[29, 29] = (5, 5)
    monkeypatch.setattr(usage_module, "TABLES", room * 3 * 2048 * 6)
    usage = Usage.of(sources, row=4, col=0, cell=10, width=40, price=1, free=0)
    key, counts, rows = 5 * 40 + 5 + 1, [], []
    for top, bottom, found in usage.bands():
        rows += range(top, bottom)
        for keys, uses in zip(found.keys, found.counts, strict=True):
            counts.append([int(uses[c][keys[c] == key].sum()) for c in range(3)])
    assert rows == [*range(30)]
    assert counts[:4] == [[2, 2, 0], [2, 2, 0], [0, 1, 1], [0, 1, 1]]


def test_near_an_outline_both_labels_may_be_used_and_thin_land_keeps_its_own():
    own = np.zeros((40, 40), np.uint8)
    own[:, 20:] = 1
    bits, thin = permitted(own, 2)
    assert (bits[0, [0, 17, 18, 21, 22]] & 3).tolist() == [1, 1, 3, 3, 2]
    assert (bits[0] >> 31).tolist() == [0] * 15 + [1] * 10 + [0] * 15  # patches of both: near the outline
    assert not thin.any()
    own[:, 20:] = 0
    own[:, 20:34] = 2  # its neighbours could come in by 7 pixels from either side
    bits, thin = permitted(own, 2)
    assert set(bits[0, 20:34].tolist()) == {4 + 2**31}
    assert thin[0].nonzero()[0].tolist() == [*range(20, 34), *range(34, 40)]


def test_land_that_is_to_be_pure_is_mixed_only_where_there_is_hardly_any_other():
    image, labels = land(0), np.zeros((96, 96), np.uint8)
    labels[:, 48:] = 1
    level = Atlas.of([Exemplar(image, labels)], 1, SCENE_GAMMA, pure=[1]).levels[0]
    assert set(level.valid[50, 48:51].tolist()) == {2 + MIXED}
    assert set(level.valid[50, 51:93].tolist()) == {2}
    assert set(level.valid[50, 3:48].tolist()) == {1}
    labels[:, 50:] = 0  # a strip thinner than a patch
    level = Atlas.of([Exemplar(image, labels)], 1, SCENE_GAMMA, pure=[1]).levels[0]
    assert set(level.valid[50, 48:50].tolist()) == {2}


def test_what_cannot_be_an_atlas_is_refused():
    with pytest.raises(ValueError, match="too small"):
        Atlas.of([Exemplar(land(0, side=48), np.zeros((48, 48), np.uint8))], 4, SCENE_GAMMA)
    many = np.full((96, 96), 40, np.uint8)
    with pytest.raises(ValueError, match="labels"):
        Atlas.of([Exemplar(land(0), many)], 4, SCENE_GAMMA)
    assert NEVER == 2**31 - 1
