"""From an execute request to a job, or to an answer while the caller waits.

Knows the request's shape in OGC API - Processes 1.0 (inputs, outputs, response, Prefer) and where links in
inputs may point: ``data:`` URIs and JSON results of the caller's own jobs, nothing else. Knows no pixels.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote_to_bytes, urlsplit

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from model_backend.api.backend import Backend
from model_backend.api.results import render
from model_backend.api.status import poll_headers, status_info
from model_backend.api.uploads import stored
from model_backend.api.wire import digest, loads
from model_backend.errors import BackendError, InvalidInput
from model_backend.jobs.rows import Job, RequestedOutputs, Result, Submission
from model_backend.jobs.uploads import Uploads
from model_backend.jobs.values import JSON, STEPS_PER_SECOND, answer, known_of, pause_of
from model_backend.models.registry import Registry
from model_backend.processes import edit, extend, generate
from model_backend.processes.base import Process
from model_backend.schemas import EditInputs, ExtendInputs, GenerateInputs, Value

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


def wants_async(process: Process[Any], prefer: list[str]) -> bool:
    """Negotiate the execution mode: async if preferred, or if the process knows nothing else."""
    return not process.sync or "respond-async" in _tokens(prefer)


def _tokens(prefer: list[str]) -> set[str]:
    return {token.strip().lower() for header in prefer for token in header.split(",")}


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
    prefer = request.headers.getlist("prefer")
    if not wants_async(process, prefer):
        return render(backend, base, "", execution.requested, await wait(backend, owner, execution))
    job = await run_in_threadpool(submit, backend, owner, execution, key)
    info = await run_in_threadpool(status_info, backend, base, job)
    applied = {"Preference-Applied": "respond-async"} if "respond-async" in _tokens(prefer) else {}
    headers = {"Location": f"{base}/jobs/{job.id}", **applied, **poll_headers(info)}
    return JSONResponse(info, 201, headers)


async def wait(backend: Backend, owner: str, execution: Execution) -> list[Result]:
    """Execute while the caller waits and return the outputs."""
    inputs = await run_in_threadpool(_parse, backend, owner, execution)
    await asyncio.sleep(pause_of(inputs))
    return await run_in_threadpool(answer, inputs, backend.settings, backend.store, owner)


def submit(backend: Backend, owner: str, execution: Execution, key: str | None) -> Job:
    """Queue a job, or return the one that an equal request with the same key has made."""
    known = backend.store.queue.replay(owner, key, execution.digest)
    if known is not None:
        return known
    inputs = _parse(backend, owner, execution)
    job = backend.store.queue.submit(
        _submission(backend, owner, execution, inputs, key),
        max_jobs=backend.settings.max_jobs,
        free=backend.supervisor.free_bytes(),
    )
    backend.supervisor.wake()
    return job


def dismiss(backend: Backend, owner: str, job: str) -> Job:
    """Dismiss an unfinished job or remove a finished one; its files go as soon as nobody writes them."""
    dismissed = backend.store.queue.dismiss(owner, job)
    backend.files.sweep(backend.store.upkeep.keeping_files)
    return dismissed


def _submission(
    backend: Backend, owner: str, execution: Execution, inputs: Value, key: str | None
) -> Submission:
    totals: tuple[int, ...] = (1 + STEPS_PER_SECOND * pause_of(inputs),)
    rate: float | None = 1 / STEPS_PER_SECOND
    plan = None
    registry = Registry(backend.settings)
    if isinstance(inputs, GenerateInputs):
        profile, rate = known_of(inputs.model, registry, backend.store)
        plan = generate.plan(inputs, registry, backend.settings, rate, profile)
    elif isinstance(inputs, EditInputs | ExtendInputs):
        rate = known_of(inputs.model, registry, backend.store)[1]
        files = Uploads(backend.settings).files_of(owner, inputs)
        if isinstance(inputs, EditInputs):
            plan = edit.plan(inputs, files, registry, backend.settings, rate)
        else:
            plan = extend.plan(inputs, files, registry, backend.settings, rate)
    layout = None
    if plan is not None:
        registry.get(plan.recipe.model).require()
        totals = (plan.evaluations // plan.variants,)
        if isinstance(inputs, GenerateInputs):
            totals, layout = generate.blocks(plan, registry), generate.layout_seconds(plan)
    return Submission(
        owner=owner,
        process=execution.process.id,
        digest=execution.digest,
        inputs=inputs.model_dump(mode="json"),
        requested=execution.requested,
        totals=totals,
        variants=plan.variants if plan else 1,
        layout=layout,
        plan=plan,
        rate=rate,
        key=key,
    )


def _parse(backend: Backend, owner: str, execution: Execution) -> Value:
    given = stored(backend, owner, execution.process.id, execution.inputs)
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
    """Return what an RFC 2397 URI holds: JSON, or text."""
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
