"""The questions to a backend: one function for each, which returns a ``Call``.

A ``Call`` is a request and the reader of its answer, without a way to send it: ``client.Client`` sends it
and waits, ``transport.AsyncClient`` sends it and calls back. Knows the URLs of OGC API - Processes 1.0, its
JSON and the problem documents of RFC 7807; knows no QGIS and opens no connection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Callable, Generic, Mapping, Optional, TypeVar, Union
from urllib.parse import quote, urljoin, urlsplit

import requests

from text2earth_qgis.core.errors import BackendError, PluginError, Unreachable
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.access import Access
from text2earth_qgis.core.wire.field_names import in_words
from text2earth_qgis.core.wire.schemas import (
    Json,
    Link,
    Plan,
    PlanInputs,
    PromptReading,
    ReadInputs,
    StatusInfo,
    UnsentRaster,
    Value,
)

T = TypeVar("T")
OPTIONS = tr("Settings > Options > Text2Earth")
_BYTES = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True)
class Call(Generic[T]):
    """One question: ``path`` is relative to the backend's URL, or a whole URL that the backend gave."""

    method: str
    path: str
    read: Callable[[requests.Response], T]
    body: Optional[Json] = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Optional[bytes] = None  # a body that is no JSON


def landing() -> Call[Json]:
    """Ask for the landing page: title, description, links."""
    return Call("GET", "", _object)


def healthz() -> Call[Json]:
    """Ask our backend for its version, model, device, profile and queue; needs no token."""
    return Call("GET", "healthz", _object)


def models() -> Call[list[Json]]:
    """Ask our backend for the model cards: id, title, gsd, levels, licence, default, installed."""
    return Call("GET", "models", lambda response: list(_object(response)["models"]))


def processes() -> Call[list[Json]]:
    """Ask for the summaries of all processes."""
    return Call("GET", "processes?limit=1000", lambda response: list(_object(response)["processes"]))


def process(name: str) -> Call[Json]:
    """Ask for the description of a process."""
    return Call("GET", f"processes/{quote(name, safe='')}", _object)


def execute(name: str, inputs: Json, key: str, outputs: Optional[Json] = None) -> Call[StatusInfo]:
    """Start a job; the same ``key`` (Idempotency-Key) with the same inputs never starts a second one.

    It is also the id by which the logs of the backend and its workers name the request.
    ``outputs`` are those that are wanted, where they are not the usual ones.
    """
    headers = {"Prefer": "respond-async", "Idempotency-Key": key, "X-Request-ID": key}
    body = {"inputs": inputs, "response": "document", **({"outputs": outputs} if outputs else {})}
    return Call("POST", f"processes/{quote(name, safe='')}/execution", _started, body, headers)


def plan(
    name: str,
    inputs: Union[Value, Json],
    outputs: Optional[Json] = None,
    raster: Optional[UnsentRaster] = None,
) -> Call[Plan]:
    """Ask our backend what a request of process ``name`` comes to; ``raster`` is one that is not sent yet."""
    body = {"inputs": PlanInputs(name, inputs, raster, outputs or None).to_json(), "response": "document"}

    def read(response: requests.Response) -> Plan:
        found = _object(response)["plan"]
        return Plan.from_json(found.get("value", found))

    return Call("POST", "processes/plan/execution", read, body)


def read_prompt(prompt: str, model: Optional[str]) -> Call[PromptReading]:
    """Ask our backend how a model reads a prompt."""
    body = {"inputs": ReadInputs(prompt, model).to_json(), "response": "document"}

    def read(response: requests.Response) -> PromptReading:
        found = _object(response)["reading"]
        return PromptReading.from_json(found.get("value", found))

    return Call("POST", "processes/read/execution", read, body)


def status(job: str) -> Call[StatusInfo]:
    """Ask where a job stands."""
    return Call("GET", f"jobs/{quote(job, safe='')}", _status)


def results(job: str) -> Call[dict[str, Link]]:
    """Ask for the links of a finished job, by output; outputs that came by value are left out."""
    return Call("GET", f"jobs/{quote(job, safe='')}/results", _links)


def delete(job: str) -> Call[bool]:
    """Dismiss a job, or remove a finished one; False if it was gone already."""
    return Call("DELETE", f"jobs/{quote(job, safe='')}", _deleted)


def begin_upload(length: int) -> Call[Json]:
    """Announce a file of ``length`` bytes; the answer's ``id`` names it."""
    return Call("POST", "uploads", _object, headers={**_BYTES, "Content-Range": f"bytes */{length}"})


def send_piece(upload: str, first: int, content: bytes, length: int) -> Call[Json]:
    """Send the bytes of an upload from ``first`` on; the answer says how many are there."""
    span = f"bytes {first}-{first + len(content) - 1}/{length}"
    return Call("PUT", _upload(upload), _object, headers={**_BYTES, "Content-Range": span}, content=content)


def upload_state(upload: str) -> Call[Json]:
    """Ask how far an upload is: ``received`` bytes, and whether it is ``complete``: checked and taken."""
    return Call("GET", _upload(upload), _object)


def drop_upload(upload: str) -> Call[bool]:
    """Remove an upload; False if it was gone already."""
    return Call("DELETE", _upload(upload), _deleted)


def fetch(href: str) -> Call[bytes]:
    """Ask for the bytes behind a link, small ones: previews."""
    return Call("GET", href, lambda response: checked(response).content)


def fetch_json(href: str) -> Call[Json]:
    """Ask for the JSON object behind a link."""
    return Call("GET", href, _object)


def checked(response: requests.Response) -> requests.Response:
    """Return the response if it is a success, else raise what it says as a sentence."""
    if response.status_code >= 300:
        raise refusal(response)
    return response


def refusal(response: requests.Response) -> BackendError:
    """Return the error that a response stands for; the text is a sentence for the user."""
    problem = _problem(response)
    status, detail = response.status_code, str(problem.get("detail") or problem.get("title") or "").strip()
    told, allowed = _sentence(in_words(detail)), str(problem.get("allowed") or "")
    retry_after = seconds_of(response)
    if status == 401:
        sentence = _unauthorised(response)
    elif 300 <= status < 400:
        target = response.headers.get("Location") or tr("another address")
        sentence = tr("The backend has moved to {target}. Set that address in {options}.").format(
            target=target, options=OPTIONS
        )
    elif not detail:
        answer = f"{status} {response.reason or ''}".rstrip()
        sentence = tr("{where} answered {answer}. Is a Text2Earth backend there?").format(
            where=site(response.url), answer=answer
        )
    elif status == 429 and retry_after:
        again = tr("Try again in {seconds:.0f} s.").format(seconds=retry_after)
        sentence = f"{told} {again}"
    elif status == 500 and not detail.startswith("The backend failed"):
        sentence = tr("The backend failed: {detail}").format(detail=told)
    else:
        sentence = told
    if allowed and allowed not in detail:
        sentence += " " + tr("Allowed: {values}").format(values=_sentence(in_words(allowed)))
    return BackendError(sentence, status, problem.get("field"), retry_after)


def _unauthorised(response: requests.Response) -> str:
    """Say which credentials were tried, and what to do."""
    where = site(response.url)
    access = getattr(response.connection, "access", None)
    authcfg, token, source = "", None, ""
    if isinstance(access, Access):
        authcfg, token, source = access.authcfg, access.token, access.token_source
    if authcfg:
        said = tr("The backend at {where} does not accept the authentication configuration {authcfg}.")
    elif token and source:
        said = tr("The backend at {where} does not accept the token in {source}.")
    elif token:
        said = tr("The backend at {where} does not accept the token.")
    elif source:
        said = tr("The backend at {where} asks for a token, and {source} has none.")
    else:
        said = tr("The backend at {where} asks for a token.")
    choose = tr(
        "Choose an authentication configuration with its token in {options}, or set TEXT2EARTH_TOKEN."
    ).format(options=OPTIONS)
    return f"{said.format(where=where, authcfg=authcfg, source=source)} {choose}"


def unreachable(error: requests.RequestException, url: str) -> PluginError:
    """Return the error for a failed transfer, as a sentence for the user."""
    where, reason = site(url), re.sub(r"\s+", " ", str(error)).strip().rstrip(".")
    if isinstance(error, requests.Timeout):
        return Unreachable(tr("The backend at {where} did not answer in time.").format(where=where))
    if isinstance(error, requests.exceptions.SSLError):
        return Unreachable(
            tr("The secure connection to {where} failed: {reason}.").format(where=where, reason=reason)
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return Unreachable(
            tr(
                "The proxy set in QGIS refused the connection to {where}: {reason}. Check its address, "
                "name and password in Settings > Options > Network."
            ).format(where=where, reason=reason)
        )
    if isinstance(error, requests.ConnectionError):
        return Unreachable(
            tr(
                "No backend answers at {where} ({reason}). Set one up in the panel, or its address in "
                "{options}."
            ).format(where=where, reason=reason, options=OPTIONS)
        )
    return Unreachable(
        tr("{url} cannot be asked: {reason}. Check the address in {options}.").format(
            url=url.partition("?")[0], reason=reason, options=OPTIONS
        )
    )


def seconds_of(response: requests.Response) -> Optional[float]:
    """Return the Retry-After header in seconds; a date or nonsense counts as none."""
    text = response.headers.get("Retry-After", "")
    return float(text) if re.fullmatch(r"\d{1,6}", text) else None


def absolute(base: str, path: str) -> str:
    """Return the URL of ``path`` on the backend at ``base``; raises ``Unreachable`` if that is no URL."""
    try:
        return urljoin(base.rstrip("/") + "/", path)
    except ValueError as error:
        raise Unreachable(
            tr("{base} is not the address of a backend. Set another one in {options}.").format(
                base=base, options=OPTIONS
            )
        ) from error


def site(url: str) -> str:
    """Return scheme and host of a URL, without user, path, query or signature."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # what a user may type
        return url.partition("?")[0]
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def _upload(upload: str) -> str:
    return f"uploads/{quote(upload, safe='')}"


def _problem(response: requests.Response) -> Json:
    if "json" not in response.headers.get("Content-Type", ""):
        return {}
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _object(response: requests.Response) -> Json:
    checked(response)
    try:
        found = response.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BackendError(
            tr("{where} did not answer with a JSON object. Is a Text2Earth backend there?").format(
                where=site(response.url)
            ),
            response.status_code,
        )
    return found


def _started(response: requests.Response) -> StatusInfo:
    checked(response)
    location = response.headers.get("Location", "").rstrip("/")
    if response.content.strip():
        found = _object(response)
        if "jobID" in found:
            return StatusInfo.from_json(found, seconds_of(response))
    if not location:
        raise BackendError(
            tr("{where} started no job.").format(where=site(response.url)), response.status_code
        )
    return StatusInfo(job=location.rsplit("/", 1)[-1], status="accepted", retry_after=seconds_of(response))


def _status(response: requests.Response) -> StatusInfo:
    return StatusInfo.from_json(_object(response), seconds_of(response))


def _links(response: requests.Response) -> dict[str, Link]:
    found: Mapping[str, Any] = _object(response)
    return {
        name: Link.from_json(value)
        for name, value in found.items()
        if isinstance(value, dict) and "href" in value
    }


def _deleted(response: requests.Response) -> bool:
    if response.status_code in (404, 410):
        return False
    checked(response)
    return True


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?", "。")) else text + "."
