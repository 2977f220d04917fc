"""What the dock shows: the page that sets a backend up while there is none, else its own parts.

Starts the user's backend on this computer where it is installed and does not answer. Knows when which page is
due; the ways themselves are ``ThisComputer`` and ``Server``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QShowEvent
from qgis.PyQt.QtWidgets import (
    QFrame,
    QLabel,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from text2earth_qgis.core import settings
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.local import starting
from text2earth_qgis.core.local.installer import Installer
from text2earth_qgis.core.paths import version
from text2earth_qgis.gui.connection import Connection
from text2earth_qgis.gui.setup.first_layer import FirstLayer
from text2earth_qgis.gui.setup.server import Server
from text2earth_qgis.gui.setup.this_computer import ThisComputer

HEAD = tr("The panel talks to a backend, which makes the imagery. Where shall it run?")


class Front(QStackedWidget):
    """The page of the setup, and what the dock gives it to show else."""

    changed = pyqtSignal()  # the settings name another backend
    said = pyqtSignal(str)  # the outcome of a start, for the log
    first_wanted = pyqtSignal(str)  # prompt of a first layer

    def __init__(self, connection: Connection, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._connection = connection
        self._opened = False  # the page, by the user
        self._tried = False  # to start the backend, since it last answered or was named
        self.failure = ""  # of the last start; one that went well failed if nobody answers after it
        self.installer = Installer(starting.environment(), self)
        self.starter = starting.Starter(self)
        self.this_computer, self.server = ThisComputer(self.installer), Server()
        self.first = FirstLayer()
        self.first.hide()
        self.ways = QTabWidget()
        self.ways.addTab(_page(self.this_computer), tr("On this computer"))
        self.ways.addTab(_page(self.server), tr("On a server"))
        self.back = QPushButton(tr("Back"))
        self.addWidget(self._setup())
        self.starter.started.connect(self._started)
        self.starter.failed.connect(self._not_started)
        self.this_computer.installed.connect(self._installed)
        self.this_computer.removed.connect(self.changed)
        self.server.chosen.connect(self._chosen)
        self.first.wanted.connect(self._make_first)
        self.back.clicked.connect(lambda _checked=False: self.leave())
        connection.changed.connect(self.follow)

    def take(self, body: QWidget) -> None:
        """Show ``body`` where no setup is due."""
        self.addWidget(body)
        self.follow()

    @property
    def on_setup(self) -> bool:
        """Whether the page of the setup is shown."""
        return self.currentIndex() == 0

    @property
    def outdated(self) -> str:
        """Say that the backend installed here is not of the plugin's version, '' if it is."""
        there = self.installer.environment.installed()
        if not self._is_own() or there is None or there.version == version():
            return ""
        sentence = tr("The backend on this computer is version {backend}, this plugin is {plugin}.")
        return sentence.format(backend=there.version, plugin=version())

    def open(self) -> None:
        """Show the page because the user wants to."""
        self._opened = True
        self.this_computer.tell(self.failure)
        self.follow()

    def leave(self) -> None:
        """Show the dock's parts again."""
        self._opened = False
        self.first.hide()
        self.setCurrentIndex(1)

    def start(self) -> None:
        """Start the backend on this computer."""
        self._tried, self.failure = True, ""
        self.starter.start()

    def forget(self) -> None:
        """Forget the last start, also one under way: the settings may name another backend now."""
        self.starter.drop()
        self._tried, self.failure = False, ""

    def close_all(self) -> None:
        """End what is under way here; a backend that was started goes on."""
        self.installer.close()
        self.starter.drop()
        self.server.close_test()
        self.this_computer.close_all()

    def follow(self) -> None:
        """Show the page that is due, and start the backend if it is one that can be."""
        state, own = self._connection.state, self._is_own()
        startable = own and bool(starting.python(settings.load()))
        nobody = own and (state.away or not settings.own_address())
        if state.ready:
            self._tried, self.failure = False, ""
        elif state.asked and nobody and startable and not self._tried and self._is_free():
            self.start()
        busy = self.installer.state.busy or not self.first.isHidden()
        due = self._opened or busy or (nobody and not startable and not state.ready)
        self.back.setVisible(self._opened and not busy)
        self._head.setVisible(self.first.isHidden())
        self.setCurrentIndex(0 if due or self.count() == 1 else 1)

    def showEvent(self, event: Optional[QShowEvent]) -> None:
        """Look anew: a backend that was away while nobody looked is not started until now."""
        super().showEvent(event)
        self.follow()

    def _setup(self) -> QWidget:
        self._head = QLabel(HEAD)
        self._head.setWordWrap(True)
        content = QWidget()
        layout = QVBoxLayout(content)
        for widget in (self._head, self.first, self.ways, self.back):
            layout.addWidget(widget)
        layout.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(content)
        return scroll

    def _is_free(self) -> bool:
        """Whether somebody looks, and nothing is installed."""
        return self.isVisible() and not self.installer.state.busy

    def _is_own(self) -> bool:
        return self._connection.client.access.own

    def _started(self, url: str) -> None:
        self.said.emit(f"The backend on this computer answers at {url}.")
        sentence = tr("The backend on this computer started, but does not answer at {url}.")
        self.failure = sentence.format(url=url)
        self._connection.start_over()

    def _not_started(self, sentence: str) -> None:
        self.failure = sentence
        self.said.emit(sentence)
        self._connection.changed.emit()

    def _installed(self) -> None:
        """Let the settings name the backend on this computer."""
        self.first.show()
        settings.save(replace(settings.load(), url="", authcfg="", python=""))
        self.changed.emit()

    def _chosen(self) -> None:
        self.leave()
        self.changed.emit()

    def _make_first(self, prompt: str) -> None:
        self.leave()
        self.first_wanted.emit(prompt)


def _page(content: QWidget) -> QWidget:
    page = QWidget()
    layout = QVBoxLayout(page)
    layout.addWidget(content)
    layout.addStretch(1)
    return page
