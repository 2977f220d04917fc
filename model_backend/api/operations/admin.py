"""What an administrator asks and orders, under ``/admin``: answered on the socket of the data folder alone.

Who may open that socket, the file system knows: the user that the backend runs as. To everybody else there
is nothing at these paths. ``administration.client`` is the other end.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.exceptions import HTTPException

from model_backend import __version__
from model_backend.api.backend import Backend
from model_backend.jobs.store.administration import Mode
from model_backend.value import Value


def _backend(request: Request) -> Backend:
    if not getattr(request.state, "administrator", False):
        raise HTTPException(404)
    backend: Backend = request.app.state.backend
    return backend


TheBackend = Annotated[Backend, Depends(_backend)]
router = APIRouter(prefix="/admin")


class ModeOrder(Value):
    """Whether jobs come in and go on."""

    mode: Mode


class OwnerOrder(Value):
    """What an owner gets; what is left out stays."""

    priority: float | None = None
    running: Annotated[int, Field(ge=0)] | None = None


@router.get("/status")
def status(backend: TheBackend) -> dict[str, Any]:
    """Say how it is set, what its workers do, how many jobs there are."""
    counts: dict[str, int] = {"accepted": 0, "running": 0}
    for _, state, count in backend.store.administration.queue():
        counts[state] += count
    return {
        "version": __version__,
        "mode": backend.store.administration.mode(),
        "workers": backend.supervisor.health(),
        "waiting": counts["accepted"],
        "running": counts["running"],
    }


@router.put("/mode")
def set_mode(order: ModeOrder, backend: TheBackend) -> dict[str, Any]:
    """Pause, drain or resume."""
    backend.store.administration.set_mode(order.mode)
    backend.supervisor.wake()
    return status(backend)


@router.get("/jobs")
def jobs(backend: TheBackend, ended: bool = False) -> list[dict[str, Any]]:
    """List the jobs of all owners."""
    return backend.store.administration.jobs(ended=ended)


@router.delete("/jobs/{job}")
def cancel(job: str, backend: TheBackend) -> dict[str, str]:
    """Dismiss anybody's job."""
    backend.store.administration.cancel(job)
    backend.files.sweep(backend.store.upkeep.folders)
    return {"dismissed": job}


@router.get("/owners")
def owners(backend: TheBackend) -> list[dict[str, Any]]:
    """List what each owner has and gets."""
    return backend.store.administration.owners()


@router.put("/owners/{owner:path}")
def set_owner(owner: str, order: OwnerOrder, backend: TheBackend) -> list[dict[str, Any]]:
    """Give an owner another share or limit."""
    backend.store.administration.set_owner(owner, order.priority, order.running)
    backend.supervisor.wake()
    return backend.store.administration.owners()
