"""The codes of land cover products, in words of prompts: CORINE, ESA WorldCover, NLCD and CDL."""

from __future__ import annotations

from collections.abc import Mapping

_CORINE: Mapping[str, str] = {
    "111": "dense houses",
    "112": "houses",
    "121": "industry",
    "122": "road",
    "123": "harbour",
    "124": "airport",
    "131": "quarry",
    "132": "wasteland",
    "133": "bare",
    "141": "park",
    "142": "park",
    **dict.fromkeys(("211", "212", "213"), "field"),
    "221": "vineyard",
    **dict.fromkeys(("222", "223", "244"), "orchard"),
    "231": "pasture",
    **dict.fromkeys(("241", "242", "243"), "farmland"),
    **dict.fromkeys(("311", "312", "313"), "forest"),
    "321": "grassland",
    "322": "moor",
    "323": "scrub",
    "324": "shrubland",
    "331": "sand",
    "332": "rock",
    **dict.fromkeys(("333", "334", "335"), "bare"),
    "411": "marsh",
    "412": "bog",
    "421": "marsh",
    "422": "wetland",
    "423": "sand",
    "511": "river",
    "512": "lake",
    "521": "lagoon",
    "522": "sea",
    "523": "sea",
}
_SORTED = sorted(_CORINE)  # its rasters count the classes in this order, from 1
CORINE: Mapping[str, str] = {**_CORINE, **{str(n): _CORINE[code] for n, code in enumerate(_SORTED, 1)}}

WORLDCOVER: Mapping[str, str] = {
    "10": "forest",
    "20": "shrubland",
    "30": "grassland",
    "40": "farmland",
    "50": "town",
    "60": "bare",
    "70": "bare",
    "80": "water",
    "90": "wetland",
    "95": "mangrove",
    "100": "heath",
}

NLCD: Mapping[str, str] = {
    "11": "water",
    "12": "bare",
    "21": "park",
    "22": "sparse houses",
    "23": "houses",
    "24": "buildings",
    "31": "bare",
    **dict.fromkeys(("41", "42", "43"), "forest"),
    **dict.fromkeys(("51", "52"), "shrubland"),
    **dict.fromkeys(("71", "72", "73", "74"), "grassland"),
    "81": "pasture",
    "82": "field",
    "90": "swamp",
    "95": "marsh",
}

_CDL_ORCHARDS = (66, 67, 68, 70, 71, 72, 73, 74, 75, 76, 77, 204, 210, 211, 212, 215, 217, 218, 220, 223)
_CDL_CROPS = (*range(1, 62), *range(205, 210), 213, 214, 216, 219, 221, 222, *range(224, 255))

CDL: Mapping[str, str] = {
    **{str(code): "field" for code in _CDL_CROPS},
    **{str(code): "orchard" for code in _CDL_ORCHARDS},
    **{str(100 + int(code)): phrase for code, phrase in NLCD.items()},
    "63": "forest",
    "64": "shrubland",
    "65": "bare",
    "69": "vineyard",
    "82": "town",
    "83": "water",
    "87": "wetland",
    "88": "bare",
    "92": "pond",
    "176": "pasture",
}
