"""Rasters and masks of all kinds in QGIS, edited and extended: a result that keeps everything, or why not.

Each is edited in QGIS against a real backend with a tiny model. What a result has to keep is read back with
GDAL, pixel by pixel and word by word; a refusal has to be a sentence for users, before anything is painted.
"""

import os
import re

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsSettings,
    QgsVectorLayer,
)

from tests.support.qgis import raster_corpus
from tests.support.qgis.mask_corpus import MASKS
from tests.support.qgis.raster_corpus import KINDS, NUMPY

QUICK = {"PROMPT": "a lake", "STEPS": 1, "SEED": 7, "SAMPLER": "euler"}
# Words of the interface between plugin and backend, of our code, or of a failure that nobody foresaw.
FOREIGN = re.compile(
    r"`|unforeseen|Traceback|Errno|CPLE_|PROJ|mask\.crs|extent\.bbox|\bNone\b|\bnan\b|<class|HTTP 5"
)
pytestmark = pytest.mark.usefixtures("provider", "own_history")


@pytest.fixture
def backend(painter, monkeypatch):
    for name, value in painter.environment.items():
        monkeypatch.setenv(name, value)
    QgsSettings().setValue("text2earth/poll_seconds", 0.1)
    yield painter
    assert sorted((painter.data_dir / "uploads").glob("*/*")) == []


def layer_of(source):
    layer = QgsRasterLayer(str(source), "scene", "gdal")
    assert layer.isValid()
    return layer


def polygon_in(crs, shapes):
    """Return a layer of polygons in the CRS of a raster."""
    layer = QgsVectorLayer("MultiPolygon?crs=EPSG:4326", "mask", "memory")
    layer.setCrs(crs)
    for text in shapes:
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromWkt(text))
        layer.dataProvider().addFeatures([feature])
    return layer


def run(name, **parameters):
    """Run one of our algorithms; return its outputs, the refusal, and the log."""
    import processing

    feedback = QgsProcessingFeedback()
    try:
        found = processing.run(f"text2earth:{name}", {**QUICK, **parameters}, feedback=feedback)
    except QgsProcessingException as error:
        log = feedback.textLog()
        told = log.strip().split("\n")[0]  # where parameters are read, QGIS tells the reason in the log alone
        return None, told if str(error).startswith("There were errors") else str(error), log
    return found, "", feedback.textLog()


def middle(dataset):
    """Return column, row, width and height of what is painted: the middle of a raster."""
    width, height = dataset.RasterXSize, dataset.RasterYSize
    w, h = max(1, min(20, width // 3)), max(1, min(20, height // 3))
    return width // 2 - w // 2, height // 2 - h // 2, w, h


def corners(dataset, box):
    """Return WKT of a box of pixels."""
    transform = dataset.GetGeoTransform(can_return_null=True)
    if transform is None and dataset.GetGCPCount():
        transform = gdal.GCPsToGeoTransform(dataset.GetGCPs())
    a, b, c, d, e, f = transform or (0, 1, 0, 0, 0, 1)
    col, row, w, h = box
    places = [(col, row), (col + w, row), (col + w, row + h), (col, row + h), (col, row)]
    return "Polygon((" + ", ".join(f"{a + x * b + y * c!r} {d + x * e + y * f!r}" for x, y in places) + "))"


def arrays(dataset):
    """Return pixels (bands, rows, columns) and masks of every band."""
    shape = (dataset.RasterYSize, dataset.RasterXSize)
    bands = [dataset.GetRasterBand(number + 1) for number in range(dataset.RasterCount)]
    pixels = [np.frombuffer(band.ReadRaster(), NUMPY[band.DataType]).reshape(shape) for band in bands]
    valid = [np.frombuffer(band.GetMaskBand().ReadRaster(), "u1").reshape(shape) for band in bands]
    return np.stack(pixels), np.stack(valid)


def said(dataset):
    """Return what a file says of its bands: all of it has to be kept."""
    found = []
    for number in range(dataset.RasterCount):
        band = dataset.GetRasterBand(number + 1)
        table = band.GetDefaultRAT()
        found.append(
            {
                "type": gdal.GetDataTypeName(band.DataType),
                "bits": band.GetMetadataItem("NBITS", "IMAGE_STRUCTURE"),
                "sign": band.GetMetadataItem("PIXELTYPE", "IMAGE_STRUCTURE"),
                "nodata": repr(band.GetNoDataValue()),
                "colour": band.GetColorInterpretation(),
                "name": band.GetDescription(),
                "scale": (band.GetScale() or 1.0, band.GetOffset() or 0.0, band.GetUnitType()),
                "categories": band.GetCategoryNames(),
                "table": table
                and (table.GetRowCount(), table.GetColumnCount(), table.GetValueAsString(1, 1)),
                "flags": band.GetMaskFlags(),
                "tags": {k: v for k, v in band.GetMetadata().items() if not k.startswith("STATISTICS_")},
            }
        )
    return found


def keeps(path, target, box, case):
    """Hold a result against its source: everything outside of a box of its pixels is as it was."""
    old, new = gdal.Open(str(path)), gdal.Open(str(target))
    assert (new.RasterXSize, new.RasterYSize) == (old.RasterXSize, old.RasterYSize)
    assert new.GetGeoTransform() == pytest.approx(old.GetGeoTransform(), rel=1e-12)
    assert len(old.GetGCPs()) == len(new.GetGCPs())
    if old.GetSpatialRef() is not None:
        assert new.GetSpatialRef().IsSame(old.GetSpatialRef(), ["IGNORE_DATA_AXIS_TO_SRS_AXIS_MAPPING=YES"])
    (was, valid), (now, shown) = arrays(old), arrays(new)
    rest = np.ones(was.shape[1:], bool)
    col, row, width, height = box
    rest[row : row + height, col : col + width] = False
    assert was[:, rest].tobytes() == now[:, rest].tobytes()
    if case.shades:
        valid, shown = valid > 0, shown > 0
    assert valid[:, rest].tobytes() == shown[:, rest].tobytes()
    if case.kept:
        assert said(new) == said(old)
    for key, value in old.GetMetadata().items():
        assert new.GetMetadata().get(key) == value or key in ("AREA_OR_POINT", "OVR_RESAMPLING_ALG")
    if not any(band["categories"] or band["table"] for band in said(old)):
        assert not os.path.exists(f"{target}.aux.xml"), "a GeoTIFF by itself"
    return (was != now)[:, ~rest]


def good_sentence(text):
    """Check that a refusal is for users."""
    assert text
    assert not FOREIGN.search(text), text
    assert text[0].isupper() or text[0] == "'", text
    assert text.rstrip().endswith((".", ")")), text
    return text


def note(name, refusal, log):
    """Write down what happened, for whoever looks into it."""
    if os.environ.get("CORPUS_LOG"):
        with open(os.environ["CORPUS_LOG"], "a") as file:
            file.write(f"{name}: {refusal or 'DONE'} | {log!r}\n")


def beside(folder):
    """Return the user's files; gzip's index is GDAL's own."""
    return sorted(
        (one.name, one.stat().st_mtime_ns)
        for one in folder.iterdir()
        if not one.name.startswith(("out", "profile")) and one.suffix != ".properties"
    )


def opened(case, folder):
    """Return the layer and dataset of a kind."""
    path = case.make(folder)
    if path is None:
        pytest.skip("this GDAL does not write the format")
    before = beside(folder)
    return path, layer_of(path), gdal.Open(str(path)), before


def judged(name, case, path, box, found, refusal, log, keep):
    """Hold what an algorithm came to against what is expected of a kind."""
    log = log.split("Results:")[0].strip()
    note(name, refusal, log)
    if case.refused:
        assert found is None, "it should have been refused"
        assert case.refused in good_sentence(refusal)
        assert "Painting" not in log
        return
    assert not refusal, refusal
    assert keep(path, found["OUTPUT"], box, case).any()
    assert case.warned in log
    assert not FOREIGN.search(log)


@pytest.mark.parametrize("name", KINDS)
def test_rasters_edited(backend, tmp_path, name):
    case = KINDS[name]
    path, layer, dataset, before = opened(case, tmp_path)
    box = middle(dataset)
    mask = polygon_in(layer.crs(), [corners(dataset, box)])
    found, refusal, log = run("edit", INPUT=layer, MASK=mask, OUTPUT=str(tmp_path / "out.tif"), FEATHER=0)
    judged(name, case, path, box, found, refusal, log, keeps)
    assert (tmp_path / "out.tif").exists() != bool(case.refused)
    assert beside(tmp_path) == before, "nothing is written beside the user's file"


@pytest.mark.parametrize("name", [name for name, case in KINDS.items() if case.extended])
def test_rasters_extended(backend, tmp_path, name):
    case = KINDS[name]
    path, layer, dataset, before = opened(case, tmp_path)
    a, b, _, d, _, f = dataset.GetGeoTransform()
    width, height = dataset.RasterXSize, dataset.RasterYSize
    near = QgsRectangle(a + width * b / 2, d + height * f, a + (width + 8) * b, d + height * f / 2)
    land = QgsReferencedRectangle(near, layer.crs())
    found, refusal, log = run("extend", INPUT=layer, EXTENT=land, OUTPUT=str(tmp_path / "out.tif"))
    judged(f"extend {name}", case, path, (width, 0, 8, height), found, refusal, log, continues)
    assert beside(tmp_path) == before


def continues(path, target, box, case):
    """Hold a raster with a few columns more against its source."""
    old, new = gdal.Open(str(path)), gdal.Open(str(target))
    width = old.RasterXSize
    assert (new.RasterXSize, new.RasterYSize) == (width + box[2], old.RasterYSize)
    assert new.GetGeoTransform() == pytest.approx(old.GetGeoTransform(), rel=1e-12)
    (was, valid), (now, shown) = arrays(old), arrays(new)
    assert was.tobytes() == now[:, :, :width].tobytes()
    assert (valid == shown[:, :, :width]).all()
    assert (shown[:, :, width:] > 0).all()
    if case.kept:
        assert said(new) == said(old)
    return now[:, :, width:] != 0


ALIGNED = {
    **dict.fromkeys(
        ("degrees", "web mercator", "feet", "compound", "sinusoidal on a sphere", "0 to 360"), ""
    ),
    **dict.fromkeys(("colour table", "12 bits", "netcdf"), ""),
    "0 to 360": "longitudes within",
    "south-up": "not north-up",
    "rotated": "rotated",
    "no crs": "no CRS",
    "control points": "no georeference",
    "rational polynomials": "no georeference",
}


@pytest.mark.parametrize("name", ALIGNED)
def test_imagery_on_the_pixels_of_rasters(shared_backend, monkeypatch, tmp_path, name):
    for key, value in shared_backend.environment.items():
        monkeypatch.setenv(key, value)
    QgsSettings().setValue("text2earth/poll_seconds", 0.1)
    case = KINDS[name]
    _path, layer, dataset, before = opened(case, tmp_path)
    extent = QgsReferencedRectangle(layer.extent(), layer.crs())
    found, refusal, log = run("generate", EXTENT=extent, ALIGN_TO=layer, OUTPUT=str(tmp_path / "out.tif"))
    note(f"align {name}", refusal, log.split("Results:")[0])
    assert beside(tmp_path) == before
    if found is None:
        assert ALIGNED[name]
        assert ALIGNED[name] in good_sentence(refusal)
        return
    assert not ALIGNED[name]
    made = gdal.Open(found["OUTPUT"])
    assert made.GetGeoTransform() == pytest.approx(dataset.GetGeoTransform(), rel=1e-9)
    assert (made.RasterXSize, made.RasterYSize) == (dataset.RasterXSize, dataset.RasterYSize)


@pytest.mark.parametrize("name", MASKS)
def test_masks(backend, tmp_path, name):
    case = MASKS[name]
    path = raster_corpus.write(tmp_path, **(case.raster or {}))
    mask = case.make(tmp_path)
    target = str(tmp_path / "out.tif")
    found, refusal, log = run(
        "edit", INPUT=layer_of(path), MASK=mask, SELECTED_ONLY=case.selected, OUTPUT=target, FEATHER=0
    )
    note(f"mask {name}", refusal, log.split("Results:")[0].strip())
    if case.refused:
        assert found is None, "it should have been refused"
        assert case.refused in good_sentence(refusal)
        return
    assert not refusal, refusal
    box = raster_box(path, found)
    assert case.box is None or np.abs(np.subtract(box, case.box)).max() <= case.off, box
    assert keeps(path, found["OUTPUT"], box, KINDS["Byte"]).any()


def raster_box(path, found):
    """Return the smallest box around the pixels that an edit changed."""
    old, new = arrays(gdal.Open(str(path)))[0], arrays(gdal.Open(found["OUTPUT"]))[0]
    rows, cols = np.nonzero((old != new).any(0))
    return int(cols.min()), int(rows.min()), int(np.ptp(cols)) + 1, int(np.ptp(rows)) + 1
