"""Hostile rasters: refused quickly, and nothing is read that was not sent."""

from __future__ import annotations

import json
import random
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from model_backend.errors import InvalidInput
from model_backend.raster.files.upload_check import check

MOST = 8 << 30
PROFILE = {
    "driver": "GTiff",
    "count": 3,
    "dtype": "uint8",
    "crs": "EPSG:32632",
    "transform": Affine(1, 0, 500000, 0, -1, 5200000),
}
# Checks many files in one child with the same limits: starting Python 500 times would take minutes.
BATCH = """
import json, resource, sys
from pathlib import Path
from model_backend.raster.files.upload_check import Refused, limit_this_process, rewrite
limit_this_process(1 << 30)
folder = Path(sys.argv[1])
for path in sorted(folder.glob("*.tif")):
    try:
        answer = rewrite(path, folder / "out" / path.name, 50_000_000)
    except Refused as error:
        answer = str(error)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps([path.name, answer, peak]), flush=True)
"""


def scene(path: Path, **changes: object) -> Path:
    members = PROFILE | {"width": 200, "height": 160} | changes
    with rasterio.open(path, "w", **members) as file:
        shape = members["count"], members["height"], members["width"]
        file.write(np.random.default_rng(0).integers(0, 255, shape).astype(members["dtype"]))
    return path


def refusal(path: Path, most: int = MOST) -> str:
    target = path.with_suffix(".out")
    with pytest.raises(InvalidInput) as raised:
        check(path, target, most)
    assert not target.exists()
    assert str(raised.value).endswith(".")
    return str(raised.value)


def test_a_vrt_by_another_name_reads_nothing(tmp_path: Path) -> None:
    secret = scene(tmp_path / "secret.tif")
    vrt = tmp_path / "scene.tif"
    band = f"<SourceFilename>{secret}</SourceFilename><SourceBand>1</SourceBand>"
    vrt.write_text(
        '<VRTDataset rasterXSize="200" rasterYSize="160"><VRTRasterBand dataType="Byte" band="1">'
        f"<SimpleSource>{band}</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    assert "Only TIFF" in refusal(vrt)
    # Nor where it follows the first bytes of a TIFF.
    vrt.write_bytes(b"II*\0" + vrt.read_bytes())
    refusal(vrt)


def test_a_terabyte_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "huge.tif"
    huge = PROFILE | {"width": 600_000, "height": 600_000, "tiled": True, "sparse_ok": True, "bigtiff": "YES"}
    with rasterio.open(path, "w", **huge):
        pass
    assert path.stat().st_size < 100_000_000
    assert "1,080.0 GB" in refusal(path)


def test_one_huge_block(tmp_path: Path) -> None:
    path = scene(tmp_path / "strip.tif", blockysize=160)
    data = bytearray(path.read_bytes())
    set_tag(data, 257, 2_000_000)  # ImageLength
    set_tag(data, 256, 1_000)
    set_tag(data, 278, 2_000_000)  # RowsPerStrip
    path.write_bytes(data)
    refusal(path)


def set_tag(data: bytearray, tag: int, value: int) -> None:
    """Overwrite a short or long of a little-endian classic TIFF's first directory."""
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, entry)[0] == tag:
            struct.pack_into("<HHII", data, entry, tag, 4, 1, value)
            return
    raise AssertionError(tag)


def test_a_tag_bomb(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tif"
    # 60,000 entries that each declare four gigabytes, then a directory that points to itself.
    entries = [struct.pack("<HHII", tag % 65536, 2, 0xFFFFFFF0, 8) for tag in range(300, 60_300)]
    path.write_bytes(
        struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + b"".join(entries) + struct.pack("<I", 8)
    )
    refusal(path)


def test_a_loop_of_directories(tmp_path: Path) -> None:
    path = scene(tmp_path / "loop.tif")
    data = bytearray(path.read_bytes())
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    struct.pack_into("<I", data, at + 2 + 12 * count, at)
    path.write_bytes(data)
    target = tmp_path / "out.tif"
    assert check(path, target, MOST)["width"] == 200


@pytest.mark.parametrize("ending", [".tif.aux.xml", ".tfw", ".tif.msk", ".tif.ovr", ".prj", ".wld"])
def test_sidecars_are_not_looked_at(tmp_path: Path, ending: str) -> None:
    path = scene(tmp_path / "scene.tif", crs=None, transform=Affine.identity())
    beside = tmp_path / ("scene" + ending if ending.startswith(".tif") else "scene" + ending)
    if ending == ".tif.aux.xml":
        beside.write_text(
            "<PAMDataset><SRS>EPSG:32632</SRS><GeoTransform>1,1,0,2,0,-1</GeoTransform>"
            "<Metadata><MDI key='SECRET'>yes</MDI></Metadata></PAMDataset>"
        )
    elif ending in (".tfw", ".wld"):
        beside.write_text("1\n0\n0\n-1\n500000\n5200000\n")
    else:
        beside.write_bytes(path.read_bytes())
    check(path, tmp_path / "out.tif", MOST)
    with rasterio.open(tmp_path / "out.tif") as file:
        assert file.crs is None
        assert file.transform == Affine.identity()
        assert "SECRET" not in file.tags()
        assert not file.overviews(1)


def mutations(content: bytes) -> list[bytes]:
    """500 damaged copies: cut short, bytes changed anywhere, bytes changed in header and directory."""
    chance = random.Random(4)
    (directory,) = struct.unpack_from("<I", content, 4)
    out = []
    for number in range(500):
        data = bytearray(content)
        kind = number % 5
        if kind == 0:
            del data[chance.randrange(1, len(data)) :]
        else:
            first, last = (0, len(data)) if kind < 3 else (directory, min(directory + 400, len(data)))
            for _ in range(chance.choice((1, 4, 30))):
                data[chance.randrange(first, last)] = chance.randrange(256)
        out.append(bytes(data))
    return out


def test_500_damaged_files(tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    (folder / "out").mkdir(parents=True)
    kinds = [
        scene(tmp_path / "plain.tif"),
        scene(
            tmp_path / "tiled.tif", tiled=True, blockxsize=64, blockysize=64, compress="DEFLATE", predictor=2
        ),
        scene(tmp_path / "lzw.tif", compress="LZW", dtype="uint16", count=4, nodata=0),
        scene(tmp_path / "jpeg.tif", compress="JPEG", photometric="YCBCR"),
    ]
    per_kind = [mutations(path.read_bytes()) for path in kinds]
    for number in range(500):
        (folder / f"{number:03}.tif").write_bytes(per_kind[number % len(kinds)][number])
    done = subprocess.run(
        [sys.executable, "-c", BATCH, str(folder)], capture_output=True, text=True, timeout=250
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"died at {len(answers)}: {done.stderr[-500:]}"
    assert len(answers) == 500
    refused = [answer for _, answer, _ in answers if isinstance(answer, str)]
    assert len(refused) > 200
    assert all(sentence.endswith(".") for sentence in refused)
    for name, answer, _ in answers:  # what was taken is one of our own, whole files; the rest left nothing
        target = folder / "out" / name
        assert target.exists() == isinstance(answer, dict)
        if isinstance(answer, dict):
            with rasterio.open(target) as file:
                assert (file.width, file.height, file.count) == (
                    answer["width"],
                    answer["height"],
                    answer["bands"],
                )
    assert answers[-1][2] < answers[0][2] + 300_000  # kilobytes


def test_the_caller_reads_no_pixel(tmp_path: Path) -> None:
    path = scene(tmp_path / "large.tif", width=4000, height=4000, tiled=True, compress="DEFLATE")
    tracemalloc.start()
    check(path, tmp_path / "out.tif", MOST)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000
