"""Menu and keyboard: what can be done without the mouse, and the user guide at F1."""

from __future__ import annotations

import pytest
from qgis.core import QgsApplication
from qgis.gui import QgsGui
from qgis.PyQt.QtCore import QObject, QPoint, Qt, QUrl, pyqtSlot
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication

from tests.support.qgis.window import settle, until
from text2earth_qgis.core import paths

OURS = {"Ctrl+Alt+I", "Ctrl+Alt+Return", "Ctrl+Alt+B"}


class Browser(QObject):
    """Takes files that are to be opened, in place of a browser."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []

    @pyqtSlot(QUrl)
    def open(self, url: QUrl) -> None:
        self.opened.append(url.toLocalFile())


@pytest.fixture
def browser():
    one = Browser()
    QDesktopServices.setUrlHandler("file", one, "open")
    yield one
    QDesktopServices.unsetUrlHandler("file")


def press(dock, widget, key: Qt.Key) -> None:
    """Press a key where the user is."""
    QApplication.setActiveWindow(dock.window())
    widget.setFocus()
    settle()
    QTest.keyClick(QApplication.focusWidget() or widget, key)
    settle()


def test_f1_opens_the_page_of_what_is_shown(dock, window, browser):
    for mode in dock.tabs.modes:
        dock.turn_to(mode)
        press(dock, mode.panel.prompt, Qt.Key.Key_F1)
        assert browser.opened.pop() == str(paths.guide_page(mode.section))
        assert paths.guide_page(mode.section).name == f"{mode.section}.html", "the package has that page"
        assert not browser.opened
    window._front.open()
    window.show_guide()
    assert browser.opened == [str(paths.guide_page("connect"))]
    window._front.leave()


def test_the_algorithms_tell_where_their_page_is(iface):
    for name in ("generate", "edit", "extend"):
        algorithm = QgsApplication.processingRegistry().algorithmById(f"text2earth:{name}")
        page = QUrl(algorithm.helpUrl()).toLocalFile()
        assert page.endswith(".html")
        assert page == str(paths.guide_page(algorithm.about.section))


def test_shortcuts_are_free_and_can_be_chosen_by_the_user(window):
    manager = QgsGui.shortcutsManager()
    taken: dict[str, list[str]] = {}
    for action in manager.listActions():
        for sequence in action.shortcuts():
            taken.setdefault(sequence.toString(), []).append(action.objectName())
    assert set(taken) >= OURS
    for shortcut in OURS:
        assert len(taken[shortcut]) == 1, (shortcut, taken[shortcut])
        (name,) = taken[shortcut]
        assert name.startswith("mActionText2Earth")


def test_run_and_brush_from_the_keyboard(dock, window, scene, iface):
    actions = {action.objectName(): action for action in QgsGui.shortcutsManager().listActions()}
    dock.hide()
    actions["mActionText2EarthRun"].trigger()
    until(dock.isVisible)
    assert not dock.runner.under_way(), "first the user sees what would be run"
    dock.turn_to(dock.edit)
    dock.edit.form.source.setLayer(scene)
    dock.turn_to(dock.generate)
    actions["mActionText2EarthBrush"].trigger()
    assert dock.mode is dock.edit
    assert iface.mapCanvas().mapTool() is dock.edit.brush
    actions["mActionText2EarthBrush"].trigger()
    assert iface.mapCanvas().mapTool() is not dock.edit.brush


@pytest.mark.parametrize("key", ["generate", "edit"])
def test_tab_goes_through_the_form_from_top_to_bottom(dock, scene, key):
    mode = next(mode for mode in dock.tabs.modes if mode.key == key)
    dock.turn_to(mode)
    dock.edit.form.source.setLayer(scene)
    QApplication.setActiveWindow(dock.window())
    settle()
    widget, seen = mode.panel, []
    for _ in range(400):
        widget = widget.nextInFocusChain()
        if widget is mode.panel:
            break
        tabbed = widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisible() and widget.isEnabled()
        if tabbed and mode.panel.isAncestorOf(widget):
            seen.append(widget)
    places = [one.mapTo(mode.panel, QPoint(0, 0)) for one in seen]
    assert len(seen) > 5
    for before, after, one in zip(places, places[1:], seen[1:], strict=False):
        assert after.y() >= before.y() - 12, (one.accessibleName() or one.objectName(), before, after)


def test_the_message_of_a_failure_opens_the_log(dock, iface):
    dock.results.report("That did not work.")
    item = iface.messageBar().currentItem()
    button = next(one for one in item.findChildren(type(dock.run_button)) if one.text() == "Show log")
    button.click()
    until(lambda: iface.mainWindow().findChild(QObject, "MessageLog").isVisible())
    iface.mainWindow().findChild(QObject, "MessageLog").hide()
