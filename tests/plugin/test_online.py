"""Online layers as the source of an edit: real tile and map servers, all that may go wrong."""

import json
import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsLayerMetadata,
    QgsNetworkAccessManager,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QBuffer, QByteArray, QIODevice
from qgis.PyQt.QtGui import QImage

from tests.support.qgis import raster_files
from tests.support.qgis.runs import whole
from tests.support.qgis.toolbox import PATIENCE, in_worker
from tests.support.web_server import Reply
from text2earth_qgis.core import settings
from text2earth_qgis.core.runs.fetching import fetch
from text2earth_qgis.core.runs.history import History
from text2earth_qgis.core.tasks import Listener
from text2earth_qgis.core.wire.transport import open_client

QUICK = {"PROMPT": "a lake", "STEPS": 2, "SEED": 7, "SEND_ONLINE": True}
WORLD = 20037508.342789244
PLACE = (1_500_000.0, 6_500_000.0)  # EPSG:3857, 50 degrees north: 0.64 m on the ground for one of the map
pytestmark = pytest.mark.usefixtures("provider", "own_history", "no_cache")


@pytest.fixture
def no_cache():
    """Each test has a server of its own on a port that another one may have had."""
    QgsNetworkAccessManager.instance().cache().clear()


@pytest.fixture
def backend(editing_backend):
    return editing_backend


def painted(x, y):
    """Return the pixels, (rows, columns, red green blue), that stand at columns and rows of the world."""
    x, y = np.meshgrid(x, y)
    red = 120 + 60 * np.sin(x / 9) * np.cos(y / 7)
    return np.stack([red, x % 251, y % 241], axis=-1).astype("u1")


def png(pixels):
    """Return an image file of (rows, columns, 3 or 4)."""
    rows, columns, bands = pixels.shape
    kind = QImage.Format.Format_RGB888 if bands == 3 else QImage.Format.Format_RGBA8888
    raw = np.ascontiguousarray(pixels).tobytes()
    image = QImage(raw, columns, rows, bands * columns, kind)
    store = QByteArray()
    buffer = QBuffer(store)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    assert image.save(buffer, "PNG")
    return Reply(200, bytes(store), {"Content-Type": "image/png"})


def tile(request):
    """Answer /z/x/y.png."""
    _zoom, col, row = map(int, re.findall(r"\d+", request.path))
    return png(painted(np.arange(256) + col * 256, np.arange(256) + row * 256))


def xyz(web, project, zmax=18):
    source = f"type=xyz&url={web.url}/{{z}}/{{x}}/{{y}}.png&zmax={zmax}&zmin=0"
    layer = QgsRasterLayer(source, "tiles", "wms")
    assert layer.isValid()
    metadata = QgsLayerMetadata()
    metadata.setRights(["(c) the tile makers"])
    layer.setMetadata(metadata)
    project.addMapLayer(layer)
    return layer


def square(metres, at=PLACE, crs="EPSG:3857"):
    x, y = at
    corners = [(x, y), (x + metres, y), (x + metres, y + metres), (x, y + metres), (x, y)]
    text = ", ".join(f"{a} {b}" for a, b in corners)
    return raster_files.polygons([f"Polygon(({text}))"], crs)


def edit(layer, mask, target, **more):
    import processing

    parameters = {**QUICK, "INPUT": layer, "MASK": mask, "OUTPUT": str(target), **more}
    return processing.run("text2earth:edit", parameters)


def refused(*arguments, **more):
    """Return what an edit that is refused says."""
    import processing

    feedback = QgsProcessingFeedback()
    layer, mask, target = arguments
    parameters = {**QUICK, "INPUT": layer, "MASK": mask, "OUTPUT": str(target), **more}
    with pytest.raises(QgsProcessingException) as error:
        processing.run("text2earth:edit", parameters, feedback=feedback)
    return f"{error.value} {feedback.textLog()}"


def test_tiles_are_edited_on_their_own_pixels(backend, web, tmp_path, project):
    web.answer = tile
    layer = xyz(web, project)
    mask = square(40)
    result = edit(layer.id(), mask, tmp_path / "b.tif")
    made = gdal.Open(str(tmp_path / "b.tif"))
    x, size, _, y, _, _ = made.GetGeoTransform()
    assert size == pytest.approx(2 * WORLD / 256 / 2**18)  # 0.38 m on the ground: nearest to the finest, 0.35
    col, row = (x + WORLD) / size, (WORLD - y) / size
    assert abs(col - round(col)) + abs(row - round(row)) < 1e-3
    expected = painted(np.arange(made.RasterXSize) + round(col), np.arange(made.RasterYSize) + round(row))
    pixels = raster_files.everything(tmp_path / "b.tif")[0].transpose(1, 2, 0)
    left, top = (PLACE[0] - x) / size, (y - PLACE[1] - 40) / size
    side = 40 / size
    inside = np.zeros(pixels.shape[:2], bool)
    inside[int(top) - 1 : int(top + side) + 2, int(left) - 1 : int(left + side) + 2] = True
    assert (pixels[~inside] == expected[~inside]).all()
    assert (pixels[inside] != expected[inside]).any(-1).mean() > 0.8
    asked = {tuple(map(int, re.findall(r"\d+", one.path))) for one in web.requests}
    assert {zoom for zoom, *_ in asked} == {18}
    assert max(made.RasterXSize, made.RasterYSize) <= 512
    assert len(asked) <= 9  # QGIS asks for those that touch, too
    assert "(c) the tile makers" in made.GetMetadataItem("TIFFTAG_COPYRIGHT")
    assert made.GetMetadataItem("AI_GENERATED") == "YES"
    assert json.loads(result["RECIPE"])["process"] == "edit"
    assert {one.name for one in tmp_path.iterdir()} - {"profile", "b.tif.aux.xml"} == {"b.tif"}


def test_a_result_that_is_collected_later_is_the_same(backend, web, tmp_path, project):
    """QGIS was closed: what was fetched of the layer is gone, and its server may be."""
    web.answer = tile
    edit(xyz(web, project).id(), square(40), tmp_path / "b.tif")
    (run,) = whole(History(tmp_path / "profile" / "history.sqlite"))
    first = (tmp_path / "b.tif").read_bytes()
    (tmp_path / "b.tif").unlink()
    web.answer = lambda _request: Reply(503)
    asked = len(web.requests)
    listener = Listener(lambda _share: None, lambda _text: None, lambda: False)
    done = fetch(open_client(backend.access), replace(run, state="successful"), listener)
    assert (done.state, done.target, done.message) == ("fetched", str(tmp_path / "b.tif"), "")
    assert (tmp_path / "b.tif").read_bytes() == first
    assert len(web.requests) == asked


def test_a_coarser_zoom_level_and_a_mask_in_degrees(backend, web, tmp_path, project):
    web.answer = tile
    layer = xyz(web, project)
    mask = square(0.002, (13.4747, 50.3), "EPSG:4326")
    edit(layer.id(), mask, tmp_path / "b.tif", GSD=3, RESULT="patch")
    size = gdal.Open(str(tmp_path / "b.tif")).GetGeoTransform()[1]
    assert size == pytest.approx(2 * WORLD / 256 / 2**15)  # 3.05 m on the ground


def test_a_map_server_in_pixels_of_the_model(backend, web, tmp_path, project):
    web.answer = wms(web)
    source = f"crs=EPSG:32633&format=image/png&layers=land&styles=&url={web.url}/wms"
    layer = QgsRasterLayer(source, "maps", "wms")
    assert layer.isValid(), layer.error().summary()
    project.addMapLayer(layer)
    mask = square(30, (500_100.0, 5_800_100.0), "EPSG:32633")
    edit(layer.id(), mask, tmp_path / "b.tif", GSD=2)
    made = gdal.Open(str(tmp_path / "b.tif"))
    x, size, _, y, _, height = made.GetGeoTransform()
    assert size == pytest.approx(2, rel=2e-3)
    assert height == pytest.approx(-2, rel=2e-3)
    assert x / size == pytest.approx(round(x / size), abs=1e-3)
    pixels = raster_files.everything(tmp_path / "b.tif")[0]
    rows, columns = pixels.shape[1:]
    for col, row in ((3, 3), (columns - 3, rows - 3)):
        there = (x + (col + 0.5) * size - 490_000) / 20_000 * 255, (y + (row + 0.5) * height - 5_790_000) / 80
        assert pixels[0, row, col] == pytest.approx(there[0], abs=1.5)
        assert pixels[1, row, col] == pytest.approx(there[1] % 256, abs=1.5)


def wms(web):
    """Return what answers as a small WMS 1.3.0 whose colours say where a pixel is."""
    capabilities = f"""<?xml version="1.0"?>
<WMS_Capabilities version="1.3.0" xmlns="http://www.opengis.net/wms" xmlns:xlink="http://www.w3.org/1999/xlink">
<Service><Name>WMS</Name><Title>x</Title><OnlineResource xlink:href="{web.url}/wms"/></Service>
<Capability><Request>
<GetCapabilities><Format>text/xml</Format><DCPType><HTTP><Get><OnlineResource xlink:href="{web.url}/wms?"/>
</Get></HTTP></DCPType></GetCapabilities>
<GetMap><Format>image/png</Format><DCPType><HTTP><Get><OnlineResource xlink:href="{web.url}/wms?"/>
</Get></HTTP></DCPType></GetMap></Request><Exception><Format>XML</Format></Exception>
<Layer><Title>x</Title><CRS>EPSG:32633</CRS><Layer><Name>land</Name><Title>land</Title><CRS>EPSG:32633</CRS>
<EX_GeographicBoundingBox><westBoundLongitude>14.8</westBoundLongitude>
<eastBoundLongitude>15.2</eastBoundLongitude><southBoundLatitude>52.2</southBoundLatitude>
<northBoundLatitude>52.5</northBoundLatitude></EX_GeographicBoundingBox>
<BoundingBox CRS="EPSG:32633" minx="490000" miny="5790000" maxx="510000" maxy="5810000"/>
</Layer></Layer></Capability></WMS_Capabilities>"""

    def answer(request):
        asked = {key.lower(): value[0] for key, value in parse_qs(urlsplit(request.path).query).items()}
        if asked["request"] == "GetCapabilities":
            return Reply(200, capabilities.encode(), {"Content-Type": "text/xml"})
        west, south, east, north = map(float, asked["bbox"].split(","))
        width, height = int(asked["width"]), int(asked["height"])
        x = west + (np.arange(width) + 0.5) / width * (east - west)
        y = north - (np.arange(height) + 0.5) / height * (north - south)
        x, y = np.meshgrid((x - 490_000) / 20_000 * 255, (y - 5_790_000) / 80 % 256)
        return png(np.stack([x, y, x * 0 + 90], axis=-1).astype("u1"))

    return answer


# ---- what may go wrong


def not_found(request):
    return Reply(404) if re.search(r"/(\d+)\.png", request.path)[1][-1] in "02468" else tile(request)


def with_a_hole(request):
    reply = tile(request)
    if int(re.search(r"/(\d+)/\d+\.png", request.path)[1]) % 2:
        pixels = np.full((256, 256, 4), 255, "u1")
        pixels[100:110, 100:110, 3] = 0
        reply = png(pixels)
    return reply


@pytest.mark.parametrize("answer", [not_found, with_a_hole], ids=["404", "transparent"])
def test_missing_tiles_stop_the_run(backend, web, tmp_path, project, answer):
    web.answer = answer
    layer = xyz(web, project)
    before = len(backend.jobs("successful", "running", "accepted"))
    told = refused(layer.id(), square(40), tmp_path / "b.tif")
    assert re.search(r"2 of 4 tiles of 'tiles' at 0.\d+ m are missing", told)
    assert not (tmp_path / "b.tif").exists()
    assert len(backend.jobs("successful", "running", "accepted")) == before


def test_a_slow_server_can_be_left(backend, web, tmp_path, project, qtbot):
    web.answer = lambda _request: Reply(hold=True)
    layer = xyz(web, project)

    def cancel(task):
        qtbot.waitUntil(lambda: bool(web.requests), timeout=PATIENCE)
        task.cancel()

    asked = {**QUICK, "INPUT": layer.id(), "MASK": square(40), "OUTPUT": str(tmp_path / "b.tif")}
    good, _results, log = in_worker("edit", asked, qtbot, cancel, project)
    assert not good
    assert "Cancelled" in log
    assert not (tmp_path / "b.tif").exists()


def test_in_a_worker(backend, web, tmp_path, project, qtbot):
    web.answer = tile
    layer = xyz(web, project)
    asked = {**QUICK, "INPUT": layer.id(), "MASK": square(40), "OUTPUT": str(tmp_path / "b.tif")}
    good, _results, log = in_worker("edit", asked, qtbot, project=project)
    assert good, log
    assert re.search(r"\d tiles of 'tiles' from 127.0.0.1:\d+ are fetched", log)
    assert "(c) the tile makers" in log


def test_a_host_is_asked_for_once(backend, web, tmp_path, project):
    web.answer = tile
    layer = xyz(web, project)
    host = urlsplit(web.url).netloc
    told = refused(layer.id(), square(40), tmp_path / "b.tif", SEND_ONLINE=False)
    assert re.search(f"Imagery of {host} would be sent .*SEND_ONLINE=true", told)
    assert web.requests == []
    assert not settings.sends_imagery_of(host)
    edit(layer.id(), square(40), tmp_path / "b.tif")
    assert settings.sends_imagery_of(host)
    edit(layer.id(), square(40), tmp_path / "c.tif", SEND_ONLINE=False)


def test_too_many_tiles_and_other_refusals(backend, web, tmp_path, project):
    web.answer = tile
    layer = xyz(web, project)
    told = refused(layer.id(), square(9000), tmp_path / "b.tif")
    assert re.search(r"are [\d,]+ tiles of 'tiles'; one edit may take 1,024", told)
    assert "no file that a VRT could show" in refused(
        layer.id(), square(40), tmp_path / "b.vrt", RESULT="vrt"
    )
    away = square(40, (WORLD * 3, 0))
    assert "lies outside of the raster" in refused(layer.id(), away, tmp_path / "b.tif")
    assert web.requests == []


def test_named_by_its_address(backend, web, tmp_path):
    """As scripts and qgis_process name a layer that is in no project."""
    web.answer = tile
    source = f"wms://type=xyz&url={web.url}/{{z}}/{{x}}/{{y}}.png&zmax=18&zmin=0"
    edit(source, square(40), tmp_path / "b.tif")
    assert gdal.Open(str(tmp_path / "b.tif")).RasterCount == 3
