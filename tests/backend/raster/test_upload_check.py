"""What is looked at before GDAL sees a file: its time for metadata grows with the square of the items."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from model_backend.raster.files.upload_check import Refused, gdal_metadata, rewrite


def write(path: Path, items: int, **more: Any) -> Path:
    profile = {"driver": "GTiff", "width": 8, "height": 8, "count": 1, "dtype": "uint8", "crs": "EPSG:32632"}
    profile["transform"] = Affine(1, 0, 500000, 0, -1, 5200000)
    with rasterio.open(path, "w", **(profile | more)) as file:
        file.write(np.ones((1, 8, 8), np.uint8))
        file.update_tags(**{f"item_{number}": str(number) for number in range(items)})
    return path


@pytest.mark.parametrize("kind", [{}, {"BIGTIFF": "YES"}, {"ENDIANNESS": "BIG"}])
def test_metadata_is_counted_before_gdal_reads_it(tmp_path: Path, kind: dict[str, str]) -> None:
    many = write(tmp_path / "many.tif", 2_500, **kind)
    with many.open("rb") as file:
        assert gdal_metadata(file).count(b"<Item") == 2_500
    before = time.process_time()
    with pytest.raises(Refused, match="too much metadata.*gdal_translate -nomd"):
        rewrite(many, tmp_path / "out.tif", 10**6)
    assert time.process_time() - before < 1
    assert not (tmp_path / "out.tif").exists()
    few = write(tmp_path / "few.tif", 500, **kind)
    rewrite(few, tmp_path / "out.tif", 10**6)
    with rasterio.open(tmp_path / "out.tif") as file:
        assert file.tags()["item_499"] == "499"
    none = write(tmp_path / "none.tif", 0, **kind)
    with none.open("rb") as file:
        assert gdal_metadata(file).count(b"item_") == 0
