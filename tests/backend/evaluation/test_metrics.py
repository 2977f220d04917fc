"""The metrics find what was planted, by the size it was planted with, and nothing in what is whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model_backend.evaluation.metrics.comparison import Z_LIMIT
from model_backend.evaluation.metrics.contrast import (
    compare_contrast,
    cut_windows,
    disagreement,
    gradient_energy,
)
from model_backend.evaluation.metrics.lines import (
    Axis,
    Lines,
    decoy_period,
    line_profile,
    seam_ratio,
    tone_step_ratio,
)
from model_backend.evaluation.metrics.outlines import border_ratio, colour_step
from model_backend.evaluation.metrics.repetition import repetition_peak

pytestmark = pytest.mark.fast

AXES: tuple[Axis, Axis] = ("rows", "cols")
SCENE = Path(__file__).parents[3] / "resources" / "demo" / "scene.tif"
Image = NDArray[np.float64]


def field(seed: int, *shape: int, beta: float = 2.0) -> Image:
    """A random field whose power falls with frequency as f^-beta, as in natural pictures; std 40."""
    random = np.random.default_rng(seed)
    rows, cols = shape[-2:]
    radius = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(cols))
    radius[0, 0] = np.inf
    white = np.fft.rfft2(random.standard_normal(shape))
    values = np.fft.irfft2(white * radius ** (-beta / 2), s=(rows, cols))
    return 128 + 40 * values / values.std()


def tiles(seed: int, count: int, side: int) -> Image:
    """Independent fields side by side: what a canvas without any blending looks like."""
    return np.block([[field(seed + 100 * i + j, 3, side, side) for j in range(count)] for i in range(count)])


@pytest.fixture(scope="module")
def whole() -> Image:
    return field(1, 3, 400, 480)


class TestSeam:
    @pytest.mark.parametrize("axis", AXES)
    def test_independent_tiles_are_found_where_they_meet_and_only_there(self, axis: Axis) -> None:
        image = tiles(3, 8, 48)
        there = seam_ratio(image, axis, Lines(48), 4)
        assert there.ratio > 2.5
        assert there.z > 4
        assert there.ratio > there.band[1]
        assert not there.passed
        beside = seam_ratio(image, axis, Lines(48, 20), 4)
        assert abs(beside.z) < Z_LIMIT

    @pytest.mark.parametrize("axis", AXES)
    @pytest.mark.parametrize("offset", [0, 7, -5, 48])
    def test_a_faint_step_is_found_with_its_size(self, whole: Image, axis: Axis, offset: int) -> None:
        lines = Lines(48, offset)
        at = lines.within(whole.shape[1 if axis == "rows" else 2])
        raised = np.zeros(whole.shape[1 if axis == "rows" else 2])
        for i, line in enumerate(at):
            raised[line:] += 12 if i % 2 else -12
        image = whole + (raised[:, None] if axis == "rows" else raised)
        profile = line_profile(whole, axis)
        found = seam_ratio(image, axis, lines)
        others = np.delete(profile, [0, *at])
        assert found.ratio == pytest.approx((profile[at].mean() + 144) / others.mean(), rel=0.15)
        assert found.z > Z_LIMIT
        assert found.count == len(at)

    def test_a_whole_picture_passes_as_often_as_it_should(self) -> None:
        results = [
            seam_ratio(field(seed, 1, 256, 256), axis, Lines(period, offset), 8)
            for seed in range(6)
            for axis in AXES
            for period in (32, 48)
            for offset in (0, 8, 13)
        ]
        assert np.std([one.z for one in results]) == pytest.approx(1, abs=0.35)
        assert np.mean([one.ratio for one in results]) == pytest.approx(1, abs=0.05)
        assert sum(abs(one.z) >= 3 for one in results) <= 1
        assert np.mean([one.band[0] <= one.ratio <= one.band[1] for one in results]) > 0.8

    def test_a_comb_of_the_decoder_is_no_seam(self, whole: Image) -> None:
        combed = whole + 25 * (np.arange(whole.shape[2]) // 8 % 2)
        assert seam_ratio(combed, "cols", Lines(48), 1).z > Z_LIMIT
        assert abs(seam_ratio(combed, "cols", Lines(48), 8).z) < Z_LIMIT

    def test_real_land_without_seams(self) -> None:
        from PIL import Image as Pillow

        image = np.asarray(Pillow.open(SCENE))[..., :3].transpose(2, 0, 1)
        results = [
            seam_ratio(image, axis, Lines(48, offset), 4) for axis in AXES for offset in range(0, 48, 4)
        ]
        assert np.mean([abs(one.z) < Z_LIMIT for one in results]) > 0.9
        assert np.median([one.ratio for one in results]) == pytest.approx(1, abs=0.15)

    def test_the_comb_that_resampling_left_in_real_land(self) -> None:
        from PIL import Image as Pillow

        image = np.asarray(Pillow.open(SCENE))[..., :3].transpose(2, 0, 1)
        found = {offset: seam_ratio(image, "rows", Lines(24, offset)) for offset in range(24)}
        assert [offset for offset, one in found.items() if one.z > Z_LIMIT] == [18]
        assert found[18].ratio > 1.5

    def test_a_single_real_edge_does_not_make_a_seam(self, whole: Image) -> None:
        road = whole.copy()
        road[:, :, 96:] += 200  # on one of nine lines
        assert seam_ratio(road, "cols", Lines(48), 8).z < Z_LIMIT

    def test_flat_pictures_and_short_ones(self) -> None:
        flat = np.full((3, 64, 64), 7, np.uint8)
        assert seam_ratio(flat, "cols", Lines(16)).z != seam_ratio(flat, "cols", Lines(16)).z  # NaN: 0 / 0
        with pytest.raises(ValueError, match="too short"):
            seam_ratio(flat, "cols", Lines(100))
        with pytest.raises(ValueError, match="too short"):
            tone_step_ratio(flat, "rows", Lines(16), 64)


class TestTone:
    @pytest.mark.parametrize("width", [16, 64])
    def test_a_tone_step_without_an_edge_is_found(self, width: int) -> None:
        random = np.random.default_rng(0)
        image = field(2, 3, 512, 512, beta=1.0)
        steps = np.repeat(np.repeat(random.normal(0, 30, (3, 4, 4)), 128, 1), 128, 2)
        ramp = np.ones(8) / 8
        smooth = np.apply_along_axis(lambda row: np.convolve(row, ramp, "same"), 2, steps)
        smooth[..., :4], smooth[..., -4:] = steps[..., :4], steps[..., -4:]
        for axis, planted in (("cols", image + smooth), ("rows", (image + smooth).swapaxes(1, 2))):
            found = tone_step_ratio(planted, axis, Lines(128), width)  # type: ignore[arg-type]
            assert found.ratio > 1.3
            assert found.ratio > found.band[1]
        assert tone_step_ratio(image, "cols", Lines(128), width).ratio == pytest.approx(1, abs=0.35)

    def test_value_by_hand(self) -> None:
        image = np.zeros((1, 4, 24))
        image[..., 12:] = 10
        profile = line_profile(image, "cols", width=4)
        assert profile[12] == 10
        assert profile[10] == 5
        assert profile[4] == 0
        assert np.isnan(profile[3])
        assert np.isnan(profile[21])


class TestContrast:
    def test_averaging_windows_washes_out_and_shows(self) -> None:
        singles = np.stack([field(seed, 3, 64, 64) for seed in range(16)])
        scene = np.concatenate([np.concatenate(list(singles[i : i + 4]), 2) for i in range(0, 16, 4)], 1)
        same = compare_contrast(scene, singles)
        assert same.std == pytest.approx(1)
        assert same.local == pytest.approx(1)
        assert same.gradient == pytest.approx(1)
        assert all(power == pytest.approx(1) for _, power in same.spectrum)
        averaged = 128 + (scene - 128 + scene[:, ::-1] - 128) / 2
        washed = compare_contrast(averaged, singles)
        assert washed.std == pytest.approx(2**-0.5, abs=0.06)
        assert washed.gradient == pytest.approx(0.5, abs=0.06)

    def test_a_blur_shows_in_the_high_octaves_only(self, whole: Image) -> None:
        singles = cut_windows(whole, 80, 80)
        blurred = (whole + np.roll(whole, 1, 1) + np.roll(whole, 1, 2) + np.roll(whole, 1, (1, 2))) / 4
        (top, high), *_, (_, low) = compare_contrast(blurred, singles).spectrum
        assert top == 0.5
        assert high < 0.5
        assert low == pytest.approx(1, abs=0.05)

    def test_windows_are_cut_from_the_corner(self) -> None:
        image = np.arange(2 * 5 * 7).reshape(2, 5, 7)
        windows = cut_windows(image, 2, 3)
        assert windows.shape == (4, 2, 2, 3)
        assert np.array_equal(windows[3], image[:, 2:4, 3:6])
        with pytest.raises(ValueError, match="holds no window"):
            cut_windows(image, 6, 3)


class TestDisagreement:
    def test_windows_of_one_field_agree_and_strangers_do_not(self) -> None:
        latents = np.random.default_rng(0).standard_normal((4, 56, 56))
        first, second = latents[:, :32, :32], latents[:, 24:, 24:]
        assert disagreement(first, second, (24, 24)) == 0
        assert disagreement(first, second, (0, 8)) == pytest.approx(2**0.5, abs=0.05)
        assert disagreement(first, second + 0.25, (24, 24)) == pytest.approx(0.25)

    def test_windows_that_do_not_touch(self) -> None:
        window = np.zeros((4, 8, 8))
        with pytest.raises(ValueError, match="do not overlap"):
            disagreement(window, window, (0, 8))


class TestRepetition:
    @pytest.mark.parametrize("axis", AXES)
    def test_a_thing_in_every_window(self, whole: Image, axis: Axis) -> None:
        image = whole.copy()
        for row in range(10, 390, 48):
            for col in range(10, 470, 48):
                image[:, row : row + 6, col : col + 6] += 120
        assert repetition_peak(image, axis, 48).z > 2 * Z_LIMIT
        assert abs(repetition_peak(whole, axis, 48).z) < Z_LIMIT

    def test_too_short(self) -> None:
        with pytest.raises(ValueError, match="too short"):
            repetition_peak(np.zeros((1, 60, 60)), "cols", 48)


class TestBorder:
    def mask(self, seed: int = 0) -> NDArray[np.bool_]:
        mask = np.zeros((400, 480), np.bool_)
        mask[120:230, 150:300] = True
        mask[200:280, 260:330] = True
        return mask

    def test_a_patch_of_another_tone_shows_at_its_border(self, whole: Image) -> None:
        mask = self.mask()
        nothing = border_ratio(whole, mask)
        assert nothing.ratio == pytest.approx(1, abs=0.2)
        assert nothing.passed
        assert nothing.count == 2 * (160 + 180)
        patched = np.where(mask, whole + 15, whole)
        found = border_ratio(patched, mask)
        energy = gradient_energy(whole)
        assert found.ratio == pytest.approx(1 + 15**2 / energy, rel=0.25)
        assert found.z > Z_LIMIT

    def test_a_smooth_membrane_does_not(self, whole: Image) -> None:
        mask = self.mask()
        inside = np.minimum.reduce(
            [np.roll(mask, step, axis) * 1.0 for axis in (0, 1) for step in range(-12, 13)]
        )
        weight = inside
        for axis in (0, 1):
            weight = np.apply_along_axis(
                lambda line: np.convolve(line, np.ones(13) / 13, "same"), axis, weight
            )
        assert border_ratio(whole + 15 * weight, mask).ratio == pytest.approx(1, abs=0.2)

    def test_no_outline(self, whole: Image) -> None:
        with pytest.raises(ValueError, match="no outline"):
            border_ratio(whole, np.ones((400, 480), np.bool_))


def test_decoys_are_primes_beside_the_period() -> None:
    assert [decoy_period(period) for period in (192, 211, 48, 2)] == [193, 223, 47, 3]


def test_a_step_is_told_per_band_and_with_its_sign() -> None:
    mask = np.zeros((20, 30), np.bool_)
    mask[5:12, 8:20] = True
    image = np.stack([np.where(mask, 13.0, 10.0), np.where(mask, 1.0, 5.0)])
    assert colour_step(image, mask).tolist() == [3.0, -4.0]
    with pytest.raises(ValueError, match="no outline"):
        colour_step(image, np.ones_like(mask))
