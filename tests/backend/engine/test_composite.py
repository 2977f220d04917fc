"""Putting generated pixels into a mask: distances, the membrane, the feather, the way back to a type."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from model_backend.arrays import BoolArray, Float64Array
from model_backend.engine.editing.composite import Join, cast, distance, grow
from model_backend.errors import JobFailed

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))


@given(masks, st.sampled_from([(1.0, 1.0), (2.0, 1.0), (0.5, 1.5)]), st.floats(0.5, 8))
@settings(max_examples=60, deadline=None)
def test_distances_are_euclidean(inside: BoolArray, spacing: tuple[float, float], limit: float) -> None:
    found = distance(inside, spacing, limit)
    outside = np.argwhere(~inside) * spacing
    for at in np.ndindex(*inside.shape):
        apart = np.hypot(*(outside - np.array(at) * spacing).T).min() if len(outside) else np.inf
        assert found[at] == pytest.approx(min(apart, limit), rel=1e-5)


def test_growing_is_in_the_unit_of_the_spacing() -> None:
    mask = np.zeros((21, 21), np.bool_)
    mask[10, 10] = True
    grown = grow(mask, (2.0, 1.0), 4.0)
    assert grown[8, 10]
    assert not grown[7, 10]
    assert grown[10, 6]
    assert not grown[10, 5]
    assert not grown[8, 6]  # a disc on the ground, not a box
    assert grow(mask, (1.0, 1.0), 0.0) is mask


def dense(free: BoolArray, ring: BoolArray, values: Float64Array) -> Float64Array:
    """The membrane by a direct solution of the same equations."""
    number = np.full(free.shape, -1)
    number[free] = np.arange(free.sum())
    matrix, right = np.zeros((free.sum(), free.sum())), np.zeros(free.sum())
    for k, (row, col) in enumerate(np.argwhere(free)):
        for r, c in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)):
            if 0 <= r < free.shape[0] and 0 <= c < free.shape[1] and (free[r, c] or ring[r, c]):
                matrix[k, k] += 1
                if free[r, c]:
                    matrix[k, number[r, c]] -= 1
                else:
                    right[k] += values[r, c]
    return np.linalg.solve(matrix, right)


def ring_mask() -> BoolArray:
    row, col = np.mgrid[:41, :45]
    apart = np.hypot(row - 20, col - 22)
    return (apart < 17) & (apart > 5)


@pytest.mark.parametrize("mask", [ring_mask(), np.pad(np.ones((30, 9), np.bool_), ((0, 0), (12, 9)))])
def test_the_membrane_solves_laplaces_equation(mask: BoolArray) -> None:
    row, col = np.mgrid[: mask.shape[0], : mask.shape[1]] / 10
    tone = np.sin(row) + np.cos(1.3 * col)  # what the surroundings are brighter by
    join = Join(mask, np.ones_like(mask), (1, 1), 0)
    ring = join._ring
    found = join.band(tone, np.zeros_like(tone))
    smooth = join._difference(tone, np.zeros_like(tone))
    expected = np.zeros_like(tone)
    expected[ring] = smooth
    assert np.abs(found - dense(mask, ring, expected)).max() < 0.02 * np.ptp(smooth)


def test_a_shift_in_tone_goes_away_entirely() -> None:
    mask = ring_mask()
    source = np.random.default_rng(0).normal(100, 10, mask.shape)
    assert np.allclose(
        Join(mask, np.ones_like(mask), (1, 1), 3).band(source, source + 25), source[mask], atol=1e-9
    )


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("feather", [0.0, 4.0])
def test_an_edit_that_changes_nothing_changes_no_bit(dtype: str, feather: float) -> None:
    mask = ring_mask()
    source = (np.random.default_rng(0).random(mask.shape) * 250).astype(dtype)
    band = Join(mask, np.ones_like(mask), (1, 1), feather).band(source, source.astype(np.float64))
    assert cast(band, source.dtype, None).tobytes() == source[mask].tobytes()


def test_the_feather_lies_inside_and_spares_thin_strokes() -> None:
    mask = np.zeros((40, 60), np.bool_)
    mask[5:35, 5:35] = True
    mask[20, 44:58] = True
    weight = np.full(mask.shape, np.nan)
    join = Join(mask, np.ones_like(mask), (1, 1), 6)
    weight[mask] = join.feathered(np.zeros(mask.shape), np.ones(mask.sum()))
    assert 0 < weight[5, 20] < 0.1 < weight[8, 20] < 1 == weight[20, 20]
    assert (np.diff(weight[5:16, 20]) >= 0).all()
    assert (weight[20, 44:58] == 1).all()


def test_the_edge_of_the_raster_and_nodata_are_no_border() -> None:
    mask = np.zeros((20, 20), np.bool_)
    mask[:, :10] = True
    known = np.ones_like(mask)
    known[:, 10:] = False
    source, generated = np.full(mask.shape, 7.0), np.full(mask.shape, 3.0)
    assert (Join(mask, known, (1, 1), 5).band(source, generated) == 3).all()
    whole = np.ones_like(mask)
    assert (Join(whole, whole, (1, 1), 5).band(source, generated) == 3).all()


def test_invalid_values_in_the_mask_do_not_spread() -> None:
    mask = np.zeros((30, 30), np.bool_)
    mask[5:25, 5:25] = True
    source = np.where(mask, np.nan, 10.0)
    filled = Join(mask, ~mask, (1, 1), 5).band(source, np.full(mask.shape, 10.0))
    assert np.allclose(filled, 10)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    mask = np.zeros((30, 30), np.bool_)
    mask[5:25, 5:25] = True
    generated = np.full(mask.shape, 10.0)
    generated[12, 12] = bad
    with pytest.raises(JobFailed, match="values to be painted are not finite. Set the nodata value"):
        Join(mask, ~mask, (1, 1), 5).band(np.full(mask.shape, 10.0), generated)


@pytest.mark.parametrize(
    ("dtype", "values", "avoid", "expected"),
    [
        ("uint8", [-3, 0.4, 254.6, 300], None, [0, 0, 255, 255]),
        ("uint8", [0, 1], 0.0, [1, 1]),
        ("uint8", [255, 3], 255.0, [254, 3]),
        ("int16", [-40000, -1.5, 40000], None, [-32768, -2, 32767]),
        ("uint64", [2.0**64, 5], None, [2**64 - 1, 5]),
    ],
)
def test_values_fit_their_type_and_never_read_as_nodata(
    dtype: str, values: list[float], avoid: float | None, expected: list[int]
) -> None:
    assert cast(np.array(values, np.float64), np.dtype(dtype), avoid).tolist() == expected


def test_floats_step_beside_nodata() -> None:
    found = cast(np.array([-9999.0, 1.5]), np.dtype("float32"), -9999.0)
    assert found[0] != -9999
    assert found[0] == pytest.approx(-9999)
    assert cast(np.array([1.5]), np.dtype("float32"), float("nan"))[0] == 1.5


def test_a_large_membrane_costs_its_area_a_few_times_and_its_border_often() -> None:
    """Three million pixels: as smooth as the tone along the border, in bounded memory."""
    row, col = np.mgrid[:1800, :1800]
    mask = np.hypot(row - 900, col - 900) < 880
    tone = (row + 2 * col) / 1800  # harmonic: the membrane is the plane itself
    join = Join(mask, np.ones_like(mask), (1, 1), 0)
    source, generated = tone, np.zeros_like(tone)
    tracemalloc.start()
    found = join.band(source, generated)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.abs(found - tone[mask]).max() < 0.02 * np.ptp(tone)
    assert peak < 40 * mask.size
