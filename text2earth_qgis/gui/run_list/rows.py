"""The rows of the list of runs: what they say.

Turns a ``history.Run`` and, while it is under way, its ``RunStatus`` into words. Knows no button.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Optional

from text2earth_qgis.core.language import tr, trn
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.runs.watcher import RunStatus
from text2earth_qgis.gui import words

SYMBOLS = {
    "preparing": "queued", "submitting": "queued", "accepted": "queued", "running": "running",
    "dismissing": "dismissed", "successful": "fetch", "fetched": "successful", "failed": "failed",
    "dismissed": "dismissed",
}  # fmt: skip
SETTINGS = {  # in a recipe
    "model": tr("Model: {value}"), "seed": tr("Seed: {value}"), "level": tr("Level: {value}"),
    "steps": tr("Steps: {value}"), "sampler": tr("Sampler: {value}"), "guidance": tr("Guidance: {value}"),
}  # fmt: skip
PAD = 6


@dataclass(frozen=True)
class Row:
    """One line of the list: the stored run, and where it stands if it is under way."""

    run: Run
    progress: Optional[RunStatus] = None

    @property
    def title(self) -> str:
        """Return the prompt on one line."""
        return words.first_line(self.run.prompt) or tr("Without prompt")

    @property
    def seed(self) -> Optional[int]:
        """Return the seed, as soon as it is known."""
        status = self.progress.status if self.progress else None
        return self.run.recipe.get("seed", status.seed if status else None)


def progress_text(progress: RunStatus) -> str:
    """Describe how far a run under way is, as a phrase."""
    status = progress.status
    if status is None or status.finished:
        return progress.text
    parts = [progress.text.strip().rstrip(".。")]
    if status.status == "accepted":
        place = status.queue_position
        if not place:
            parts = [tr("Waiting")]
        elif place == 1:
            parts = [tr("Next in the queue")]
        else:
            parts = [tr("{place} in the queue").format(place=words.ordinal(place))]
    elif status.steps is not None:
        parts.append(_steps(*status.steps, status.windows or 1))
    if progress.left is not None:
        parts.append(words.time_left(progress.left))
    return " · ".join(parts)


def _steps(done: int, total: int, windows: int) -> str:
    """Return how many steps of a diffusion model are done, of all its windows."""
    text = trn("step {done} of {total}", "step {done} of {total} in {windows} windows", windows)
    return text.format(done=words.number(done), total=words.number(total), windows=words.number(windows))


def detail(run: Run) -> str:
    """Describe a run that is over, or waits to be fetched, in one line."""
    when = words.clock(datetime.fromisoformat(run.created))
    if run.state == "failed" or (run.open and run.message):
        return " · ".join((when, run.message or tr("failed")))
    if run.open:
        host = words.host(run.server)
        where = tr("on this computer") if words.is_local(run.server) else tr("on {host}").format(host=host)
        return f"{when} · {where}"
    if run.state == "dismissed":
        return " · ".join((when, tr("cancelled")))
    parts, grid = [when], run.recipe.get("resampled") or run.recipe.get("grid")
    if run.raster:
        parts.append(run.raster)
    elif grid:
        parts.append(f"{words.number(grid['width'])} × {words.number(grid['height'])} px")
    if run.recipe.get("seed") is not None:
        parts.append(tr("seed {seed}").format(seed=run.recipe["seed"]))
    return " · ".join(parts)


def tooltip(run: Run) -> str:
    """Return everything worth knowing about a run."""
    lines = [run.prompt, ""]
    lines += [text for text in (run.message, run.notes) if text]
    for name, text in SETTINGS.items():
        if run.recipe.get(name) is not None:
            lines.append(text.format(value=run.recipe[name]))
    if run.raster:
        lines.append(tr("Raster: {value}").format(value=run.raster))
    lines.append(tr("Backend: {value}").format(value=run.server))
    if run.state == "fetched":
        lines.append(tr("File: {value}").format(value=run.target))
    if run.project:
        lines.append(tr("Project: {value}").format(value=run.project))
    return "\n".join(lines)
