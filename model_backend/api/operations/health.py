"""Probes for whoever watches over backends: does it live, would a job be made. They need no token."""

from __future__ import annotations

from fastapi import APIRouter, Request

from model_backend.api.backend import Backend
from model_backend.errors import NotReady
from model_backend.jobs.store.database import RESERVE

router = APIRouter()


@router.api_route("/livez", methods=["GET", "HEAD"])
async def livez() -> dict[str, str]:
    """Say that the process answers; one that does not for long is to be started again."""
    return {"status": "alive"}


@router.api_route("/readyz", methods=["GET", "HEAD"])
def readyz(request: Request) -> dict[str, str]:
    """Say that jobs are taken and made; 503 says why not."""
    backend: Backend = request.app.state.backend
    if why := reasons(backend):
        raise NotReady(f"Not ready: {', '.join(why)}.")
    return {"status": "ready"}


def reasons(backend: Backend) -> list[str]:
    """Return why a job would not be made now; raises Busy where the job store is locked."""
    mode = backend.store.administration.mode()
    found = [] if mode == "open" else [f"it is {mode} by its administrator"]
    if not backend.supervisor.is_ready():
        found.append("no worker is ready" + ", nor a Ray cluster" * bool(backend.settings.ray))
    if backend.supervisor.free_bytes() < RESERVE:
        found.append("the disk is full")
    return found
