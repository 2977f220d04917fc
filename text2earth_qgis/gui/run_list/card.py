"""A run under way in the list of runs: a widget with its progress and Cancel."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QResizeEvent
from qgis.PyQt.QtWidgets import QGridLayout, QLabel, QProgressBar, QToolButton, QWidget

from text2earth_qgis.core.language import tr
from text2earth_qgis.gui import words
from text2earth_qgis.gui.icons import icon
from text2earth_qgis.gui.run_list.rows import PAD, SYMBOLS, Row, progress_text, tooltip


class JobCard(QWidget):
    """A run under way: prompt, what is happening, progress, Cancel."""

    cancelled = pyqtSignal()

    def __init__(self, row: Row, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._row = row
        self._symbol = QLabel()
        self._title = QLabel()
        self._phase = QLabel()
        for label in (self._title, self._phase):
            label.setMinimumWidth(20)
            label.setIndent(0)  # which some themes have
            label.setTextFormat(Qt.TextFormat.PlainText)
        self._bar = QProgressBar()
        self._phase.setWordWrap(True)  # what went wrong may be long
        self._bar.setTextVisible(False)
        self._bar.setRange(0, 1000)
        self._bar.setValue(0)
        self._bar.setFixedHeight(8)
        self.cancel = QToolButton()
        self.cancel.setText(tr("Cancel"))
        self.cancel.clicked.connect(lambda _checked=False: self.cancelled.emit())
        layout = QGridLayout(self)
        layout.setContentsMargins(PAD, PAD, PAD, PAD)
        layout.setVerticalSpacing(3)
        layout.setColumnStretch(1, 1)
        layout.addWidget(self._symbol, 0, 0)
        layout.addWidget(self._title, 0, 1)
        layout.addWidget(self.cancel, 0, 2)
        layout.addWidget(self._bar, 1, 1, 1, 2)
        layout.addWidget(self._phase, 2, 1, 1, 2)
        self.show_row(row)

    def show_row(self, row: Row) -> None:
        """Show where the run stands."""
        self._row = row
        size = self.fontMetrics().height()
        self._symbol.setPixmap(icon(SYMBOLS[row.run.state]).pixmap(size, size))
        self.cancel.setEnabled(row.run.state != "dismissing")
        if row.progress is not None and row.progress.percent is not None:  # else as far as it was
            self._bar.setValue(round(10 * row.progress.percent))
        self._fit()

    def phase(self) -> str:
        """Return the phrase that says how far the run is."""
        return progress_text(self._row.progress) if self._row.progress else ""

    def progress(self) -> float:
        """Return the share of the bar that is filled."""
        return self._bar.value() / 1000

    def resizeEvent(self, event: Optional[QResizeEvent]) -> None:
        """Fit the texts."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        title, elide = self._title, Qt.TextElideMode.ElideRight
        title.setText(title.fontMetrics().elidedText(self._row.title, elide, title.contentsRect().width()))
        self._phase.setText(words.unbroken(self.phase()))
        self.setToolTip(tooltip(self._row.run))
