"""Listens: binds the port, runs the application, says when it is ready, ends cleanly, by itself if idle.

Knows sockets, signals and uvicorn; does not know what is served.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import sys
import time

import uvicorn

from model_backend import logs
from model_backend.api.app import create_app
from model_backend.api.backend import Backend
from model_backend.api.serving import admin_socket
from model_backend.api.serving.address import publish, read_address, withdraw
from model_backend.api.serving.connections import protocol
from model_backend.api.tokens import BadSetUp, token_path
from model_backend.settings import Settings

_log = logging.getLogger(__name__)

GRACE = 5  # seconds that running requests get at shutdown
KEEP_ALIVE = 30  # seconds; longer than a client's polls are apart
TICKS = 10  # of uvicorn, of a tenth of a second each, between two looks whether to end


class _Server(uvicorn.Server):
    """A server that says where it answers, and ends when that is taken back or when nobody needs it."""

    def __init__(self, config: uvicorn.Config, backend: Backend, host: str, port: int) -> None:
        super().__init__(config)
        self._backend, self._host, self._port = backend, host, port
        self._published = ""
        self._asked, self._busy_at = 0, time.monotonic()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        if self.started:
            self._published = publish(self._backend.settings.data_dir, self._host, self._port)
            address = f"[{self._host}]" if ":" in self._host else self._host
            print(f"Listening on http://{address}:{self._port}", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take the address back, then let go of everything."""
        withdraw(self._backend.settings.data_dir, self._published)
        (self._backend.settings.data_dir / admin_socket.NAME).unlink(missing_ok=True)
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Say whether to end."""
        if counter % TICKS == 0 and (reason := self._why_end()):
            _log.info(reason)
            return True
        return await super().on_tick(counter)

    def _why_end(self) -> str:
        if read_address(self._backend.settings.data_dir) != self._published:
            return "Its address was removed: this backend ends."
        minutes, now = self._backend.settings.idle_minutes, time.monotonic()
        if self.server_state.total_requests != self._asked or self.server_state.tasks:
            self._asked, self._busy_at = self.server_state.total_requests, now
        if not minutes or now - self._busy_at < 60 * minutes:
            return ""
        if self._backend.store.queue.waiting():
            self._busy_at = now
            return ""
        return f"Nobody needed this backend for {minutes:g} min: it ends."


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; raises BadSetUp, ModelUnavailable, OSError or
    sqlite3.DatabaseError at start."""
    logs.begin(form=settings.log_format)
    os.umask(0o077)  # prompts and pictures are their owner's
    with _bind(settings.host, settings.port) as listener:
        _run(settings, listener)


def _run(settings: Settings, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    backend = Backend.open(settings.model_copy(update={"port": port}))  # which workers elsewhere are told
    admin = admin_socket.listen(settings.data_dir)
    _log.info("No token is asked for." if settings.no_token else f"The token is in {token_path(settings)}")
    config = uvicorn.Config(
        create_app(backend),
        http=protocol(settings),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # prompts travel in bodies, but signatures in URLs
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=KEEP_ALIVE,
    )
    # uvicorn shuts down on these signals and then raises them again, for this.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    if hasattr(signal, "SIGHUP") and backend.gate.tokens is not None:
        signal.signal(signal.SIGHUP, lambda *_: backend.gate.reload())
    sockets = [listener] if admin is None else [listener, admin]
    _Server(config, backend, host, port).run(sockets=sockets)


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
