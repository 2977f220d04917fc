"""text2earth:extend in QGIS against a real backend with a tiny inpainting model: what is promised holds."""

import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterRasterLayer,
)

from launcher import ROOT
from tests.support.qgis import raster_files
from tests.support.qgis.runs import whole
from tests.support.qgis.toolbox import PATIENCE
from text2earth_qgis.core.runs.history import History

SCENE = ROOT / "resources" / "demo" / "scene.tif"
QUICK = {"PROMPT": "a lake", "STEPS": 2, "SEED": 7}
pytestmark = pytest.mark.usefixtures("provider", "own_history")


@pytest.fixture
def backend(editing_backend):
    return editing_backend


def extent(path, left, top, right, bottom):
    """Return an extent whose sides lie so many pixels beyond those of a raster, as QGIS writes it."""
    dataset = gdal.Open(str(path))
    columns, rows = (-left, dataset.RasterXSize + right), (-top, dataset.RasterYSize + bottom)
    points = np.array([raster_files.corner(path, col, row) for col in columns for row in rows])
    (x0, y0), (x1, y1) = points.min(0), points.max(0)
    code = dataset.GetSpatialRef().GetAuthorityCode(None)
    return f"{x0!r},{x1!r},{y0!r},{y1!r} [EPSG:{code}]".replace("np.float64(", "").replace(")", "")


def extend(path, box, target, **more):
    """Run as scripts do, in the calling thread."""
    import processing

    parameters = {
        **QUICK,
        "FILL_HOLES": True,
        "INPUT": str(path),
        "EXTENT": box,
        "OUTPUT": str(target),
        **more,
    }
    return processing.run("text2earth:extend", parameters)


def holds(path, target, filled=True):
    """Hold a result against its source, and return its pixels and where those of the source are in it."""
    (old, valid), (new, shown) = raster_files.everything(path), raster_files.everything(target)
    inverse = gdal.InvGeoTransform(gdal.Open(str(target)).GetGeoTransform())
    col, row = (round(value) for value in gdal.ApplyGeoTransform(inverse, *raster_files.corner(path, 0, 0)))
    place = np.s_[:, row : row + old.shape[1], col : col + old.shape[2]]
    there = valid > 0
    assert new[place][:, there].tobytes() == old[:, there].tobytes()
    if not filled:
        assert new[place].tobytes() == old.tobytes()
    beyond = np.ones(new.shape[1:], bool)
    beyond[place[1:]] = False
    assert (shown[beyond] == 255).all()
    about, was = raster_files.about(target), raster_files.about(path)
    for key in ("transform", "size"):
        del about[key], was[key]
    for found in (about, was):  # there are as many overviews, and strips as high, all larger
        found["block"] = found["block"][1]
        found["bands"] = [(*band[:-1], len(band[-1])) for band in found["bands"]]
    assert about == was
    return new, (col, row)


KINDS = {
    "int16, nodata, feet": {"dtype": "int16", "bands": 4, "nodata": -999, "place": "feet"},
    "float32, nan, rotated": {"dtype": "float32", "nodata": float("nan"), "place": "rotated"},
    "uint8, alpha, south-up": {"bands": 4, "alpha": True, "place": "south-up"},
    "uint16, mask band": {"dtype": "uint16", "mask": True, "options": ["COMPRESS=LZW", "PREDICTOR=2"]},
    "float32, degrees": {"dtype": "float32", "bands": 3, "place": "degrees"},
    "uint16, scaled, overviews": {"dtype": "uint16", "scale": (0.01, 5.0), "overviews": True},
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_there_is_stays(backend, tmp_path, kind):
    path = raster_files.raster(tmp_path / "a.tif", **kind)
    before = raster_files.fingerprint(path)
    result = extend(path, extent(path, 20, 0, 0, 30), tmp_path / "b.tif", NEGATIVE_PROMPT="clouds")
    new, corner = holds(path, tmp_path / "b.tif")
    if kind.get("place") != "rotated":  # around a turned raster, the extent is larger than its pixels
        assert new.shape[1:] == (158, 180)
        assert corner == (20, 0)
    recipe = raster_files.recipe_of(result["OUTPUT"])
    assert recipe == json.loads(result["RECIPE"])
    assert (recipe["process"], recipe["negative_prompt"], recipe["seed"]) == ("extend", "clouds", 7)
    assert gdal.Open(result["OUTPUT"]).GetMetadata()["AI_GENERATED"] == "YES"
    assert raster_files.fingerprint(path) == before
    (noted,) = whole(History(tmp_path / "profile" / "history.sqlite"))
    assert (noted.state, noted.process, noted.target) == ("fetched", "extend", str(tmp_path / "b.tif"))


def test_holes_are_an_option(backend, tmp_path):
    path = raster_files.raster(tmp_path / "a.tif", nodata=0)
    box = extent(path, 0, 0, 30, 0)
    extend(path, box, tmp_path / "kept.tif", FILL_HOLES=False)
    holds(path, tmp_path / "kept.tif", filled=False)
    extend(path, box, tmp_path / "filled.tif")
    new, _ = holds(path, tmp_path / "filled.tif")
    assert (new != 0).any(0).all()


def test_only_the_rim_is_sent(backend, tmp_path):
    """Of a raster of 30,000 columns those near the new land travel; the rest is copied here, by blocks."""
    options = ["TILED=YES", "COMPRESS=DEFLATE", "SPARSE_OK=TRUE"]
    path = tmp_path / "a.tif"
    wide = gdal.GetDriverByName("GTiff").Create(str(path), 30_000, 200, 3, gdal.GDT_UInt16, options)
    wide.SetGeoTransform(raster_files.UTM)
    wide.SetProjection(gdal.Open(raster_files.raster(tmp_path / "u.tif")).GetProjection())
    wide.WriteRaster(29_700, 0, 300, 200, raster_files.texture("uint16", 3, (300, 200)).tobytes())
    wide = None
    feedback = QgsProcessingFeedback()
    parameters = {**QUICK, "INPUT": str(path), "EXTENT": extent(path, 0, 0, 40, 0)}
    parameters["OUTPUT"] = str(tmp_path / "b.tif")
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("text2earth:extend")
    _results, good = algorithm.run(parameters, QgsProcessingContext(), feedback)
    assert good, feedback.textLog()
    sent = re.findall(r"(\d+) x 200 of 30000 x 200 pixels of 'a' are sent", feedback.textLog())
    assert max(map(int, sent)) < 200, feedback.textLog()
    new, corner = holds(path, tmp_path / "b.tif")
    assert (new.shape, corner) == ((3, 200, 30_040), (0, 0))
    assert len(np.unique(new[:, :, 30_000:])) > 100


@pytest.mark.parametrize(
    ("box", "sentence"),
    [
        ("600000,600100,5700000,5700100 [EPSG:32633]", "does not touch the raster"),
        ("500010,500020,5799980,5799990 [EPSG:32633]", "Every pixel of the extent has a value already"),
        ("400000,500020,5700000,5799990 [EPSG:32633]", "one side at a time"),
    ],
)
def test_refusals(backend, tmp_path, box, sentence):
    path = raster_files.raster(tmp_path / "a.tif")
    with pytest.raises(QgsProcessingException, match=sentence):
        extend(path, box, tmp_path / "b.tif")
    assert not (tmp_path / "b.tif").exists()


def test_in_a_model(backend, tmp_path):
    """Extend twice: what one step made is continued by the next."""
    import processing

    path = raster_files.raster(tmp_path / "a.tif")
    model = QgsProcessingModelAlgorithm("wider", "test")
    model.addModelParameter(
        QgsProcessingParameterRasterLayer("RASTER", "Raster"), QgsProcessingModelParameter("RASTER")
    )
    fixed = QgsProcessingModelChildParameterSource.fromStaticValue
    raster = QgsProcessingModelChildParameterSource.fromModelParameter("RASTER")
    for name, box in (("first", extent(path, 0, 0, 20, 0)), ("second", extent(path, 0, 15, 0, 0))):
        child = QgsProcessingModelChildAlgorithm("text2earth:extend")
        child.setChildId(name)
        for key, value in {**QUICK, "EXTENT": box}.items():
            child.addParameterSources(key, [fixed(value)])
        child.addParameterSources("INPUT", [raster])
        raster = QgsProcessingModelChildParameterSource.fromChildOutput("first", "OUTPUT")
        if name == "second":
            output = QgsProcessingModelOutput("RESULT", "RESULT")
            output.setChildId(name)
            output.setChildOutputName("OUTPUT")
            child.setModelOutputs({"RESULT": output})
        model.addChildAlgorithm(child)
    model.updateDestinationParameters()
    (result,) = (one.name() for one in model.destinationParameterDefinitions())  # versions differ
    parameters = {"RASTER": path, result: str(tmp_path / "b.tif")}
    processing.run(model, parameters, context=QgsProcessingContext())
    new, corner = holds(path, tmp_path / "b.tif")
    assert (new.shape, corner) == ((3, 128 + 15, 160 + 20), (0, 15))


def test_the_aerial_scene_in_qgis_process(backend, tmp_path):
    path = shutil.copy(SCENE, tmp_path / "a.tif")
    target = tmp_path / "b.tif"
    values = {**QUICK, "INPUT": path, "EXTENT": extent(path, 0, 0, 100, 0), "OUTPUT": target}
    command = [ROOT / ".ci/qgis", "process", "run", "text2earth:extend", "--"]
    command += [f"{name}={value}" for name, value in values.items()]
    environment = {**os.environ, **backend.environment}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE / 1000)
    assert done.returncode == 0, done.stderr
    assert "are sent to http://127.0.0.1" in done.stdout
    new, corner = holds(path, target)
    assert corner == (0, 0)
    assert new.shape == (4, 384, 548)
