"""Land by example as latents, for a scene to begin with instead of noise alone.

The picture is encoded in tiles that lie still, each with a halo that the autoencoder can look into, and tiles
fade into their neighbours, as in decoding: the latents of a place never depend on what was asked for. Who
makes the picture is handed in; knows lattices and the model's encoder, no prompts and no noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from model_backend.arrays import UInt8Array
from model_backend.engine.diffusion.window_progress import WindowProgress
from model_backend.engine.lattice import Latents, Layout, Window, shares
from model_backend.engine.makers import Credit, SceneMaker, merged
from model_backend.models.card import ModelCard
from model_backend.models.loader import Model
from model_backend.schemas import Box, ExampleRecipe, Recipe


def composition_recipe(recipe: Recipe, card: ModelCard) -> Recipe:
    """Return the recipe of the land by example that a recipe with a start begins with.

    It is for all that the windows of the scene read: around the grid on the ground, else inside the canvas.
    """
    assert recipe.start is not None
    layout = Layout.of(card.engine, card.vae_factor, recipe.canvas_box)
    rows, cols = layout.windows(recipe.grid, len(card.engine.boundaries) + 1)[0]
    changed = {
        "model": recipe.start.bank,
        "revision": recipe.start.revision,
        "grid": _tiled(layout, layout.rows.hull(rows), layout.cols.hull(cols)),
        "examples": ExampleRecipe(gsd=recipe.start.gsd, samples=recipe.start.samples),
        "start": None,
    }
    return recipe.model_copy(update=changed)


def _tiled(layout: Layout, rows: range, cols: range) -> Box:
    """Return the pixels of all encode tiles that some latents are blended from."""
    tile_rows, tile_cols = layout.encode_rows, layout.encode_cols
    return layout.pixels(tile_rows.hull(tile_rows.touching(rows)), tile_cols.hull(tile_cols.touching(cols)))


class _Tile(NamedTuple):
    latents: Latents
    credits: tuple[Credit, ...]


class ComposedStart:
    """The latents of a picture that is made box by box, encoded where windows begin with them."""

    def __init__(self, model: Model, layout: Layout, composition: SceneMaker) -> None:
        self._model, self._layout, self._composition = model, layout, composition
        self._tiles: dict[Window, _Tile] = {}

    def prepare(self, rows: range, cols: range, progress: WindowProgress) -> None:
        """Make and encode what some latents need; whoever follows ``progress`` may stop it."""
        for tile in self._touching(rows, cols):
            if tile not in self._tiles:
                self._tiles[tile] = self._encoded(tile, progress)

    def latents(self, rows: range, cols: range) -> Latents:
        """Return a box of latents, (channels, rows, columns), once they are prepared."""
        latents = np.zeros((self._model.card.latent_channels, len(rows), len(cols)), np.float32)
        for tile, own, there, weight in shares(
            self._layout.encode_rows, self._layout.encode_cols, (rows, cols)
        ):
            latents[:, *there] += self._tiles[tile].latents[:, *own] * weight
        return latents

    def sketch(self, box: Box) -> UInt8Array | None:
        """Return the colours of what lies where in a box of the picture, before any of it is made."""
        return self._composition.sketch(box)

    def credits(self, rows: range, cols: range) -> tuple[Credit, ...]:
        """Return where the picture under some latents was copied from."""
        near = [self._tiles[tile] for tile in self._touching(rows, cols) if tile in self._tiles]
        return merged(credit for tile in near for credit in tile.credits)

    def keep(self, rows: range, cols: range) -> None:
        """Forget the tiles that a box of latents is not blended from."""
        wanted = set(self._touching(rows, cols))
        self._tiles = {tile: made for tile, made in self._tiles.items() if tile in wanted}
        self._composition.keep(_tiled(self._layout, rows, cols))

    def _touching(self, rows: range, cols: range) -> list[Window]:
        tile_rows, tile_cols = self._layout.encode_rows, self._layout.encode_cols
        return [Window(row, col) for row in tile_rows.touching(rows) for col in tile_cols.touching(cols)]

    def _encoded(self, tile: Window, progress: WindowProgress) -> _Tile:
        """Make the picture of a tile and encode it."""
        rows, cols = self._layout.encode_rows.cells(tile.row), self._layout.encode_cols.cells(tile.col)
        picture = self._composition.pixels(self._layout.pixels(rows, cols), _Follower(progress))
        pixels = torch.from_numpy(picture.astype(np.float32))[None] / 127.5 - 1
        latents: Latents = self._model.encode(pixels)[0].cpu().numpy()
        return _Tile(latents, self._composition.credits())


@dataclass(frozen=True)
class _Follower:
    """Follows the making of the picture for whoever follows the scene, of which no step is over yet."""

    progress: WindowProgress

    def step(self, done: int, total: int) -> None:
        """Let it be stopped."""
        self.progress.begun()

    def preview(self, pixels: UInt8Array) -> None:
        """Show nothing."""
