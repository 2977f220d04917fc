"""What every pixel of an original shows: outlines drawn by hand, forest masks, codes of a crop map.

Areas too small to draw from join what is around them: a patch must lie in one area on coarse levels too.
Knows kinds of land, no files of a bank.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from model_backend.arrays import BoolArray, UInt8Array
from model_backend.models.banks.bank import UNUSABLE
from model_backend.models.land_cover import KINDS
from model_backend.training.bank.choice import Group
from model_backend.training.bank.originals import Original
from model_backend.training.bank.streets import around, streets

LEAST_SHARE = 0.05  # of an image, below which a kind joins what is around it
_OUTLINES = Path(__file__).with_name("outlines.json")
_FOREST = 1  # code of a forest mask
_CROP_MAP = (
    ("water", (111,)),
    ("wetland", (190, 195)),
    ("forest", (141, 142, 143)),
    ("shrubland", (152,)),
    ("grassland", (176,)),
    ("bare", (131,)),
    ("town", (122, 123, 124)),
)  # codes of the Cropland Data Layer; 121 is mostly roads, what is not listed is crops
_ROADS = 121
_OUT = 40

Outlines = dict[str, dict[str, Any]]


def outlines() -> Outlines:
    """Read the outlines of images: the kind of the ``rest``, and polygons x, y, x, y, ... of other kinds.

    ``edge`` names a kind that is drawn along them, so many pixels wide: what is neither sand nor water.
    """
    found: Outlines = json.loads(_OUTLINES.read_bytes())
    return found


def number(kind: str) -> int:
    """Return the number of a kind among all kinds; that of no kind is 255."""
    return next((index for index, one in enumerate(KINDS) if one.id == kind), UNUSABLE)


def label(original: Original, group: Group, shapes: dict[str, Any] | None) -> UInt8Array:
    """Return the number of the kind of every pixel; ``shapes`` are its outlines, if there are some."""
    size = original.pixels().shape[:2]
    if group.whole:
        return np.full(size, number(group.kind), np.uint8)
    codes = original.code_map()
    if codes is not None and original.table == "landsat_cdl_30m":
        return tidy(smooth(_crops(codes), 2))
    rest = shapes["rest"] if shapes else group.kind
    labels = np.full(size, number(rest), np.uint8)
    if codes is not None and rest != "town":
        labels[smooth((codes == _FOREST).astype(np.uint8), 3) == 1] = number("forest")
    if group.streets and (nir := original.near_infrared()) is not None:
        street, broad = streets(original.pixels(), nir)
        labels[street], labels[broad] = number("road"), UNUSABLE
    image = Image.fromarray(labels)
    draw = ImageDraw.Draw(image)
    edge, width = (shapes or {}).get("edge", ("", 0))
    for name, polygons in (shapes or {}).items():
        for polygon in polygons if name not in ("rest", "edge") else ():
            outer = [_beyond(place, size[1 - axis % 2]) for axis, place in enumerate(polygon)]
            draw.polygon(outer, fill=number(name))
            if width:
                draw.line([*outer, *outer[:2]], fill=number(edge), width=width)
    return np.array(image) if shapes or group.streets else tidy(np.array(image))


def _beyond(place: int, side: int) -> int:
    """Move a corner at the rim of an image out of it, so that no edge is drawn along the rim."""
    return -_OUT if place <= 0 else side + _OUT if place >= side else place


def _crops(codes: UInt8Array) -> UInt8Array:
    """Turn codes of the crop map into kinds; roads are taken for what is around them."""
    labels = np.full(codes.shape, number("farmland"), np.uint8)
    for kind, some in _CROP_MAP:
        labels[np.isin(codes, some)] = number(kind)
    return filled(labels, codes == _ROADS)


def tidy(labels: UInt8Array) -> UInt8Array:
    """Let kinds with a small share of an image join what is around them."""
    names, counts = np.unique(labels, return_counts=True)
    small = names[(counts < LEAST_SHARE * labels.size) & (names != UNUSABLE)]
    return filled(labels, np.isin(labels, small)) if len(small) < len(names) else labels


def smooth(labels: UInt8Array, radius: int) -> UInt8Array:
    """Give every pixel the label of most pixels of the square around it."""
    names = np.unique(labels)
    votes = np.stack([around((labels == name).astype(np.int64), radius) for name in names], -1)
    most: UInt8Array = names[votes.argmax(-1)]
    return most


def filled(labels: UInt8Array, holes: BoolArray) -> UInt8Array:
    """Fill holes from their rims, ring by ring, with the label of most neighbours."""
    labels, holes = labels.copy(), holes.copy()
    while holes.any() and not holes.all():
        names = np.unique(labels[~holes])
        votes = np.stack([around(((labels == name) & ~holes).astype(np.int64), 1) for name in names], -1)
        ring = holes & (votes.max(-1) > 0)
        labels[ring] = names[votes.argmax(-1)][ring]
        holes &= ~ring
    return labels
