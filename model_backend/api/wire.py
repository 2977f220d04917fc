"""JSON in, problems out: what HTTP needs around every endpoint.

Strict JSON (no duplicate keys, no NaN or Infinity), RFC 7807 answers for every error, the guard that each
request passes first, and a cap on bodies that holds while they stream in. Knows HTTP; does not know jobs.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
import re
import time
import uuid
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model_backend import logs
from model_backend.api.auth import Gate
from model_backend.api.operations.audit import Audit
from model_backend.api.operations.brake import Brake
from model_backend.errors import (
    BackendError,
    Forbidden,
    InvalidInput,
    StorageFull,
    TooLarge,
    TooSlow,
    Unauthorized,
    WrongToken,
)
from model_backend.jobs import space
from model_backend.settings import Settings

log = logging.getLogger(__name__)

PACE = 1000  # bytes a second that a long body comes at, at least

OPEN = re.compile(r"/(healthz|livez|readyz)")  # answered without a token
UPLOAD = re.compile(r"/uploads(/|$)")  # files, not JSON
WORKERS = re.compile(r"/workers/(calls|files|previews|rasters|models)/.+")  # with a token of their own
BLOCKS = re.compile(r"/workers/(files|previews)/")  # what workers made
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")  # what may come as X-Request-ID
ADMIN = re.compile(r"/(admin/.*|metrics)")  # what is answered on the socket of the data folder
SIGNED = re.compile(r"/jobs/[^/]+/results/[^/]+")  # a signature in the query stands for a token


# ---- in ---------------------------------------------------------------------------------------------


def loads(body: bytes) -> Any:
    """Return the JSON value of ``body``; InvalidInput for anything that is not strict, finite JSON."""
    try:
        return json.loads(
            body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_finite, parse_float=_finite
        )
    except InvalidInput:
        raise
    except RecursionError:
        raise InvalidInput("body", "The body is nested too deeply.") from None
    except UnicodeDecodeError:
        raise InvalidInput("body", "The body is not UTF-8.", allowed="JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        detail = f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        raise InvalidInput("body", detail, allowed="a JSON object") from None
    except ValueError:  # Python's own limit on digits
        raise InvalidInput("body", "A number in the body has thousands of digits.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(_printable(twice), f"`{_printable(twice)}` is given twice.", allowed="one value")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise InvalidInput("body", f"{text[:50]} is no finite number.", value=text, allowed="finite numbers")
    return number


def _printable(text: str) -> str:
    return text[:100].encode("utf-8", "replace").decode()


def digest(*parts: Any) -> str:
    """Return the SHA-256 of the canonical JSON of ``parts``."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


# ---- out --------------------------------------------------------------------------------------------


class Problem(JSONResponse):
    """An RFC 7807 answer."""

    media_type = "application/problem+json"

    def render(self, content: Any) -> bytes:
        """Write ASCII: what is refused may hold text that UTF-8 cannot."""
        return json.dumps(content).encode()


def problem_of(error: BackendError) -> Problem:
    """Return the answer for one of our errors."""
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    response = Problem(error.problem(), error.status, headers)
    if isinstance(error, TooSlow):
        response.headers["Connection"] = "close"
    if isinstance(error, Unauthorized):
        # Not Basic, though it is taken: QGIS, for one, would open a modal box for name and password.
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _backend_error(_: Request, error: Exception) -> Problem:
    assert isinstance(error, BackendError)
    return problem_of(error)


def _http_error(_: Request, error: Exception) -> Problem:
    assert isinstance(error, HTTPException)
    title = HTTPStatus(error.status_code).phrase
    detail = _SENTENCES.get(error.detail, error.detail)
    members = {"type": "about:blank", "title": title, "status": error.status_code, "detail": detail}
    return Problem(members, error.status_code, error.headers)


_SENTENCES = {
    "Not Found": "There is nothing at this path.",
    "Method Not Allowed": "This method does nothing here; the Allow header lists those that do.",
}


def _invalid_parameter(_: Request, error: Exception) -> Problem:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field, value = str(first["loc"][-1]), first.get("input")
    return problem_of(InvalidInput(field, f"`{field}`: {first['msg']}.", value=value, allowed=first["msg"]))


def _unforeseen(request: Request, error: Exception) -> Problem:
    # Starlette logs the traceback; the caller learns nothing of our insides.
    log.error("%s %s: unforeseen %s", request.method, request.url.path, type(error).__name__)
    detail = "The backend failed at this request. Its log has the details."
    return Problem({"type": "about:blank", "title": "Internal error", "status": 500, "detail": detail}, 500)


def _disk_error(_: Request, error: Exception) -> Problem:
    assert isinstance(error, OSError)
    sentence = space.sentence(error)
    if sentence is None:
        raise error
    return problem_of(StorageFull(sentence))


def _gone(_: Request, __: Exception) -> Response:
    """Answer nobody: the client left before its request was here."""
    return Response(status_code=400)


def answer_errors(app: FastAPI) -> None:
    """Make every error of ``app`` an RFC 7807 answer."""
    app.add_exception_handler(BackendError, _backend_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid_parameter)
    app.add_exception_handler(OSError, _disk_error)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unforeseen)


# ---- around -----------------------------------------------------------------------------------------


class Guard:
    """The first thing that sees a request: Host, Origin, token, size of the body.

    Leaves ``scope["state"]["owner"]``: the owner's name, or None where no token is needed or a signature in
    the query stands for it (the endpoint checks that). Gives every request an id, unless it brings one, and
    has the audit log note how it was answered.
    """

    def __init__(self, app: ASGIApp, gate: Gate, settings: Settings, audit: Audit) -> None:
        self._app, self._gate, self._settings, self._audit = app, gate, settings, audit
        self._brake = Brake()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request = _request_id(headers)
        logs.about(request=request)
        scope.setdefault("state", {})
        send = self._audit.watched(scope, _hardened(send, request), request)
        try:
            self._gate.check_source(headers, scope["scheme"])
            most = self._most(scope)
            self._check_length(headers, most)
            scope["state"]["owner"] = self._owner(scope, headers)
        except BackendError as error:
            if isinstance(error, WrongToken):
                await self._brake.wrong_token(scope["client"][0] if scope["client"] else "socket")
            await problem_of(error)(scope, receive, send)
            return
        await self._app(scope, self._capped(receive, most), send)

    def _owner(self, scope: Scope, headers: Headers) -> str | None:
        reads = scope["method"] in ("GET", "HEAD") and "authorization" not in headers
        signed = SIGNED.fullmatch(scope["path"]) and b"signature=" in scope["query_string"]
        if reads and (signed or OPEN.fullmatch(scope["path"])) or WORKERS.fullmatch(scope["path"]):
            return None
        if scope["state"].get("administrator"):
            if not ADMIN.fullmatch(scope["path"]):
                raise Forbidden("This socket is for the administrator's commands.")
            return None
        return self._gate.owner(headers)

    def _most(self, scope: Scope) -> int:
        """Return the bytes that a body may have: files are larger than JSON."""
        if BLOCKS.match(scope["path"]):
            return self._settings.max_raster
        return self._settings.max_upload if UPLOAD.match(scope["path"]) else self._settings.max_body

    def _check_length(self, headers: Headers, most: int) -> None:
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > most:
            raise self._too_large(length, most)

    def _too_large(self, length: str, most: int) -> TooLarge:
        allowed = f"at most {most:,} bytes"
        return TooLarge(
            "body", f"The body is too large: {allowed} are accepted.", value=length, allowed=allowed
        )

    def _capped(self, receive: Receive, most: int) -> Receive:
        """Count what streams in, for bodies that do not say their length; and end what does not come."""
        seen, whole, began = 0, False, time.monotonic()
        pause = self._settings.body_seconds

        async def counted() -> Message:
            nonlocal seen, whole
            if whole:  # what is waited for is the client's leaving
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), pause)
            except TimeoutError:
                raise TooSlow from None
            seen += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if seen > most:
                raise self._too_large(f"more than {most}", most)
            if not whole and time.monotonic() - began > pause + seen / PACE:
                raise TooSlow
            return message

        return counted


def _request_id(headers: Headers) -> str:
    """Return the id that a request brings, or one of our own."""
    given = headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _hardened(send: Send, request: str) -> Send:
    """Add the headers that keep browsers from guessing types and caches from sharing answers, and its id."""

    async def hardened(message: Message) -> None:
        if message["type"] == "http.response.start":
            extra = [
                (b"x-content-type-options", b"nosniff"),
                (b"cache-control", b"private, no-cache"),
                (b"x-request-id", request.encode()),
            ]
            message = {**message, "headers": [*message["headers"], *extra]}
        await send(message)

    return hardened
