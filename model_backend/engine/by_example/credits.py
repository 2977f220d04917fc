"""Where pixels by example come from: counted by source, and place by place, so that files can say it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_backend.arrays import Int32Array, Int64Array
from model_backend.engine.makers import Credit, Origins, SourceImage, merged
from model_backend.engine.synthesis.atlas import Atlas
from model_backend.models.banks import resampling
from model_backend.models.banks.bank import unturned

OWN = ("the user's raster", "that of the raster")
RASTER = "raster"  # the name of the one that is edited


@dataclass(frozen=True)
class Origin:
    """Where an image of an atlas is from, and how it lies in the image as its owner has it.

    Its pixels are ``step`` 65536ths of the owner's wide, from ``row`` and ``col`` on. The image of a bank,
    of ``size`` (height and width), was turned first.
    """

    name: str
    source: str
    licence: str
    step: int = resampling.ONE
    row: int = 0
    col: int = 0
    turn: int = 0
    size: tuple[int, int] = (0, 0)

    def places(self, rows: Int64Array, cols: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Return the rows and columns of the owner's pixels in the middle of some of the image's."""
        rows, cols = (resampling.middles(along, self.step) for along in (rows, cols))
        rows, cols = unturned(rows, cols, self.turn, self.size)
        return rows + self.row, cols + self.col


@dataclass(frozen=True)
class CreditedAtlas:
    """An atlas, and for each image in it where it is from."""

    atlas: Atlas
    origins: tuple[Origin, ...]

    def credits(self, sources: Int32Array) -> tuple[Credit, ...]:
        """Count pixels, given as places in the atlas (..., 2), by where they are from; the most first."""
        counts = np.bincount(self._images(sources).ravel(), minlength=len(self.origins))
        return merged(
            Credit(origin.source, origin.licence, int(count))
            for origin, count in zip(self.origins, counts, strict=True)
            if count
        )

    def located(self, sources: Int32Array) -> Origins:
        """Return where pixels, given as places in the atlas (..., 2), are from; the first image is number 1.

        The places of what comes back are (3, ...).
        """
        places = sources.reshape(-1, 2)
        images = self._images(places)
        order = np.argsort(images.astype(np.uint16), kind="stable")  # so that each image is looked at once
        found, used = np.empty((3, len(places)), np.int32), []
        ends = np.bincount(images, minlength=len(self.origins)).cumsum()
        for number, here in enumerate(np.split(order, ends[:-1])):
            if not len(here):
                continue
            origin, corner = self.origins[number], self.atlas.levels[0].chips[number, :2]
            rows, cols = origin.places(*(places[here] - corner).T)
            found[0, here], found[1, here], found[2, here] = number + 1, cols, rows
            scale = round(origin.step / resampling.ONE, 4)
            used.append(SourceImage(number + 1, origin.name, origin.source, origin.licence, scale, len(here)))
        return Origins(found.reshape(3, *sources.shape[:-1]), tuple(used))

    def _images(self, sources: Int32Array) -> Int64Array:
        """Return the number of the image that every place is in."""
        tops = self.atlas.levels[0].chips[:, 0]
        found: Int64Array = np.searchsorted(tops, sources[..., 0], side="right") - 1
        return found
