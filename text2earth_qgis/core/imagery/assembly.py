"""How the edited part is put into its source: kept with the run, so that any later start of QGIS can do it.

Names the source as it was when its part was sent, and which of its pixels the part has. Any thread; knows no
network and no job.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Callable, Optional

from osgeo import gdal
from qgis.core import QgsCoordinateReferenceSystem

from text2earth_qgis.core.crs import forgetting_crs
from text2earth_qgis.core.errors import RasterRefused
from text2earth_qgis.core.imagery import patch
from text2earth_qgis.core.imagery.datasets import RasterFile, Stop
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Box, Json

RESULTS = ("whole", "patch", "vrt")
BESIDE = (".aux.xml", ".ovr")  # files that QGIS itself writes when it shows a raster


@dataclass(frozen=True)
class Assembly:
    """What a result is made of: ``source`` as it was at ``stamp``, and the part that is fetched to ``part``.

    The part has the source's pixels of ``at`` and its ``bands``; those in ``changed`` are new. ``layer``
    and ``mask`` are the ids of the layers in the project of the user, empty where there are none.
    ``whole`` are the pixels of a result that is larger than the source.
    """

    source: RasterFile
    stamp: str
    part: Path
    result: str
    at: Box
    changed: Box
    bands: tuple[int, ...]
    layer: str = ""
    mask: str = ""
    whole: Optional[Box] = None

    def to_json(self) -> Json:
        """Return what ``from_json`` reads."""
        source = self.source
        crs = source.crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT2_2019)
        return {
            "source": {
                "name": source.name,
                "source": source.source,
                "options": list(source.options),
                "crs": crs,
                "assigned": source.assigned,
            },
            "stamp": self.stamp,
            "part": str(self.part),
            "result": self.result,
            "at": self.at.to_json(),
            "changed": self.changed.to_json(),
            "bands": list(self.bands),
            "layer": self.layer,
            "mask": self.mask,
            "whole": self.whole.to_json() if self.whole else None,
        }

    @classmethod
    def from_json(cls, data: Json) -> Assembly:
        """Read what ``to_json`` wrote."""
        source = dict(data["source"])
        source["options"] = tuple(source["options"])
        with forgetting_crs():
            source["crs"] = QgsCoordinateReferenceSystem.fromWkt(source["crs"])
        known = {name: data[name] for name in (item.name for item in fields(cls)) if name in data}
        return cls(
            **{
                **known,
                "source": RasterFile(**source),
                "part": Path(data["part"]),
                "at": Box(**data["at"]),
                "changed": Box(**data["changed"]),
                "bands": tuple(data["bands"]),
                "whole": Box(**data["whole"]) if data.get("whole") else None,
            }
        )

    def finish(self, target: Path, said: str, progress: Callable[[float], object], stop: Stop) -> None:
        """Make the result out of the part that is there; it says ``said`` of its origin.

        Raises a ``PluginError``: ``Cancelled``, or why there is no more than the part.
        """
        if self.result == "patch":
            return
        source = self.source.open()
        if stamp_of(source) != self.stamp:
            raise RasterRefused(
                tr("'{name}' has changed since a part of it was sent.").format(name=self.source.name)
            )
        made = patch.Patch(self.part, self.at, self.changed, self.bands, self.whole, said)
        patch.check_patch(source, made)
        if self.result == "vrt":
            patch.write_vrt(source, self.source, made, target)
            return
        patch.write_whole(source, self.source, made, target, (progress, stop))
        self.part.unlink(missing_ok=True)


def stamp_of(dataset: gdal.Dataset) -> str:
    """Return what changes when one of the files of a raster does."""
    found = hashlib.sha256()
    for name in sorted(dataset.GetFileList() or []):
        if name.endswith(BESIDE):
            continue
        about = gdal.VSIStatL(name)
        found.update(f"{name} {about.size} {about.mtime}\n".encode() if about else f"{name}\n".encode())
    return found.hexdigest()
