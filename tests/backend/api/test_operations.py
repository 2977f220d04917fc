"""What an administrator needs of a running backend: orders, tokens, probes, metrics, logs."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from model_backend.__main__ import main
from model_backend.api.operations import brake
from model_backend.api.tokens import add_token, read_tokens, revoke_tokens
from tests.support.backend.service import NO_MODEL, Backend, execute, finished, status_in, submit, until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sockets in folders, signals")

Command = Callable[..., str]
SECRET_PROMPT = "a prompt that nobody else may read"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A backend that logs JSON, in a folder whose path no socket could have."""
    folder = tmp_path_factory.mktemp("operations") / ("long-" * 30)
    one = Backend(folder / "data", *NO_MODEL, log_format="json", trusted_proxies="127.0.0.1").start()
    yield one
    one.stop()


@pytest.fixture
def client(served: Backend) -> Iterator[httpx.Client]:
    with served.client(checked=False) as one:
        yield one


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Give a command of an administrator; return what it prints."""

    def give(served: Backend, *words: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main([*words, "--data-dir", str(served.data_dir)]) == code
        out, err = capsys.readouterr()
        return out if code == 0 else err

    return give


def log_lines(served: Backend) -> list[dict[str, Any]]:
    return [json.loads(line) for line in served.log.splitlines()]


def audited(served: Backend) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (served.data_dir / "audit.log").read_text().splitlines()]


# ---- orders -------------------------------------------------------------------------------------------


def test_an_administrator_pauses_lists_cancels_and_drains(
    served: Backend, client: httpx.Client, command: Command
) -> None:
    assert stat.S_IMODE((served.data_dir / "admin").stat().st_mode) == 0o600
    assert command(served, "pause") == "The backend is paused: 0 jobs run, 0 wait.\n"
    assert client.get("/readyz").status_code == 503
    waiting = [submit(client, "echo", {"message": SECRET_PROMPT}) for _ in range(2)]
    listed = json.loads(command(served, "jobs", "list", "--json"))
    assert [job["id"] for job in listed] == waiting
    assert command(served, "jobs", "cancel", waiting[0]) == f"{waiting[0]} is dismissed.\n"
    assert client.get(f"/jobs/{waiting[0]}").json()["status"] == "dismissed"
    assert "no such job" in command(served, "jobs", "cancel", "x", code=1)
    table = command(served, "jobs", "list", "--all").splitlines()
    assert table[0].split() == ["id", "owner", "process", "status", "cost", "sent"]
    assert [row.split()[3] for row in table[1:]] == ["accepted", "dismissed"]

    command(served, "resume")
    assert finished(client, waiting[1])["status"] == "successful"
    running = submit(client, "echo", {"pause": 2})
    status_in(client, running, {"running"})
    assert command(served, "drain") == "The backend is draining: 0 jobs run, 0 wait.\n"
    assert client.get(f"/jobs/{running}").json()["status"] == "successful", "drain waits for it"
    refused = execute(client, "echo", {})
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "60"
    assert "draining" in client.get("/readyz").json()["detail"]
    assert command(served, "resume") == "The backend is open: 0 jobs run, 0 wait.\n"
    assert client.get("/readyz").json() == {"status": "ready"}
    assert client.get("/livez").json() == {"status": "alive"}

    owner = command(served, "owners", "list").splitlines()[1].split()[0]
    row = command(served, "owners", "set", owner, "--priority", "2.5", "--running", "3").splitlines()[1]
    assert row.split()[:3] == [owner, "2.5", "3"]
    assert "0.001 to 1000" in command(served, "owners", "set", owner, "--priority", "-1", code=1)


def test_orders_come_through_the_socket_alone(served: Backend, client: httpx.Client) -> None:
    assert client.get("/admin/jobs").status_code == 404
    assert client.put("/admin/mode", json={"mode": "paused"}).status_code == 404
    transport = httpx.HTTPTransport(uds=os.path.relpath(served.data_dir / "admin"))
    with httpx.Client(transport=transport, base_url="http://localhost") as local:
        if len(os.path.relpath(served.data_dir / "admin")) < 100:
            assert local.get("/jobs").status_code == 403
            assert local.get("/admin/status").json()["mode"] == "open"


def test_without_a_backend_an_order_says_so(tmp_path: Path, command: Command) -> None:
    empty = Backend(tmp_path / "none")
    empty.data_dir.mkdir()
    assert "No backend answers in" in command(empty, "pause", code=1)
    assert "holds no job store" in command(empty, "backup", str(tmp_path / "b.tar"), code=1)


# ---- tokens -------------------------------------------------------------------------------------------


def test_tokens_come_and_go_while_it_runs(served: Backend, command: Command) -> None:
    made = command(served, "tokens", "add", "Ada L.", "--days", "30").strip()
    assert made not in (served.data_dir / "token").read_text()

    def answered(token: str) -> httpx.Response:
        return httpx.get(served.url + "/jobs", headers={"Authorization": f"Bearer {token}"})

    assert answered(made).status_code == 200
    listed = command(served, "tokens", "list")
    row = next(line for line in listed.splitlines() if "Ada L." in line)
    assert re.search(r"\d{4}-\d\d-\d\d$", row)
    assert "is revoked" in command(served, "tokens", "revoke", row.split()[0])
    assert answered(made).status_code == 401
    assert answered(served.token).status_code == 200
    assert "has no token" in command(served, "tokens", "revoke", "nobody", code=1)

    path = served.data_dir / "token"
    before = path.read_text()
    path.write_text(f"{before}sha256:xyz ada\n")
    assert answered(served.token).status_code == 200, "a file that cannot be used changes nothing"
    path.write_text(f"{before}{'z' * 20} until=2020-01-31 bob\n")
    assert "good until 2020-01-31" in answered("z" * 20).json()["detail"]
    path.write_text(before)
    served.process.send_signal(signal.SIGHUP)
    until(lambda: sum("read anew" in line["message"] for line in log_lines(served)) >= 3)
    said = [line["message"] for line in log_lines(served)]
    assert any("added: Ada L.; removed: none" in line for line in said)
    assert any("stay what they were" in line for line in said)


def test_a_token_file_keeps_what_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text("# mine\n" + "x" * 20 + " ada # old\n")
    path.chmod(0o600)
    add_token(path, "ada", None)
    assert [token.owner for token in read_tokens(path)] == ["ada", "ada"]
    assert len(revoke_tokens(path, "ada")) == 2
    assert path.read_text() == "# mine\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_wrong_tokens_wait_and_are_noted_and_right_ones_do_not(served: Backend) -> None:
    with httpx.Client(base_url=served.url) as guesser:
        wrong = {"Authorization": "Bearer " + "w" * 30, "X-Forwarded-For": "203.0.113.9"}
        for _ in range(brake.FREE):
            assert guesser.get("/jobs", headers=wrong).status_code == 401
        before = time.monotonic()
        assert guesser.get("/jobs", headers=wrong).status_code == 401
        assert time.monotonic() - before >= brake.SECONDS
    refusals = [line for line in audited(served) if line["status"] == 401]
    assert (refusals[-1]["who"], refusals[-1]["from"], refusals[-1]["path"]) == (None, "203.0.113.9", "/jobs")
    assert any("a wrong token came from 203.0.113.9" in line["message"] for line in log_lines(served))


# ---- what is told ---------------------------------------------------------------------------------------


def test_a_request_is_found_from_the_client_to_the_worker(
    served: Backend, client: httpx.Client, command: Command
) -> None:
    answer = execute(client, "echo", {"message": SECRET_PROMPT}, headers={"X-Request-ID": "qgis-1"})
    assert answer.headers["x-request-id"] == "qgis-1"
    job = answer.json()["jobID"]
    finished(client, job)
    line = until(lambda: [one for one in log_lines(served) if one.get("request") == "qgis-1"])[0]
    assert (line["part"], line["job"], line["level"]) == ("worker", job, "info")
    note = next(one for one in audited(served) if one["request"] == "qgis-1")
    assert (note["method"], note["path"], note["status"]) == ("POST", "/processes/echo/execution", 201)
    assert (note["made"], note["from"]) == (job, "127.0.0.1")
    assert note["who"].startswith("token-")
    made_up = client.get("/livez", headers={"X-Request-ID": 'a"b' * 50}).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", made_up)
    client.delete(f"/jobs/{job}")
    command(served, "pause")
    command(served, "resume")
    deeds = [(one["who"], one["method"], one["path"], one["from"]) for one in audited(served)]
    assert (note["who"], "DELETE", f"/jobs/{job}", "127.0.0.1") in deeds
    assert deeds[-1] == ("administrator", "PUT", "/admin/mode", "socket")
    for text in (served.log, (served.data_dir / "audit.log").read_text()):
        assert SECRET_PROMPT not in text
        assert served.token not in text


def test_metrics_are_what_prometheus_reads(served: Backend, client: httpx.Client) -> None:
    finished(client, submit(client, "echo", {}))
    assert httpx.get(served.url + "/metrics").status_code == 401
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    done = found["text2earth_jobs_ended_total", "echo", "successful"]
    assert done >= 1
    assert found["text2earth_blocks_total", "echo"] == done
    assert found["text2earth_job_seconds_bucket", "+Inf", "echo"] == done
    assert found["text2earth_job_seconds_count", "echo"] == done
    assert found["text2earth_mode", "open"] == 1
    assert found["text2earth_workers", "auto", "idle"] == 1
    assert found["text2earth_worker_memory_bytes", "auto"] > 1 << 20
    assert found["text2earth_disk_bytes", "free"] > 0
    assert found["text2earth_http_answers_total", "401", "GET"] >= 1
    assert found[("process_resident_memory_bytes",)] > 1 << 20
    assert "token-" not in answer.text
