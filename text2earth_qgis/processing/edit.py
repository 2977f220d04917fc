"""``text2earth:edit`` for the Processing framework: parameters -> ``edits.Order`` -> ``run_edit`` -> raster.

Runs without a window: in the toolbox, models, batch and qgis_process. Every refusal, failure and cancel
raises, so that scripts see it. Layers are read in the main thread into what any thread may use; the user's
layer is never changed, the result is another file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Optional

from qgis.core import (
    QgsMapLayer,
    QgsMapLayerStyle,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsRasterLayer,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
)
from qgis.PyQt.QtGui import QIcon

from text2earth_qgis.core import edits, layers, masks, rasters, settings
from text2earth_qgis.core.assembly import RESULTS
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.history import History
from text2earth_qgis.core.jobs import Desk
from text2earth_qgis.core.paths import resource
from text2earth_qgis.core.schemas import Json
from text2earth_qgis.processing.algorithms import SAMPLERS, told_to_qgis

OUTPUT_LABEL = "Edited imagery"
EXTRA_BANDS = ["match", "keep", "drop"]
INTEGER = QgsProcessingParameterNumber.Type.Integer
DOUBLE = QgsProcessingParameterNumber.Type.Double

HELP = (
    "Paints a part of a raster anew from a prompt: inside a mask, a polygon layer or another raster. "
    "Outside of the mask every pixel of every band stays as it is, to the byte; grid, CRS, type, nodata and "
    "metadata stay too. The result is a new file. What is painted is synthetic: it shows nothing that was "
    "observed, and the file says so.\n\n"
    "Only the mask and the part of the raster around it are sent to the Text2Earth backend. Set its address "
    "in Settings > Options > Text2Earth, or in the environment variables TEXT2EARTH_BACKEND_URL and "
    "TEXT2EARTH_TOKEN.\n\n"
    "The raster must be a file that QGIS reads through GDAL. Save an online layer as GeoTIFF first."
)
PARAMETER_HELP = {
    "INPUT": "Raster file to edit. It is only read.",
    "MASK": "Where the raster may change: polygons, or a raster that is above zero there, in any CRS.",
    "SELECTED_ONLY": "Take only the selected polygons of the mask.",
    "PROMPT": "What shall be there, for example: a lake.",
    "NEGATIVE_PROMPT": "What shall not be there.",
    "FEATHER": "Metres on the ground over which the edit fades in, inside the mask. Left empty, 6 pixels.",
    "GROW": "Metres on the ground by which the mask grows first.",
    "STRENGTH": "1 paints anew; less keeps more of what is there.",
    "SEED": "Number that chooses one of the possible images. Left empty, one is drawn and reported.",
    "RGB_BANDS": "One band or three that the model sees and paints. Left empty, those displayed.",
    "STRETCH": "Values that the model sees as black and white. displayed: as the layer is shown. 2-98 %: of "
    "what is around the mask. Or min,max for all bands, or min,max;min,max;min,max.",
    "EXTRA_BANDS": "Other bands in the mask. match: values of known pixels of similar colour. keep: as they "
    "are. drop: the result has no such bands.",
    "RESULT": "whole: the raster with the edit in it. patch: only the part that was sent. vrt: "
    "a file that shows the patch, saved beside it, over the raster.",
    "STEPS": "Denoising steps. Left empty, what suits the model and the sampler.",
    "SAMPLER": "How the image is denoised. Left empty, what suits the model.",
    "GUIDANCE": "How closely the edit follows the prompt. Left empty, what suits the model.",
    "MODEL": "Id of an inpainting model of the backend. Left empty, its default model.",
    "OUTPUT": "GeoTIFF to write; for the result vrt, a name that ends in .vrt.",
}


class Edit(QgsProcessingAlgorithm):
    """Edit a raster inside a mask."""

    def __init__(self) -> None:
        super().__init__()
        self._order: Optional[edits.Order] = None
        self._desk: Optional[Desk] = None
        self._style: Optional[QgsMapLayerStyle] = None
        self._above = ""

    def name(self) -> str:
        """Return the second part of the id."""
        return "edit"

    def displayName(self) -> str:
        """Return the name in the toolbox."""
        return "Edit imagery"

    def shortDescription(self) -> str:
        """Return one line for tooltips."""
        return "Paints a masked part of a raster anew from a prompt; the rest stays to the byte."

    def shortHelpString(self) -> str:
        """Return the help beside the dialog."""
        return HELP

    def tags(self) -> list[str]:
        """Return what else people may search for."""
        return [
            "synthetic",
            "inpainting",
            "inpaint",
            "mask",
            "image",
            "diffusion",
            "prompt",
            "ai",
            "generative",
        ]

    def icon(self) -> QIcon:
        """Return the plugin's icon."""
        return QIcon(resource("icons", "text2earth.svg"))

    def createInstance(self) -> Edit:
        """Return a fresh copy: one per run."""
        return Edit()

    def initAlgorithm(self, configuration: Optional[dict[str, Any]] = None) -> None:
        """Declare parameters and outputs."""
        for parameter in (*_plain_parameters(), *_advanced_parameters()):
            parameter.setHelp(PARAMETER_HELP[parameter.name()])
            self.addParameter(parameter)
        target = QgsProcessingParameterRasterDestination("OUTPUT", OUTPUT_LABEL)
        target.setHelp(PARAMETER_HELP["OUTPUT"])
        self.addParameter(target)
        self.addOutput(QgsProcessingOutputNumber("SEED", "Seed"))
        self.addOutput(QgsProcessingOutputString("RECIPE", "Recipe (JSON)"))

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """Refuse what needs no backend to be refused."""
        if not self.parameterAsString(parameters, "PROMPT", context).strip():
            return False, "The prompt is empty. Describe what shall be in the mask."
        return super().checkParameterValues(parameters, context)

    def prepareAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Read everything that belongs to the main thread: layers, project, settings."""
        chosen = settings.load()
        history = History(settings.profile_folder() / "history.sqlite")
        with told_to_qgis():
            self._desk = Desk(settings.access(chosen), history, chosen.poll_seconds)
            self._order = self._read(parameters, context, chosen.record_prompt)
        return True

    def processAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the edit and wait for its file; runs in a worker, and so connects nothing."""
        # Raised outside the handler: QGIS never frees it, nor what a chained error holds, the open source.
        done, sentence = None, ""
        try:
            done = edits.run_edit(self._desk, self._order, feedback)
        except PluginError as error:
            sentence = str(error)
        if done is None:  # a cancel too: without an exception qgis_process would end with 0
            raise QgsProcessingException(sentence)
        target, recipe = str(self._order.target), done.recipe or done.plan.recipe
        if context.willLoadLayerOnCompletion(target):
            shown = recipe if self._order.wishes["record_prompt"] else layers.without_prompts(recipe)
            details = context.layerToLoadOnCompletionDetails(target)
            if details.name in ("", OUTPUT_LABEL):  # else the name is a model's, or the user's own
                details.name = layers.name(shown)
            same_bands = recipe.get("edit", {}).get("extra_bands") != "drop"
            details.setPostProcessor(_Dress(shown, self._style if same_bands else None, self._above))
        return {
            "OUTPUT": target,
            "SEED": done.plan.seed,
            "RECIPE": json.dumps(recipe, ensure_ascii=False, sort_keys=True),
        }

    def _read(
        self, parameters: dict[str, Any], context: QgsProcessingContext, record_prompt: bool
    ) -> edits.Order:
        source = self.parameterAsRasterLayer(parameters, "INPUT", context)
        if source is None:
            raise PluginError(f"{parameters.get('INPUT')} is not a raster that QGIS can read.")
        self._style, self._above = QgsMapLayerStyle(), source.id()
        self._style.readFromLayer(source)
        return edits.Order(
            source=rasters.file_of(source),
            look=rasters.look_of(source),
            mask=self._mask(parameters, context),
            context=context.transformContext(),
            target=Path(self.parameterAsOutputLayer(parameters, "OUTPUT", context)),
            wishes={**self._wishes(parameters, context), "record_prompt": record_prompt},
            stretch=self.parameterAsString(parameters, "STRETCH", context),
            result=self.parameterAsEnumString(parameters, "RESULT", context),
            project=context.project().fileName() if context.project() else "",
            layers=(source.id(), ""),
        )

    def _mask(self, parameters: dict[str, Any], context: QgsProcessingContext) -> masks.Mask:
        layer = self.parameterAsLayer(parameters, "MASK", context)
        only = self.parameterAsBool(parameters, "SELECTED_ONLY", context)
        if isinstance(layer, QgsVectorLayer):
            ids = frozenset(layer.selectedFeatureIds()) if only else None
            return masks.Shapes(layer.name(), QgsVectorLayerFeatureSource(layer), layer.crs(), ids)
        if isinstance(layer, QgsRasterLayer):
            return rasters.file_of(layer)
        raise PluginError(f"{parameters.get('MASK')}, the mask, is neither a polygon layer nor a raster.")

    def _wishes(self, parameters: dict[str, Any], context: QgsProcessingContext) -> Json:
        """Return the members of ``EditInputs`` that are given: 0 is a seed, an empty field is none."""
        readers = {
            "FEATHER": self.parameterAsDouble,
            "GROW": self.parameterAsDouble,
            "STRENGTH": self.parameterAsDouble,
            "SEED": self.parameterAsInt,
            "STEPS": self.parameterAsInt,
            "GUIDANCE": self.parameterAsDouble,
        }
        given = {name for name in readers if parameters.get(name) not in (None, "")}
        return {
            "prompt": self.parameterAsString(parameters, "PROMPT", context),
            "negative_prompt": self.parameterAsString(parameters, "NEGATIVE_PROMPT", context),
            "bands": self.parameterAsInts(parameters, "RGB_BANDS", context),
            "extra_bands": self.parameterAsEnumString(parameters, "EXTRA_BANDS", context),
            "sampler": self.parameterAsEnumString(parameters, "SAMPLER", context) or None,
            "model": self.parameterAsString(parameters, "MODEL", context) or None,
            **{name.lower(): readers[name](parameters, name, context) for name in given},
        }


class _Dress(QgsProcessingLayerPostProcessorInterface):
    """Gives the loaded layer the style of its source and its metadata, and puts it above it."""

    alive: set[_Dress] = set()  # Processing keeps no reference of its own

    def __init__(self, recipe: Json, style: Optional[QgsMapLayerStyle], above: str) -> None:
        super().__init__()
        self._recipe, self._style, self._above = recipe, style, above
        self.alive.add(self)

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Dress the layer, in the main thread."""
        self.alive.discard(self)
        name = layer.name()  # the one given in a model or dialog, or ours
        if self._style is not None:
            self._style.writeToLayer(layer)
        layers.describe(layer, self._recipe)
        layer.setName(name)
        if context.project():
            layers.put_above(layer, self._above, context.project())


def _number(
    name: str, label: str, kind: int, limits: tuple[float, float], default: Optional[float] = None
) -> QgsProcessingParameterNumber:
    return QgsProcessingParameterNumber(
        name, label, kind, defaultValue=default, optional=True, minValue=limits[0], maxValue=limits[1]
    )


def _plain_parameters() -> tuple[QgsProcessingParameterDefinition, ...]:
    kinds = [QgsProcessing.SourceType.TypeVectorPolygon, QgsProcessing.SourceType.TypeRaster]
    return (
        QgsProcessingParameterRasterLayer("INPUT", "Raster to edit"),
        QgsProcessingParameterMapLayer("MASK", "Mask: polygons or raster", types=kinds),
        QgsProcessingParameterBoolean("SELECTED_ONLY", "Only selected polygons of the mask", False),
        QgsProcessingParameterString("PROMPT", "Prompt", multiLine=True),
        QgsProcessingParameterEnum(
            "RESULT", "Result", options=list(RESULTS), defaultValue="whole", usesStaticStrings=True
        ),
        _number("SEED", "Seed", INTEGER, (0, 2**31 - 1)),
    )


def _advanced_parameters() -> tuple[QgsProcessingParameterDefinition, ...]:
    stretch = QgsProcessingParameterString("STRETCH", "Stretch", defaultValue="displayed")
    stretch.setMetadata({"widget_wrapper": {"value_hints": ["displayed", "2-98 %"]}})  # a drop-down
    found = (
        QgsProcessingParameterString("NEGATIVE_PROMPT", "Negative prompt", optional=True, multiLine=True),
        _number("FEATHER", "Feather (m)", DOUBLE, (0, 1_000_000)),
        _number("GROW", "Grow the mask by (m)", DOUBLE, (0, 1_000_000), 0),
        _number("STRENGTH", "Strength", DOUBLE, (0.01, 1), 1),
        QgsProcessingParameterBand(
            "RGB_BANDS",
            "Red, green and blue band",
            parentLayerParameterName="INPUT",
            optional=True,
            allowMultiple=True,
        ),
        stretch,
        QgsProcessingParameterEnum(
            "EXTRA_BANDS", "Other bands", options=EXTRA_BANDS, defaultValue="match", usesStaticStrings=True
        ),
        _number("STEPS", "Steps", INTEGER, (1, 200)),
        QgsProcessingParameterEnum(
            "SAMPLER", "Sampler", options=SAMPLERS, optional=True, usesStaticStrings=True
        ),
        _number("GUIDANCE", "Guidance", DOUBLE, (1, 30)),
        QgsProcessingParameterString("MODEL", "Model", optional=True),
    )
    for parameter in found:
        parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
    return found
