"""What the index of a bank says: images, the families that they form, and kinds of land.

Knows names and numbers, opens no image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

INDEX = "chips.json"  # in the folder of a bank
_Metres = Annotated[float, Field(gt=0, lt=1000)]
_Gain = Annotated[int, Field(ge=64, le=1024)]
_Offset = Annotated[int, Field(ge=-65280, le=65280)]


@dataclass(frozen=True)
class Chip:
    """One image: what it shows, where it is from, and the names of its files.

    It shows one ``kind`` as a whole, or its ``labels`` tell the kind of every pixel. ``kinds`` are those to
    be drawn from it; what it shows besides, ``around``, is there to be bordered on only. ``tone``,
    gain and offset in 256ths for each band, brings it to the tone of its family; ``turn``
    is by how many quarters it is turned, anticlockwise, and from 4 on mirrored then. ``direction`` is that of
    what is built in it, turned, in degrees (``direction``).
    """

    id: str
    family: str
    gsd: _Metres
    kinds: tuple[str, ...]
    words: tuple[str, ...]
    source: str
    licence: str
    image: str
    labels: str | None = None
    nir: str | None = None
    kind: str | None = None
    around: tuple[str, ...] = ()
    date: str | None = None
    place: str | None = None
    turn: Annotated[int, Field(ge=0, le=7)] = 0
    direction: Annotated[int, Field(ge=0, le=89)] | None = None
    tone: tuple[tuple[_Gain, _Offset], ...] = ()


@dataclass(frozen=True)
class Family:
    """Images of one pixel size and tone, the pixel sizes that they serve, and the kinds of land they show."""

    id: str
    title: str
    gsd: _Metres
    finest: _Metres
    coarsest: _Metres
    kinds: tuple[str, ...]

    def serves(self, gsd: float) -> bool:
        """Say whether images of a pixel size can be had from this family."""
        return self.finest <= gsd <= self.coarsest

    def distance(self, gsd: float) -> float:
        """How far a pixel size is from its own, as a ratio; finer than its own counts double: it blurs."""
        return gsd / self.gsd if gsd >= self.gsd else (self.gsd / gsd) ** 2


@dataclass(frozen=True)
class Index:
    """What ``chips.json`` holds."""

    kinds: tuple[str, ...]
    families: tuple[Family, ...]
    chips: tuple[Chip, ...]
