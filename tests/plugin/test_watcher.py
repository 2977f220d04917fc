"""A run from the request to the file on the main thread, with a real backend that may be killed meanwhile."""

import dataclasses
import re

import pytest
from osgeo import gdal

from tests.support.qgis.toolbox import PATIENCE
from tests.support.qgis.watched_runs import ended, noted
from text2earth_qgis.core.errors import BackendError, Unreachable
from text2earth_qgis.core.runs.history import History, Run
from text2earth_qgis.core.runs.watcher import JobWatcher
from text2earth_qgis.core.wire.access import Access
from text2earth_qgis.core.wire.schemas import Extent, GenerateInputs
from text2earth_qgis.core.wire.transport import open_client

PLACE = Extent([500000, 5800000, 500128, 5800128], "EPSG:32633")
QUICK = GenerateInputs("a lake", PLACE, gsd=1.0, seed=7, steps=2)
LONGER = dataclasses.replace(QUICK, extent=Extent([500000, 5800000, 500256, 5800256], "EPSG:32633"), steps=25)
HOURS = dataclasses.replace(QUICK, extent=Extent([500000, 5800000, 504096, 5803072], "EPSG:32633"), steps=170)


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "history.sqlite")


@pytest.fixture
def watch(history, tmp_path, qtbot):
    """Start a watcher and note what it says; all are stopped at the end."""
    watchers = []

    def start(access, inputs=QUICK, run=None):
        run = run or Run(access.url, inputs.to_json(), str(tmp_path / "results" / "a.tif"))
        watcher = noted(JobWatcher(lambda: access, history, run, poll_seconds=0.1))
        watchers.append(watcher)
        watcher.start()
        return watcher

    yield start
    for watcher in watchers:
        watcher.stop()


def sent(qtbot, watcher):
    """Wait until the backend has it: it may be running, and it is not fetched yet."""
    qtbot.waitUntil(lambda: bool(watcher.run.job), timeout=PATIENCE)


def running(qtbot, watcher):
    """Wait until it runs, for jobs that take hours."""
    qtbot.waitUntil(lambda: watcher.run.state == "running", timeout=PATIENCE)


def status_there(access, watcher):
    return open_client(access).status(watcher.run.job).status


def test_what_the_backend_left_out_is_kept_with_the_run(shared_backend, watch, history, qtbot):
    watcher = watch(shared_backend.access, dataclasses.replace(QUICK, prompt="a lake and a meadow " * 40))
    assert ended(qtbot, watcher) == "finished"
    run = history.get(watcher.run.key)
    assert run.state == "fetched"
    assert run.message == ""
    assert re.search(r"its last \d+ tokens are ignored", run.notes)


def test_from_the_request_to_the_file(shared_backend, watch, history, qtbot):
    watcher = watch(shared_backend.access)
    assert ended(qtbot, watcher) == "finished"
    run = history.get(watcher.run.key)
    assert (run.state, run.recipe["seed"], run.recipe["prompt"]) == ("fetched", 7, "a lake")
    dataset = gdal.Open(run.target)
    assert (dataset.RasterXSize, dataset.RasterYSize) == (128, 128)
    assert dataset.GetGeoTransform() == (500000, 1, 0, 5800128, 0, -1)
    percents = [told.percent for told in watcher.told if told.percent is not None]
    assert percents == sorted(percents)
    assert not history.unfinished()


def test_cancel_stops_the_job_there(shared_backend, watch, history, qtbot):
    watcher = watch(shared_backend.access, HOURS)
    running(qtbot, watcher)
    watcher.cancel()
    assert ended(qtbot, watcher) == "dismissed"
    assert status_there(shared_backend.access, watcher) == "dismissed"
    assert history.get(watcher.run.key).state == "dismissed"


def test_cancel_while_the_request_is_on_its_way(shared_backend, watch, qtbot):
    watcher = watch(shared_backend.access, HOURS)
    assert watcher.run.state == "submitting"
    watcher.cancel()
    assert ended(qtbot, watcher) == "dismissed"
    assert status_there(shared_backend.access, watcher) == "dismissed"


def test_closing_loses_nothing(shared_backend, watch, history, qtbot):
    """As QGIS does at exit: the watching ends, the job goes on, the next start fetches the result."""
    first = watch(shared_backend.access, LONGER)
    sent(qtbot, first)
    first.stop()
    qtbot.waitUntil(lambda: status_there(shared_backend.access, first) == "successful", timeout=PATIENCE)
    assert first.ends == []
    (left,) = History(history.path).unfinished()
    second = watch(shared_backend.access, run=left)
    assert ended(qtbot, second) == "finished"
    assert gdal.Open(left.target).RasterXSize == 256


def test_a_request_is_never_made_twice(shared_backend, watch, history, qtbot, tmp_path):
    """QGIS dies after sending and before the answer: the same key finds the same job."""
    run = history.put(Run(shared_backend.url, QUICK.to_json(), str(tmp_path / "a.tif")))
    status = open_client(shared_backend.access).execute("generate", run.inputs, run.key)
    watcher = watch(shared_backend.access, run=history.unfinished()[0])
    assert ended(qtbot, watcher) == "finished"
    assert watcher.run.job == status.job


def test_a_backend_that_dies_and_comes_back(own_backend, watch, qtbot):
    watcher = watch(own_backend.access, LONGER)
    sent(qtbot, watcher)
    own_backend.kill_all()
    qtbot.waitUntil(lambda: "Trying again" in watcher.told[-1].text, timeout=PATIENCE)
    own_backend.start(own_backend.port)
    assert ended(qtbot, watcher) == "finished"
    assert gdal.Open(watcher.run.target).RasterXSize == 256


def test_a_cancel_is_not_forgotten(own_backend, watch, history, qtbot):
    """The backend is away when the user cancels, and QGIS is closed before it is back."""
    watcher = watch(own_backend.access, HOURS)
    running(qtbot, watcher)
    own_backend.kill_all()
    watcher.cancel()
    qtbot.waitUntil(lambda: "Trying again" in watcher.told[-1].text, timeout=PATIENCE)
    watcher.stop()
    own_backend.start(own_backend.port)
    (left,) = history.unfinished()
    assert left.state == "dismissing"
    again = watch(own_backend.access, run=left)
    assert ended(qtbot, again) == "dismissed"
    assert status_there(own_backend.access, again) == "dismissed"


def test_a_refused_request_is_told_and_over(shared_backend, watch, history, qtbot):
    watcher = watch(shared_backend.access, dataclasses.replace(QUICK, gsd=5000.0))
    sentence = ended(qtbot, watcher)
    assert "Allowed" in sentence or "m" in sentence
    run = history.get(watcher.run.key)
    assert (run.state, run.message) == ("failed", sentence)


def test_a_wrong_token_is_no_fate_of_the_job(shared_backend, watch, history, qtbot):
    first = watch(shared_backend.access, HOURS)
    running(qtbot, first)
    first.stop()
    stranger = Access(shared_backend.url, token="x" * 20)
    watcher = watch(stranger, run=history.unfinished()[0])
    with qtbot.waitSignal(watcher.lost, timeout=PATIENCE) as told:  # and is asked again
        pass
    assert "does not accept" in str(told.args[0])
    assert not watcher.ends
    assert watcher.run.open
    watcher.stop()
    again = watch(shared_backend.access, run=history.unfinished()[0])
    again.cancel()
    assert ended(qtbot, again) == "dismissed"


def test_a_job_that_is_gone(shared_backend, watch, history, qtbot):
    run = history.put(Run(shared_backend.url, QUICK.to_json(), "/x/a.tif", state="running", job="0" * 32))
    watcher = watch(shared_backend.access, run=run)
    assert ended(qtbot, watcher) == "The backend no longer has this job."
    assert not history.get(run.key).open


def test_no_place_for_the_file(shared_backend, watch, history, qtbot, tmp_path):
    """The result stays on the backend and is fetched once there is a place."""
    (tmp_path / "file").write_text("")
    watcher = watch(
        shared_backend.access,
        run=Run(shared_backend.url, QUICK.to_json(), str(tmp_path / "file" / "a.tif")),
    )
    assert "cannot be written" in ended(qtbot, watcher)
    (left,) = history.unfinished()
    assert left.state == "successful"
    again = watch(shared_backend.access, run=dataclasses.replace(left, target=str(tmp_path / "b.tif")))
    assert ended(qtbot, again) == "finished"


def test_the_client_knows_our_backend(shared_backend):
    client = open_client(shared_backend.access)
    assert client.healthz()["version"]
    assert [model["id"] for model in client.models() if model["default"]] == ["tiny"]
    assert {process["id"] for process in client.processes()} >= {"generate", "plan", "echo"}
    plan = client.plan("generate", QUICK)
    assert (plan.width, plan.height, plan.seed, plan.level) == (128, 128, 7, 17)
    assert plan.ground == pytest.approx((1.0004, 1.0004), abs=1e-4)
    with pytest.raises(BackendError) as refused:
        client.plan("generate", dataclasses.replace(QUICK, gsd=5000.0))
    assert refused.value.status == 400
    assert refused.value.field.endswith("gsd")
    with pytest.raises(Unreachable):
        open_client(Access("http://127.0.0.1:9")).healthz()
