"""Windows of the last phase meet at one tone, and what they agree on is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from model_backend.engine.diffusion.tone_matching import match_tones
from model_backend.engine.lattice import Lattice, Window, overlap

pytestmark = pytest.mark.fast

BOUNDS = range(-3, 49)
LATTICE = Lattice(16, 12, 4, BOUNDS)
WINDOWS = [Window(row, col) for row in range(4) for col in range(4)]


def all_settled(done: dict[Window, np.ndarray]) -> dict[Window, np.ndarray]:
    return match_tones(LATTICE, LATTICE, done, done)


def blended(done: dict[Window, np.ndarray]) -> np.ndarray:
    canvas = np.zeros((3, len(BOUNDS), len(BOUNDS)), np.float32)
    for window, latents in done.items():
        own, there = overlap(LATTICE.cells(window.row), BOUNDS), overlap(LATTICE.cells(window.col), BOUNDS)
        weight = np.outer(LATTICE.weight(window.row), LATTICE.weight(window.col))
        canvas[:, own[1], there[1]] += latents * weight
    return canvas


def flat(seed: int = 1) -> dict[Window, np.ndarray]:
    """Open water: windows of one value each, in every channel another."""
    tones = np.random.default_rng(seed).normal(size=(len(WINDOWS), 3, 1, 1))
    return {
        window: np.broadcast_to(tone, (3, 16, 16)).astype(np.float32)
        for window, tone in zip(WINDOWS, tones, strict=True)
    }


def test_steps_across_overlaps_become_slopes_across_windows():
    done = flat()
    before, after = blended(done), blended(all_settled(done))
    steepest = [
        max(np.abs(np.diff(canvas, axis=axis)).max() for axis in (1, 2)) for canvas in (before, after)
    ]
    assert steepest[1] < steepest[0] / 3  # 12 cells long instead of 4, and the corners of a blend are gone
    np.testing.assert_allclose(after.mean((1, 2)), before.mean((1, 2)), atol=0.1)


def test_neighbours_agree_where_they_meet():
    after = all_settled(flat())
    for window in WINDOWS:
        for other in (Window(window.row + 1, window.col), Window(window.row, window.col + 1)):
            if other in after:
                here = [
                    overlap(LATTICE.cells(a), LATTICE.cells(b)) for a, b in zip(window, other, strict=True)
                ]
                one = after[window][:, here[0][0], here[1][0]].mean((1, 2))
                two = after[other][:, here[0][1], here[1][1]].mean((1, 2))
                np.testing.assert_allclose(one, two, atol=1e-5)


def test_what_windows_agree_on_is_left_alone():
    land = np.random.default_rng(2).normal(size=(3, len(BOUNDS), len(BOUNDS))).astype(np.float32)
    at = {piece: overlap(LATTICE.cells(piece), BOUNDS)[1] for piece in range(4)}
    done = {window: land[:, at[window.row], at[window.col]] for window in WINDOWS}
    for window, latents in all_settled(done).items():
        np.testing.assert_array_equal(latents, done[window])


def test_windows_side_by_side_without_an_overlap_are_left_alone():
    lattice = Lattice(16, 16, 0)
    done = {window: latents for window, latents in flat().items() if window.row < 2}
    for window, latents in match_tones(lattice, lattice, done, done).items():
        np.testing.assert_array_equal(latents, done[window])


@pytest.mark.parametrize(
    ("there", "meeting"),
    [
        ([(1, 1)], {}),
        ([(1, 1), (2, 2)], {}),  # they share a corner, and no side that could say how far apart they are
        ([(1, 1), (1, 2)], {(1, 1): 1, (1, 2): -1}),
        ([(1, 1), (1, 2), (2, 1)], {(1, 1): 2, (1, 2): 0, (2, 1): -2}),
    ],
)
def test_only_windows_that_are_done_count(
    there: list[tuple[int, int]], meeting: dict[tuple[int, int], float]
):
    """Tones 0, 2, 4, ... meet at their mean, at the corner south-east of window (1, 1)."""
    done = {Window(*place): np.full((1, 16, 16), 2 * i, np.float32) for i, place in enumerate(there)}
    for window, latents in all_settled(done).items():
        corner = np.s_[0, 14 if window.row == 1 else 1, 14 if window.col == 1 else 1]
        moved = latents[corner] - done[window][corner]
        assert moved == pytest.approx(meeting.get(window, 0), abs=0.1)
        if not meeting:
            np.testing.assert_array_equal(latents, done[window])
