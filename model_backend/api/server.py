"""Listens: binds the port, runs the application, says when it is ready, ends cleanly.

Knows sockets, signals and uvicorn; does not know what is served.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import sys

import uvicorn

from model_backend import logs
from model_backend.api.app import create_app
from model_backend.api.auth import BadSetUp, token_path
from model_backend.api.backend import Backend
from model_backend.api.connections import protocol
from model_backend.settings import Settings

_log = logging.getLogger(__name__)

GRACE = 5  # seconds that running requests get at shutdown
KEEP_ALIVE = 30  # seconds; longer than a client's polls are apart


class _Server(uvicorn.Server):
    """A server that prints its address once it answers there."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        if self.started:
            print(f"Listening on {self._url}", flush=True)


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; raises BadSetUp, ModelUnavailable, OSError or
    sqlite3.DatabaseError at start."""
    logs.begin()
    os.umask(0o077)  # prompts and pictures are their owner's
    with _bind(settings.host, settings.port) as listener:
        _run(settings, listener)


def _run(settings: Settings, listener: socket.socket) -> None:
    backend = Backend.open(settings)
    _log.info("No token is asked for." if settings.no_token else f"The token is in {token_path(settings)}")
    config = uvicorn.Config(
        create_app(backend),
        http=protocol(settings),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # prompts travel in bodies, but signatures in URLs
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=KEEP_ALIVE,
    )
    # uvicorn shuts down on these signals and then raises them again, for this.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    host, port = listener.getsockname()[:2]
    address = f"[{host}]" if ":" in host else host
    _Server(config, f"http://{address}:{port}").run(sockets=[listener])


def _bind(host: str, port: int) -> socket.socket:
    # The protocol is named because asyncio switches Nagle's delay (40 ms an answer) off only then.
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except OSError as error:
        raise BadSetUp(_why_not(error, host, port)) from error
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it would let two backends share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise BadSetUp(_why_not(error, host, port)) from error
    return listener


def _why_not(error: OSError, host: str, port: int) -> str:
    """Say what an administrator can do where nobody can listen."""
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use. Stop what listens there, or choose another (--port)."
    if error.errno == errno.EACCES:
        return f"This user may not listen on port {port}. Choose one above 1023 (--port)."
    return f"{host} is no address of this computer ({error.strerror}). Choose another (--host)."
