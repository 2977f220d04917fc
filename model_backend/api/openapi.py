"""The API described in OpenAPI 3.0, for clients that read it (``GET /api``).

Written out rather than generated: FastAPI emits 3.1, which the clients of OGC API - Processes 1.0 do not
read, and answers refer to the schemas that OGC publishes.
"""

from __future__ import annotations

from typing import Any

from model_backend import __version__, processes
from model_backend.processes.base import Process

OPENAPI_TYPE = "application/vnd.oai.openapi+json;version=3.0"
_OGC = "https://schemas.opengis.net/ogcapi/processes/part1/1.0/openapi/schemas/"

Part = dict[str, Any]


def document(base: str) -> Part:
    """Return the OpenAPI document of this API at ``base``."""
    about = "Synthetic, georeferenced overhead imagery from text. OGC API - Processes 1.0."
    bearer, basic = ({"type": "http", "scheme": scheme} for scheme in ("bearer", "basic"))
    return {
        "openapi": "3.0.3",
        "info": {"title": "Text2Earth", "version": __version__, "description": about},
        "servers": [{"url": base}],
        "security": [{"bearer": []}, {"basic": []}],
        "components": {"securitySchemes": {"bearer": bearer, "basic": basic}, "responses": _problems()},
        "paths": _service() | _processes() | _jobs() | _uploads(),
    }


def _problems() -> Part:
    schema = {"$ref": _OGC + "exception.yaml"}
    content = {"application/problem+json": {"schema": schema}}
    return {"Problem": {"description": "What is wrong, as RFC 7807.", "content": content}}


def _ogc(name: str, about: str) -> Part:
    return {"description": about, "content": {"application/json": {"schema": {"$ref": f"{_OGC}{name}.yaml"}}}}


def _json(about: str, media: str = "application/json", kind: str = "object") -> Part:
    schema = {"type": kind} | ({"format": "binary"} if kind == "string" else {})
    return {"description": about, "content": {media: {"schema": schema}}}


def _operation(name: str, answers: dict[str, Part], parameters: list[Part], **more: Any) -> Part:
    every = answers | {"default": {"$ref": "#/components/responses/Problem"}}
    about = next(iter(answers.values()))["description"]
    return {"operationId": name, "summary": about, "parameters": parameters, "responses": every} | more


def _get(name: str, answer: Part, *parameters: Part, **more: Any) -> Part:
    return {"get": _operation(name, {"200": answer}, list(parameters), **more)}


def _query(name: str, kind: str, about: str, *, many: bool = False) -> Part:
    one = {"type": kind}
    schema: Part = {"type": "array", "items": one} if many else one
    return {"name": name, "in": "query", "description": about, "schema": schema} | (
        {"style": "form", "explode": False} if many else {}
    )


def _path(name: str, about: str) -> Part:
    return {"name": name, "in": "path", "required": True, "description": about, "schema": {"type": "string"}}


_LIMIT: Part = {
    "name": "limit",
    "in": "query",
    "description": "Most entries of a page.",
    "schema": {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 10},
}


def _service() -> Part:
    return {
        "/": _get("getLandingPage", _ogc("landingPage", "Where everything is.")),
        "/conformance": _get("getConformance", _ogc("confClasses", "What this API conforms to.")),
        "/api": _get("getApi", _json("This document.", OPENAPI_TYPE)),
        "/healthz": _get("getHealth", _json("How the backend is."), security=[]),
        "/models": _get("getModels", _json("The models a request may name.")),
    }


def _processes() -> Part:
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": _OGC + "execute.yaml"}}}}
    prefer = {"name": "Prefer", "in": "header", "schema": {"type": "string"}}
    key = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}}
    location = {"Location": {"description": "URL of the job.", "schema": {"type": "string"}}}
    job = _ogc("statusInfo", "The job that was started.") | {"headers": location}
    value = _json("The outputs of a process that answers at once.")
    paths = {
        "/processes": _get("getProcesses", _ogc("processList", "The processes."), _LIMIT),
        "/processes/{processID}": _get(
            "getProcess", _ogc("process", "Inputs and outputs of a process."), _path("processID", "Its id.")
        ),
    }
    for process in processes.every():
        answers = ({"200": value} if process.sync else {}) | {"201": job}
        path = f"/processes/{process.id}/execution"
        paths[path] = {
            "post": _operation(
                f"execute-{process.id}",
                answers,
                [prefer, key],
                requestBody=body,
                description=_about_outputs(process),
            )
        }
    return paths


def _about_outputs(process: Process[Any]) -> str:
    """Return what a process does and what comes of it; those of further variants are like the first one's."""
    first = {name: output for name, output in process.outputs.items() if "_" not in name}
    listed = [f"- `{name}`: {one['title']}. {one.get('description', '')}" for name, one in first.items()]
    return "\n".join([process.text, "", "Outputs:", *listed])


def _jobs() -> Part:
    job = _path("jobID", "Id of the job.")
    filters = [
        _query("type", "string", "Only `process` exists.", many=True),
        _query("processID", "string", "Ids of processes.", many=True),
        _query("status", "string", "States of jobs.", many=True),
        _query("datetime", "string", "When created: an instant, or start/end."),
        _query("minDuration", "integer", "Least seconds of running."),
        _query("maxDuration", "integer", "Most seconds of running."),
    ]
    dismissed = {"200": _ogc("statusInfo", "The job was dismissed, or removed.")}
    gone = {"delete": _operation("dismiss", dismissed, [job])}
    output = _path("output", "Id of the output, with or without the file's ending.")
    return {
        "/jobs": _get("getJobs", _ogc("jobList", "Your jobs, newest first."), _LIMIT, *filters),
        "/jobs/{jobID}": _get("getStatus", _ogc("statusInfo", "How the job is."), job) | gone,
        "/jobs/{jobID}/results": _get("getResults", _ogc("results", "The outputs, mostly links."), job),
        "/jobs/{jobID}/results/{output}": _get(
            "getResult", _json("One output; ranges work.", "*/*", "string"), job, output
        ),
        "/jobs/{jobID}/preview": _get(
            "getPreview", _json("What it looks like so far.", "image/png", "string"), job
        ),
    }


def _uploads() -> Part:
    body = {"required": False, "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
    pieces = {"name": "Content-Range", "in": "header", "schema": {"type": "string"}}
    upload = _path("uploadID", "Id of the upload.")
    made, state = _json("The upload that was made or begun."), _json("How far the upload is, and what it is.")
    gone = {"description": "The upload is gone."}
    return {
        "/uploads": {"post": _operation("upload", {"201": made}, [pieces], requestBody=body)},
        "/uploads/{uploadID}": _get("getUpload", state, upload)
        | {"put": _operation("resumeUpload", {"200": state}, [upload, pieces], requestBody=body)}
        | {"delete": _operation("removeUpload", {"204": gone}, [upload])},
    }
