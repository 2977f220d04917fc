"""Coordinate reference systems as callers may name them.

The only place where text of a caller reaches PROJ. A CRS string can make PROJ or GDAL fetch a URL, read a
file or open a shift grid, so nothing passes but: authority codes and OGC URIs that PROJ's own database lists,
and WKT that begins with a CRS keyword and names no file and no PROJ string. Coordinates are x, y (longitude
before latitude) everywhere, except that OGC URIs and URNs mean the official axis order (OGC 07-092r3,
RFC 5165). Knows no extents, pixels or models.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import pyproj
import rasterio
import rasterio.crs
from affine import Affine
from pyproj.database import get_codes
from pyproj.enums import PJType
from pyproj.exceptions import CRSError, ProjError
from pyproj.network import set_network_enabled  # type: ignore[attr-defined]

from model_backend.errors import InvalidInput

# A plan must not depend on whether a grid server answers, nor tell it where a user works.
set_network_enabled(False)

ALLOWED = (
    "an authority code such as EPSG:32633, an OGC URI or URN, or WKT of a projected or geographic CRS of the "
    "Earth"
)
_LONGEST = 20_000
_AUTHORITIES = {"EPSG": "EPSG", "ESRI": "ESRI", "IGNF": "IGNF", "OGC": "OGC"}
# In x, y order these are the same systems, and a GeoTIFF can only name the latter.
_TWINS = {
    "OGC:CRS84": "EPSG:4326",
    "OGC:CRS83": "EPSG:4269",
    "OGC:CRS27": "EPSG:4267",
    "ESRI:102100": "EPSG:3857",
    "EPSG:900913": "EPSG:3857",
}

_CODE = re.compile(r"([A-Za-z]{3,4}):([A-Za-z0-9._-]{1,40})")
_URI = re.compile(r"https?://www\.opengis\.net/def/crs/([A-Za-z]{3,4})/[0-9.]{1,10}/([A-Za-z0-9._-]{1,40})")
_URN = re.compile(r"urn:ogc:def:crs:([A-Za-z]{3,4}):[0-9.]{0,10}:([A-Za-z0-9._-]{1,40})", re.IGNORECASE)
_WKT = re.compile(
    r"\s*(PROJCRS|PROJECTEDCRS|GEOGCRS|GEOGRAPHICCRS|GEODCRS|GEODETICCRS|BOUNDCRS|DERIVEDPROJCRS|COMPOUNDCRS|"
    r"VERTCRS|VERTICALCRS|ENGCRS|ENGINEERINGCRS|PROJCS|GEOGCS|GEOCCS|COMPD_CS|VERT_CS|LOCAL_CS)\s*[\[(]",
    re.IGNORECASE,
)
# What makes PROJ open files or interpret PROJ strings inside WKT: shift grids, WKT1 extensions, methods and
# remarks that begin with PROJ (a remark "PROJ CRS string: ..." replaces the CRS). Curly quotes are quotes.
_HARMFUL = re.compile(
    r"EXTENSION|PARAMETERFILE|(nad|geoid|xy_|z_)grids|\bgrids\s*=|\binit\s*=|PROJ4|[\"\u201c\u201d]\s*PROJ[\s_-]|"
    r"PROJ CRS STRING|\+\s*(proj|init)|/vsi",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Reference:
    """A CRS as a caller named it; ``swapped``: the caller's coordinates are y, x."""

    crs: pyproj.CRS
    swapped: bool


def parse_crs(text: str, field: str) -> pyproj.CRS:
    """Return the CRS that ``text`` names, its horizontal part if it has heights; raises InvalidInput."""
    return parse_reference(text, field).crs


def parse_reference(text: str, field: str) -> Reference:
    """Return the CRS that ``text`` names and whether in official axis order; raises InvalidInput."""
    reference = parse_any(text, field)
    reference = Reference(horizontal(reference.crs), reference.swapped)
    kind = unusable(reference.crs)
    if kind:
        raise InvalidInput(field, f"`{field}` {kind}.", value=text[:200], allowed=ALLOWED)
    return reference


def parse_any(text: str, field: str) -> Reference:
    """Like ``parse_reference`` for a CRS of any kind, as a project may have one that no raster can have."""
    if len(text) > _LONGEST or not all(letter.isprintable() or letter in "\t\r\n" for letter in text):
        raise _refusal(text, field, "is no CRS that this server reads")
    try:
        return _parse(text.strip())
    except (CRSError, ProjError):
        raise _refusal(text, field, "is WKT that cannot be understood") from None
    except ValueError as error:
        raise _refusal(text, field, str(error)) from None


def _refusal(text: str, field: str, reason: str) -> InvalidInput:
    """Return the refusal of ``text``."""
    return InvalidInput(
        field, f"`{field}` {reason}; allowed is {ALLOWED}.", value=text[:200], allowed=ALLOWED
    )


@lru_cache(maxsize=128)
def _parse(text: str) -> Reference:
    """Return the CRS of ``text``; ValueError carries the reason of a refusal."""
    if code := _CODE.fullmatch(text):
        return Reference(_from_database(code[1], code[2]), swapped=False)
    if uri := _URI.fullmatch(text) or _URN.fullmatch(text):
        crs = _from_database(uri[1], uri[2])
        return Reference(crs, swapped=uri[1].upper() != "OGC" and _northing_first(crs))
    if not _WKT.match(text):
        raise ValueError("is no CRS that this server reads")
    if _HARMFUL.search(text):
        raise ValueError("is WKT that names files or PROJ strings, which this server does not read")
    return Reference(pyproj.CRS.from_wkt(text), swapped=False)


def _from_database(authority: str, code: str) -> pyproj.CRS:
    """Return a CRS that PROJ's database lists. Nothing else may reach PROJ: it would search for a file."""
    known = _AUTHORITIES.get(authority.upper())
    listed = known and next((item for item in _codes(known) if item.upper() == code.upper()), None)
    if not known or not listed:
        raise ValueError("names no CRS of the EPSG, ESRI, IGNF or OGC registries")
    name = f"{known}:{listed}"
    return pyproj.CRS.from_authority(*_TWINS.get(name, name).split(":"))


@lru_cache(maxsize=8)
def _codes(authority: str) -> frozenset[str]:
    """Return the codes of all CRSs of an authority in PROJ's database."""
    return frozenset(get_codes(authority, PJType.CRS, allow_deprecated=True)) | (
        {"CRS84", "CRS83", "CRS27"} if authority == "OGC" else frozenset()
    )


def _northing_first(crs: pyproj.CRS) -> bool:
    """Say whether the official order of ``crs`` is the reverse of x, y.

    Asked of PROJ itself, numerically: polar systems have two axes that both point north or south.
    """
    base = base_crs(crs)
    official = pyproj.Transformer.from_crs(base, crs)
    traditional = pyproj.Transformer.from_crs(base, crs, always_xy=True)
    lon, lat = _inside(crs)
    scale = 180 / 3.141592653589793 * base.axis_info[0].unit_conversion_factor
    lon, lat = lon / scale, lat / scale
    x, y = traditional.transform(lon, lat)
    latitude_first = base.axis_info[0].direction == "north"
    a, _ = official.transform(*((lat, lon) if latitude_first else (lon, lat)))
    return bool(abs(a - y) < abs(a - x))


def _inside(crs: pyproj.CRS) -> tuple[float, float]:
    """Return a longitude and latitude off the middle of the area of use, where x and y are not equal."""
    area = crs.area_of_use
    west, south, east, north = area.bounds if area is not None else (-10.0, 20.0, 10.0, 60.0)
    east += 360 if east < west else 0
    return west + 0.37 * (east - west), south + 0.61 * (north - south)


def horizontal(crs: pyproj.CRS) -> pyproj.CRS:
    """Return the part of a CRS that says where something lies, without its heights."""
    if crs.is_compound:
        return horizontal(crs.sub_crs_list[0])
    if len(crs.axis_info) == 3 and not crs.is_bound and (crs.is_geographic or crs.is_projected):
        return crs.to_2d()
    return crs


def unusable(crs: pyproj.CRS) -> str | None:
    """Return the reason why no raster can be in ``crs``, as the end of a sentence; None if it can."""
    plain = crs.source_crs if crs.is_bound else crs
    if plain is None or not (plain.is_geographic or plain.is_projected) or len(plain.axis_info) != 2:
        return f"({crs.name}, {(plain or crs).type_name}) is neither projected nor geographic"
    if crs.ellipsoid is None or not 0.99 < crs.ellipsoid.semi_major_metre / 6_378_137 < 1.01:
        return "is not on the Earth"
    return None


def base_crs(crs: pyproj.CRS) -> pyproj.CRS:
    """Return the geographic CRS beneath ``crs``: same datum, no projection, rotation or datum shift."""
    while (source := crs.source_crs) is not None:
        crs = source
    return crs


@lru_cache(maxsize=128)
def crs_text(crs: pyproj.CRS) -> str:
    """Return the authority code of ``crs`` where it has one that means the same, else its WKT2."""
    authority = crs.to_authority(min_confidence=100)
    listed = authority is not None and authority[0] in _AUTHORITIES
    if authority and listed and crs.equals(pyproj.CRS.from_authority(*authority), ignore_axis_order=True):
        return ":".join(authority)
    return str(crs.to_wkt("WKT2_2019"))


def for_gdal(text: str) -> rasterio.crs.CRS:
    """Return a CRS of ours (``crs_text``) for rasterio, whose registry may be older than pyproj's."""
    return rasterio.crs.CRS.from_wkt(pyproj.CRS.from_user_input(text).to_wkt())


@lru_cache(maxsize=128)
def storable(text: str) -> bool:
    """Say whether a GeoTIFF by itself can hold a CRS of ours: write one pixel, read it back."""
    crs = for_gdal(text)
    profile = {"driver": "GTiff", "width": 1, "height": 1, "count": 1, "dtype": "uint8"}
    with rasterio.Env(GDAL_PAM_ENABLED="NO"), rasterio.MemoryFile() as memory:
        with memory.open(**profile, crs=crs, transform=Affine(1, 0, 0, 0, -1, 1)):
            pass
        with memory.open() as file:
            return bool(file.crs == crs)
