"""The algorithm ``text2earth:generate``: its parameters become a job, its result a raster layer."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Mapping, Optional, Union

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterCrs,
    QgsProcessingParameterExtent,
)

from text2earth_qgis.core import continuation, layers
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.imagery import rasters
from text2earth_qgis.core.imagery.drawn.features import SearchArea
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.runs.blocking import FinishedRun, RunContext, run_job
from text2earth_qgis.core.runs.blocking_uploads import run_with_samples
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.runs.source_raster import SourceRaster
from text2earth_qgis.core.wire.schemas import Box, GenerateInputs, Json
from text2earth_qgis.processing import base, layouts, samples
from text2earth_qgis.processing import parameters as shared
from text2earth_qgis.processing.parameter_reader import ParameterReader, send_regions
from text2earth_qgis.processing.variants import Variant

ABOUT = base.AlgorithmInfo(
    name="generate",
    title=tr("Generate imagery"),
    summary=tr("Makes synthetic imagery of an extent from a prompt."),
    help="\n\n".join(
        (
            tr(
                "Makes imagery of an extent from a prompt and loads it as a raster layer. The image is "
                "synthetic: it shows nothing that was observed, and the file says so."
            ),
            tr("The work is done by a Text2Earth backend on this computer or on a server.")
            + f" {base.BACKEND}",
            tr("The same parameters with the same seed give the same pixels."),
        )
    ),
    tags=("satellite", "aerial", "text"),
    section="make-a-scene",
    output=tr("Imagery"),
    no_prompt=tr("The prompt is empty. Describe what the image shall show."),
    parameters={
        "PROMPT": tr("What the image shows, for example: a residential area with houses, trees and streets."),
        "EXTENT": tr(
            "Area of the image. In qgis_process it needs its CRS: xmin,xmax,ymin,ymax [EPSG:32633]."
        ),
        "GSD": tr(
            "Ground sample distance: metres on the ground per pixel. Left empty, that of the layer to "
            "align to, else the finest the model makes."
        ),
        "CRS": tr(
            "CRS of the image. Left empty, that of the layer to align to, else the project's if it is "
            "metric and true to scale here, else UTM."
        ),
        "CANVAS": tr(
            "extent: the area is made as one picture. ground: the picture is part of an endless one, so "
            "that areas made at other times with the same parameters join without a seam; this takes "
            "longer. col,row,width,height: the canvas of an earlier image, in pixels, as its recipe has "
            "it."
        ),
        "CONTINUE": tr(
            "A layer that this algorithm made. The new image has its prompts, seed, model and pixels "
            "unless they are given, and agrees with it where they overlap: anywhere if its canvas is the "
            "ground, else inside of that layer's canvas. CANVAS is not looked at."
        ),
        "START": tr(
            "What a diffusion model begins with: noise, or land by example of the same prompt, painted "
            "over; lakes and villages then lie where that has them. bank: made of the backend's images. "
            "samples: made like SAMPLE. Left empty, noise."
        ),
        "START_STRENGTH": tr(
            "How much of the land by example is painted over: near 0 little, 1 all but its tone. Left "
            "empty, 0.7."
        ),
        "ALIGN_TO": tr("The image takes CRS, pixel size and pixel edges from this raster file."),
        **shared.REGIONS_HELP,
        **layouts.HELP,
        **samples.HELP,
    },
)


class Generate(base.Algorithm):
    """Generate imagery from an extent and a prompt."""

    about = ABOUT

    def initAlgorithm(self, configuration: Optional[dict[str, Any]] = None) -> None:
        """Declare parameters and outputs."""
        super().initAlgorithm(configuration)
        self.addOutput(QgsProcessingOutputNumber("GSD", tr("Ground sample distance (m)")))

    def _plain(self) -> shared.Definitions:
        return (
            shared.prompt(),
            QgsProcessingParameterExtent("EXTENT", tr("Extent")),
            shared.number("GSD", tr("Ground sample distance (m per pixel)"), shared.DOUBLE, (0.01, 100_000)),
            shared.seed(),
        )

    def _advanced(self) -> shared.Definitions:
        return (
            QgsProcessingParameterCrs("CRS", tr("CRS of the image"), optional=True),
            shared.RasterInput("ALIGN_TO", tr("Align pixels to"), optional=True),
            shared.suggestions("CANVAS", tr("Canvas"), ("extent", "ground")),
            shared.RasterInput("CONTINUE", tr("Scene to continue"), optional=True),
            shared.choice("START", tr("Begin with"), ("noise", "bank", "samples")),
            shared.number("START_STRENGTH", tr("Strength of the noise over it"), shared.DOUBLE, (0.01, 1)),
            *shared.regions(),
            *layouts.definitions(),
            *samples.definitions(),
        )

    def _prepare(self, reader: ParameterReader) -> base.PreparedRun:
        if not reader.target.lower().endswith((".tif", ".tiff")):
            raise PluginError(
                tr("{target}: the result is a GeoTIFF, its name must end in .tif.").format(
                    target=reader.target
                )
            )
        box, crs = reader.extent()
        wanted = reader.crs("CRS")
        layer = reader.raster("ALIGN_TO", tr("{name}, to align to, is not a raster that QGIS can read."))
        project = reader.context.project()
        project_crs = project.crs() if project else QgsCoordinateReferenceSystem()
        region_layer, layout, like = reader.regions(), layouts.read(reader), samples.read(reader)
        drawn = {"regions": region_layer is not None, "layout": layout is not None}
        options = {**reader.options(), "start": reader.choice("START")}
        given = {key: value for key, value in options.items() if value not in (None, "")}
        inputs = GenerateInputs(
            extent=rasters.extent_of(box, crs),
            crs=rasters.crs_text(wanted) if wanted.isValid() else None,
            project_crs=rasters.crs_text(project_crs) if project_crs.isValid() else None,
            align=rasters.align_to(layer) if layer else None,
            **{"prompt": "", **_continued(reader, drawn, bool(like)), **given},
        )
        near = SearchArea(box, crs, reader.context.transformContext(), inputs.canvas == "extent")
        project_file = reader.project

        def work(run_context: RunContext, variant: Variant, feedback: QgsProcessingFeedback) -> FinishedRun:
            asked = inputs if variant.seed is None else replace(inputs, seed=variant.seed)
            if region_layer is not None:
                asked = replace(asked, regions=send_regions(region_layer, near, feedback))
            if layout is not None:
                asked = replace(asked, layout=layouts.send(layout, near, feedback))
            sources = SourceRaster(variant.sources).to_json() if variant.sources else {}
            target = str(variant.target)
            run = Run(run_context.access.server, asked.to_json(), target, project_file, sources=sources)
            if like:
                return run_with_samples(run_context, run, like, feedback)
            return run_job(run_context, run, feedback)

        return base.PreparedRun(work)

    def _needs_prompt(self, parameters: Mapping[str, Any]) -> bool:
        shown = ("CONTINUE", "SAMPLE", "SAMPLE_RASTER_FIELD", "LAYOUT", "LAYOUT_RASTER")  # say what is seen
        return not any(parameters.get(name) for name in shown)

    def _results(self, done: FinishedRun) -> dict[str, Any]:
        return {**super()._results(done), "GSD": sum(done.plan.ground) / 2}


def _continued(reader: ParameterReader, drawn: Mapping[str, bool], sample_given: bool) -> Json:
    """Return the inputs that the scene to continue gives; without one, the canvas alone.

    ``drawn`` says whether regions and a layout are given.
    """
    layer = reader.raster("CONTINUE", tr("{name}, to continue, is not a raster that QGIS can read."))
    if layer is None:
        return {"canvas": _canvas(reader.text("CANVAS"))}
    found = continuation.inputs_to_continue(layer)
    recipe = layers.recipe_of(layer) or {}
    if found.get("prompt") is None and not reader.text("PROMPT").strip():
        raise PluginError(
            tr("The prompt of '{name}' was not recorded. Give the same one as PROMPT.").format(
                name=layer.name()
            )
        )
    by_example = recipe.get("examples") or recipe.get("start") or {}
    if by_example.get("samples") and not sample_given:
        raise PluginError(
            tr("'{name}' was made like a sample. Give the same one as SAMPLE.").format(name=layer.name())
        )
    if recipe.get("regions") and not any(drawn.values()):
        raise PluginError(
            tr("'{name}' was made with regions. Give the same ones as REGIONS.").format(name=layer.name())
        )
    kept = next((key for key in ("layout", "land_cover") if recipe.get(key)), None)
    if kept and not drawn["layout"]:
        name = "LAYOUT" if kept == "layout" else "LAYOUT_RASTER"
        raise PluginError(
            tr("'{name}' was made with a layout. Give the same one as {parameter}.").format(
                name=layer.name(), parameter=name
            )
        )
    return found


def _canvas(text: str) -> Union[str, Box]:
    """Return the canvas that a text names."""
    plain = text.strip().lower() or "extent"
    if plain in ("extent", "ground"):
        return plain
    if re.fullmatch(r"-?\d{1,15},-?\d{1,15},\d{1,15},\d{1,15}", plain.replace(" ", "")):
        return Box(*(int(number) for number in plain.split(",")))
    raise PluginError(
        tr("Canvas '{text}' is none of: extent, ground, col,row,width,height.").format(text=text)
    )
