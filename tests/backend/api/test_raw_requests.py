"""Five hundred requests that no client library would send: every one is answered, none with a 500."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.support.backend.service import NO_MODEL, Backend

Request = tuple[bytes, bytes, dict[bytes, bytes], bytes]  # method, path, headers, body

METHODS = (b"GET", b"HEAD", b"DELETE", b"PUT", b"POST", b"OPTIONS", b"PATCH", b"TRACE", b"FOO")
HOSTS = (
    b"[abc]", b"", b"[::1", b"127.0.0.1:99999", b"a" * 300, b"\xff\xfe", b"localhost:abc", b"user@localhost",
    b"localhost\t", b"[::1]:8765", b"127.0.0.1:-1", b"127.0.0.1:", b"localhost:\xb2",
)  # fmt: skip
CREDENTIALS = (
    b"", b"Basic", b"Basic =", b"Basic \xff", b"Basic OmFiYw==", b"Basic ///", b"Bearer ", b"Bearer \xff\xfe",
    b"Digest x", b"basic " + b"A" * 9000,
)  # fmt: skip
HEADERS = (
    (b"Range", b"bytes=\xff"), (b"Range", b"bytes=0-0,1-1,2-2"), (b"Content-Range", b"bytes */0"),
    (b"Content-Range", b"bytes 0-5/\xb2"), (b"Content-Length", b"-1"), (b"Content-Length", b"9" * 20),
    (b"Prefer", b"wait=\xb2"), (b"Prefer", b"wait=-1"), (b"Prefer", b"wait=nan"), (b"Prefer", b"wait=1e9"),
    (b"Prefer", b"respond-async, wait=x"), (b"Idempotency-Key", b"\xff"), (b"Idempotency-Key", b"k" * 1000),
    (b"Accept", b"\xff"), (b"Origin", b"\xff"), (b"Origin", b"http://["), (b"Origin", b"null"),
    (b"Forwarded", b"for=x;host=["), (b"X-Forwarded-Proto", b"\xff"), (b"X-Forwarded-Host", b"[abc"),
    (b"If-None-Match", b"\xff"), (b"If-Range", b"\xff"), (b"Cookie", b"\xff"), (b"Expect", b"100-continue"),
    (b"Content-Type", b"\xff/\xff"), (b"Content-Type", b"multipart/form-data"), (b"Upgrade", b"websocket"),
)  # fmt: skip
PATHS = (
    b"/", b"//", b"/%2e%2e", b"/api", b"/models", b"/healthz", b"/jobs?limit=\xff", b"/jobs?limit=%ff",
    b"/jobs?limit=\xc2\xb2", b"/jobs?datetime=,", b"/jobs?datetime=/", b"/jobs?datetime=../..",
    b"/jobs?datetime=0001-01-01T00:00:00%2B23:59", b"/jobs?datetime=9999-12-31T23:59:59-23:59",
    b"/jobs?status=,", b"/jobs?minDuration=%C2%B2", b"/jobs?offset=1e9", b"/jobs?offset=999999999999999",
    b"/jobs?limit=999999999999999", b"/jobs?processID=\x00", b"/jobs?processID=%00", b"/jobs?type=%F0%9F",
    b"/jobs/%00", b"/jobs/..%2f..%2fetc", b"/jobs/\xff", b"/jobs/%ff/results/%ff",
    b"/jobs/" + b"a" * 5000 + b"/results", b"/processes/%00", b"/processes?limit=0", b"/uploads",
    b"/uploads/%00", b"/uploads/" + b"0" * 32,
)  # fmt: skip
BODIES = (
    b"", b"{", b"[]", b"null", b"1e999", b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b"[" * 100_000,
    b'{"inputs":' + b'{"a":' * 5000, b'{"inputs":NaN}', b'{"inputs":{},"inputs":{}}',
    b'{"inputs":{"message":"\x00"}}', b'{"inputs":{"message":"\\u0000"}}',
    b'{"inputs":{"message":"\\ud800"}}',
    b'{"inputs":{"\\ud800":1}}', b'{"response":"\\ud800"}', b'{"inputs":{},"outputs":{"\\ud800":{}}}',
    b'{"inputs":{"pause":1e400}}', b'{"inputs":{"pause":' + b"9" * 5000 + b"}}",
    b'{"inputs":{"message":{"value":{"value":"x"}}}}',
    b'{"inputs":{"message":{"href":"file:///etc/passwd"}}}',
    b'{"inputs":{"message":"x"},"subscriber":{"successUri":"http://127.0.0.1/"}}',
)  # fmt: skip


def requests(host: bytes, token: bytes) -> Iterator[Request]:
    """Yield every request: each is wrong in one header, in its path, or in its body."""
    good = {b"Host": host, b"Authorization": b"Bearer " + token}
    for wrong in HOSTS:
        yield b"GET", b"/jobs", good | {b"Host": wrong}, b""
    for wrong in CREDENTIALS:
        yield b"GET", b"/jobs", good | {b"Authorization": wrong}, b""
    for name, wrong in HEADERS:
        yield b"GET", b"/jobs", good | {name: wrong}, b""
        yield b"POST", b"/processes/echo/execution", good | {name: wrong}, b"{}"
        yield b"POST", b"/uploads", good | {name: wrong}, b"abc"
        yield b"PUT", b"/uploads/" + b"0" * 32, good | {name: wrong}, b"abc"
    for path in PATHS:
        for method in METHODS:
            yield method, path, good, b""
    for process in (b"echo", b"generate", b"edit", b"extend", b"plan", b"read"):
        for body in BODIES:
            yield b"POST", b"/processes/" + process + b"/execution", good, body


def answer(port: int, request: Request) -> bytes:
    """Return the first line of what a backend answers; nothing if it only closes the connection."""
    method, path, headers, body = request
    members = {b"Content-Length": b"%d" % len(body)} | headers | {b"Connection": b"close"}
    lines = [method + b" " + path + b" HTTP/1.1", *(name + b": " + text for name, text in members.items())]
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        try:
            return connection.makefile("rb").readline().strip()
        except ConnectionResetError:  # it would not read all of a body that is too long
            return b""


def test_none_is_a_failure_of_the_backend(tmp_path: Path) -> None:
    backend = Backend(tmp_path / "data", *NO_MODEL).start()
    try:
        asked = list(requests(b"127.0.0.1:%d" % backend.port, backend.token.encode()))
        answers = [answer(backend.port, request) for request in asked]
        failed = [r for r, line in zip(asked, answers, strict=True) if not line or b" 500 " in line]
        assert not failed, [b"%s %s %r" % (r[0], r[1][:80], r[2]) for r in failed[:10]]
        statuses = Counter(line.split()[1] for line in answers)
        assert len(asked) > 500
        assert set(statuses) <= {
            b"100",
            b"200",
            b"201",
            b"204",
            b"400",
            b"401",
            b"403",
            b"404",
            b"405",
            b"413",
        }
        assert min(statuses[b"400"], statuses[b"404"], statuses[b"405"]) > 50
        assert "Traceback" not in backend.log
    finally:
        backend.stop()
