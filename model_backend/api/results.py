"""How outputs travel: the results document, raw values, multipart, links that are signed and expire, files.

Knows the response forms of OGC API - Processes 1.0 (7.11.3) and HTTP ranges; does not know how results come
about.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from model_backend.api.backend import Backend
from model_backend.errors import JobFailed, NoSuchResult, ResultNotReady, Unauthorized
from model_backend.jobs.store.rows import UNFINISHED, Job, RequestedOutputs, Result

LINK_SECONDS = 24 * 3600  # that a signed link is good for
EXTENSIONS = {"image/tiff": ".tif", "application/json": ".json", "application/geo+json": ".json"}


def base_url(backend: Backend, request: Request) -> str:
    """Return what links begin with: the public URL, else what the (checked) Host header says."""
    return (backend.settings.public_url or f"{request.url.scheme}://{request.headers['host']}").rstrip("/")


# ---- links ------------------------------------------------------------------------------------------


def extension(result: Result) -> str:
    """Return the ending of a result's URL."""
    return EXTENSIONS.get(result.type.split(";")[0].strip(), "")


def _signature(backend: Backend, job: str, output: str, expires: str) -> str:
    return backend.signer.get_signature(f"{job}/{output}/{expires}").decode()


def link(backend: Backend, base: str, job: str, result: Result) -> dict[str, Any]:
    """Return the link of a result file; whoever has it may read the file until it expires."""
    expires = str(int(time.time()) + LINK_SECONDS)
    query = f"expires={expires}&signature={_signature(backend, job, result.output, expires)}"
    href = f"{base}/jobs/{job}/results/{result.output}{extension(result)}?{query}"
    extra = {"length": result.bytes, "sha256": result.sha256}
    return {"href": href, "rel": "item", "type": result.type, "title": result.title} | extra


def reader(backend: Backend, request: Request, job: str, output: str) -> str:
    """Return the owner as whom a request may read an output: its own, or that of a signed link."""
    owner: str | None = request.state.owner
    if owner is not None:
        return owner
    expires = request.query_params.get("expires", "")
    given = request.query_params.get("signature", "").encode()
    if not backend.signer.verify_signature(f"{job}/{output}/{expires}", given):
        raise Unauthorized("The signature of this link is wrong.")
    if float(expires) < time.time():
        raise Unauthorized("This link has expired; the job's results document has a fresh one.")
    return backend.store.queue.owner(job)


# ---- results of a job ---------------------------------------------------------------------------------


def of_job(backend: Backend, job: Job) -> list[Result]:
    """Return a job's outputs, or raise what its state answers instead."""
    if job.status in UNFINISHED:
        raise ResultNotReady(f"The job is {job.status}; its results are not ready.")
    if job.status == "dismissed":
        raise NoSuchResult("The job was dismissed; it has no results.")
    if job.status == "failed":
        raise JobFailed(job.message)
    return backend.store.queue.results(job.owner, job.id)


def render(
    backend: Backend, base: str, job: str, requested: RequestedOutputs, results: list[Result]
) -> Response:
    """Return the outputs a request wanted, in the form it wanted."""
    wanted = [r for r in results if not requested.outputs or r.output in requested.outputs]
    if requested.response == "document":
        return JSONResponse({r.output: _entry(backend, base, job, r) for r in wanted})
    if all(r.file for r in wanted):
        links = [_header(link(backend, base, job, r), r.output) for r in wanted]
        return Response(status_code=204, headers={"Link": ", ".join(links)})
    if len(wanted) == 1:
        return Response(_raw(wanted[0]), media_type=wanted[0].type)
    return _multipart(wanted)


def _entry(backend: Backend, base: str, job: str, result: Result) -> Any:
    if result.file:
        return link(backend, base, job, result)
    # An object is qualified, so that it cannot be taken for a link or a bounding box.
    return {"value": result.value} if isinstance(result.value, Mapping) else result.value


def _header(target: dict[str, Any], output: str) -> str:
    return f'<{target["href"]}>; rel="item"; type="{target["type"]}"; title="{output}"'


def _raw(result: Result) -> bytes:
    text = result.value if isinstance(result.value, str) else json.dumps(result.value, ensure_ascii=False)
    return text.encode()


def _multipart(results: list[Result]) -> Response:
    boundary = secrets.token_hex(16)
    parts = [
        f"--{boundary}\r\nContent-Type: {r.type}\r\nContent-ID: <{r.output}>\r\n\r\n".encode() + _raw(r)
        for r in results
    ]
    body = b"\r\n".join([*parts, f"--{boundary}--\r\n".encode()])
    return Response(body, media_type=f"multipart/related; boundary={boundary}")


# ---- one output ---------------------------------------------------------------------------------------


def output_of(name: str) -> str:
    """Return the output that the last part of a result's URL names."""
    return name.removesuffix(".tif").removesuffix(".json")


def deliver(backend: Backend, request: Request, job: Job, name: str) -> Response:
    """Answer GET or HEAD for one output: a value, or a file in ranges."""
    named = [r for r in of_job(backend, job) if name in (r.output, r.output + extension(r))]
    if not named:
        raise NoSuchResult("The job has no such output.")
    if named[0].file is None:
        return Response(_raw(named[0]), media_type=named[0].type)
    return _file(backend.files.of(job.id) / named[0].file, named[0], request)


def _file(path: Path, result: Result, request: Request) -> Response:
    try:
        size = path.stat()
    except FileNotFoundError:
        raise NoSuchResult("The file of this result is gone.") from None
    _check_range(request.headers.get("range", ""), size.st_size)
    checksum = base64.b64encode(bytes.fromhex(result.sha256 or "")).decode()
    headers = {"ETag": f'"{result.sha256}"', "Repr-Digest": f"sha-256=:{checksum}:"}
    name = f"text2earth-{path.parts[-3][:8]}-{result.output}{extension(result)}"
    return FileResponse(path, headers=headers, media_type=result.type, filename=name, stat_result=size)


def _check_range(header: str, size: int) -> None:
    """Refuse a single range that begins beyond the end, as problem+json."""
    first = header.removeprefix("bytes=").partition("-")[0].strip()
    if header.startswith("bytes=") and first.isdecimal() and "," not in header and int(first[:20]) >= size:
        raise HTTPException(416, f"The file has {size} bytes.", {"Content-Range": f"bytes */{size}"})


def preview(backend: Backend, job: Job) -> Response:
    """Answer a job's preview: what it looks like so far, or what it came to."""
    if job.status in ("failed", "dismissed"):
        raise NoSuchResult("The job has no preview any more.")
    try:
        picture = backend.files.preview(job.id).read_bytes()
    except (FileNotFoundError, PermissionError):  # PermissionError: Windows, while it is replaced
        raise NoSuchResult("There is no preview of this job now.") from None
    return Response(picture, media_type="image/png")
