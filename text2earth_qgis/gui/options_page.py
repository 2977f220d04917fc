"""The page in Settings > Options: which backend, with what credentials, where results go.

The connection test asks without waiting and says what it found, or what to do about the trouble. Knows no
job. A factory of this page is what QGIS registers.
"""

from __future__ import annotations

import os
from time import monotonic
from typing import Optional

from qgis.gui import QgsAuthConfigSelect, QgsFileWidget, QgsOptionsPageWidget, QgsOptionsWidgetFactory
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from text2earth_qgis.core import settings
from text2earth_qgis.core.language import tr, trn
from text2earth_qgis.core.wire.access import complete_address
from text2earth_qgis.gui import words
from text2earth_qgis.gui.connection import Connection, State
from text2earth_qgis.gui.icons import icon
from text2earth_qgis.gui.notice import Notice

TITLE = "Text2Earth"
PAGE = "text2earth_options"


def report(state: State, seconds: float) -> str:
    """Put the outcome of a connection test into sentences."""
    if state.trouble:
        return state.trouble
    health = state.health
    local, version = words.is_local(state.url), health.get("version")
    connected = (
        tr("Connected to this computer in {ms} ms.") if local else tr("Connected to {host} in {ms} ms.")
    )
    backend = tr("Backend {version}.") if version else tr("Backend of unknown version.")
    text = f"{connected} {backend}".format(
        host=words.host(state.url), ms=max(1, round(seconds * 1000)), version=version
    )
    parts = [text, _model(state)]
    waiting = health.get("queue")
    if isinstance(waiting, int):
        some = trn("{number} job in the queue.", "{number} jobs in the queue.", waiting)
        parts.append(some.format(number=words.number(waiting)) if waiting else tr("Nothing in the queue."))
    return "\n".join(parts)


def _model(state: State) -> str:
    health, profile = state.health, state.health.get("profile") or {}
    name = health.get("model")
    title = next((card["title"] for card in state.models if card["id"] == name), name)
    if not health.get("installed", True):
        return tr("Its model {title} is not installed. There, run: {command}").format(
            title=title, command=f"text2earth-backend models pull {name}"
        )
    if not profile:
        return tr("Model: {title}. Device and speed are known after the first run.").format(title=title)
    how = ", ".join(str(profile[key]) for key in ("isa", "dtype") if profile.get(key))
    text = tr("Model: {title}.\nDevice: {device} ({how}), repeatable bit by bit.")
    if profile.get("approximate"):
        text = tr("Model: {title}.\nDevice: {device} ({how}), not repeatable bit by bit.")
    return text.format(title=title, device=health.get("device"), how=how)


class OptionsPage(QgsOptionsPageWidget):
    """The widgets of the page; ``apply`` stores them."""

    applied = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setObjectName(PAGE)
        self._test: Optional[Connection] = None
        self._began = 0.0
        stored = settings.load()
        self.url = QLineEdit(stored.url)
        self.url.setPlaceholderText(tr("This computer: the backend that was set up in the panel"))
        self.url.editingFinished.connect(lambda: self.url.setText(complete_address(self.url.text())))
        self._show_environment()
        self.authcfg = QgsAuthConfigSelect()
        self.authcfg.setConfigId(stored.authcfg)
        self.test = QPushButton(tr("Test connection"))
        self.test.clicked.connect(self.test_connection)
        self.outcome = Notice()
        self.folder = QgsFileWidget()
        self.folder.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.folder.setFilePath(stored.folder)
        self.folder.lineEdit().setPlaceholderText(tr("Beside the project; for unsaved projects in Documents"))
        self.record_prompt = QCheckBox(tr("Write the prompt into the files"))
        self.record_prompt.setChecked(stored.record_prompt)
        self.record_prompt.setToolTip(
            tr(
                "Files always say that they are synthetic and which model made them. Without the prompt they "
                "cannot be made again from the file alone."
            )
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._backend_box())
        layout.addWidget(self._results_box())
        layout.addStretch(1)

    def _show_environment(self) -> None:
        """Show where an environment variable has the last word on the address."""
        forced = os.environ.get("TEXT2EARTH_BACKEND_URL")
        if forced:
            self.url.setPlaceholderText(forced)
            self.url.setText("")
            self.url.setEnabled(False)
            self.url.setToolTip(tr("The environment variable TEXT2EARTH_BACKEND_URL sets the address."))

    def _backend_box(self) -> QGroupBox:
        box = QGroupBox(tr("Backend"))
        form = QFormLayout(box)
        form.addRow(tr("Address"), self.url)
        form.addRow(tr("Authentication"), self.authcfg)
        row = QHBoxLayout()
        row.addWidget(self.test)
        row.addStretch(1)
        form.addRow("", row)
        form.addRow(self.outcome)
        self.authcfg.setToolTip(
            tr(
                "The backend's token as password of a Basic authentication. A backend that you started on "
                "this computer needs none."
            )
        )
        return box

    def _results_box(self) -> QGroupBox:
        box = QGroupBox(tr("Results"))
        form = QFormLayout(box)
        form.addRow(tr("Folder"), self.folder)
        form.addRow("", self.record_prompt)
        return box

    def values(self) -> settings.Settings:
        """Return the settings that the page shows."""
        stored = settings.load()
        return settings.Settings(
            url=complete_address(self.url.text()) if self.url.isEnabled() else stored.url,
            authcfg=self.authcfg.configId(),
            folder=self.folder.filePath().strip(),
            record_prompt=self.record_prompt.isChecked(),
            poll_seconds=stored.poll_seconds,
            python=stored.python,
        )

    def apply(self) -> None:
        """Store the page (QgsOptionsPageWidget)."""
        settings.save(self.values())
        self.applied.emit()

    def test_connection(self, *_checked: bool) -> None:
        """Ask the backend that the page shows, not the stored one."""
        self._drop_test()
        self.test.setEnabled(False)
        self.outcome.tell(tr("Asking…"))
        self._began = monotonic()
        self._test = Connection(lambda: settings.access(self.values()), self)
        self._test.changed.connect(self._tested)
        self._test.check()

    def _tested(self) -> None:
        if self._test is None or not self._test.state.asked:
            return
        state = self._test.state
        self.outcome.tell(
            report(state, monotonic() - self._began), "failed" if state.trouble else "successful"
        )
        self.test.setEnabled(True)
        self._drop_test()

    def _drop_test(self) -> None:
        if self._test is not None:
            self._test.close()
            self._test.deleteLater()
            self._test = None


class _Signals(QObject):
    """What the factory tells; it is no QObject itself."""

    applied = pyqtSignal()


class OptionsFactory(QgsOptionsWidgetFactory):
    """Makes the page each time the dialog opens; ``signals.applied`` tells that settings were stored."""

    def __init__(self) -> None:
        super().__init__()
        self.setTitle(TITLE)
        self.signals = _Signals()
        if hasattr(self, "setKey"):  # not in QGIS 3.22
            self.setKey("text2earth")

    def icon(self) -> QIcon:
        """Return the icon in the list of pages."""
        return icon("text2earth")

    def createWidget(self, parent: Optional[QWidget] = None) -> OptionsPage:
        """Return a new page."""
        page = OptionsPage(parent)
        page.applied.connect(self.signals.applied)
        return page
