"""The parameters that several algorithms share: their kinds, limits and help."""

from __future__ import annotations

from typing import Iterable, Optional, TypeVar

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingParameterBand,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from text2earth_qgis.core.imagery.datasets import no_statistics_kept
from text2earth_qgis.core.language import tr

P = TypeVar("P", bound=QgsProcessingParameterDefinition)
Definitions = Iterable[QgsProcessingParameterDefinition]

SAMPLERS = ["dpm++2m", "euler"]
INTEGER = QgsProcessingParameterNumber.Type.Integer
DOUBLE = QgsProcessingParameterNumber.Type.Double

HELP = {
    "NEGATIVE_PROMPT": tr("What the image should not show."),
    "SEED": tr("Number that chooses one of the possible images. Left empty, one is drawn and reported."),
    "STEPS": tr("Denoising steps. Left empty, what suits the model and the sampler."),
    "SAMPLER": tr("How the image is denoised. Left empty, what suits the model."),
    "GUIDANCE": tr("How closely the image follows the prompt. Left empty, what suits the model."),
    "MODEL": tr("Id of a model of the backend. Left empty, its default model."),
    "RGB_BANDS": tr("One band or three that the model sees and paints. Left empty, those displayed."),
    "OUTPUT": tr("GeoTIFF to write."),
}
REGIONS_HELP = {
    "REGIONS": tr("Polygons inside which something else is to be seen than the prompt says."),
    "REGION_PROMPT_FIELD": tr("Field of the regions that says what each shows, for example: a lake."),
    "REGION_NEGATIVE_PROMPT_FIELD": tr("Field of the regions that says what each should not show."),
    "REGION_PRIORITY_FIELD": tr(
        "Field of the regions with a number: where regions overlap, the higher one is seen, else the "
        "later one."
    ),
}


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
            "REGIONS", tr("Regions"), [QgsProcessing.SourceType.TypeVectorPolygon], optional=True
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
                ("PROMPT", tr("Prompt field of the regions"), kinds.String),
                ("NEGATIVE_PROMPT", tr("Negative prompt field of the regions"), kinds.String),
                ("PRIORITY", tr("Priority field of the regions"), kinds.Numeric),
            )
        ),
    )


def view(other_bands: Iterable[str]) -> tuple[QgsProcessingParameterDefinition, ...]:
    """Return the parameters for how the model sees the raster INPUT, and for its other bands."""
    bands = QgsProcessingParameterBand(
        "RGB_BANDS",
        tr("Red, green and blue band"),
        parentLayerParameterName="INPUT",
        optional=True,
        allowMultiple=True,
    )
    stretch = suggestions("STRETCH", tr("Stretch"), ("displayed", "2-98 %"))
    return bands, stretch, choice("EXTRA_BANDS", tr("Other bands"), other_bands, "match")


def _copy(parameter: P) -> P:
    """Return a copy of a parameter of a class of ours."""
    made = type(parameter)(parameter.name())
    made.fromVariantMap(parameter.toVariantMap())
    return made


class RasterInput(QgsProcessingParameterRasterLayer):
    """A raster; QGIS opens it to look whether it is one, and what it counts then is not written beside it."""

    def clone(self) -> RasterInput:
        """Return a copy."""
        return _copy(self)

    def checkValueIsAcceptable(self, value: object, context: Optional[QgsProcessingContext] = None) -> bool:
        """Say whether QGIS can open a value."""
        with no_statistics_kept(str(value)):
            return bool(super().checkValueIsAcceptable(value, context))


class MaskInput(QgsProcessingParameterMapLayer):
    """The parameter MASK: polygons or a raster, which is opened as ``RasterInput`` is."""

    def clone(self) -> MaskInput:
        """Return a copy."""
        return _copy(self)

    def checkValueIsAcceptable(self, value: object, context: Optional[QgsProcessingContext] = None) -> bool:
        """Say whether QGIS can open a value."""
        with no_statistics_kept(str(value)):
            return bool(super().checkValueIsAcceptable(value, context))


class Prompt(QgsProcessingParameterString):
    """The parameter PROMPT, empty or not: whether it may be empty the algorithm says, in words of its own."""

    def clone(self) -> Prompt:
        """Return a copy."""
        return _copy(self)

    def checkValueIsAcceptable(self, value: object, context: Optional[QgsProcessingContext] = None) -> bool:
        """Accept every value."""
        return True


def prompt() -> Prompt:
    """Return the parameter PROMPT of an algorithm that needs one."""
    return Prompt("PROMPT", tr("Prompt"), multiLine=True)


def optional_prompt() -> QgsProcessingParameterString:
    """Return the parameter PROMPT of algorithms that also do without one."""
    return QgsProcessingParameterString("PROMPT", tr("Prompt"), optional=True, multiLine=True)


def negative_prompt() -> QgsProcessingParameterString:
    """Return the parameter NEGATIVE_PROMPT."""
    return QgsProcessingParameterString(
        "NEGATIVE_PROMPT", tr("Negative prompt"), optional=True, multiLine=True
    )


def seed() -> QgsProcessingParameterNumber:
    """Return the parameter SEED."""
    found = number("SEED", tr("Seed"), DOUBLE, (0, 2**53 - 1))  # INTEGER ends at 2**31 - 1
    found.setMetadata({"widget_wrapper": {"decimals": 0}})
    return found


def sampling() -> Definitions:
    """Return the parameters of the model and how it is run."""
    return (
        number("STEPS", tr("Steps"), INTEGER, (1, 200)),
        choice("SAMPLER", tr("Sampler"), SAMPLERS),
        number("GUIDANCE", tr("Guidance"), DOUBLE, (1, 30)),
        QgsProcessingParameterString("MODEL", tr("Model"), optional=True),
    )
