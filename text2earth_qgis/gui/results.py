"""From a file that has arrived to a layer in front of the user.

Adds it to the project it was asked for from, and only offers it to any other. Talks through the message bar
that it is given; knows no job and no network.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Callable, Iterable, Mapping, Optional

from qgis.core import (
    Qgis,
    QgsCoordinateTransform,
    QgsCsException,
    QgsMapLayer,
    QgsMessageLog,
    QgsProject,
    QgsRasterLayer,
)
from qgis.gui import QgsMapCanvas, QgsMessageBar
from qgis.PyQt.QtCore import QObject, QTimer, QUrl, pyqtSignal
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QPushButton

from text2earth_qgis.core import layers, source_layer
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.language import tr, trn
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.runs.trash import Trashed, from_trash, to_trash
from text2earth_qgis.gui import words

TITLE = "Text2Earth"
SHORT_S = 8  # seconds that good news stays
AROUND = 1.1  # how much more than the layer is shown around it


class Results(QObject):
    """Turns fetched runs into layers of the open project."""

    comparison_wanted = pyqtSignal(object)  # QgsMapLayer, with what is below it
    log_wanted = pyqtSignal()

    def __init__(
        self, canvas: QgsMapCanvas, project: QgsProject, bar: QgsMessageBar, parent: Optional[QObject] = None
    ) -> None:
        super().__init__(parent)
        self._canvas, self._project, self._bar = canvas, project, bar
        self._taken_off: set[str] = set()  # keys of runs whose files went, of this project
        project.cleared.connect(self._other_project)

    def close(self) -> None:
        """Follow the project no more."""
        self._project.cleared.disconnect(self._other_project)

    def add(self, run: Run) -> None:
        """Add the result to the open project, in the next turn of the event loop, and say so."""
        QTimer.singleShot(0, lambda: self._announce(run) if self._add(run) else None)

    def offer(self, run: Run) -> None:
        """Offer to add a result of another project to this one."""
        text = tr("{result} of an unsaved project is finished.")
        if run.project:
            text = tr("{result} of “{project}” is finished.")
        text = text.format(result=_title(run), project=Path(run.project).stem)
        self._tell(
            f"{text} {run.message}".strip(),
            Qgis.MessageLevel.Info,
            {tr("Add to this project"): lambda: self.show(run)},
        )

    def show(self, run: Run) -> None:
        """Bring the result into view; add it first if the project does not have it."""
        layer = self.layer(run) or self._add(run)
        if layer is not None:
            self.zoom(layer)

    def layer(self, run: Run) -> Optional[QgsRasterLayer]:
        """Return the layer of a result in the open project."""
        return layers.with_file(Path(run.target), self._project)

    def discard(self, runs: Iterable[Run]) -> dict[str, list[Trashed]]:
        """Take results off the map and move their files to the trash; return these by the keys of the runs.

        One that cannot be moved is not among them, and said.
        """
        shown: dict[Path, list[str]] = {}
        for layer in self._project.mapLayers().values():
            shown.setdefault(Path(layers.path_of(layer)), []).append(layer.id())
        trashed: dict[str, list[Trashed]] = {}
        failures = []
        for run in runs:
            mine = shown.get(Path(run.target), [])
            self._project.removeMapLayers(mine)  # they have the file open
            self._taken_off.update([run.key] if mine else [])
            try:
                trashed[run.key] = to_trash(run)
            except PluginError as error:
                failures.append(str(error))
        self._complain_of(failures)
        return trashed

    def take_back(self, runs: Iterable[Run], trashed: Mapping[str, list[Trashed]]) -> None:
        """Move files back from the trash, and put on the map again what went from there with them."""
        failures = []
        for run in runs:
            try:
                from_trash(trashed.get(run.key, []))
            except PluginError as error:
                failures.append(str(error))
            else:
                if run.key in self._taken_off:
                    self._add(run)
        self._complain_of(failures)

    def zoom(self, layer: QgsMapLayer) -> None:
        """Show the whole layer."""
        settings = self._canvas.mapSettings()
        turn = QgsCoordinateTransform(
            layer.crs(), settings.destinationCrs(), self._project.transformContext()
        )
        try:
            box = turn.transformBoundingBox(layer.extent())
        except QgsCsException:
            self.complain(
                tr("“{layer}” cannot be shown in the CRS of this project.").format(layer=layer.name())
            )
            return
        box.scale(AROUND)
        self._canvas.setExtent(box)
        self._canvas.refresh()

    def complain(self, sentence: str) -> None:
        """Show a failure until the user closes it."""
        self._tell(sentence, Qgis.MessageLevel.Warning)

    def _complain_of(self, failures: list[str]) -> None:
        """Show the first of several failures, and how many there are."""
        if failures:
            more = len(failures) - 1
            text = trn("So it is with {count} more file.", "So it is with {count} more files.", more)
            self.complain(" ".join([failures[0], *([text.format(count=words.number(more))] if more else [])]))

    def report(self, sentence: str) -> None:
        """Show a failure that the log tells more of, as ``complain`` does."""
        self._tell(sentence, Qgis.MessageLevel.Warning, {tr("Show log"): self.log_wanted.emit})

    def _other_project(self) -> None:
        self._taken_off.clear()

    def _add(self, run: Run) -> Optional[QgsMapLayer]:
        try:
            source = layers.source_of(run.assembly, self._project)
            layer = layers.add_result(run.target, self._project, run.recipe, source, run.notes, run.raster)
            if run.sources:
                source_layer.add(run.sources["target"], self._project, layer)
        except PluginError as error:
            self.complain(str(error))
            return None
        node = self._project.layerTreeRoot().findLayer(layer.id())
        node.setExpanded(False)  # its bands say nothing
        if source is None:
            for opened in (False, True):  # the tree closes a group that was empty when it appeared
                node.parent().setExpanded(opened)
        return layer

    def note(self, run: Run) -> bool:
        """Log what the backend had to say of a result; say what it lacks, and whether it is all there."""
        if run.notes:
            QgsMessageLog.logMessage(
                f"{_title(run)}: {run.notes}", TITLE, Qgis.MessageLevel.Warning, notifyUser=False
            )
        if run.message:  # there is less than was asked for
            self.complain(run.message)
        return not run.message

    def _announce(self, run: Run) -> None:
        if not self.note(run):
            return
        actions = {tr("Show on the map"): lambda: self.show(run)}
        if run.process in ("edit", "extend"):
            actions[tr("Compare")] = lambda: self._compare(run)
        text = tr("{result} is finished.").format(result=_title(run))
        self._tell(
            f"{text} {run.notes}".strip(),
            Qgis.MessageLevel.Warning if run.notes else Qgis.MessageLevel.Success,
            actions,
            0 if run.notes else SHORT_S,
        )

    def _compare(self, run: Run) -> None:
        """Let a result be compared with the raster that was edited."""
        layer = self.layer(run)
        if layer is not None:
            self.comparison_wanted.emit(layer)

    def _tell(
        self,
        text: str,
        level: Qgis.MessageLevel,
        actions: Mapping[str, Callable[[], None]] = MappingProxyType({}),
        seconds: int = 0,
    ) -> None:
        """Show a message with buttons; without ``seconds`` it stays until it is closed."""
        item = self._bar.createMessage(TITLE, text)
        for title, act in actions.items():
            button = QPushButton(title)
            button.clicked.connect(lambda _checked=False, act=act: (self._bar.popWidget(item), act()))
            item.layout().addWidget(button)
        self._bar.pushWidget(item, level, seconds)


def _title(run: Run) -> str:
    title = words.first_line(str(run.inputs.get("prompt") or ""), 28)
    return tr("“{title}”").format(title=title) if title else tr("A result")


def open_folder(path: str) -> None:
    """Show where a file lies, in the computer's own window of files."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(Path(path).parent)))
