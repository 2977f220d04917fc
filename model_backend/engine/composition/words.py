"""Which words of a prompt say how many, how large, where, what not, and which say nothing about land.

English only: words of other languages are looked up before (``models.languages``). Knows no kinds of land.
"""

from __future__ import annotations

COUNTS: dict[str, int] = {
    "a": 1,
    "an": 1,
    "one": 1,
    "single": 1,
    "two": 2,
    "pair": 2,
    "couple": 2,
    "both": 2,
    "three": 3,
    "few": 3,
    "group": 3,
    "cluster": 3,
    "row": 3,
    "some": 3,
    "four": 4,
    "several": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "many": 7,
    "numerous": 7,
    "eight": 8,
    "nine": 9,
    "lots": 7,
    "dozens": 9,
    "hundreds": 9,
}
PLURAL = 3  # how many, if the prompt does not say
MOST = 9

#: Size adjectives, in percent.
SIZES: dict[str, int] = {
    **dict.fromkeys(("tiny",), 35),
    **dict.fromkeys(("small", "little", "narrow", "short"), 60),
    **dict.fromkeys(("large", "big", "wide", "broad", "long", "great"), 160),
    **dict.fromkeys(("huge", "vast", "enormous", "giant"), 220),
}

DENSE = frozenset(("dense", "densely", "crowded", "compact"))
SPARSE = frozenset(("sparse", "sparsely", "scattered", "isolated", "low-density"))

#: How much lines wind, in percent of what is usual.
WINDING: dict[str, int] = {
    **dict.fromkeys(("winding", "meandering", "curved", "curving", "curvy"), 160),
    "straight": 0,
}

#: Before what lies around everything else.
INSIDE = frozenset(
    ("in", "within", "inside", "into", "through", "across", "over", "amid", "amidst", "among", "on", "under")
    + ("surrounded by", "enclosed by", "in the middle of", "in the midst of", "between", "covered by", "atop")
)
BESIDE = frozenset(
    ("beside", "near", "next to", "along", "alongside", "by", "at", "adjacent to", "close to", "around")
    + ("at the edge of", "on the edge of", "on the shore of", "on the bank of", "on the banks of")
    + (
        "bordering",
        "at the shore of",
        "bordered by",
        "in front of",
        "behind",
        "opposite",
        "facing",
        "off",
        "overlooking",
    )
)
WITH = frozenset(("with", "containing", "including", "featuring", "plus", "has", "having"))
AND = frozenset(("and", "or", "nor", ","))
OR = frozenset(("or", "nor"))
NOT = frozenset(("no", "without", "except", "excluding", "not", "free of", "lacking"))
STOPS = frozenset((";", "."))

#: Words of prompts that say nothing about the land.
FILLERS = frozenset(
    (
        "the",
        "of",
        "any",
        "its",
        "their",
        "them",
        "they",
        "there",
        "is",
        "are",
        "it",
        "this",
        "that",
        "which",
        "where",
        "from",
    )
    + ("to", "as", "for", "be", "very", "only", "just", "other", "also", "show", "shows", "showing", "shown")
    + ("satellite", "aerial", "drone", "overhead", "top-down", "birds-eye", "bird's-eye", "remote", "sensing")
    + ("image", "imagery", "photo", "photograph", "picture", "view", "scene", "landscape", "land", "map")
    + ("shot", "seen", "above", "area", "zone", "region", "place", "site", "ground", "terrain", "surface")
    + ("please", "draw", "make", "create", "generate", "realistic", "detailed", "high", "resolution")
    + ("google", "earth", "sentinel", "naip", "orthophoto", "typical", "estate", "block", "lot", "course")
    + ("district", "quarter", "body", "stretch", "patch", "piece", "edge", "side", "middle", "bank")
    + ("network", "part", "center", "centre", "running")
    + ("flowing", "located", "situated", "lined", "crossing", "crossed", "lying", "surrounded")
)
