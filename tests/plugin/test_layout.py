"""Layouts: from a layer's features and a field to what travels; imagery made of them with a real backend."""

import json
from dataclasses import replace

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsGeometry,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsRectangle,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
)

from tests.support.qgis.toolbox import in_worker
from text2earth_qgis.core import layers
from text2earth_qgis.core.errors import Cancelled, RasterRefused
from text2earth_qgis.core.imagery.drawn import layout_features
from text2earth_qgis.core.imagery.drawn.drawings import Drawings
from text2earth_qgis.core.imagery.drawn.features import SearchArea
from text2earth_qgis.core.imagery.drawn.recorded import recorded
from text2earth_qgis.core.wire.schemas import Extent, GenerateInputs, LayoutFeatures, Polygons
from text2earth_qgis.core.wire.transport import open_client

X, Y = 500000, 5800000
EXTENT = "500000,500160,5799880,5800000 [EPSG:32633]"
QUICK = {"PROMPT": "forest", "EXTENT": EXTENT, "GSD": 1, "SEED": 7}
LAKE = "POLYGON((500020 5799980, 500080 5799980, 500080 5799930, 500020 5799930, 500020 5799980))"
ROAD = "LINESTRING(500000 5799900, 500160 5799900)"
ROAD_IN_LAKE = "LINESTRING(500040 5799980, 500040 5799930)"
HOUSE = "POINT(500120 5799950)"
COLOURS = {"water": (20, 40, 90), "road": (90, 90, 95), "forest": (30, 80, 30), "farmland": (170, 150, 80)}


def drawn(*rows, kind="Polygon", name="land", field="class", crs="EPSG:32633"):
    """Return a layer of (WKT, class, width, priority)."""
    fields = f"field={field}:string&field=width:double&field=priority:integer"
    layer = QgsVectorLayer(f"{kind}?crs={crs}&{fields}", name, "memory")
    for shape, *values in rows:
        feature = QgsFeature(layer.fields())
        feature.setAttributes([*values, *[None] * (3 - len(values))])
        feature.setGeometry(QgsGeometry.fromWkt(shape))
        assert layer.dataProvider().addFeatures([feature])[0]
    layer.updateExtents()
    return layer


def read(layer, near=None, stop=lambda: False, field="class", table="words", ids=None):
    source = QgsVectorLayerFeatureSource(layer)
    chosen = layout_features.LayoutLayer(layer.name(), source, layer.crs(), layer.fields(), field, table, ids)
    return layout_features.read_layout(chosen, near, stop)


def share(path, kind, rows, cols):
    """Return the share of pixels in a part of an image that have the colour of a kind."""
    pixels = gdal.Open(str(path)).ReadAsArray()[:3, rows, cols].astype(int)
    apart = np.abs(pixels - np.array(COLOURS[kind])[:, None, None] - 6).max(0)
    return (apart < 45).mean()


class TestReading:
    def test_what_travels(self):
        found = read(drawn((ROAD, "road", 9.5, 2), (ROAD, "river"), kind="LineString"))
        assert (found.crs, found.table) == ("EPSG:32633", "words")
        first, second = found.geojson["features"]
        assert first["properties"] == {"class": "road", "width": 9.5, "priority": 2}
        assert first["geometry"] == {
            "type": "LineString",
            "coordinates": [[500000.0, 5799900.0], [500160.0, 5799900.0]],
        }
        assert second["properties"] == {"class": "river"}
        assert json.loads(json.dumps(found.to_json())) == found.to_json()
        assert layout_features.classes(found) == ["road", "river"]

    def test_points_and_codes(self):
        layer = QgsVectorLayer("Point?crs=EPSG:32633&field=code:integer&field=width:string", "x", "memory")
        feature = QgsFeature(layer.fields())
        feature.setAttributes([311, "7 m"])
        feature.setGeometry(QgsGeometry.fromWkt(HOUSE))
        layer.dataProvider().addFeatures([feature])
        (one,) = read(layer, field="code", table="corine").geojson["features"]
        assert one["properties"] == {"class": 311}
        assert one["geometry"]["type"] == "Point"

    def test_an_outline_that_stays_as_it_is_drawn(self):
        layer = QgsVectorLayer("Polygon?crs=EPSG:32633&field=class:string&field=hard:bool", "x", "memory")
        for hard in (True, None):
            feature = QgsFeature(layer.fields())
            feature.setAttributes(["lake", hard])
            feature.setGeometry(QgsGeometry.fromWkt(LAKE))
            layer.dataProvider().addFeatures([feature])
        found = [one["properties"] for one in read(layer).geojson["features"]]
        assert found == [{"class": "lake", "hard": True}, {"class": "lake"}]

    def test_values_of_openstreetmap_become_tags(self):
        layer = drawn(
            (ROAD, "primary"), (ROAD, "highway=track"), (ROAD, None), kind="LineString", field="road"
        )
        found = read(layer, field="road", table="osm")
        assert layout_features.classes(found) == ["road=primary", "highway=track"]

    def test_only_what_is_near_and_selected(self):
        layer = drawn((LAKE, "lake"), (LAKE.replace("58000", "48000").replace("57999", "47999"), "far"))
        near = SearchArea(QgsRectangle(X, Y - 120, X + 160, Y), layer.crs(), QgsCoordinateTransformContext())
        assert layout_features.classes(read(layer, near)) == ["lake"]
        assert layout_features.classes(read(layer, ids=frozenset([2]))) == ["far"]

    def test_refusals(self):
        layer = drawn((LAKE, "lake"))
        with pytest.raises(RasterRefused, match="Choose the field of 'land'"):
            read(layer, field="nothing")
        with pytest.raises(RasterRefused, match="The layout 'land' has no selected feature"):
            read(layer, ids=frozenset())
        with pytest.raises(Cancelled, match="The layout was not read"):
            read(layer, stop=lambda: True)
        layer.setCrs(QgsCoordinateReferenceSystem())
        with pytest.raises(RasterRefused, match="The layout 'land' has no CRS"):
            read(layer)


def test_layers_say_what_was_laid_out():
    laid = [{"kind": "water", "rings": [[1]], "hard": False}, {"kind": "road", "rings": [[2]], "hard": True}]
    recipe = {"prompt": "x", "layout": laid}
    assert "Layout: water, road" in layers.summary(recipe)
    private = layers.without_prompts(recipe)
    assert private["layout"] == [{"rings": [[1]], "hard": False}, {"rings": [[2]], "hard": True}]
    assert "Layout" not in layers.summary(private)
    recipe = {"prompt": "x", "land_cover": {"source": "0", "band": 1, "kinds": {"1": "water", "7": "road"}}}
    assert "Layout: water, road" in layers.summary(recipe)
    assert layers.without_prompts(recipe)["land_cover"] == {"source": "0", "band": 1}


def test_a_file_alone_says_what_was_drawn(example_backend):
    """The same corners come of what is sent again: parts, holes and what a line was made."""
    client = open_client(example_backend.access)
    hole = ((500115, 5799960), (500140, 5799960), (500140, 5799940), (500115, 5799960))
    around = ((500090, 5799970), (500150, 5799970), (500150, 5799910), (500090, 5799970))
    shapes = {
        "lake": {"type": "Polygon", "coordinates": [around, hole]},
        "road": {"type": "LineString", "coordinates": [(500000, 5800000), (500160, 5799890)]},
        "forest": {"type": "MultiPoint", "coordinates": [(500020, 5799900), (500050, 5799900)]},
    }
    layout, regions = (
        {
            "type": "FeatureCollection",
            "features": [
                {"type": "Feature", "geometry": shapes[word], "properties": {key: word}} for word in words
            ],
        }
        for key, words in (("class", shapes), ("prompt", ["lake"]))
    )
    drawn = {"layout": LayoutFeatures(layout, "EPSG:32633"), "regions": Polygons(regions, "EPSG:32633")}
    extent = Extent([500000, 5799880, 500160, 5800000], "EPSG:32633")
    asked = GenerateInputs("grassland", extent, 1.0, seed=3, model="open-land", **drawn)
    recipe = client.plan("generate", asked).recipe
    found = recorded(recipe)
    assert found.note == ""
    again = replace(asked, regions=found.regions, layout=found.layout)
    recipe_again = client.plan("generate", again).recipe
    for member in ("regions", "layout"):
        both = [
            [(without(one, "rings"), corners(one)) for one in of[member]] for of in (recipe, recipe_again)
        ]
        assert both[0] == both[1]
        assert len(both[0]) == len({"regions": ["lake"], "layout": shapes}[member])
    private = layers.without_prompts(recipe)
    assert "does not say what was to be seen" in recorded(private).note
    assert recorded({"land_cover": {"source": "0", "band": 1}}).note.endswith("Choose it again under Layout.")
    assert recorded({"prompt": "grassland"}) == Drawings()


def without(one, member):
    return {key: value for key, value in one.items() if key != member}


def corners(one):
    return {(x, y) for ring in one["rings"] for x, y in zip(ring[::2], ring[1::2], strict=True)}


@pytest.mark.usefixtures("provider", "own_history", "example_backend")
class TestAlgorithms:
    def run(self, name, parameters, feedback=None):
        import processing

        return processing.run(f"text2earth:{name}", parameters, feedback=feedback)

    def test_a_scene_of_areas(self, project, tmp_path):
        layer = drawn((LAKE, "a lake"), (LAKE, "gloop"))
        project.addMapLayer(layer)
        target = tmp_path / "a.tif"
        results = self.run("generate", {**QUICK, "LAYOUT": layer, "OUTPUT": str(target)})
        assert [one["kind"] for one in json.loads(results["RECIPE"])["layout"]] == ["water"]
        assert share(target, "water", slice(32, 60), slice(32, 68)) > 0.95
        assert share(target, "forest", slice(85, 120), slice(0, 160)) > 0.95

    def test_lines_of_openstreetmap_in_a_worker(self, project, tmp_path, qtbot):
        layer = drawn((ROAD, "primary"), kind="LineString", field="highway")
        project.addMapLayer(layer)
        given = {"LAYOUT": layer.id(), "LAYOUT_FIELD": "highway", "LAYOUT_TABLE": "osm"}
        target = tmp_path / "b.tif"
        asked = {**QUICK, "PROMPT": "", **given, "OUTPUT": str(target)}
        good, results, log = in_worker("generate", asked, qtbot, project=project)
        assert good, log
        assert "Features of the layout that are sent: 1." in log
        assert share(target, "road", slice(97, 103), slice(0, 160)) > 0.9
        assert json.loads(results["RECIPE"])["prompt"] == ""

    def test_an_edit_and_an_extension(self, project, tmp_path):
        path = str(tmp_path / "farm.tif")
        dataset = gdal.GetDriverByName("GTiff").Create(path, 160, 120, 3)
        dataset.SetGeoTransform((X, 1, 0, Y, 0, -1))
        dataset.SetProjection(QgsCoordinateReferenceSystem("EPSG:32633").toWkt())
        chance = np.random.default_rng(0)
        farm = np.array(COLOURS["farmland"])[:, None, None] + chance.normal(6, 6, (3, 120, 160))
        dataset.WriteArray(farm.clip(0, 255).astype("u1"))
        dataset = None
        mask, road = drawn((LAKE, ""), name="mask"), drawn((ROAD, "road", 12), kind="LineString")
        wide = drawn(
            ("LINESTRING(500040 5799980, 500040 5799930)", "road", 12), kind="LineString", name="wide"
        )
        for layer in (mask, road, wide):
            project.addMapLayer(layer)
        edited, extended = tmp_path / "edited.tif", tmp_path / "extended.tif"
        asked = {"INPUT": path, "MASK": mask, "LAYOUT": wide, "SEED": 1, "OUTPUT": str(edited)}
        results = self.run("edit", asked)
        assert [one["kind"] for one in json.loads(results["RECIPE"])["layout"]] == ["road"]
        assert share(edited, "road", slice(30, 60), slice(37, 43)) > 0.9
        assert share(edited, "farmland", slice(30, 60), slice(55, 72)) > 0.8
        more = {"EXTENT": "500000,500160,5799880,5800060 [EPSG:32633]", "PROMPT": "forest", "SEED": 1}
        north = drawn(("LINESTRING(500000 5800030, 500160 5800030)", "road", 12), kind="LineString", name="n")
        project.addMapLayer(north)
        results = self.run("extend", {"INPUT": path, "LAYOUT": north, **more, "OUTPUT": str(extended)})
        assert [one["kind"] for one in json.loads(results["RECIPE"])["layout"]] == ["road"]
        assert share(extended, "road", slice(27, 33), slice(10, 150)) > 0.9

    @pytest.mark.parametrize(
        ("more", "sentence"),
        [
            ({"LAYOUT_FIELD": "nothing"}, "The layout 'land' has no field 'nothing'."),
            ({}, "No feature of the layout has a class that is known here"),
        ],
    )
    def test_refusals(self, project, tmp_path, more, sentence):
        layer = drawn((LAKE, "gloop"))
        project.addMapLayer(layer)
        asked, feedback = {**QUICK, "LAYOUT": layer, **more}, QgsProcessingFeedback()
        with pytest.raises(QgsProcessingException) as error:
            self.run("generate", {**asked, "OUTPUT": str(tmp_path / "a.tif")}, feedback)
        assert sentence in str(error.value) + feedback.textLog()
