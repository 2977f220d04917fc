"""Variants: a strip of pictures in the dock, one of them on the map, kept or discarded."""

from __future__ import annotations

from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import QgsProject
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest

from tests.support.qgis.dock import ask, polygons, square
from tests.support.qgis.window import MainThreadMeter, grab, settle, until
from text2earth_qgis.core.runs import variants
from text2earth_qgis.core.runs.history import History
from text2earth_qgis.gui.runner import Runner
from text2earth_qgis.gui.variants.variants import Variants

SEED = 41
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def strip(dock):
    yield dock.variants.strip
    dock.variants.strip.all_discarded.emit()


def make(dock, scene, count, seed=SEED):
    """Ask for variants of a small scene, and wait until all are there."""
    dock.request.seed.set_value(seed)
    dock.request.seed.set_variants(count)
    ask(dock, scene, gsd=8.0)
    dock.run_button.click()
    until(lambda: len(ready(dock)) == count)
    settle()


def ready(dock):
    return [one for one in dock.variants.strip.pictures.pictures.variants if one.ready]


def click(strip, place):
    pictures = strip.pictures
    at = pictures.visualRect(pictures.pictures.index(place)).center()
    QTest.mouseClick(pictures.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, at)


def shown(scene):
    """Return the seeds of our layers that the map shows, top first."""
    nodes = QgsProject.instance().layerTreeRoot().findLayers()
    layers = [node.layer() for node in nodes if node.isVisible() and node.layer() is not scene]
    return [int(layer.name().rsplit(" ", 1)[1]) for layer in layers]


def seen_by_next_start(dock, seeds):
    """Look at the strip as it is when QGIS starts anew."""
    runner = Runner(History(dock.runner._history.path), QgsProject.instance())
    again = Variants(runner, QgsProject.instance())
    assert [one.run.inputs["seed"] for one in again.strip.pictures.pictures.variants] == seeds
    again.close()
    runner.stop()


def test_one_is_on_the_map_and_what_is_kept_is_a_usual_result(dock, strip, scene, iface):
    assert strip.isHidden()
    with MainThreadMeter() as meter:
        make(dock, scene, 4)
    assert meter.longest < meter.allowed, meter.where
    assert [row.run.inputs["seed"] for row in dock.runs.model.rows] == [44, 43, 42, 41]
    assert len(shown(scene)) == 1  # the first that came
    names = [node.name() for node in QgsProject.instance().layerTreeRoot().children()]
    assert names == ["Text2Earth", scene.name()]
    view = iface.mapCanvas().extent()
    for place in (2, 0):
        click(strip, place)
        assert shown(scene) == [SEED + place]
        assert f"{place + 1} of 4 on the map, seed {SEED + place}" == strip.caption.text()
    assert iface.mapCanvas().extent() == view
    until(lambda: not any(strip.pictures.thumbnails.of(one.run.target).isNull() for one in ready(dock)))
    grab("variants")
    strip.pictures.setFocus()
    QTest.keyClick(strip.pictures, Qt.Key.Key_Right)
    assert shown(scene) == [SEED + 1]
    strip.keep.click()
    group = QgsProject.instance().layerTreeRoot().findGroup("Text2Earth")
    assert [layer.name().rsplit(" ", 1)[1] for layer in group.findLayers() if layer.parent() is group] == [
        str(SEED + 1)
    ]
    assert shown(scene) == [SEED + 1]
    click(strip, 0)
    assert shown(scene) == [SEED, SEED + 1]  # over the one that is kept
    QTest.keyClick(strip.pictures, Qt.Key.Key_Delete)
    assert shown(scene) == [SEED + 2, SEED + 1]
    assert all(Path(row.run.target).is_file() for row in dock.runs.model.rows)
    seen_by_next_start(dock, [SEED + 2, SEED + 3])
    strip.keep_all.trigger()
    assert strip.isHidden()
    seen_by_next_start(dock, [])
    assert [node.parent() is group for node in group.findLayers()] == [True, True, True]
    choices = {
        row.run.inputs["seed"]: dock.runner.run_of(row.run.target).choice for row in dock.runs.model.rows
    }
    assert choices == {SEED: variants.DISCARDED, **dict.fromkeys((42, 43, 44), variants.KEPT)}


def test_a_variant_is_what_its_seed_alone_gives_and_an_empty_seed_is_drawn_once(dock, strip, scene):
    make(dock, scene, 2)
    second = ready(dock)[1].run
    dock.runs.choose(second.key)
    dock.runs.buttons["use_again"].click()
    assert (dock.request.seed.value(), dock.request.seed.variants()) == (SEED + 1, 1)
    until(lambda: dock.planned is not None)
    dock.run_button.click()
    alone = dock.runs.model.rows[0].run.key
    until(lambda: dock.runs.row(alone).run.state == "fetched")
    files = [gdal.Open(run.target).ReadRaster() for run in (second, dock.runs.row(alone).run)]
    assert files[0] == files[1]
    strip.discard_all.trigger()
    make(dock, scene, 2, seed=None)
    first, other = (one.run.recipe["seed"] for one in ready(dock))
    assert other == first + 1


def test_variants_of_an_edit_send_the_raster_once(dock, strip, form, scene, backend):
    form.mask.choose(polygons([square(scene, 100, 100, 40)], scene.crs()))
    form.prompt.setPlainText("a lake")
    form.seed.set_variants(3)
    until(dock.run_button.isEnabled)
    dock.run_button.click()
    sent = set()
    until(lambda: sent.update(path.name.split(".")[0] for path in backend.uploads) or len(ready(dock)) == 3)
    assert len(sent) == 1
    until(lambda: not backend.uploads)  # nothing needs it any more
    runs = [one.run for one in ready(dock)]
    assert len({run.recipe["seed"] for run in runs}) == 3
    parts = [bytes(gdal.Open(run.target).ReadRaster()) for run in runs]
    assert len(set(parts)) == 3
    click(strip, 1)
    nodes = QgsProject.instance().layerTreeRoot().findLayers()
    assert [node.layer() is scene for node in nodes if node.isVisible()][-2:] == [False, True]
    grab("variants-edit")


def test_discarding_one_that_is_on_its_way_stops_it(dock, strip, scene):
    dock.request.seed.set_value(SEED)
    dock.request.seed.set_variants(8)
    dock.request.advanced.steps.setValue(200)
    ask(dock, scene, gsd=1.0)
    assert dock.planned.variants == 8
    dock.run_button.click()
    until(lambda: any(row.run.state == "running" for row in dock.runs.model.rows))
    assert len(strip.keys) == 8
    grab("variants-running")
    click(strip, 7)
    strip.discard.click()
    assert len(strip.keys) == 7
    strip.discard_all.trigger()
    until(lambda: not dock.runner.under_way())
    assert strip.isHidden()
    assert {row.run.state for row in dock.runs.model.rows} == {"dismissed"}
