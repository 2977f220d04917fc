"""Decoding: tiles lie still, weigh one, and equal the whole where the decoder is local."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor

from model_backend.engine.diffusion.decode import decode, to_bytes
from model_backend.engine.diffusion.noise import Noise
from model_backend.engine.lattice import Layout, canvas_box
from model_backend.models.card import EngineParameters
from model_backend.schemas import Box
from tests.support.backend.tiny_models import build_tiny, load_tiny

pytestmark = pytest.mark.fast

PARAMS = EngineParameters(window=8, stride=6, decode_window=26, decode_core=16, decode_halo=5, decode_fade=2)
NOISE = Noise(seed=3, level=16, frame_hash=1)


def local(rows: range, cols: range) -> np.ndarray:
    """A decoder that looks nowhere: nearest neighbour, so tiles must equal the whole."""
    return np.tanh(NOISE.normals(rows, cols)[:3]).repeat(8, 1).repeat(8, 2)


@pytest.mark.parametrize("side", [64, 200, 600])
@pytest.mark.parametrize("ground", [True, False])
def test_tiles_of_a_local_decoder_equal_the_whole(ground: bool, side: int):
    box = Box(col=-77, row=13, width=side, height=side // 2)
    layout = Layout.of(PARAMS, 8, None if ground else canvas_box(box, PARAMS, 8))
    asked = Box(col=box.col + 5, row=box.row + 3, width=side - 11, height=side // 2 - 7)
    rows, cols = layout.place(asked)
    whole = local(range(rows.start // 8, rows.stop // 8 + 1), range(cols.start // 8, cols.stop // 8 + 1))
    top, left = rows.start % 8, cols.start % 8
    expected = to_bytes(whole[:, top : top + len(rows), left : left + len(cols)])
    np.testing.assert_array_equal(decode(layout, rows, cols, local), expected)


def test_a_small_canvas_is_decoded_whole_and_once():
    canvas = canvas_box(Box(col=1, row=2, width=200, height=160), PARAMS, 8)
    layout = Layout.of(PARAMS, 8, canvas)
    asked: list[tuple[range, range]] = []

    def tile(rows: range, cols: range) -> np.ndarray:
        asked.append((rows, cols))
        return local(rows, cols)

    rows, cols = layout.place(Box(col=50, row=60, width=5, height=5))
    decode(layout, rows, cols, tile)
    assert asked == [(layout.rows.bounds, layout.cols.bounds)]


@pytest.mark.parametrize(("side", "pieces"), [(32, 1), (38, 1), (44, 3)])
def test_a_card_may_have_a_larger_canvas_decoded_whole(side: int, pieces: int):
    """Axis by axis; a canvas beyond that has the tiles it always had."""
    params = PARAMS.model_copy(update={"decode_whole": 40})
    canvas = Box(col=-5, row=8, width=side * 8, height=56 * 8)
    layout, before = Layout.of(params, 8, canvas), Layout.of(PARAMS, 8, canvas)
    assert layout.tile_cols.pieces == pieces
    assert layout.tile_rows == before.tile_rows
    assert (layout.tile_cols == before.tile_cols) == (side > 40)
    if pieces == 1:
        assert len(layout.tile_cols.cells(0)) == canvas.width
        assert (layout.tile_cols.weight(0) == 1).all()


def test_tiles_have_one_shape_and_are_decoded_once():
    for canvas in (None, canvas_box(Box(col=0, row=0, width=700, height=300), PARAMS, 8)):
        layout = Layout.of(PARAMS, 8, canvas)
        asked: list[tuple[range, range]] = []

        def tile(rows: range, cols: range) -> np.ndarray:
            asked.append((rows, cols))  # noqa: B023
            return local(rows, cols)

        rows, cols = layout.place(Box(col=10, row=10, width=600, height=200))
        decode(layout, rows, cols, tile)
        assert len({(len(rows), len(cols)) for rows, cols in asked}) == 1
        assert len(set(asked)) == len(asked) > 1
        read_rows, read_cols = layout.latents(Box(col=10, row=10, width=600, height=200))
        assert (min(r.start for r, _ in asked), max(r.stop for r, _ in asked)) == (
            read_rows[0],
            read_rows[-1] + 1,
        )
        assert (min(c.start for _, c in asked), max(c.stop for _, c in asked)) == (
            read_cols[0],
            read_cols[-1] + 1,
        )


def test_bytes_are_those_of_diffusers():
    image = np.linspace(-1.3, 1.3, 3 * 64 * 64, dtype=np.float32).reshape(3, 64, 64)
    processor = VaeImageProcessor()
    theirs = processor.postprocess(torch.from_numpy(image)[None], output_type="pil")[0]
    np.testing.assert_array_equal(to_bytes(image), np.asarray(theirs).transpose(2, 0, 1))


@pytest.mark.slow
def test_an_autoencoder_without_groupnorm_tiles_exactly(tmp_path):
    """Experiment E8: stock AutoencoderTiny; a halo as wide as its reach leaves rounding alone."""
    model = load_tiny(build_tiny(tmp_path / "tiny-vae", vae="tiny"))
    params = EngineParameters(
        window=8, stride=6, decode_window=34, decode_core=10, decode_halo=12, decode_fade=2
    )
    latents = torch.from_numpy(NOISE.normals(range(0, 44), range(0, 44)))
    whole = model.decode(latents[None])[0].numpy()

    def tile(rows: range, cols: range) -> np.ndarray:
        return model.decode(latents[None, :, rows.start : rows.stop, cols.start : cols.stop])[0].numpy()

    layout = Layout.of(params, 8, Box(col=0, row=0, width=352, height=352))
    image = decode(layout, range(0, 352), range(0, 352), tile).astype(int)
    assert np.abs(image - to_bytes(whole)).max() <= 1
    assert (image != to_bytes(whole)).mean() < 1e-3
