"""What is said of polygons that the user has drawn for a purpose: the mask of an edit, the area of a sample.

Sentences, with ``{name}`` for the layer's; who finds something wrong fills them. Knows no layer.
"""

from __future__ import annotations

from dataclasses import dataclass

from text2earth_qgis.core.language import tr


@dataclass(frozen=True)
class Role:
    """The sentences of one purpose."""

    unreadable: str
    without_crs: str
    empty: str
    none_selected: str
    outside: str
    misplaced: str


MASK = Role(
    unreadable=tr("{name}, the mask, is no layer that QGIS can read."),
    without_crs=tr("The mask '{name}' has no CRS. Set it in the properties of the layer first."),
    empty=tr("There is no polygon in the mask '{name}'. Draw or select one where the raster shall change."),
    none_selected=tr(
        "No polygon is selected in the mask '{name}'. Draw or select one where the raster shall change."
    ),
    outside=tr("The mask lies outside of the raster. Draw it on the raster, or check its CRS."),
    misplaced=tr("The mask '{name}' cannot be placed in the raster's CRS. Check its CRS, or draw it anew."),
)
SAMPLE = Role(
    unreadable=tr("{name}, the area of the sample, is no layer that QGIS can read."),
    without_crs=tr(
        "The area of the sample '{name}' has no CRS. Set it in the properties of the layer first."
    ),
    empty=tr("There is no polygon in the area of the sample '{name}'. Draw or select one."),
    none_selected=tr("No polygon is selected in the area of the sample '{name}'. Draw or select one."),
    outside=tr("The area of the sample lies outside of the raster. Draw it on the raster, or check its CRS."),
    misplaced=tr(
        "The area of the sample '{name}' cannot be placed in the raster's CRS. Check its CRS, or draw it "
        "anew."
    ),
)
