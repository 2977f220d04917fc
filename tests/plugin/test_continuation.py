"""Scenes that continue a layer, through text2earth:generate and a real backend."""

import dataclasses
import json

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsProcessingContext, QgsProcessingException, QgsProcessingFeedback, QgsRasterLayer

from tests.support.qgis import raster_files
from tests.support.qgis.toolbox import algorithm_of
from text2earth_qgis.core import continuation, layers, settings
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.wire.schemas import Box

QUICK = {"PROMPT": "a lake", "GSD": 1, "STEPS": 2, "SEED": 7}
FIRST = "500000,500064,5800000,5800064 [EPSG:32633]"
pytestmark = [pytest.mark.fast, pytest.mark.usefixtures("provider", "own_history")]


def run(**parameters):
    """Run as scripts do, in the calling thread."""
    import processing

    return json.loads(processing.run("text2earth:generate", parameters)["RECIPE"])


def refused(**parameters):
    """Return what is said of a run that is refused before it begins."""
    feedback = QgsProcessingFeedback()
    _results, good = algorithm_of("generate").run(parameters, QgsProcessingContext(), feedback)
    assert not good
    return feedback.textLog()


def pixels(path, x, y, width, height):
    """Return the pixels of a file from a place in its CRS on, to the east and south."""
    dataset = gdal.Open(str(path))
    col, row = (
        round(value)
        for value in gdal.ApplyGeoTransform(gdal.InvGeoTransform(dataset.GetGeoTransform()), x, y)
    )
    raw = dataset.ReadRaster(col, row, width, height)
    return np.frombuffer(raw, "u1").reshape(3, height, width)


def test_the_ground_goes_on(backend, tmp_path):
    first, second = str(tmp_path / "a.tif"), str(tmp_path / "b.tif")
    made = run(**QUICK, EXTENT=FIRST, CANVAS="ground", OUTPUT=first)
    more = run(EXTENT="500030,500094,5800020,5800084 [EPSG:32633]", CONTINUE=first, OUTPUT=second)
    same = ("prompt", "seed", "steps", "sampler", "guidance", "model", "frame", "canvas", "level")
    assert {key: more[key] for key in same} == {key: made[key] for key in same}
    one, two = (pixels(path, 500030, 5800064, 34, 44) for path in (first, second))
    assert one.tobytes() == two.tobytes()
    assert np.unique(one).size > 10


def test_inside_a_canvas_with_another_prompt(backend, tmp_path):
    first = str(tmp_path / "a.tif")
    made = run(**QUICK, EXTENT=FIRST, OUTPUT=first)
    inside = "500010,500030,5800010,5800030 [EPSG:32633]"
    more = run(EXTENT=inside, PROMPT="a forest", SEED=0, CONTINUE=first, OUTPUT=str(tmp_path / "b.tif"))
    assert (more["canvas"], more["frame"]) == (made["canvas"], made["frame"])
    assert (more["prompt"], more["seed"], more["steps"]) == ("a forest", 0, 2)
    outside = "500030,500100,5800010,5800030 [EPSG:32633]"
    with pytest.raises(QgsProcessingException, match="only scenes on the ground canvas have no end"):
        run(EXTENT=outside, CONTINUE=first, OUTPUT=str(tmp_path / "c.tif"))


def test_prompts_that_were_not_recorded(backend, tmp_path, monkeypatch):
    first = str(tmp_path / "a.tif")
    chosen = settings.load()
    monkeypatch.setattr(settings, "load", lambda: dataclasses.replace(chosen, record_prompt=False))
    run(**QUICK, EXTENT=FIRST, OUTPUT=first)
    assert "was not recorded" in refused(EXTENT=FIRST, CONTINUE=first, OUTPUT=str(tmp_path / "b.tif"))


def test_layers_that_cannot_be_continued(backend, tmp_path):
    path = str(tmp_path / "plain.tif")
    gdal.GetDriverByName("GTiff").Create(path, 8, 8, 3)
    assert "has no recipe" in refused(EXTENT=FIRST, CONTINUE=path, OUTPUT=str(tmp_path / "b.tif"))
    with pytest.raises(QgsProcessingException, match="The prompt is empty"):
        run(EXTENT=FIRST, OUTPUT=str(tmp_path / "b.tif"))
    layer = QgsRasterLayer(path, "plain", "gdal")
    for recipe, sentence in (
        ({"process": "edit"}, "Use Extend imagery"),
        ({"process": "generate", "canvas": "ground"}, "not complete"),
        ({"canvas": "ground", "frame": {"crs": "EPSG:32633"}, "engine": 1}, "not complete"),
    ):
        layer.setCustomProperty(layers.RECIPE, json.dumps(recipe))
        with pytest.raises(PluginError, match=sentence):
            continuation.inputs_to_continue(layer)
    layer.setCustomProperty(layers.RECIPE, "{broken")
    with pytest.raises(PluginError, match="no recipe"):
        continuation.inputs_to_continue(layer)


def test_a_recipe_becomes_inputs():
    frame = {"crs": "EPSG:32633", "pixel_size": ["1", "1"], "anchor": [0.0, 0.0]}
    recipe = {"engine": 1, "frame": frame, "level": 17, "seed": 0, "prompt": "a lake", "model": "m"}
    found = continuation.inputs_from_recipe(
        {**recipe, "canvas": {"col": 1, "row": -2, "width": 3, "height": 4}}, "x", "0" * 64
    )
    assert found["canvas"] == Box(1, -2, 3, 4)
    assert (found["seed"], found["prompt"], found["model"]) == (0, "a lake", "m")
    assert found["joins"].to_json() == {"frame": frame, "engine": 1, "level": 17, "profile": "0" * 64}
    assert "start" not in found


@pytest.mark.parametrize(("kind", "samples"), [("bank", []), ("samples", [{"source": "0"}])])
def test_a_start_goes_on(kind, samples):
    """A scene that began with land by example is continued by one that begins with the same."""
    frame = {"crs": "EPSG:32633", "pixel_size": ["1", "1"], "anchor": [0.0, 0.0]}
    start = {"bank": "open-land", "revision": "sha256:0", "strength": 0.4, "gsd": 1.0, "samples": samples}
    recipe = {"engine": 1, "frame": frame, "seed": 0, "prompt": "a lake", "canvas": "ground", "start": start}
    found = continuation.inputs_from_recipe(recipe, "x")
    assert (found["start"], found["start_strength"]) == (kind, 0.4)
    assert found["joins"].to_json()["start"] == start


@pytest.mark.parametrize("kind", ["bank", "samples"])
def test_a_scene_with_a_start_and_one_that_continues_it(backend, tmp_path, kind):
    first, second = str(tmp_path / "a.tif"), str(tmp_path / "b.tif")
    place = "500000,500032,5800000,5800032 [EPSG:32633]"
    like = {}
    if kind == "samples":
        like = {"SAMPLE": raster_files.raster(tmp_path / "own.tif", size=(80, 70))}
    made = run(**QUICK, **like, EXTENT=place, START=kind, START_STRENGTH=0.4, OUTPUT=first)
    assert (made["start"]["bank"], made["start"]["strength"]) == ("open-land", 0.4)
    assert bool(made["start"]["samples"]) == bool(like)
    if like:
        assert "was made like a sample" in refused(EXTENT=place, CONTINUE=first, OUTPUT=second)
    more = run(**like, EXTENT=place, CONTINUE=first, OUTPUT=second)
    assert more["start"] == made["start"]
    assert (
        pixels(first, 500000, 5800032, 32, 32).tobytes() == pixels(second, 500000, 5800032, 32, 32).tobytes()
    )
