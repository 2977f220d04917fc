"""What every algorithm of ours is: shared parameters, backend and history, errors in words, loaded results.

An algorithm says what it is (``AlgorithmInfo``), declares its own parameters, reads them in the main thread
(``_read``) and does its work in any thread (``_work``). All run without a window too: in the toolbox, models,
batch and qgis_process. Every refusal, failure and cancel raises, so that scripts see it. No rule of the
engine is here: the backend decides and says why.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping, Optional, TypeVar

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeatureRequest,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterBand,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterString,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.PyQt.QtGui import QIcon

from text2earth_qgis.core import layers, settings
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.imagery import region_features
from text2earth_qgis.core.paths import resource
from text2earth_qgis.core.runs.blocking import FinishedRun, RunContext
from text2earth_qgis.core.runs.history import History
from text2earth_qgis.core.settings import Settings
from text2earth_qgis.core.wire.schemas import Json
from text2earth_qgis.processing.layer_post_processor import LayerPlacement, LayerPostProcessor

T = TypeVar("T")
Parameters = Mapping[str, Any]
Definitions = Iterable[QgsProcessingParameterDefinition]

SAMPLERS = ["dpm++2m", "euler"]
INTEGER = QgsProcessingParameterNumber.Type.Integer
DOUBLE = QgsProcessingParameterNumber.Type.Double
NUMBERS = ("GSD", "FEATHER", "GROW", "STRENGTH", "SEED", "STEPS", "GUIDANCE")  # named as the backend's inputs
WHOLE = ("SEED", "STEPS")

BACKEND = (
    "Set its address in Settings > Options > Text2Earth, or in the environment variables "
    "TEXT2EARTH_BACKEND_URL and TEXT2EARTH_TOKEN."
)
HELP = {
    "NEGATIVE_PROMPT": "What the image should not show.",
    "SEED": "Number that chooses one of the possible images. Left empty, one is drawn and reported.",
    "STEPS": "Denoising steps. Left empty, what suits the model and the sampler.",
    "SAMPLER": "How the image is denoised. Left empty, what suits the model.",
    "GUIDANCE": "How closely the image follows the prompt. Left empty, what suits the model.",
    "MODEL": "Id of a model of the backend. Left empty, its default model.",
    "RGB_BANDS": "One band or three that the model sees and paints. Left empty, those displayed.",
    "OUTPUT": "GeoTIFF to write.",
}


REGIONS = {
    "REGIONS": "Polygons inside which something else is to be seen than the prompt says.",
    "REGION_PROMPT_FIELD": "Field of the regions that says what each shows, for example: a lake.",
    "REGION_NEGATIVE_PROMPT_FIELD": "Field of the regions that says what each should not show.",
    "REGION_PRIORITY_FIELD": "Field of the regions with a number: where regions overlap, the higher one is "
    "seen, else the later one.",
}


@dataclass(frozen=True)
class AlgorithmInfo:
    """What the toolbox says of an algorithm; ``parameters`` is the help of each one that is not shared."""

    name: str
    title: str
    summary: str
    help: str
    tags: tuple[str, ...]
    output: str  # label of the result, its layer's name unless there is a better one
    no_prompt: str  # what to say of an empty prompt
    parameters: Mapping[str, str]


def with_qgis_errors(work: Callable[[], T]) -> T:
    """Return what ``work`` returns; our errors become the one that QGIS shows.

    It is raised outside the handler: QGIS 3.22 never frees it, and a chained one would keep every frame of
    the transfer, and all they hold, with it.
    """
    try:
        return work()
    except PluginError as error:
        sentence = str(error)
    raise QgsProcessingException(sentence)


class Algorithm(QgsProcessingAlgorithm):
    """Base of the algorithms: subclasses have an ``about`` and the five methods that raise here."""

    about: AlgorithmInfo

    def __init__(self) -> None:
        super().__init__()
        self._run_context: Optional[RunContext] = None
        self._settings: Optional[Settings] = None
        self._output = ""  # as QGIS names it
        self._target = ""  # the same file, wherever the list of runs is read
        self._project = ""  # its file
        self._placement = LayerPlacement()

    # ---- for subclasses

    def _plain(self) -> Definitions:
        """Return the parameters that everybody sees."""
        raise NotImplementedError

    def _advanced(self) -> Definitions:
        """Return the parameters that are folded away, besides those that all algorithms have."""
        raise NotImplementedError

    def _read(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Keep what is asked for; in the main thread, unless in a model. May raise ``PluginError``."""
        raise NotImplementedError

    def _work(self, feedback: QgsProcessingFeedback) -> FinishedRun:
        """Make the result; runs in a worker, and so connects nothing. May raise ``PluginError``."""
        raise NotImplementedError

    def _results(self, done: FinishedRun) -> dict[str, Any]:
        """Return the outputs."""
        return {
            "OUTPUT": self._output,
            "SEED": done.plan.seed,
            "RECIPE": json.dumps(done.recipe, ensure_ascii=False, sort_keys=True),
        }

    def _options(self, parameters: Parameters, context: QgsProcessingContext) -> Json:
        """Return the inputs that all processes have, and the given numbers: 0 is a seed, empty is none."""
        known = {one.name() for one in self.parameterDefinitions()}
        given = [name for name in NUMBERS if name in known and parameters.get(name) not in (None, "")]
        readers = {name: self.parameterAsInt if name in WHOLE else self.parameterAsDouble for name in given}
        return {
            "prompt": self.parameterAsString(parameters, "PROMPT", context),
            "negative_prompt": self.parameterAsString(parameters, "NEGATIVE_PROMPT", context),
            "sampler": self.parameterAsEnumString(parameters, "SAMPLER", context) or None,
            "model": self.parameterAsString(parameters, "MODEL", context) or None,
            "record_prompt": self._settings.record_prompt,
            **{name.lower(): readers[name](parameters, name, context) for name in given},
        }

    def _areas(
        self, parameters: Parameters, context: QgsProcessingContext
    ) -> Optional[region_features.RegionLayer]:
        """Return the regions that are asked for; they are read in the worker."""
        source = self.parameterAsSource(parameters, "REGIONS", context)
        if source is None:
            if parameters.get("REGIONS"):
                raise PluginError(f"{parameters['REGIONS']}, the regions, is no layer that QGIS can read.")
            return None
        # The backend refuses what is not valid, and says why.
        source.setInvalidGeometryCheck(QgsFeatureRequest.InvalidGeometryCheck.GeometryNoCheck)
        names = {
            key: self.parameterAsString(parameters, f"REGION_{key}_FIELD", context)
            for key in ("PROMPT", "NEGATIVE_PROMPT", "PRIORITY")
        }
        for name in filter(None, names.values()):
            if source.fields().indexOf(name) < 0:
                raise PluginError(f"The regions '{source.sourceName()}' have no field '{name}'.")
        return region_features.RegionLayer(
            name=source.sourceName(),
            source=source,
            crs=source.sourceCrs(),
            fields=source.fields(),
            prompt=names["PROMPT"],
            negative=names["NEGATIVE_PROMPT"],
            priority=names["PRIORITY"],
        )

    def _extent(
        self, parameters: Parameters, context: QgsProcessingContext
    ) -> tuple[QgsRectangle, QgsCoordinateReferenceSystem]:
        """Return the parameter EXTENT and its CRS. Raises ``PluginError``."""
        box = self.parameterAsExtent(parameters, "EXTENT", context)
        crs = self.parameterAsExtentCrs(parameters, "EXTENT", context)
        if not crs.isValid():
            raise PluginError(
                "The extent has no CRS. Add it in brackets: EXTENT=xmin,xmax,ymin,ymax [EPSG:32633]."
            )
        if box.isNull():
            raise PluginError("The extent is empty. Give it as xmin,xmax,ymin,ymax [EPSG:32633].")
        return box, crs

    def _bands(self, parameters: Parameters, context: QgsProcessingContext) -> list[int]:
        """Return the numbers of RGB_BANDS; a text may have them between any signs."""
        given = parameters.get("RGB_BANDS")
        if not isinstance(given, str):
            return self.parameterAsInts(parameters, "RGB_BANDS", context)
        if not re.fullmatch(r"[\d;,\s]*", given):
            raise PluginError(f"The bands '{given}' are not numbers. Give one or three, for example 4;1;2.")
        return [int(number) for number in re.findall(r"\d+", given)]

    def _source(self, parameters: Parameters, context: QgsProcessingContext) -> QgsRasterLayer:
        """Return the raster that the parameter INPUT names. Raises ``PluginError``."""
        source = self.parameterAsRasterLayer(parameters, "INPUT", context)
        if source is None:
            raise PluginError(f"{parameters.get('INPUT')} is not a raster that QGIS can read.")
        return source

    # ---- for QGIS

    def name(self) -> str:
        """Return the second part of the id."""
        return self.about.name

    def displayName(self) -> str:
        """Return the name in the toolbox."""
        return self.about.title

    def shortDescription(self) -> str:
        """Return one line for tooltips."""
        return self.about.summary

    def shortHelpString(self) -> str:
        """Return the help beside the dialog."""
        return self.about.help

    def tags(self) -> list[str]:
        """Return what else people may search for."""
        return ["synthetic", "image", "diffusion", "prompt", "ai", "generative", *self.about.tags]

    def icon(self) -> QIcon:
        """Return the plugin's icon."""
        return QIcon(resource("icons", "text2earth.svg"))

    def createInstance(self) -> Algorithm:
        """Return a fresh copy: one per run."""
        return type(self)()

    def initAlgorithm(self, configuration: Optional[dict[str, Any]] = None) -> None:
        """Declare parameters and outputs."""
        advanced = [negative_prompt(), *self._advanced(), *_sampling()]
        for parameter in advanced:
            parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
        target = QgsProcessingParameterRasterDestination("OUTPUT", self.about.output)
        helps = {**HELP, **self.about.parameters}
        for parameter in (*self._plain(), *advanced, target):
            words = isinstance(parameter, QgsProcessingParameterEnum)  # qgis_process speaks of numbers
            parameter.setHelp(helps[parameter.name()] + (" Scripts give the word." if words else ""))
            self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputNumber("SEED", "Seed"))
        self.addOutput(QgsProcessingOutputString("RECIPE", "Recipe (JSON)"))

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """Refuse what needs no backend to be refused."""
        if not self.parameterAsString(parameters, "PROMPT", context).strip():
            return False, self.about.no_prompt
        return super().checkParameterValues(parameters, context)

    def prepareAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Read everything that belongs to the main thread: layers, project, settings."""
        self._settings = settings.load()
        history = History(settings.profile_folder() / "history.sqlite")
        self._project = context.project().fileName() if context.project() else ""
        self._output = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        self._target = os.path.abspath(self._output)

        def read() -> None:
            self._run_context = RunContext(
                settings.access(self._settings), history, self._settings.poll_seconds
            )
            self._read(parameters, context)

        with_qgis_errors(read)
        return True

    def processAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Do the work and wait for its file; a cancel raises too, else qgis_process would end with 0."""
        done = with_qgis_errors(lambda: self._work(feedback))
        if context.willLoadLayerOnCompletion(self._output):
            shown = done.recipe if self._settings.record_prompt else layers.without_prompts(done.recipe)
            self._dress(context.layerToLoadOnCompletionDetails(self._output), shown)
        return self._results(done)

    def _dress(self, details: QgsProcessingContext.LayerDetails, recipe: Json) -> None:
        if details.name in ("", self.about.output):  # else the name is a model's, or the user's own
            details.name = layers.name(recipe)
        if hasattr(details, "groupName"):  # QGIS 3.32
            details.groupName = self._placement.group
        details.setPostProcessor(LayerPostProcessor(recipe, self._placement))


def number(
    name: str, label: str, kind: int, limits: tuple[float, float], default: Optional[float] = None
) -> QgsProcessingParameterNumber:
    """Return a number that may be left empty."""
    return QgsProcessingParameterNumber(
        name, label, kind, defaultValue=default, optional=True, minValue=limits[0], maxValue=limits[1]
    )


def choice(
    name: str, label: str, options: Iterable[str], default: Optional[str] = None
) -> QgsProcessingParameterEnum:
    """Return a choice of words, which scripts give as they are; without a default it may be left empty."""
    return QgsProcessingParameterEnum(
        name,
        label,
        options=list(options),
        defaultValue=default,
        optional=default is None,
        usesStaticStrings=True,
    )


def suggestions(name: str, label: str, hints: Iterable[str]) -> QgsProcessingParameterString:
    """Return a text with a drop-down of what is usual; the first is the default."""
    found = QgsProcessingParameterString(name, label, defaultValue=list(hints)[0])
    found.setMetadata({"widget_wrapper": {"value_hints": list(hints)}})
    return found


def regions() -> Definitions:
    """Return the parameters of regions."""
    kinds = QgsProcessingParameterField.DataType
    return (
        QgsProcessingParameterFeatureSource(
            "REGIONS", "Regions", [QgsProcessing.SourceType.TypeVectorPolygon], optional=True
        ),
        *(
            QgsProcessingParameterField(
                f"REGION_{name}_FIELD",
                label,
                parentLayerParameterName="REGIONS",
                type=kind,
                optional=True,
            )
            for name, label, kind in (
                ("PROMPT", "Prompt field of the regions", kinds.String),
                ("NEGATIVE_PROMPT", "Negative prompt field of the regions", kinds.String),
                ("PRIORITY", "Priority field of the regions", kinds.Numeric),
            )
        ),
    )


def view(other_bands: Iterable[str]) -> tuple[QgsProcessingParameterDefinition, ...]:
    """Return what says how the model sees the raster INPUT, and what becomes of its other bands."""
    bands = QgsProcessingParameterBand(
        "RGB_BANDS",
        "Red, green and blue band",
        parentLayerParameterName="INPUT",
        optional=True,
        allowMultiple=True,
    )
    stretch = suggestions("STRETCH", "Stretch", ("displayed", "2-98 %"))
    return bands, stretch, choice("EXTRA_BANDS", "Other bands", other_bands, "match")


def prompt(optional: bool = False) -> QgsProcessingParameterString:
    """Return the parameter PROMPT; its help is each algorithm's own."""
    return QgsProcessingParameterString("PROMPT", "Prompt", multiLine=True, optional=optional)


def negative_prompt() -> QgsProcessingParameterString:
    """Return the parameter NEGATIVE_PROMPT."""
    return QgsProcessingParameterString("NEGATIVE_PROMPT", "Negative prompt", optional=True, multiLine=True)


def seed() -> QgsProcessingParameterNumber:
    """Return the parameter SEED."""
    return number("SEED", "Seed", INTEGER, (0, 2**31 - 1))


def _sampling() -> Definitions:
    return (
        number("STEPS", "Steps", INTEGER, (1, 200)),
        choice("SAMPLER", "Sampler", SAMPLERS),
        number("GUIDANCE", "Guidance", DOUBLE, (1, 30)),
        QgsProcessingParameterString("MODEL", "Model", optional=True),
    )
