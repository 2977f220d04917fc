"""What a user has drawn for a scene: regions and a layout, as layers and as they travel. Any thread."""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional

from text2earth_qgis.core.imagery.drawn.features import SearchArea
from text2earth_qgis.core.imagery.drawn.layout_features import LayoutLayer, read_layout
from text2earth_qgis.core.imagery.drawn.region_features import RegionLayer, read_regions
from text2earth_qgis.core.wire.schemas import LayoutFeatures, Polygons


class Drawings(NamedTuple):
    """Regions and layout as they travel."""

    regions: Optional[Polygons] = None
    layout: Optional[LayoutFeatures] = None

    def over(self, other: Drawings) -> Drawings:
        """Return these, and the other's where there are none."""
        return Drawings(self.regions or other.regions, self.layout or other.layout)


class DrawnLayers(NamedTuple):
    """The layers that they are read from, those features ``near`` a place if one is given."""

    regions: Optional[RegionLayer]
    layout: Optional[LayoutLayer]
    near: Optional[SearchArea]

    def read(self, stop: Callable[[], bool]) -> Drawings:
        """Read both; raises ``RasterRefused`` with what to do."""
        return Drawings(
            None if self.regions is None else read_regions(self.regions, self.near, stop),
            None if self.layout is None else read_layout(self.layout, self.near, stop),
        )
