"""The port of workers on other computers: calls, finished files and previews in, models and rasters out.

Asks for the workers' own token, which opens nothing else, and for their version. Knows HTTP; what may be
asked, ``jobs.remote.port`` knows.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from model_backend import __version__
from model_backend.api.auth import credential
from model_backend.api.backend import Backend
from model_backend.api.wire import loads
from model_backend.errors import Cancelled, Conflict, InvalidInput, Unauthorized
from model_backend.jobs.remote.connection import PATH, SHA256, VERSION
from model_backend.jobs.remote.port import WorkerPort


def _port(request: Request) -> WorkerPort:
    """Return the port, for workers alone; Unauthorized, or Conflict for those of another version."""
    backend: Backend = request.app.state.backend
    given = credential(request.headers.get("authorization", ""))
    if not hmac.compare_digest(given, backend.worker_token.encode()):
        raise Unauthorized("Send the token of this backend's workers (DATA_DIR/worker-token).")
    if request.headers.get(VERSION) != __version__:
        raise Conflict(f"Workers need Text2Earth {__version__}, as the backend has it.")
    return backend.port


Port = Annotated[WorkerPort, Depends(_port)]
router = APIRouter(prefix=PATH, dependencies=[Depends(_port)])


@router.post("/calls/{name}")
async def call(name: str, request: Request, port: Port) -> Response:
    """Answer a call."""
    arguments = loads(await request.body())
    return JSONResponse(await run_in_threadpool(port.call, name, arguments))


@router.put("/files/{job}/{attempt}/{variant}/{name}")
async def take_file(
    job: str, attempt: str, variant: str, name: str, request: Request, port: Port
) -> Response:
    """Take a file of a block."""
    if name.startswith(".") or set(name) & set("/\\\0"):
        raise InvalidInput("name", "That is no name of a file.", value=name)
    try:
        folder = await run_in_threadpool(port.folder, job, attempt, variant)
        await _receive(request, folder / f"{name}.part", folder / name)
    except (Cancelled, FileNotFoundError):  # the folder goes where nobody waits for the block any more
        return _STOP
    return _DONE


@router.put("/previews/{job}/{attempt}/{variant}")
async def take_preview(job: str, attempt: str, variant: str, request: Request, port: Port) -> Response:
    """Take a preview of a job, as far as a worker sees it; answer when it may send another one."""
    try:
        folder = await run_in_threadpool(port.folder, job, attempt, variant)
        made = folder.with_name(f"preview.{attempt}.part")
        await _receive(request, made)
        pause = await run_in_threadpool(port.show, job, made)
    except (Cancelled, FileNotFoundError):
        return _STOP
    return JSONResponse({"pause": pause})


@router.get("/rasters/{job}/{upload}")
def give_raster(job: str, upload: str, port: Port) -> Response:
    """Give an input of a job."""
    return FileResponse(port.raster(job, upload).path)


@router.get("/models/{model}/{name:path}")
def give_model_file(model: str, name: str, port: Port) -> Response:
    """Give a file of a model."""
    return FileResponse(port.model_file(model, name))


_DONE, _STOP = JSONResponse({}), JSONResponse({"raised": "Cancelled"})


async def _receive(request: Request, part: Path, target: Path | None = None) -> None:
    """Write a body into a file, whole and as it was sent, or not at all."""
    digest: Any = hashlib.sha256()
    try:
        with part.open("wb") as file:
            async for chunk in request.stream():
                digest.update(chunk)
                await run_in_threadpool(file.write, chunk)
        if digest.hexdigest() != request.headers.get(SHA256):
            raise InvalidInput("body", "The file came damaged; send it again.")
        if target is not None:
            part.replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
        raise
