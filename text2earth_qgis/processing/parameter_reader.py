"""Reading the parameters of one run: what QGIS would silently take for something else is refused in words.

In the main thread, unless in a model. No rule of the engine is here: the backend decides and says why.
"""

from __future__ import annotations

import os
import re
from math import isfinite, nan
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeatureRequest,
    QgsMapLayer,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeatureSource,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProcessingUtils,
    QgsProperty,
    QgsRasterLayer,
    QgsRectangle,
)

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.imagery.datasets import files_of, no_statistics_kept
from text2earth_qgis.core.imagery.drawn.features import SearchArea
from text2earth_qgis.core.imagery.drawn.region_features import RegionLayer, read_regions
from text2earth_qgis.core.imagery.patch import SIDECARS
from text2earth_qgis.core.language import tr, trn
from text2earth_qgis.core.wire.access import Access
from text2earth_qgis.core.wire.schemas import Json, Polygons
from text2earth_qgis.processing import variants

#: Named as the backend's inputs.
NUMBERS = ("GSD", "FEATHER", "GROW", "STRENGTH", "START_STRENGTH", "SEED", "STEPS", "GUIDANCE")
WHOLE = ("SEED", "STEPS", variants.NAME)
LAYERS = ("raster", "vector", "source", "layer")  # types of parameters


class ParameterReader:
    """What the user asks for in one run of an algorithm, and where its result goes.

    ``output`` is the result's file as QGIS names it, ``target`` the same wherever the list of runs is read,
    ``sources`` the raster of sources, None if it is not wanted, ``project`` the file of the user's project.
    """

    def __init__(
        self,
        algorithm: QgsProcessingAlgorithm,
        given: tuple[Mapping[str, Any], QgsProcessingContext],
        access: Access,
        record_prompt: bool,
    ) -> None:
        """Read the parameters ``given`` to ``algorithm`` in a context of QGIS."""
        self._algorithm = algorithm
        self.parameters, self.context = given
        self.access = access
        self.record_prompt = record_prompt
        self.output: str = algorithm.parameterAsOutputLayer(*self._named("OUTPUT"))
        self.target = os.path.abspath(self.output)
        wanted: str = algorithm.parameterAsOutputLayer(*self._named("SOURCES")) if self.has("SOURCES") else ""
        self.sources = Path(os.path.abspath(wanted)) if wanted else None
        self.variants = int(self._number(variants.NAME)) if self.has(variants.NAME) else 1
        self._targets: list[Path] = []
        project = self.context.project()
        self.project: str = project.fileName() if project else ""

    def has(self, name: str) -> bool:
        """Whether a parameter is given."""
        return self.parameters.get(name) not in (None, "")

    def text(self, name: str) -> str:
        """Return a text, '' if it is not given."""
        return str(self._algorithm.parameterAsString(*self._named(name)))

    def choice(self, name: str) -> str:
        """Return the chosen word, '' if none is."""
        return str(self._algorithm.parameterAsEnumString(*self._named(name)))

    def flag(self, name: str) -> bool:
        """Return whether something is ticked."""
        return bool(self._algorithm.parameterAsBool(*self._named(name)))

    def check_target(self) -> None:
        """Refuse a result that would be written over a file of a layer that is read, or over the other."""
        variants.check(Path(self.target), self.variants)
        files = [variants.file(Path(self.target), number) for number in range(self.variants)]
        targets = [Path(f"{file}{ending}") for file in files for ending in ("", *SIDECARS)]
        if self.sources is not None:
            if self.sources.suffix.lower() not in (".tif", ".tiff"):
                raise PluginError(
                    tr("{sources}: the raster of sources is a GeoTIFF, its name must end in .tif.").format(
                        sources=self.sources
                    )
                )
            if self.sources in targets:
                raise PluginError(
                    tr("{target} cannot be both the result and its sources. Name another file.").format(
                        target=self.target
                    )
                )
            targets += [variants.file(self.sources, number) for number in range(self.variants)]
        self._targets = targets
        for title, layer in open_layers(self._algorithm, self.parameters, self.context):
            self._check_apart(title, layer)

    def _check_apart(self, title: str, layer: Optional[QgsMapLayer]) -> None:
        """Refuse a layer whose files the results would be written over."""
        for name in files_of(layer):
            for target in self._targets:
                if target.exists() and target.samefile(name):
                    written = self.sources if target == self.sources else self.target
                    raise PluginError(
                        tr(
                            "{written} would be written over what is given as '{title}'. Choose "
                            "another name for the result."
                        ).format(written=written, title=title)
                    )

    def options(self) -> Json:
        """Return the inputs that all processes have, and the given numbers: 0 is a seed, empty is none."""
        known = {one.name() for one in self._algorithm.parameterDefinitions()}
        given = [name for name in NUMBERS if name in known and self.has(name)]
        return {
            "prompt": self.text("PROMPT"),
            "negative_prompt": self.text("NEGATIVE_PROMPT"),
            "sampler": self.choice("SAMPLER") or None,
            "model": self.text("MODEL") or None,
            "record_prompt": self.record_prompt,
            **{name.lower(): self._number(name) for name in given},
        }

    def polygons(self, name: str, unreadable: str) -> Optional[QgsProcessingFeatureSource]:
        """Return the polygons that a parameter names, None if it is not given.

        ``unreadable`` is the sentence for what is no layer, called ``{name}`` in it.
        """
        source = self._algorithm.parameterAsSource(*self._named(name))
        if source is None:
            if self.has(name):
                raise PluginError(unreadable.format(name=self.parameters[name]))
            return None
        # The backend refuses what is not valid, and says why.
        source.setInvalidGeometryCheck(QgsFeatureRequest.InvalidGeometryCheck.GeometryNoCheck)
        return source

    def regions(self) -> Optional[RegionLayer]:
        """Return the regions that are asked for; their features are read in the worker."""
        source = self.polygons("REGIONS", tr("{name}, the regions, is no layer that QGIS can read."))
        if source is None:
            return None
        names = {key: self.text(f"REGION_{key}_FIELD") for key in ("PROMPT", "NEGATIVE_PROMPT", "PRIORITY")}
        for name in filter(None, names.values()):
            if source.fields().indexOf(name) < 0:
                raise PluginError(
                    tr("The regions '{layer}' have no field '{name}'.").format(
                        layer=source.sourceName(), name=name
                    )
                )
        return RegionLayer(
            name=source.sourceName(),
            source=source,
            crs=source.sourceCrs(),
            fields=source.fields(),
            prompt=names["PROMPT"],
            negative=names["NEGATIVE_PROMPT"],
            priority=names["PRIORITY"],
        )

    def extent(self) -> tuple[QgsRectangle, QgsCoordinateReferenceSystem]:
        """Return the parameter EXTENT and its CRS."""
        box = self._algorithm.parameterAsExtent(*self._named("EXTENT"))
        crs = self._algorithm.parameterAsExtentCrs(*self._named("EXTENT"))
        if not crs.isValid():
            raise PluginError(
                tr("The extent has no CRS. Add it in brackets: EXTENT=xmin,xmax,ymin,ymax [EPSG:32633].")
            )
        corners = (box.xMinimum(), box.xMaximum(), box.yMinimum(), box.yMaximum())
        if box.isNull() or not all(map(isfinite, corners)):
            raise PluginError(tr("The extent is empty. Give it as xmin,xmax,ymin,ymax [EPSG:32633]."))
        return box, crs

    def crs(self, name: str) -> QgsCoordinateReferenceSystem:
        """Return a CRS, an invalid one if none is given."""
        named = self.parameters.get(name)  # an invalid CRS object is how the dialog says: none chosen
        if not named:
            return QgsCoordinateReferenceSystem()
        found = self._algorithm.parameterAsCrs(*self._named(name))
        if isinstance(named, str) and not found.isValid():
            raise PluginError(tr("{named} is not a CRS that QGIS knows.").format(named=named))
        return found

    def bands(self) -> list[int]:
        """Return the numbers of RGB_BANDS; a text may have them between any signs."""
        given = self.parameters.get("RGB_BANDS")
        if not isinstance(given, str):
            return list(self._algorithm.parameterAsInts(*self._named("RGB_BANDS")))
        if not re.fullmatch(r"[\d;,\s]*", given):
            raise PluginError(
                tr("The bands '{given}' are not numbers. Give one or three, for example 4;1;2.").format(
                    given=given
                )
            )
        return [int(number) for number in re.findall(r"\d+", given)]

    def raster(self, name: str, unreadable: str = "") -> Optional[QgsRasterLayer]:
        """Return a raster layer, None if none is given.

        ``unreadable`` is the sentence for what is no raster, called ``{name}`` in it.
        """
        if not self.has(name):
            return None
        found = self._algorithm.parameterAsRasterLayer(*self._named(name))
        if found is None:
            unreadable = unreadable or tr("{name} is not a raster that QGIS can read.")
            raise PluginError(unreadable.format(name=self.parameters[name]))
        return found

    def named_raster(self, called: str, title: str) -> Optional[QgsRasterLayer]:
        """Return the raster that a text names, the id or name of a layer or a path; None if there is none.

        ``title`` is what it is given as, should the result be written over it.
        """
        with no_statistics_kept(called):
            kind = QgsProcessingUtils.LayerHint.Raster
            found = QgsProcessingUtils.mapLayerFromString(called, self.context, True, kind)
        self._check_apart(title, found)
        return found if isinstance(found, QgsRasterLayer) else None

    def source(self) -> QgsRasterLayer:
        """Return the raster that the parameter INPUT names."""
        found = self.raster("INPUT")
        if found is None:
            raise PluginError(tr("No raster is given. Choose the one to work on (INPUT)."))
        return found

    def layer(self, name: str) -> Any:
        """Return a layer of any kind, None if there is none."""
        return self._algorithm.parameterAsLayer(*self._named(name))

    def _number(self, name: str) -> float:
        """Return a number; QGIS would take what it cannot read for 0, and round what is to be whole."""
        value = self.parameters[name]
        if isinstance(value, QgsProperty):
            value = value.value(self.context.expressionContext())[0]
        try:
            found = float(value)
        except (TypeError, ValueError):
            found = nan
        if isinstance(value, str) and not re.fullmatch(r"[\d.eE+-]+", value.strip()):
            found = nan
        if not isfinite(found):
            said = tr("{name} is '{value}', which is not a number.").format(name=name, value=value)
            example = " " + tr("Write it with a point, as 12.5.") if "," in str(value) else ""
            raise PluginError(said + example)
        if name in WHOLE and found != int(found):
            raise PluginError(
                tr("{name} is {value}, but it has to be a whole number.").format(name=name, value=value)
            )
        definition = self._algorithm.parameterDefinition(name)
        low, high = definition.minimum(), definition.maximum()
        if not low <= found <= high:
            raise PluginError(
                tr("{name} is {value}, but it has to be from {low:.16g} to {high:.16g}.").format(
                    name=name, value=value, low=low, high=high
                )
            )
        return int(found) if name in WHOLE else found

    def _named(self, name: str) -> tuple[dict[str, Any], str, QgsProcessingContext]:
        return dict(self.parameters), name, self.context


def open_layers(
    algorithm: QgsProcessingAlgorithm, parameters: Mapping[str, Any], context: QgsProcessingContext
) -> Iterator[tuple[str, Optional[QgsMapLayer]]]:
    """Open the layers that are given, each with the title of its parameter; QGIS does not open them again.

    What QGIS counts of them on the way is not written beside the user's files.
    """
    for one in algorithm.parameterDefinitions():
        value = parameters.get(one.name())
        if one.isDestination() or one.type() not in LAYERS or value in (None, ""):
            continue
        if isinstance(value, QgsProcessingFeatureSourceDefinition):
            value = value.source
        if isinstance(value, QgsProperty):
            value = value.value(context.expressionContext())[0]
        if not isinstance(value, QgsMapLayer):
            with no_statistics_kept(str(value)):
                value = QgsProcessingUtils.mapLayerFromString(str(value), context)
        yield one.description(), value


def send_regions(layer: RegionLayer, near: Optional[SearchArea], feedback: QgsProcessingFeedback) -> Polygons:
    """Return the regions as they travel, and say how many there are."""
    found = read_regions(layer, near, feedback.isCanceled)
    count = len(found.geojson["features"])
    said = trn("{count} region is sent.", "{count} regions are sent.", count)
    feedback.pushInfo(said.format(count=count))
    return found
