"""The base of our algorithms: their description, errors in words, the run they make, the layer they load.

An algorithm says what it is (``AlgorithmInfo``), declares its own parameters, and turns them into a
``PreparedRun`` in the main thread, which then works in any thread. All run without a window too: in the
toolbox, models, batch and qgis_process. Every refusal, failure and cancel raises, so that scripts see it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, TypeVar

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingMultiStepFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterRasterDestination,
)
from qgis.PyQt.QtGui import QIcon

from text2earth_qgis.core import layers, settings
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.local.waking import awake
from text2earth_qgis.core.paths import guide_page, resource
from text2earth_qgis.core.runs.blocking import FinishedRun, RunContext
from text2earth_qgis.core.runs.history import History
from text2earth_qgis.core.settings import Settings
from text2earth_qgis.processing import parameters as shared
from text2earth_qgis.processing import sources, variants
from text2earth_qgis.processing.layer_post_processor import LayerPlacement, LayerPostProcessor
from text2earth_qgis.processing.parameter_reader import ParameterReader
from text2earth_qgis.processing.parameters import Definitions
from text2earth_qgis.processing.variants import Variant

T = TypeVar("T")

BACKEND = tr(
    "One on this computer, installed from the panel, is started by itself. The address of another "
    "one is set in Settings > Options > Text2Earth, or in the environment variables "
    "TEXT2EARTH_BACKEND_URL and TEXT2EARTH_TOKEN."
)


@dataclass(frozen=True)
class AlgorithmInfo:
    """What the toolbox says of an algorithm; ``parameters`` is the help of each one that is not shared."""

    name: str
    title: str
    summary: str
    help: str
    tags: tuple[str, ...]
    section: str  # of the user guide
    output: str  # label of the result, its layer's name unless there is a better one
    parameters: Mapping[str, str]
    no_prompt: str = ""  # what to say of an empty prompt, where there has to be one


@dataclass(frozen=True)
class PreparedRun:
    """What an algorithm does once its parameters are read.

    ``work`` makes a variant of the result in a worker, so it connects nothing; it may raise ``PluginError``.
    The loaded result is shown at ``placement``.
    """

    work: Callable[[RunContext, Variant, QgsProcessingFeedback], FinishedRun]
    placement: LayerPlacement = LayerPlacement()


@dataclass(frozen=True)
class _Accepted:
    """A run that QGIS has asked to be prepared: what is left is to do it."""

    run: PreparedRun
    output: str
    sources: str  # the file of the raster of sources, '' if it is not wanted
    count: int  # of variants
    chosen: Settings
    history: History
    loads: dict[str, Any]  # what is to be loaded at the end, as the context has it that it was prepared in


def with_qgis_errors(work: Callable[[], T]) -> T:
    """Do ``work``; errors of ours become the one that QGIS shows.

    It is raised outside the handler: QGIS 3.22 never frees it, and a chained one would keep every frame of
    the transfer, and all they hold, with it.
    """
    try:
        return work()
    except PluginError as error:
        sentence = str(error)
    raise QgsProcessingException(sentence)


class Algorithm(QgsProcessingAlgorithm):
    """Base of the algorithms: subclasses have an ``about`` and the three methods that raise here."""

    about: AlgorithmInfo

    def __init__(self) -> None:
        super().__init__()
        self._accepted: Optional[_Accepted] = None  # QGIS prepares and runs in two calls

    # ---- for subclasses

    def _plain(self) -> Definitions:
        """Return the parameters that everybody sees."""
        raise NotImplementedError

    def _advanced(self) -> Definitions:
        """Return the parameters that are folded away, besides those that all algorithms have."""
        raise NotImplementedError

    def _prepare(self, reader: ParameterReader) -> PreparedRun:
        """Read what is asked for; in the main thread, unless in a model. May raise ``PluginError``."""
        raise NotImplementedError

    def _needs_prompt(self, parameters: Mapping[str, Any]) -> bool:
        """Whether a prompt has to be given."""
        return True

    def _results(self, done: FinishedRun) -> dict[str, Any]:
        """Return the outputs besides the file."""
        return {
            "SEED": done.plan.seed,
            "RECIPE": json.dumps(done.recipe, ensure_ascii=False, sort_keys=True),
        }

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

    def helpUrl(self) -> str:
        """Return where the user guide tells more."""
        return guide_page(self.about.section).as_uri()

    def tags(self) -> list[str]:
        """Return more words that the algorithm is found by."""
        return ["synthetic", "image", "diffusion", "prompt", "ai", "generative", *self.about.tags]

    def icon(self) -> QIcon:
        """Return the plugin's icon."""
        return QIcon(resource("icons", "text2earth.svg"))

    def createInstance(self) -> Algorithm:
        """Return a fresh copy: one per run."""
        return type(self)()

    def initAlgorithm(self, configuration: Optional[dict[str, Any]] = None) -> None:
        """Declare parameters and outputs."""
        advanced = [shared.negative_prompt(), *self._advanced(), *shared.sampling()]
        for parameter in advanced:
            parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
        targets = QgsProcessingParameterRasterDestination("OUTPUT", self.about.output), sources.definition()
        script_hint = tr("Scripts give the word.")
        helps = {**shared.HELP, sources.NAME: sources.HELP, variants.NAME: variants.HELP}
        helps.update(self.about.parameters)
        for parameter in (*self._plain(), variants.definition(), *advanced, *targets):
            words = isinstance(parameter, QgsProcessingParameterEnum)  # qgis_process speaks of numbers
            parameter.setHelp(helps[parameter.name()] + (f" {script_hint}" if words else ""))
            self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputNumber("SEED", tr("Seed")))
        self.addOutput(QgsProcessingOutputString("RECIPE", tr("Recipe (JSON)")))
        self.addOutput(variants.files())

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """Refuse what needs no backend to be refused."""
        prompt = self.parameterAsString(parameters, "PROMPT", context)
        if self.about.no_prompt and self._needs_prompt(parameters) and not prompt.strip():
            return False, self.about.no_prompt
        return super().checkParameterValues(parameters, context)

    def prepareAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Read everything that belongs to the main thread: layers, project, settings."""

        def accept() -> _Accepted:
            chosen = settings.load()
            history = History(settings.profile_folder() / "history.sqlite")
            access = settings.access(chosen)
            reader = ParameterReader(self, (parameters, context), access, chosen.record_prompt)
            reader.check_target()
            wanted = str(reader.sources or "")
            run = self._prepare(reader)
            loads = {
                file: QgsProcessingContext.LayerDetails(context.layerToLoadOnCompletionDetails(file))
                for file in (reader.output, wanted)
                if context.willLoadLayerOnCompletion(file)
            }
            return _Accepted(run, reader.output, wanted, reader.variants, chosen, history, loads)

        self._accepted = with_qgis_errors(accept)
        return True

    def processAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Do the work and wait for its files; a cancel raises too, else qgis_process would end with 0."""
        accepted = self._accepted
        if accepted is None:
            raise QgsProcessingException("The algorithm was run without being prepared.")
        done = with_qgis_errors(lambda: self._make(accepted, feedback))
        for loaded, details in accepted.loads.items():
            if not context.willLoadLayerOnCompletion(loaded):  # a worker has a context of its own
                context.addLayerToLoadOnCompletion(loaded, details)
        files = [variants.file(Path(accepted.output), number) for number in range(accepted.count)]
        if context.willLoadLayerOnCompletion(accepted.output):
            usual = context.layerToLoadOnCompletionDetails(accepted.output)
            name, project, output = usual.name, usual.project, usual.outputName
            for number, (file, one) in enumerate(zip(files, done)):
                if number:
                    details = QgsProcessingContext.LayerDetails(name, project, output)
                    context.addLayerToLoadOnCompletion(str(file), details)
                path = str(file) if number else accepted.output
                self._describe(context.layerToLoadOnCompletionDetails(path), one, accepted, number)
        made = {"OUTPUT": accepted.output, "FILES": list(map(str, files)), **self._results(done[0])}
        if not accepted.sources:
            return made
        if context.willLoadLayerOnCompletion(accepted.sources):
            details = context.layerToLoadOnCompletionDetails(accepted.sources)
            details.setPostProcessor(sources.SourcesPostProcessor())
        return {**made, sources.NAME: accepted.sources}

    def _make(self, accepted: _Accepted, feedback: QgsProcessingFeedback) -> list[FinishedRun]:
        """Make one variant after the other."""
        chosen, done = accepted.chosen, list[FinishedRun]()
        target = Path(os.path.abspath(accepted.output))
        origins = Path(os.path.abspath(accepted.sources)) if accepted.sources else None
        context = RunContext(awake(chosen, feedback), accepted.history, chosen.poll_seconds, accepted.count)
        steps = QgsProcessingMultiStepFeedback(accepted.count, feedback)
        for number in range(accepted.count):
            steps.setCurrentStep(number)
            variant = Variant(
                variants.file(target, number),
                variants.file(origins, number) if origins else None,
                done[0].plan.seed + number if done else None,
            )
            done.append(accepted.run.work(context, variant, steps))
            context = replace(context, variants=1)  # what all of them take was told
        return done

    def _describe(
        self, details: QgsProcessingContext.LayerDetails, done: FinishedRun, accepted: _Accepted, number: int
    ) -> None:
        """Say how a loaded result is shown, what it is called, and in which group."""
        recipe, placement = done.recipe, accepted.run.placement
        shown = recipe if accepted.chosen.record_prompt else layers.without_prompts(recipe)
        details.setPostProcessor(LayerPostProcessor(shown, placement, done.run.notes))
        if details.name in ("", self.about.output):  # else the name is a model's, or the user's own
            details.name = layers.name(shown, placement.original)
        elif number:
            details.name = f"{details.name} {number + 1}"
        if hasattr(details, "groupName"):  # QGIS 3.32
            details.groupName = placement.group
