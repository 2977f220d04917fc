"""Example imagery to draw land from: a folder of real images of known kinds, sizes and licences.

``chips.json`` says what every image shows, ``chips.zip`` holds the images. A bank has families of images of
one pixel size each and one tone; whoever needs another size gets averages over exactly the area of the new
pixels, in whole numbers, so all machines see the same. Knows files and pixels, no prompts and no synthesis.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from model_backend.arrays import Int64Array, UInt8Array
from model_backend.errors import ModelUnavailable
from model_backend.models.banks import resampling
from model_backend.models.banks.index import INDEX, Chip, Family, Index
from model_backend.models.land_cover import BY_ID

IMAGES = "chips.zip"
UNUSABLE = 255  # label of pixels that nothing may be taken from
_MOST_BYTES = 64 << 20
_MOST_SIDE = 1024


class Pixels(NamedTuple):
    """An image (height, width, 3), a label per pixel (index of the bank's kinds, 255: not to be used), and
    its near infrared (height, width) where it has one; and the height and width of its file."""

    rgb: UInt8Array
    labels: UInt8Array
    nir: UInt8Array | None
    size: tuple[int, int]


@dataclass(frozen=True)
class Bank:
    """All images of a folder. ``kinds`` are ids of kinds of land; a label is an index into them."""

    kinds: tuple[str, ...]
    families: tuple[Family, ...]
    chips: tuple[Chip, ...]
    _files: zipfile.ZipFile = field(repr=False, compare=False)
    _folder: str = "bank"

    @classmethod
    def read(cls, folder: Path) -> Bank:
        """Read a bank's index; images are decoded when asked for. Raises ModelUnavailable."""
        try:
            if max((folder / name).stat().st_size for name in (INDEX, IMAGES)) > _MOST_BYTES:
                raise ModelUnavailable(f"The bank {folder.name} is larger than a bank may be.")
            index = TypeAdapter(Index).validate_json((folder / INDEX).read_bytes())
            files = zipfile.ZipFile(io.BytesIO((folder / IMAGES).read_bytes()))
        except FileNotFoundError as error:
            raise ModelUnavailable(
                f"{folder.name} is not a bank: it has no {INDEX} or no {IMAGES}."
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ModelUnavailable(
                f"The bank {folder.name} is not valid: {where}: {first['msg']}."
            ) from error
        except (OSError, zipfile.BadZipFile) as error:
            raise ModelUnavailable(
                f"The images of the bank {folder.name} cannot be read: {error}."
            ) from error
        bank = cls(index.kinds, index.families, index.chips, files, folder.name)
        bank._check()
        return bank

    def family(self, id: str) -> Family:
        """Return a family by its id."""
        return next(one for one in self.families if one.id == id)

    def available(self, gsd: float) -> tuple[str, ...]:
        """Return the kinds of land that can be shown at a pixel size."""
        shown = {kind for one in self.families if one.serves(gsd) for kind in one.kinds}
        return tuple(kind for kind in self.kinds if kind in shown)

    def family_for(self, gsd: float, kinds: Collection[str]) -> Family | None:
        """Return the family that shows most of some kinds at a pixel size, of those the one nearest to it;
        None: there is none for the pixel size."""
        able = [one for one in self.families if one.serves(gsd)]
        shown = len(set(kinds))
        return min(
            able, key=lambda one: (shown - len(set(kinds) & set(one.kinds)), one.distance(gsd)), default=None
        )

    def of(self, family: str, kind: str | None = None) -> tuple[Chip, ...]:
        """Return the images of a family, or those of them that show a kind on a good part of their area."""
        return tuple(
            one for one in self.chips if one.family == family and (kind is None or kind in one.kinds)
        )

    def pixels(self, chip: Chip) -> Pixels:
        """Decode an image, in the tone of its family. Raises ModelUnavailable if a file is damaged."""
        rgb = self._image(chip.image, "RGB")
        if chip.tone:
            steps = np.arange(256, dtype=np.int32)
            bands = [
                ((steps * gain + offset + 128) >> 8).clip(0, 255).astype(np.uint8)[rgb[..., band]]
                for band, (gain, offset) in enumerate(chip.tone)
            ]
            rgb = np.stack(bands, -1)
        if chip.labels is not None:
            labels = self._image(chip.labels, None)
            if labels.ndim != 2 or labels.dtype != np.uint8:
                raise ModelUnavailable(f"{chip.labels} in the bank {self._folder} is no grey image.")
        else:
            labels = np.full(rgb.shape[:2], self.kinds.index(chip.kind or ""), np.uint8)
        nir = None if chip.nir is None else self._image(chip.nir, "L")
        if any(band is not None and band.shape != rgb.shape[:2] for band in (labels, nir)):
            raise ModelUnavailable(f"Image, labels and near infrared of {chip.id} differ in size.")
        if labels[labels < UNUSABLE].max(initial=0) >= len(self.kinds):
            raise ModelUnavailable(f"The labels of {chip.id} name kinds that the bank {self._folder} lacks.")
        return Pixels(
            turned(rgb, chip.turn),
            turned(labels, chip.turn),
            None if nir is None else turned(nir, chip.turn),
            labels.shape,
        )

    def at(self, chip: Chip, gsd: float) -> Pixels:
        """Return an image with pixels of another size. Whole new pixels only: the rest is cut off."""
        found = self.pixels(chip)
        step = resampling.step_of(gsd / chip.gsd)
        return Pixels(
            resampling.averages(found.rgb, step),
            resampling.majority(found.labels, step),
            None if found.nir is None else resampling.averages(found.nir[..., None], step)[..., 0],
            found.size,
        )

    def _check(self) -> None:
        """Raise ModelUnavailable if the index names what is not there."""
        known = set(self._files.namelist())
        families = {one.id for one in self.families}
        if not self.chips or not set(self.kinds) <= set(BY_ID) or len(self.kinds) >= UNUSABLE:
            raise ModelUnavailable(
                f"The bank {self._folder} has no images, or kinds that are not known here."
            )
        for chip in self.chips:
            files = {chip.image, chip.labels, chip.nir} - {None}
            if not files <= known or chip.family not in families or not set(chip.kinds) <= set(self.kinds):
                raise ModelUnavailable(f"{chip.id} of the bank {self._folder} names what the bank lacks.")
            if chip.labels is None and chip.kind not in self.kinds:
                raise ModelUnavailable(f"{chip.id} of the bank {self._folder} has neither labels nor a kind.")
            if len(chip.tone) not in (0, 3):
                raise ModelUnavailable(
                    f"{chip.id} of the bank {self._folder} has a tone of {len(chip.tone)} bands."
                )

    def _image(self, name: str, mode: str | None) -> UInt8Array:
        """Decode one file; as it is where ``mode`` is None, for labels are no tones."""
        try:
            if self._files.getinfo(name).file_size > _MOST_BYTES:
                raise ModelUnavailable(f"{name} in the bank {self._folder} is too large.")
            with Image.open(io.BytesIO(self._files.read(name)), formats=("WEBP", "PNG", "JPEG")) as opened:
                if max(opened.size) > _MOST_SIDE:
                    raise ModelUnavailable(
                        f"{name} in the bank {self._folder} has more pixels than a chip may."
                    )
                return np.asarray(opened.convert(mode) if mode else opened)
        except (OSError, zipfile.BadZipFile, SyntaxError, ValueError, KeyError, RuntimeError) as error:
            raise ModelUnavailable(f"{name} in the bank {self._folder} is damaged: {error}.") from error


@lru_cache(maxsize=2)
def bank_in(folder: Path, revision: str) -> Bank:
    """Return the bank of a folder, read once for each revision of it. Raises ModelUnavailable."""
    return Bank.read(folder)


def turned(pixels: UInt8Array, turn: int) -> UInt8Array:
    """Turn an image by quarters; from 4 on it is mirrored then."""
    turned = np.rot90(pixels, turn % 4)
    return np.ascontiguousarray(turned[:, ::-1] if turn >= 4 else turned)


def unturned(
    rows: Int64Array, cols: Int64Array, turn: int, size: tuple[int, int]
) -> tuple[Int64Array, Int64Array]:
    """Return where pixels of a turned image lie in its file, whose height and width are ``size``."""
    height, width = size if turn % 2 == 0 else size[::-1]
    if turn >= 4:
        cols = width - 1 - cols
    for _ in range(turn % 4):
        rows, cols = cols, height - 1 - rows
        height, width = width, height
    return rows, cols
