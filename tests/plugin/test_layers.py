"""A result file becomes a layer that says what it is."""

import json

import pytest
from osgeo import gdal, osr
from qgis.core import (
    Qgis,
    QgsExpression,
    QgsLayoutItemMap,
    QgsPrintLayout,
    QgsProject,
    QgsRasterLayer,
)

from text2earth_qgis.core import layers
from text2earth_qgis.core.errors import PluginError

pytestmark = pytest.mark.fast

RECIPE = {
    "prompt": "a residential area with houses, trees and streets",
    "negative_prompt": "clouds",
    "seed": 7,
    "model": "text2earth-mini",
    "level": 17,
    "steps": 20,
    "sampler": "dpm++2m",
    "guidance": 4.0,
}


@pytest.fixture
def result(tmp_path):
    path = str(tmp_path / "a-residential-area_1234.tif")
    dataset = gdal.GetDriverByName("GTiff").Create(path, 16, 16, 3)
    dataset.SetGeoTransform((500000, 1, 0, 5800000, 0, -1))
    system = osr.SpatialReference()
    system.ImportFromEPSG(32633)
    dataset.SetSpatialRef(system)
    dataset = None
    return path


def test_result_lands_in_the_group_with_name_and_metadata(result):
    project = QgsProject()
    layer = layers.add_result(result, project, RECIPE)
    group = project.layerTreeRoot().findGroup("Text2Earth")
    assert [node.layerId() for node in group.children()] == [layer.id()]
    assert layer.name() == "a residential area with houses, trees…, seed 7"
    assert layer.metadata().title() == layer.name()
    assert "Prompt: a residential area" in layer.metadata().abstract()
    assert "Model: text2earth-mini; Seed: 7; Level: 17" in layer.metadata().abstract()
    if Qgis.versionInt() < 33800:  # whose tooltips show this one
        assert layer.abstract() == layer.metadata().abstract()
    assert layer.metadata().rights()[0].startswith("Synthetic image")
    assert layers.recipe_of(layer) == RECIPE
    second = layers.add_result(result, project, {"seed": 8})
    assert [node.layerId() for node in group.children()] == [second.id(), layer.id()]
    assert second.name() == "Text2Earth, seed 8"


def test_recipe_survives_the_project_file(result, tmp_path):
    project = QgsProject()
    layers.add_result(result, project, RECIPE)
    project.write(str(tmp_path / "p.qgz"))
    again = QgsProject()
    again.read(str(tmp_path / "p.qgz"))
    (layer,) = again.mapLayers().values()
    assert layers.recipe_of(layer) == RECIPE
    assert layer.metadata().rights()[0].startswith("Synthetic image")


def test_layouts_give_credit(result):
    project = QgsProject()
    layer = layers.add_result(result, project, RECIPE)
    layout = QgsPrintLayout(project)
    layout.initializeDefaults()
    item = QgsLayoutItemMap(layout)
    item.setId("Map 1")
    item.setLayers([layer])
    layout.addLayoutItem(item)
    context = layout.createExpressionContext()
    (credit,) = QgsExpression("map_credits('Map 1')").evaluate(context)
    assert credit == f"{layers.CREDIT}. Model: text2earth-mini"


def test_a_layer_of_others_has_no_recipe(result):
    assert layers.recipe_of(QgsRasterLayer(result, "x", "gdal")) is None


def test_what_is_no_raster_is_refused(tmp_path):
    (tmp_path / "a.tif").write_text("no raster")
    project = QgsProject()
    with pytest.raises(PluginError, match="not a raster"):
        layers.add_result(str(tmp_path / "a.tif"), project, RECIPE)
    assert project.mapLayers() == {}


def test_moving_to_the_group(result):
    project = QgsProject()
    layer = QgsRasterLayer(result, "x", "gdal")
    project.addMapLayer(layer)
    for _twice in range(2):
        layers.move_to_group(layer, project)
        root = project.layerTreeRoot()
        assert [node.name() for node in root.children()] == ["Text2Earth"]
        assert [node.layerId() for node in root.children()[0].children()] == [layer.id()]
    assert project.mapLayer(layer.id()) is layer


def order(project):
    return [node.name() for node in project.layerTreeRoot().children()]


def test_the_newest_result_lies_on_top_and_is_seen(result):
    """Above its source and every result on it, but below what the user put over them."""
    project = QgsProject()
    source, roads = QgsRasterLayer(result, "source", "gdal"), QgsRasterLayer(result, "roads", "gdal")
    for one in (source, roads):
        project.addMapLayer(one, False)
        project.layerTreeRoot().insertLayer(0, one)
    for seed in (1, 2, 3):
        layers.add_result(result, project, {"seed": seed}, source)
    results = [f"Text2Earth, seed {seed}" for seed in (3, 2, 1)]
    assert order(project) == ["roads", *results, "source"]
    made = QgsRasterLayer(result, "by the toolbox", "gdal")  # which adds layers by itself
    layers.describe(made, {"seed": 4})
    for place in ("below all", "above all"):
        node = project.layerTreeRoot().findLayer(made.id())
        if node is None:
            project.addMapLayer(made, False)
            project.layerTreeRoot().addLayer(made)
        else:
            project.layerTreeRoot().insertChildNode(0, node.clone())
            project.layerTreeRoot().removeChildNode(node)
        layers.put_above(made, source.id(), project)
        assert order(project) == ["roads", "Text2Earth, seed 4", *results, "source"], place
    assert project.mapLayer(made.id()) is made


def test_a_result_is_seen_in_a_group_that_is_switched_off(result):
    project = QgsProject()
    group = project.layerTreeRoot().addGroup("imagery")
    source = QgsRasterLayer(result, "source", "gdal")
    project.addMapLayer(source, False)
    group.addLayer(source)
    group.setItemVisibilityChecked(False)
    made = layers.add_result(result, project, {"seed": 1}, source)
    assert project.layerTreeRoot().findLayer(made.id()).isVisible()
    layers.group_of(project).setItemVisibilityChecked(False)
    by_toolbox = QgsRasterLayer(result, "by the toolbox", "gdal")
    project.addMapLayer(by_toolbox)
    layers.put_above(by_toolbox, "not in this project", project)
    node = project.layerTreeRoot().findLayer(by_toolbox.id())
    assert node.parent().name() == "Text2Earth"
    assert node.isVisible()


def test_the_summary_says_size_on_the_ground_and_notes(result):
    dataset = gdal.Open(result, gdal.GA_Update)
    dataset.SetMetadataItem("GROUND_SAMPLE_DISTANCE_M", "1.00041 0.99963")
    dataset = None
    project = QgsProject()
    layer = layers.add_result(result, project, RECIPE, notes="The prompt was cut.")
    assert "Ground sample distance: 1.00041 m x 0.99963 m\n" in layer.metadata().abstract()
    assert layer.metadata().abstract().endswith("\nThe prompt was cut.")
    assert "Ground sample distance: 0.5 m\n" in layers.summary({"seed": 1, "model": "m"}, "0.5 0.5")


def test_prompts_can_be_left_out():
    shown = layers.without_prompts(RECIPE)
    assert "residential" not in json.dumps(shown)
    assert "clouds" not in json.dumps(shown)
    assert layers.name(shown) == "Text2Earth, seed 7"


EDIT = {"prompt": "a lake", "seed": 7, "process": "edit", "edit": {"feather": 2.0}}


def test_a_name_says_what_was_edited(result):
    assert layers.name(EDIT) == "Edited: a lake, seed 7"
    assert layers.name({**EDIT, "prompt": ""}, "aerial") == (
        "aerial edited: filled from its surroundings, seed 7"
    )
    assert layers.name({**EDIT, "process": "extend"}, "aerial") == "aerial extended: a lake, seed 7"
    project = QgsProject()
    aerial = QgsRasterLayer(result, "aerial", "gdal")
    project.addMapLayer(aerial)
    once = layers.add_result(result, project, EDIT, aerial)
    twice = layers.add_result(result, project, {**EDIT, "seed": 8}, once)
    assert [once.name(), twice.name()] == ["aerial edited: a lake, seed 7", "aerial edited: a lake, seed 8"]
    gone = layers.add_result(result, project, EDIT, None, raster="gone")
    assert gone.name() == "gone edited: a lake, seed 7"


def test_results_are_shown_smoothly_edits_as_their_raster(result):
    project = QgsProject()
    made = layers.add_result(result, project, RECIPE).resampleFilter()
    assert made.zoomedInResampler().type() == made.zoomedOutResampler().type() == "bilinear"
    assert made.maxOversampling() == 2.0
    aerial = QgsRasterLayer(result, "aerial", "gdal")
    project.addMapLayer(aerial)
    assert layers.add_result(result, project, EDIT, aerial).resampleFilter().zoomedInResampler() is None


def test_a_result_is_drawn_on_top_whatever_the_order_of_the_project(result):
    project = QgsProject()
    root = project.layerTreeRoot()
    first = layers.add_result(result, project, RECIPE)
    basemap = QgsRasterLayer(result, "basemap", "gdal")
    project.addMapLayer(basemap, False)
    root.insertLayer(0, basemap)
    root.findGroup("Text2Earth").setExpanded(False)
    second = layers.add_result(result, project, {"seed": 2})
    assert root.layerOrder() == [second, basemap, first], "above what would hide it"
    assert root.findLayer(second.id()).parent().isExpanded()
    third = layers.add_result(result, project, {"seed": 3})
    assert root.layerOrder() == [third, second, basemap, first]
    assert len(root.children()) == 3, "in the group that is seen"
    root.setHasCustomLayerOrder(True)
    root.setCustomLayerOrder([basemap, third, second, first])
    edit = layers.add_result(result, project, EDIT, basemap)
    assert root.layerOrder() == [edit, basemap, third, second, first]
    fourth = layers.add_result(result, project, {"seed": 4})
    assert root.layerOrder() == [fourth, edit, basemap, third, second, first]
