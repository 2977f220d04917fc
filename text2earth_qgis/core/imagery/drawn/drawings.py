"""What a user has drawn for a scene: regions and a layout, as layers and as they travel. Any thread."""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional, Union

from text2earth_qgis.core.imagery.drawn.features import SearchArea
from text2earth_qgis.core.imagery.drawn.layout_features import LayoutLayer, read_layout
from text2earth_qgis.core.imagery.drawn.layout_raster import ClassLayer, read_classes
from text2earth_qgis.core.imagery.drawn.region_features import RegionLayer, read_regions
from text2earth_qgis.core.wire.schemas import Layout, Polygons

AnyLayout = Union[LayoutLayer, ClassLayer]


class Drawings(NamedTuple):
    """Regions and layout as they travel, and what is to be said of that."""

    regions: Optional[Polygons] = None
    layout: Optional[Layout] = None
    note: str = ""

    def over(self, other: Drawings) -> Drawings:
        """Return these, and the other's where there are none."""
        return Drawings(self.regions or other.regions, self.layout or other.layout, self.note)


class DrawnLayers(NamedTuple):
    """The layers that they are read from, ``near`` what is asked for."""

    regions: Optional[RegionLayer]
    layout: Optional[AnyLayout]
    near: SearchArea

    def read(self, stop: Callable[[], bool]) -> Drawings:
        """Read both; raises ``RasterRefused`` with what to do."""
        regions = None if self.regions is None else read_regions(self.regions, self.near, stop)
        if isinstance(self.layout, ClassLayer):
            return Drawings(regions, *read_classes(self.layout, self.near, stop))
        return Drawings(regions, None if self.layout is None else read_layout(self.layout, self.near, stop))
