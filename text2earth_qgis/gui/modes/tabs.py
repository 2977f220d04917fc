"""The tabs of the dock: which mode is shown, and what each remembers from one session to the next."""

from __future__ import annotations

import json

from qgis.core import QgsSettings
from qgis.PyQt.QtWidgets import QTabBar, QVBoxLayout, QWidget

from text2earth_qgis.core.language import tr
from text2earth_qgis.core.settings import PREFIX
from text2earth_qgis.gui.modes.mode import Mode

MEMORY = PREFIX + "gui/modes/"  # and the key of the mode
CHOSEN = PREFIX + "gui/mode"


class ModeTabs(QTabBar):
    """One tab for each mode; ``forms`` holds their forms, of which one is seen."""

    def __init__(self, modes: tuple[Mode, ...]) -> None:
        super().__init__()
        self.modes = modes
        self.setDocumentMode(True)
        self.setExpanding(True)
        self.setDrawBase(True)
        self.setAccessibleName(tr("What to make"))
        self.forms = QWidget()
        below = QVBoxLayout(self.forms)
        below.setContentsMargins(0, 0, 0, 0)
        for mode in modes:
            below.addWidget(mode.panel)
            self.addTab(mode.title)

    @property
    def mode(self) -> Mode:
        """The mode that is shown."""
        return self.modes[self.currentIndex()]

    def turn_to(self, mode: Mode) -> None:
        """Show another mode."""
        self.setCurrentIndex(self.modes.index(mode))

    def show_mode(self, visible: bool) -> None:
        """Show the form of the chosen mode, and where ``visible`` what belongs to it on the map."""
        for mode in self.modes:
            mode.panel.setVisible(mode is self.mode)
            mode.show(visible and mode is self.mode)
            if mode is not self.mode:
                mode.stop()

    def store(self) -> None:
        """Keep what the forms say for the next session."""
        stored = QgsSettings()
        for mode in self.modes:
            stored.setValue(MEMORY + mode.key, json.dumps(mode.memory()))
        stored.setValue(CHOSEN, self.mode.key)

    def recall(self) -> None:
        """Show what ``store`` kept."""
        stored = QgsSettings()
        for mode in self.modes:
            mode.recall(json.loads(stored.value(MEMORY + mode.key, "") or "{}"))
        keys = [mode.key for mode in self.modes]
        chosen = stored.value(CHOSEN, "")
        self.setCurrentIndex(keys.index(chosen) if chosen in keys else 0)
