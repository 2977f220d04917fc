"""What a run comes to, before it is run: pixels, GSD on the ground, CRS, windows, time, and where it runs.

Shows the backend's answers and works nothing out itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Sequence
from urllib.parse import urlsplit

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from text2earth_qgis.core.imagery.edit_request import EditPreview
from text2earth_qgis.core.language import tr, trn
from text2earth_qgis.core.wire.schemas import Plan
from text2earth_qgis.gui import words
from text2earth_qgis.gui.icons import icon
from text2earth_qgis.gui.whole import Whole

SURROUNDINGS = "surroundings"  # the model of recipes that copy from the raster itself
UNKNOWN = tr("time not known yet")


def plan_lines(plan: Plan) -> tuple[str, str, str]:
    """Describe the layer that would be made: its size, its CRS, the work it takes."""
    work = [windows(plan.windows) if plan.windows else tr("rearranges open aerial imagery")]
    if plan.level is not None:
        work.insert(0, tr("level {level}").format(level=plan.level))
    if plan.variants > 1:
        variants = trn("{number} variant", "{number} variants", plan.variants)
        work.insert(0, variants.format(number=plan.variants))
    work.append(about(plan.seconds) if plan.seconds is not None else UNKNOWN)
    text = " · ".join(work)
    return (
        pixels(plan.width, plan.height, plan.ground),
        plan.crs_name,
        text[0].upper() + text[1:],
    )


def edit_lines(edit: EditPreview) -> tuple[str, str]:
    """Describe the raster that is edited, and the part of it that is sent or fetched."""
    raster, cut = edit.raster, edit.crop
    return (
        pixels(raster.width, raster.height, edit.pixel),
        edit.origin
        or tr("{width} × {height} px around the mask are used ({size})").format(
            width=words.number(cut.width), height=words.number(cut.height), size=words.size(edit.bytes)
        ),
    )


def extension_lines(edit: EditPreview, land: str) -> tuple[str, str]:
    """Describe the raster that an extension makes, and the part of the raster that is sent for it."""
    whole, cut = edit.whole or edit.raster, edit.crop
    used = tr("{width} × {height} px beside it are used ({size})").format(
        width=words.number(cut.width), height=words.number(cut.height), size=words.size(edit.bytes)
    )
    return pixels(whole.width, whole.height, edit.pixel), "\n".join(filter(None, (land, used)))


@dataclass(frozen=True)
class Work:
    """What painting into a raster comes to: pixels of ``size`` metres, seconds if known, sentences.

    Without a size pixels are copied from the raster's own.
    """

    size: Optional[float]
    seconds: Optional[float] = None
    warnings: Sequence[str] = ()

    @classmethod
    def of(cls, plan: Plan) -> Work:
        """Read the backend's plan."""
        if plan.recipe["model"] == SURROUNDINGS:
            return cls(None, plan.seconds, plan.warnings)
        if plan.recipe.get("resampled") is None:
            return cls(max(plan.ground), plan.seconds, plan.warnings)
        return cls(float(plan.recipe["frame"]["pixel_size"][0]), plan.seconds)


def made(work: Work) -> str:
    """Say in which pixels an edit is made, or what they are copied from, and how long that takes."""
    if work.size is None:
        made_in = tr("Copied from real pixels nearby, in every band")
    else:
        made_in = tr("Made in pixels of {size}").format(size=words.gsd(work.size, work.size))
    return f"{made_in} · {about(work.seconds)}" if work.seconds is not None else made_in


def resampling(edit: EditPreview, size: Optional[float]) -> list[str]:
    """Warn of an edit in other pixels than the raster's."""
    own = max(edit.pixel)
    if size is None or abs(size / own - 1) < 0.01:
        return []
    coarser = tr(
        "The raster has pixels of {own}, the model makes {made}: what is painted will be resampled and look "
        "coarser than the rest."
    )
    finer = tr(
        "The raster has pixels of {own}, the model makes {made}: what is painted will be resampled and "
        "averaged."
    )
    text = coarser if size > own else finer
    return [text.format(own=words.gsd(own, own), made=words.gsd(size, size))]


def destination(url: str, sent: str) -> str:
    """Name the host that the request goes to, as a sentence; ``sent`` is the one for a host elsewhere."""
    here = tr("Runs on this computer ({host}): nothing leaves it.")
    return (here if words.is_local(url) else sent).format(host=urlsplit(url).netloc)


def price(extent: Plan, ground: Plan) -> str:
    """Compare the work of the ground canvas with that of the extent alone, as a sentence."""
    factor = ground.evaluations / max(1, extent.evaluations)
    times = words.significant(factor, 2)
    if extent.seconds is None or ground.seconds is None:
        return tr("The ground takes {times} times the work of this extent alone.").format(times=times)
    return tr("The ground takes {times} times the work: about {time} instead of {less}.").format(
        times=times, time=words.duration(ground.seconds), less=words.duration(extent.seconds)
    )


def about(seconds: float) -> str:
    """Return a rough duration as a phrase that stays on one line."""
    return tr("about {time}").format(time=words.duration(seconds)).replace(" ", "\u00a0")


def windows(number: int) -> str:
    """Return a number of windows."""
    return trn("{number} window", "{number} windows", number).format(number=words.number(number))


def pixels(width: int, height: int, ground: tuple[float, float]) -> str:
    """Return the size of a raster in pixels, and that of its pixels on the ground."""
    return tr("{width} × {height} px · {size} per pixel").format(
        width=words.number(width), height=words.number(height), size=words.gsd(*ground)
    )


class PlanPanel(Whole):
    """Shows one plan, a refusal, or nothing."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._lines = [_label() for _ in range(4)]
        bold = self._lines[0].font()
        bold.setBold(True)
        self._lines[0].setFont(bold)
        self._warnings = QGridLayout()
        self._warnings.setContentsMargins(0, 0, 0, 0)
        self._warnings.setColumnStretch(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        for label in self._lines:
            layout.addWidget(label)
            label.hide()
        layout.addLayout(self._warnings)

    def show_plan(self, plan: Plan, url: str, sent: str) -> None:
        """Show what the backend at ``url`` answered; ``sent`` says what a {host} elsewhere is sent."""
        self.clear()
        for label, text in zip(self._lines, (*plan_lines(plan), destination(url, sent))):
            label.setText(words.unbroken(text))
            label.show()
        shows = [tr("Shows {what}.").format(what="; ".join(plan.understood))] if plan.understood else []
        self._tell(shows, "info")
        self._tell(plan.warnings, "warning")
        self.setEnabled(True)

    def show_edit(self, edit: EditPreview, work: Work, url: str) -> None:
        """Show the part of a raster that an edit would send to the backend at ``url``, and its work."""
        sent = tr("Runs on {host}: prompt, mask and these pixels are sent there.")
        self._show(edit, (*edit_lines(edit), made(work), destination(url, sent)), work)

    def show_extension(self, edit: EditPreview, land: str, work: Work, url: str) -> None:
        """Show what an extension by some ``land`` would send to the backend at ``url``, and its work."""
        sent = tr("Runs on {host}: prompt, extent and these pixels are sent there.")
        self._show(edit, (*extension_lines(edit, land), made(work), destination(url, sent)), work)

    def _show(self, edit: EditPreview, lines: Sequence[str], work: Work) -> None:
        self.clear()
        for label, text in zip(self._lines, lines):
            label.setText(words.unbroken(text))
            label.show()
        self._tell([*resampling(edit, work.size), *work.warnings], "warning")
        self.setEnabled(True)

    def show_refusal(self, sentence: str) -> None:
        """Show why the request cannot be run."""
        self.clear()
        self._tell([sentence], "failed")
        self.setEnabled(True)

    def show_hint(self, sentence: str) -> None:
        """Name the next thing to do."""
        self.clear()
        self._tell([sentence], "info")
        self.setEnabled(True)

    def wait(self) -> None:
        """Mark what is shown as out of date."""
        self.setEnabled(False)

    def clear(self) -> None:
        """Show nothing."""
        for label in self._lines:
            label.hide()
        while self._warnings.count():
            old = self._warnings.takeAt(0).widget()
            old.hide()
            old.deleteLater()

    def text(self) -> str:
        """Return all that is shown, line by line, with blanks where lines may not be broken."""
        labels = [label for label in self.findChildren(QLabel) if label.text() and not label.isHidden()]
        return "\n".join(label.text() for label in labels).replace("\u00a0", " ")

    def _tell(self, sentences: list[str], symbol: str) -> None:
        size = self.fontMetrics().height()
        for row, text in enumerate(sentences, self._warnings.rowCount()):
            mark = QLabel()
            mark.setPixmap(icon(symbol).pixmap(size, size))
            label = _label()
            label.setText(words.unbroken(text))
            label.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)  # beside its symbol
            label.setIndent(0)  # which some themes have, from above too
            self._warnings.addWidget(mark, row, 0, Qt.AlignmentFlag.AlignTop)
            self._warnings.addWidget(label, row, 1)
            mark.show()
            label.show()


def _label() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
