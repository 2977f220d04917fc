"""The page itself: servers, a test of the chosen one, its models, and where results go.

Nothing is asked when it opens; the test asks without waiting and says what it found, or what to do about the
trouble. Knows no job. A factory of this page is what QGIS registers.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Optional

from qgis.gui import QgsFileWidget, QgsOptionsPageWidget, QgsOptionsWidgetFactory
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from text2earth_qgis.core import settings
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.local.pulling import Puller
from text2earth_qgis.core.timers import single_shot
from text2earth_qgis.gui.connection import Connection
from text2earth_qgis.gui.icons import icon
from text2earth_qgis.gui.notice import Notice
from text2earth_qgis.gui.options.models import ModelsField
from text2earth_qgis.gui.options.report import report
from text2earth_qgis.gui.options.servers import ServersField

TITLE = "Text2Earth"
PAGE = "text2earth_options"


class OptionsPage(QgsOptionsPageWidget):
    """The widgets of the page; ``apply`` stores them."""

    applied = pyqtSignal()

    def __init__(self, connection: Connection, puller: Puller, parent: Optional[QWidget] = None) -> None:
        """Show what is stored; of the backend in use the models are known already."""
        super().__init__(parent)
        self.setObjectName(PAGE)
        self._connection = connection
        self._test: Optional[Connection] = None
        self._began = 0.0
        stored = settings.load()
        self.servers, self.models = ServersField(), ModelsField(puller)
        self.test = QPushButton(tr("Test"))
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
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._backend_box())
        layout.addWidget(_box(tr("Models"), self.models))
        layout.addWidget(self._results_box())
        layout.addStretch(1)
        self._scroll = QScrollArea()  # so that a question can be answered on a small screen
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        self._scroll.setWidget(content)
        around = QVBoxLayout(self)
        around.setContentsMargins(0, 0, 0, 0)
        around.addWidget(self._scroll)
        for notice in (self.outcome, self.models.outcome):
            soon = single_shot(notice, partial(self._bring_into_view, notice))  # once it has its place
            notice.resized.connect(soon.start)
        self.servers.changed.connect(self._turn)
        self.servers.show_servers(settings.servers(), stored.url)

    def _backend_box(self) -> QGroupBox:
        row = QHBoxLayout()
        row.addWidget(self.test)
        row.addStretch(1)
        box = _box(tr("Backend"), self.servers)
        box.layout().addLayout(row)
        box.layout().addWidget(self.outcome)
        return box

    def _results_box(self) -> QGroupBox:
        box = QGroupBox(tr("Results"))
        form = QFormLayout(box)
        form.addRow(tr("Folder"), self.folder)
        form.addRow("", self.record_prompt)
        return box

    def values(self) -> settings.Settings:
        """Return the settings that the page shows."""
        used = self.servers.used()
        return replace(
            settings.load(),
            url=used.url if used else "",
            authcfg=used.authcfg if used else "",
            folder=self.folder.filePath().strip(),
            record_prompt=self.record_prompt.isChecked(),
        )

    def apply(self) -> None:
        """Store the page (QgsOptionsPageWidget)."""
        settings.save(self.values())
        settings.save_servers(self.servers.servers())
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
        self.models.show_models(state.models, self._test.client.access.own)
        self.test.setEnabled(True)
        self._drop_test()

    def _turn(self) -> None:
        """Another server is chosen: what was said is of the one before."""
        self._drop_test()
        self.test.setEnabled(True)
        self.outcome.hide()
        known = self._connection.client.access == settings.access(self.values())
        self.models.show_models(
            self._connection.state.models if known else (), self._connection.client.access.own
        )

    def _bring_into_view(self, notice: Notice) -> None:
        """Scroll to what is told."""
        if notice.isVisible():
            self._scroll.ensureWidgetVisible(notice)

    def _drop_test(self) -> None:
        if self._test is not None:
            self._test.close()
            self._test.deleteLater()
            self._test = None


def _box(title: str, content: QWidget) -> QGroupBox:
    box = QGroupBox(title)
    layout = QVBoxLayout(box)
    layout.addWidget(content)
    return box


class _Signals(QObject):
    """What the factory tells; it is no QObject itself."""

    applied = pyqtSignal()


class OptionsFactory(QgsOptionsWidgetFactory):
    """Makes the page each time the dialog opens; ``signals.applied`` tells that settings were stored."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.setTitle(TITLE)
        self.signals = _Signals()
        self._connection = connection
        self._puller = Puller(self.signals)  # a download goes on when the page is closed
        self._puller.ended.connect(lambda *_how: connection.check())
        if hasattr(self, "setKey"):  # not in QGIS 3.22
            self.setKey("text2earth")

    def icon(self) -> QIcon:
        """Return the icon in the list of pages."""
        return icon("text2earth")

    def createWidget(self, parent: Optional[QWidget] = None) -> OptionsPage:
        """Return a new page."""
        page = OptionsPage(self._connection, self._puller, parent)
        page.applied.connect(self.signals.applied)
        return page

    def close(self) -> None:
        """Stop a download."""
        self._puller.close()
