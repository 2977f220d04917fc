"""From an execute request to a job, or to an answer while the caller waits.

Knows the request's shape in OGC API - Processes 1.0 (inputs, outputs, response, Prefer) and where links in
inputs may point: ``data:`` URIs and JSON results of the caller's own jobs, nothing else. Knows no pixels.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal
from urllib.parse import unquote_to_bytes, urlsplit

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from model_backend import logs
from model_backend.api.backend import Backend
from model_backend.api.results import render
from model_backend.api.status import poll_headers, status_info
from model_backend.api.uploads import InputRasters
from model_backend.api.wire import digest, loads
from model_backend.errors import BackendError, InvalidInput
from model_backend.jobs.answers import JSON, answer
from model_backend.jobs.store.rows import Job, RequestedOutputs, Result, Submission
from model_backend.processes.base import PlanContext, Process
from model_backend.processes.values import ValueProcess
from model_backend.schemas import Value

KEY_LENGTH = 255


@dataclass(frozen=True)
class Execution:
    """An execute request that is well formed; its inputs are not looked into yet."""

    process: Process[Any]
    inputs: dict[str, Any]
    requested: RequestedOutputs
    digest: str


def read(process: Process[Any], body: bytes) -> Execution:
    """Return the execute request in ``body``; InvalidInput names what is wrong with it."""
    request = loads(body)
    if not isinstance(request, dict):
        raise InvalidInput("body", "The body must be a JSON object.", allowed="an object with `inputs`")
    inputs, outputs = request.get("inputs", {}), request.get("outputs", {})
    if not isinstance(inputs, dict):
        raise InvalidInput("inputs", "`inputs` must be an object.", value=inputs, allowed="an object")
    response = _response(request.get("response", "raw"))
    requested = RequestedOutputs(response, _outputs(process, outputs))
    return Execution(process, inputs, requested, digest(process.id, inputs, outputs, response))


def _prefers_async(prefer: list[str]) -> bool:
    """Say whether the Prefer headers ask for a job."""
    return "respond-async" in {token.strip().lower() for header in prefer for token in header.split(",")}


def _check_media_type(given: str) -> None:
    media = given.split(";")[0].strip().lower()
    if media != JSON and not media.endswith("+json"):
        raise InvalidInput("Content-Type", "Send the request as JSON.", value=given, allowed=JSON)


def idempotency_key(given: str | None) -> str | None:
    """Check an Idempotency-Key."""
    if given is not None and not 1 <= len(given) <= KEY_LENGTH:
        rule = f"1 to {KEY_LENGTH} characters"
        raise InvalidInput("Idempotency-Key", f"An Idempotency-Key has {rule}.", value=given, allowed=rule)
    return given


async def respond(backend: Backend, base: str, request: Request, process: Process[Any]) -> Response:
    """Answer an execute request: 201 with a job, or the outputs."""
    owner = request.state.owner
    _check_media_type(request.headers.get("content-type", JSON))
    key = idempotency_key(request.headers.get("idempotency-key"))
    execution = await run_in_threadpool(read, process, await request.body())
    prefers_async = _prefers_async(request.headers.getlist("prefer"))
    if isinstance(process, ValueProcess) and not prefers_async:
        results = await wait(backend, owner, process, execution)
        return render(backend, base, "", execution.requested, results)
    job = await backend.threads.execute(submit, backend, owner, execution, key)
    info = await run_in_threadpool(status_info, backend, base, job)
    applied = {"Preference-Applied": "respond-async"} if prefers_async else {}
    headers = {"Location": f"{base}/jobs/{job.id}", **applied, **poll_headers(info)}
    return JSONResponse(info, 201, headers)


async def wait(
    backend: Backend, owner: str, process: ValueProcess[Any], execution: Execution
) -> list[Result]:
    """Execute while the caller waits and return the outputs; no file of it stays."""
    rasters = InputRasters(backend, owner)
    try:
        inputs = await backend.threads.execute(_parse, backend, owner, execution, rasters)
        await asyncio.sleep(process.pause(inputs))
        return await backend.threads.execute(
            answer, process, inputs, _plan_context(backend, owner, execution)
        )
    finally:
        rasters.forget()


def submit(backend: Backend, owner: str, execution: Execution, key: str | None) -> Job:
    """Queue a job, or return the one that an equal request with the same key has made."""
    known = backend.store.queue.replay(owner, key, execution.digest)
    if known is not None:
        return known
    rasters, limits = InputRasters(backend, owner), backend.settings
    try:
        inputs = _parse(backend, owner, execution, rasters)
        job = backend.store.queue.submit(
            _submission(backend, owner, execution, inputs, key),
            max_jobs=limits.max_jobs,
            max_bytes=limits.owner_result_bytes,
            free=backend.supervisor.free_bytes() - backend.uploads.promised(),
        )
    except BaseException:
        rasters.forget()
        raise
    backend.supervisor.wake()
    return job


def dismiss(backend: Backend, owner: str, job: str) -> Job:
    """Dismiss an unfinished job or remove a finished one; its files go as soon as nobody writes them."""
    dismissed = backend.store.queue.dismiss(owner, job)
    backend.files.sweep(backend.store.upkeep.folders)
    return dismissed


def _submission(
    backend: Backend, owner: str, execution: Execution, inputs: Value, key: str | None
) -> Submission:
    return Submission(
        owner=owner,
        process=execution.process.id,
        digest=execution.digest,
        inputs=inputs.model_dump(mode="json"),
        requested=execution.requested,
        work=execution.process.workload(inputs, _plan_context(backend, owner, execution)),
        key=key,
        request=logs.current_request(),
    )


def _plan_context(backend: Backend, owner: str, execution: Execution) -> PlanContext:
    raster = partial(backend.uploads.raster, owner)
    outputs = frozenset(execution.requested.outputs)
    return PlanContext(backend.registry, backend.settings, backend.store.profiles.of, raster, outputs)


def _parse(backend: Backend, owner: str, execution: Execution, rasters: InputRasters) -> Value:
    given = execution.process.with_uploads(execution.inputs, rasters.as_upload)
    inputs = {name: _fetched(backend, owner, name, value) for name, value in given.items()}
    parsed: Value = execution.process.parse(inputs)
    return parsed


# ---- what the request wants ---------------------------------------------------------------------------


def _response(given: object) -> Literal["raw", "document"]:
    if given == "raw":
        return "raw"
    if given == "document":
        return "document"
    raise InvalidInput(
        "response", "`response` must be raw or document.", value=given, allowed="raw, document"
    )


def _outputs(process: Process[Any], given: object) -> dict[str, str | None]:
    """Return the wanted outputs with their transmission modes; empty means all."""
    if not isinstance(given, dict):
        raise InvalidInput("outputs", "`outputs` must be an object.", value=given, allowed="an object")
    modes = process.summary()["outputTransmission"]
    wanted: dict[str, str | None] = {}
    for name, spec in given.items():
        if name not in process.outputs:
            names = ", ".join(process.outputs)
            raise InvalidInput("outputs", f"There is no output {name[:100]!r}.", value=name, allowed=names)
        mode = spec.get("transmissionMode") if isinstance(spec, dict) else spec
        if not isinstance(spec, dict) or mode not in (None, *modes):
            field, rule = f"outputs.{name}.transmissionMode", ", ".join(modes)
            raise InvalidInput(field, f"`{name}` is sent by {rule} only.", value=mode, allowed=rule)
        wanted[name] = mode
    return wanted


# ---- inputs by reference ----------------------------------------------------------------------------


def _fetched(backend: Backend, owner: str, name: str, value: object) -> object:
    """Return an input by value: a link to a ``data:`` URI or an own JSON result is followed."""
    if not isinstance(value, dict) or not isinstance(value.get("href"), str):
        return value
    href = value["href"]
    try:
        if href.lower().startswith("data:"):
            return _data(href)
        return _own_result(backend, owner, href)
    except (UnicodeDecodeError, binascii.Error):
        raise InvalidInput(f"{name}.href", f"The link of `{name}` holds no text.", value=href) from None
    except (BackendError, ValueError) as error:
        raise InvalidInput(
            f"{name}.href",
            f"The link of `{name}` cannot be followed: {str(error).rstrip('.')}.",
            value=href,
            allowed="data: URIs, and results of your own jobs that are JSON",
        ) from None


def _data(href: str) -> object:
    """Read an RFC 2397 URI: JSON, or text."""
    head, comma, payload = href[5:].partition(",")
    if not comma:
        raise ValueError("a data: URI needs a comma.")
    media, *parameters = (part.strip().lower() for part in head.split(";"))
    raw = unquote_to_bytes(payload)
    content = base64.b64decode(raw, validate=True) if "base64" in parameters else raw
    return loads(content) if media.endswith("json") else content.decode("utf-8")


def _own_result(backend: Backend, owner: str, href: str) -> object:
    path = urlsplit(href).path.strip("/").split("/")
    base = urlsplit(backend.settings.public_url or "").path.strip("/")
    path = path[len(base.split("/")) :] if base and path[: len(base.split("/"))] == base.split("/") else path
    ours = {*backend.gate.hosts, None, ""}
    if urlsplit(href).hostname not in ours or len(path) != 4 or (path[0], path[2]) != ("jobs", "results"):
        raise ValueError("this server fetches nothing from elsewhere.")
    job, output = path[1], path[3].removesuffix(".json")
    for result in backend.store.queue.results(owner, job):
        if result.output == output and result.file is None:
            return result.value
        if result.output == output and result.type.endswith("json"):
            file = backend.files.of(job) / str(result.file)
            if (result.bytes or 0) > backend.settings.max_body:
                raise ValueError("it is too large.")
            return loads(file.read_bytes())
    raise ValueError("there is no such result.")
