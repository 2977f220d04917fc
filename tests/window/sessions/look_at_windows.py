"""Looks at what is outside of the dock: options, dialogs of the toolbox, menus of window and layers."""

from __future__ import annotations

import processing
from looking import grab, grab_menu, window
from qgis.core import QgsProject
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QApplication, QGroupBox, QScrollArea
from qgis.utils import iface

from tests.support.qgis.window import settle, until
from text2earth_qgis.gui.options.page import OptionsPage

ALGORITHMS = "generate", "edit", "extend"
PULLED = "text2earth-inpainting"


def look(dock, scene) -> None:
    """Go through the windows."""
    options(dock)
    toolbox(scene)
    grab_menu("menu", window()._commands._menu)
    layers(scene)


def options(dock) -> None:
    """The page of options: this computer, tested, a model that is not there, its licence, a server."""
    QTimer.singleShot(0, lambda: until(lambda: QApplication.activeModalWidget() and options_page(dock)))
    window().show_options()


def options_page(dock) -> bool:
    """Look at the page in its dialog, and close that."""
    dialog = QApplication.activeModalWidget()
    page = dialog.findChild(OptionsPage)
    dialog.resize(900, 860)
    grab("options", dialog)
    page.test.click()
    until(page.test.isEnabled)
    grab("options-tested", dialog)
    ids = [card["id"] for card in dock.connection.state.models]
    page.models.table.setCurrentItem(page.models.table.topLevelItem(ids.index(PULLED)))
    grab("options-model", dialog)
    page.models._ask()
    grab("options-licence", dialog)
    page.models.outcome.hide()
    page.servers.add_button.click()
    grab("options-server-new", dialog)
    page.servers.name.setText("Office")
    page.servers.url.setText("https://gpu.example.org:8443")
    grab("options-server", dialog)
    dialog.reject()
    return True


def toolbox(scene) -> None:
    """The dialogs of the algorithms, all of their fields."""
    for name in ALGORITHMS:
        dialog = processing.createAlgorithmDialog(f"text2earth:{name}", {"INPUT": scene.id()})
        dialog.resize(980, 760)
        dialog.show()
        grab(f"toolbox-{name}", dialog)
        dialog.findChild(QGroupBox, "grpAdvanced").setProperty("collapsed", False)
        settle()
        for area in dialog.findChildren(QScrollArea):
            area.verticalScrollBar().setValue(area.verticalScrollBar().maximum())
        grab(f"toolbox-{name}-below", dialog)
        dialog.close()
        dialog.deleteLater()


def layers(scene) -> None:
    """The menus of a layer of the user's, and of one that was made here."""
    tree = iface.layerTreeView()
    ours = [
        layer
        for layer in QgsProject.instance().mapLayers().values()
        if "text2earth/recipe" in layer.customPropertyKeys()
    ]
    for name, layer in (("layer", scene), ("layer-ours", ours[0])):
        iface.setActiveLayer(layer)
        settle()
        menu = tree.menuProvider().createContextMenu()
        grab_menu(f"menu-{name}", menu)
        ours_of_it = [
            action.menu() for action in menu.actions() if action.menu() and action.text() == "Text2Earth"
        ]
        grab_menu(f"menu-{name}-below", ours_of_it[0])
