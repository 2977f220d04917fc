"""The plugin in the window: what it registers, and that it takes everything back."""

from __future__ import annotations

import gc
import importlib
import json
import os
import re
import subprocess
import sys
import time

import pytest
from qgis import utils
from qgis.core import QgsApplication, QgsMapLayer, QgsProject, QgsSettings
from qgis.gui import QgsMapCanvasItem, QgsMapTool, QgsOptionsWidgetFactory
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QAbstractAnimation, QObject, QSortFilterProxyModel, Qt, QTimer
from qgis.PyQt.QtWidgets import QApplication, QDialog, QDockWidget, QToolBar, QTreeView, QWidget

from launcher import ROOT
from tests.support.qgis.sessions import run_session
from tests.support.qgis.window import PATIENCE, MainThreadMeter, grab, settle, until

NAME = "text2earth_qgis"
SCROLL_BAR = 14  # pixels


def alive(kind: type) -> int:
    """Count the Python-made objects of a kind whose C++ half lives."""
    return sum(1 for thing in gc.get_objects() if isinstance(thing, kind) and not sip.isdeleted(thing))


def pages(iface) -> int:
    """Count our pages in the options dialog."""
    found = []

    def look() -> None:
        dialog = next(w for w in QApplication.topLevelWidgets() if isinstance(w, QDialog) and w.isVisible())
        tree = dialog.findChild(QTreeView, "mOptionsTreeView")
        model = tree.model()
        if isinstance(model, QSortFilterProxyModel):
            model = model.sourceModel()
        found.append(len(model.match(model.index(0, 0), Qt.ItemDataRole.DisplayRole, "Text2Earth", -1)))
        dialog.reject()

    QTimer.singleShot(0, look)
    iface.showOptionsDialog(iface.mainWindow(), "")
    return found[0]


def census(iface) -> dict[str, int]:
    """Count everything that a plugin can leave behind."""
    until(lambda: not iface.mapCanvas().isDrawing() and not QgsApplication.taskManager().activeTasks())
    for _ in range(3):
        settle()
        gc.collect()
    main = iface.mainWindow()
    return {
        "providers": len(QgsApplication.processingRegistry().providers()),
        "docks": len(main.findChildren(QDockWidget)),
        "toolbars": len(main.findChildren(QToolBar)),
        "raster menu": len(iface.rasterMenu().actions()),
        # QGIS's own progress bar has an animation while a map is drawn.
        "window actions": len(main.findChildren(QObject))
        - len(main.findChildren(QWidget))
        - len(main.findChildren(QAbstractAnimation)),
        "canvas items": len(iface.mapCanvas().scene().items()),
        "widgets": len(QApplication.allWidgets()),
        "receivers of the canvas": iface.mapCanvas().receivers(iface.mapCanvas().mapToolSet),
        "receivers of the project": QgsProject.instance().receivers(QgsProject.instance().cleared),
        **{
            kind.__name__: alive(kind)
            for kind in (QTimer, QgsMapTool, QgsMapCanvasItem, QgsOptionsWidgetFactory, QgsMapLayer)
        },
    }


@pytest.mark.fast
def test_three_times_loaded_and_unloaded_leaves_nothing(iface, scene):
    def off() -> dict[str, int]:
        utils.unloadPlugin(NAME)
        return census(iface)

    def on() -> dict[str, int]:
        assert utils.loadPlugin(NAME)
        assert utils.startPlugin(NAME)
        utils.plugins[NAME].window.show_dock()
        settle()
        return census(iface)

    mine = {name: one for name, one in sys.modules.items() if name.split(".")[0] == NAME}
    off()  # the first time counts what QGIS itself makes once
    on()
    without, seen = off(), []
    for _ in range(3):
        seen.append((on(), off()))
    sys.modules.update(mine)  # else classes that other tests have imported would be others than the plugin's
    on()  # also where it fails: later tests need it

    def grown(counts, before):  # something of QGIS's own may go meanwhile, such as the timer of a message
        return [{name for name in before if count[name] > before[name]} for count in counts]

    assert grown([after for _, after in seen], without) == [set()] * 3, (without, seen)
    assert grown([with_it for with_it, _ in seen], seen[0][0]) == [set()] * 3, seen
    assert seen[0][0]["docks"] == without["docks"] + 1
    assert pages(iface) == 1
    off()
    none = pages(iface)
    sys.modules.update(mine)
    on()
    assert none == 0


@pytest.mark.fast
def test_the_panel_is_there_at_once(iface, scene, backend, tmp_path):
    """Made and laid out for the first time; in processor time, as the meter measures."""
    settings = importlib.import_module("text2earth_qgis.core.settings")
    settings.save(settings.Settings(url=backend.url, folder=str(tmp_path)))
    plugin = utils.plugins[NAME]
    plugin.unload()
    settle()
    began = time.thread_time()
    plugin.initGui()
    plugin.window.show_dock()
    settle()
    took = time.thread_time() - began
    assert plugin.window.dock.request.isVisible()
    assert took <= 6 * MainThreadMeter().allowed


def test_the_menu_and_the_toolbar_open_the_dock(iface, window, scene):
    menu = next(a.menu() for a in iface.rasterMenu().actions() if a.menu() and "Text2Earth" in a.text())
    actions = {action.objectName().removeprefix("mActionText2Earth"): action for action in menu.actions()}
    assert list(actions) == ["", "Run", "Brush", "SetUp", "Options", "Guide"]
    toggle = actions[""]
    assert toggle.isCheckable()
    bar = iface.mainWindow().findChild(QToolBar, "Text2EarthToolBar")
    assert bar.actions() == [toggle]
    window.dock.setUserVisible(False)
    settle()
    assert not toggle.isChecked()
    toggle.trigger()
    settle()
    assert window.dock.isVisible()
    assert toggle.isChecked()
    assert window.dock.objectName()
    assert not any(action.icon().isNull() for action in actions.values())
    actions["SetUp"].trigger()
    assert window.dock.front.on_setup
    window.dock.front.back.click()
    assert not window.dock.front.on_setup


def test_the_options_page_tests_and_stores(iface, window, backend, tmp_path):
    page_module = importlib.import_module("text2earth_qgis.gui.options.page")
    QgsSettings().setValue("text2earth/url", "http://127.0.0.1:9")
    seen = {}

    def fill() -> None:
        dialog = next(w for w in QApplication.topLevelWidgets() if isinstance(w, QDialog) and w.isVisible())
        page = dialog.findChild(page_module.OptionsPage)  # newer versions put it into a widget of its name
        seen["shown"] = page.isVisible() and page.servers.url.text()
        page.test_connection()
        until(page.test.isEnabled)
        seen["trouble"] = page.outcome.text()
        grab("options-trouble", dialog)
        assert not page.models.table.topLevelItemCount()
        page.servers.add_button.click()
        page.servers.name.setText("Tiny")
        page.servers.url.setText(backend.url)
        page.folder.setFilePath(str(tmp_path))
        page.test_connection()
        until(page.test.isEnabled)
        seen["good"] = page.outcome.text()
        seen["models"] = page.models.table.topLevelItemCount()
        grab("options", dialog)
        dialog.accept()

    QTimer.singleShot(0, fill)
    window.show_options()
    assert seen["shown"] == "http://127.0.0.1:9"
    assert "No backend answers at http://127.0.0.1:9" in seen["trouble"]
    assert "Connected to this computer" in seen["good"]
    assert "Tiny random model" in seen["good"]
    assert "Also: " in seen["good"]
    assert "Memory of that computer: " in seen["good"]
    assert seen["models"] > 3
    assert QgsSettings().value("text2earth/url") == backend.url
    named = json.loads(QgsSettings().value("text2earth/servers"))[-2:]
    assert [one["name"] for one in named] == ["127.0.0.1", "Tiny"]
    assert QgsSettings().value("text2earth/folder") == str(tmp_path)
    until(lambda: window.dock.connection.state.ready)


def test_qgis_process_needs_no_window_and_speaks_the_user_s_language(tmp_path):
    done = subprocess.run(
        [ROOT / ".ci" / "qgis", "--set", "locale/userLocale=de", "process", "list"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert re.search(r"text2earth:generate\s+Bilder erzeugen", done.stdout)


def test_a_refusal_of_the_backend_is_in_the_user_s_language(backend, tmp_path):
    asked = (
        *("PROMPT=a forest", "EXTENT=500000,500512,5800000,5800512 [EPSG:32633]"),
        *("GSD=500", f"OUTPUT={tmp_path / 'a.tif'}"),
    )
    done = subprocess.run(
        [
            ROOT / ".ci/qgis",
            "--set",
            "locale/userLocale=de",
            "process",
            "run",
            "text2earth:generate",
            "--",
            *asked,
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=os.environ | {"TEXT2EARTH_BACKEND_URL": backend.url},
    )
    assert done.returncode
    assert re.search(
        "erzeugt Bilder von .* Meter je Pixel am Boden, nicht von 500", done.stdout + done.stderr
    )


def test_the_panel_speaks_the_user_s_language(tmp_path):
    done = run_session("german", tmp_path, "--set", "locale/userLocale=de")
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads((tmp_path / "job").read_text())
    assert seen["run"] == "Ausführen"
    assert max(seen["widths"]) <= 300 - SCROLL_BAR, "words too long for a narrow panel"
