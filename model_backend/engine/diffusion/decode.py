"""Latents to pixels, in tiles that lie still.

A canvas of at most the card's decode window is decoded whole, and so is a somewhat larger one where the card
says that this is cheaper than tiles that overlap. Any other, and the ground always, is decoded in tiles of a
fixed lattice: a tile is decoded with a halo that its autoencoder can look into, and fades into its neighbours
over a few pixels. Tiles never depend on what was asked for, so neither do pixels.

An autoencoder with GroupNorm sees statistics of its whole tile: neighbouring tiles may differ by a few
digital numbers, which the fade hides and a metric must watch. Knows lattices and arrays; no model, no noise.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from model_backend.arrays import Float32Array, RgbImage
from model_backend.engine.lattice import Layout, shares


def decode(
    layout: Layout, rows: range, cols: range, tile: Callable[[range, range], Float32Array]
) -> RgbImage:
    """Return a box of pixels (counted from the pixel of latent 0, 0), shape (3, rows, columns).

    ``tile(rows, cols)`` decodes a box of *latents* to (3, rows * factor, columns * factor) in [-1, 1]; it is
    called once for every tile that touches the box, in order.
    """
    tile_rows, tile_cols = layout.tile_rows, layout.tile_cols
    image = np.zeros((3, len(rows), len(cols)), np.float32)
    for (i, j), own, there, weight in shares(tile_rows, tile_cols, (rows, cols)):
        pixels = tile(layout.to_latents(tile_rows.cells(i)), layout.to_latents(tile_cols.cells(j)))
        image[:, *there] += pixels[:, *own] * weight
    return to_bytes(image)


def to_bytes(image: Float32Array) -> RgbImage:
    """Return [-1, 1] as 0 .. 255, rounded to even as diffusers' image processor does."""
    pixels: RgbImage = np.rint((image / 2 + 0.5).clip(0, 1) * 255).astype(np.uint8)
    return pixels
