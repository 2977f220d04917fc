"""The algorithm ``text2earth:generate``: its parameters become a job, its result a raster layer."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Optional, Union

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterCrs,
    QgsProcessingParameterExtent,
    QgsProcessingParameterRasterLayer,
)

from text2earth_qgis.core import continuation, layers
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.imagery import rasters, region_features
from text2earth_qgis.core.runs.blocking import FinishedRun, run_job
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.wire.schemas import Box, GenerateInputs, Json
from text2earth_qgis.processing import base

ABOUT = base.AlgorithmInfo(
    name="generate",
    title="Generate imagery",
    summary="Makes synthetic imagery of an extent from a prompt.",
    help="Makes imagery of an extent from a prompt and loads it as a raster layer. The image is synthetic: "
    "it shows nothing that was observed, and the file says so.\n\n"
    f"The work is done by a Text2Earth backend on this computer or on a server. {base.BACKEND}\n\n"
    "The same parameters with the same seed give the same pixels.",
    tags=("satellite", "aerial", "text"),
    output="Imagery",
    no_prompt="The prompt is empty. Describe what the image shall show.",
    parameters={
        "PROMPT": "What the image shows, for example: a residential area with houses, trees and streets.",
        "EXTENT": "Area of the image. In qgis_process it needs its CRS: xmin,xmax,ymin,ymax [EPSG:32633].",
        "GSD": "Ground sample distance: metres on the ground per pixel. Left empty, that of the layer to "
        "align to, else the finest the model makes.",
        "CRS": "CRS of the image. Left empty, that of the layer to align to, else the project's if it is "
        "metric and true to scale here, else UTM.",
        "CANVAS": "extent: the area is made as one picture. ground: the picture is part of an endless one, "
        "so that areas made at other times with the same parameters join without a seam; this takes longer. "
        "col,row,width,height: the canvas of an earlier image, in pixels, as its recipe has it.",
        "CONTINUE": "A layer that this algorithm made. The new image has its prompts, seed, model and pixels "
        "unless they are given, and agrees with it where they overlap: anywhere if its canvas is the ground, "
        "else inside of that layer's canvas. CANVAS is not looked at.",
        "ALIGN_TO": "The image takes CRS, pixel size and pixel edges from this raster file.",
        **base.REGIONS,
    },
)


class Generate(base.Algorithm):
    """Generate imagery from an extent and a prompt."""

    about = ABOUT

    def __init__(self) -> None:
        super().__init__()
        self._inputs: Optional[GenerateInputs] = None
        self._regions: Optional[region_features.RegionLayer] = None
        self._near: Optional[region_features.SearchArea] = None

    def initAlgorithm(self, configuration: Optional[dict[str, Any]] = None) -> None:
        """Declare parameters and outputs."""
        super().initAlgorithm(configuration)
        self.addOutput(QgsProcessingOutputNumber("GSD", "Ground sample distance (m)"))

    def _plain(self) -> base.Definitions:
        return (
            base.prompt(optional=True),  # a scene that is continued has one
            QgsProcessingParameterExtent("EXTENT", "Extent"),
            base.number("GSD", "Ground sample distance (m per pixel)", base.DOUBLE, (0.01, 100_000)),
            base.seed(),
        )

    def _advanced(self) -> base.Definitions:
        return (
            QgsProcessingParameterCrs("CRS", "CRS of the image", optional=True),
            QgsProcessingParameterRasterLayer("ALIGN_TO", "Align pixels to", optional=True),
            base.suggestions("CANVAS", "Canvas", ("extent", "ground")),
            QgsProcessingParameterRasterLayer("CONTINUE", "Scene to continue", optional=True),
            *base.regions(),
        )

    def _read(self, parameters: base.Parameters, context: QgsProcessingContext) -> None:
        if not self._target.lower().endswith((".tif", ".tiff")):
            raise PluginError(f"{self._target}: the result is a GeoTIFF, its name must end in .tif.")
        box, crs = self._extent(parameters, context)
        named = parameters.get("CRS")  # an invalid CRS object is how the dialog says: none chosen
        wanted = self.parameterAsCrs(parameters, "CRS", context) if named else QgsCoordinateReferenceSystem()
        if isinstance(named, str) and named and not wanted.isValid():
            raise PluginError(f"{named} is not a CRS that QGIS knows.")
        layer = self.parameterAsRasterLayer(parameters, "ALIGN_TO", context)
        if parameters.get("ALIGN_TO") and layer is None:
            raise PluginError(f"{parameters['ALIGN_TO']}, to align to, is not a raster that QGIS can read.")
        project = context.project().crs() if context.project() else QgsCoordinateReferenceSystem()
        self._regions = self._areas(parameters, context)
        options = self._options(parameters, context)
        given = {key: value for key, value in options.items() if value not in (None, "")}
        self._inputs = GenerateInputs(
            extent=rasters.extent_of(box, crs),
            crs=rasters.crs_text(wanted) if wanted.isValid() else None,
            project_crs=rasters.crs_text(project) if project.isValid() else None,
            align=rasters.align_to(layer) if layer else None,
            **{**self._continued(parameters, context), **given},
        )
        alone = self._inputs.canvas == "extent"
        self._near = region_features.SearchArea(box, crs, context.transformContext()) if alone else None

    def _continued(self, parameters: base.Parameters, context: QgsProcessingContext) -> Json:
        """Return the inputs that the scene to continue gives; without one, the canvas alone."""
        if not parameters.get("CONTINUE"):
            return {"canvas": _canvas(self.parameterAsString(parameters, "CANVAS", context))}
        layer = self.parameterAsRasterLayer(parameters, "CONTINUE", context)
        if layer is None:
            raise PluginError(f"{parameters['CONTINUE']}, to continue, is not a raster that QGIS can read.")
        found = continuation.inputs_to_continue(layer)
        if not found.get("prompt") and not self.parameterAsString(parameters, "PROMPT", context).strip():
            raise PluginError(
                f"The prompt of '{layer.name()}' was not recorded. Give the same one as PROMPT."
            )
        if (layers.recipe_of(layer) or {}).get("regions") and self._regions is None:
            raise PluginError(f"'{layer.name()}' was made with regions. Give the same ones as REGIONS.")
        return found

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """Refuse an empty prompt, unless a scene that is continued has one."""
        if parameters.get("CONTINUE"):
            return QgsProcessingAlgorithm.checkParameterValues(self, parameters, context)
        return super().checkParameterValues(parameters, context)

    def _work(self, feedback: QgsProcessingFeedback) -> FinishedRun:
        inputs = self._inputs
        if self._regions is not None:
            found = region_features.read_regions(self._regions, self._near, feedback.isCanceled)
            feedback.pushInfo(f"{len(found.geojson['features'])} regions are sent.")
            inputs = replace(inputs, regions=found)
        run = Run(
            server=self._run_context.access.url,
            inputs=inputs.to_json(),
            target=self._target,
            project=self._project,
        )
        return run_job(self._run_context, run, feedback)

    def _results(self, done: FinishedRun) -> dict[str, Any]:
        return {**super()._results(done), "GSD": sum(done.plan.ground) / 2}


def _canvas(text: str) -> Union[str, Box]:
    """Return the canvas that a text names."""
    plain = text.strip().lower() or "extent"
    if plain in ("extent", "ground"):
        return plain
    if re.fullmatch(r"-?\d{1,15},-?\d{1,15},\d{1,15},\d{1,15}", plain.replace(" ", "")):
        return Box(*(int(number) for number in plain.split(",")))
    raise PluginError(f"Canvas '{text}' is none of: extent, ground, col,row,width,height.")
