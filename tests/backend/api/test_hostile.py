"""What nobody well-meaning sends: a clear 4xx that names the field, and memory that stays flat."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from tests.support.backend.service import Backend

MB = 1_000_000
FLAT = 60 * MB  # more than this is not flat
URL = "/processes/generate/execution"


def raw(client: httpx.Client, body: str | bytes, url: str = URL, **headers: str) -> httpx.Response:
    content = body.encode() if isinstance(body, str) else body
    return client.post(url, content=content, headers={"Content-Type": "application/json", **headers})


@pytest.fixture
def flat(server: Backend) -> Iterator[None]:
    """Hold the API process to the memory it had."""
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    yield
    grown = process.memory_info().rss - before
    assert grown < FLAT, f"grew by {grown / MB:.0f} MB"


def refused(answer: httpx.Response, status: int = 400) -> dict[str, Any]:
    """Return the problem, which names field and rule."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text[:300]}"
    problem: dict[str, Any] = answer.json()
    assert problem["field"]
    assert len(answer.content) < 4000, "a refusal is short"
    return problem


# ---- JSON -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "", "{", "[", "nul", "{]", "{'inputs': {}}", '{"inputs": {}} x', "[]", '"text"', "1", "null", "true",
        '{"inputs": []}', '{"inputs": null}', '{"inputs": "x"}', "\ufeff{}x",
    ],
)  # fmt: skip
def test_what_is_no_request(client: httpx.Client, body: str) -> None:
    refused(raw(client, body))


@pytest.mark.parametrize(
    "body", [b"\xff\xfe{}", b'{"inputs": {"prompt": "\xff"}}', "{}".encode("utf-16"), b"\x00"]
)
def test_what_is_no_text(client: httpx.Client, body: bytes) -> None:
    refused(raw(client, body))


def test_a_key_given_twice_is_refused(client: httpx.Client) -> None:
    assert refused(raw(client, '{"inputs": {"prompt": "a", "prompt": "b"}}'))["field"] == "prompt"
    assert refused(raw(client, '{"inputs": {}, "inputs": {}}'))["field"] == "inputs"
    refused(raw(client, '{"inputs": {"\\ud800": 1, "\\ud800": 2}}'))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" * 5000])
@pytest.mark.parametrize("place", ['"gsd": N', '"extent": {"bbox": [0, 0, N, 1]}', '"seed": N'])
def test_numbers_that_are_not_finite(client: httpx.Client, number: str, place: str) -> None:
    refused(raw(client, '{"inputs": {"prompt": "a", N}}'.replace("N", place).replace("N", number)))


def test_deep_nesting(client: httpx.Client, flat: None) -> None:
    inside = f'{{"inputs": {{"prompt": {"[" * 500}{"]" * 500}}}}}'
    for text in ("[" * 100_000, '{"a":' * 100_000, inside):
        refused(raw(client, text))


def test_text_that_is_not_unicode(client: httpx.Client, scene: dict[str, Any]) -> None:
    for text in ("\\ud800", "a\\u0000b", "\\udfff\\ud800"):
        body = json.dumps({"inputs": scene}).replace('"a lake"', f'"{text}"')
        assert refused(raw(client, body))["field"] == "prompt"
    for place in ('{"inputs": {"\\ud800": 1}}', '{"response": "\\ud800"}', '{"outputs": {"\\ud800": {}}}'):
        refused(raw(client, place))


def test_other_media_types(client: httpx.Client) -> None:
    for media in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x"):
        assert refused(raw(client, "{}", **{"Content-Type": media}))["field"] == "Content-Type"


# ---- values -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", -1), ("seed", 2**53), ("seed", 10**400), ("seed", 1.5), ("seed", "7"), ("seed", True),
        ("gsd", 0), ("gsd", -1), ("gsd", 1e-9), ("gsd", 1e9), ("gsd", 1e308), ("gsd", "1"), ("gsd", 10**300),
        ("steps", 0), ("steps", 201), ("steps", 10**100), ("guidance", 0), ("guidance", 1e6),
        ("variants", 0), ("variants", 9), ("sampler", "none"), ("canvas", "sea"), ("prompt", None),
        ("prompt", 1), ("prompt", {}), ("prompt", ["a"]), ("negative_prompt", 5), ("model", "../etc/passwd"),
        ("model", "a" * 200), ("model", "/etc"), ("record_prompt", "yes"), ("unknown", 1),
        ("canvas", {"col": 0, "row": 0, "width": 0, "height": 1}),
        ("canvas", {"col": 10**30, "row": 0, "width": 10**30, "height": 10**30}),
    ],
)  # fmt: skip
def test_wrong_values(client: httpx.Client, scene: dict[str, Any], field: str, value: object) -> None:
    answer = raw(client, json.dumps({"inputs": scene | {field: value}}))
    problem = refused(answer, answer.status_code if answer.status_code in (400, 413) else 400)
    assert problem["field"].split(".")[0] == field
    assert problem["allowed"]


@pytest.mark.parametrize(
    ("bbox", "crs"),
    [
        ([500000, 5200000, 500000, 5200000], "EPSG:32632"),  # a point
        ([500000, 5200000, 500064, 5200000], "EPSG:32632"),  # a line
        ([500064, 5200064, 500000, 5200000], "EPSG:32632"),  # inside out
        ([-180, -90, 180, 90], "OGC:CRS84"),  # the Earth
        ([-20037508, -20037508, 20037508, 20037508], "EPSG:3857"),
        ([179.999, 10, -179.999, 10.001], "OGC:CRS84"),  # over the antimeridian
        ([179.999, 10, 180.001, 10.001], "OGC:CRS84"),
        ([0, 95, 1, 96], "OGC:CRS84"),  # no such latitude
        ([1e300, 1e300, 2e300, 2e300], "EPSG:32632"),
        ([1e18, 1e18, 1e18, 1e18], "EPSG:3857"),
        ([0, 0, 1], "EPSG:32632"),
        ([0, 0, 1, 1, 2, 2], "EPSG:32632"),
        (["0", "0", "1", "1"], "EPSG:32632"),
        ([[0], 0, 1, 1], "EPSG:32632"),
        ({}, "EPSG:32632"),
    ],
)
def test_wrong_extents(client: httpx.Client, flat: None, bbox: object, crs: str) -> None:
    body = json.dumps({"inputs": {"prompt": "a", "gsd": 1.0, "extent": {"bbox": bbox, "crs": crs}}})
    answer = raw(client, body)
    problem = refused(answer, 413 if answer.status_code == 413 else 400)
    assert problem["field"].startswith(("extent", "crs")), problem
    assert problem["allowed"], problem


class ConnectionCounter:
    """Listens and counts who calls: a CRS must not make the backend ask the network."""

    def __enter__(self) -> ConnectionCounter:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.calls = 0
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()

    def _listen(self) -> None:
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            self.calls += 1
            connection.close()


def test_a_crs_opens_no_file_and_no_connection(client: httpx.Client, scene: dict[str, Any]) -> None:
    with ConnectionCounter() as ear:
        for crs in (
            f"http://127.0.0.1:{ear.port}/crs", f"HTTP://127.0.0.1:{ear.port}/crs.wkt",
            "file:///etc/passwd", "/etc/passwd", "C:\\x.prj", "+init=/etc/passwd:x",
            "+proj=utm +zone=32", "+proj=pipeline",
            f"/vsicurl/http://127.0.0.1:{ear.port}/x", "init=epsg:32632", "IGNF:x", "EPSG:0",
            "EPSG:99999999999999999999", "EPSG:32632\0", "EPSG", "", " ", "urn:x", "{}", "[" * 1000,
            "PROJCRS[" * 2000, "a" * 20_001,
            '{"type": "GeographicCRS"}', "GEOGCRS", 'PROJCS["x"', 5, None, [], {},
        ):  # fmt: skip
            extent = {**scene["extent"], "crs": crs}
            problem = refused(raw(client, json.dumps({"inputs": scene | {"extent": extent}})))
            assert problem["field"].startswith("extent"), (crs, problem)
            if crs is not None:
                problem = refused(raw(client, json.dumps({"inputs": scene | {"crs": crs}})))
                assert problem["field"].startswith("crs"), (crs, problem)
    assert ear.calls == 0


def test_links_are_not_followed(client: httpx.Client) -> None:
    with ConnectionCounter() as ear:
        here = f"http://127.0.0.1:{ear.port}"
        for href in (
            here, f"{here}/jobs/x/results/y", "file:///etc/passwd", "ftp://x/y", "//evil.example/x",
            "http://[::1",
            f"{client.base_url}/jobs/../results/x", f"{client.base_url}/healthz", "x", "data:",
            "data:;base64,%%%", "data:application/json,{", "data:,%ff",
        ):  # fmt: skip
            body = json.dumps({"inputs": {"message": {"href": href}}})
            assert refused(raw(client, body, "/processes/echo/execution"))["field"] == "message.href", href
    assert ear.calls == 0


# ---- size -------------------------------------------------------------------------------------------------


def test_a_megabyte_of_prompt(client: httpx.Client, scene: dict[str, Any], flat: None) -> None:
    prompt = "lake " * 200_000
    answer = raw(client, json.dumps({"inputs": scene | {"prompt": prompt[: 10**6]}}))
    assert "prompt" in refused(answer, 413)["field"]
    whole = raw(client, json.dumps({"inputs": scene | {"prompt": prompt * 2}}))
    problem = refused(whole, 413)
    assert problem["field"] == "body"
    assert "1,048,576" in problem["allowed"]


@pytest.mark.parametrize("known", [True, False], ids=["content-length", "chunked"])
def test_a_gigabyte_of_body(server: Backend, flat: None, known: bool) -> None:
    size, chunk = 10**9, b"x" * 2**20
    process = psutil.Process(server.process.pid)
    before, most = process.memory_info().rss, 0

    def stream() -> Iterator[bytes]:
        nonlocal most
        for number in range(size // len(chunk)):
            if number % 50 == 0:
                most = max(most, process.memory_info().rss)
            yield chunk

    headers = {"Content-Type": "application/json"}
    if known:
        headers["Content-Length"] = str(size // len(chunk) * len(chunk))
    with server.client() as client:
        assert refused(client.post(URL, content=stream(), headers=headers), 413)["field"] == "body"
    assert most - before < FLAT
    with server.client() as client:
        assert client.get("/").status_code == 200


def test_too_many_pixels_or_evaluations(client: httpx.Client, scene: dict[str, Any], flat: None) -> None:
    large = {"bbox": [500000, 5200000, 600000, 5300000], "crs": "EPSG:32632"}
    assert "pixels" in refused(raw(client, json.dumps({"inputs": scene | {"extent": large}})), 413)["detail"]
    wide = {"bbox": [500000, 5200000, 503500, 5203500], "crs": "EPSG:32632"}
    costly = scene | {"extent": wide, "steps": 200, "variants": 8}
    assert "evaluations" in refused(raw(client, json.dumps({"inputs": costly})), 413)["detail"]


def test_headers_and_urls(client: httpx.Client, server: Backend) -> None:
    assert client.get("/jobs/" + "x" * 5000).status_code == 404
    assert client.get("/jobs", params={"processID": "x" * 5000}).json()["jobs"] == []
    assert client.get("/jobs", params={"processID": "a' OR 1=1 --"}).json()["jobs"] == []
    assert client.get("/jobs", params={"limit": "1e3"}).status_code == 400
    assert client.get("/jobs", params={"offset": "-1"}).status_code == 400
    assert client.get("/jobs/%F0%28%8C%28").status_code == 404
    for path in ("/jobs/%2e%2e/%2e%2e/etc/passwd", "/jobs/..%2f..%2ftoken/results/x", "/../token"):
        assert client.get(path).status_code == 404, path
    for path in ("/processes/%00", "/jobs/%00"):  # nginx refuses these itself, with a 400
        assert client.get(path).status_code == 404, path
    key = raw(client, "{}", "/processes/echo/execution", **{"Idempotency-Key": "k" * 256})
    assert refused(key)["field"] == "Idempotency-Key"


def test_slow_and_broken_connections_leave_the_backend_well(server: Backend, client: httpx.Client) -> None:
    host, port = "127.0.0.1", httpx.URL(server.url).port
    held = []
    for start in (
        b"",
        b"GET",
        b"POST " + URL.encode() + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
    ):
        connection = socket.create_connection((host, port))
        connection.sendall(start)
        held.append(connection)
    assert client.get("/").status_code == 200
    for connection in held:
        connection.close()
    with socket.create_connection((host, port)) as connection:
        connection.sendall(b"\x16\x03\x01 no HTTP at all\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400")
    assert client.get("/healthz").json()["status"] == "ok"


def test_nothing_of_the_above_was_unforeseen(server: Backend) -> None:
    assert "Traceback" not in server.log
    assert "a lake" not in server.log, "no prompts in logs"
    assert "signature=" not in server.log
