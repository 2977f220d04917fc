"""QGIS closed while a job runs, and started again: nothing is lost. Each start is a QGIS of its own."""

from __future__ import annotations

import requests

from tests.support.qgis.sessions import run_session
from text2earth_qgis.core.runs.history import History


def test_a_job_outlives_qgis_and_is_fetched_at_the_next_start(backend, tmp_path):
    closed = run_session("close", tmp_path, TEXT2EARTH_BACKEND_URL=backend.url)
    assert closed.returncode == 0, closed.stderr
    job = (tmp_path / "job").read_text()
    left = requests.get(f"{backend.url}/jobs/{job}", timeout=60).json()
    assert left["status"] in ("accepted", "running", "successful")
    assert not list((tmp_path / "results").glob("*.tif"))
    opened = run_session("reopen", tmp_path, TEXT2EARTH_BACKEND_URL=backend.url)
    assert opened.returncode == 0, opened.stderr
    assert len(list((tmp_path / "results").glob("*.tif"))) == 1


def test_what_the_toolbox_runs_outlives_qgis_too(backend, tmp_path):
    closed = run_session("close_toolbox", tmp_path, TEXT2EARTH_BACKEND_URL=backend.url)
    assert closed.returncode == 0, closed.stderr
    job = (tmp_path / "job").read_text()
    left = requests.get(f"{backend.url}/jobs/{job}", timeout=60).json()
    requests.delete(f"{backend.url}/jobs/{job}", timeout=60)
    assert left["status"] in ("accepted", "running")
    (history,) = (tmp_path / "profile").rglob("history.sqlite")
    (run,) = History(history).unfinished()
    assert (run.job, run.target) == (job, str(tmp_path / "results" / "a.tif"))
