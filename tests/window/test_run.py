"""The dock drives a real backend: from Run to the layer, with previews, cancels and other projects."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import QgsProject, QgsRectangle
from qgis.PyQt.QtCore import QTimer

from tests.support.qgis.dock import PROMPT, ask, bar, running, start, state, status
from tests.support.qgis.window import MainThreadMeter, box, grab, until
from text2earth_qgis.core.wire.schemas import Extent
from text2earth_qgis.gui.panels.advanced import CONTINUED

LONG = {"gsd": 1.0, "steps": 200}  # minutes


@pytest.mark.fast
def test_from_run_to_layer(dock, scene, iface, tmp_path):
    key = start(dock, scene)
    until(lambda: state(dock, key) == "fetched")
    until(lambda: len(QgsProject.instance().mapLayers()) == 2)
    run, plan = dock.runs.row(key).run, dock.planned
    group = QgsProject.instance().layerTreeRoot().findGroup("Text2Earth")
    layer = group.findLayers()[0].layer()
    assert layer.isValid()
    assert layer.name().startswith("a lake with reed beds")
    assert f"seed {run.recipe['seed']}" in layer.name()
    assert PROMPT in layer.metadata().abstract()
    assert "Synthetic" in layer.metadata().rights()[0]
    assert Path(run.target).parent == tmp_path
    assert Path(run.target).name.startswith("a-lake-with-reed-beds")
    file = gdal.Open(run.target)
    assert (file.RasterXSize, file.RasterYSize) == (plan.width, plan.height)
    assert file.GetGeoTransform() == pytest.approx([plan.transform[i] for i in (2, 0, 1, 5, 3, 4)])
    assert layer.crs().authid() == plan.crs == "EPSG:26914"
    text, buttons = bar(iface)
    assert "is finished" in text
    assert [button.text() for button in buttons] == ["Show on the map"]
    grab("finished")


def test_the_same_settings_again_give_the_same_pixels(dock, scene):
    first = start(dock, scene, gsd=8.0)
    until(lambda: state(dock, first) == "fetched")
    dock.request.recall({})
    dock.request.extent.clear()
    dock.runs.choose(first)
    dock.runs.buttons["use_again"].click()
    assert dock.request.prompt.text() == PROMPT
    assert dock.request.seed.value() == dock.runs.row(first).run.recipe["seed"]
    until(lambda: dock.planned is not None)
    dock.run_button.click()
    second = dock.runs.model.rows[0].run.key
    assert second != first
    until(lambda: state(dock, second) == "fetched")
    one, other = (gdal.Open(dock.runs.row(key).run.target).ReadRaster() for key in (first, second))
    assert one == other


def test_another_seed_gives_another_picture_and_both_are_seen_in_the_list(dock, scene):
    first = start(dock, scene, gsd=8.0)
    until(lambda: state(dock, first) == "fetched")
    until(lambda: not dock.runs.delegate.thumbnails.of(dock.runs.row(first).run.target).isNull())
    dock.runs.choose(first)
    with MainThreadMeter() as meter:
        dock.runs.buttons["varied"].click()
        until(lambda: len(dock.runs.model.rows) == 2)
    assert meter.longest < meter.allowed
    second = dock.runs.model.rows[0].run.key
    assert dock.request.seed.value() is None
    until(lambda: state(dock, second) == "fetched")
    runs = [dock.runs.row(key).run for key in (first, second)]
    assert runs[0].recipe["seed"] != runs[1].recipe["seed"]
    assert {**runs[0].recipe, "seed": 0} == {**runs[1].recipe, "seed": 0}
    thumbnails = dock.runs.delegate.thumbnails
    until(lambda: not any(thumbnails.of(run.target).isNull() for run in runs))
    one, other = (thumbnails.of(run.target).toImage() for run in runs)
    assert one.size() == other.size()
    assert one != other
    grab("thumbnails", dock)
    dock.request.prompt.setPlainText("")  # what cannot be run again is not run later either
    dock._run_when_ready()
    dock.request.prompt.setPlainText("a forest")
    until(lambda: dock.planned is not None)
    assert len(dock.runs.model.rows) == 2


def test_progress_preview_and_cancel_reach_the_backend(dock, scene, backend, iface):
    key = start(dock, scene, **LONG)
    running(dock, key)
    until(lambda: dock.previews.items())
    until(lambda: dock.runs.card(key).progress() > 0)
    assert dock.runs.card(key).phase()
    preview = dock.previews.items()[0]
    image = preview._image
    assert image.hasAlphaChannel()
    edge = [image.pixelColor(image.width() - 1, row).alpha() for row in range(image.height())]
    assert min(edge) < 255, "what is not made yet hides no map"
    seen = preview.outline().boundingRect()
    corner = iface.mapCanvas().getCoordinateTransform()
    plan = QgsRectangle(*dock.planned.bbox)
    top_left = corner.transform(plan.xMinimum(), plan.yMaximum())
    assert abs(seen.left() - top_left.x()) < 1
    assert abs(seen.top() - top_left.y()) < 1
    grab("running")
    run = dock.runs.row(key).run
    assert status(backend, run).json()["status"] == "running"
    dock.runs.card(key).cancel.click()
    until(lambda: state(dock, key) == "dismissed")
    until(lambda: status(backend, run).json().get("status") in (None, "dismissed"))
    assert not dock.previews.items()
    assert len(QgsProject.instance().mapLayers()) == 1
    assert dock.runs.row(key).seed is not None
    grab("cancelled")


def test_a_cancel_while_waiting_leaves_the_others(dock, scene, backend):
    first = start(dock, scene, **LONG)
    second = start(dock, scene, gsd=8.0)
    third = start(dock, scene, gsd=8.0)
    until(lambda: "queue" in dock.runs.card(third).phase())
    grab("queue")
    dock.runs.card(second).cancel.click()
    until(lambda: state(dock, second) == "dismissed")
    assert state(dock, first) in ("accepted", "running")
    dock.runs.card(first).cancel.click()
    until(lambda: state(dock, third) == "fetched")


def refresh(canvas, layer, share):
    """Show the middle of a layer; return the seconds until it is drawn."""
    done = []
    canvas.mapCanvasRefreshed.connect(lambda: done.append(1))
    began = time.perf_counter()
    canvas.setExtent(box(layer, share))
    canvas.refresh()
    until(lambda: done, 60)  # shorter than the jobs
    canvas.mapCanvasRefreshed.disconnect()
    return time.perf_counter() - began


def test_the_window_stays_alive_while_jobs_wait(dock, scene, iface):
    canvas, gaps, last = iface.mapCanvas(), [], [time.perf_counter()]

    def tick() -> None:
        gaps.append(time.perf_counter() - last[0])
        last[0] = time.perf_counter()

    beat = QTimer()
    beat.timeout.connect(tick)
    with MainThreadMeter() as meter:
        keys = [start(dock, scene, **LONG | {"gsd": 0.5}) for _ in range(4)]
        running(dock, keys[0])
        last[0] = time.perf_counter()
        beat.start(2)
        refreshes = []
        for turn in range(5):
            refreshes.append(refresh(canvas, scene, 1 - turn / 10))
            told = []
            dock.runner.changed.connect(told.append)
            until(lambda told=told: told, 60)
            dock.runner.changed.disconnect(told.append)
        beat.stop()
        for key in keys:
            dock.runner.cancel(key)
        short = start(dock, scene, gsd=8.0)
        until(lambda: state(dock, short) == "fetched")
        until(lambda: len(QgsProject.instance().mapLayers()) == 2)
    print(
        f"canvas refresh at most {max(refreshes):.2f} s; event loop: longest gap {max(gaps) * 1000:.0f} ms; "
        f"plugin: longest of {meter.count:,} stays {meter.longest * 1000:.1f} ms of CPU, in {meter.where}"
    )
    assert meter.longest < meter.allowed


def test_another_project_gets_an_offer(dock, scene, iface):
    key = start(dock, scene, steps=30)
    until(lambda: dock.runs.row(key).run.job)
    QgsProject.instance().setDirty(False)
    iface.newProject(False)
    QgsProject.instance().setCrs(scene_crs())
    until(lambda: state(dock, key) == "fetched")
    text, buttons = bar(iface)
    assert "an unsaved project" in text
    assert Path(dock.runs.row(key).run.target).is_file()
    assert not QgsProject.instance().mapLayers()
    grab("other-project")
    buttons[0].click()
    assert len(QgsProject.instance().mapLayers()) == 1
    assert "an unsaved project" not in bar(iface)[0]


def scene_crs():
    from qgis.core import QgsCoordinateReferenceSystem

    return QgsCoordinateReferenceSystem("EPSG:26914")


def test_a_saved_project_keeps_its_results_beside_it(dock, scene, backend, tmp_path):
    from text2earth_qgis.core import settings

    settings.save(settings.Settings(url=backend.url, poll_seconds=0.1))
    home = tmp_path / "Zürich"
    home.mkdir()
    QgsProject.instance().write(str(home / "plan.qgz"))
    key = start(dock, scene, gsd=8.0)
    until(lambda: state(dock, key) == "fetched")
    assert Path(dock.runs.row(key).run.target).parent == home / "text2earth"
    assert dock.runs.row(key).run.project == str(home / "plan.qgz")


def test_a_folder_that_cannot_be_used_is_refused_before_the_job(dock, scene, backend, iface, tmp_path):
    from text2earth_qgis.core import settings

    (tmp_path / "file").write_text("in the way")
    settings.save(settings.Settings(url=backend.url, folder=str(tmp_path / "file")))
    ask(dock, scene)
    dock.run_button.click()
    assert "cannot be saved" in bar(iface)[0]
    assert dock.runs.model.rowCount() == 0


def test_show_and_remove(dock, scene, iface, backend):
    key = start(dock, scene, gsd=8.0)
    until(lambda: state(dock, key) == "fetched")
    run = dock.runs.row(key).run
    until(lambda: len(QgsProject.instance().mapLayers()) == 2)
    layer = dock.results.layer(run)
    QgsProject.instance().removeMapLayer(layer.id())
    canvas = iface.mapCanvas()
    canvas.setExtent(QgsRectangle(0, 0, 1, 1))
    dock.runs.choose(key)
    dock.runs.buttons["show_on_map"].click()
    assert dock.results.layer(run) is not None
    assert canvas.extent().contains(dock.results.layer(run).extent())
    dock.runs.buttons["removed"].click()
    dock.runs.question.actions()["Remove"].click()
    assert dock.runs.row(key) is None
    assert Path(run.target).is_file()
    assert status(backend, run).status_code == 200, "it can be undone"
    dock.runs.offer.away.click()
    until(lambda: status(backend, run).status_code == 404)


def test_a_scene_goes_on(dock, scene):
    """From the list of runs: the form takes all but the extent from a scene, whose canvas is shared."""
    key = start(dock, scene, steps=2)
    until(lambda: state(dock, key) == "fetched")
    first = dock.runs.row(key).run
    dock.request.prompt.setPlainText("something else")
    dock.runs.choose(key)
    dock.runs.continued.emit(key)
    advanced = dock.request.advanced
    assert advanced.canvas.currentText() == CONTINUED
    assert dock.request.prompt.text() == first.inputs["prompt"]
    assert dock.request.seed.value() == first.recipe["seed"]
    assert dock.request.extent.value().bbox == pytest.approx(first.inputs["extent"]["bbox"])
    until(lambda: dock.run_button.isEnabled())
    grab("continue_a_scene")
    west, south, east, north = first.inputs["extent"]["bbox"]
    middle = [west, south, (west + east) / 2, (south + north) / 2]
    dock.request.extent.set_value(Extent(middle, first.inputs["extent"]["crs"]))
    until(lambda: dock.run_button.isEnabled())
    dock.run_button.click()
    second = dock.runs.model.rows[0].run.key
    until(lambda: state(dock, second) == "fetched")
    recipe = dock.runs.row(second).run.recipe
    for name in ("canvas", "frame", "seed", "prompt", "steps"):
        assert recipe[name] == first.recipe[name]
    assert "joins" not in dock.generate.memory()
    advanced.canvas.setCurrentIndex(0)
    assert advanced.values()["joins"] is None
