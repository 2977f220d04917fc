"""Rasters of classes as layouts: from a layer to what travels; imagery made of them with a real backend."""

import base64
import json

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsPalettedRasterRenderer,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor

from tests.support.qgis.toolbox import in_worker
from text2earth_qgis.core.errors import Cancelled, RasterRefused
from text2earth_qgis.core.imagery.drawn.features import SearchArea
from text2earth_qgis.core.imagery.drawn.layout_raster import MOST, class_layer, read_classes, size_of
from text2earth_qgis.core.wire.schemas import GenerateInputs, layout_from_json

X, Y = 500000, 5800000
EXTENT = "500000,500160,5799880,5800000 [EPSG:32633]"
QUICK = {"PROMPT": "forest", "EXTENT": EXTENT, "GSD": 1, "SEED": 7}
COLOURS = {"water": (20, 40, 90), "forest": (30, 80, 30), "farmland": (170, 150, 80)}


def write(
    path, values, transform=(X, 10, 0, Y, 0, -10), crs="EPSG:32633", nodata=None, names=None, table=None
):
    bands = values if values.ndim == 3 else values[None]
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), *bands.shape[:0:-1], len(bands), gdal.GDT_Byte)
    dataset.SetGeoTransform(transform)
    if crs:
        dataset.SetProjection(QgsCoordinateReferenceSystem(crs).toWkt())
    for number, band in enumerate(bands, 1):
        raw = np.ascontiguousarray(band).tobytes()
        height, width = band.shape
        dataset.GetRasterBand(number).WriteRaster(0, 0, width, height, raw, width, height)
    first = dataset.GetRasterBand(1)
    if nodata is not None:
        first.SetNoDataValue(nodata)
    if names:
        first.SetRasterCategoryNames(names)
    if table:
        first.SetDefaultRAT(table)


def layer_of(path):
    layer = QgsRasterLayer(str(path), path.stem, "gdal")
    assert layer.isValid()
    return layer


def halves(side=40):
    """Water in the west, fields in the east."""
    values = np.full((side, side), 40, "u1")
    values[:, : side // 5] = 80
    return values


def near(box=(X, Y - 120, X + 160, Y), alone=True, crs="EPSG:32633"):
    context = QgsCoordinateTransformContext()
    return SearchArea(QgsRectangle(*box), QgsCoordinateReferenceSystem(crs), context, alone)


def read(layer, area=None, table="worldcover", stop=lambda: False):
    return read_classes(class_layer(layer, table), area or near(), stop)


def sent(layout, tmp_path):
    """Return the raster that travels as (values, geotransform)."""
    path = tmp_path / "sent.tif"
    path.write_bytes(base64.b64decode(layout.source))
    dataset = gdal.Open(str(path))
    return dataset.ReadAsArray(), dataset.GetGeoTransform()


class TestReading:
    def test_what_travels_is_the_part_around_what_is_asked_for(self, tmp_path):
        write(tmp_path / "wc.tif", halves(400))
        found, note = read(layer_of(tmp_path / "wc.tif"), near((X + 1000, Y - 1100, X + 1200, Y - 1000)))
        assert (found.table, found.classes, note) == ("worldcover", None, "")
        values, transform = sent(found, tmp_path)
        assert transform == (X + 870, 10, 0, Y - 870, 0, -10)  # a quarter of it, and eight pixels
        assert values.shape == (36, 46)
        assert (values == 40).all()
        assert size_of(found) == "a raster of 1 kB"
        inputs = GenerateInputs("x", None, layout=found).to_json()["layout"]
        assert layout_from_json(json.loads(json.dumps(inputs))) == found
        wide, _ = read(layer_of(tmp_path / "wc.tif"), near((X + 1000, Y - 1100, X + 1200, Y - 1000), False))
        assert sent(wide, tmp_path)[0].shape == (146, 156)

    def test_names_come_from_the_style_or_the_file(self, tmp_path):
        write(tmp_path / "named.tif", halves(), names=[""] * 40 + ["arable land", "x"])
        layer = layer_of(tmp_path / "named.tif")
        assert read(layer, table="words")[0].classes == {"40": "arable land", "41": "x"}
        assert read(layer, table="worldcover")[0].classes is None
        kinds = QgsPalettedRasterRenderer.Class
        styled = [kinds(80, QColor("blue"), "a lake"), kinds(40, QColor("red"), "40")]
        layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, styled))
        assert read(layer, table="words")[0].classes == {"80": "a lake"}

    def test_names_come_from_an_attribute_table(self, tmp_path):
        table = gdal.RasterAttributeTable()
        for name, kind, usage in (
            ("Value", gdal.GFT_Integer, gdal.GFU_MinMax),
            ("Code", gdal.GFT_String, gdal.GFU_Generic),
            ("Label", gdal.GFT_String, gdal.GFU_Name),
        ):
            table.CreateColumn(name, kind, usage)
        table.SetRowCount(2)
        for row, (value, label) in enumerate(((40, "fields"), (80, "lake"))):
            table.SetValueAsInt(row, 0, value)
            table.SetValueAsString(row, 2, label)
        write(tmp_path / "rat.tif", halves(), table=table)
        assert read(layer_of(tmp_path / "rat.tif"), table="words")[0].classes == {
            "40": "fields",
            "80": "lake",
        }

    def test_what_is_too_much_is_thinned_out(self, tmp_path):
        values = np.random.default_rng(0).choice([10, 40, 80, 50], (3000, 3000)).astype("u1")
        values = np.where(np.indices(values.shape)[0] < 1500, values, 40).astype("u1")
        write(tmp_path / "noise.tif", values)
        found, note = read(layer_of(tmp_path / "noise.tif"), near((X, Y - 30000, X + 30000, Y)))
        assert note == "Every 2 x 2 pixels are sent as one: more is too much."
        assert len(found.source) * 3 / 4 <= MOST
        thin, transform = sent(found, tmp_path)
        assert thin.shape == (1500, 1500)
        assert transform[1] == 20
        assert (thin[750:] == 40).all()
        assert set(np.unique(thin)) == {10, 40, 50, 80}

    def test_other_crs_and_turned_rasters(self, tmp_path):
        write(tmp_path / "degrees.tif", halves(300), (14.99, 1 / 12000, 0, 52.36, 0, -1 / 12000), "EPSG:4326")
        values, transform = sent(read(layer_of(tmp_path / "degrees.tif"))[0], tmp_path)
        assert values.shape[0] < 60
        write(tmp_path / "turned.tif", halves(), (X - 50, 9, 4, Y + 50, 4, -9))
        values, transform = sent(read(layer_of(tmp_path / "turned.tif"))[0], tmp_path)
        assert (transform[2], transform[4]) == (4, 4)

    def test_refusals(self, tmp_path):
        write(tmp_path / "rgb.tif", np.stack([halves()] * 3))
        with pytest.raises(RasterRefused, match="is shown in colours of several bands"):
            read(layer_of(tmp_path / "rgb.tif"))
        write(tmp_path / "far.tif", halves(), (X + 90000, 10, 0, Y, 0, -10))
        with pytest.raises(RasterRefused, match="does not reach to what is asked for"):
            read(layer_of(tmp_path / "far.tif"))
        write(tmp_path / "wc.tif", halves())
        with pytest.raises(Cancelled):
            read(layer_of(tmp_path / "wc.tif"), stop=lambda: True)
        write(tmp_path / "none.tif", halves(), crs=None)
        layer = layer_of(tmp_path / "none.tif")
        layer.setCrs(QgsCoordinateReferenceSystem())
        with pytest.raises(RasterRefused, match="has no CRS"):
            read(layer)
        online = QgsRasterLayer("type=xyz&url=http://127.0.0.1:1/{z}/{x}/{y}.png", "tiles", "wms")
        with pytest.raises(RasterRefused, match="'tiles' has no raster file with classes"):
            class_layer(online, "words")


def share(path, kind, cols):
    """Return the share of pixels in some columns of an image that have the colour of a kind."""
    pixels = gdal.Open(str(path)).ReadAsArray()[:3, :, cols].astype(int)
    apart = np.abs(pixels - np.array(COLOURS[kind])[:, None, None] - 6).max(0)
    return (apart < 45).mean()


@pytest.mark.usefixtures("provider", "own_history", "example_backend")
class TestAlgorithms:
    def run(self, name, parameters, feedback=None):
        import processing

        return processing.run(f"text2earth:{name}", parameters, feedback=feedback)

    def test_a_scene_in_a_worker_and_its_continuation(self, project, tmp_path, qtbot):
        path, target = tmp_path / "wc.tif", tmp_path / "a.tif"
        write(path, halves())
        given = {"LAYOUT_RASTER": str(path), "LAYOUT_TABLE": "worldcover"}
        asked = {**QUICK, "PROMPT": "", **given, "OUTPUT": str(target)}
        good, results, log = in_worker("generate", asked, qtbot, project=project)
        assert good, log
        assert "The layout is sent as a raster of 1 kB." in log
        assert json.loads(results["RECIPE"])["land_cover"]["kinds"] == {"40": "farmland", "80": "water"}
        assert share(target, "water", slice(5, 75)) > 0.95
        assert share(target, "farmland", slice(85, 155)) > 0.95
        more = {**QUICK, "PROMPT": "", "CONTINUE": str(target), "OUTPUT": str(tmp_path / "b.tif")}
        feedback = QgsProcessingFeedback()
        with pytest.raises(QgsProcessingException) as error:
            self.run("generate", more, feedback)
        assert "Give the same one as LAYOUT_RASTER" in str(error.value) + feedback.textLog()
        self.run("generate", {**more, **given})
        first, second = (gdal.Open(str(tmp_path / name)).ReadAsArray() for name in ("a.tif", "b.tif"))
        assert np.array_equal(first, second)

    def test_an_edit_and_an_extension(self, project, tmp_path):
        raster, classes = tmp_path / "farm.tif", tmp_path / "wc.tif"
        chance = np.random.default_rng(0)
        farm = np.array(COLOURS["farmland"])[:, None, None] + chance.normal(6, 6, (3, 120, 160))
        write(raster, farm.clip(0, 255).astype("u1"), (X, 1, 0, Y, 0, -1))
        values = np.zeros((40, 40), "u1")
        values[:, 4:8] = 80
        write(classes, values, (X, 10, 0, Y + 100, 0, -10), nodata=0)
        mask = tmp_path / "mask.tif"
        marked = np.zeros((12, 16), "u1")
        marked[2:10, 2:14] = 1
        write(mask, marked)
        given = {"LAYOUT_RASTER": str(classes), "LAYOUT_TABLE": "worldcover", "SEED": 1}
        edited, extended = tmp_path / "edited.tif", tmp_path / "extended.tif"
        asked = {"INPUT": str(raster), "MASK": str(mask), **given, "OUTPUT": str(edited)}
        results = self.run("edit", asked)
        assert json.loads(results["RECIPE"])["land_cover"]["kinds"] == {"80": "water"}
        made = gdal.Open(str(edited)).ReadAsArray()[:3]
        apart = np.abs(made.astype(int) - np.array(COLOURS["water"])[:, None, None] - 6).max(0)
        assert (apart[30:90, 46:74] < 45).mean() > 0.9
        assert (apart[30:90, 95:130] < 45).mean() < 0.05
        more = {"EXTENT": "500000,500160,5799880,5800060 [EPSG:32633]", "PROMPT": "forest"}
        results = self.run("extend", {"INPUT": str(raster), **more, **given, "OUTPUT": str(extended)})
        assert json.loads(results["RECIPE"])["land_cover"]["kinds"] == {"80": "water"}
        new = gdal.Open(str(extended)).ReadAsArray()[:3, :55]
        assert (
            np.abs(new.astype(int) - np.array(COLOURS["water"])[:, None, None] - 6).max(0)[:, 48:72] < 45
        ).mean() > 0.9

    def test_refusals(self, project, tmp_path):
        write(tmp_path / "wc.tif", halves())
        drawn = QgsVectorLayer("Polygon?crs=EPSG:32633&field=class:string", "drawn", "memory")
        project.addMapLayer(drawn)
        for more, sentence in (
            ({"LAYOUT": drawn}, "give LAYOUT or LAYOUT_RASTER, not both"),
            ({}, "No value of the layout has a meaning that is known here"),
            ({"LAYOUT_RASTER": str(tmp_path / "gone.tif")}, "gone.tif"),
        ):
            asked, feedback = (
                {**QUICK, "LAYOUT_RASTER": str(tmp_path / "wc.tif"), **more},
                QgsProcessingFeedback(),
            )
            with pytest.raises(QgsProcessingException) as error:
                self.run("generate", {**asked, "OUTPUT": str(tmp_path / "a.tif")}, feedback)
            assert sentence in str(error.value) + feedback.textLog()
