"""Who may talk to a backend: tokens, owners, hosts, origins, and what start-up refuses."""

from __future__ import annotations

import base64
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers

from model_backend.api.auth import Gate
from model_backend.api.tokens import BadSetUp
from model_backend.errors import Forbidden, Unauthorized
from model_backend.settings import Settings
from tests.support.backend.service import NO_MODEL, Backend, finished, status_in, submit

ADA, BOB = "ada-" + "a" * 40, "bob-" + "b" * 40


@pytest.fixture(scope="module")
def shared(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A backend with two tokens."""
    folder = tmp_path_factory.mktemp("two")
    tokens = folder / "tokens"
    tokens.write_text(f"# who may\n{ADA} ada\n\n{BOB}   # no name\n")
    tokens.chmod(0o600)
    server = Backend(folder / "data", "--model", str(tiny), "--token-file", str(tokens)).start()
    yield server
    server.stop()


# ---- tokens -------------------------------------------------------------------------------------------


def test_the_first_start_makes_a_token(server: Backend) -> None:
    path = server.data_dir / "token"
    assert len(server.token) >= 40
    if os.name == "posix":
        for name in ("token", "secret", "jobs.sqlite"):
            assert stat.S_IMODE((server.data_dir / name).stat().st_mode) & 0o077 == 0, name
    assert path.read_text() == server.token + "\n"


def test_bearer_and_basic_are_accepted_and_nothing_else(server: Backend) -> None:
    basic = base64.b64encode(f"anybody:{server.token}".encode()).decode()
    empty_user = base64.b64encode(f":{server.token}".encode()).decode()
    for good in (
        f"Bearer {server.token}",
        f"bearer  {server.token}",
        f"Basic {basic}",
        f"basic {empty_user}",
    ):
        assert httpx.get(server.url + "/jobs", headers={"Authorization": good}).status_code == 200, good
    user = base64.b64encode(f"{server.token}:".encode()).decode()
    for bad in (
        "", "Bearer", f"Bearer {server.token}x", f"Bearer {server.token[:-1]}", server.token,
        f"Basic {user}", "Basic !!", "Basic", f"Digest {server.token}", "Bearer \u00e9".encode(),
        b"Basic \xff", "Basic \u00e9".encode(),
    ):  # fmt: skip
        answer = httpx.get(server.url + "/jobs", headers={"Authorization": bad})
        assert answer.status_code == 401, bad
        assert answer.headers.get_list("www-authenticate") == ["Bearer"]  # Basic opens a box in QGIS
        assert answer.headers["content-type"] == "application/problem+json"


def test_all_but_health_needs_a_token(server: Backend) -> None:
    stranger = httpx.Client(base_url=server.url)
    for method, path in (
        ("GET", "/"), ("GET", "/conformance"), ("GET", "/api"), ("GET", "/processes"), ("GET", "/models"),
        ("GET", "/processes/echo"), ("POST", "/processes/echo/execution"), ("GET", "/jobs"),
        ("GET", "/nothing"), ("GET", "/jobs/x"), ("DELETE", "/jobs/x"),
        ("GET", "/jobs/x/results"),
        ("PUT", "/healthz"), ("GET", "/jobs/x/results/image.tif"), ("GET", "/jobs/x/preview"),
        ("GET", "/healthz/"),
    ):  # fmt: skip
        assert stranger.request(method, path).status_code == 401, path
    health = stranger.get("/healthz")
    stranger.close()
    assert health.status_code == 200
    assert health.json()["model"] == "tiny"
    assert str(server.data_dir) not in health.text


# ---- owners -------------------------------------------------------------------------------------------


def test_two_tokens_are_two_worlds(shared: Backend, scene: dict[str, Any]) -> None:
    with shared.client(ADA) as ada, shared.client(BOB) as bob:
        done = submit(ada, "generate", scene, response="document")
        assert finished(ada, done)["status"] == "successful"
        running = submit(ada, "echo", {"pause": 30})
        status_in(ada, running, {"running"})

        nobody = "00000000-0000-4000-8000-000000000000"
        for method, end in (
            ("GET", ""), ("DELETE", ""), ("GET", "/results"), ("GET", "/results/image.tif"),
            ("GET", "/results/message"), ("GET", "/preview"),
        ):  # fmt: skip
            unknown = bob.request(method, f"/jobs/{nobody}{end}")
            for job in (done, running):
                answer = bob.request(method, f"/jobs/{job}{end}")
                assert answer.status_code == 404
                assert answer.json() == unknown.json(), "a foreign job is as one that is not there"
        assert bob.get("/jobs").json()["jobs"] == []
        stolen = {"href": f"{shared.url}/jobs/{done}/results/recipe.json"}
        refusal = bob.post("/processes/echo/execution", json={"inputs": {"message": stolen}})
        assert refusal.json()["field"] == "message.href"

        assert ada.get(f"/jobs/{running}").json()["status"] == "running", "bob's DELETE did nothing"
        assert ada.get(f"/jobs/{done}/results/image.tif").status_code == 200
        assert {job["jobID"] for job in ada.get("/jobs").json()["jobs"]} == {done, running}
        ada.delete(f"/jobs/{running}")


def test_keys_of_two_tokens_do_not_meet(shared: Backend) -> None:
    jobs = set()
    for token, text in ((ADA, "a"), (BOB, "b"), (ADA, "a")):
        with shared.client(token) as client:
            headers = {"Idempotency-Key": "same"}
            jobs.add(submit(client, "echo", {"message": text}, headers=headers))
    assert len(jobs) == 2


def test_a_place_in_the_queue_says_nothing_of_others(shared: Backend) -> None:
    with shared.client(ADA) as ada, shared.client(BOB) as bob:
        first = submit(ada, "echo", {"pause": 30})
        status_in(ada, first, {"running"})
        second = submit(bob, "echo", {"pause": 30})
        info = bob.get(f"/jobs/{second}").json()
        assert info["queuePosition"] == 1
        assert first not in str(info)
        for client, job in ((ada, first), (bob, second)):
            client.delete(f"/jobs/{job}")


def test_each_token_has_its_own_quota(start: Callable[..., Backend], tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{ADA}\n{BOB}\n")
    tokens.chmod(0o600)
    server = start(*NO_MODEL, "--token-file", str(tokens), max_jobs=2)
    with server.client(ADA) as ada, server.client(BOB) as bob:
        jobs = [submit(ada, "echo", {"pause": 30}) for _ in range(2)]
        refusal = ada.post(
            "/processes/echo/execution", json={"inputs": {}}, headers={"Prefer": "respond-async"}
        )
        assert refusal.status_code == 429
        assert int(refusal.headers["retry-after"]) > 0
        assert ada.post("/processes/echo/execution", json={"inputs": {}}).status_code == 200, "sync is no job"
        submit(bob, "echo", {})
        ada.delete(f"/jobs/{jobs[0]}")
        submit(ada, "echo", {})


# ---- hosts and origins ----------------------------------------------------------------------------------


def test_other_hosts_and_origins_are_refused(server: Backend, client: httpx.Client) -> None:
    port = httpx.URL(server.url).port

    def ask(**headers: str) -> int:
        return client.get("/jobs", headers=headers).status_code

    for host in (f"127.0.0.1:{port}", f"localhost:{port}", "LOCALHOST", f"[::1]:{port}", "127.0.0.1"):
        assert ask(Host=host) == 200, host
    for host in ("evil.example", f"evil.example:{port}", "10.0.0.1", "127.0.0.1.evil.example", "[::1",
                 "[abc]",
                 "a@localhost", "localhost#.evil.example", "localhost/", ""):  # fmt: skip
        assert ask(Host=host) == 403, host
    assert ask(Origin=server.url) == 200
    for origin in (
        "https://evil.example",
        "null",
        f"http://localhost:{port}",
        "http://127.0.0.1:1",
        server.url + "x",
    ):
        assert ask(Origin=origin) == 403, origin
    preflight = httpx.options(
        server.url + "/processes/echo/execution",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert preflight.status_code == 403
    assert not [name for name in preflight.headers if name.startswith("access-control")]
    assert httpx.get(server.url + "/healthz", headers={"Host": "evil.example"}).status_code == 403


def gate(**settings: Any) -> Gate:
    return Gate.of(Settings(**{"no_token": True, **settings}))


def test_hosts_beyond_loopback(tmp_path: Path) -> None:
    def allowed(one: Gate, host: str) -> bool:
        try:
            one.check_source(Headers({"host": host}), "http")
        except Forbidden:
            return False
        return True

    tokens = {"data_dir": tmp_path, "no_token": False}
    wild = gate(host="0.0.0.0", allowed_hosts=["gpu.lan"], **tokens)
    assert all(allowed(wild, host) for host in ("gpu.lan", "GPU.LAN:8765", "192.168.1.5:8765", "localhost"))
    assert not any(allowed(wild, host) for host in ("evil.example", "gpu.lan.evil.example"))
    named = gate(host="gpu.lan", public_url="https://maps.example/x", **tokens)
    assert all(allowed(named, host) for host in ("gpu.lan", "maps.example"))


def test_tokens_are_compared_whole(tmp_path: Path) -> None:
    one = gate(no_token=False, data_dir=tmp_path)
    token = (tmp_path / "token").read_text().strip()
    assert one.owner(Headers({"authorization": f"Bearer {token}"})).startswith("token-")
    for wrong in (token[:-1], token + "a", token.swapcase(), ""):
        with pytest.raises(Unauthorized):
            one.owner(Headers({"authorization": f"Bearer {wrong}"}))


# ---- start-up -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        ("", 0o600, "holds no token"),
        ("# only a comment\n", 0o600, "holds no token"),
        ("short\n", 0o600, "can be guessed"),
        ("x" * 40 + "\n", 0o644, "0600"),
        ("\u00e4" * 40 + "\n", 0o600, "beyond ASCII"),
    ],
)
def test_a_bad_token_file_is_refused(tmp_path: Path, content: str, mode: int, words: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(BadSetUp, match=words):
        gate(no_token=False, token_file=path)


def test_a_token_file_of_an_editor_that_marks_utf8(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text("x" * 40 + " J\u00fcrgen\n", encoding="utf-8-sig")
    path.chmod(0o600)
    one = gate(no_token=False, token_file=path)
    assert one.owner(Headers({"authorization": "Bearer " + "x" * 40})) == "J\u00fcrgen"


def test_links_are_never_signed_with_an_empty_key(start: Callable[..., Backend]) -> None:
    server = start(*NO_MODEL)
    server.stop()
    (server.data_dir / "secret").write_bytes(b"")
    server.start()
    assert (server.data_dir / "secret").stat().st_size == 32


def test_two_backends_do_not_share_a_folder(start: Callable[..., Backend]) -> None:
    server = start(*NO_MODEL)
    second = serve(server.data_dir, "--port", "0", *NO_MODEL)
    assert second.returncode == 1
    assert "Another backend uses" in second.stderr
    server.kill()
    server.start()


@pytest.mark.parametrize("given", ["gpu.example.org,b", '["gpu.example.org", "b"]', " gpu.example.org , b ,"])
def test_host_names_come_with_commas(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("TEXT2EARTH_ALLOWED_HOSTS", given)
    assert Settings().allowed_hosts == ["gpu.example.org", "b"]
    monkeypatch.setenv("TEXT2EARTH_ALLOWED_HOSTS", "gpu.example.org")
    assert Settings().allowed_hosts == ["gpu.example.org"]


@pytest.mark.skipif(os.name != "posix", reason="locales of other encodings")
def test_a_folder_beyond_ascii_in_a_locale_that_is_not_utf8(
    start: Callable[..., Backend], scene: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}.items():
        monkeypatch.setenv(name, value)
    server = start(name="d\u00e4ta")
    with server.client() as client:
        assert finished(client, submit(client, "generate", scene))["status"] == "successful"


def test_a_missing_token_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSetUp, match="cannot be read"):
        gate(no_token=False, token_file=tmp_path / "none")


def serve(tmp_path: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "model_backend", "serve", "--data-dir", str(tmp_path), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


def test_without_a_token_only_loopback(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.1", "gpu.lan"):
        with pytest.raises(BadSetUp, match="loopback"):
            gate(host=host)
    refused = serve(tmp_path, "--host", "0.0.0.0", "--port", "0", "--no-token")
    assert refused.returncode == 1
    assert "loopback" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert refused.stdout == ""


def test_no_token_asks_nobody(start: Callable[..., Backend]) -> None:
    server = start(*NO_MODEL, "--no-token")
    with httpx.Client(base_url=server.url) as client:
        job = submit(client, "echo", {})
    assert httpx.get(f"{server.url}/jobs/{job}").status_code == 200
    assert httpx.get(f"{server.url}/jobs", headers={"Origin": "https://evil.example"}).status_code == 403
    assert not (server.data_dir / "token").exists()
    assert "No token is asked for." in server.log


def test_the_start_says_where_the_token_is(start: Callable[..., Backend]) -> None:
    server = start(*NO_MODEL)
    assert f"The token is in {server.data_dir / 'token'}\n" in server.log


def test_start_up_errors_are_sentences(tmp_path: Path, tiny: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        busy = serve(tmp_path / "a", "--port", port, "--model", str(tiny))
    no_model = serve(tmp_path / "b", "--port", "0", "--model", str(tmp_path / "nothing"))
    bad_port = serve(tmp_path / "c", "--port", "99999")
    no_device = serve(tmp_path / "d", "--port", "0", "--devices", "cpu,cuda:77")
    strange = serve(tmp_path / "e", "--port", "0", "--devices", "cuda:first")
    for refused in (no_device, strange):
        assert "use auto, cpu, cuda" in refused.stderr
        assert refused.returncode == 1
        assert "Traceback" not in refused.stderr
    for refused, words in ((busy, "in use"), (no_model, "no model folder"), (bad_port, "port")):
        assert refused.returncode == 1
        assert words in refused.stderr
        assert "Traceback" not in refused.stderr
        assert "Listening" not in refused.stdout
