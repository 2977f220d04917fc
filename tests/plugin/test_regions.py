"""Regions: from a layer's polygons and fields to what travels; scenes made of them with a real backend."""

import json

import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsGeometry,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
)

from tests.support.qgis.toolbox import in_worker
from text2earth_qgis.core import layers
from text2earth_qgis.core.errors import Cancelled, RasterRefused
from text2earth_qgis.core.imagery.drawn import features, region_features

EXTENT = "500000,500128,5800000,5800128 [EPSG:32633]"
QUICK = {"PROMPT": "a desert", "EXTENT": EXTENT, "GSD": 1, "STEPS": 2, "SEED": 7}
CONTEXT = QgsCoordinateTransformContext()
BOW = "POLYGON((500000 5800000, 500060 5800060, 500060 5800000, 500000 5800060, 500000 5800000))"


def polygons(*rows, crs="EPSG:32633", kind="Polygon"):
    """Return a layer of (WKT or geometry, prompt, avoid, rank)."""
    fields = "field=prompt:string&field=avoid:string&field=rank:double"
    layer = QgsVectorLayer(f"{kind}?crs={crs}&{fields}", "land", "memory")
    for shape, *values in rows:
        feature = QgsFeature(layer.fields())
        feature.setAttributes([*values, *[None] * (3 - len(values))])
        if shape is not None:
            feature.setGeometry(shape if isinstance(shape, QgsGeometry) else QgsGeometry.fromWkt(shape))
        assert layer.dataProvider().addFeatures([feature])[0]
    layer.updateExtents()
    return layer


HALF = "POLYGON((500000 5800000, 500060 nan, 500060 5800060, 500000 5800000))"


def square(x, y, side):
    return QgsGeometry.fromRect(QgsRectangle(500000 + x, 5800000 + y, 500000 + x + side, 5800000 + y + side))


def read(layer, near=None, stop=lambda: False, **changes):
    given = {"prompt": "prompt", "negative": "avoid", "priority": "rank", **changes}
    source = QgsVectorLayerFeatureSource(layer)
    return region_features.read_regions(
        region_features.RegionLayer(layer.name(), source, layer.crs(), layer.fields(), **given), near, stop
    )


class TestReading:
    def test_what_travels(self):
        layer = polygons((square(0, 0, 60), "a lake", "boats", 2.5), (square(60, 0, 60), "a forest"))
        found = read(layer)
        assert found.crs == "EPSG:32633"
        first, second = found.geojson["features"]
        assert first["properties"] == {"prompt": "a lake", "negative_prompt": "boats", "priority": 2.5}
        assert second["properties"] == {"prompt": "a forest"}
        assert (first["id"], second["id"]) == (1, 2)
        assert first["geometry"]["type"] == "Polygon"
        assert [500060.0, 5800060.0] in first["geometry"]["coordinates"][0]
        assert json.loads(json.dumps(found.geojson)) == found.geojson
        assert region_features.prompts(found) == ["a lake", "a forest"]

    def test_curves_become_edges_and_heights_are_dropped(self):
        corners = "500000 5800050, 500050 5800100, 500100 5800050, 500050 5800000, 500000 5800050"
        circle = f"CURVEPOLYGON(CIRCULARSTRING({corners}))"
        (made,) = read(polygons((circle, "a pond"), kind="CurvePolygon")).geojson["features"]
        assert made["geometry"]["type"] == "Polygon"
        assert len(made["geometry"]["coordinates"][0]) > 20
        high = "POLYGON Z((500000 5800000 9, 500060 5800000 9, 500060 5800060 9, 500000 5800000 9))"
        (made,) = read(polygons((high, "a hill"), kind="PolygonZ")).geojson["features"]
        assert {len(point) for point in made["geometry"]["coordinates"][0]} == {2}

    def test_parts_and_holes(self):
        shape = square(0, 0, 90).difference(square(20, 20, 20)).combine(square(100, 100, 20))
        (made,) = read(polygons((shape, "a lake"), kind="MultiPolygon")).geojson["features"]
        assert made["geometry"]["type"] == "MultiPolygon"
        assert sum(len(part) for part in made["geometry"]["coordinates"]) == 3

    def test_a_selection(self):
        layer = polygons((square(0, 0, 60), "a lake"), (square(60, 0, 60), "a forest"))
        assert region_features.prompts(read(layer, ids=frozenset([2]))) == ["a forest"]
        with pytest.raises(RasterRefused, match="'land' have no selected polygon"):
            read(layer, ids=frozenset())

    def test_what_the_backend_will_refuse_is_sent_with_its_id(self):
        found = read(polygons((square(0, 0, 60), None), (None, "a lake"), (BOW, "a bow")))
        assert [one["id"] for one in found.geojson["features"]] == [1, 2, 3]
        assert "prompt" not in found.geojson["features"][0]["properties"]
        assert found.geojson["features"][1]["geometry"] is None

    def test_only_what_is_near(self):
        layer = polygons(
            (square(0, 0, 60), "a lake"), (square(150, 0, 60), "a road"), (square(900, 0, 60), "far")
        )
        utm = QgsCoordinateReferenceSystem("EPSG:32633")
        near = features.SearchArea(QgsRectangle(500000, 5800000, 500100, 5800100), utm, CONTEXT)
        assert region_features.prompts(read(layer, near)) == ["a lake", "a road"]
        degrees = polygons(
            ("POLYGON((15 52.3, 15.001 52.3, 15.001 52.4, 15 52.3))", "a lake"), crs="EPSG:4326"
        )
        assert region_features.prompts(read(degrees, near)) == ["a lake"]
        elsewhere = polygons((square(9000, 0, 60), "a lake"))
        with pytest.raises(RasterRefused, match="'land' have no polygon near the extent"):
            read(elsewhere, near)

    def test_refusals(self, monkeypatch):
        layer = polygons((square(0, 0, 60), "a lake"))
        with pytest.raises(RasterRefused, match="Choose the field of 'land' that says"):
            read(layer, prompt="")
        bare = polygons((square(0, 0, 60), "a lake"))
        bare.setCrs(QgsCoordinateReferenceSystem())
        with pytest.raises(RasterRefused, match="have no CRS"):
            read(bare)
        with pytest.raises(Cancelled):
            read(layer, stop=lambda: True)
        monkeypatch.setattr(features, "MOST", 100)
        with pytest.raises(RasterRefused, match="too many corners to be sent"):
            read(layer)


def test_layers_say_what_their_regions_show():
    recipe = {"prompt": "x", "regions": [{"prompt": "a lake", "rings": [[1]]}, {"prompt": "a lake"}]}
    assert "Regions: a lake" in layers.summary(recipe)
    private = layers.without_prompts(recipe)
    assert private["regions"] == [{"rings": [[1]]}, {}]
    assert "Regions" not in layers.summary(private)


@pytest.mark.usefixtures("provider", "own_history")
class TestAlgorithm:
    @pytest.fixture
    def land(self, project):
        layer = polygons((square(0, 0, 64), "a lake", "boats", 1), (square(0, 0, 128), "a forest"))
        project.addMapLayer(layer)
        return layer

    def asked(self, layer, tmp_path, **more):
        fields = {"REGION_PROMPT_FIELD": "prompt", "REGION_NEGATIVE_PROMPT_FIELD": "avoid"}
        fields["REGION_PRIORITY_FIELD"] = "rank"
        target = str(tmp_path / "a.tif")
        return {**QUICK, "REGIONS": layer, **fields, "OUTPUT": target, **more}

    def run(self, parameters, feedback=None):
        import processing

        return processing.run("text2earth:generate", parameters, feedback=feedback)

    def test_a_scene_of_regions(self, backend, land, tmp_path):
        results = self.run(self.asked(land, tmp_path))
        recipe = json.loads(results["RECIPE"])
        assert [(one["prompt"], one["negative_prompt"]) for one in recipe["regions"]] == [
            ("a forest", ""),
            ("a lake", "boats"),
        ]
        plain = self.run({**QUICK, "OUTPUT": str(tmp_path / "b.tif")})
        assert "regions" not in json.loads(plain["RECIPE"])
        assert gdal.Open(results["OUTPUT"]).ReadRaster() != gdal.Open(plain["OUTPUT"]).ReadRaster()

    def test_selected_features_only(self, backend, land, tmp_path):
        land.selectByIds([1])
        chosen = QgsProcessingFeatureSourceDefinition(land.id(), selectedFeaturesOnly=True)
        recipe = json.loads(self.run(self.asked(chosen, tmp_path))["RECIPE"])
        assert [one["prompt"] for one in recipe["regions"]] == ["a lake"]

    def test_in_a_worker(self, backend, land, tmp_path, project, qtbot):
        good, results, log = in_worker("generate", self.asked(land.id(), tmp_path), qtbot, project=project)
        assert good, log
        assert "2 regions are sent." in log
        assert len(json.loads(results["RECIPE"])["regions"]) == 2

    @pytest.mark.parametrize(
        ("rows", "more", "sentence"),
        [
            ([(BOW, "a bow")], {}, "Region 1 is no valid polygon (Self-intersection"),
            (
                [(square(0, 0, 60), "a lake", "", float("nan"))],
                {},
                "Region 1 has a 'priority' that is no number",
            ),
            (
                [(square(0, 0, 60), "a lake", "", float("inf"))],
                {},
                "Region 1 has a 'priority' that is no number",
            ),
            ([(HALF, "a lake")], {}, "Region 1"),
            ([(BOW, None)], {}, "Region 1 has no prompt"),
            ([(None, "a lake")], {}, "Region 1 has no geometry"),
            ([(BOW, "a bow")], {"REGION_PROMPT_FIELD": ""}, "Choose the field of 'land'"),
            ([(BOW, "a bow")], {"REGION_PROMPT_FIELD": "nothing"}, "have no field 'nothing'"),
        ],
    )
    def test_refusals_name_the_feature(self, backend, project, tmp_path, rows, more, sentence):
        layer = polygons(*rows)
        QgsProject.instance().addMapLayer(layer)
        feedback = QgsProcessingFeedback()
        before = len(backend.jobs("successful", "failed", "running", "accepted"))
        with pytest.raises(QgsProcessingException) as error:
            self.run(self.asked(layer, tmp_path, **more), feedback=feedback)
        assert sentence in str(error.value) + feedback.textLog()
        assert len(backend.jobs("successful", "failed", "running", "accepted")) == before


@pytest.mark.usefixtures("provider", "own_history")
def test_an_extension_with_regions(painter, monkeypatch, project, tmp_path):
    import processing

    for name, value in painter.environment.items():
        monkeypatch.setenv(name, value)
    path = str(tmp_path / "a.tif")
    dataset = gdal.GetDriverByName("GTiff").Create(path, 64, 64, 3)
    dataset.SetGeoTransform((500000, 1, 0, 5800064, 0, -1))
    dataset.SetProjection(QgsCoordinateReferenceSystem("EPSG:32633").toWkt())
    dataset = None
    layer = polygons((square(64, 0, 64), "a lake"), (square(9000, 0, 60), "far"))
    project.addMapLayer(layer)
    asked = {"INPUT": path, "EXTENT": EXTENT, "PROMPT": "a forest", "STEPS": 2, "SEED": 1}
    fields = {"REGIONS": layer, "REGION_PROMPT_FIELD": "prompt"}
    target = str(tmp_path / "b.tif")
    results = processing.run("text2earth:extend", {**asked, **fields, "OUTPUT": target})
    assert [one["prompt"] for one in json.loads(results["RECIPE"])["regions"]] == ["a lake"]
