"""Looks at runs: under way, over, several, those of years; at variants, and at what is told when one ends."""

from __future__ import annotations

from dataclasses import replace

from looking import grab, grab_menu, grab_window, window
from qgis.core import QgsProject
from qgis.PyQt.QtCore import QPoint, QTimer
from qgis.PyQt.QtWidgets import QApplication, QMenu
from qgis.utils import iface

from tests.support.qgis.dock import PROMPT
from tests.support.qgis.runs import years_of_runs
from tests.support.qgis.window import box, until


def look(dock, scene) -> None:
    """Go through the states."""
    iface.messageBar().clearWidgets()
    under_way(dock, scene)
    finished(dock)
    variants(dock)
    edited(dock)
    extended(dock)
    listed(dock)


def newest(dock) -> str:
    """Return the key of the run on top."""
    return dock.runs.model.rows[0].run.key


def state(dock, key: str) -> str:
    return dock.runs.row(key).run.state


def done(dock) -> str:
    """Press Run, wait for the result, and return its key."""
    until(dock.run_button.isEnabled)
    dock.run_button.click()
    key = newest(dock)
    until(lambda: state(dock, key) == "fetched")
    return key


def under_way(dock, scene) -> None:
    """One that runs, with others in the queue."""
    dock.turn_to(dock.generate)
    iface.mapCanvas().setExtent(scene.extent())
    form = dock.request
    form.prompt.setPlainText(PROMPT)
    form.gsd.set_value(2.0)
    form.advanced.steps.setValue(200)
    form.extent.take(box(scene, 0.5))
    keys = []
    for _ in range(3):
        until(dock.run_button.isEnabled)
        dock.run_button.click()
        keys.append(newest(dock))
        until(lambda: state(dock, keys[-1]) in ("accepted", "running"))
    until(lambda: state(dock, keys[0]) == "running" and dock.previews.items())
    grab_window("running")
    for key in keys:
        dock.runner.cancel(key)
    until(lambda: all(state(dock, key) == "dismissed" for key in keys))
    grab("cancelled", dock)


def finished(dock) -> None:
    """One that is there: told, chosen, its menu, and the question whether it is to go."""
    dock.request.gsd.set_value(4.0)
    dock.request.advanced.steps.setValue(2)
    key = done(dock)
    dock.runs.choose(key)
    until(lambda: iface.messageBar().items())
    grab_window("finished")
    iface.messageBar().clearWidgets()
    QTimer.singleShot(400, lambda: (grab_open_menu("menu-run"), None))
    place = dock.runs.view.visualRect(dock.runs.view.currentIndex()).center()
    dock.runs.view.customContextMenuRequested.emit(QPoint(place))
    dock.runs.buttons["removed"].click()
    grab("remove", dock)
    dock.runs.question.hide()
    run = dock.runner.run(key)
    dock.results.offer(replace(run, project="/home/somebody/county.qgz"))
    grab_window("offered")
    iface.messageBar().clearWidgets()


def grab_open_menu(name: str) -> None:
    """Grab a menu that waits for an answer, and close it."""
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    grab(name, menu)
    menu.close()


def variants(dock) -> None:
    """A few under way, all there, one on the map."""
    dock.request.seed.set_variants(5)
    dock.request.advanced.steps.setValue(30)
    until(lambda: dock.planned is not None and dock.planned.variants == 5)
    dock.run_button.click()
    strip = dock.variants.strip
    until(lambda: any(one.ready for one in strip.pictures.pictures.variants))
    grab("variants-running", dock)
    until(lambda: sum(one.ready for one in strip.pictures.pictures.variants) == 5)
    strip.pictures.chosen.emit(strip.keys[1])
    grab_window("variants")
    grab_menu("menu-variants", strip.all.menu())
    strip.discard_all.trigger()
    dock.request.seed.set_variants(1)
    dock.request.advanced.steps.setValue(2)
    iface.messageBar().clearWidgets()


def edited(dock) -> None:
    """An edit under way and finished, and compared with the raster."""
    dock.turn_to(dock.edit)
    until(dock.run_button.isEnabled)
    dock.run_button.click()
    key = newest(dock)
    until(lambda: state(dock, key) in ("running", "fetched"))
    grab("edit-running", dock)
    until(lambda: state(dock, key) == "fetched" and iface.messageBar().items())
    grab_window("edit-finished")
    iface.messageBar().clearWidgets()
    dock.results._compare(dock.runner.run(key))
    until(lambda: window()._swipe.curtain is not None and window()._swipe.curtain.sides)
    grab_window("swipe")
    window()._swipe.leave()


def extended(dock) -> None:
    """An extension that is there."""
    dock.turn_to(dock.extend)
    dock.extend.form.fill.setChecked(True)
    done(dock)
    until(lambda: iface.messageBar().items())
    grab_window("extend-finished")
    iface.messageBar().clearWidgets()


def listed(dock) -> None:
    """The list after years, searched, one that failed and what is said of it, one that waits."""
    history = dock.runner._history
    years_of_runs(history, 40)
    whole = history.get(newest(dock))
    history.put(
        replace(whole, key="waiting", state="successful", server="https://gpu.example.org", target="/x.tif")
    )
    dock.runs.read(dock.runner.latest)
    dock.runs.view.scrollToTop()
    grab("runs", dock)
    dock.divided.setSizes([1, 10_000])
    grab("runs-of-years", dock)
    failed = next(row for row in dock.runs.model.rows if row.run.state == "failed")
    dock.runs.choose(failed.run.key)
    grab("run-failed", dock)
    dock._complain(dock.runner.run(failed.run.key), "")
    grab_window("failed")
    iface.messageBar().clearWidgets()
    for name, wanted in (("searched", "harbour"), ("searched-in-vain", "harbour moose")):
        dock.runs.search.setText(wanted)
        until(lambda wanted=wanted: dock.runs.model.words == wanted)
        grab(name, dock)
    dock.runs.search.clear()
    until(lambda: not dock.runs.model.words)
    dock.runs.view.selectAll()
    dock.runs.buttons["removed"].click()
    grab("remove-several", dock)
    next(iter(dock.runs.question.actions().values())).click()
    grab("removed", dock)
    dock.removals.undo()
    dock.divided.divide()
    QgsProject.instance().layerTreeRoot().setItemVisibilityChecked(True)
