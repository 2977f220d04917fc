"""Connections that send nothing, too little or too slowly, and logs that they cannot fill."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress

import httpx
import pytest

from model_backend import logs
from tests.support.backend.service import Backend, until

URL = "/processes/generate/execution"


def test_crowds_of_silent_connections_hurt_nobody(start: Callable[..., Backend]) -> None:
    """More than there may be: those that have been silent for longest go, who asks is answered."""
    server = start("--model", "text2earth", max_connections=20)
    with ExitStack() as silent, server.client() as client:
        for number in range(150):
            silent.enter_context(socket.create_connection(address(server)))
            if number % 50 == 0:
                assert client.get("/jobs").status_code == 200
        assert client.get("/healthz").status_code == 200
        with socket.create_connection(address(server)) as noise:
            noise.sendall(b"no HTTP at all\r\n\r\n")
            assert noise.recv(1000).startswith(b"HTTP/1.1 400")
    assert len(server.log) < 10_000


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_a_request_that_does_not_come_is_not_waited_for(start: Callable[..., Backend], begun: bytes) -> None:
    server = start("--model", "text2earth", header_seconds=1)
    with socket.create_connection(address(server)) as connection:
        connection.sendall(begun)
        connection.settimeout(60)
        with suppress(ConnectionResetError):
            assert connection.recv(1000) == b""


@pytest.mark.parametrize("path", [URL, "/uploads"])
def test_a_body_that_does_not_come_is_not_waited_for(start: Callable[..., Backend], path: str) -> None:
    server = start("--model", "text2earth", body_seconds=1)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\n"
    with socket.create_connection(address(server)) as connection:
        connection.sendall(f"{head}Content-Length: 100\r\n\r\n".encode() + b"{")
        connection.settimeout(60)
        answer = b"".join(iter(lambda: connection.recv(1000), b""))
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"too slowly" in answer
    assert not [path for path in (server.data_dir / "uploads").rglob("*") if path.is_file()]


def test_who_leaves_in_the_middle_is_no_error(start: Callable[..., Backend]) -> None:
    server = start("--model", "text2earth")
    head = f"POST /uploads HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\n"
    uploads = server.data_dir / "uploads"
    for _ in range(5):
        with socket.create_connection(address(server)) as connection:
            connection.sendall(f"{head}Content-Length: 100000\r\n\r\n".encode() + bytes(50_000))
            until(lambda: any(path.stat().st_size for path in uploads.rglob("*.part")))
    until(lambda: not [path for path in uploads.rglob("*") if path.is_file()])
    assert server.stop() == 0
    assert "Traceback" not in server.log


def test_a_log_that_nobody_can_flood(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, now = logging.getLogger("flooded"), [0.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    caplog.handler.addFilter(throttle := logs.Throttle())
    for number in range(1000):
        log.warning("no HTTP, %d", number)
    log.warning("another")
    now[0] = 61.0
    log.warning("no HTTP, %d", 1000)
    caplog.handler.removeFilter(throttle)
    assert [record.getMessage() for record in caplog.records] == [
        *(f"no HTTP, {number}" for number in range(20)),
        "another",
        "no HTTP, 1000 (980 more of these in a minute were left out)",
    ]


def address(server: Backend) -> tuple[str, int]:
    return "127.0.0.1", int(httpx.URL(server.url).port or 0)
