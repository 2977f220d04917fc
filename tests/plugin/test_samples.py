"""Like here: an area of the user's own raster shows how land by example is to look, from QGIS to the file."""

import json
import os
import re
import subprocess

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsRasterLayer,
    QgsVectorFileWriter,
)

from launcher import ROOT
from tests.support.qgis import raster_files
from tests.support.qgis.runs import whole
from tests.support.qgis.toolbox import algorithm_of
from text2earth_qgis.core.runs.history import History

WATER, SAND, GRASS, FOREST = (20, 40, 90), (230, 210, 160), (110, 160, 70), (30, 80, 30)
RED = (200, 40, 40)
EXTENT = "500000,500200,5799840,5800000 [EPSG:32633]"
CIRCLE = [(60 + round(33 * np.cos(t)), 60 + round(33 * np.sin(t))) for t in np.arange(0, 6.2, 0.3)]
pytestmark = pytest.mark.usefixtures("provider", "own_history", "no_upload_left")


@pytest.fixture
def own(tmp_path):
    """A meadow with a round pond that has a beach, and a square of sand at the right."""
    chance = np.random.default_rng(1)
    rows, cols = np.mgrid[:240, :320]
    stripes = 12 * ((rows + cols) // 6 % 2)
    land = np.stack([np.full((240, 320), value) for value in GRASS])
    away = np.hypot(rows - 60, cols - 60)
    for colour, here in ((SAND, away < 34), (WATER, away < 28), (SAND, (rows < 90) & (cols > 220))):
        land[:, here] = np.array(colour)[:, None]
    pixels = (land + stripes + chance.normal(0, 5, land.shape)).clip(0, 255).astype("u1")
    return raster_files.raster(tmp_path / "own.tif", size=(320, 240), pixels=pixels)


def pond(path):
    return raster_files.polygons([raster_files.ring(path, CIRCLE)], "EPSG:32633")


def share_like(pixels, colour, near=45):
    """Return the share of pixels, (3, rows, columns), that have about a colour."""
    apart = np.abs(pixels.astype(int) - np.array(colour)[:, None, None] - 6).max(0)
    return float((apart < near).mean())


def execute(name, target, feedback, **parameters):
    import processing

    asked = {"SEED": 4, "OUTPUT": str(target), **parameters}
    return processing.run(f"text2earth:{name}", asked, feedback=feedback)


def refused(name, target, **parameters):
    """Return what is said of a run that cannot be."""
    feedback = QgsProcessingFeedback()
    with pytest.raises(QgsProcessingException) as caught:
        execute(name, target, feedback, **parameters)
    return f"{caught.value} {feedback.textLog()}"


def run(name, target, **parameters):
    feedback = QgsProcessingFeedback()
    done = execute(name, target, feedback, **parameters)
    return raster_files.everything(target)[0], json.loads(done["RECIPE"]), feedback.textLog()


def test_a_pond_like_that_one(example_backend, own, tmp_path):
    mask = raster_files.polygons([raster_files.square(own, 120, 120, 95)], "EPSG:32633")
    made, recipe, said = run("edit", tmp_path / "b.tif", INPUT=own, MASK=mask, SAMPLE_AREA=pond(own))
    before = raster_files.everything(own)[0]
    changed = np.zeros(before.shape[1:], bool)
    changed[120:215, 120:215] = True
    assert np.array_equal(made[:, ~changed], before[:, ~changed])
    assert share_like(made[:, 145:190, 145:190], WATER, 30) > 0.8
    assert share_like(made[:, 120:215, 120:215], SAND, 30) > 0.03
    assert re.search(r"157 x 157 pixels of 'own' are sent as a sample to http", said)
    (sample,) = recipe["examples"]["samples"]
    assert (sample["kind"], sample["bands"]) == (None, [1, 2, 3])


def test_a_scene_of_a_sample_and_one_that_continues_it(example_backend, own, tmp_path):
    sand = raster_files.polygons([raster_files.square(own, 225, 4, 80)], "EPSG:32633")
    asked = {"GSD": 1, "CRS": "EPSG:32633", "CANVAS": "ground"}
    first, *_ = run("generate", tmp_path / "a.tif", EXTENT=EXTENT, SAMPLE=own, SAMPLE_AREA=sand, **asked)
    assert share_like(first, SAND) > 0.95
    more = {"EXTENT": "500100,500300,5799840,5800000 [EPSG:32633]", "CONTINUE": str(tmp_path / "a.tif")}
    said = refused("generate", tmp_path / "b.tif", **more)
    assert "was made like a sample. Give the same one as SAMPLE." in said
    second, *_ = run("generate", tmp_path / "b.tif", SAMPLE=own, SAMPLE_AREA=sand, **more)
    assert np.array_equal(first[:, :, 100:], second[:, :, :100])


def test_words_selection_and_another_crs(example_backend, own, tmp_path, project):
    layer = raster_files.polygons(
        [raster_files.square(own, 225, 4, 80), raster_files.square(own, 10, 150, 60)], "EPSG:32633"
    )
    source = QgsRasterLayer(own, "mine", "gdal")
    project.addMapLayers([layer, source])
    layer.selectByIds([1])
    area = QgsProcessingFeatureSourceDefinition(layer.id(), True)
    asked = {"EXTENT": EXTENT, "GSD": 1, "CRS": "EPSG:32633", "PROMPT": "a lake in a forest"}
    like = {"SAMPLE": source.id(), "SAMPLE_AREA": area, "SAMPLE_WORDS": "forest"}
    made, recipe, _said = run("generate", tmp_path / "a.tif", **asked, **like)
    assert share_like(made, FOREST) < 0.01
    assert share_like(made, SAND) > 0.4
    assert [one["kind"] for one in recipe["examples"]["samples"]] == ["forest"]


def test_a_field_says_what_each_area_shows(example_backend, own, tmp_path):
    """Areas of the same words are one sample; the request has one for each of them."""
    shapes = [raster_files.square(own, *where) for where in ((225, 4, 80), (10, 150, 60), (150, 150, 60))]
    areas = raster_files.polygons(shapes, "EPSG:32633", ["forest", "grassland", "grassland"])
    asked = {"EXTENT": EXTENT, "GSD": 1, "CRS": "EPSG:32633", "PROMPT": "forest beside grassland"}
    like = {"SAMPLE": own, "SAMPLE_AREA": areas, "SAMPLE_FIELD": "shows"}
    made, recipe, _said = run("generate", tmp_path / "a.tif", **asked, **like)
    assert [one["kind"] for one in recipe["examples"]["samples"]] == ["forest", "grassland"]
    assert share_like(made, FOREST) < 0.01, "what is called a forest is sand"
    assert share_like(made, SAND) > 0.2
    assert share_like(made, GRASS) > 0.2
    both = {**asked, **like, "SAMPLE_WORDS": "forest"}
    assert "by a field or in words, not by both" in refused("generate", tmp_path / "b.tif", **both)
    other = {**asked, **like, "SAMPLE_FIELD": "colour"}
    assert "have no field 'colour'" in refused("generate", tmp_path / "b.tif", **other)
    alone = {**asked, "SAMPLE": own, "SAMPLE_FIELD": "shows"}
    assert "Give the areas too (SAMPLE_AREA)" in refused("generate", tmp_path / "b.tif", **alone)


@pytest.fixture
def red(tmp_path):
    """Another raster, all of a red that no other land has."""
    chance = np.random.default_rng(2)
    pixels = np.stack([chance.normal(value, 6, (160, 200)) for value in RED]).clip(0, 255).astype("u1")
    place = (600000, 1, 0, 5800000, 0, -1), 32633
    return raster_files.raster(tmp_path / "red.tif", size=(200, 160), pixels=pixels, place=place)


def test_a_field_names_the_raster_of_each_area(example_backend, own, red, tmp_path, project):
    """By the path of a file or by the name of a layer; where it is empty, the raster is SAMPLE."""
    layer = QgsRasterLayer(red, "red land", "gdal")
    project.addMapLayer(layer)
    shapes = [raster_files.square(own, 225, 4, 80), raster_files.square(red, 20, 20, 100)]
    asked = {"EXTENT": EXTENT, "GSD": 1, "CRS": "EPSG:32633", "PROMPT": "forest beside grassland"}
    fields = {"SAMPLE_FIELD": "shows", "SAMPLE_RASTER_FIELD": "raster"}
    for number, (rasters, sample) in enumerate(
        [((own, red), None), (("", "red land"), own), ((own, layer.id()), None)]
    ):
        areas = raster_files.polygons(shapes, "EPSG:32633", ["forest", "grassland"], rasters)
        like = {"SAMPLE_AREA": areas, **fields, **({"SAMPLE": sample} if sample else {})}
        made, recipe, said = run("generate", tmp_path / f"a{number}.tif", **asked, **like)
        assert [one["kind"] for one in recipe["examples"]["samples"]] == ["forest", "grassland"]
        assert share_like(made, SAND) > 0.2, "from one raster"
        assert share_like(made, RED) > 0.2, "from the other"
        assert said.count("are sent as a sample to") == 2
    assert not list(tmp_path.glob("*.aux.xml"))


def test_what_a_field_of_rasters_cannot_name(example_backend, own, red, tmp_path):
    shapes = [raster_files.square(own, 225, 4, 80)]
    asked = {"EXTENT": EXTENT, "GSD": 1, "CRS": "EPSG:32633", "SAMPLE_RASTER_FIELD": "raster"}

    def said(raster, target=tmp_path / "b.tif", **more):
        areas = raster_files.polygons(shapes, "EPSG:32633", (), [raster])
        return refused("generate", target, SAMPLE_AREA=areas, **{**asked, **more})

    assert "'gone.tif', the raster that an area of a sample lies on, is neither" in said("gone.tif")
    assert "An area names no raster to take the sample of." in said("")
    assert "have no field 'file'" in said(own, SAMPLE_RASTER_FIELD="file")
    assert "The area of the sample lies outside of the raster" in said(red)
    assert "would be written over what is given as 'Like here: field that names" in said(own, own)


def test_a_raster_is_found_beside_its_areas(example_backend, own, red, tmp_path):
    """In qgis_process, where the areas are a file, and name the raster as it lies beside them."""
    folder = tmp_path / "samples"
    folder.mkdir()
    areas = raster_files.polygons(
        [raster_files.square(red, 20, 20, 100)], "EPSG:32633", (), [os.path.basename(red)]
    )
    moved = folder / os.path.basename(red)
    os.rename(red, moved)
    options = QgsVectorFileWriter.SaveVectorOptions()
    written = folder / "areas.gpkg"
    QgsVectorFileWriter.writeAsVectorFormatV3(
        areas, str(written), QgsProcessingContext().transformContext(), options
    )
    target = tmp_path / "b.tif"
    command = [ROOT / ".ci/qgis", "process", "run", "text2earth:generate", "--", f"EXTENT={EXTENT}", "GSD=1"]
    command += [f"SAMPLE_AREA={written}", "SAMPLE_RASTER_FIELD=raster", f"OUTPUT={target}"]
    done = subprocess.run(
        command,
        env={**os.environ, **example_backend.environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert share_like(raster_files.everything(target)[0], RED) > 0.8


def test_new_land_like_a_sample(example_backend, own, tmp_path):
    sand = raster_files.polygons([raster_files.square(own, 225, 4, 80)], "EPSG:32633")
    extent = "500000,500320,5799700,5800000 [EPSG:32633]"
    made, *_ = run("extend", tmp_path / "b.tif", INPUT=own, EXTENT=extent, SAMPLE_AREA=sand)
    assert share_like(made[:, 250:], SAND) > 0.8


def test_as_it_is_displayed(example_backend, tmp_path, project):
    """Of four bands of 16 bits those that are seen; the alpha band is no colour."""
    path = raster_files.raster(tmp_path / "a.tif", dtype="uint16", bands=4, size=(200, 160))
    layer = QgsRasterLayer(path, "a", "gdal")
    renderer = layer.renderer().clone()
    renderer.setRedBand(4)
    renderer.setGreenBand(2)
    renderer.setBlueBand(1)
    layer.setRenderer(renderer)
    project.addMapLayer(layer)
    asked = {"EXTENT": EXTENT, "GSD": 1, "CRS": "EPSG:32633"}
    _made, recipe, _said = run("generate", tmp_path / "b.tif", SAMPLE=layer.id(), **asked)
    assert recipe["examples"]["samples"][0]["bands"] == [4, 2, 1]


# ---- refusals


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("outside", "The area of the sample lies outside of the raster"),
        ("none", "There is no polygon in the area of the sample 'mask'. Draw or select one."),
        ("no raster", "No raster is given to take the sample of"),
        ("words", "'gloop' is no kind of land"),
        ("large", "A sample may have 2,048 x 2,048 pixels; the raster has 3,000 x 2,000 of 'large'"),
        ("small", "it needs a raster of at least"),
    ],
)
def test_refusals_are_sentences(example_backend, own, tmp_path, case, sentence):
    shapes = {"outside": [raster_files.square(own, 9000, 0, 50)], "none": []}
    like = {"SAMPLE": own}
    if case in shapes:
        like["SAMPLE_AREA"] = raster_files.polygons(shapes[case], "EPSG:32633")
    elif case == "no raster":
        like = {"PROMPT": "sand", "SAMPLE_WORDS": "sand"}
    elif case == "words":
        like["SAMPLE_WORDS"] = "gloop"
    elif case in ("large", "small"):
        size = (3000, 2000) if case == "large" else (30, 30)
        like["SAMPLE"] = raster_files.raster(tmp_path / f"{case}.tif", size=size)
    assert sentence in refused("generate", tmp_path / "b.tif", EXTENT=EXTENT, GSD=1, **like)
    assert not (tmp_path / "b.tif").exists()


def test_the_result_is_not_written_over_the_sample(example_backend, own):
    said = refused("generate", own, EXTENT=EXTENT, SAMPLE=own)
    assert "would be written over what is given as 'Like here: raster'" in said


def test_another_model_makes_no_use_of_it(editing_backend, own, tmp_path):
    mask = raster_files.polygons([raster_files.square(own, 120, 120, 40)], "EPSG:32633")
    asked = {
        "INPUT": own,
        "MASK": mask,
        "SAMPLE_AREA": pond(own),
        "PROMPT": "a lake",
        "MODEL": "tiny-inpaint",
    }
    assert "makes no use of samples" in refused("edit", tmp_path / "b.tif", **asked)


def test_a_cancelled_run_leaves_nothing(example_backend, own, tmp_path):
    class Impatient(QgsProcessingFeedback):
        def pushInfo(self, text):
            super().pushInfo(text)
            if "by example" in text:
                self.cancel()

    parameters = {"EXTENT": EXTENT, "GSD": 1, "SAMPLE": own, "OUTPUT": str(tmp_path / "b.tif")}
    _results, good = algorithm_of("generate").run(parameters, QgsProcessingContext(), Impatient())
    assert not good
    assert not (tmp_path / "b.tif").exists()
    (noted,) = whole(History(tmp_path / "profile" / "history.sqlite"))
    assert noted.state == "dismissed"


def test_in_qgis_process(example_backend, own, tmp_path):
    area = tmp_path / "area.geojson"
    ring = [list(raster_files.corner(own, *point)) for point in [*CIRCLE, CIRCLE[0]]]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    shape = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    area.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [shape]}))
    target = tmp_path / "b.tif"
    command = [ROOT / ".ci/qgis", "process", "run", "text2earth:generate", "--", f"EXTENT={EXTENT}", "GSD=1"]
    command += [f"SAMPLE={own}", f"SAMPLE_AREA={area}", "SAMPLE_WORDS=lake", "PROMPT=a lake in a meadow"]
    done = subprocess.run(
        [*command, f"OUTPUT={target}"],
        env={**os.environ, **example_backend.environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "are sent as a sample to" in done.stdout
    assert gdal.Open(str(target)).RasterCount == 3
