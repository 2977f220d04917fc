"""Editing an online layer from the dock: a real tile server, a question asked once, what may go wrong."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from osgeo import gdal
from qgis.core import (
    QgsLayerMetadata,
    QgsNetworkAccessManager,
    QgsProject,
    QgsRasterLayer,
    QgsSettings,
)

from tests.support.qgis.dock import LAKE, bar, polygons, press_run, square, state, texts_fit
from tests.support.qgis.window import SCENE, MainThreadMeter, grab, settle, until
from tests.support.web_server import Reply, WebServer

WORLD = 20037508.342789244
CREDIT = "(c) the tile makers"
ZOOM = 2 * WORLD / 256 / 2**18


def tile(request):
    """Answer /z/x/y.png with the scene, transparent where that ends."""
    zoom, col, row = map(int, re.findall(r"\d+", request.path))
    side = 2 * WORLD / 2**zoom
    west, north = col * side - WORLD, WORLD - row * side
    bounds = (west, north - side, west + side, north)
    warped = gdal.Warp(
        "", str(SCENE), format="MEM", dstSRS="EPSG:3857", outputBounds=bounds, width=256, height=256,
        dstAlpha=True,
    )  # fmt: skip
    name = f"/vsimem/{zoom}-{col}-{row}.png"
    gdal.Translate(name, warped, format="PNG", bandList=[1, 2, 3, 5])
    size = gdal.VSIStatL(name).size
    file = gdal.VSIFOpenL(name, "rb")
    body = bytes(gdal.VSIFReadL(1, size, file))
    gdal.VSIFCloseL(file)
    return Reply(200, body, {"Content-Type": "image/png"})


@pytest.fixture
def web(monkeypatch, tmp_path):
    """A tile server that nothing was allowed for yet; no tile of another one is left."""
    from text2earth_qgis.core import settings

    (tmp_path / "temporary").mkdir()  # the usual one is shared with whatever else runs
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    QgsNetworkAccessManager.instance().cache().clear()
    with WebServer(tile) as made:
        yield made
    QgsSettings().remove(settings.ONLINE_HOSTS)


@pytest.fixture
def tiles(web, form):
    """The online layer, chosen in the form; the map does not draw it."""
    layer = QgsRasterLayer(f"type=xyz&url={web.url}/{{z}}/{{x}}/{{y}}.png&zmax=18&zmin=0", "tiles", "wms")
    metadata = QgsLayerMetadata()
    metadata.setRights([CREDIT])
    layer.setMetadata(metadata)
    QgsProject.instance().addMapLayer(layer, False)
    form.source.setLayer(layer)
    return layer


def fill(dock, form, scene, side=40, at=(300, 300)):
    """Fill in all that is needed."""
    mask = polygons([square(scene, *at, side)], scene.crs())
    form.mask.choose(mask)
    form.prompt.setPlainText(LAKE)
    return mask


def question(dock):
    """Return the question that is open, None if there is none."""
    settle()
    return dock.question if dock.question.isVisible() else None


def answer(box, title):
    box.actions()[title].click()
    settle()


def folders():
    return list(Path(tempfile.gettempdir()).iterdir())


def test_from_the_question_to_the_layer_above(dock, form, tiles, scene, web, iface, tmp_path):
    from text2earth_qgis.core import settings

    group = QgsProject.instance().layerTreeRoot().insertGroup(0, "web maps")
    group.addLayer(tiles).setItemVisibilityChecked(False)
    host = urlsplit(web.url).netloc
    mask = fill(dock, form, scene)
    until(lambda: dock.edit.found is not None)
    text = dock.plan.text()
    assert re.search(
        rf"\d+ tiles of 'tiles' from {host} are fetched. Attribution: \(c\) the tile makers", text
    )
    assert re.search(r"\d+ × \d+ px · 0\.\d+ m per pixel", text)
    assert form.gsd.isVisible()
    assert not form.result.isVisible()
    until(lambda: not dock.edit.preview.picture().isNull())
    texts_fit(dock)
    grab("edit-online-planned")

    dock.run_button.click()
    box = question(dock)
    assert host in box.text()
    assert CREDIT in box.text()
    grab("edit-online-asked")
    answer(box, "Cancel")
    assert dock.runs.model.rows == []
    assert not settings.sends_imagery_of(host)

    dock.run_button.click()
    with MainThreadMeter() as meter:
        answer(question(dock), "Send it")
        key = dock.runs.model.rows[0].run.key
        until(lambda: state(dock, key) == "fetched")
        until(lambda: len(group.children()) == 2)
    print(f"longest of {meter.count:,} stays {meter.longest * 1000:.1f} ms of CPU, in {meter.where}")
    assert meter.longest < meter.allowed
    assert settings.sends_imagery_of(host)
    assert folders() == []
    done = dock.runs.row(key).run
    title = f"tiles edited: a lake, seed {done.recipe['seed']}"
    assert [node.name() for node in group.children()] == [title, "tiles"]
    layer = group.children()[0].layer()
    assert any(CREDIT in text for text in layer.metadata().rights())
    made = gdal.Open(done.target)
    assert made.RasterCount == 3
    assert made.GetGeoTransform()[1] == pytest.approx(ZOOM)
    assert CREDIT in made.GetMetadataItem("TIFFTAG_COPYRIGHT")
    assert made.GetMetadataItem("AI_GENERATED") == "YES"
    assert list(tmp_path.glob("*.tif")) == [Path(done.target)]
    assert "is finished" in bar(iface)[0]
    QgsProject.instance().layerTreeRoot().findLayer(mask.id()).setItemVisibilityChecked(False)
    dock.results.show(done)
    until(lambda: not iface.mapCanvas().isDrawing())
    grab("edit-online-finished")

    form.source.setLayer(scene)
    form.recall({"gsd": 0.9})
    dock.runs.choose(key)
    dock.runs.buttons["use_again"].click()
    assert (form.layer(), form.mask.layer(), form.prompt.text()) == (tiles, mask, LAKE)
    assert form.result.currentData() == "whole"  # what suits other rasters
    until(lambda: dock.edit.found is not None)
    again = press_run(dock)
    assert question(dock) is None
    until(lambda: state(dock, again) == "fetched")
    size = gdal.Open(dock.runs.row(again).run.target).GetGeoTransform()[1]
    assert size == pytest.approx(2 * ZOOM)


def test_too_many_and_missing_tiles_stop_it(dock, form, tiles, scene, web, iface, backend):
    from text2earth_qgis.core import settings

    settings.send_imagery_of(urlsplit(web.url).netloc)
    fill(dock, form, scene, 20_000)
    until(lambda: "one edit may take 1,024" in dock.plan.text())
    assert "ground sample distance (GSD)" in dock.plan.text()
    assert not dock.run_button.isEnabled()
    assert web.requests == []
    fill(dock, form, scene, 40, (0, 0))
    until(lambda: dock.edit.found is not None)
    key = press_run(dock)
    until(lambda: state(dock, key) == "failed")
    assert re.search(r"\d of \d+ tiles of 'tiles' at 0.\d+ m are missing", dock.runs.row(key).run.message)
    assert "are missing" in bar(iface)[0]
    assert folders() == []
    assert not backend.uploads


def test_a_slow_server_can_be_left(dock, form, tiles, scene, web):
    from text2earth_qgis.core import settings

    settings.send_imagery_of(urlsplit(web.url).netloc)
    web.answer = lambda _request: Reply(hold=True)
    fill(dock, form, scene)
    until(lambda: dock.edit.found is not None)
    key = press_run(dock)
    until(lambda: web.requests)
    until(lambda: "tiles of 'tiles'" in dock.runs.card(key).phase())
    grab("edit-online-fetching")
    dock.runs.card(key).cancel.click()
    until(lambda: state(dock, key) == "dismissed")
    until(lambda: folders() == [])


def test_an_edit_that_outlived_qgis_is_fetched(
    dock, form, tiles, scene, web, window, tmp_path
):  # fmt: skip
    """What a start of QGIS finds: what was fetched of the layer is gone, the part that was edited is not."""
    from text2earth_qgis.core import settings
    from text2earth_qgis.core.imagery import online_fetch
    from text2earth_qgis.core.runs.history import History, Run
    from text2earth_qgis.core.tasks import BackgroundTask
    from text2earth_qgis.core.wire.transport import open_client

    assert QgsProject.instance().write(str(tmp_path / "p.qgz"))
    fill(dock, form, scene)
    access = settings.access(settings.load())
    order = replace(form.request(), target=tmp_path / "out.tif")
    sent = []
    send = partial(online_fetch.prepare, form.imagery(), None, access, order)
    BackgroundTask("sending", send, lambda *made: sent.append(made)).start()
    until(lambda: sent)
    ready, error = sent[0]
    assert error is None
    left = Run(
        access.url, ready.inputs.to_json(), str(order.target), project=order.project,
        process="edit", assembly=json.loads(json.dumps(ready.assembly.to_json())),
    )  # fmt: skip
    job = open_client(access).execute("edit", left.inputs, left.key)
    history = History(settings.profile_folder() / "history.sqlite")
    history.put(replace(left, job=job.job, state=job.status))
    QgsProject.instance().layerTreeRoot().addLayer(tiles).setItemVisibilityChecked(False)
    web.answer = lambda _request: Reply(503)
    window.runner.take_up()
    until(lambda: dock.runs.row(left.key) and state(dock, left.key) == "fetched")
    done = dock.runs.row(left.key).run
    assert (done.target, done.message) == (str(order.target), "")
    assert list(tmp_path.glob("*.tif")) == [order.target]
    made = gdal.Open(done.target)
    assert made.RasterCount == 3
    assert CREDIT in made.GetMetadataItem("TIFFTAG_COPYRIGHT")
    until(lambda: dock.results.layer(done) is not None)
    above = [node.name() for node in QgsProject.instance().layerTreeRoot().children()]
    assert above.index(dock.results.layer(done).name()) == above.index("tiles") - 1
