"""What comes from outside becomes one of our own files here, or is refused, in a process that may die of it.

Run as ``python -m model_backend.raster.files.upload_check IN OUT MOST_BYTES``: a short-lived child with
limits on memory, processor time and file size. It opens ``IN`` only if its first bytes are a TIFF's, with
GDAL's GTiff driver alone (an image that is really a VRT reads any file of the machine), without sidecar
files, and looks at the declared size before it reads a pixel. It then writes every pixel into a tiled,
lossless GeoTIFF of our own and prints one line of JSON: the header's facts, or ``refused`` with a sentence.
Knows no HTTP, owner or process.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from model_backend.errors import InvalidInput
from model_backend.raster.files.source import SEALED

MEMORY = 3 << 30  # bytes of address space, libraries included
SECONDS = 60  # of processor time, and one more for every so many bytes
BYTES_PER_SECOND = 20_000_000
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BLOCK = 1 << 28  # bytes of a decoded block: GDAL holds one whole
_BANDS = 64
_SIDE = 2_000_000  # pixels
_GDAL_METADATA = 42112  # tag
_METADATA = 1_000_000  # bytes of it
_ITEMS = 2_000
_TAGS = 1 << 16  # looked through

# Blocks of 512 pixels and a bounded cache keep the child's memory flat; sparse parts of the file stay sparse.
_OWN = {
    "driver": "GTiff",
    "tiled": True,
    "blockxsize": 512,
    "blockysize": 512,
    "compress": "DEFLATE",
    "zlevel": 1,
    "bigtiff": "IF_SAFER",
    "sparse_ok": True,
}


class Refused(ValueError):
    """The file is not taken; the message is a sentence for its sender."""


def rewrite(source: Path, target: Path, most_bytes: int) -> dict[str, Any]:
    """Write ``source`` anew as ``target`` and return its facts; raises Refused.

    ``most_bytes`` is the largest decoded size, all bands together.
    """
    with source.open("rb") as file:
        if file.read(4) not in _TIFF:
            raise Refused("Only TIFF files are taken. Save the raster as GeoTIFF and send it again.")
        _check_metadata(gdal_metadata(file))
    try:
        with rasterio.Env(**SEALED), rasterio.open(source, driver="GTiff") as dataset:
            _check_size(dataset, most_bytes)
            rasterio.shutil.copy(dataset, target, **_OWN)
            facts = _facts(dataset)
    except Refused:
        raise
    except (RasterioError, CPLE_BaseError, OSError, ValueError, MemoryError, OverflowError) as error:
        target.unlink(missing_ok=True)
        raise Refused("The file is damaged, or of a kind of TIFF that this server does not read.") from error
    return facts


def check(source: Path, target: Path, most_bytes: int) -> dict[str, Any]:
    """Do ``rewrite`` in a child process with limits, and return the facts.

    Raises InvalidInput with the child's sentence, also where the child died or took too long.
    """
    seconds = _seconds(most_bytes)
    command = [
        sys.executable,
        "-m",
        "model_backend.raster.files.upload_check",
        str(source),
        str(target),
        str(most_bytes),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "GDAL_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=2 * seconds,
            check=False,
        )
        answer = json.loads(done.stdout) if done.returncode == 0 else {}
    except subprocess.TimeoutExpired:
        answer = {"refused": "The file takes too long to read. Save it as a tiled GeoTIFF and send it again."}
    if "refused" in answer or not answer:
        target.unlink(missing_ok=True)
        sentence = answer.get("refused", "The file takes too much memory or time to read, or is damaged.")
        raise InvalidInput("body", sentence, allowed="a GeoTIFF")
    return dict(answer)


def gdal_metadata(file: BinaryIO) -> bytes:
    """Return the tags of a TIFF's first image in which GDAL keeps its metadata, as XML; empty without any.

    GDAL takes a time for it that grows with the square of its items, at every opening, so it is looked at
    before GDAL sees the file. Read like a TIFF of any byte order, large or not; what is none is for GDAL.
    """
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    large = head[2:4] in (b"+\0", b"\0+")
    number, count_size = ("Q", 8) if large else ("I", 2)
    size = struct.calcsize(f"{order}HH2{number}")
    found = []
    with suppress(struct.error, OSError, OverflowError):
        file.seek(struct.unpack(f"{order}{number}", head[8:16] if large else head[4:8])[0])
        count = int.from_bytes(file.read(count_size), "little" if order == "<" else "big")
        directory = file.read(size * min(count, _TAGS))
        for tag, _, length, offset in struct.iter_unpack(
            f"{order}HH2{number}", directory[: len(directory) // size * size]
        ):
            if tag == _GDAL_METADATA:
                file.seek(offset)
                found.append(file.read(min(length, _METADATA + 1)))
    return b"".join(found)


def _check_metadata(metadata: bytes) -> None:
    if len(metadata) > _METADATA or metadata.count(b"<Item") > _ITEMS:
        raise Refused(
            f"The raster carries too much metadata: at most {_ITEMS:,} items of {_METADATA / 1e6:g} MB in all"
            " are taken. Save it without (gdal_translate -nomd) and send it again."
        )


def _check_size(dataset: Any, most_bytes: int) -> None:
    """Refuse by what the header declares, before a pixel is read."""
    if any("complex" in kind for kind in dataset.dtypes):
        raise Refused("The raster's values are complex numbers. Save it with whole or real numbers.")
    width, height, count = dataset.width, dataset.height, dataset.count
    if not (0 < width <= _SIDE and 0 < height <= _SIDE and 0 < count <= _BANDS):
        size = f"{width:,} x {height:,} pixels in {count:,} bands"
        raise Refused(f"The raster declares {size}; at most {_SIDE:,} a side and {_BANDS} bands are taken.")
    item = max(np.dtype(kind).itemsize for kind in dataset.dtypes)
    if width * height * count * item > most_bytes:
        size = f"{width * height * count * item / 1e9:,.1f} GB"
        raise Refused(f"The raster declares {size} of pixels; at most {most_bytes / 1e9:,.1f} GB are taken.")
    rows, cols = dataset.block_shapes[0]
    across = count if dataset.interleaving.value.upper() == "PIXEL" else 1
    if rows * cols * item * across > _BLOCK:
        raise Refused("The raster is stored in one huge block. Save it as a tiled GeoTIFF and send it again.")


def _facts(dataset: Any) -> dict[str, Any]:
    return {
        "width": dataset.width,
        "height": dataset.height,
        "bands": dataset.count,
        "dtype": str(dataset.dtypes[0]),
    }


def _seconds(most_bytes: int) -> int:
    return SECONDS + ceil(most_bytes / BYTES_PER_SECOND)


def limit_this_process(most_bytes: int) -> None:
    """Take away what this process does not need: memory, processor time, large files.

    Windows has no such limits for a process itself; there the parent's clock and the checks of the header
    hold.
    """
    if sys.platform == "win32":
        return
    import resource

    seconds = _seconds(most_bytes)
    for kind, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, most_bytes + (1 << 28)),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def main(arguments: list[str]) -> None:
    """Check one file and print the answer as JSON."""
    source, target, most_bytes = Path(arguments[0]), Path(arguments[1]), int(arguments[2])
    limit_this_process(most_bytes)
    try:
        answer = rewrite(source, target, most_bytes)
    except Refused as error:
        answer = {"refused": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1:])
