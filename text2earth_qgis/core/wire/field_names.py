"""What a field of a request is called in QGIS, and sentences of the backend with those names.

The backend puts names of its interface in backquotes, such as ``stretch`` or ``extent.bbox``. Knows no QGIS.
"""

from __future__ import annotations

import re

TITLES = {
    "prompt": "Prompt",
    "negative_prompt": "Negative prompt",
    "extent": "Extent",
    "gsd": "Ground sample distance",
    "crs": "CRS of the image",
    "project_crs": "CRS of the project",
    "align": "Align pixels to",
    "canvas": "Canvas",
    "joins": "Scene to continue",
    "regions": "Regions",
    "layout": "Layout",
    "source": "Raster",
    "mask": "Mask",
    "bands": "Red, green and blue band",
    "stretch": "Stretch",
    "extra_bands": "Other bands",
    "feather": "Feather",
    "grow": "Grow",
    "strength": "Strength",
    "fill_holes": "Fill holes",
    "seed": "Seed",
    "steps": "Steps",
    "sampler": "Sampler",
    "guidance": "Guidance",
    "model": "Model",
    "samples": "Like here",
    "start": "Begin with",
    "start_strength": "Strength of the noise over it",
}


def in_words(sentence: str) -> str:
    """Return a sentence of the backend with the names that fields have in QGIS."""
    return re.sub(r"`([^`]+)`", lambda found: _title(found.group(1)), sentence)


def _title(name: str) -> str:
    """Return the title of a field, given by a dotted path; what is none of ours is quoted as it is."""
    return f"'{TITLES.get(name.removeprefix('inputs.').split('.')[0], name)}'"
