"""Which Pythons a folder of wheels is for, by their names alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Optional

FIT = (11, 12, 13)  # of Python 3, that the backend runs on
# NAME-VERSION(-BUILD)-PYTHON-ABI-PLATFORM.whl; one with the ABI abi3 or none runs on later ones too.
BOUND = re.compile(r"([^-]+)-.*-cp3(\d+)-cp3\d+\w*-[^-]+\.whl")
FREE = re.compile(r"([^-]+)-.*-(?:abi3|none)-[^-]+\.whl")


def minors(source: str) -> tuple[int, ...]:
    """Return the versions of Python 3 that a folder has wheels of all its packages for.

    What is no folder has an index behind it, and with that all that fit.
    """
    place: Optional[Path] = Path(source) if source else None
    if place is None or not place.is_dir():
        return FIT
    names = [path.name for path in place.glob("*.whl")]
    free = {found.group(1) for found in map(FREE.fullmatch, names) if found}
    bound: dict[str, set[int]] = {}
    for found in map(BOUND.fullmatch, names):
        if found and found.group(1) not in free:
            bound.setdefault(found.group(1), set()).add(int(found.group(2)))
    return tuple(minor for minor in FIT if all(minor in those for those in bound.values()))
