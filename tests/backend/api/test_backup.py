"""A backup that is made while jobs run, and the backend that comes out of it."""

from __future__ import annotations

import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model_backend.administration.backup import backup, restore
from model_backend.api.tokens import BadSetUp
from tests.support.backend.raster_files import rich_scene
from tests.support.backend.service import NO_MODEL, Backend, finished, status_in, submit, upload


def test_a_backup_of_a_busy_backend_comes_back_whole(
    server: Backend, start: Callable[..., Backend], scene: dict[str, Any], tmp_path: Path
) -> None:
    file, folder = tmp_path / "backup.tar", tmp_path / "again"
    with server.client() as client:
        done = submit(client, "generate", scene, response="document")
        assert finished(client, done)["status"] == "successful"
        image = client.get(client.get(f"/jobs/{done}/results").json()["image"]["href"]).content
        raster = upload(client, rich_scene(tmp_path / "source.tif", "uint8", 3, "utm", None))
        running = submit(client, "echo", {"message": "goes on", "pause": 3})
        status_in(client, running, {"running"})
        held = backup(server.data_dir, file)
        assert client.get(f"/jobs/{running}").json()["status"] == "running"
    with tarfile.open(file) as tar:
        names = tar.getnames()
    assert len(names) == len(set(names))
    assert not list(tmp_path.glob(".backup-*"))
    with pytest.raises(BadSetUp, match="Another backend uses"):
        restore(file, server.data_dir)

    back = restore(file, folder)
    assert (back.jobs, back.files) == (held.jobs, held.files)
    with pytest.raises(BadSetUp, match="holds a job store already"):
        restore(file, folder)
    again = start(*NO_MODEL, name="again")
    assert again.token == server.token
    with again.client() as client:
        assert client.get(client.get(f"/jobs/{done}/results").json()["image"]["href"]).content == image
        assert client.get(f"/jobs/{done}/preview").status_code == 200
        assert client.get(f"/uploads/{raster['upload']}").json()["complete"]
        assert finished(client, running)["status"] == "successful"
    assert "set aside" not in again.log


def test_a_damaged_backup_is_refused_and_leaves_no_job_store(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "backup.tar"
    (data / "jobs").mkdir(parents=True)
    sqlite3.connect(data / "jobs.sqlite").executescript(
        "CREATE TABLE job (id, removed); CREATE TABLE result (job, file, sha256);"
        "CREATE TABLE block (job, file, sha256, status)"
    )
    (data / "secret").write_bytes(b"x" * 5000)
    backup(data, file)
    whole = file.read_bytes()
    for damaged in (
        whole.replace(b"x" * 5000, b"y" * 5000),
        whole[:1000],
        b"",
        whole.replace(b'"secret"', b'"../../a"'),
    ):
        file.write_bytes(damaged)
        with pytest.raises(BadSetUp, match="no whole backup"):
            restore(file, tmp_path / "new")
        assert not (tmp_path / "new" / "jobs.sqlite").exists()
    file.write_bytes(whole)
    assert restore(file, tmp_path / "new").files == 1
    assert (tmp_path / "new" / "secret").read_bytes() == b"x" * 5000
