"""The raster of sources in QGIS: of a scene, and of a part of a larger raster, counted as that raster is."""

import json

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputLayerDefinition,
)

from tests.support.qgis import raster_files
from tests.support.qgis.runs import whole
from tests.support.qgis.toolbox import algorithm_of
from text2earth_qgis.core import settings
from text2earth_qgis.core.runs.fetching import fetch
from text2earth_qgis.core.runs.history import History
from text2earth_qgis.core.tasks import Listener
from text2earth_qgis.core.wire.transport import open_client

PLACE = "500000,500200,5799840,5800000 [EPSG:32633]"
pytestmark = pytest.mark.usefixtures("provider", "own_history", "no_upload_left")


@pytest.fixture
def large(tmp_path):
    """A raster of which an edit sends a part only: every pixel tells where it is, by its values."""
    rows, cols = np.mgrid[:900, :1000]
    pixels = np.stack([cols % 200 + 20, rows % 200 + 20, (cols // 200 * 5 + rows // 200) * 8 + 20])
    return raster_files.raster(tmp_path / "large.tif", size=(1000, 900), pixels=pixels.astype("u1"))


def run(name, feedback=None, **parameters):
    import processing

    feedback = feedback or QgsProcessingFeedback()
    return processing.run(f"text2earth:{name}", {"SEED": 4, **parameters}, feedback=feedback)


def read(path):
    """Return number, column and row of each pixel, what numbers mean by name, and the file."""
    file = gdal.Open(str(path))
    about = {json.loads(text)["name"]: int(key) for key, text in file.GetMetadata("SOURCES").items()}
    pixels = np.frombuffer(file.ReadRaster(), "i4").reshape(3, file.RasterYSize, file.RasterXSize)
    return (*pixels, about, file)


def test_of_a_scene_and_none_unless_it_is_named(example_backend, tmp_path):
    target, sources = tmp_path / "a.tif", tmp_path / "where.tif"
    asked = {"EXTENT": PLACE, "GSD": 1, "PROMPT": "a lake in a forest", "OUTPUT": str(target)}
    assert "SOURCES" not in run("generate", **asked)
    assert [path.name for path in tmp_path.glob("*.*")] == ["a.tif"]
    made = run("generate", **asked, SOURCES=str(sources))
    assert made["SOURCES"] == str(sources)
    number, _cols, _rows, about, file = read(sources)
    image = gdal.Open(str(target))
    assert (file.GetGeoTransform(), file.GetProjection()) == (image.GetGeoTransform(), image.GetProjection())
    assert set(np.unique(number).tolist()) == set(about.values())
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["a.tif", "where.tif"]


@pytest.mark.parametrize("kind", ["whole", "patch", "vrt", "rotated", "points"])
def test_of_an_edit_it_lies_on_the_result_and_counts_as_the_raster_does(
    example_backend, large, tmp_path, kind
):
    """Only a part of the raster is sent, and of another place of it a sample."""
    drawn_on = large
    if kind in ("rotated", "points"):
        large = placed(large, tmp_path / f"{kind}.tif", kind)
        drawn_on = large if kind == "rotated" else drawn_on
    mask, area = (
        raster_files.polygons([raster_files.square(drawn_on, *square)], "EPSG:32633")
        for square in ((700, 600, 90), (400, 100, 80))
    )
    result = kind if kind in ("patch", "vrt") else "whole"
    target, sources = tmp_path / f"b.{'vrt' if kind == 'vrt' else 'tif'}", tmp_path / "where.tif"
    asked = {"INPUT": large, "MASK": mask, "OUTPUT": str(target), "SOURCES": str(sources), "RESULT": result}
    run("edit", **asked, SAMPLE_AREA=area, PROMPT="a lake", SAMPLE_WORDS="lake")
    number, cols, rows, about, file = read(sources)
    made = gdal.Open(str(target))
    assert (file.RasterXSize, file.RasterYSize) == (made.RasterXSize, made.RasterYSize)
    assert (file.RasterXSize < 1000) == (kind == "patch")
    assert (file.GetGeoTransform(), file.GetGCPCount()) == (made.GetGeoTransform(), made.GetGCPCount())
    assert file.GetRasterBand(2).GetNoDataValue() == -1
    ys, xs = np.nonzero(number > 0)
    assert (np.ptp(xs), np.ptp(ys)) == (89, 89)
    if kind != "patch":
        assert (xs.min(), ys.min()) == (700, 600)
    before, after = (raster_files.everything(path)[0].astype(int) for path in (large, target))
    apart = np.abs(before[:, rows[ys, xs], cols[ys, xs]] - after[:, ys, xs]).max(0)
    which = number[ys, xs]
    assert np.median(apart[which == about["raster"]]) <= 10  # but for the tone that joins it
    sample = which == about["sample 1"]
    assert sample.sum() > 300
    assert cols[ys, xs][sample].min() >= 400
    assert cols[ys, xs][sample].max() < 480
    assert rows[ys, xs][sample].min() >= 100
    assert rows[ys, xs][sample].max() < 180


def test_of_an_extension_it_lies_on_the_larger_raster(example_backend, large, tmp_path):
    target, sources = tmp_path / "b.tif", tmp_path / "where.tif"
    place = "499960,500200,5799800,5800030 [EPSG:32633]"  # 40 columns and 30 rows more
    run("extend", INPUT=large, EXTENT=place, OUTPUT=str(target), SOURCES=str(sources))
    number, cols, rows, about, file = read(sources)
    before, after = (raster_files.everything(path)[0].astype(int) for path in (large, target))
    assert number.shape == after.shape[1:] == (930, 1040)
    assert file.GetGeoTransform()[::3] == (499960, 5800030)
    assert (number[30:, 40:] == -1).all()
    new = number == about["raster"]
    assert new.sum() == 930 * 1040 - 900 * 1000
    apart = np.abs(before[:, rows[new], cols[new]] - after[:, new]).max(0)
    assert np.median(apart) <= 10


def placed(path, target, kind):
    """Return another raster of the same pixels: turned by a quarter, or placed by points on the ground."""
    source = gdal.Open(path)
    made = gdal.GetDriverByName("GTiff").CreateCopy(str(target), source)
    west, _, _, north, _, _ = source.GetGeoTransform()
    if kind == "rotated":
        made.SetGeoTransform((west, 0.0, 1.0, north, 1.0, 0.0))
    else:
        made = gdal.GetDriverByName("GTiff").Create(str(target), 1000, 900, 3)
        made.WriteRaster(0, 0, 1000, 900, source.ReadRaster())
        corners = [(0, 0), (1000, 0), (0, 900), (1000, 900)]
        points = [gdal.GCP(west + col, north - row, 0, col, row) for col, row in corners]
        made.SetGCPs(points, source.GetProjection())
    made.FlushCache()
    return str(target)


def test_in_the_toolbox_it_is_a_layer_of_colours_that_is_not_seen(example_backend, tmp_path, project):
    from processing.gui.Postprocessing import handleAlgorithmResults

    context, feedback, algorithm = QgsProcessingContext(), QgsProcessingFeedback(), algorithm_of("generate")
    context.setProject(project)
    asked = {"EXTENT": PLACE, "GSD": 1, "PROMPT": "a lake in a forest", "SEED": 4}
    for name in ("OUTPUT", "SOURCES"):
        asked[name] = QgsProcessingOutputLayerDefinition(str(tmp_path / f"{name}.tif"), project)
        asked[name].destinationName = algorithm.parameterDefinition(name).description()
    results, good = algorithm.run(asked, context, feedback)
    assert good, feedback.textLog()
    assert handleAlgorithmResults(algorithm, context, feedback)
    nodes = {node.layer().source(): node for node in project.layerTreeRoot().findLayers()}
    image, sources = (nodes[results[name]] for name in ("OUTPUT", "SOURCES"))
    assert (image.isVisible(), sources.isVisible()) == (True, False)
    assert sources.parent() == image.parent()
    assert (sources.name(), sources.isExpanded()) == ("Sources", False)
    classes = sources.layer().renderer().classes()
    assert len(classes) == len(read(results["SOURCES"])[3])
    assert all("(made up, CC0-1.0)" in one.label for one in classes)


@pytest.mark.parametrize(
    ("sources", "more", "said"),
    [
        ("b.png", {}, "its name must end in .tif"),
        ("b.tif", {}, "cannot be both the result and its sources"),
        ("large.tif", {}, "would be written over what is given as 'Raster to edit'"),
        (
            "c.tif",
            {"PROMPT": "a lake", "MODEL": "text2earth-mini"},
            "paints its pixels, it does not copy them",
        ),
    ],
)
def test_what_cannot_be_is_said(example_backend, large, tmp_path, sources, more, said):
    mask = raster_files.polygons([raster_files.square(large, 70, 60, 40)], "EPSG:32633")
    asked = {"INPUT": large, "MASK": mask, "OUTPUT": str(tmp_path / "b.tif"), **more}
    feedback = QgsProcessingFeedback()
    with pytest.raises(QgsProcessingException) as caught:
        run("edit", feedback, **asked, SOURCES=str(tmp_path / sources))
    assert said in f"{caught.value} {feedback.textLog()}"
    assert not (tmp_path / "b.tif").exists()


def test_a_run_that_outlived_qgis_brings_both(example_backend, tmp_path):
    """The list of runs keeps where the raster of sources goes."""
    target, sources = tmp_path / "a.tif", tmp_path / "where.tif"
    asked = {"EXTENT": PLACE, "GSD": 1, "PROMPT": "a forest", "OUTPUT": str(target), "SOURCES": str(sources)}
    run("generate", **asked)
    before = target.read_bytes(), sources.read_bytes()
    target.unlink()
    sources.unlink()
    chosen = settings.load()
    (kept,) = whole(History(settings.profile_folder() / "history.sqlite"))
    listener = Listener(lambda share: None, lambda text: None, lambda: False)
    fetch(open_client(settings.access(chosen)), kept, listener)
    assert (target.read_bytes(), sources.read_bytes()) == before
