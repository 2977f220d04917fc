"""What an edit is: raster, mask, prompt, how it joins its surroundings, and, folded away, the rest.

Turns what the user set into an ``EditRequest`` and back. What can be seen without opening a file is noticed
here; the rest is for ``edit_request.preview_edit`` and the backend to say.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Optional

from qgis.core import QgsMapLayer, QgsProject, QgsRectangle
from qgis.gui import QgsDoubleSpinBox
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

from text2earth_qgis.core.errors import PluginError, RasterRefused
from text2earth_qgis.core.imagery import edit_request, online, rasters
from text2earth_qgis.core.imagery.datasets import RasterFile
from text2earth_qgis.core.imagery.drawn.drawings import DrawnLayers
from text2earth_qgis.core.imagery.drawn.features import SearchArea
from text2earth_qgis.core.language import tr, trn
from text2earth_qgis.core.wire.schemas import EditInputs, Json, Upload
from text2earth_qgis.gui import ground
from text2earth_qgis.gui.accessible import name_fields
from text2earth_qgis.gui.canvas.edit_picture import EditArea
from text2earth_qgis.gui.panels.brush_bar import BrushBar
from text2earth_qgis.gui.panels.drawn.mask_field import MaskField
from text2earth_qgis.gui.panels.model import AUTOMATIC, narrow_combo
from text2earth_qgis.gui.panels.painting import PaintingPanel, form_layout

EXAMPLE = tr("What shall be there, such as: a lake with reed beds. Empty: filled from its surroundings")
AVOID = tr("What shall not be there, such as: boats, clouds")
RESULTS = {
    "whole": tr("Whole raster"),
    "patch": tr("Edited part only"),
    "vrt": tr("Edited part over the raster (VRT)"),
}
FEATHER = 6  # pixels, where the user does not say
MOST_METRES = 1_000_000.0


class EditPanel(PaintingPanel):
    """The form; ``changed`` follows every change, also of the mask."""

    def __init__(self, project: QgsProject, parent: Optional[QWidget] = None) -> None:
        super().__init__(project, tr("The raster to edit"), parent)
        self.source.setToolTip(tr("The raster to edit. It is only read: the result is another file."))
        self.examples = EXAMPLE, tr("No prompt is needed: the mask is filled from what is around it")
        self.negative.setPlaceholderText(AVOID)
        self.fill.setText(tr("Fill from surroundings"))
        self.fill.setToolTip(
            tr(
                "Removes what is in the mask, without a prompt: every band is copied from real pixels "
                "around it. Needs no model."
            )
        )
        self.mask = MaskField()
        self.brush = BrushBar()
        self.mask.box.addWidget(self.brush)
        self.feather = _spin(
            -1.0, MOST_METRES, " m", tr("Fades in over so many metres on the ground, inside the mask.")
        )
        usual = trn("Automatic ({number} pixel)", "Automatic ({number} pixels)", FEATHER).format(
            number=FEATHER
        )
        self.feather.setSpecialValueText(usual)
        self.feather.setClearValue(-1.0, usual)
        self.grow = _spin(
            0.0, MOST_METRES, " m", tr("Makes the mask larger by so many metres on the ground first.")
        )
        self.strength = _spin(
            0.05, 1.0, "", tr("1 paints anew. Less keeps more of what is there: 0.5 changes its look only.")
        )
        self.strength.setSingleStep(0.05)
        self.strength.setClearValue(1.0)
        self.result = narrow_combo()
        for key, text in RESULTS.items():
            self.result.addItem(text, key)
        self.result.setToolTip(tr("What is written. The raster itself stays as it is in every case."))
        self.gsd = _spin(
            0.0,
            100_000.0,
            " m",
            tr("Metres on the ground per pixel. The zoom level nearest to it is taken."),
        )
        self.gsd.setSpecialValueText(AUTOMATIC)
        self.gsd.setClearValue(0.0, AUTOMATIC)
        top, self._rows = form_layout(), form_layout()
        top.addRow(tr("Raster"), self.source)
        top.addRow(tr("Mask"), self.mask)
        for title, widget in (
            (tr("Grow"), self.grow), (tr("Feather"), self.feather), (tr("Strength"), self.strength),
            (tr("Seed"), self.seed), (tr("Result"), self.result), (tr("GSD"), self.gsd),
        ):  # fmt: skip
            self._rows.addRow(title, widget)
        name_fields(top)
        name_fields(self._rows)
        self.lay_out(top, self._rows)
        self.recall({})
        self._show_rows()
        self.mask.changed.connect(self.changed)
        for spin in (self.feather, self.grow, self.strength, self.gsd):
            spin.valueChanged.connect(lambda _value: self.changed.emit())
        self.result.currentIndexChanged.connect(lambda _index: self.changed.emit())

    def missing(self) -> str:
        """Name what the form still lacks, as a sentence; empty if nothing."""
        layer = self.layer()
        if layer is None:
            return tr("Choose the raster layer to edit.")
        try:
            online.check(layer) if online.is_online(layer) else rasters.file_of(layer)
        except RasterRefused as error:
            return str(error)
        return self.mask.missing(layer) or self.missing_rest(layer)

    def request(self) -> edit_request.EditRequest:
        """Return the request, without a name for the result. Raises ``PluginError``.

        The file of an online layer is still to be made, of ``imagery``; the edited part of it is the result.
        """
        layer, drawn, mask = self.layer(), self.mask.chosen(), self.mask.mask()
        if layer is None or drawn is None or mask is None:
            raise PluginError(self.missing())
        fetched = online.is_online(layer)
        return edit_request.EditRequest(
            source=RasterFile(layer.name(), "", (), layer.crs(), False)
            if fetched
            else rasters.file_of(layer),
            displayed=rasters.DisplayedBands((1, 2, 3)) if fetched else rasters.displayed_bands(layer),
            mask=mask,
            context=self._project.transformContext(),
            target=Path(),
            options=self.settings(),
            stretch=self.bands.stretch(),
            result="patch" if fetched else self.result.currentData(),
            project=self._project.fileName(),
            layers=(layer.id(), drawn.id()),
            samples=self.like_here.samples(layer),
            sources=Path() if self.sources.isChecked() else None,
        )

    def imagery(self) -> Optional[online.OnlineLayer]:
        """Return the layer to edit if it is an online one. Raises ``PluginError``."""
        layer = self.layer()
        return online.online_layer(layer) if layer is not None and online.is_online(layer) else None

    def drawn_layers(self) -> DrawnLayers:
        """Return the layer of a layout that is to be read, and near what."""
        mask = self.mask.chosen()
        if mask is None:
            raise PluginError(self.missing())
        near = SearchArea(mask.extent(), mask.crs(), self._project.transformContext())
        return DrawnLayers(None, self.layout_panel.chosen(), near)

    def chosen_gsd(self) -> Optional[float]:
        """Return metres per pixel of an online layer, None if that is left to the model."""
        return self.gsd.value() or None

    def area(self) -> Optional[EditArea]:
        """Return the area to tint on the map, None as long as raster or mask are missing."""
        layer, shapes = self.layer(), self.mask.shapes()
        if layer is None or shapes is None or not layer.crs().isValid() or self.mask.missing(layer):
            return None
        pixel = QgsRectangle.fromCenterAndSize(
            layer.extent().center(), layer.rasterUnitsPerPixelX(), layer.rasterUnitsPerPixelY()
        )
        size = ground.size(pixel, layer.crs(), self._project.transformContext())
        finest = min(size) if size else 0.0
        if online.is_online(layer):  # it has no pixels of its own
            finest = self.chosen_gsd() or online.finest_gsd([self.model.card()])
        feather = self.feather.value() if self.feather.value() >= 0 else FEATHER * finest
        return EditArea(shapes, self.grow.value(), feather, layer.extent(), layer.crs())

    def settings(self) -> Json:
        """Return the members of ``EditInputs`` besides source, mask and stretch."""
        return {
            **super().settings(),
            "feather": self.feather.value() if self.feather.value() >= 0 else None,
            "grow": self.grow.value(),
            "strength": self.strength.value(),
        }

    def set_inputs(self, inputs: EditInputs) -> None:
        """Show the settings of an earlier run, but for its layers."""
        self.show_settings(inputs)
        self.feather.setValue(-1.0 if inputs.feather is None else inputs.feather)
        self.grow.setValue(inputs.grow)
        self.strength.setValue(inputs.strength)

    def memory(self) -> Json:
        """Return the settings to keep for the next session: those that do not depend on the project."""
        own = {"result": self.result.currentData(), "gsd": self.gsd.value()}
        return {**self.kept_settings(), **self.brush.memory(), **own}

    def recall(self, memory: Json) -> None:
        """Show the settings that ``memory`` returned."""
        known = {item.name for item in fields(EditInputs)}
        kept = {name: value for name, value in memory.items() if name in known and value is not None}
        none = Upload("")
        self.set_inputs(EditInputs(**{"prompt": "", "source": none, "mask": none, **kept}))
        self.result.setCurrentIndex(max(0, self.result.findData(memory.get("result"))))
        self.gsd.setValue(memory.get("gsd") or 0.0)
        self.brush.recall(memory)
        self.recall_rest(memory)

    def close_layers(self) -> None:
        """Follow no layer any more."""
        self.mask.close()
        super().close_layers()

    def follow_source(self, layer: Optional[QgsMapLayer] = None) -> None:
        """Offer what another raster has."""
        self._show_rows()
        super().follow_source(layer)

    def _show_rows(self) -> None:
        """Show what can be chosen: the pixels of a file are given, an online layer has no bands."""
        layer = self.layer()
        fetched = layer is not None and online.is_online(layer)
        rows = ((self._rows, self.gsd, True), (self._rows, self.result, False))
        bands = ((self.bands.form, field, False) for field in (self.bands.which, self.bands.extra))
        for form, field, of_online in (*rows, *bands):
            field.setVisible(fetched == of_online)
            form.labelForField(field).setVisible(fetched == of_online)


def _spin(low: float, high: float, suffix: str, tip: str) -> QgsDoubleSpinBox:
    spin = QgsDoubleSpinBox()
    spin.setRange(low, high)
    spin.setDecimals(2)
    spin.setSuffix(suffix)
    spin.setToolTip(tip)
    spin.setMinimumWidth(60)
    spin.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return spin
