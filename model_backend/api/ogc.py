"""The endpoints of OGC API - Processes 1.0, and ours beside them.

Knows paths, methods and links; each endpoint calls into the rest and has no rules of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from model_backend import __version__, processes
from model_backend.api import execute, results
from model_backend.api.backend import Backend
from model_backend.api.memory import memory
from model_backend.api.openapi import OPENAPI_TYPE, document
from model_backend.api.status import poll_headers, read_filter, read_page, status_info
from model_backend.engine.by_example.fill_cost import MOST_AROUND
from model_backend.jobs.store.rows import Job
from model_backend.models.card import ModelCard
from model_backend.processes.base import Process
from model_backend.processes.reading.vocabulary import vocabulary

_SPEC = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/"
_REL = "http://www.opengis.net/def/rel/ogc/1.0/"
CONFORMANCE = [_SPEC + name for name in ("core", "ogc-process-description", "json", "job-list", "dismiss")]

router = APIRouter()


def _get(path: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Route GET and HEAD: FastAPI answers HEAD with 405 otherwise."""
    return router.api_route(path, methods=["GET", "HEAD"])


def _backend(request: Request) -> Backend:
    backend: Backend = request.app.state.backend
    return backend


def _base(request: Request) -> str:
    return results.base_url(_backend(request), request)


def _job(request: Request, job: str) -> Job:
    return _backend(request).store.queue.job(request.state.owner, job)


TheBackend = Annotated[Backend, Depends(_backend)]
Base = Annotated[str, Depends(_base)]
OwnJob = Annotated[Job, Depends(_job)]


def _link(base: str, path: str, rel: str, title: str, media: str = "application/json") -> dict[str, str]:
    return {"href": base + path, "rel": rel, "type": media, "title": title}


@_get("/")
def landing(base: Base) -> dict[str, Any]:
    """Say what is where."""
    links = [
        _link(base, "/", "self", "This page"),
        _link(base, "/api", "service-desc", "The API as OpenAPI 3.0", OPENAPI_TYPE),
        _link(base, "/conformance", _REL + "conformance", "What this API conforms to"),
        _link(base, "/processes", _REL + "processes", "Processes"),
        _link(base, "/jobs", _REL + "job-list", "Your jobs"),
    ]
    text = "Makes synthetic, georeferenced overhead imagery from text."
    return {"title": "Text2Earth", "description": text, "links": links}


@_get("/conformance")
def conformance() -> dict[str, Any]:
    """List the conformance classes."""
    return {"conformsTo": CONFORMANCE}


@_get("/api")
def api(base: Base) -> Response:
    """Describe the API in OpenAPI 3.0."""
    return JSONResponse(document(base), media_type=OPENAPI_TYPE)


@_get("/healthz")
def healthz(backend: TheBackend) -> dict[str, Any]:
    """Say how the backend is; needs no token.

    An answer says that it lives; ``ready``, that a worker takes jobs; ``workers``, which of them is stuck.
    """
    entry = backend.registry.default()
    known = backend.store.profiles.of(entry.card.id)
    workers = backend.supervisor.health()
    ready = backend.supervisor.is_ready()
    stuck = "stuck" if any(worker["state"] == "stuck" for worker in workers) else "starting"
    return {
        "status": "ok" if ready else stuck,
        "ready": ready,
        "workers": workers,
        "version": __version__,
        "model": entry.card.id,
        "installed": entry.folder is not None,
        "device": known[0].get("device") if known else None,
        "profile": known[0] if known else None,
        "memory": memory(),
        "queue": backend.store.queue.waiting(),
    }


def _seen_at_once(card: ModelCard) -> int:
    """Return the pixels around a mask that a model works on."""
    return MOST_AROUND if card.copies else card.engine.window * card.vae_factor


@_get("/models")
def models(backend: TheBackend) -> dict[str, Any]:
    """List the models a request may name."""
    registry = backend.registry
    default = registry.default().card.id
    fields = {"id", "title", "about", "pipeline", "gsd", "levels", "words"}
    fields |= {"licence", "licence_url", "non_commercial", "attribution", "notice"}
    fields |= {"sampler", "steps", "guidance"}
    return {
        "models": [
            entry.card.model_dump(mode="json", include=fields)
            | {"window": _seen_at_once(entry.card), "vocabulary": vocabulary(entry.card)}
            | {"default": entry.card.id == default, "installed": entry.folder is not None}
            | {"bytes": entry.bytes, "memory": entry.memory}
            | {"pullable": entry.folder is None and entry.card.repo is not None}
            for entry in registry.all()
        ]
    }


# ---- processes ----------------------------------------------------------------------------------------


def _process_links(base: str, process: Process[Any]) -> list[dict[str, str]]:
    path = f"/processes/{process.id}"
    return [
        _link(base, path, "self", process.title),
        _link(base, path + "/execution", _REL + "execute", f"Execute {process.id}"),
    ]


@_get("/processes")
def process_list(request: Request, base: Base) -> dict[str, Any]:
    """List the processes."""
    limit, offset = read_page(request.query_params.multi_items())
    every = processes.every()
    page = [p.summary() | {"links": _process_links(base, p)} for p in every[offset : offset + limit]]
    links = _page_links(base, "/processes", request, limit, offset, more=offset + limit < len(every))
    return {"processes": page, "links": links}


@_get("/processes/{process_id}")
def process(process_id: str, base: Base) -> dict[str, Any]:
    """Describe a process."""
    found = processes.get(process_id)
    return found.description() | {"links": _process_links(base, found)}


@router.post("/processes/{process_id}/execution")
async def execution(process_id: str, request: Request, backend: TheBackend, base: Base) -> Response:
    """Execute a process: as a job, or while the caller waits."""
    return await execute.respond(backend, base, request, processes.get(process_id))


# ---- jobs ---------------------------------------------------------------------------------------------


@_get("/jobs")
def job_list(request: Request, backend: TheBackend, base: Base) -> dict[str, Any]:
    """List the caller's jobs, newest first."""
    query = request.query_params.multi_items()
    which, (limit, offset) = read_filter(query), read_page(query)
    owner = request.state.owner
    found = backend.store.queue.jobs(owner, which, limit=limit + 1, offset=offset) if which else []
    links = _page_links(base, "/jobs", request, limit, offset, more=len(found) > limit)
    return {"jobs": [status_info(backend, base, job) for job in found[:limit]], "links": links}


@_get("/jobs/{job}")
def status(found: OwnJob, backend: TheBackend, base: Base) -> Response:
    """Say how a job is."""
    info = status_info(backend, base, found)
    return JSONResponse(info, headers=poll_headers(info))


@router.delete("/jobs/{job}")
def dismiss(job: str, request: Request, backend: TheBackend, base: Base) -> dict[str, Any]:
    """Dismiss an unfinished job, remove a finished one."""
    dismissed = execute.dismiss(backend, request.state.owner, job)
    return status_info(backend, base, dismissed)


@_get("/jobs/{job}/results")
def job_results(found: OwnJob, backend: TheBackend, base: Base) -> Response:
    """Return the outputs the request wanted, in the form it wanted."""
    return results.render(backend, base, found.id, found.requested, results.of_job(backend, found))


@_get("/jobs/{job}/results/{name}")
def job_result(job: str, name: str, request: Request, backend: TheBackend) -> Response:
    """Return one output; also by a signed link, in ranges."""
    owner = results.reader(backend, request, job, results.output_of(name))
    return results.deliver(backend, request, backend.store.queue.job(owner, job), name)


@_get("/jobs/{job}/preview")
def preview(found: OwnJob, backend: TheBackend) -> Response:
    """Return what a job looks like so far, as PNG, transparent where nothing is made yet."""
    return results.preview(backend, found)


def _page_links(
    base: str, path: str, request: Request, limit: int, offset: int, *, more: bool
) -> list[dict[str, str]]:
    url = request.url
    here = f"{path}?{url.query}" if url.query else path
    links = [_link(base, here, "self", "This page")]
    for rel, start, wanted in (("next", offset + limit, more), ("prev", max(0, offset - limit), offset > 0)):
        if wanted:
            page = url.include_query_params(limit=limit, offset=start)
            links.append(_link(base, f"{path}?{page.query}", rel, f"The {rel} page"))
    return links
