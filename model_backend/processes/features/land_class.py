"""What the class of a feature means: a kind of land, and how wide it is where it is drawn as a line or point.

Classes are words of prompts, or values of a common map or land cover product. Knows no geometry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from model_backend.engine.composition.forms import SETTLED, form_of
from model_backend.engine.composition.mentions import Mention, mentions
from model_backend.models.land_tables import codes, osm, sizes
from model_backend.models.land_tables.osm import Shape

_CODES: Mapping[str, Mapping[str, str]] = {
    "corine": codes.CORINE,
    "worldcover": codes.WORLDCOVER,
    "nlcd": codes.NLCD,
    "cdl": codes.CDL,
}
#: What classes of a table look like, for messages.
EXAMPLES: Mapping[str, str] = {
    "words": "words of prompts, such as lake, forest, dense houses, road",
    "osm": "tags of OpenStreetMap, such as landuse=forest, highway=primary, building=yes",
    "corine": "codes of CORINE Land Cover, such as 112, 211, 312, 512, or 1 to 44 as its rasters count",
    "worldcover": "codes of ESA WorldCover, such as 10, 40, 50, 80",
    "nlcd": "codes of the NLCD, such as 11, 22, 41, 82",
    "cdl": "codes of the Cropland Data Layer, such as 1, 111, 141, 176",
}


@dataclass(frozen=True)
class LandClass:
    """A kind of land, the word for it, and metres across: of a line, and of a point, round or square."""

    kind: str
    word: str
    width: float
    size: float
    is_round: bool


def land_class(value: object, table: str, shape: Shape) -> LandClass | None:
    """Return what a value of a table means, drawn as an area, a line or a point; None: it is unknown."""
    text = _text(value)
    width = None
    if table == "osm":
        found = osm.meaning(text, shape)
        text, width = found if found else ("", None)
    elif table != "words":
        text = _CODES[table].get(text, "")
    named = [one for one in mentions(text)[0] if not one.negated]
    if not named:
        return None
    one = _head(named)
    return LandClass(one.kind, one.word, width or _width(one), _size(one), _is_round(one))


def shown(value: object) -> str:
    """Return a class as messages show it."""
    text = str(value).strip()[:40]
    return f'"{text}"' if value is not None and text else "no class"


def _text(value: object) -> str:
    """Return a class as tables have it: small letters, whole numbers without a point."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    text = str(value).strip().casefold()
    whole, point, rest = text.partition(".")
    return whole if point and whole.isdecimal() and not rest.strip("0") else text


def _head(named: list[Mention]) -> Mention:
    """Return what a class is, of several words that belong together the last: a forest road is a road."""
    found = named[0]
    for one in named[1:]:
        if not one.joined:
            break
        found = one
    return found


def _scale(one: Mention) -> float:
    """Return how much larger than usual a class says it is."""
    usual = form_of(one.word).high
    return one.form.high / usual if usual else 1.0


def _width(one: Mention) -> float:
    return sizes.LINES.get(one.word, sizes.OTHER_LINE) * _scale(one)


def _size(one: Mention) -> float:
    return sizes.POINTS.get(one.word, sizes.OTHER_POINT) * _scale(one)


def _is_round(one: Mention) -> bool:
    built = one.form.shape in ("block", "strip") or one.kind in SETTLED
    return one.word in sizes.ROUND or not built
