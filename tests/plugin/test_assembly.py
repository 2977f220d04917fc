"""An edit that outlives QGIS: whoever finds it in the history makes the whole result of it."""

import dataclasses
import os
import re
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsVectorLayerFeatureSource,
)

from tests.support.qgis import raster_files
from tests.support.qgis.toolbox import PATIENCE
from tests.support.qgis.watched_runs import ended, noted
from text2earth_qgis.core.errors import Cancelled, RasterRefused
from text2earth_qgis.core.imagery import datasets, edit_preparation, edit_request, masks
from text2earth_qgis.core.imagery.assembly import Assembly, stamp_of
from text2earth_qgis.core.imagery.rasters import DisplayedBands
from text2earth_qgis.core.runs.history import History, Run
from text2earth_qgis.core.runs.watcher import UNSENT, JobWatcher
from text2earth_qgis.core.tasks import Listener
from text2earth_qgis.core.wire.transport import open_client

UTM = QgsCoordinateReferenceSystem("EPSG:32633")
DEAF = Listener(lambda _share: None, lambda _text: None, lambda: False)


@pytest.fixture
def backend(painter):
    yield painter
    assert painter.jobs("running", "accepted") == []
    for left_behind in painter.uploads:  # by runs whose QGIS was gone: kept for a day
        left_behind.unlink()


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "profile" / "history.sqlite")


def order(path, target, **more):
    layer = raster_files.polygons([raster_files.square(path, 60, 50, 30)], "EPSG:32633")
    source = datasets.RasterFile("a", str(path), (), UTM, False)
    options = {"prompt": "a lake", "seed": 7, "steps": 2, **more.pop("wishes", {})}
    shapes = masks.MaskPolygons("mask", QgsVectorLayerFeatureSource(layer), UTM, None)
    context = QgsCoordinateTransformContext()
    return edit_request.EditRequest(source, DisplayedBands(), shapes, context, Path(target), options, **more)


def left(backend, history, asked):
    """Return a run as a QGIS leaves it that is killed while the job runs."""
    ready = edit_preparation.prepare(backend.access, asked, DEAF)
    run = Run(
        backend.url,
        ready.inputs.to_json(),
        str(asked.target),
        process="edit",
        assembly=ready.assembly.to_json(),
    )
    status = open_client(backend.access).execute("edit", run.inputs, run.key)
    return history.put(dataclasses.replace(run, job=status.job, state=status.status))


def taken_up(backend, history, qtbot):
    (run,) = History(history.path).unfinished()
    watcher = noted(JobWatcher(lambda: backend.access, history, run, 0.1))
    watcher.start()
    end = ended(qtbot, watcher)
    return end, history.get(run.key)


@pytest.mark.parametrize("result", ["whole", "vrt", "patch"])
def test_an_orphan_becomes_what_was_asked_for(backend, history, tmp_path, qtbot, result):
    path = raster_files.raster(tmp_path / "a.tif", dtype="uint16", bands=4, size=(300, 260))
    target = tmp_path / ("b.vrt" if result == "vrt" else "b.tif")
    left(backend, history, order(path, target, result=result))
    end, run = taken_up(backend, history, qtbot)
    assert (end, run.state, run.message, run.target) == ("finished", "fetched", "", str(target))
    assert run.recipe["process"] == "edit"
    if result == "patch":
        assert gdal.Open(str(target)).RasterXSize < 300
        return
    old, new = raster_files.everything(path)[0], raster_files.everything(target)[0]
    burnt = np.zeros((260, 300), bool)
    burnt[50:80, 60:90] = True
    assert old[:, ~burnt].tobytes() == new[:, ~burnt].tobytes()
    assert (old[:, burnt] != new[:, burnt]).any(0).mean() > 0.8
    assert (tmp_path / "b_patch.tif").exists() == (result == "vrt")


def change(path):
    with open(path, "ab") as file:
        file.write(b"\0")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [(change, "has changed since"), (os.remove, "cannot be read")],
    ids=["changed", "gone"],
)
def test_a_source_that_is_another_leaves_the_part(backend, history, tmp_path, qtbot, spoil, sentence):
    path = raster_files.raster(tmp_path / "a.tif")
    left(backend, history, order(path, tmp_path / "b.tif"))
    spoil(path)
    end, run = taken_up(backend, history, qtbot)
    assert (end, run.state) == ("finished", "fetched")
    assert sentence in run.message
    assert run.message.endswith(f"The edited part is in {tmp_path / 'b_patch.tif'}.")
    assert run.target == str(tmp_path / "b_patch.tif")
    assert gdal.Open(run.target).RasterCount == 3
    assert not (tmp_path / "b.tif").exists()


def test_looking_at_a_raster_does_not_change_it(tmp_path):
    path = raster_files.raster(tmp_path / "a.tif")
    before = stamp_of(gdal.Open(path))
    dataset = gdal.Open(path)
    dataset.GetRasterBand(1).ComputeStatistics(False)
    dataset.BuildOverviews("AVERAGE", [2])
    dataset = None
    assert {one.name for one in tmp_path.iterdir()} >= {"a.tif.aux.xml", "a.tif.ovr"}
    assert stamp_of(gdal.Open(path)) == before
    time.sleep(1.1)
    os.utime(path)
    assert stamp_of(gdal.Open(path)) != before


def test_from_the_order_to_the_file(backend, history, tmp_path, qtbot):
    """As the dock does it: prepared in a task, watched on the main thread."""
    path = raster_files.raster(tmp_path / "a.tif")
    asked = order(path, tmp_path / "b.tif")

    def prepare(listener):
        return edit_preparation.prepare(backend.access, asked, listener)

    run = Run(backend.url, {"prompt": "a lake"}, str(asked.target), process="edit", state="preparing")
    watcher = noted(JobWatcher(lambda: backend.access, history, run, 0.1, prepare=prepare))
    watcher.start()
    assert history.get(run.key).state == "preparing"
    assert ended(qtbot, watcher) == "finished"
    told = [standing.text for standing in watcher.told]
    assert any("are sent to" in text for text in told)
    assert "Writing the result" in told
    assert history.get(run.key).inputs["seed"] == 7
    assert gdal.Open(str(asked.target)).RasterXSize == 160


def test_what_the_plan_warns_of_stays_with_the_run(backend, history, tmp_path, qtbot):
    """The dock asks for no plan of an edit before it is sent: its warnings are in the list and the layer."""
    flat = ((500000.0, 1.0, 0.0, 5800000.0, 0.0, -1.5), 32633)  # no model makes such pixels
    path = raster_files.raster(tmp_path / "a.tif", place=flat)
    asked = order(path, tmp_path / "b.tif")
    run = Run(backend.url, {"prompt": "a lake"}, str(asked.target), process="edit", state="preparing")
    prepare = partial(edit_preparation.prepare, backend.access, asked)
    watcher = noted(JobWatcher(lambda: backend.access, history, run, 0.1, prepare=prepare))
    watcher.start()
    assert ended(qtbot, watcher) == "finished"
    assert re.search("resampled into the raster's", history.get(run.key).notes)
    assert history.get(run.key).message == ""


def test_a_cancel_while_it_is_sent(backend, history, tmp_path, qtbot):
    path = raster_files.raster(tmp_path / "a.tif")
    ends, begun = [], []

    def prepare(listener):
        begun.append(1)
        while not listener.isCanceled():
            time.sleep(0.01)
        ends.append("stopped")
        raise Cancelled("Cancelled.")

    run = Run(backend.url, {}, str(tmp_path / "b.tif"), process="edit", state="preparing")
    watcher = JobWatcher(lambda: backend.access, history, run, 0.1, prepare=prepare)
    watcher.dismissed.connect(lambda run: ends.append(run.state))
    watcher.start()
    qtbot.waitUntil(lambda: bool(begun), timeout=PATIENCE)
    watcher.cancel()
    qtbot.waitUntil(lambda: len(ends) == 2, timeout=PATIENCE)
    assert sorted(ends) == ["dismissed", "stopped"]
    assert not history.unfinished()
    assert Path(path).exists()


def test_what_was_never_sent_says_so(backend, history, tmp_path, qtbot):
    history.put(Run(backend.url, {}, str(tmp_path / "b.tif"), process="edit", state="preparing"))
    end, run = taken_up(backend, history, qtbot)
    assert end == UNSENT
    assert (run.state, run.message) == ("failed", UNSENT)


def test_what_can_be_said_before(tmp_path):
    path = raster_files.raster(tmp_path / "a.tif", dtype="uint16", bands=4, size=(900, 700))
    sight = edit_request.preview_edit(order(path, tmp_path / "b.tif"), 64, lambda: False)
    assert (sight.crop.col, sight.crop.row, sight.crop.width, sight.crop.height) == (0, 0, 154, 144)
    assert (sight.raster.width, sight.raster.height) == (900, 700)
    assert sight.pixel == pytest.approx((1.0, 1.0), abs=0.01)
    assert sight.bytes == 154 * 144 * 8
    empty = dataclasses.replace(
        order(path, tmp_path / "b.tif"),
        mask=masks.MaskPolygons(
            "mask", QgsVectorLayerFeatureSource(raster_files.polygons([], "EPSG:32633")), UTM, None
        ),
    )
    with pytest.raises(RasterRefused, match="There is no polygon"):
        edit_request.preview_edit(empty, 64, lambda: False)


def test_an_assembly_travels(tmp_path):
    path = raster_files.raster(tmp_path / "a.tif")
    made = Assembly(
        source=datasets.RasterFile("a", path, ("NUM_THREADS=2",), UTM, True),
        stamp="x",
        part=tmp_path / "p.tif",
        result="whole",
        at=datasets.Box(1, 2, 3, 4),
        changed=datasets.Box(2, 3, 1, 1),
        bands=(1, 3),
        layer="one",
        mask="two",
    )
    assert Assembly.from_json(made.to_json()) == made
