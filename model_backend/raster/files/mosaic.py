"""A virtual raster (GDAL's VRT): files side by side, with the tags that a copy shall have.

Written as text, because rasterio can neither make one of files nor put XMP anywhere. Knows the format; knows
no recipes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from model_backend.schemas import Box

_TYPES = {"uint8": "Byte", "int32": "Int32"}


@dataclass(frozen=True)
class Bands:
    """What the bands of a file are: names, numpy's type, and the value of pixels that have none."""

    names: tuple[str, ...]
    dtype: str
    nodata: int | None = None

    @property
    def colours(self) -> bool:
        """Whether they are to be looked at as colours."""
        return self.names == IMAGE.names


IMAGE = Bands(("Red", "Green", "Blue"), "uint8")


@dataclass(frozen=True)
class Mosaic:
    """``files`` in a raster of ``place``: width, height, crs and transform as rasterio takes them.

    A file's box is counted from the raster's upper left pixel, and is all of the file.
    """

    place: Mapping[str, Any]
    files: Sequence[tuple[Box, Path]]
    bands: Bands = IMAGE

    def write(self, path: Path, tags: Mapping[str, Mapping[str, str]] | None = None, xmp: str = "") -> None:
        """Write the file; ``tags`` by domain ("" is GDAL's own), ``xmp`` a whole packet."""
        size = {"rasterXSize": str(self.place["width"]), "rasterYSize": str(self.place["height"])}
        root = Element("VRTDataset", size)
        _add(root, "SRS", self.place["crs"].to_wkt())
        _add(root, "GeoTransform", ", ".join(map(repr, self.place["transform"].to_gdal())))
        for domain, values in (tags or {}).items():
            metadata = _add(root, "Metadata", **({"domain": domain} if domain else {}))
            for key, value in values.items():
                _add(metadata, "MDI", value, key=key)
        kind = _TYPES[self.bands.dtype]
        for number, name in enumerate(self.bands.names, 1):
            band = _add(root, "VRTRasterBand", dataType=kind, band=str(number))
            _add(band, "Description", name)
            if self.bands.nodata is not None:
                _add(band, "NoDataValue", str(self.bands.nodata))
            if self.bands.colours:
                _add(band, "ColorInterp", name)
            for box, file in self.files:
                _source(band, number, box, file, kind)
        text = ElementTree.tostring(root, encoding="unicode").removesuffix("</VRTDataset>")
        packet = f'<Metadata domain="xml:XMP" format="xml">{xmp}</Metadata>' if xmp else ""
        path.write_text(f"{text}{packet}</VRTDataset>", encoding="utf-8")


def _source(band: Element, number: int, box: Box, path: Path, kind: str) -> None:
    width, height = str(box.width), str(box.height)
    source = _add(band, "SimpleSource")
    _add(source, "SourceFilename", str(path.absolute()), relativeToVRT="0")
    _add(source, "SourceBand", str(number))
    # Told here, it is not looked up in every file before the first pixel is read.
    _add(source, "SourceProperties", RasterXSize=width, RasterYSize=height, DataType=kind)
    _add(source, "SrcRect", xOff="0", yOff="0", xSize=width, ySize=height)
    _add(source, "DstRect", xOff=str(box.col), yOff=str(box.row), xSize=width, ySize=height)


def _add(parent: Element, tag: str, text: str | None = None, **attributes: str) -> Element:
    element = ElementTree.SubElement(parent, tag, attributes)
    element.text = text
    return element
