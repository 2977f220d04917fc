"""How large the pieces are that a scene is put together from, and how much of it shows one place twice.

A piece is an area of neighbouring pixels whose sources are neighbours as well: a copy of one place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from model_backend.arrays import Float64Array, Int32Array, Int64Array
from model_backend.evaluation.by_example.scenes import Maker
from model_backend.models.land_cover import BY_ID

Figures = dict[str, Any]

NEAR = 150  # pixels within which a second copy of a place is seen as one
_BLOCK = 4  # pixels of a source, each way, that count as one place
_SAME = 8  # pixels by which two copies of a place are apart at least, else they are one
FLAT = frozenset({"water", "sand", "wetland", "shrubland", "grassland", "farmland", "bare", "forest"})
"""Kinds whose land looks the same over wide areas, where a repeat is hard to see."""


def measure(maker: Maker, side: int) -> list[Figures]:
    """Measure a scene of every kind of land of every family that can lie everywhere."""
    rows = []
    for family in maker.bank.families:
        for kind in family.kinds:
            prompt = BY_ID[kind].words[0]
            shown = maker.shown(prompt, family.gsd, side, 7)
            if shown[0] != kind:  # it lies in something else, such as a road
                continue
            sources = maker.sources(prompt, family.gsd, side, 7)
            sizes = piece_sizes(sources)
            rows.append(
                {
                    "family": family.id,
                    "kind": kind,
                    "prompt": prompt,
                    "flat": kind in FLAT,
                    "median": float(np.median(sizes)),
                    "p90": float(np.quantile(sizes, 0.9)),
                    "repeated": float(repeated(sources).mean()),
                }
            )
            print("copies:", *rows[-1].values(), flush=True)
    return rows


def summary(rows: list[Figures]) -> Figures:
    """Return the middle of all kinds, and how many keep to the targets."""
    lively, flat = ([row for row in rows if row["flat"] is wanted] for wanted in (False, True))
    figures: Figures = {}
    for name, some, most in (("lively kinds", lively, 0.05), ("flat kinds", flat, 0.15)):
        if some:
            figures[name] = {
                "kinds": len(some),
                "median diameter": float(np.median([row["median"] for row in some])),
                "p90 diameter": float(np.median([row["p90"] for row in some])),
                "median above 42 px": [_named(row) for row in some if row["median"] > 42],
                "repeated %": 100 * float(np.mean([row["repeated"] for row in some])),
                f"repeated above {100 * most:g} %": [_named(row) for row in some if row["repeated"] > most],
            }
    return figures


def _named(row: Figures) -> str:
    return f"{row['family']}: {row['kind']}"


def piece_sizes(sources: Int32Array) -> Float64Array:
    """Return for every pixel the diameter, the root of the area, of the piece that it lies in, (pixels,)."""
    pieces = _pieces(_moves(sources))
    areas = np.bincount(pieces)
    sizes: Float64Array = np.sqrt(areas[pieces])
    return sizes


def repeated(sources: Int32Array, near: int = NEAR) -> Int64Array:
    """Mark the pixels, (pixels,), whose place is shown a second time nearby, by another copy."""
    places = sources.astype(np.int64) // _BLOCK
    keys = (places[..., 0] * (int(places[..., 1].max()) + 1) + places[..., 1]).ravel()
    order = np.argsort(keys, kind="stable")
    found: Int64Array = _twice(keys, order, _moves(sources).reshape(-1, 2), sources.shape[1], near, _SAME)
    return found


def _moves(sources: Int32Array) -> Int64Array:
    """Return by how much every pixel was moved, (height, width, 2)."""
    rows, cols = np.indices(sources.shape[:2])
    return sources.astype(np.int64) - np.stack([rows, cols], -1)


@njit(cache=True)
def _pieces(moves):  # type: ignore[no-untyped-def]
    """Number the areas of neighbouring pixels that were moved alike: union and find."""
    height, width = moves.shape[:2]
    parent = np.arange(height * width)
    for row in range(height):
        for col in range(width):
            for down, right in ((0, 1), (1, 0)):
                i, j = row + down, col + right
                if i == height or j == width:
                    continue
                if moves[row, col, 0] != moves[i, j, 0] or moves[row, col, 1] != moves[i, j, 1]:
                    continue
                one, other = row * width + col, i * width + j
                while parent[one] != one:
                    parent[one] = parent[parent[one]]
                    one = parent[one]
                while parent[other] != other:
                    parent[other] = parent[parent[other]]
                    other = parent[other]
                parent[max(one, other)] = min(one, other)
    for pixel in range(len(parent)):
        parent[pixel] = parent[parent[pixel]]
    return parent


@njit(cache=True)
def _twice(keys, order, moves, width, near, same):  # type: ignore[no-untyped-def]
    """Mark pixels of one place that were moved differently and lie near each other."""
    found = np.zeros(len(keys), np.int64)
    for start in range(len(order)):
        one = order[start]
        for later in range(start + 1, len(order)):
            other = order[later]
            if keys[other] != keys[one]:
                break
            if found[one] and found[other]:
                continue
            rows, cols = one // width - other // width, one % width - other % width
            apart = max(abs(moves[one, 0] - moves[other, 0]), abs(moves[one, 1] - moves[other, 1]))
            if apart > same and rows * rows + cols * cols < near * near:
                found[one] = found[other] = 1
    return found
