"""What an extension is: raster, how far it is to reach, prompt, and, folded away, the rest.

Turns what the user set into an ``EditRequest`` and back. The raster's grid, which says what a pixel is, is
told from outside.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Optional

from qgis.core import QgsProject
from qgis.PyQt.QtWidgets import QCheckBox, QWidget

from text2earth_qgis.core.errors import PluginError, RasterRefused
from text2earth_qgis.core.imagery import rasters
from text2earth_qgis.core.imagery.drawn.drawings import DrawnLayers
from text2earth_qgis.core.imagery.drawn.features import SearchArea
from text2earth_qgis.core.imagery.edit_request import EditRequest
from text2earth_qgis.core.imagery.extension import Extension
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import ExtendInputs, Extent, Json, Polygons, Upload
from text2earth_qgis.gui.accessible import name_fields
from text2earth_qgis.gui.panels.drawn.regions import RegionsPanel
from text2earth_qgis.gui.panels.fields import fold
from text2earth_qgis.gui.panels.painting import PaintingPanel, form_layout
from text2earth_qgis.gui.panels.reach import ReachField


class ExtendPanel(PaintingPanel):
    """The form; how far the raster is to reach is shown by ``reach`` and kept by the mode."""

    def __init__(self, project: QgsProject, parent: Optional[QWidget] = None) -> None:
        super().__init__(project, tr("The raster to extend"), parent)
        self.source.setToolTip(tr("The raster to extend. It is only read: the result is another file."))
        self.examples = (
            tr("What the new land shows, such as: farmland with hedges. Empty: as the raster goes on"),
            tr("No prompt is needed: the new land goes on as the raster does"),
        )
        self.negative.setPlaceholderText(tr("What the new land should not show, such as: clouds"))
        self.fill.setText(tr("Go on as the raster does"))
        self.fill.setToolTip(
            tr(
                "The land that is there goes on, without a prompt: every band is copied from real pixels "
                "nearby."
            )
        )
        self.reach = ReachField()
        self.holes = QCheckBox(tr("Fill holes of the raster, too"))
        self.holes.setToolTip(
            tr("Paints pixels without a value inside the extent. Where nodata is 0, black land has none.")
        )
        self.regions = RegionsPanel()
        self.bands.extra.removeItem(self.bands.extra.findData("keep"))  # there is nothing to keep
        lots = fold(tr("Regions"), self.regions)
        self._folds = {"negative": self._folds["negative"], "regions": lots, **self._folds}
        top, form = form_layout(), form_layout()
        top.addRow(tr("Raster"), self.source)
        top.addRow(self.reach)
        top.addRow(self.holes)
        form.addRow(tr("Seed"), self.seed)
        name_fields(top)
        name_fields(form)
        self.regions.titled.connect(lots.setTitle)
        self.regions.changed.connect(self.changed)
        self.holes.toggled.connect(lambda _checked: self.changed.emit())
        self.lay_out(top, form)
        self.recall({})

    def is_drawn(self) -> bool:
        """Whether regions or a layout say what is to be seen."""
        return super().is_drawn() or self.regions.has_layer() or self.regions.kept() is not None

    def missing(self, extension: Optional[Extension]) -> str:
        """Name what the form still lacks, as a sentence; ``extension`` is what the map shows."""
        layer = self.layer()
        if layer is None:
            return tr("Choose the raster layer to extend.")
        try:
            rasters.file_of(layer)
        except RasterRefused as error:
            return str(error)
        if extension is None:
            return tr("Drag a side of the raster outward on the map, or type how far it is to reach.")
        return self.missing_rest(layer) or self.regions.missing()

    def request(self, extension: Extension) -> EditRequest:
        """Return the request, without a name for the result. Raises ``PluginError``."""
        layer = self.layer()
        if layer is None:
            raise PluginError(self.missing(extension))
        return EditRequest(
            source=rasters.file_of(layer),
            displayed=rasters.displayed_bands(layer),
            mask=extension,
            context=self._project.transformContext(),
            target=Path(),
            options=self.settings(),
            stretch=self.bands.stretch(),
            project=self._project.fileName(),
            layers=(layer.id(), ""),
            samples=self.like_here.samples(layer),
            sources=Path() if self.sources.isChecked() else None,
        )

    def drawn_layers(self, extension: Extension) -> DrawnLayers:
        """Return the layers of regions and a layout that are to be read, and near what."""
        near = SearchArea(extension.extent, extension.crs, self._project.transformContext())
        return DrawnLayers(self.regions.chosen(), self.layout_panel.chosen(), near)

    def set_inputs(self, inputs: ExtendInputs) -> None:
        """Show the settings of an earlier run, but for its layers."""
        self.show_settings(inputs)
        self.holes.setChecked(inputs.fill_holes)

    def use_regions(self, regions: Optional[Polygons]) -> None:
        """Show the regions of an earlier run, None if it had none."""
        self.regions.keep(regions)
        self._folds["regions"].setCollapsed(regions is None)

    def memory(self) -> Json:
        """Return the settings to keep for the next session: those that do not depend on the project."""
        own = {"fill_holes": self.holes.isChecked(), "region_fields": self.regions.memory()}
        return {**self.kept_settings(), **own, **self.reach.memory()}

    def recall(self, memory: Json) -> None:
        """Show the settings that ``memory`` returned."""
        known = {item.name for item in fields(ExtendInputs)}
        kept = {name: value for name, value in memory.items() if name in known and value is not None}
        for name in ("source", "extent", "regions", "layout", "samples"):
            kept.pop(name, None)
        nowhere = Extent([0.0, 0.0, 0.0, 0.0])
        self.set_inputs(ExtendInputs(**{"prompt": "", "source": Upload(""), "extent": nowhere, **kept}))
        self.recall_rest({"fill": True, **memory})
        self.reach.recall(memory)
        self.regions.recall(memory.get("region_fields") or {})
