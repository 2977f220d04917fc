"""A scene by example as jobs see it: from a recipe and a bank to the pixels of any box.

The prompts become a label map (``composition``), the bank's images of those kinds of land an atlas
(``choice``), and ``scene`` arranges them. No torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numba

from model_backend.arrays import Int32Array, RgbImage, UInt8Array
from model_backend.engine.by_example.choice import Wanted, atlas_of, direction_of
from model_backend.engine.by_example.given import NONE, Given
from model_backend.engine.by_example.land_cover import CoveringCells, LandCover
from model_backend.engine.by_example.outlined import Covered, Outlined, Overlay
from model_backend.engine.by_example.parcels import Parcels, most
from model_backend.engine.by_example.passes import Passes
from model_backend.engine.by_example.profile import ExampleProfile
from model_backend.engine.by_example.samples import SampleImage
from model_backend.engine.composition.drawing import Scale
from model_backend.engine.composition.land import STREETS_TO, land
from model_backend.engine.composition.prompt import read
from model_backend.engine.makers import Credit, Origins
from model_backend.engine.outlines import Outline
from model_backend.engine.progress import ProgressListener
from model_backend.engine.synthesis import cost
from model_backend.engine.synthesis.labels import Everywhere, LabelMap
from model_backend.engine.synthesis.parameters import Parameters
from model_backend.engine.synthesis.scene import Report, Synthesis
from model_backend.models.banks.bank import Bank
from model_backend.models.land_cover import FARMLAND, SAMPLE, SOFT, nearest
from model_backend.schemas import REGION_UNITS, Box, Recipe, Region


@dataclass(frozen=True)
class Composed:
    """What a scene shows where, the kinds of land in it, the main one first, and what it cannot show.

    ``words`` are what the prompts call the things in it, such as river.
    """

    labels: LabelMap
    kinds: tuple[str, ...]
    warnings: tuple[str, ...]
    words: frozenset[str]


@dataclass(frozen=True)
class _Part:
    """What one prompt of a recipe comes to; ``first`` is the label of what lies under its things."""

    labels: LabelMap
    first: int
    used: frozenset[int]
    warnings: tuple[str, ...]
    words: frozenset[str] = frozenset()


def composed(
    recipe: Recipe,
    kinds: tuple[str, ...],
    canvas: Box | None,
    cover: LandCover | None = None,
    own: int | None = None,
    direction: int | None = None,
) -> Composed:
    """Lay out what the prompts of a recipe ask for, and its layout; labels are indices into ``kinds``.

    ``cover`` is the raster of classes that the recipe names, if it does. ``direction``, in degrees, is that
    of what is built.
    ``own`` is the label of a raster's own land, where a part of it is painted: it stays under things that are
    asked for without what is around them, and one such thing fills the canvas.
    """
    whole = _part(recipe, recipe.prompt, recipe.negative_prompt, canvas, kinds, own, direction)
    parts: list[_Part] = [whole]
    over: list[Overlay] = []
    for number, region in enumerate(recipe.regions or ()):
        part = _part(recipe, region.prompt, region.negative_prompt, _bounds(region), kinds, None, direction)
        soft = kinds[part.first] in SOFT
        over.append(Outlined(Outline.of(region.rings), part.labels, recipe.seed + number, soft))
        parts.append(part)
    laid = _laid_out(recipe, kinds, cover)
    found = frozenset().union(*(labels for labels, _ in laid), *(part.used for part in parts))
    used = dict.fromkeys((whole.first, *sorted(found)))
    warnings = dict.fromkeys(sentence for part in parts for sentence in part.warnings)
    labels = Covered(whole.labels, (*over, *(overlay for _, overlay in laid)))
    words = frozenset().union(*(part.words for part in parts))
    return Composed(labels, tuple(kinds[label] for label in used if label != own), tuple(warnings), words)


def _laid_out(
    recipe: Recipe, kinds: tuple[str, ...], cover: LandCover | None
) -> list[tuple[frozenset[int], Overlay]]:
    """Return the layout of a recipe with its labels; neighbours share one noise, and so their border."""
    found: list[tuple[frozenset[int], Overlay]] = []
    if cover is not None:
        labels = tuple(kinds.index(nearest(kind, kinds) or kinds[0]) for kind in cover.kinds)
        found.append((frozenset(labels), CoveringCells(cover, labels, recipe.seed)))
    for one in recipe.layout or ():
        label = kinds.index(nearest(one.kind, kinds) or kinds[0])
        soft = one.kind in SOFT and not one.hard
        inner = Outlined(Outline.of(one.rings), Everywhere(label), recipe.seed, soft)
        found.append((frozenset((label,)), inner))
    return found


def _part(
    recipe: Recipe,
    prompt: str,
    negative: str,
    canvas: Box | None,
    kinds: tuple[str, ...],
    own: int | None,
    direction: int | None,
) -> _Part:
    """Lay out one prompt."""
    assert recipe.examples is not None
    if own is not None and SAMPLE not in kinds and recipe.is_laid_out and not prompt.strip():
        return _Part(Everywhere(own), own, frozenset((own,)), ())
    reading = read(prompt, negative)
    made = land(reading.composition, recipe.seed, canvas, recipe.examples.gsd, kinds, direction)
    zones = made.labels.zone_labels
    words = frozenset(thing.word for thing in reading.composition.things)
    if SAMPLE in kinds:  # it shows what lies everywhere
        sample = kinds.index(SAMPLE)
        if not prompt.strip():
            return _Part(Everywhere(sample), sample, frozenset((sample,)), ())
        zones = (sample, *zones[1:])
        made = replace(made, labels=replace(made.labels, zone_labels=zones))
    if own is None or reading.background:
        return _Part(made.labels, zones[0], frozenset(zones), made.warnings, words)
    things = reading.composition.things
    if len(things) == 1 and things[0].shape != "line":
        label = kinds.index(nearest(things[0].kind, kinds) or kinds[0])
        return _Part(Everywhere(label), label, frozenset((label,)), made.warnings, words)
    labels = replace(made.labels, zone_labels=(own, *zones[1:]))
    return _Part(labels, own, frozenset(labels.zone_labels), made.warnings, words)


def kinds_of(bank: Bank, gsd: float, samples: Sequence[SampleImage]) -> tuple[str, ...]:
    """Return the kinds of land that can be shown: those of the bank, then those of samples."""
    return tuple(dict.fromkeys((*bank.available(gsd), *(sample.kind for sample in samples))))


def _bounds(region: Region) -> Box:
    """Return the pixels around a region."""
    left, top, right, bottom = Outline.of(region.rings).bounds
    col, row = left // REGION_UNITS, top // REGION_UNITS
    width, height = -(-right // REGION_UNITS) - col, -(-bottom // REGION_UNITS) - row
    return Box(col=col, row=row, width=max(1, width), height=max(1, height))


def use_threads(threads: int) -> None:
    """Let compiled code run in so many threads; 0 are all cores."""
    cores = int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    numba.set_num_threads(min(threads or cores, cores))


class ExampleScene:
    """The pixels of a recipe by example: made where asked for, coarse levels kept for the next box."""

    def __init__(self, bank: Bank, recipe: Recipe, threads: int, given: Given = NONE) -> None:
        """Choose images and lay the scene out; ``threads`` 0 are all cores."""
        assert recipe.examples is not None
        use_threads(threads)
        gsd = recipe.examples.gsd
        samples = given.samples
        kinds = kinds_of(bank, gsd, samples)
        canvas = recipe.canvas_box
        built = composed(recipe, kinds, canvas, given.cover).kinds
        direction = direction_of(bank, gsd, built, recipe.seed)
        shown = composed(recipe, kinds, canvas, given.cover, direction=direction)
        first = [sample.sourced(gsd, kinds.index(sample.kind)) for sample in samples]
        parcels = most(len(kinds)) if gsd <= STREETS_TO else 0
        wanted = Wanted(kinds, shown.kinds, gsd, recipe.seed, shown.words, direction, parcels)
        self.profile = ExampleProfile(recipe.revision)
        self.notes = shown.warnings
        self._begun: tuple[Box, Passes] | None = None
        self._atlas = atlas_of(bank, wanted, first, [sample.kind for sample in samples])
        self._found: Int32Array | None = None
        labels, fields = shown.labels, self._atlas.atlas.labels - wanted.first_parcel
        if fields > 0:
            scale = Scale.of(gsd, recipe.seed, direction or 0)
            labels = Parcels.over(labels, kinds.index(FARMLAND), (wanted.first_parcel, fields), scale)
        self._scene = Synthesis(
            self._atlas.atlas,
            recipe.seed,
            recipe.grid,
            recipe.canvas_box,
            labels,
            Parameters().of(len(self._atlas.atlas.levels)),
        )

    def pixels(self, box: Box, listener: ProgressListener) -> RgbImage:
        """Make a box of the scene, (3, height, width) uint8, rows southward; a listener may raise to stop."""
        return self._scene.pixels(self.sources(box, listener))

    def sources(self, box: Box, listener: ProgressListener) -> Int32Array:
        """Return the pixel of the stacked images that every pixel of a box is copied from, (height, width,
        2)."""
        passes = self._passes_of(box, listener)
        found = self._scene.sources(box, _weighed(passes))
        passes.end()
        self._begun = None
        self._found = found
        return found

    def credits(self) -> tuple[Credit, ...]:
        """Return where the pixels of the box made last were copied from."""
        return () if self._found is None else self._atlas.credits(self._found)

    def origins(self) -> Origins | None:
        """Return where each of them was copied from."""
        return None if self._found is None else self._atlas.located(self._found)

    def sketch(self, box: Box) -> UInt8Array:
        """Return the mean colours of what will lie where in a box, (height, width, 3), small."""
        return self._scene.sketch(box)

    def overview(self, box: Box, listener: ProgressListener) -> UInt8Array | None:
        """Return a first look at all of it, (height, width, 3), a quarter of its size; None: it is large."""
        return self._scene.overview(_weighed(self._passes_of(box, listener)))

    def keep(self, box: Box) -> None:
        """Forget the coarse levels that no pixel of a box depends on, and where the last box was from."""
        self._found = None
        self._scene.keep(box)

    def _passes_of(self, box: Box, listener: ProgressListener) -> Passes:
        """Return the passes over a block, those of its first look included."""
        if self._begun is None or self._begun[0] != box:
            total = cost.block_work(self._scene.extents, box, self._scene.missing(box))
            self._begun = box, Passes(listener, total)
        return self._begun[1]


def _weighed(passes: Passes) -> Report:
    """Count every pass by the work in it."""
    parameters = Parameters()

    def over(level: int, pixels: int) -> None:
        one = parameters.at(level)
        passes.over(cost.work(level, pixels) / (one.rounds * (len(one.steps) + 1)))

    return over
