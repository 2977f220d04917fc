"""What a field of a request is called in QGIS, and sentences of the backend with those names, translated.

The backend puts names of its interface in backquotes, such as ``stretch`` or ``extent.bbox``. Knows no QGIS.
"""

from __future__ import annotations

import re

from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.sentences import translated

TITLES = {
    "prompt": tr("Prompt"),
    "negative_prompt": tr("Negative prompt"),
    "extent": tr("Extent"),
    "gsd": tr("Ground sample distance"),
    "crs": tr("CRS of the image"),
    "project_crs": tr("CRS of the project"),
    "align": tr("Align pixels to"),
    "canvas": tr("Canvas"),
    "joins": tr("Scene to continue"),
    "regions": tr("Regions"),
    "layout": tr("Layout"),
    "source": tr("Raster"),
    "mask": tr("Mask"),
    "bands": tr("Red, green and blue band"),
    "stretch": tr("Stretch"),
    "extra_bands": tr("Other bands"),
    "feather": tr("Feather"),
    "grow": tr("Grow"),
    "strength": tr("Strength"),
    "fill_holes": tr("Fill holes"),
    "seed": tr("Seed"),
    "variants": tr("Variants"),
    "steps": tr("Steps"),
    "sampler": tr("Sampler"),
    "guidance": tr("Guidance"),
    "model": tr("Model"),
    "samples": tr("Like here"),
    "start": tr("Begin with"),
    "start_strength": tr("Strength of the noise over it"),
}


def in_words(sentence: str) -> str:
    """Return a sentence of the backend in the user's language, with the names that fields have in QGIS."""
    return re.sub(r"`([^`]+)`", lambda found: _title(found.group(1)), translated(sentence))


def _title(name: str) -> str:
    """Return the title of a field, given by a dotted path; what is none of ours is quoted as it is."""
    return f"'{TITLES.get(name.removeprefix('inputs.').split('.')[0], name)}'"
