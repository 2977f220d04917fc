"""The models of a backend: what each can do, its licence, size and pixel sizes; and its download from here.

Downloads go to the backend on this computer; elsewhere its keeper has to call for them.
"""

from __future__ import annotations

from typing import Optional, Sequence

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QProgressBar,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from text2earth_qgis.core import settings
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.local import starting
from text2earth_qgis.core.local.pulling import Puller
from text2earth_qgis.core.wire.schemas import Json
from text2earth_qgis.core.wire.sentences import translated
from text2earth_qgis.gui import words
from text2earth_qgis.gui.notice import Notice

ROWS = 6  # that are seen at once
STEPS = 1000  # of the progress bar
EMPTY = tr("Press Test to see the models of this backend.")


class ModelsField(QWidget):
    """The table, what is to be said of the chosen model, and its download."""

    def __init__(self, puller: Puller, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._puller = puller
        self._cards: list[Json] = []
        self._own = False
        self.table = QTreeWidget()
        self.table.setHeaderLabels([tr("Model"), tr("GSD"), tr("Size"), tr("Licence"), tr("State")])
        self.table.setRootIsDecorated(False)
        self.table.setUniformRowHeights(True)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setAccessibleName(tr("Models"))
        self.table.setFixedHeight((ROWS + 1) * (self.fontMetrics().height() + 6))
        header = self.table.header()
        header.setStretchLastSection(False)
        for column in range(5):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(3, QHeaderView.ResizeMode.Stretch)
        self.about = QLabel(EMPTY)
        self.about.setWordWrap(True)
        self.about.setTextFormat(Qt.TextFormat.PlainText)
        self.about.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.pull_button, self.cancel_button = QPushButton(tr("Download")), QPushButton(tr("Cancel"))
        self.bar = QProgressBar()
        self.bar.setRange(0, STEPS)
        self.bar.setAccessibleName(tr("Progress of the download"))
        self.outcome = Notice()
        row = QHBoxLayout()
        row.addWidget(self.pull_button)
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel_button)
        row.addStretch(0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        layout.addWidget(self.about)
        layout.addLayout(row)
        layout.addWidget(self.outcome)
        self.table.currentItemChanged.connect(lambda *_items: self._describe())
        self.pull_button.clicked.connect(lambda _checked=False: self._ask())
        self.cancel_button.clicked.connect(lambda _checked=False: puller.cancel())
        puller.progressed.connect(self._progress)
        puller.ended.connect(self._ended)
        self._describe()

    def show_models(self, cards: Sequence[Json], own: bool) -> None:
        """Show the models of a backend; ``own`` is the user's on this computer."""
        chosen = (self._card() or {}).get("id")
        self._cards, self._own = list(cards), own
        self.table.clear()
        for card in self._cards:
            item = QTreeWidgetItem(_columns(card))
            item.setToolTip(3, str(card.get("licence") or ""))
            self.table.addTopLevelItem(item)
            if card.get("id") == chosen or (chosen is None and card.get("default")):
                self.table.setCurrentItem(item)
        self._describe()

    def _card(self) -> Optional[Json]:
        row = self.table.indexOfTopLevelItem(self.table.currentItem())
        return self._cards[row] if 0 <= row < len(self._cards) else None

    def _describe(self) -> None:
        """Say what the chosen model can do, and how it is had."""
        card, busy = self._card(), self._puller.busy
        self.table.setEnabled(bool(self._cards))
        lines = [EMPTY] if not self._cards else []
        if card is not None:
            lines = [translated(str(card.get("about") or "")), _licence(card)]
        reason = _reason(card, self._own) if card is not None and card.get("pullable") else ""
        self.about.setText("\n".join(line for line in (*lines, reason) if line))
        self.pull_button.setVisible(not busy and bool(card and card.get("pullable")))
        self.pull_button.setEnabled(not reason)
        for widget in (self.bar, self.cancel_button):
            widget.setVisible(busy)
        if busy:
            self._progress(self._puller.share)

    def _ask(self) -> None:
        """Ask whether the licence is accepted, where there is something to be read before."""
        card = self._card() or {}
        if not card.get("notice"):
            self._pull(str(card["id"]))
            return
        actions = {tr("Accept and download"): lambda: self._pull(str(card["id"]))}
        self.outcome.tell(str(card["notice"]), "warning", {**actions, tr("Cancel"): self.outcome.hide})

    def _pull(self, model: str) -> None:
        self.outcome.hide()
        self._puller.start(model)
        self._describe()

    def _progress(self, share: float) -> None:
        self.bar.setValue(round(STEPS * share))
        self.bar.setFormat(
            tr("{model}: {percent} %").format(model=self._puller.model, percent=f"{100 * share:.0f}")
        )

    def _ended(self, sentence: str, symbol: str) -> None:
        self.outcome.tell(sentence, symbol)
        if symbol == "successful":
            there = {"installed": True, "pullable": False}
            pulled = self._puller.model
            self.show_models(
                [{**card, **there} if card["id"] == pulled else card for card in self._cards], self._own
            )
        self._describe()


def _columns(card: Json) -> list[str]:
    """Return what the table says of a model."""
    low, high = card.get("gsd") or (0, 0)
    state = tr("installed") if card.get("installed") else tr("not installed")
    if card.get("default"):
        state = tr("default") if card.get("installed") else tr("default, not installed")
    size = card.get("bytes")
    return [
        str(card.get("title") or card.get("id")),
        tr("{finest} to {coarsest} m").format(
            finest=words.significant(low, 2), coarsest=words.significant(high, 2)
        ),
        words.size(int(size)) if size else "",
        str(card.get("licence") or ""),
        state,
    ]


def _licence(card: Json) -> str:
    """Say what the licence allows."""
    parts = [str(card.get("licence") or ""), str(card.get("licence_url") or "")]
    if card.get("non_commercial"):
        parts.append(tr("not for commercial use"))
    return tr("Licence: {licence}").format(licence="; ".join(part for part in parts if part))


def _reason(card: Json, own: bool) -> str:
    """Say why a model cannot be downloaded from here, and how else; empty if it can."""
    if not own:
        text = tr("To install it there, run: {command}")
        return text.format(command=f"text2earth-backend models pull {card.get('id')}")
    there = starting.environment().installed()
    if not starting.python(settings.load()):
        return tr("Set up the backend on this computer first.")
    if there is not None and not there.full:
        return tr("It needs diffusion: press Add diffusion in the panel, under Set up a backend.")
    return ""
