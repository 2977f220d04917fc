"""What an edit was made of, as the file of its result says it: the mask, and where the raster is from there.

Written by the plugin on the user's own computer, where it puts a result together, never by a backend; not
where prompts are not to be recorded. Any thread.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from text2earth_qgis.core.wire.schemas import Json

DOMAIN, ITEM = "ORIGIN", "EDIT"  # of metadata; what is sent of a raster does not have it
MOST = 100_000  # characters of a mask that a file is given


@dataclass(frozen=True)
class Origin:
    """The raster that was edited, its name, and the mask as it travelled (empty: a raster, or too large)."""

    name: str = ""
    raster: str = ""
    mask: Json = field(default_factory=dict)

    def found(self, result: Path) -> Optional[Path]:
        """Return where the raster is, if it is still there from the file of the result."""
        path = result.parent / self.raster
        return Path(os.path.normpath(path)) if self.raster and path.is_file() else None


def written(inputs: Json, source: Json, target: Path) -> str:
    """Return what a result says of a run's inputs and the raster they are of; '' if it is to say nothing."""
    mask = inputs.get("mask") or {}
    if inputs.get("record_prompt") is False or not source or not mask:
        return ""
    raster = Path(source["source"])
    try:  # a path from the result tells others least, and holds where both are moved together
        path = Path(os.path.relpath(raster, target.parent)).as_posix() if raster.is_file() else ""
    except ValueError:  # another drive of Windows
        path = str(raster)
    fits = "geojson" in mask and len(json.dumps(mask)) <= MOST
    return json.dumps({"name": source["name"], "raster": path, "mask": mask if fits else {}})


def read(text: str) -> Origin:
    """Return what a file says; nothing if it says nothing that can be understood."""
    try:
        known = json.loads(text)
        return Origin(str(known["name"]), str(known["raster"]), dict(known["mask"]))
    except (KeyError, TypeError, ValueError):
        return Origin()
