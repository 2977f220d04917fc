"""Rasters sent to the backend: ``/uploads``, and the forms in which a request may name a raster.

    POST /uploads                                the whole file as body: 201 with its id and what it is
    POST /uploads   Content-Range: bytes */N     no body: 201 with the id of an upload of N bytes, none here
    yet PUT /uploads/I  Content-Range: bytes a-b/N   the next bytes; 409 says how many are here, if not a
    GET, DELETE /uploads/I                       how far it is; remove it

Bodies are written as they stream in and never held. The last byte starts the check
(``raster.files.upload_check``). Knows HTTP; what an upload is, ``jobs.uploads`` knows.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from model_backend.api.backend import Backend
from model_backend.api.results import base_url
from model_backend.errors import BackendError, Conflict, InvalidInput, TooLarge

_RANGE = re.compile(r"bytes (?:(\d{1,15})-(\d{1,15})|\*)/(\d{1,15})")
_RULE = "bytes FIRST-LAST/LENGTH, or bytes */LENGTH without a body"

router = APIRouter()


def _backend(request: Request) -> Backend:
    backend: Backend = request.app.state.backend
    return backend


TheBackend = Annotated[Backend, Depends(_backend)]


@router.post("/uploads")
async def begin(request: Request, backend: TheBackend) -> Response:
    """Take a whole file, or begin one that comes in pieces."""
    uploads, owner = backend.uploads, request.state.owner
    given = request.headers.get("content-range")
    most = backend.settings.max_upload
    # A body that does not say its length may have as many bytes as are taken.
    announced = _range(given)[2] if given else int(request.headers.get("content-length", most))
    _check_length(announced, most)
    state = await run_in_threadpool(uploads.start, owner, announced)
    if given is None:
        try:
            await _append(uploads.part(owner, state.id), request.stream())
            state = await backend.threads.check(uploads.finish, owner, state.id)
        except BaseException:  # also when the sender goes away: nobody knows the id
            uploads.remove(owner, state.id)
            raise
    where = f"{base_url(backend, request)}/uploads/{state.id}"
    return JSONResponse(state.to_dict(), 201, {"Location": where})


@router.put("/uploads/{upload}")
async def resume(upload: str, request: Request, backend: TheBackend) -> Response:
    """Take the next bytes of a file; with the last ones, check it."""
    uploads, owner = backend.uploads, request.state.owner
    state = await run_in_threadpool(uploads.state, owner, upload)
    first, last, length = _range(request.headers.get("content-range", ""))
    if state.facts is not None and length == state.length:
        return JSONResponse(state.to_dict())  # sent again because an answer was lost
    if first is None or last is None or length != state.length or not first <= last < length:
        raise InvalidInput("Content-Range", f"Content-Range must be {_RULE}.", allowed=_RULE)
    with _alone(upload):
        if uploads.state(owner, upload).received != first:
            raise Conflict(f"The upload has {state.received} bytes; go on from there.")
        await _append(uploads.part(owner, upload), request.stream(), last + 1 - first)
        state = await run_in_threadpool(uploads.state, owner, upload)
        if state.received == state.length:
            state = await backend.threads.check(uploads.finish, owner, upload)
    return JSONResponse(state.to_dict())


@router.api_route("/uploads/{upload}", methods=["GET", "HEAD"])
def look(upload: str, request: Request, backend: TheBackend) -> dict[str, Any]:
    """Say how far an upload is."""
    return backend.uploads.state(request.state.owner, upload).to_dict()


@router.delete("/uploads/{upload}")
def remove(upload: str, request: Request, backend: TheBackend) -> Response:
    """Remove an upload; again and again with the same outcome."""
    backend.uploads.remove(request.state.owner, upload)
    return Response(status_code=204)


class InputRasters:
    """The rasters that the inputs of one request name: those that are no uploads yet become some."""

    def __init__(self, backend: Backend, owner: str) -> None:
        self._backend, self._owner = backend, owner
        self._adopted: list[str] = []

    def as_upload(self, name: str, value: object) -> object:
        """Return the raster that an input names as ``{"upload": id}``; anything else is left for the process.

        Rasters may be uploads, links to uploads and results of the caller's own jobs, ``data:`` URIs, or
        base64. Raises InvalidInput and StorageFull.
        """
        if isinstance(value, dict) and isinstance(value.get("value"), str):
            value = value["value"]
        try:
            if isinstance(value, str):
                return {"upload": self._adopt(base64.b64decode(value, validate=True))}
            if not isinstance(value, dict) or not isinstance(value.get("href"), str):
                return value
            href = value["href"]
            if href.lower().startswith("data:"):
                return {"upload": self._adopt(base64.b64decode(href.partition(",")[2], validate=True))}
            return {"upload": self._linked(href)}
        except (binascii.Error, ValueError):
            detail = f"`{name}` is no GeoTIFF in base64."
            raise InvalidInput(name, detail, allowed="a GeoTIFF in base64, or an upload") from None
        except InvalidInput as error:
            raise error.named(name) from None

    def forget(self) -> None:
        """Remove what was made an upload for this request alone."""
        for upload in self._adopted:
            self._backend.uploads.remove(self._owner, upload)

    def _adopt(self, content: bytes | Path) -> str:
        self._adopted.append(self._backend.uploads.adopt(self._owner, content))
        return self._adopted[-1]

    def _linked(self, href: str) -> str:
        """Return the upload that a link to this server means: one of the caller's uploads or result files."""
        parts = urlsplit(href).path.strip("/").split("/")
        ours = {*self._backend.gate.hosts, None, ""}
        if urlsplit(href).hostname in ours:
            if parts[-2:-1] == ["uploads"]:
                return parts[-1]
            if len(parts) >= 4 and (parts[-4], parts[-2]) == ("jobs", "results"):
                return self._result(parts[-3], parts[-1].removesuffix(".tif"))
        detail = "The link cannot be followed: this server fetches nothing from elsewhere."
        raise InvalidInput("href", detail, value=href, allowed="your uploads, and images of your own jobs")

    def _result(self, job: str, output: str) -> str:
        try:
            results = self._backend.store.queue.results(self._owner, job)
        except BackendError as error:
            raise InvalidInput("href", f"The link cannot be followed: {error}", value=job) from None
        for result in results:
            if result.output == output and result.file is not None and result.type.startswith("image/tiff"):
                return self._adopt(self._backend.files.of(job) / result.file)
        raise InvalidInput("href", "The link cannot be followed: the job has no such image.", value=output)


_busy: set[str] = set()  # uploads that are written to; only touched by the event loop


@contextmanager
def _alone(upload: str) -> Iterator[None]:
    """Keep a second writer away from an upload."""
    if upload in _busy:
        raise Conflict("Somebody is writing to this upload at this moment.")
    _busy.add(upload)
    try:
        yield
    finally:
        _busy.discard(upload)


async def _append(path: Path, body: AsyncIterator[bytes], most: int | None = None) -> None:
    """Append a body to a file as it comes in, no more than ``most`` bytes of it."""
    with path.open("ab") as file:
        async for chunk in body:
            wanted = chunk if most is None else chunk[:most]
            most = None if most is None else most - len(wanted)
            await run_in_threadpool(file.write, wanted)


def _range(given: str) -> tuple[int | None, int | None, int]:
    """Return first and last byte (None for `*`) and length of a Content-Range."""
    found = _RANGE.fullmatch(given)
    if not found:
        raise InvalidInput("Content-Range", f"Content-Range must be {_RULE}.", value=given, allowed=_RULE)
    first, last = (None if text is None else int(text) for text in found.groups()[:2])
    return first, last, int(found[3])


def _check_length(length: int, most: int) -> None:
    if length == 0:
        raise InvalidInput("body", "An empty file is no raster.", value=0, allowed="at least one byte")
    if length > most:
        rule = f"at most {most:,} bytes"
        raise TooLarge("body", f"The file is too large: {rule} are taken.", value=length, allowed=rule)
