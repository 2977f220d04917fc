"""``text2earth:generate`` for the Processing framework: parameters -> inputs -> ``run_job`` -> raster.

Runs without a window: in the toolbox, models, batch and qgis_process. Every refusal, failure and cancel
raises, so that scripts see it. No rule of the engine is here: the backend decides and says why.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import Any, Iterator, Optional, Union

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterCrs,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtGui import QIcon

from text2earth_qgis.core import layers, rasters, settings
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.history import History, Run
from text2earth_qgis.core.jobs import Desk, run_job
from text2earth_qgis.core.paths import resource
from text2earth_qgis.core.schemas import Box, GenerateInputs, Json

OUTPUT_LABEL = "Imagery"
SAMPLERS = ["dpm++2m", "euler"]
INTEGER = QgsProcessingParameterNumber.Type.Integer
DOUBLE = QgsProcessingParameterNumber.Type.Double

HELP = (
    "Makes imagery of an extent from a prompt and loads it as a raster layer. The image is synthetic: it "
    "shows nothing that was observed, and the file says so.\n\n"
    "The work is done by a Text2Earth backend on this computer or on a server. Set its address in Settings > "
    "Options > Text2Earth, or in the environment variables TEXT2EARTH_BACKEND_URL and TEXT2EARTH_TOKEN.\n\n"
    "The same parameters with the same seed give the same pixels."
)
PARAMETER_HELP = {
    "PROMPT": "What the image shows, for example: a residential area with houses, trees and streets.",
    "NEGATIVE_PROMPT": "What the image should not show.",
    "EXTENT": "Area of the image. In qgis_process it needs its CRS: xmin,xmax,ymin,ymax [EPSG:32633].",
    "GSD": "Ground sample distance: metres on the ground per pixel. Left empty, that of the layer to align "
    "to, else the finest the model makes.",
    "CRS": "CRS of the image. Left empty, that of the layer to align to, else the project's if it is metric "
    "and true to scale here, else UTM.",
    "CANVAS": "extent: the area is made as one picture. ground: the picture is part of an endless one, so "
    "that areas made at other times with the same parameters join without a seam; this takes longer. "
    "col,row,width,height: the canvas of an earlier image, in pixels, as its recipe has it.",
    "SEED": "Number that chooses one of the possible images. Left empty, one is drawn and reported.",
    "STEPS": "Denoising steps. Left empty, what suits the model and the sampler.",
    "SAMPLER": "How the image is denoised. Left empty, what suits the model.",
    "GUIDANCE": "How closely the image follows the prompt. Left empty, what suits the model.",
    "MODEL": "Id of a model of the backend. Left empty, its default model.",
    "ALIGN_TO": "The image takes CRS, pixel size and pixel edges from this raster file.",
    "OUTPUT": "GeoTIFF to write.",
}


@contextmanager
def told_to_qgis() -> Iterator[None]:
    """Turn our errors into the one that QGIS shows.

    It is raised outside the handler: QGIS never frees it, and a chained one would keep every frame of the
    transfer, and all they hold, with it.
    """
    sentence = ""
    try:
        yield
    except PluginError as error:
        sentence = str(error)
    if sentence:
        raise QgsProcessingException(sentence)


class Generate(QgsProcessingAlgorithm):
    """Generate imagery from an extent and a prompt."""

    def __init__(self) -> None:
        super().__init__()
        self._inputs: Optional[GenerateInputs] = None
        self._desk: Optional[Desk] = None
        self._project = ""

    def name(self) -> str:
        """Return the second part of the id."""
        return "generate"

    def displayName(self) -> str:
        """Return the name in the toolbox."""
        return "Generate imagery"

    def shortDescription(self) -> str:
        """Return one line for tooltips."""
        return "Makes synthetic imagery of an extent from a prompt."

    def shortHelpString(self) -> str:
        """Return the help beside the dialog."""
        return HELP

    def tags(self) -> list[str]:
        """Return what else people may search for."""
        return [
            "synthetic",
            "image",
            "satellite",
            "aerial",
            "diffusion",
            "text",
            "prompt",
            "ai",
            "generative",
        ]

    def icon(self) -> QIcon:
        """Return the plugin's icon."""
        return QIcon(resource("icons", "text2earth.svg"))

    def createInstance(self) -> Generate:
        """Return a fresh copy: one per run."""
        return Generate()

    def initAlgorithm(self, configuration: Optional[dict[str, Any]] = None) -> None:
        """Declare parameters and outputs."""
        for parameter in (*_plain_parameters(), *_advanced_parameters()):
            parameter.setHelp(PARAMETER_HELP[parameter.name()])
            self.addParameter(parameter)
        target = QgsProcessingParameterRasterDestination("OUTPUT", OUTPUT_LABEL)
        target.setHelp(PARAMETER_HELP["OUTPUT"])
        self.addParameter(target)
        self.addOutput(QgsProcessingOutputNumber("SEED", "Seed"))
        self.addOutput(QgsProcessingOutputNumber("GSD", "Ground sample distance (m)"))
        self.addOutput(QgsProcessingOutputString("RECIPE", "Recipe (JSON)"))

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """Refuse what needs no backend to be refused."""
        if not self.parameterAsString(parameters, "PROMPT", context).strip():
            return False, "The prompt is empty. Describe what the image shall show."
        return super().checkParameterValues(parameters, context)

    def prepareAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Read everything that belongs to the main thread: layers, project, settings."""
        chosen = settings.load()
        with told_to_qgis():
            self._inputs = self._read(parameters, context, chosen.record_prompt)
        history = History(settings.profile_folder() / "history.sqlite")
        self._desk = Desk(settings.access(chosen), history, chosen.poll_seconds)
        self._project = context.project().fileName() if context.project() else ""
        return True

    def processAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the job and wait for its file; runs in a worker, and so connects nothing."""
        target = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        if not target.lower().endswith((".tif", ".tiff")):
            raise QgsProcessingException(f"{target}: the result is a GeoTIFF, its name must end in .tif.")
        run = Run(
            server=self._desk.access.url,
            inputs=self._inputs.to_json(),
            target=target,
            project=self._project,
        )
        with told_to_qgis():  # a cancel too: without an exception qgis_process would end with 0
            done = run_job(self._desk, run, feedback)
        recipe = done.recipe or done.plan.recipe
        if context.willLoadLayerOnCompletion(target):
            shown = recipe if self._inputs.record_prompt else layers.without_prompts(recipe)
            _dress(context.layerToLoadOnCompletionDetails(target), shown)
        x, y = done.plan.ground
        return {
            "OUTPUT": target,
            "SEED": done.plan.seed,
            "GSD": (x + y) / 2,
            "RECIPE": json.dumps(recipe, ensure_ascii=False, sort_keys=True),
        }

    def _read(
        self, parameters: dict[str, Any], context: QgsProcessingContext, record_prompt: bool
    ) -> GenerateInputs:
        box = self.parameterAsExtent(parameters, "EXTENT", context)
        crs = self.parameterAsExtentCrs(parameters, "EXTENT", context)
        if not crs.isValid():
            raise PluginError(
                "The extent has no CRS. Add it in brackets: EXTENT=xmin,xmax,ymin,ymax [EPSG:32633]."
            )
        if box.isNull():
            raise PluginError("The extent is empty. Give it as xmin,xmax,ymin,ymax [EPSG:32633].")
        named = parameters.get("CRS")  # an invalid CRS object is how the dialog says: none chosen
        wanted = self.parameterAsCrs(parameters, "CRS", context) if named else QgsCoordinateReferenceSystem()
        if isinstance(named, str) and named and not wanted.isValid():
            raise PluginError(f"{named} is not a CRS that QGIS knows.")
        layer = self.parameterAsRasterLayer(parameters, "ALIGN_TO", context)
        if parameters.get("ALIGN_TO") and layer is None:
            raise PluginError(f"{parameters['ALIGN_TO']}, to align to, is not a raster that QGIS can read.")
        project = context.project().crs() if context.project() else QgsCoordinateReferenceSystem()
        return GenerateInputs(
            prompt=self.parameterAsString(parameters, "PROMPT", context),
            negative_prompt=self.parameterAsString(parameters, "NEGATIVE_PROMPT", context),
            extent=rasters.extent_of(box, crs),
            crs=rasters.crs_text(wanted) if wanted.isValid() else None,
            project_crs=rasters.crs_text(project) if project.isValid() else None,
            align=rasters.align_to(layer) if layer else None,
            canvas=_canvas(self.parameterAsString(parameters, "CANVAS", context)),
            sampler=self.parameterAsEnumString(parameters, "SAMPLER", context) or None,
            model=self.parameterAsString(parameters, "MODEL", context) or None,
            record_prompt=record_prompt,
            **self._numbers(parameters, context),
        )

    def _numbers(self, parameters: dict[str, Any], context: QgsProcessingContext) -> Json:
        """Return the optional numbers that are given: 0 is a seed, an empty field is none."""
        readers = {
            "GSD": self.parameterAsDouble,
            "SEED": self.parameterAsInt,
            "STEPS": self.parameterAsInt,
            "GUIDANCE": self.parameterAsDouble,
        }
        given = {name for name in readers if parameters.get(name) not in (None, "")}
        return {name.lower(): readers[name](parameters, name, context) for name in given}


class _Dress(QgsProcessingLayerPostProcessorInterface):
    """Gives the loaded layer its metadata and its place, in the main thread."""

    alive: set[_Dress] = set()  # Processing keeps no reference of its own

    def __init__(self, recipe: Json, moved: bool) -> None:
        super().__init__()
        self._recipe = recipe
        self._moved = moved
        self.alive.add(self)

    def postProcessLayer(
        self, layer: Any, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Describe the layer and move it to the group."""
        self.alive.discard(self)
        name = layer.name()  # the one given in a model or dialog, or ours
        layers.describe(layer, self._recipe)
        layer.setName(name)
        if self._moved and context.project():
            layers.move_to_group(layer, context.project())


def _dress(details: QgsProcessingContext.LayerDetails, recipe: Json) -> None:
    if details.name in ("", OUTPUT_LABEL):  # else the name is that of a model's output, or the user's own
        details.name = layers.name(recipe)
    grouped = hasattr(details, "groupName")  # QGIS 3.32
    if grouped:
        details.groupName = layers.GROUP
    details.setPostProcessor(_Dress(recipe, moved=not grouped))


def _canvas(text: str) -> Union[str, Box]:
    """Return the canvas that a text names."""
    plain = text.strip().lower() or "extent"
    if plain in ("extent", "ground"):
        return plain
    if re.fullmatch(r"-?\d{1,15},-?\d{1,15},\d{1,15},\d{1,15}", plain.replace(" ", "")):
        return Box(*(int(number) for number in plain.split(",")))
    raise PluginError(f"Canvas '{text}' is none of: extent, ground, col,row,width,height.")


def _number(name: str, label: str, kind: int, low: float, high: float) -> QgsProcessingParameterNumber:
    return QgsProcessingParameterNumber(
        name, label, kind, defaultValue=None, optional=True, minValue=low, maxValue=high
    )


def _plain_parameters() -> tuple[QgsProcessingParameterDefinition, ...]:
    return (
        QgsProcessingParameterString("PROMPT", "Prompt", multiLine=True),
        QgsProcessingParameterExtent("EXTENT", "Extent"),
        _number("GSD", "Ground sample distance (m per pixel)", DOUBLE, 0.01, 100_000),
        _number("SEED", "Seed", INTEGER, 0, 2**31 - 1),
    )


def _advanced_parameters() -> tuple[QgsProcessingParameterDefinition, ...]:
    canvas = QgsProcessingParameterString("CANVAS", "Canvas", defaultValue="extent")
    canvas.setMetadata({"widget_wrapper": {"value_hints": ["extent", "ground"]}})  # a drop-down where known
    found = (
        QgsProcessingParameterString("NEGATIVE_PROMPT", "Negative prompt", optional=True, multiLine=True),
        QgsProcessingParameterCrs("CRS", "CRS of the image", optional=True),
        QgsProcessingParameterRasterLayer("ALIGN_TO", "Align pixels to", optional=True),
        canvas,
        _number("STEPS", "Steps", INTEGER, 1, 200),
        QgsProcessingParameterEnum(
            "SAMPLER", "Sampler", options=SAMPLERS, optional=True, usesStaticStrings=True
        ),
        _number("GUIDANCE", "Guidance", DOUBLE, 1, 30),
        QgsProcessingParameterString("MODEL", "Model", optional=True),
    )
    for parameter in found:
        parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
    return found
