"""Choosing example images of a bank for a scene, and stacking them into an atlas.

Images come from one family where it shows all that is wanted, so that they have one tone; what it lacks comes
from others. Which of many images are taken, the seed decides.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from model_backend.arrays import UInt8Array
from model_backend.engine.by_example.credits import CreditedAtlas, Origin
from model_backend.engine.synthesis.atlas import Atlas, Exemplar
from model_backend.engine.synthesis.hashing import mix
from model_backend.engine.synthesis.parameters import SCENE_GAMMA, SIDE, Parameters
from model_backend.engine.synthesis.pyramid import UNUSABLE
from model_backend.errors import JobFailed
from model_backend.models.banks import resampling
from model_backend.models.banks.bank import Bank
from model_backend.models.banks.direction import ENOUGH, alike, usual
from model_backend.models.banks.index import Chip, Family
from model_backend.models.land_cover import DIRECTED, FARMLAND, SAMPLE, SOFT

MOST_BELOW = 36  # images of what lies everywhere
MOST_OF_EACH = 8  # of what lies in it
_BUILT = DIRECTED - {"road"}


def direction_of(bank: Bank, gsd: float, kinds: Sequence[str], seed: int) -> int | None:
    """Return the direction that the streets of a scene are to have: one that enough of the bank's images of
    what is built there have; None if nothing is built."""
    built = next((kind for kind in kinds if kind in _BUILT), None)
    main = bank.family_for(gsd, kinds)
    if built is None or main is None:
        return None
    return usual([chip.direction for chip in _showing(bank, gsd, main, built)], mix(seed, 0, 0, 19))


def chosen(
    bank: Bank,
    gsd: float,
    kinds: Sequence[str],
    seed: int,
    words: Collection[str] = (),
    direction: int | None = None,
) -> list[Chip]:
    """Return the images for a scene that shows some kinds, the first of them everywhere, in the bank's order.

    ``words`` are what things are called: a river is shown by images of rivers, if there are any. What is
    built has the ``direction``, in degrees, and the streets of a town are those among it, as far as there are
    such images.
    """
    main = bank.family_for(gsd, kinds)
    if main is None:
        raise JobFailed(f"There are no example images for pixels of {gsd:g} m.")
    taken: set[str] = set()
    for number, kind in enumerate(kinds):
        able = _showing(bank, gsd, main, kind)
        if kind == "road" and kinds[0] in DIRECTED:
            able = _running(direction, *_streets(able, kinds))
        elif kind in _BUILT:
            able = _running(direction, able)
        order = sorted(range(len(able)), key=lambda index: mix(seed, number, index, 17))
        if kind == "water":
            order = _waters(able, order, "sand" in kinds, words)
        most = MOST_OF_EACH if number else MOST_BELOW
        taken.update(able[index].id for index in order[:most])
    return [chip for chip in bank.chips if chip.id in taken]


def _showing(bank: Bank, gsd: float, main: Family, kind: str) -> Sequence[Chip]:
    """Return the images of a kind: those of the scene's main family, of another one where it has none."""
    family = main if kind in main.kinds else bank.family_for(gsd, [kind]) or main
    return bank.of(family.id, kind)


def _streets(able: Sequence[Chip], kinds: Sequence[str]) -> list[Sequence[Chip]]:
    """Sort images of streets: those of what is built in a scene first, then those beside it; others are of
    highways."""
    built = {*kinds} & _BUILT
    beside = [chip for chip in able if built & {*chip.kinds, *chip.around}]
    within = [chip for chip in beside if built & {*chip.kinds}]
    return [some for some in (within, beside, able) if some]


def _running(direction: int | None, *better: Sequence[Chip]) -> Sequence[Chip]:
    """Return the images that run in a direction, of the first of some groups that has enough of them; the
    first group if none has."""
    for some in better:
        found = [chip for chip in some if direction is None or alike(chip.direction, direction)]
        if len(found) >= ENOUGH:
            return found
    return better[0]


def _waters(able: Sequence[Chip], order: list[int], beach: bool, words: Collection[str]) -> list[int]:
    """Return one image of water and how else it is turned, so that a lake is of one colour: an image that is
    called as asked, or of a sea where there is a beach, and that shows more water than anything else."""
    beside = [index for index in order if ("sand" in able[index].kinds) == beach]
    named = [index for index in order if {*words} & {*able[index].words}]
    order = named or beside or order
    order = [index for index in order if able[index].kinds[0] == "water"] or order
    return [index for index in order if able[index].image == able[order[0]].image]


@dataclass(frozen=True)
class Wanted:
    """What a scene shows: indices into ``kinds`` are its labels; ``shown`` are those of them that are used,
    what lies everywhere first. ``direction``, in degrees, is that of what is built. Farmland is shown by
    at most ``parcels`` images, each with a label of its own from ``first_parcel`` on; 0: by any, as one."""

    kinds: tuple[str, ...]
    shown: tuple[str, ...]
    gsd: float
    seed: int
    words: frozenset[str] = frozenset()
    direction: int | None = None
    parcels: int = 0

    @property
    def first_parcel(self) -> int:
        """The label of the first parcel: that of no kind is before it."""
        return len(self.kinds) + 1


class Sourced(NamedTuple):
    """An image of the user's, and where it is from."""

    exemplar: Exemplar
    origin: Origin


def atlas_of(
    bank: Bank,
    wanted: Wanted,
    given: Sequence[Sourced] = (),
    named: Collection[str] = (),
    gamma: int = SCENE_GAMMA,
) -> CreditedAtlas:
    """Return the atlas of a scene: images that are ``given``, then those of a bank, with fewer levels where
    those are small in pixels of the scene.

    Of kinds that are ``named``, or of the user's samples, the bank gives none.
    """
    kinds, gsd = wanted.kinds, wanted.gsd
    parameters = Parameters()
    exemplars, origins = [one.exemplar for one in given], [one.origin for one in given]
    missing = [kind for kind in wanted.shown if kind not in named and kind != SAMPLE]
    some = chosen(bank, gsd, missing, wanted.seed, wanted.words, wanted.direction) if missing else ()
    images = [bank.at(chip, gsd) for chip in some]
    parameters = parameters.of(_levels([min(one.labels.shape) for one in images], parameters.levels))
    least = SIDE << (parameters.levels - 1)
    fields = 0
    for chip, found in zip(some, images, strict=True):
        numbers = _numbers(bank, chip, kinds)
        field = chip.kind == FARMLAND and wanted.parcels > 0
        if min(found.labels.shape) < least or (field and fields == wanted.parcels):
            continue
        if field:
            numbers[:] = wanted.first_parcel + fields
            fields += 1
        exemplars.append(Exemplar(found.rgb, numbers[found.labels]))
        step = resampling.step_of(gsd / chip.gsd)
        origins.append(Origin(chip.id, chip.source, chip.licence, step, turn=chip.turn, size=found.size))
    pure = [number for number, kind in enumerate(kinds) if kind in SOFT]
    atlas = Atlas.of(exemplars, parameters.levels, gamma, parameters.line_gain, pure)
    return CreditedAtlas(atlas, tuple(origins))


def _levels(sides: Sequence[int], most: int) -> int:
    """Return how many levels a scene has, by the shorter sides of its images: most have patches on all."""
    typical = sorted(sides)[len(sides) // 4] if sides else SIDE << most
    return max(levels for levels in range(1, most + 1) if levels == 1 or SIDE << (levels - 1) <= typical)


def _numbers(bank: Bank, chip: Chip, kinds: Sequence[str]) -> UInt8Array:
    """Return the label in a scene for every label in a bank: that of no kind where there is land to border
    on only, so that patches of shores can be used."""
    numbers = np.full(256, UNUSABLE, np.uint8)
    numbers[: len(bank.kinds)] = len(kinds)
    for kind in {*chip.kinds} & {*kinds}:
        numbers[bank.kinds.index(kind)] = kinds.index(kind)
    return numbers
