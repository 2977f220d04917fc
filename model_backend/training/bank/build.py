"""From the tables of originals to the folder of a bank; the same bytes every time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from model_backend.arrays import UInt8Array
from model_backend.models.banks.bank import UNUSABLE, turned
from model_backend.models.banks.direction import direction
from model_backend.models.banks.index import Chip, Family
from model_backend.models.land_cover import DIRECTED, KINDS
from model_backend.training.bank import labels, tone
from model_backend.training.bank.choice import Choice, FamilyChoice, Group
from model_backend.training.bank.files import png, write
from model_backend.training.bank.originals import SOURCES, Original, read

_SHOWN = 0.08  # share of an image from which on it counts as one of a kind
_LAKE, _LAKE_SHARE = ("lake", "reservoir"), 0.3


@dataclass(frozen=True)
class Taken:
    """An original that the bank takes, with its group and the number of the kind of every pixel."""

    original: Original
    group: Group
    labels: UInt8Array


def build(data: Path, out: Path, choice: Choice) -> None:
    """Write a bank. Raises ValueError if an original that is named is not there."""
    taken = _take(data, choice)
    kinds = tuple(
        KINDS[index].id for index in sorted({int(n) for one in taken for n in np.unique(one.labels)} - {255})
    )
    files: dict[str, bytes] = {}
    chips = []
    for family in choice.families:
        for kind in dict.fromkeys(group.kind for group in choice.groups if group.family == family.id):
            some = [one for one in taken if (one.group.family, one.group.kind) == (family.id, kind)]
            chips += _chips(some, family, kinds, files)
    families = [_family(one, chips, kinds) for one in choice.families]
    index = {
        "kinds": kinds,
        "families": [asdict(one) for one in families if one.kinds],
        "chips": [_row(chip) for chip in chips],
    }
    used = dict.fromkeys(one.original.table for one in taken)
    write(out, index, files, [SOURCES[table] for table in SOURCES if table in used])


def _take(data: Path, choice: Choice) -> list[Taken]:
    """Find the originals of every group; of ``*``, those that show rare kinds most."""
    outlines, taken = labels.outlines(), []
    for table in dict.fromkeys(group.table for group in choice.groups):
        originals = list(read(data, table))
        for group in choice.groups:
            if group.table != table:
                continue
            some = [
                Taken(one, group, labels.label(one, group, outlines.get(one.id)))
                for one in originals
                if group.takes(one.file) and not choice.leaves_out(one.file)
            ]
            if group.ids != "*" and len(some) < len(set(group.ids.split())):
                there = {one.original.file for one in some}
                missing = [id for id in group.ids.split() if group.files.format(id) not in there]
                raise ValueError(f"{group.files} lacks {missing} in {table}, or they are left out")
            taken.extend(most_telling(some, group.most) if group.most else some)
    return taken


def most_telling(some: Sequence[Taken], most: int) -> list[Taken]:
    """Take images in turns, each time the one that shows most of the kind that was shown least so far."""
    shares = np.stack([np.bincount(one.labels.ravel(), minlength=256)[:UNUSABLE] for one in some]) / 1.0
    shares /= shares.sum(1, keepdims=True)
    present = np.flatnonzero(shares.max(0) >= _SHOWN)
    left, shown = list(range(len(some))), np.zeros(UNUSABLE)
    picked: list[int] = []
    while left and len(picked) < most:
        kind = present[shown[present].argmin()]
        best = max(left, key=lambda index: (shares[index, kind], -index))
        shown[kind] += max(shares[best, kind], 0.5)
        picked.append(best)
        left.remove(best)
    return [some[index] for index in sorted(picked)]


def _chips(
    some: Sequence[Taken], family: FamilyChoice, kinds: tuple[str, ...], files: dict[str, bytes]
) -> list[Chip]:
    """Describe the images of a kind and add their files."""
    measures = [
        tone.measure(one.original.pixels()[one.labels == labels.number(one.group.kind)]) for one in some
    ]
    made = tone.tones(measures, [one.group.strength for one in some], family.gain, family.lift)
    numbers = np.full(256, UNUSABLE, np.uint8)
    for index, kind in enumerate(kinds):
        numbers[labels.number(kind)] = index
    return [
        _turned(_chip(one, family, kinds, numbers[one.labels], own, files), one.original, turn)
        for one, own in zip(some, made, strict=True)
        for turn in one.group.turns
    ]


def _row(chip: Chip) -> dict[str, object]:
    """Return what the index says of an image: what it has, and how it is turned, if it is."""
    members = asdict(chip).items()
    return {name: value for name, value in members if value not in (None, ()) and (name != "turn" or value)}


def _turned(chip: Chip, original: Original, turn: int) -> Chip:
    """Turn an image; the direction of what is built in it turns with it."""
    chip = replace(chip, id=f"{chip.id}-{turn}", turn=turn) if turn else chip
    if not {*chip.kinds} & DIRECTED:
        return chip
    return replace(chip, direction=direction(turned(original.pixels(), turn)))


def _chip(
    one: Taken,
    family: FamilyChoice,
    kinds: tuple[str, ...],
    numbers: UInt8Array,
    made: tone.Tone,
    files: dict[str, bytes],
) -> Chip:
    original = one.original
    stem = f"{family.id}/{original.id}"
    present, counts = np.unique(numbers[numbers < UNUSABLE], return_counts=True)
    order = sorted(zip(-counts, present.tolist(), strict=True))
    draws = one.group.draws or kinds
    shown = tuple(
        kinds[n]
        for less, n in order
        if kinds[n] == one.group.kind or (-less >= _SHOWN * numbers.size and kinds[n] in draws)
    )
    chip = Chip(
        id=stem,
        family=family.id,
        gsd=original.gsd,
        kinds=shown,
        around=tuple(kinds[n] for _, n in order if kinds[n] not in shown),
        words=one.group.words + (_LAKE if one.group.ids == "*" and _wide(one.labels) else ()),
        source=SOURCES[original.table].key,
        licence=SOURCES[original.table].licence,
        image=f"{stem}.{original.ending}",
        kind=kinds[int(numbers[0, 0])] if len(np.unique(numbers)) == 1 else None,
        date=original.date,
        place=original.place,
        tone=made if any(pair != (256, 0) for pair in made) else (),
    )
    files[chip.image] = original.image
    if original.nir is not None and family.nir:
        chip = replace(chip, nir=f"{stem}.nir.webp")
        files[f"{stem}.nir.webp"] = original.nir
    if chip.kind is None:
        chip = replace(chip, labels=f"{stem}.labels.png")
        files[f"{stem}.labels.png"] = png(numbers)
    return chip


def _family(one: FamilyChoice, chips: Sequence[Chip], kinds: tuple[str, ...]) -> Family:
    shown = {kind for chip in chips if chip.family == one.id for kind in chip.kinds}
    return Family(
        one.id, one.title, one.gsd, one.finest, one.coarsest, tuple(kind for kind in kinds if kind in shown)
    )


def _wide(numbers: UInt8Array) -> bool:
    """Say whether an image shows wide water, that is more than the water of ponds or rivers."""
    return bool((numbers == labels.number("water")).mean() >= _LAKE_SHARE)
