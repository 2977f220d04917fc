"""The parameter VARIANTS that all algorithms share: the same with other seeds, in files beside the result.

The first has the seed that was asked for, or one that is drawn, the others those that follow it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from qgis.core import QgsProcessingOutputMultipleLayers, QgsProcessingParameterNumber

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.imagery.edit_request import EditRequest
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.layers import recipe_in_file
from text2earth_qgis.core.runs.variants import MOST
from text2earth_qgis.processing import parameters as shared

NAME = "VARIANTS"
HELP = tr(
    "How many images are made, one after the other, with the seeds that follow the first one's. Those after "
    "the first are saved beside it, with _2, _3 and so on at the end of the name. FILES lists them all."
)


@dataclass(frozen=True)
class Variant:
    """One of the images that an algorithm makes; without a ``seed`` it has the one that was asked for."""

    target: Path
    sources: Optional[Path] = None
    seed: Optional[int] = None

    def of(self, request: EditRequest) -> EditRequest:
        """Return a request with the seed and the files of this variant."""
        request = replace(request, target=self.target, sources=self.sources)
        if self.seed is None:
            return request
        return replace(request, options={**request.options, "seed": self.seed})


def definition() -> QgsProcessingParameterNumber:
    """Return the parameter: one image unless more are asked for."""
    return shared.number(NAME, tr("Variants"), shared.INTEGER, (1, MOST), 1)


def files() -> QgsProcessingOutputMultipleLayers:
    """Return the output that lists all images."""
    return QgsProcessingOutputMultipleLayers("FILES", tr("All variants"))


def file(path: Path, number: int) -> Path:
    """Return the file of a variant, counted from 0, beside that of the first."""
    return path if number == 0 else path.with_name(f"{path.stem}_{number + 1}{path.suffix}")


def check(path: Path, count: int) -> None:
    """Refuse to write over what nobody named: files beside the result that are none of ours."""
    for one in (file(path, number) for number in range(1, count)):
        if one.exists() and not recipe_in_file(str(one)):
            raise PluginError(
                tr("{file} is there already, and is no result of Text2Earth. Choose another name.").format(
                    file=one
                )
            )
