"""What makes pixels, as its users see it: a scene box by box, or the masked part of a picture.

A diffusion model is one way (`scene.Scene`, `editing.edit.Edit`); whatever makes pixels otherwise has the
same members, so that jobs need not tell them apart. Knows boxes and arrays; no model, no torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from model_backend.arrays import BoolArray, Float32Array, Int32Array, RgbImage, UInt8Array
from model_backend.engine.progress import ProgressListener
from model_backend.schemas import Box


class Conditions(Protocol):
    """What the bits of a result depend on besides the recipe."""

    @property
    def digest(self) -> str:
        """SHA-256 over all of it: results with equal recipes and digests are equal."""

    @property
    def approximate(self) -> bool:
        """Whether last bits may differ all the same."""

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""


class Credit(NamedTuple):
    """Pixels that were copied: from where, under which licence, and how many."""

    source: str
    licence: str
    pixels: int


def merged(credits: Iterable[Credit]) -> tuple[Credit, ...]:
    """Add up what is from one source; the most first."""
    totals: dict[tuple[str, str], int] = {}
    for one in credits:
        totals[one.source, one.licence] = totals.get((one.source, one.licence), 0) + one.pixels
    ranked = sorted(totals.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Credit(*origin, pixels) for origin, pixels in ranked)


class SourceImage(NamedTuple):
    """An image that pixels were copied from: its number in a raster of sources, its name, whose it is.

    A pixel of the result stands for ``scale`` of the image's along a side; ``pixels`` of the result are such.
    """

    number: int
    name: str
    source: str
    licence: str
    scale: float
    pixels: int


@dataclass(frozen=True)
class Origins:
    """Where pixels were copied from: number of an image, column and row in it, (3, height, width).

    Columns and rows count from 0 at the upper left pixel of the image as its owner has it.
    """

    places: Int32Array
    images: tuple[SourceImage, ...]


class SceneMaker(Protocol):
    """Makes the pixels of one scene; boxes that overlap agree in every bit."""

    @property
    def profile(self) -> Conditions:
        """What the bits of this scene depend on."""

    def pixels(self, box: Box, listener: ProgressListener) -> RgbImage:
        """Make a box of the scene, (3, height, width) uint8; ValueError if it leaves the canvas."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the owner on what of the recipe cannot be shown."""

    def credits(self) -> tuple[Credit, ...]:
        """Return where the pixels of the box made last were copied from; nothing, where none were."""

    def origins(self) -> Origins | None:
        """Return the same pixel by pixel; None where pixels are painted, not copied."""

    def keep(self, box: Box) -> None:
        """Forget what no pixel of a box depends on; what is asked for later is made again."""

    def sketch(self, box: Box) -> UInt8Array | None:
        """Return the colours of what will lie where in a box, (height, width, 3), small: known before any
        work; None where nothing is."""

    def overview(self, box: Box, listener: ProgressListener) -> UInt8Array | None:
        """Return a first, coarse look at the whole scene, (height, width, 3); None where there is none.

        ``box`` is what will be made next: its progress is reported, of which this is a part.
        """


@dataclass(frozen=True)
class EditCanvas:
    """A picture to repaint: ``view`` (3, height, width), 0 black to 1 white, of the pixels of ``box``.

    ``paint`` are the pixels to make anew, ``known`` those that have values; both (height, width). For a
    diffusion model the sides of the box are whole latents, at least a window
    (`active_windows.canvas_around`).
    """

    box: Box
    view: Float32Array
    paint: BoolArray
    known: BoolArray


class EditMaker(Protocol):
    """Paints the masked pixels of one canvas anew."""

    @property
    def profile(self) -> Conditions:
        """What the bits of this edit depend on."""

    def view(self, listener: ProgressListener, shown: Box | None = None) -> Float32Array:
        """Return the canvas, (3, height, width) in 0..1, with the mask painted; previews are of ``shown``."""
