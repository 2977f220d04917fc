"""The way "On a server": address and token, a test of them, and from then on that backend.

The token is kept by QGIS, encrypted, as an authentication configuration; the settings know its id alone.
"""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import Optional
from urllib.parse import urlsplit

from qgis.core import QgsApplication, QgsAuthMethodConfig
from qgis.gui import QgsPasswordLineEdit
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from text2earth_qgis.core import settings
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.access import Access, complete_address
from text2earth_qgis.gui.accessible import name_fields
from text2earth_qgis.gui.connection import Connection
from text2earth_qgis.gui.notice import Notice
from text2earth_qgis.gui.options.report import report

HELP = tr("A backend that somebody runs for you, with a GPU perhaps. Ask them for its address and a token.")
METHOD = "Basic"  # what QGIS 3.22 can send a token with


class Server(QWidget):
    """The widgets. ``chosen`` follows once the settings name the server."""

    chosen = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._test: Optional[Connection] = None
        self._tested: Optional[Access] = None
        self._began = 0.0
        self.url, self.token = QLineEdit(), QgsPasswordLineEdit()
        self.url.setPlaceholderText("https://gpu.example.org")
        self.url.editingFinished.connect(lambda: self.url.setText(complete_address(self.url.text())))
        self.test_button, self.use_button = QPushButton(tr("Test")), QPushButton(tr("Use this server"))
        self.outcome = Notice()
        text = QLabel(HELP)
        text.setWordWrap(True)
        form = QFormLayout()
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow(tr("Address"), self.url)
        form.addRow(tr("Token"), self.token)
        name_fields(form)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.test_button)
        buttons.addWidget(self.use_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(text)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self.outcome)
        layout.addStretch(1)
        for field in (self.url, self.token):
            field.textChanged.connect(self._follow)
            field.returnPressed.connect(self.test)
        self.test_button.clicked.connect(lambda _checked=False: self.test())
        self.use_button.clicked.connect(lambda _checked=False: self.use())
        self._follow()

    def access(self) -> Access:
        """Return how to reach the server that is typed."""
        token = self.token.text().strip() or None
        return Access(complete_address(self.url.text()), token=token, token_source=tr("the field Token"))  # nosec B106

    def test(self) -> None:
        """Ask the server; ``outcome`` tells what it says."""
        self.close_test()
        self._tested, self._began = None, monotonic()
        self._follow()
        if not self.url.text().strip():
            return
        asked = self.access()
        self.outcome.tell(tr("Asking…"))
        self._test = Connection(lambda: asked, self)
        self._test.changed.connect(self._answered)
        self._test.check()

    def use(self) -> None:
        """Keep address and token, and turn to that server."""
        access = self.access()
        stored = settings.load()
        authcfg = _keep(access) if access.token else ""
        if access.token and not authcfg:
            self.outcome.tell(
                tr("QGIS did not store the token: its master password was not given. Try again."), "warning"
            )
            return
        settings.save(replace(stored, url=access.url, authcfg=authcfg))
        self.token.clear()
        self.outcome.hide()
        self.chosen.emit()

    def close_test(self) -> None:
        """Ask nothing any more."""
        if self._test is not None:
            self._test.close()
            self._test.deleteLater()
            self._test = None

    def _answered(self) -> None:
        if self._test is None or not self._test.state.asked:
            return
        state = self._test.state
        self._tested = None if state.trouble else self._test.client.access
        self.outcome.tell(
            report(state, monotonic() - self._began), "failed" if state.trouble else "successful"
        )
        self.close_test()
        self._follow()

    def _follow(self, *_text: str) -> None:
        """Only what was tested may be used."""
        self.test_button.setEnabled(bool(self.url.text().strip()))
        self.use_button.setEnabled(self._tested is not None and self._tested == self.access())


def _keep(access: Access) -> str:
    """Give the token to QGIS to keep; return the id of the configuration, '' if it was not taken."""
    manager = QgsApplication.authManager()
    if not manager.setMasterPassword(True):  # asks for it, if it was not given yet
        return ""
    config = QgsAuthMethodConfig(METHOD)
    config.setName(tr("Text2Earth on {host}").format(host=urlsplit(access.url).hostname))
    config.setConfig("username", "text2earth")
    config.setConfig("password", access.token or "")
    return str(config.id()) if manager.storeAuthenticationConfig(config) else ""
