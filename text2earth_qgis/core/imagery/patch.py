"""The result of an edit: a copy of the source with the painted pixels in it, or a VRT that lays them over it.

The whole raster is a copy by blocks in the source's own type, layout, lossless compression and metadata;
what was lossy becomes lossless. Only the pixels that the edit names are taken from the patch, everything
else is the source's. Nothing is ever written into the source: results are made beside their name and then
renamed. Memory depends on neither raster. Any thread; knows no network.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator, Optional, Sequence
from xml.etree import ElementTree  # nosec B405 (what GDAL has just written)

from osgeo import gdal
from qgis.core import QgsCoordinateReferenceSystem

from text2earth_qgis.core import origin
from text2earth_qgis.core.errors import JobFailed, PluginError, RasterRefused
from text2earth_qgis.core.imagery import datasets
from text2earth_qgis.core.imagery.datasets import RasterFile, Stop
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Box

Progress = Callable[[float], object]  # share done, 0 to 1

LOSSLESS = ("LZW", "DEFLATE", "PACKBITS", "ZSTD", "LZMA", "CCITTRLE", "CCITTFAX3", "CCITTFAX4")
PREDICTABLE = ("LZW", "DEFLATE", "ZSTD")
OF_THE_FILE = ("", "IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "SUBDATASETS", "RPC", "GEOLOCATION")
LARGEST_BLOCK = 64 << 20  # bytes; of a source stored in one huge strip the copy is tiled
SIDECARS = (".aux.xml", ".ovr", ".msk")
NO_SIDECAR = {"GDAL_PAM_ENABLED": "NO", "GDAL_TIFF_INTERNAL_MASK": "YES"}


@dataclass(frozen=True)
class Patch:
    """The edited part: a file with the source's pixels of ``at``, of which those in ``changed`` are new.

    ``bands`` are the source's bands that it has, counted from 1; boxes are pixels of the source. ``whole``
    are those of a result that is larger than the source: ``changed`` then has all that lie beyond it.
    ``origin`` is what the result says of raster and mask (``origin.written``).
    """

    path: Path
    at: Box
    changed: Box
    bands: tuple[int, ...]
    whole: Optional[Box] = None
    origin: str = ""

    @property
    def inside(self) -> Box:
        """The changed pixels as pixels of the patch."""
        box = self.changed
        return Box(box.col - self.at.col, box.row - self.at.row, box.width, box.height)


def check_target(target: Path, source: gdal.Dataset) -> None:
    """Refuse to write over the source or a file that it is made of. Raises ``PluginError``."""
    if not target.exists():
        return
    for name in source.GetFileList() or []:
        if os.path.exists(name) and os.path.samefile(name, target):
            raise PluginError(
                tr("{target} is the raster that is edited. Choose another name for the result.").format(
                    target=target
                )
            )


def check_patch(source: gdal.Dataset, patch: Patch) -> None:
    """Refuse an image that is not what was asked for. Raises ``JobFailed``."""
    with datasets.gdal_errors(tr("The edited part cannot be read")):
        found = datasets.require(gdal.OpenEx(str(patch.path), gdal.OF_RASTER))
        same = (found.RasterXSize, found.RasterYSize) == (patch.at.width, patch.at.height)
        same = same and found.RasterCount == len(patch.bands)
        if not same or found.GetRasterBand(1).DataType != source.GetRasterBand(1).DataType:
            raise JobFailed(tr("The backend's image is not of the size or type of the raster that was sent."))


def write_whole(
    source: gdal.Dataset, file: RasterFile, patch: Patch, target: Path, watch: tuple[Progress, Stop]
) -> None:
    """Write the source with the patch in it to ``target``, a GeoTIFF. Raises ``PluginError``."""
    try:
        _write_whole(source, file, patch, target, watch)
    except RasterRefused:
        _check_readable(source, file, watch[1])
        raise


def _check_readable(source: gdal.Dataset, file: RasterFile, stop: Stop) -> None:
    """Refuse the source if it is what cannot be read: GDAL does not say which file failed."""
    box = Box(0, 0, source.RasterXSize, source.RasterYSize)
    pixel = source.RasterCount * gdal.GetDataTypeSize(source.GetRasterBand(1).DataType) // 8
    with datasets.gdal_errors(datasets.damaged(file.name)):
        for strip in datasets.strips(box, box.width * pixel):
            datasets.raise_if_stopped(stop)
            datasets.require(source.ReadRaster(strip.col, strip.row, strip.width, strip.height))


def _write_whole(
    source: gdal.Dataset, file: RasterFile, patch: Patch, target: Path, watch: tuple[Progress, Stop]
) -> None:
    structure = source.GetMetadata("IMAGE_STRUCTURE")
    cloud = structure.get("LAYOUT") == "COG"
    sentence = tr("{target} cannot be written").format(target=target)
    with _in_its_place(target) as part, datasets.gdal_errors(sentence, **NO_SIDECAR):
        stage = part.with_name(part.name + ".stage") if cloud else part
        try:
            _copy(source, patch, stage, watch)
            _paint(stage, source, file, patch)
            if cloud:
                _as_cog(stage, source, part, watch)
            else:
                _build_overviews(stage, source, watch)
        finally:
            if cloud:
                stage.unlink(missing_ok=True)
    with datasets.gdal_errors(sentence):
        _keep_tables(source, patch.bands, target)


def write_vrt(source: gdal.Dataset, file: RasterFile, patch: Patch, target: Path) -> None:
    """Write a VRT to ``target`` that shows the patch, which must lie beside it, over the source."""
    sentence = tr("{target} cannot be written").format(target=target)
    with _in_its_place(target) as part, datasets.gdal_errors(sentence, **NO_SIDECAR):
        options = gdal.TranslateOptions(format="VRT", bandList=list(patch.bands), outputSRS=_crs(file))
        made = datasets.require(gdal.Translate(str(part), source, options=options))
        made = None
        datasets.require_written()
        tree = ElementTree.parse(part)  # nosec B314 (GDAL wrote it a moment ago)
        _open_as(tree.getroot(), file)
        for number, band in enumerate(tree.getroot().findall("VRTRasterBand"), start=1):
            band.append(_simple_source(patch, str(number)))
        for band in tree.getroot().findall("MaskBand/VRTRasterBand"):
            band.append(_simple_source(patch, "mask,1"))
        tree.write(part, encoding="UTF-8")
        made = datasets.require(gdal.OpenEx(str(part), gdal.OF_RASTER | gdal.OF_UPDATE))
        _tag(made, source, gdal.OpenEx(str(patch.path), gdal.OF_RASTER), patch.origin)
        made = None
        datasets.require_written()


def _keep_tables(source: gdal.Dataset, bands: Sequence[int], target: Path) -> None:
    """Write names of categories and attribute tables beside a GeoTIFF, which has no place for them itself."""
    made = None
    for number, band in enumerate(map(source.GetRasterBand, bands), start=1):
        names, table = band.GetCategoryNames(), band.GetDefaultRAT()
        if not names and (table is None or not table.GetRowCount()):
            continue
        made = made or datasets.require(gdal.OpenEx(str(target), gdal.OF_RASTER))
        if names:
            datasets.require(made.GetRasterBand(number).SetCategoryNames(names))
        if table is not None:
            datasets.require(made.GetRasterBand(number).SetDefaultRAT(table))
    made = None
    datasets.require_written()


@contextmanager
def _in_its_place(target: Path) -> Iterator[Path]:
    """Yield a name beside ``target``; what is there at the end takes the target's place."""
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, target)
        for ending in SIDECARS:  # of a file that was there before
            target.with_name(target.name + ending).unlink(missing_ok=True)
    except OSError as error:
        raise PluginError(
            tr("{target} cannot be written: {reason}.").format(target=target, reason=error.strerror or error)
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _copy(source: gdal.Dataset, patch: Patch, path: Path, watch: tuple[Progress, Stop]) -> None:
    (progress, stop), bands, whole = watch, patch.bands, patch.whole
    view, window = source, [whole.col, whole.row, whole.width, whole.height] if whole else None
    if len(bands) < source.RasterCount or window:
        view = datasets.require(gdal.Translate("", source, format="VRT", bandList=list(bands), srcWin=window))
    driver, told = gdal.GetDriverByName("GTiff"), datasets.gdal_callback(progress, stop)
    with datasets.stoppable(stop):
        datasets.require(driver.CreateCopy(str(path), view, 0, layout(source, len(bands)), told))
    datasets.require_written()


def layout(source: gdal.Dataset, count: int) -> list[str]:
    """Return GDAL's creation options for a copy laid out as the source is, but never lossy."""
    first, structure = source.GetRasterBand(1), source.GetMetadata("IMAGE_STRUCTURE")
    own = source.GetDriver().ShortName in ("GTiff", "COG")
    compression = structure.get("COMPRESSION", "NONE") if own else "DEFLATE"
    predictor = structure.get("PREDICTOR")
    if compression not in (*LOSSLESS, "NONE"):
        compression, predictor = "DEFLATE", None
    few = first.GetMetadataItem("NBITS", "IMAGE_STRUCTURE")  # bits, for which there is no predictor
    if (
        predictor is None
        and not few
        and compression == "DEFLATE"
        and structure.get("COMPRESSION") != "DEFLATE"
    ):
        predictor = {"Float32": "3", "Float64": "3"}.get(gdal.GetDataTypeName(first.DataType), "2")
    options = [f"COMPRESS={compression}", "BIGTIFF=IF_SAFER"]
    if predictor and compression in PREDICTABLE:
        options.append(f"PREDICTOR={predictor}")
    if own and count > 1 and structure.get("INTERLEAVE") in ("PIXEL", "BAND"):
        options.append(f"INTERLEAVE={structure['INTERLEAVE']}")
    width, height = first.GetBlockSize()
    size = width * height * count * gdal.GetDataTypeSize(first.DataType) // 8
    if own and width == source.RasterXSize and size <= LARGEST_BLOCK and (width % 16 or height % 16):
        options.append(f"BLOCKYSIZE={height}")
    elif own and not (width % 16 or height % 16) and size <= LARGEST_BLOCK:
        options += ["TILED=YES", f"BLOCKXSIZE={width}", f"BLOCKYSIZE={height}"]
    else:
        options.append("TILED=YES")
    if _is_sparse(source):
        options.append("SPARSE_OK=TRUE")
    return options


def _is_sparse(source: gdal.Dataset) -> bool:
    flags = source.GetRasterBand(1).GetDataCoverageStatus(0, 0, source.RasterXSize, source.RasterYSize)[0]
    return bool(flags & gdal.GDAL_DATA_COVERAGE_STATUS_EMPTY)


def _paint(path: Path, source: gdal.Dataset, file: RasterFile, patch: Patch) -> None:
    """Write the changed pixels into a copy of the source, and what the copy now is."""
    new = datasets.require(gdal.OpenEx(str(patch.path), gdal.OF_RASTER))
    made = datasets.require(gdal.OpenEx(str(path), gdal.OF_RASTER | gdal.OF_UPDATE))
    pixel = len(patch.bands) * gdal.GetDataTypeSize(new.GetRasterBand(1).DataType) // 8
    masked = made.GetRasterBand(1).GetMaskFlags() == gdal.GMF_PER_DATASET
    left, top = (patch.whole.col, patch.whole.row) if patch.whole else (0, 0)
    for strip in datasets.strips(patch.inside, patch.changed.width * pixel):
        size = strip.width, strip.height
        there = strip.col + patch.at.col - left, strip.row + patch.at.row - top
        pixels = datasets.require(new.ReadRaster(strip.col, strip.row, *size))
        datasets.require(made.WriteRaster(*there, *size, pixels))
        if masked:
            valid = datasets.require(
                new.GetRasterBand(1).GetMaskBand().ReadRaster(strip.col, strip.row, *size)
            )
            datasets.require(made.GetRasterBand(1).GetMaskBand().WriteRaster(*there, *size, valid))
    crs = _crs(file)
    if crs is not None:
        datasets.require(made.SetProjection(crs))
    for number, band in enumerate(patch.bands, start=1):
        made.GetRasterBand(number).SetUnitType(source.GetRasterBand(band).GetUnitType())
    _tag(made, source, new, patch.origin)
    made = None
    datasets.require_written()


def _tag(made: gdal.Dataset, source: gdal.Dataset, new: gdal.Dataset, said: str) -> None:
    """Copy the metadata of the source to a result, and say how it was made."""
    for domain in source.GetMetadataDomainList() or []:
        if domain not in OF_THE_FILE and not domain.startswith("xml:"):
            made.SetMetadata(source.GetMetadata(domain), domain)
    tags = {**new.GetMetadata(), **source.GetMetadata()}
    tags.update({key: value for key, value in new.GetMetadata().items() if key.startswith("AI_")})
    made.SetMetadata({key: value for key, value in tags.items() if key != "OVERVIEW_FILE"})
    made.SetMetadata(new.GetMetadata("GENERATION"), "GENERATION")
    made.SetMetadata({origin.ITEM: said} if said else {}, origin.DOMAIN)
    xmp = source.GetMetadata("xml:XMP") or new.GetMetadata("xml:XMP")
    if xmp and made.GetDriver().ShortName == "GTiff":
        made.SetMetadata(xmp, "xml:XMP")
    for number in range(made.RasterCount):  # what was counted on the old pixels
        band = made.GetRasterBand(number + 1)
        kept = {key: value for key, value in band.GetMetadata().items() if not key.startswith("STATISTICS_")}
        if kept != band.GetMetadata():
            band.SetMetadata(kept)


def _build_overviews(path: Path, source: gdal.Dataset, watch: tuple[Progress, Stop]) -> None:
    """Give a copy the overviews that its source has."""
    band = source.GetRasterBand(1)
    sizes = [band.GetOverview(number).XSize for number in range(band.GetOverviewCount())]
    levels = sorted({round(source.RasterXSize / size) for size in sizes} - {0, 1})
    if not levels:
        return
    made = datasets.require(gdal.OpenEx(str(path), gdal.OF_RASTER | gdal.OF_UPDATE))
    method = source.GetMetadataItem("OVR_RESAMPLING_ALG") or "AVERAGE"
    told = datasets.gdal_callback(lambda _share: None, watch[1])
    with datasets.stoppable(watch[1]):
        datasets.require(made.BuildOverviews(method, levels, told))
    made = None
    datasets.require_written()


def _as_cog(stage: Path, source: gdal.Dataset, path: Path, watch: tuple[Progress, Stop]) -> None:
    """Write a finished copy as the cloud-optimized GeoTIFF that its source is."""
    made = datasets.require(gdal.OpenEx(str(stage), gdal.OF_RASTER))
    structure, band = made.GetMetadata("IMAGE_STRUCTURE"), source.GetRasterBand(1)
    options = [
        f"COMPRESS={structure.get('COMPRESSION', 'NONE')}",
        f"PREDICTOR={'YES' if structure.get('PREDICTOR', '1') != '1' else 'NO'}",
        f"BLOCKSIZE={band.GetBlockSize()[0]}",
        f"OVERVIEWS={'AUTO' if band.GetOverviewCount() else 'NONE'}",
        f"SPARSE_OK={'YES' if _is_sparse(source) else 'NO'}",
        "BIGTIFF=IF_SAFER",
    ]
    method = source.GetMetadataItem("OVR_RESAMPLING_ALG")
    if method:
        options.append(f"RESAMPLING={method}")
    progress, stop = watch
    driver, told = gdal.GetDriverByName("COG"), datasets.gdal_callback(progress, stop)
    with datasets.stoppable(stop):
        datasets.require(driver.CreateCopy(str(path), made, 0, options, told))
    datasets.require_written()


def _crs(file: RasterFile) -> Optional[str]:
    """Return the CRS to write: none if the file's own is the layer's."""
    return file.crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT2_2019) if file.assigned else None


def _open_as(root: ElementTree.Element, file: RasterFile) -> None:
    """Note the options that the source has to be opened with."""
    options = [option.split("=", 1) for option in file.options if "=" in option]
    for source in (one for one in root.iter() if one.tag.endswith("Source")) if options else ():
        if source.find("SourceFilename") is not None and source.find("OpenOptions") is None:
            listed = ElementTree.Element("OpenOptions")
            for key, value in options:
                ElementTree.SubElement(listed, "OOI", key=key).text = value
            source.insert(1, listed)


def _simple_source(patch: Patch, band: str) -> ElementTree.Element:
    """Return the element that puts the changed pixels of the patch in their place."""
    made = ElementTree.Element("SimpleSource")
    ElementTree.SubElement(made, "SourceFilename", relativeToVRT="1").text = patch.path.name
    ElementTree.SubElement(made, "SourceBand").text = band
    for name, box in (("SrcRect", patch.inside), ("DstRect", patch.changed)):
        sides = {"xOff": box.col, "yOff": box.row, "xSize": box.width, "ySize": box.height}
        ElementTree.SubElement(made, name, {key: str(value) for key, value in sides.items()})
    return made
