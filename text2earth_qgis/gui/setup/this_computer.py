"""The way "On this computer": installs a backend here, brings it up to date, mends it, removes it.

Shows the states of an ``Installer``; knows no server and no layer.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Optional

from qgis.core import QgsSettings
from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import QTimer, pyqtSignal
from qgis.PyQt.QtGui import QFontDatabase, QShowEvent, QTextOption
from qgis.PyQt.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QRadioButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.local import tools
from text2earth_qgis.core.local.installation import MOST_LINES, Phase, State, Wish
from text2earth_qgis.core.local.installer import Installer
from text2earth_qgis.core.paths import version
from text2earth_qgis.core.settings import PREFIX
from text2earth_qgis.core.tasks import BackgroundTask
from text2earth_qgis.gui import words
from text2earth_qgis.gui.accessible import name_fields
from text2earth_qgis.gui.notice import Notice
from text2earth_qgis.gui.panels.fields import fold

SOURCE = PREFIX + "gui/packages_from"
LIGHT = tr(
    "Land by example: real images, rearranged. Enough on any laptop. 500 MB on disk, installed in about "
    "70 s, half of which is compiling for your processor."
)
FULL = tr(
    "Diffusion models too (PyTorch, on the processor or an NVIDIA card). 1.6 GB on disk and some 2 minutes; "
    "for an NVIDIA card several GB. Their weights come later."
)
INDEX = tr("The package index")
STEPS = 1000  # of the progress bar
TICK_MS = 500
INDENT = 20  # pixels, of what is said of a choice


class ThisComputer(QWidget):
    """The widgets. ``installed`` follows once the backend answers, ``removed`` once it is gone."""

    installed = pyqtSignal()
    removed = pyqtSignal()

    def __init__(self, installer: Installer, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._installer = installer
        self._lines = 0  # of the log that are shown
        self._removing = False
        self._counting: Optional[BackgroundTask] = None
        self.light, self.full = QRadioButton(tr("Light")), QRadioButton(tr("Full"))
        self.light.setChecked(True)
        self.source, self.python = QLineEdit(), QgsFileWidget()
        self.install_button = QPushButton(tr("Install"))
        self.cancel_button = QPushButton(tr("Cancel"))
        self.title, self.bar, self.elapsed = _text(), QProgressBar(), _text()
        self.outcome = Notice()
        self.about = _text()
        self.update_button, self.repair_button = QPushButton(tr("Update")), QPushButton(tr("Repair"))
        self.more_button, self.remove_button = QPushButton(tr("Add diffusion")), QPushButton(tr("Remove"))
        self.log = QPlainTextEdit()
        self._tick = QTimer(self)
        self._tick.setInterval(TICK_MS)
        self._tick.timeout.connect(self._show_time)
        self._began = 0.0
        self._lay_out()
        self.install_button.clicked.connect(lambda _checked=False: self._install(anew=True))
        self.repair_button.clicked.connect(lambda _checked=False: self._install(anew=True))
        self.update_button.clicked.connect(lambda _checked=False: self._install(anew=False))
        self.more_button.clicked.connect(lambda _checked=False: self._add_diffusion())
        self.remove_button.clicked.connect(lambda _checked=False: self._ask_whether_to_remove())
        self.cancel_button.clicked.connect(lambda _checked=False: installer.cancel())
        installer.changed.connect(self._show)
        self._show(installer.state)

    def _lay_out(self) -> None:
        self._choice, self._work, self._there = QWidget(), QWidget(), QWidget()
        small, large = _text(LIGHT), _text(FULL)
        for text in (small, large):
            text.setIndent(INDENT)
        _column(self._choice, self.light, small, self.full, large)
        self.bar.setRange(0, STEPS)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(tr("Progress of the installation"))
        _column(self._work, self.title, self.bar, _row(self.elapsed, self.cancel_button))
        _column(
            self._there,
            self.about,
            _row(self.update_button, self.more_button),
            _row(self.repair_button, self.remove_button),
        )
        self._packages = fold(tr("Source of packages"), self._sources())
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(MOST_LINES)
        self.log.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.log.setWordWrapMode(QTextOption.WrapMode.WrapAnywhere)
        self.log.setMinimumHeight(160)
        self.log.setAccessibleName(tr("Log of the installation"))
        self.log_box = fold(tr("Log"), self.log)
        parts = (self.outcome, self._choice, self._there, self._packages, self.install_button)
        _column(self, *parts, self._work, self.log_box)

    def _sources(self) -> QWidget:
        self.source.setPlaceholderText(INDEX)
        self.source.setText(QgsSettings().value(SOURCE, "", type=str))
        self.source.setToolTip(
            tr(
                "A wheel of the backend, a folder of wheels, or addresses of indexes; empty: PyPI, or what "
                "pip is set up for"
            )
        )
        browse = QToolButton()
        browse.setText("…")
        browse.setAccessibleName(tr("Choose wheels"))
        browse.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(browse)
        menu.addAction(tr("A folder of wheels…"), self._choose_folder)
        menu.addAction(tr("A wheel…"), self._choose_wheel)
        browse.setMenu(menu)
        self.python.lineEdit().setPlaceholderText(tr("Found by itself"))
        self.python.setToolTip(
            tr(
                "The Python that the environment is made with, 3.11, 3.12 or 3.13;"
                " QGIS's own is never touched"
            )
        )
        content = QWidget()
        form = QFormLayout(content)
        form.setContentsMargins(0, 0, 0, 0)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow(tr("Source"), _row(self.source, browse))
        form.addRow(tr("Python"), self.python)
        name_fields(form)
        self.source.setAccessibleName(tr("Source of packages"))
        return content

    def _choose_folder(self) -> None:
        self._take_source(QFileDialog.getExistingDirectory(self, tr("Folder of wheels"), self.source.text()))

    def _choose_wheel(self) -> None:
        self._take_source(
            QFileDialog.getOpenFileName(self, tr("Wheel"), self.source.text(), tr("Wheels (*.whl)"))[0]
        )

    def _take_source(self, chosen: str) -> None:
        if chosen:
            self.source.setText(chosen)

    def _install(self, anew: bool, full: Optional[bool] = None) -> None:
        there = self._installer.environment.installed()
        if full is None:
            full = there.full if there is not None else self.full.isChecked()
        source = self.source.text().strip()
        QgsSettings().setValue(SOURCE, source)
        if source and "://" not in source and not Path(source).exists():
            self.outcome.tell(
                tr("{source} is not there. Choose the wheel or the folder of wheels again.").format(
                    source=source
                ),
                "warning",
            )
            self._packages.setCollapsed(False)
            return
        self._begin()
        self._installer.install(
            Wish(version(), full, source, anew), tools.find(self.python.filePath().strip())
        )

    def _begin(self, removing: bool = False) -> None:
        self._removing = removing
        self._began = time.monotonic()
        self._lines = 0
        self.log.clear()
        self._tick.start()

    def _add_diffusion(self) -> None:
        self._install(anew=False, full=True)

    def _ask_whether_to_remove(self) -> None:
        self.outcome.tell(
            tr("Remove the backend from this computer? Results, jobs and downloaded models stay."),
            "warning",
            {tr("Remove it"): self._remove, tr("Keep it"): self.outcome.hide},
        )

    def _remove(self) -> None:
        self._begin(removing=True)
        self._installer.remove()

    def tell(self, failure: str) -> None:
        """Say why the backend that is installed does not start; '' if there is nothing to say."""
        if failure:
            self.outcome.tell(failure, "failed")
        elif not self._installer.state.busy:
            self.outcome.hide()

    def showEvent(self, event: Optional[QShowEvent]) -> None:
        """Look anew what is installed: another QGIS may have changed that."""
        super().showEvent(event)
        self._arrange(self._installer.state)

    def _show(self, state: State) -> None:
        """Show a state of the installation."""
        self._arrange(state)
        if not state.busy:
            self._tick.stop()
            self._show_end(state)

    def _arrange(self, state: State) -> None:
        """Show what belongs to a state, and to what is installed."""
        there = self._installer.environment.installed()
        self._choice.setVisible(not state.busy and there is None)
        self.install_button.setVisible(not state.busy and there is None)
        self._packages.setVisible(not state.busy)
        self._there.setVisible(not state.busy and there is not None)
        self._work.setVisible(state.busy)
        self._extend_log(state)
        self.log_box.setVisible(bool(state.log))
        if state.busy:
            self.outcome.hide()
            self._show_work(state)
        elif there is not None:
            self.update_button.setVisible(there.version != version())
            self.more_button.setVisible(not there.full)
            self._describe()

    def _extend_log(self, state: State) -> None:
        if len(state.log) > self._lines:
            self.log.appendPlainText("\n".join(state.log[self._lines :]))
            self._lines = len(state.log)

    def _show_work(self, state: State) -> None:
        if state.phase is Phase.STOPPING:
            self.title.setText(tr("Cancelling…"))
        else:
            step, steps = state.step
            self.title.setText(
                tr("Step {step} of {steps}: {title}").format(
                    step=step, steps=steps, title=state.command.title
                )
            )
        self.cancel_button.setEnabled(state.phase is Phase.WORKING)
        self.bar.setValue(max(self.bar.value() if state.at or state.log else 0, round(STEPS * state.share)))
        self._show_time()

    def _show_time(self) -> None:
        self.elapsed.setText(words.duration(time.monotonic() - self._began))

    def _show_end(self, state: State) -> None:
        """Say how it ended."""
        self.bar.setValue(0)
        if state.phase is Phase.FAILED:
            self.outcome.tell(state.sentence, "failed", {tr("Change source or Python"): self._unfold})
            self.log_box.setCollapsed(not state.output)
        elif state.phase is Phase.CANCELLED:
            text = tr("Cancelled. If what was there does not start any more, repair it.")
            if self._installer.environment.installed() is None:
                text = tr("Cancelled. What was installed so far has been removed.")
            self.outcome.tell(text, "dismissed")
        elif state.phase is Phase.DONE and self._removing:
            self.outcome.tell(tr("The backend was removed from this computer."), "info")
            self.removed.emit()
        elif state.phase is Phase.DONE:
            took = words.duration(self._installer.seconds)
            self.outcome.tell(tr("Installed in {time}. The backend runs.").format(time=took), "successful")
            self.installed.emit()

    def _unfold(self) -> None:
        self._packages.setCollapsed(False)
        self.source.setFocus()

    def _describe(self) -> None:
        """Say what is installed, and how much of the disk it takes once that is counted."""
        there, folder = self._installer.environment.installed(), self._installer.environment.folder
        if there is None or not self.isVisible():
            return

        def counted(size: Optional[int], _error: Optional[PluginError]) -> None:
            self._counting = None
            say(size)

        def say(size: Optional[int]) -> None:
            kind = tr("full") if there.full else tr("light")
            if size:
                kind = tr("{kind}, {size} on disk").format(kind=kind, size=words.size(size))
            where = re.sub(r"([/\\])", "\\1\u200b", str(folder))  # where a narrow panel may break it
            text = tr("Backend {version}, {kind}. It is in {folder}.")
            self.about.setText(text.format(version=there.version, kind=kind, folder=where))

        say(None)
        self.close_all()
        environment = self._installer.environment
        self._counting = BackgroundTask(
            tr("counting the disk space of the backend"),
            lambda _listener: environment.size(),
            counted,
            quiet=True,
        )
        self._counting.start()

    def close_all(self) -> None:
        """Call nothing back any more."""
        if self._counting is not None:
            self._counting.drop()
            self._counting = None


def _text(text: str = "") -> QLabel:
    label = QLabel(words.unbroken(text))
    label.setWordWrap(True)
    return label


def _row(*widgets: QWidget) -> QWidget:
    """Return widgets beside each other, the first of which grows."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for place, widget in enumerate(widgets):
        layout.addWidget(widget, 0 if place else 1)
    return row


def _column(holder: QWidget, *widgets: QWidget) -> None:
    layout = QVBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
