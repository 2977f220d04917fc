"""Where the lines of a lattice lie in a picture, and that windows which are blended leave none."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from model_backend.benchmark import random_weights
from model_backend.engine.lattice import Layout
from model_backend.engine.progress import SilentListener
from model_backend.engine.scene import Scene
from model_backend.evaluation import lattice_lines
from model_backend.evaluation.metrics.lines import AXES, Lines, seam_ratio
from model_backend.models.card import EngineParameters
from model_backend.schemas import Box

CPU = torch.device("cpu")


class TestPosition:
    def test_lines_lie_where_the_engine_puts_windows(self) -> None:
        engine = EngineParameters(
            window=8, stride=6, decode_window=26, decode_core=16, decode_halo=5, decode_fade=2
        )
        canvas = Box(col=-40, row=24, width=(8 + 6 * 9) * 8, height=(8 + 6 * 4) * 8)
        layout = Layout.of(engine, 8, canvas)
        corner = (50, 7)  # of a picture inside of the canvas
        place = lattice_lines.LatticePosition(engine, 8, corner)
        size = (150, 300)
        found = {(name, part, axis): lines for name, part, axis, lines in place.lines(size)}
        for axis, lattice, tiles, length, origin in (
            ("rows", layout.rows, layout.tile_rows, size[0], corner[0] + canvas.row),
            ("cols", layout.cols, layout.tile_cols, size[1], corner[1] + canvas.col),
        ):
            for name, one, unit in (("windows", lattice, 8), ("decode", tiles, 1)):
                assert one.pieces is not None
                assert one.bounds is not None
                # Cells of a tile begin with its halo; pieces are numbered from the canvas's edge, which is
                # no line.
                starts = [
                    one.bounds.start * unit + piece * one.stride * unit for piece in range(1, one.pieces)
                ]
                if name == "windows":
                    assert starts == [one.cells(piece).start * unit for piece in range(1, one.pieces)]
                for part, shift in (("begin", 0), ("middle", one.ramp * unit // 2), ("end", one.ramp * unit)):
                    lines = set((found[name, part, axis].within(length) + origin - shift).tolist())
                    inside = {line for line in lines if starts[0] <= line <= starts[-1]}
                    assert inside == {start for start in starts if origin < start + shift < origin + length}
                    assert inside

    def test_one_decode_window_has_no_tiles(self) -> None:
        lines = list(lattice_lines.LatticePosition(EngineParameters(), 8).lines((800, 832)))
        assert {name for name, *_ in lines} == {"windows"}
        assert lines[0] == ("windows", "begin", "rows", Lines(192, 0))


class TestFusion:
    def test_windows_of_a_scene_meet_without_a_seam_and_windows_made_alone_do_not(self) -> None:
        model, _ = random_weights.build("tiny", CPU, torch.float32)
        side, count = 64, 5
        whole = Box(col=0, row=0, width=side + 6 * 8 * count, height=side + 6 * 8 * count)

        def pixels(box: Box, seed: int) -> NDArray[np.uint8]:
            recipe = model.card.recipe("a lake", 17, seed, box).model_copy(update={"steps": 8})
            return Scene(model, recipe).pixels(box, SilentListener())

        scene = pixels(whole, 1)
        alone = np.block(
            [
                [
                    pixels(Box(col=side * j, row=side * i, width=side, height=side), 9 * i + j)
                    for j in range(count)
                ]
                for i in range(count)
            ]
        )
        for axis in AXES:
            assert seam_ratio(alone, axis, Lines(side), 8).z > 3
            for offset in (0, 8, 16):
                assert abs(seam_ratio(scene, axis, Lines(48, offset), 8).z) < 3
