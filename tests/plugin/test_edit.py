"""text2earth:edit in QGIS against a real backend with a tiny inpainting model: what is promised holds."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
import zipfile

import numpy as np
import pytest
from osgeo import gdal, ogr, osr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingParameterRasterLayer,
    QgsProject,
    QgsProperty,
    QgsRasterLayer,
    QgsRasterMinMaxOrigin,
)

from launcher import ROOT
from tests.support.qgis import raster_files
from tests.support.qgis.runs import whole
from tests.support.qgis.toolbox import PATIENCE, algorithm_of, in_worker, run_batch
from text2earth_qgis.core import layers
from text2earth_qgis.core.runs.history import History

SCENE = ROOT / "resources" / "demo" / "scene.tif"
QUICK = {"PROMPT": "a lake", "STEPS": 2, "SEED": 7}
pytestmark = pytest.mark.usefixtures("provider", "own_history")


@pytest.fixture
def backend(editing_backend):
    return editing_backend


def files(folder):
    """Return the names in a folder: nothing is ever written beside what is edited."""
    return {one.name for one in folder.iterdir()} - {"profile"}


def edit(path, mask, target, **more):
    """Run as scripts do, in the calling thread."""
    import processing

    feedback = more.pop("feedback", None)
    parameters = {**QUICK, "INPUT": str(path), "MASK": mask, "OUTPUT": str(target), **more}
    return processing.run("text2earth:edit", parameters, feedback=feedback)


def holds(path, target, burnt):
    """Check the promise over the whole raster: ``burnt`` are the pixels, (rows, columns), that may change."""
    (old, valid), (new, shown) = raster_files.everything(path), raster_files.everything(target)
    assert old.shape == new.shape
    assert old[:, ~burnt].tobytes() == new[:, ~burnt].tobytes()
    assert (valid[~burnt] == shown[~burnt]).all()
    assert (shown[burnt] == 255).all()
    assert raster_files.about(path) == raster_files.about(target)
    return (old[:, burnt] != new[:, burnt]).any(0)


def pixels(path, col, row, width, height):
    """Return which pixels of a raster are in a box."""
    dataset = gdal.Open(str(path))
    burnt = np.zeros((dataset.RasterYSize, dataset.RasterXSize), bool)
    burnt[row : row + height, col : col + width] = True
    return burnt


KINDS = {
    "uint8, 3 bands": {},
    "uint8, grey": {"bands": 1},
    "uint16, 8 bands": {"dtype": "uint16", "bands": 8},
    "int16, nodata, feet": {"dtype": "int16", "bands": 4, "nodata": -999, "place": "feet"},
    "float32, nan, rotated": {"dtype": "float32", "nodata": float("nan"), "place": "rotated"},
    "uint8, nodata, mercator": {"nodata": 0, "place": "mercator"},
    "uint8, alpha, south-up": {"bands": 4, "alpha": True, "place": "south-up"},
    "uint16, mask band": {"dtype": "uint16", "mask": True, "options": ["COMPRESS=LZW", "PREDICTOR=2"]},
    "float32, degrees": {"dtype": "float32", "bands": 3, "place": "degrees"},
    "uint16, scaled, overviews": {"dtype": "uint16", "scale": (0.01, 5.0), "overviews": True},
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_rest_stays_to_the_byte(backend, tmp_path, kind):
    path = raster_files.raster(tmp_path / "a.tif", size=(300, 260), **kind)
    before = raster_files.fingerprint(path)
    crs = f"EPSG:{raster_files.PLACES[kind.get('place', 'utm')][1]}"
    mask = raster_files.polygons([raster_files.square(path, 100, 80, 40)], crs)
    result = edit(path, mask, tmp_path / "b.tif", NEGATIVE_PROMPT="clouds")
    changed = holds(path, tmp_path / "b.tif", pixels(path, 100, 80, 40, 40))
    assert changed.mean() > 0.8  # the feather begins with next to nothing
    tags = gdal.Open(result["OUTPUT"]).GetMetadata()
    assert (tags["AI_GENERATED"], tags["SURVEY"]) == ("YES", "of the test")
    recipe = raster_files.recipe_of(result["OUTPUT"])
    assert recipe == json.loads(result["RECIPE"])
    assert (recipe["process"], recipe["negative_prompt"], recipe["seed"]) == ("edit", "clouds", 7)
    assert raster_files.fingerprint(path) == before
    assert files(tmp_path) == {"a.tif", "b.tif"}
    (noted,) = whole(History(tmp_path / "profile" / "history.sqlite"))
    assert (noted.state, noted.process, noted.target) == ("fetched", "edit", str(tmp_path / "b.tif"))


def test_the_aerial_scene(backend, tmp_path):
    path = shutil.copy(SCENE, tmp_path / "a.tif")
    mask = raster_files.polygons([raster_files.square(path, 200, 150, 64)], "EPSG:26914")
    edit(path, mask, tmp_path / "b.tif")
    assert holds(path, tmp_path / "b.tif", pixels(path, 200, 150, 64, 64)).mean() > 0.9


def test_a_scene_in_degrees(backend, tmp_path):
    """As large on the ground as a satellite's: 90 m, four bands, nodata 0; painted in a metric grid."""
    place = ((-74.7, 0.0008, 0.0, -58.3, 0.0, -0.0008), 4326)
    path = raster_files.raster(tmp_path / "a.tif", bands=4, place=place, size=(300, 200), nodata=0)
    mask = raster_files.polygons([raster_files.square(path, 120, 90, 30)], "EPSG:4326")
    result = edit(path, mask, tmp_path / "b.tif")
    assert json.loads(result["RECIPE"])["resampled"] is not None
    assert holds(path, tmp_path / "b.tif", pixels(path, 120, 90, 30, 30)).mean() > 0.9


def test_without_a_prompt_the_mask_is_filled_from_its_surroundings(backend, tmp_path):
    path = raster_files.raster(tmp_path / "a.tif", dtype="uint16", bands=4, size=(300, 260))
    mask = raster_files.polygons([raster_files.square(path, 100, 80, 40)], "EPSG:32633")
    result = edit(path, mask, tmp_path / "b.tif", PROMPT="")
    assert raster_files.recipe_of(result["OUTPUT"])["model"] == "surroundings"
    assert holds(path, tmp_path / "b.tif", pixels(path, 100, 80, 40, 40)).mean() > 0.9


def test_control_points_inside_a_zip(backend, tmp_path, project):
    plain = raster_files.raster(tmp_path / "u.tif", size=(200, 160))
    path = tmp_path / "a.tif"
    made = gdal.GetDriverByName("GTiff").Create(str(path), 200, 160, 3, gdal.GDT_Byte, ["COMPRESS=LZW"])
    made.WriteRaster(0, 0, 200, 160, gdal.Open(plain).ReadRaster())
    corners = ((0, 0), (200, 0), (200, 160), (0, 160))
    points = [gdal.GCP(500000 + col, 5800000 - row, 0, col, row) for col, row in corners]
    made.SetGCPs(points, gdal.Open(plain).GetProjection())
    made = None
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "a.tif")
    mask = raster_files.polygons([raster_files.square(plain, 60, 50, 30)], "EPSG:32633")
    layer = QgsRasterLayer(f"/vsizip/{tmp_path}/a.zip/a.tif", "zipped", "gdal")
    project.addMapLayer(layer)
    edit(layer.id(), mask, tmp_path / "b.tif")
    assert holds(path, tmp_path / "b.tif", pixels(path, 60, 50, 30, 30)).mean() > 0.8
    assert len(raster_files.about(tmp_path / "b.tif")["gcps"]) == 4


# ---- the three results


def test_patch_and_vrt(backend, tmp_path):
    path = raster_files.raster(tmp_path / "a.tif", dtype="uint16", bands=4, size=(500, 400))
    mask = raster_files.polygons([raster_files.square(path, 250, 200, 20)], "EPSG:32633")
    (tmp_path / "whole_patch.tif").write_bytes(b"the user's own")
    edit(path, mask, tmp_path / "whole.tif")
    assert (tmp_path / "whole_patch.tif").read_bytes() == b"the user's own"
    (tmp_path / "whole_patch.tif").unlink()
    edit(path, mask, tmp_path / "patch.tif", RESULT="patch")
    result = edit(path, mask, tmp_path / "over.vrt", RESULT="vrt")
    whole, over = (
        raster_files.everything(tmp_path / "whole.tif")[0],
        raster_files.everything(result["OUTPUT"])[0],
    )
    assert whole.tobytes() == over.tobytes()
    part = gdal.Open(str(tmp_path / "patch.tif"))
    (col, row), _ = _corners(path, part)
    here = np.s_[:, row : row + part.RasterYSize, col : col + part.RasterXSize]
    assert whole[here].tobytes() == raster_files.everything(tmp_path / "patch.tif")[0].tobytes()
    assert part.RasterXSize < 250  # the mask, and a window of 64 pixels on every side
    assert files(tmp_path) == {"a.tif", "whole.tif", "patch.tif", "over.vrt", "over_patch.tif"}


def _corners(path, part):
    a, _, _, d, _, _ = part.GetGeoTransform()
    inverse = gdal.InvGeoTransform(gdal.Open(path).GetGeoTransform())
    col, row = gdal.ApplyGeoTransform(inverse, a, d)
    return (round(col), round(row)), (part.RasterXSize, part.RasterYSize)


def test_names_and_bands_as_scripts_give_them(backend, tmp_path, monkeypatch):
    """A relative name means the same file when the list of runs is read at another place."""
    path = raster_files.raster(tmp_path / "a.tif", bands=4)
    mask = raster_files.polygons([raster_files.square(path, 50, 40, 20)], "EPSG:32633")
    monkeypatch.chdir(tmp_path)
    result = edit("a.tif", mask, "b.tif", RGB_BANDS="3,1;2", RESULT="patch")
    assert json.loads(result["RECIPE"])["edit"]["bands"] == [3, 1, 2]
    (noted,) = whole(History(tmp_path / "profile" / "history.sqlite"))
    assert noted.target == str(tmp_path / "b.tif")
    assert noted.assembly["source"]["source"] == path


def test_dropped_and_kept_bands(backend, tmp_path):
    path = raster_files.raster(tmp_path / "a.tif", bands=5, alpha=True, size=(200, 200))
    mask = raster_files.polygons([raster_files.square(path, 80, 80, 30)], "EPSG:32633")
    burnt, old = pixels(path, 80, 80, 30, 30), raster_files.everything(path)[0]
    edit(path, mask, tmp_path / "keep.tif", EXTRA_BANDS="keep", RGB_BANDS=[3, 2, 1])
    assert holds(path, tmp_path / "keep.tif", burnt).any()
    assert raster_files.everything(tmp_path / "keep.tif")[0][3].tobytes() == old[3].tobytes()
    edit(path, mask, tmp_path / "drop.tif", EXTRA_BANDS="drop", RGB_BANDS=[3, 2, 1])
    new = raster_files.everything(tmp_path / "drop.tif")[0]
    assert new.shape[0] == 4
    assert new[:, ~burnt].tobytes() == old[[0, 1, 2, 4]][:, ~burnt].tobytes()


# ---- what is sent


def test_only_the_surroundings_are_read_and_sent(backend, tmp_path):
    """Of a raster of 7 GB: the edit is the one of the same place in a small raster, and sends no more."""
    options = ["TILED=YES", "COMPRESS=DEFLATE", "SPARSE_OK=TRUE"]
    giant = gdal.GetDriverByName("GTiff").Create(
        str(tmp_path / "giant.tif"), 30_000, 30_000, 3, gdal.GDT_UInt16, options
    )
    giant.SetGeoTransform(raster_files.UTM)
    texture = raster_files.texture("uint16", 3, (600, 600))
    giant.WriteRaster(15_000, 9_000, 600, 600, texture.tobytes())
    place = ((500000 + 15_000, 1.0, 0.0, 5800000 - 9_000, 0.0, -1.0), 32633)
    small = raster_files.raster(
        tmp_path / "small.tif", dtype="uint16", place=place, size=(600, 600), pixels=texture
    )
    giant.SetProjection(gdal.Open(small).GetProjection())
    giant = None
    mask = raster_files.polygons([raster_files.square(small, 268, 268, 64)], "EPSG:32633")
    sent = {}
    for name in ("small", "giant"):
        feedback = QgsProcessingFeedback()
        asked = {"STRETCH": "0,8000", "feedback": feedback}
        edit(tmp_path / f"{name}.tif", mask, tmp_path / f"{name}_new.tif", **asked)
        sent[name] = re.findall(r"(\d+ x \d+) of .*\(([\d.]+) MB\)", feedback.textLog())
    made = gdal.Open(str(tmp_path / "giant_new.tif"))
    assert (made.RasterXSize, made.RasterYSize) == (30_000, 30_000)
    there = made.ReadRaster(15_000, 9_000, 600, 600)
    assert there == gdal.Open(str(tmp_path / "small_new.tif")).ReadRaster()
    assert (tmp_path / "giant_new.tif").stat().st_size < 30e6
    assert sent["small"]
    assert sent["giant"] == sent["small"]


def test_what_the_plan_works_on_is_sent(backend, tmp_path):
    """Pixels of 10 cm are painted in pixels of 50: the window around the mask is wider than it seemed."""
    place = ((500000.0, 0.1, 0.0, 5800000.0, 0.0, -0.1), 32633)
    path = raster_files.raster(tmp_path / "a.tif", place=place, size=(900, 800))
    mask = raster_files.polygons([raster_files.square(path, 500, 400, 40)], "EPSG:32633")
    good, results, log = in_worker_at_once(path, mask, tmp_path / "b.tif")
    assert good, log
    sent = [int(found) for found in re.findall(r"(\d+) x \d+ of 900 x 800 pixels", log)]
    assert len(sent) == 2
    assert sent[0] < 40 + 3 * 64
    canvas = json.loads(results["RECIPE"])["canvas"]
    assert sent[1] >= canvas["width"] * 5
    assert holds(path, tmp_path / "b.tif", pixels(path, 500, 400, 40, 40)).mean() > 0.8


def test_what_leaves_is_said_before(backend, tmp_path):
    path = raster_files.raster(tmp_path / "a.tif", size=(1000, 800))
    mask = raster_files.polygons([raster_files.square(path, 500, 400, 10)], "EPSG:32633")
    _good, _results, log = in_worker_at_once(path, mask, tmp_path / "b.tif")
    assert "of 1000 x 800 pixels of 'a' and the mask are sent to http://127.0.0.1:" in log


def in_worker_at_once(path, mask, target):
    feedback, context = QgsProcessingFeedback(), QgsProcessingContext()
    algorithm = algorithm_of("edit")
    parameters = {**QUICK, "INPUT": str(path), "MASK": mask, "OUTPUT": str(target)}
    results, good = algorithm.run(parameters, context, feedback)
    return good, results, feedback.textLog()


@pytest.mark.parametrize(
    ("stretch", "expected"),
    [
        ("displayed", [[10, 200], [20, 210], [30, 220]]),
        ("5,105", [[5, 105]] * 3),
        ("1,2;3,4;5,6", [[1, 2], [3, 4], [5, 6]]),
        ("2-98 %", None),
    ],
)
def test_stretch(backend, tmp_path, project, stretch, expected):
    path = raster_files.raster(tmp_path / "a.tif", scale=(2.0, 1.0))
    layer = QgsRasterLayer(path, "a", "gdal")
    renderer = layer.renderer().clone()
    for number, name in enumerate(("Red", "Green", "Blue")):
        enhancement = getattr(renderer, f"{name.lower()}ContrastEnhancement")()
        from qgis.core import Qgis, QgsContrastEnhancement

        enhancement = QgsContrastEnhancement(Qgis.DataType.Float32)
        enhancement.setMinimumValue((10 + 10 * number) * 2.0 + 1.0)  # as QGIS shows them: scaled
        enhancement.setMaximumValue((200 + 10 * number) * 2.0 + 1.0)
        enhancement.setContrastEnhancementAlgorithm(
            QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
        )
        getattr(renderer, f"set{name}ContrastEnhancement")(enhancement)
    by_hand = renderer.minMaxOrigin()
    by_hand.setLimits(QgsRasterMinMaxOrigin.Limits.None_)
    renderer.setMinMaxOrigin(by_hand)
    layer.setRenderer(renderer)
    project.addMapLayer(layer)
    mask = raster_files.polygons([raster_files.square(path, 50, 40, 20)], "EPSG:32633")
    result = edit(layer.id(), mask, tmp_path / "b.tif", STRETCH=stretch)
    found = json.loads(result["RECIPE"])["edit"]["stretch"]
    if expected is None:
        values = raster_files.everything(path)[0].reshape(3, -1)
        expected = np.percentile(values, (2, 98), axis=1).T
        assert np.allclose(found, expected, atol=1)
    else:
        assert found == expected
    assert holds(path, tmp_path / "b.tif", pixels(path, 50, 40, 20, 20)).any()


def test_how_bright_is_taken_from_the_surroundings(backend, tmp_path, project):
    """Not from what QGIS counts of the whole raster: neither of far clouds nor of infinities."""
    values = raster_files.texture("float32", 3, (300, 260))
    near = np.percentile(values[:, 60:180, 60:180].reshape(3, -1), (0, 100), axis=1).T
    values[:, 240:, 280:] = 1e6  # clouds
    values[:, 200, 250], values[:, 210, 250], values[:, 100, 100] = np.inf, -np.inf, np.inf
    path = raster_files.raster(tmp_path / "a.tif", "float32", size=(300, 260), pixels=values)
    mask = raster_files.polygons([raster_files.square(path, 110, 100, 20)], "EPSG:32633")
    by_path = edit(path, mask, tmp_path / "b.tif")
    assert files(tmp_path) == {"a.tif", "b.tif"}
    layer = QgsRasterLayer(path, "a", "gdal")  # QGIS counts
    project.addMapLayer(layer)
    by_layer = edit(layer.id(), mask, tmp_path / "c.tif")
    stretch = np.array(json.loads(by_path["RECIPE"])["edit"]["stretch"])
    assert by_layer["RECIPE"] == by_path["RECIPE"]
    assert (near[:, 0] <= stretch[:, 0]).all()
    assert (stretch[:, 1] <= near[:, 1]).all()
    changed = holds(path, tmp_path / "b.tif", pixels(path, 110, 100, 20, 20))
    assert changed.any()
    painted = raster_files.everything(tmp_path / "b.tif")[0][:, 100:120, 110:130]
    assert np.isfinite(painted).all()


# ---- masks


def burnt_by_gdal(path, layer_wkt, code):
    """Return which pixel centres lie in polygons of another CRS, by GDAL's own rasterizer."""
    burnt = gdal.Open(path)
    made = gdal.GetDriverByName("MEM").Create("", burnt.RasterXSize, burnt.RasterYSize, 1)
    made.SetGeoTransform(burnt.GetGeoTransform())
    made.SetProjection(burnt.GetProjection())
    system = osr.SpatialReference()
    system.ImportFromEPSG(code)
    system.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    source = ogr.GetDriverByName("Memory").CreateDataSource("")
    layer = source.CreateLayer("m", system)
    for text in layer_wkt:
        feature = ogr.Feature(layer.GetLayerDefn())
        feature.SetGeometry(ogr.CreateGeometryFromWkt(text))
        layer.CreateFeature(feature)
    gdal.RasterizeLayer(made, [1], layer, burn_values=[1])
    return np.frombuffer(made.ReadRaster(), "u1").reshape(burnt.RasterYSize, burnt.RasterXSize) > 0


def test_masks_of_all_shapes(backend, tmp_path):
    path = raster_files.raster(tmp_path / "a.tif", size=(200, 160))
    ring = (
        raster_files.square(path, 40, 30, 60)[:-1]
        + ", "
        + raster_files.square(path, 55, 45, 20)[len("Polygon(") :]
    )
    shapes = {
        "hole": [ring],
        "bow tie": [raster_files.ring(path, [(20, 20), (80, 80), (80, 20), (20, 80)])],
        "one pixel": [raster_files.square(path, 70, 61, 1)],
        "two, one outside": [raster_files.square(path, 10, 10, 9), raster_files.square(path, 400, 300, 50)],
        "over the edge": [raster_files.square(path, -30, -30, 60)],
        "all": [raster_files.square(path, -10, -10, 300)],
    }
    for name, texts in shapes.items():
        target = tmp_path / f"{name}.tif"
        edit(path, raster_files.polygons(texts, "EPSG:32633"), target, EXTRA_BANDS="keep", FEATHER=0)
        burnt = burnt_by_gdal(path, texts, 32633)
        if name == "bow tie":  # its halves cancel out: it counts as thin, of which no pixel is to be missed
            burnt[1:-1, 1:-1] |= sum(burnt[y : y + 158, x : x + 198] for x in range(3) for y in range(3)) > 0
        assert holds(path, target, burnt).mean() > 0.8, name


def test_a_mask_in_another_crs(backend, tmp_path):
    path = raster_files.raster(tmp_path / "a.tif", size=(200, 160))
    layer = raster_files.polygons([raster_files.square(path, 60, 50, 40)], "EPSG:32633")
    from qgis.core import QgsCoordinateTransform

    way = QgsCoordinateTransform(
        layer.crs(), QgsCoordinateReferenceSystem("EPSG:4326"), QgsProject.instance()
    )
    geometry = next(layer.getFeatures()).geometry()
    geometry.transform(way)
    degrees = raster_files.polygons([geometry.asWkt(12)], "EPSG:4326")
    edit(path, degrees, tmp_path / "b.tif")
    edit(path, layer, tmp_path / "c.tif")
    assert holds(path, tmp_path / "b.tif", pixels(path, 60, 50, 40, 40)).mean() > 0.9
    assert (
        raster_files.everything(tmp_path / "b.tif")[0].tobytes()
        == raster_files.everything(tmp_path / "c.tif")[0].tobytes()
    )


def test_selected_polygons(backend, tmp_path, project):
    path = raster_files.raster(tmp_path / "a.tif", size=(200, 160))
    shapes = [raster_files.square(path, 30, 30, 20), raster_files.square(path, 100, 100, 20)]
    layer = raster_files.polygons(shapes, "EPSG:32633")
    project.addMapLayer(layer)
    layer.selectByIds([sorted(layer.allFeatureIds())[1]])
    edit(path, layer.id(), tmp_path / "b.tif", SELECTED_ONLY=True)
    assert holds(path, tmp_path / "b.tif", pixels(path, 100, 100, 20, 20)).mean() > 0.9
    layer.removeSelection()
    with pytest.raises(QgsProcessingException, match="No polygon is selected in the mask 'mask'"):
        edit(path, layer.id(), tmp_path / "c.tif", SELECTED_ONLY=True)


def test_a_raster_as_mask(backend, tmp_path):
    path = raster_files.raster(tmp_path / "a.tif", size=(200, 160))
    burnt = np.zeros((1, 400, 400), "u1")
    burnt[0, 140:180, 130:190] = 9
    place = ((500000 - 50.0, 1.0, 0.0, 5800000 + 60.0, 0.0, -1.0), 32633)
    mask = raster_files.raster(tmp_path / "m.tif", bands=1, size=(400, 400), pixels=burnt, place=place)
    edit(path, mask, tmp_path / "b.tif")
    assert holds(path, tmp_path / "b.tif", pixels(path, 80, 80, 60, 40)).mean() > 0.9


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda path: raster_files.polygons([], "EPSG:32633"), "There is no polygon in the mask 'mask'"),
        (
            lambda path: raster_files.polygons([raster_files.square(path, 900, 900, 9)], "EPSG:32633"),
            "lies outside of",
        ),
        (
            lambda path: raster_files.polygons([raster_files.square(path, 9, 9, 9)], "EPSG:32601"),
            "lies outside of|placed in",
        ),
        (lambda path: raster_files.polygons(["Polygon((0 0, 0 0, 0 0, 0 0))"], "EPSG:32633"), "outside|no p"),
    ],
    ids=["empty", "outside", "other side of the world", "a point"],
)
def test_masks_that_cannot_be(backend, tmp_path, build, sentence):
    path = raster_files.raster(tmp_path / "a.tif")
    with pytest.raises(QgsProcessingException, match=sentence):
        edit(path, build(path), tmp_path / "b.tif")
    assert files(tmp_path) == {"a.tif"}


def test_mask_rasters_that_cannot_be(backend, tmp_path):
    path = raster_files.raster(tmp_path / "a.tif")
    told = QgsProcessingFeedback()
    with pytest.raises(QgsProcessingException):
        edit(path, path, tmp_path / "b.tif", feedback=told)
    assert "The mask is the raster itself" in told.textLog()
    none = np.zeros((1, 128, 160), "u1")
    mask = raster_files.raster(tmp_path / "m.tif", bands=1, pixels=none)
    with pytest.raises(QgsProcessingException, match="is empty: no pixel of it is above zero"):
        edit(path, mask, tmp_path / "b.tif")
    far = raster_files.raster(tmp_path / "f.tif", bands=1, place=((1e5, 1.0, 0.0, 1e6, 0.0, -1.0), 32633))
    with pytest.raises(QgsProcessingException, match="lies outside of the raster"):
        edit(path, far, tmp_path / "b.tif")


def test_grow_reaches_from_outside(backend, tmp_path):
    path = raster_files.raster(tmp_path / "a.tif")
    mask = raster_files.polygons([raster_files.square(path, -8, 60, 5)], "EPSG:32633")
    with pytest.raises(QgsProcessingException, match="lies outside"):
        edit(path, mask, tmp_path / "b.tif")
    edit(path, mask, tmp_path / "b.tif", GROW=10)
    changed = raster_files.everything(path)[0] != raster_files.everything(tmp_path / "b.tif")[0]
    assert changed[:, 55:70, :8].any()
    assert not changed[:, :, 8:].any()


# ---- refusals, cancels, QGIS


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"MODEL": "nothing"}, "nothing"),
        ({"STRETCH": "a lot"}, "'a lot' is none of: displayed"),
        ({"RESULT": "vrt"}, "its name must end in .vrt"),
        ({"OUTPUT": "/x/a.png"}, "must end in .tif"),
        ({"RGB_BANDS": [1, 9]}, "The bands to paint must be one band, or three"),
        ({"GSD": 2}, "keeps its own pixels"),
        ({"RGB_BANDS": "red"}, "The bands 'red' are not numbers"),
        ({"FEATHER": 5000}, "'Feather' must be"),
        ({"FEATHER": "12,5"}, "FEATHER is '12,5', which is not a number. Write it with a point, as 12.5"),
        ({"GROW": "1_000"}, "GROW is '1_000', which is not a number"),
        ({"STRENGTH": "nan"}, "STRENGTH is 'nan', which is not a number"),
        ({"SEED": 1.5}, "SEED is 1.5, but it has to be a whole number"),
        ({"SEED": "7 "}, None),
        ({"SEED": 2**53 - 1}, None),
        (
            {"SEED": QgsProperty.fromExpression("2^53 * 2")},
            "it has to be from 0 to 9007199254740991",
        ),
        ({"STEPS": "2.5"}, "STEPS is 2.5, but it has to be a whole number"),
        ({"STRETCH": "0,inf"}, "'0,inf' is none of: displayed"),
        ({"INPUT": "/x/nothing.tif"}, "INPUT|nothing.tif"),
        ({"MASK": "/x/nothing.gpkg"}, "MASK|nothing.gpkg"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_refusals_are_sentences(backend, tmp_path, parameters, sentence):
    path = raster_files.raster(tmp_path / "a.tif")
    mask = raster_files.polygons([raster_files.square(path, 50, 40, 20)], "EPSG:32633")
    feedback = QgsProcessingFeedback()
    import processing

    every = {**QUICK, "INPUT": path, "MASK": mask, "OUTPUT": str(tmp_path / "b.tif"), **parameters}
    if sentence is None:
        found = processing.run("text2earth:edit", every, feedback=feedback)
        assert found["SEED"] == int(parameters["SEED"])
        assert files(tmp_path) == {"a.tif", "b.tif"}
        return
    with pytest.raises(QgsProcessingException) as error:
        processing.run("text2earth:edit", every, feedback=feedback)
    assert re.search(sentence, str(error.value) + feedback.textLog())
    assert files(tmp_path) == {"a.tif"}


def test_the_source_is_never_the_target(backend, tmp_path):
    path = raster_files.raster(tmp_path / "a.tif")
    before = raster_files.fingerprint(path)
    mask = raster_files.polygons([raster_files.square(path, 50, 40, 20)], "EPSG:32633")
    for result in ("whole", "patch"):
        feedback = QgsProcessingFeedback()
        with pytest.raises(QgsProcessingException):
            edit(path, mask, path, RESULT=result, feedback=feedback)
        assert "be written over what is given as 'Raster to edit'. Choose another" in feedback.textLog()
    assert raster_files.fingerprint(path) == before


def test_no_input_is_the_target(backend, tmp_path):
    """Neither the mask nor what a file of it is called beside the result."""
    path = raster_files.raster(tmp_path / "a.tif")
    ones = np.ones((1, 128, 160), "u1")
    mask = raster_files.raster(tmp_path / "m.tif", bands=1, pixels=ones)
    beside = raster_files.raster(tmp_path / "b.tif.msk", bands=1, pixels=ones)
    for given, target in ((mask, mask), (beside, str(tmp_path / "b.tif"))):
        before, feedback = raster_files.fingerprint(given), QgsProcessingFeedback()
        with pytest.raises(QgsProcessingException):
            edit(path, given, target, feedback=feedback)
        assert "be written over what is given as 'Mask: polygons or raster'" in feedback.textLog()
        assert raster_files.fingerprint(given) == before


def test_in_a_worker(backend, tmp_path, project, qtbot):
    """As the toolbox runs it, with layers of the project that live in the main thread."""
    path = raster_files.raster(tmp_path / "a.tif", dtype="uint16", size=(200, 160))
    source = QgsRasterLayer(path, "a", "gdal")
    mask = raster_files.polygons([raster_files.square(path, 60, 50, 30)], "EPSG:32633")
    project.addMapLayers([source, mask])
    target = tmp_path / "b.tif"
    parameters = {**QUICK, "INPUT": source.id(), "MASK": mask.id(), "OUTPUT": str(target)}
    good, _results, log = in_worker("edit", parameters, qtbot, project=project)
    assert good, log
    assert holds(path, target, pixels(path, 60, 50, 30, 30)).mean() > 0.8
    assert not mask.isEditable()
    assert source.source() == path


def test_cancel_in_a_worker_deletes_job_and_uploads(backend, tmp_path, qtbot):
    path = raster_files.raster(tmp_path / "a.tif", size=(2000, 1600))
    mask = raster_files.polygons([raster_files.square(path, 50, 50, 1500)], "EPSG:32633")
    parameters = {**QUICK, "STEPS": 200, "INPUT": path, "MASK": mask, "OUTPUT": str(tmp_path / "b.tif")}

    def cancel(task):
        qtbot.waitUntil(lambda: bool(backend.jobs("running")), timeout=PATIENCE)
        assert len(backend.uploads) == 2  # the raster and what is known of it
        task.cancel()

    good, _results, log = in_worker("edit", parameters, qtbot, cancel)
    assert not good
    assert "Cancelled" in log
    assert backend.jobs("running", "accepted") == []
    (noted,) = whole(History(tmp_path / "profile" / "history.sqlite"))
    assert (noted.state, noted.process) == ("dismissed", "edit")
    assert files(tmp_path) == {"a.tif"}


def test_cancel_while_the_result_is_written(backend, tmp_path):
    class Impatient(QgsProcessingFeedback):
        def setProgressText(self, text):
            if text == "Writing the result":
                self.cancel()

    path = raster_files.raster(tmp_path / "a.tif")
    mask = raster_files.polygons([raster_files.square(path, 50, 40, 20)], "EPSG:32633")
    algorithm = algorithm_of("edit")
    parameters = {**QUICK, "INPUT": path, "MASK": mask, "OUTPUT": str(tmp_path / "b.tif")}
    before = len(backend.jobs("successful"))
    feedback = Impatient()
    _results, good = algorithm.run(parameters, QgsProcessingContext(), feedback)
    assert not good
    assert "Cancelled" in feedback.textLog()
    assert files(tmp_path) == {"a.tif"}
    assert len(backend.jobs("successful")) == before
    (noted,) = whole(History(tmp_path / "profile" / "history.sqlite"))
    assert noted.state == "dismissed"


def test_in_batch(backend, tmp_path, project, qgis_iface, qtbot):
    """The real batch window: one row fails, the others are made."""
    from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog

    path = raster_files.raster(tmp_path / "a.tif")
    mask = raster_files.polygons([raster_files.square(path, 50, 40, 20)], "EPSG:32633")
    none = raster_files.polygons([], "EPSG:32633")
    project.addMapLayers([mask, none])
    algorithm = algorithm_of("edit")
    dialog = BatchAlgorithmDialog(algorithm)  # which becomes its owner
    qtbot.addWidget(dialog)
    rows = [(mask, "b.tif"), (none, "c.tif"), (mask, "d.tif")]
    panel = dialog.mainWidget()
    panel.batchRowCount = lambda: len(rows)

    def parameters(row, destinationProject=None, **_more):
        layer, name = rows[row]
        output = QgsProcessingOutputLayerDefinition(str(tmp_path / name), destinationProject)
        return {**QUICK, "INPUT": path, "MASK": layer.id(), "OUTPUT": output}, True

    panel.parametersForRow = parameters
    panel.checkLoadLayersOnCompletion.setChecked(True)
    run_batch(dialog, qtbot)
    assert files(tmp_path) == {"a.tif", "b.tif", "d.tif"}
    loaded = [one.name() for one in project.mapLayers().values() if isinstance(one, QgsRasterLayer)]
    assert loaded == ["a edited: a lake, seed 7"] * 2


def test_the_layer_lies_on_its_source_in_its_style(backend, tmp_path, project):
    from processing.gui.Postprocessing import handleAlgorithmResults

    path = raster_files.raster(tmp_path / "a.tif", dtype="uint16", bands=4)
    below = QgsRasterLayer(path, "aerial", "gdal")
    renderer = below.renderer().clone()
    renderer.setRedBand(4)
    below.setRenderer(renderer)
    project.addMapLayer(below, False)
    group = project.layerTreeRoot().addGroup("mine")
    group.addLayer(below)
    mask = raster_files.polygons([raster_files.square(path, 50, 40, 20)], "EPSG:32633")
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    context.setProject(project)
    output = QgsProcessingOutputLayerDefinition(str(tmp_path / "b.tif"), project)
    output.destinationName = "Edited imagery"
    algorithm = algorithm_of("edit")
    parameters = {**QUICK, "INPUT": below.id(), "MASK": mask, "OUTPUT": output}
    results, good = algorithm.run(parameters, context, feedback)
    assert good, feedback.textLog()
    assert handleAlgorithmResults(algorithm, context, feedback)
    names = [node.name() for node in group.children()]
    assert names == ["aerial edited: a lake, seed 7", "aerial"]
    (layer,) = [one for one in project.mapLayers().values() if one.source() == results["OUTPUT"]]
    assert layer.renderer().redBand() == 4
    assert layers.recipe_of(layer) == json.loads(results["RECIPE"])
    assert layer.metadata().rights()[0].startswith("Edited image: a part of it")


def test_in_a_model(backend, tmp_path, project):
    """raster -> clip -> edit: the mask is the polygon that another step buffered."""
    import processing

    path = raster_files.raster(tmp_path / "a.tif")
    mask = raster_files.polygons([raster_files.square(path, 60, 50, 10)], "EPSG:32633")
    project.addMapLayer(mask)
    model = QgsProcessingModelAlgorithm("lake", "test")
    model.addModelParameter(
        QgsProcessingParameterRasterLayer("RASTER", "Raster"), QgsProcessingModelParameter("RASTER")
    )
    fixed = QgsProcessingModelChildParameterSource.fromStaticValue
    first = QgsProcessingModelChildAlgorithm("native:buffer")
    first.setChildId("first")
    first.addParameterSources("INPUT", [fixed(mask.id())])
    first.addParameterSources("DISTANCE", [fixed(5)])
    model.addChildAlgorithm(first)
    second = QgsProcessingModelChildAlgorithm("text2earth:edit")
    second.setChildId("second")
    for name, value in QUICK.items():
        second.addParameterSources(name, [fixed(value)])
    second.addParameterSources("INPUT", [QgsProcessingModelChildParameterSource.fromModelParameter("RASTER")])
    second.addParameterSources(
        "MASK", [QgsProcessingModelChildParameterSource.fromChildOutput("first", "OUTPUT")]
    )
    output = QgsProcessingModelOutput("RESULT", "RESULT")
    output.setChildId("second")
    output.setChildOutputName("OUTPUT")
    second.setModelOutputs({"RESULT": output})
    model.addChildAlgorithm(second)
    model.updateDestinationParameters()
    context = QgsProcessingContext()
    context.setProject(project)
    (result,) = (one.name() for one in model.destinationParameterDefinitions())  # versions differ
    parameters = {"RASTER": path, result: str(tmp_path / "b.tif")}
    processing.run(model, parameters, context=context)
    changed = (raster_files.everything(path)[0] != raster_files.everything(tmp_path / "b.tif")[0]).any(0)
    assert changed[50:60, 60:70].mean() > 0.9
    assert not changed[:, :54].any()


def command(path, mask, target, **more):
    values = {**QUICK, "INPUT": path, "MASK": mask, "OUTPUT": target, **more}
    return [ROOT / ".ci/qgis", "process", "run", "text2earth:edit", "--"] + [
        f"{name}={value}" for name, value in values.items()
    ]


def test_in_qgis_process(backend, tmp_path):
    path = raster_files.raster(tmp_path / "a.tif", dtype="uint16", bands=4, size=(200, 200))
    layer = raster_files.polygons([raster_files.square(path, 90, 80, 30)], "EPSG:32633")
    mask = tmp_path / "mask.geojson"
    mask.write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}},
                "features": [
                    {
                        "type": "Feature",
                        "properties": {},
                        "geometry": json.loads(next(layer.getFeatures()).geometry().asJson()),
                    }
                ],
            }
        )
    )
    environment = {**os.environ, **backend.environment}
    target = tmp_path / "b.tif"
    done = subprocess.run(
        command(path, mask, target), env=environment, capture_output=True, text=True, timeout=PATIENCE / 1000
    )
    assert done.returncode == 0, done.stderr
    assert holds(path, target, pixels(path, 90, 80, 30, 30)).mean() > 0.9
    assert "are sent to http://127.0.0.1" in done.stdout
    assert files(tmp_path) - {"wire", "data"} == {"a.tif", "mask.geojson", "b.tif"}
    here = edit(path, str(mask), tmp_path / "here.tif")  # where QGIS shows nothing, as where it does
    assert raster_files.recipe_of(target) == json.loads(here["RECIPE"])
    large = raster_files.raster(tmp_path / "large.tif", size=(2000, 1600))
    slow = command(large, mask, tmp_path / "c.tif", STEPS=200, GROW=800)
    process = subprocess.Popen(
        slow, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + PATIENCE / 1000
    while not backend.jobs("running") and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _out, told = process.communicate(timeout=PATIENCE / 1000)
    assert process.returncode == 1, told
    assert "Traceback" not in told
    assert backend.jobs("running", "accepted") == []
    assert not (tmp_path / "c.tif").exists()
