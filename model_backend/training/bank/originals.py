"""The originals that a bank is made from: rows of parquet tables, with where each is from.

Knows the five tables' columns, sources and licences; chooses nothing.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from model_backend.arrays import UInt8Array


class Source(NamedTuple):
    """Where a table is from, its licence, and what must be said about it."""

    key: str
    licence: str
    attribution: str


SOURCES = {
    "ucmerced_0m50": Source(
        "ucmerced",
        "public domain",
        "UC Merced Land Use (Yang & Newsam 2010; USGS National Map Urban Area Imagery, public domain)",
    ),
    "naip_towns_0m60": Source(
        "naip",
        "CC BY 4.0",
        "USDA NAIP (public domain), cut by Ventura et al. 2024, Individual Tree Detection in Large-Scale "
        "Urban Environments (CC BY 4.0)",
    ),
    "s2_landscapes_10m": Source(
        "sentinel2",
        "Copernicus Sentinel data terms",
        "contains modified Copernicus Sentinel data; samples selected by bencetaro (no licence stated for "
        "the selection; pixels are open Copernicus data)",
    ),
    "landsat_cdl_30m": Source(
        "landsat8",
        "public domain, samples MIT",
        "Landsat 8 courtesy of the U.S. Geological Survey; Cropland Data Layer, USDA NASS; samples from "
        "Ag-Net-Dataset (Sun 2019, MIT)",
    ),
}


@dataclass(frozen=True)
class Original:
    """One row: the bytes of its image, of its near infrared and of its map of codes, where it has them."""

    table: str
    file: str
    gsd: float
    image: bytes
    nir: bytes | None
    codes: bytes | None
    place: str | None
    date: str | None

    @property
    def id(self) -> str:
        """The file's name without folders and ending."""
        return self.file.split("/")[-1].rsplit(".", 1)[0]

    @property
    def ending(self) -> str:
        """The ending of the image's format."""
        return "webp" if self.image[8:12] == b"WEBP" else "jpg"

    def pixels(self) -> UInt8Array:
        """Decode the image, (height, width, 3)."""
        with Image.open(io.BytesIO(self.image)) as opened:
            return np.asarray(opened.convert("RGB"))

    def near_infrared(self) -> UInt8Array | None:
        """Decode the near infrared, (height, width)."""
        return _grey(self.nir)

    def code_map(self) -> UInt8Array | None:
        """Decode the map of codes, (height, width)."""
        return _grey(self.codes)


def _grey(data: bytes | None) -> UInt8Array | None:
    if data is None:
        return None
    with Image.open(io.BytesIO(data)) as opened:
        return np.asarray(opened.convert("L"))


def read(folder: Path, table: str) -> Iterator[Original]:
    """Read all rows of a table, ordered by file."""
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(folder / f"{table}.parquet").to_pylist()
    for row in sorted(rows, key=lambda row: str(row["file"])):
        yield Original(
            table=table,
            file=row["file"],
            gsd=round(float(row["gsd_m"]), 4),
            image=row["image"],
            nir=row.get("nir"),
            codes=row.get("cdl") or row.get("forest_mask"),
            place=row["place"].replace("_", " ") if "place" in row else _place(row),
            date=str(row["year"]) if "year" in row else None,
        )


def _place(row: dict[str, Any]) -> str | None:
    """Name the place of a table that names none, from its zone."""
    return {"EPSG:32633": "Bohemia, Lower Austria", "EPSG:32634": "Lower Danube and Tisza"}.get(
        row.get("crs", ""), "North Dakota" if "cdl" in row else None
    )
