"""The list of servers, of which the chosen one is in use: its name, address and credentials.

Stores nothing; secrets stay with QGIS, which gives them an id.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Optional

from qgis.gui import QgsAuthConfigSelect
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from text2earth_qgis.core import settings
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.settings import Server
from text2earth_qgis.core.wire.access import complete_address, host
from text2earth_qgis.gui.accessible import name_fields

OWN = tr("This computer (the backend that was set up in the panel)")
ROWS = 4  # that are seen at once


class ServersField(QWidget):
    """The widgets. ``changed`` follows another choice, address or credentials."""

    changed = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._servers: list[Server] = []
        self._filling = False  # the fields, and not by the user
        self.list = QListWidget()
        self.list.setAccessibleName(tr("Where runs go"))
        self.list.setFixedHeight((ROWS + 1) * self.fontMetrics().lineSpacing() + 2 * self.list.frameWidth())
        self.add_button, self.remove_button = QPushButton(tr("Add")), QPushButton(tr("Remove"))
        self.name, self.url, self.authcfg = QLineEdit(), QLineEdit(), QgsAuthConfigSelect()
        self.url.setPlaceholderText("https://gpu.example.org")
        self.authcfg.setToolTip(
            tr(
                "The backend's token as password of a Basic authentication. A backend that you started on "
                "this computer needs none."
            )
        )
        self._lay_out()
        self._connect()
        self._show_environment()

    def _lay_out(self) -> None:
        above = QLabel(tr("Runs go to the one that is chosen:"))
        above.setBuddy(self.list)
        buttons = QVBoxLayout()
        buttons.addWidget(self.add_button)
        buttons.addWidget(self.remove_button)
        buttons.addStretch(1)
        row = QHBoxLayout()
        row.addWidget(self.list, 1)
        row.addLayout(buttons)
        self._fields = QWidget()
        form = QFormLayout(self._fields)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow(tr("Name"), self.name)
        form.addRow(tr("Address"), self.url)
        form.addRow(tr("Authentication"), self.authcfg)
        name_fields(form)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (above, row, self._fields):
            layout.addWidget(part) if isinstance(part, QWidget) else layout.addLayout(part)

    def _connect(self) -> None:
        self.list.currentRowChanged.connect(lambda _row: self._turn())
        self.add_button.clicked.connect(lambda _checked=False: self._add())
        self.remove_button.clicked.connect(lambda _checked=False: self._remove())
        for edit in (self.name, self.url):
            edit.textChanged.connect(lambda _text: self._take())
        self.url.editingFinished.connect(lambda: self.url.setText(complete_address(self.url.text())))
        self.authcfg.selectedConfigIdChanged.connect(lambda _id: self._take())

    def _show_environment(self) -> None:
        """Say where an environment variable has the last word on the address."""
        forced = os.environ.get("TEXT2EARTH_BACKEND_URL")
        if forced:
            self.setEnabled(False)
            self.url.setPlaceholderText(forced)
            self.setToolTip(tr("The environment variable TEXT2EARTH_BACKEND_URL sets the address."))

    def show_servers(self, servers: list[Server], used: str) -> None:
        """Show these, and that the one with the address ``used`` is in use; '' is this computer."""
        self._servers = list(servers)
        self._fill_list([one.url for one in servers].index(used) + 1 if used else 0)

    def servers(self) -> list[Server]:
        """Return the servers that have an address."""
        return [_whole(one) for one in self._servers if one.url.strip()]

    def used(self) -> Optional[Server]:
        """Return the one in use, None for this computer."""
        row = self.list.currentRow() - 1
        one = self._servers[row] if 0 <= row < len(self._servers) else None
        return _whole(one) if one is not None and one.url.strip() else None

    def _fill_list(self, row: int) -> None:
        self._filling = True
        self.list.clear()
        self.list.addItems([OWN, *(_title(one) for one in self._servers)])
        self._filling = False
        self.list.setCurrentRow(row)

    def _turn(self) -> None:
        """Show the fields of the server that is chosen."""
        if self._filling:
            return
        row = self.list.currentRow() - 1
        one = self._servers[row] if row >= 0 else None
        self._fields.setVisible(one is not None)
        self.remove_button.setEnabled(one is not None)
        self._filling = True
        self.name.setText(one.name if one else "")
        self.url.setText(one.url if one else "")
        self.authcfg.setConfigId(one.authcfg if one else "")
        self._filling = False
        self.changed.emit()

    def _take(self) -> None:
        """Take over what the user changes."""
        row = self.list.currentRow() - 1
        if self._filling or row < 0:
            return
        fields = {"name": self.name.text(), "url": self.url.text(), "authcfg": self.authcfg.configId()}
        self._servers[row] = replace(self._servers[row], **fields)
        self.list.item(row + 1).setText(_title(self._servers[row]))
        self.changed.emit()

    def _add(self) -> None:
        self._servers.append(Server("", ""))
        self._fill_list(len(self._servers))
        self.url.setFocus()

    def _remove(self) -> None:
        row = self.list.currentRow()
        del self._servers[row - 1]
        self._fill_list(row - 1)


def _title(server: Server) -> str:
    name, where = server.name.strip(), host(complete_address(server.url))
    if not where:
        return name or tr("New server")
    return f"{name} ({where})" if name and name != where else where


def _whole(server: Server) -> Server:
    url = complete_address(server.url)
    return settings.Server(server.name.strip() or host(url), url, server.authcfg)
