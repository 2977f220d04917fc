"""Regions as QGIS has them: polygons of a layer, with fields that say what is to be seen there.

Any thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional

from qgis.core import QgsCoordinateReferenceSystem, QgsFields

from text2earth_qgis.core.errors import RasterRefused
from text2earth_qgis.core.imagery.drawn.features import (
    DrawnLayer,
    FeatureSource,
    SearchArea,
    Words,
    read_features,
)
from text2earth_qgis.core.imagery.rasters import crs_text
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Polygons

WORDS = Words(
    without_crs=tr("The regions '{name}' have no CRS. Set it in the properties of the layer first."),
    stopped=tr("The regions were not read."),
    too_much=tr(
        "The regions '{name}' have too many corners to be sent. Select those around the extent, simplify "
        "them or clip them."
    ),
    empty=tr("The regions '{name}' have no polygon."),
    empty_here=tr("The regions '{name}' have no polygon near the extent."),
    none_selected=tr("The regions '{name}' have no selected polygon."),
    none_selected_here=tr("The regions '{name}' have no selected polygon near the extent."),
)


@dataclass(frozen=True)
class RegionLayer:
    """Polygons for any thread, and the names of their fields; ``ids`` is a selection of them."""

    name: str
    source: FeatureSource
    crs: QgsCoordinateReferenceSystem
    fields: QgsFields
    prompt: str
    negative: str = ""
    priority: str = ""
    ids: Optional[frozenset[int]] = None


def read_regions(layer: RegionLayer, near: Optional[SearchArea], stop: Callable[[], bool]) -> Polygons:
    """Return the polygons of a layer as they travel: all, or those ``near`` a place.

    Raises ``RasterRefused`` with what to do.
    """
    names = {"prompt": layer.prompt, "negative_prompt": layer.negative, "priority": layer.priority}
    columns = {key: layer.fields.indexOf(name) for key, name in names.items() if name}
    if columns.get("prompt", -1) < 0:
        raise RasterRefused(
            tr("Choose the field of '{name}' that says what each region shows.").format(name=layer.name)
        )
    drawn = DrawnLayer(layer.name, layer.source, layer.crs, layer.ids)
    features = read_features(drawn, columns, WORDS, near, stop)
    return Polygons({"type": "FeatureCollection", "features": features}, crs_text(layer.crs))


def prompts(regions: Polygons) -> list[str]:
    """Return the prompts of regions as they travel, each once, in the order of the features."""
    found = (str(one["properties"].get("prompt") or "").strip() for one in regions.geojson["features"])
    return [prompt for prompt in dict.fromkeys(found) if prompt]
