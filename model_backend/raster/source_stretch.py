"""Which values of a raster are shown black and white, read as far as that takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model_backend.raster.files.source import Source, read, read_known
from model_backend.raster.stretch import Stretch, stretch_for
from model_backend.raster.value_warnings import value_warnings
from model_backend.schemas import Box


def source_stretch(
    given: Sequence[Sequence[float]] | None, source: Source, box: Box
) -> tuple[Stretch, list[str]]:
    """Return the values shown black and white, as given or by a box of the raster, and doubts about them."""
    bands = source.roles.visible
    if source.dtype == np.uint8 and len(bands) == 3:  # a picture
        none = np.empty((len(bands), 0, 0), source.dtype)
        return stretch_for(given, none, np.empty((0, 0), np.bool_)), []
    values, known = read(source, box, bands), read_known(source, box)
    return stretch_for(given, values, known), value_warnings(values, known)
