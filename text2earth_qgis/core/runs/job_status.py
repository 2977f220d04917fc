"""What the backend says of a job, in words for the user."""

from __future__ import annotations

from text2earth_qgis.core.errors import JobFailed
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import StatusInfo

DONE = "Done."  # how our backend begins what it says of a job that went well
DENOISING = 0.95  # share of the progress bar; the download has the rest


def raise_unless_successful(status: StatusInfo) -> None:
    """Raise ``JobFailed`` with the reason if the job did not end well."""
    if status.status == "failed":
        raise JobFailed(_failure(status.message))
    if status.status == "dismissed":
        raise JobFailed(tr("The job was dismissed on the backend."))


def notes_of(status: StatusInfo) -> str:
    """Return what our backend has to say of a job that went well: what it left out, or did otherwise."""
    good = status.status == "successful" and status.message.startswith(DONE)
    return status.message[len(DONE) :].strip() if good else ""


def all_notes(*notes: str) -> str:
    """Return notes one after the other, each once: a job repeats what its plan has warned of."""
    found = ""
    for note in notes:
        if note not in found:
            found = f"{found} {note}".strip()
    return found


def status_text(status: StatusInfo) -> str:
    """Return where a job stands, in words."""
    if status.status == "accepted" and status.queue_position:
        return tr("Waiting, place {place} in the queue").format(place=status.queue_position)
    return status.message or {"accepted": tr("Waiting"), "running": tr("Running")}.get(
        status.status, status.status
    )


def _failure(reason: str) -> str:
    if not reason:
        return tr("The backend could not finish the job: it gave no reason.")
    return tr("The backend could not finish the job: {reason}").format(reason=reason)
