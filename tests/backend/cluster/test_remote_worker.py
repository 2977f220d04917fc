"""Workers on other computers, over HTTP: the same bytes as at home, whoever dies, and nobody else gets in."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
import rasterio
from PIL import Image

from launcher import ROOT
from model_backend import __version__
from model_backend.errors import Cancelled
from model_backend.jobs.desk import POLL
from model_backend.jobs.preview import THUMBNAIL, laid_over
from model_backend.jobs.remote.connection import VERSION, Connection, Refused
from model_backend.jobs.remote.desk import RemoteDesk
from model_backend.jobs.remote.messages import claim_of, hold_of, of_claim, of_hold
from model_backend.jobs.store.job_store import JobStore
from model_backend.jobs.store.rows import Result
from model_backend.settings import Settings
from tests.support.backend.headless_backend import RESULTS, SCENE, SMALL
from tests.support.backend.raster_files import polygon, rich_scene
from tests.support.backend.service import NO_MODEL, Backend, finished, submit, until, upload
from tests.support.backend.submissions import submission
from tests.support.backend.tiny_models import build_tiny, tiny_card

ONE_BLOCK = {"bbox": [500_000, 5_200_000, 500_300, 5_200_300], "crs": "EPSG:32632"}
# Whoever joins blocks found that the file of one is not there.
MISSED = "SELECT 1 FROM block WHERE job = ? AND number = 0 AND crashes > 0"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="workers elsewhere run Linux")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    card = tiny_card("inpaint", engine=SMALL)
    return build_tiny(tmp_path_factory.mktemp("models") / "small", "inpaint", vae="tiny", card=card)


@pytest.fixture
def hire(tmp_path: Path) -> Iterator[Callable[[Backend], subprocess.Popen[bytes]]]:
    """Start a worker, with a folder of its own, for a backend."""
    hired: list[subprocess.Popen[bytes]] = []

    def start(server: Backend) -> subprocess.Popen[bytes]:
        token = server.data_dir / "worker-token"
        flags = ["--server", server.url, "--token-file", str(token), "--devices", "cpu", "--threads", "1"]
        command = [sys.executable, "-m", "model_backend", "worker", *flags]
        folder = tmp_path / f"elsewhere-{len(hired)}"
        with (tmp_path / "worker.log").open("a") as log:
            hired.append(subprocess.Popen([*command, "--data-dir", str(folder)], cwd=ROOT, stderr=log))
        return hired[-1]

    yield start
    for one in hired:
        one.terminate()
    for one in hired:
        assert one.wait(60) in (0, -signal.SIGKILL)


def pixels(client: httpx.Client, job: str) -> np.ndarray:
    status = finished(client, job)
    assert status["status"] == "successful", status
    with rasterio.open(io.BytesIO(client.get(f"/jobs/{job}/results/image.tif").content)) as file:
        return file.read()


@pytest.mark.slow
def test_a_scene_and_an_edit_are_made_at_home_by_both_and_elsewhere(
    model: Path, tmp_path: Path, hire: Callable[[Backend], subprocess.Popen[bytes]]
) -> None:
    """The worker elsewhere has no model and no raster at first, and waits while the backend is renewed."""
    flags, settings = ("--model", str(model)), {"threads": 1, "lease_seconds": 1, "max_attempts": 9}
    server = Backend(tmp_path / "data", *flags, "--devices", "cpu", **settings).start()
    store = JobStore.open(server.data_dir)
    raster = rich_scene(tmp_path / "raster.tif", "uint8", 3, "utm", None)
    area, crs = polygon(raster, [(10, 10), (80, 12), (50, 60)])
    edit = {"prompt": "a forest", "seed": 3, "steps": 2, "mask": {"geojson": area, "crs": crs}}
    with server.client() as client:
        edit["source"] = upload(client, raster)
        home = pixels(client, submit(client, "generate", SCENE)), pixels(client, submit(client, "edit", edit))
        hire(server)
        until(lambda: len(client.get("/healthz").json()["workers"]) == 2)
        for _ in range(6):  # one may have made all of it before the other one is there
            job = submit(client, "generate", SCENE)
            np.testing.assert_array_equal(pixels(client, job), home[0])
            rows = store.database.rows("SELECT worker FROM block WHERE job = ? AND part IS NOT NULL", (job,))
            if len({row["worker"].startswith("cpu-") for row in rows}) == 2:
                break
        assert len({row["worker"] for row in rows}) == 2, "both were at one scene"
    server.stop()

    server = Backend(tmp_path / "data", *flags, "--devices", "none", **settings).start(server.port)
    with server.client() as client:
        scene = submit(client, "generate", SCENE)
        np.testing.assert_array_equal(pixels(client, scene), home[0])
        np.testing.assert_array_equal(pixels(client, submit(client, "edit", edit)), home[1])
        kept = (path.name for path in (server.data_dir / "jobs" / scene).rglob("*") if path.is_file())
        assert sorted(kept) == RESULTS, "as at home, nothing more"
        at_home, elsewhere = (one["device"] for one in client.get("/healthz").json()["workers"])
        assert (at_home, elsewhere.endswith("-cpu")) == ("none", True)
    store.close()
    server.stop()


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A backend whose pixels are all made elsewhere, and nobody is there."""
    folder = tmp_path_factory.mktemp("closed") / "data"
    server = Backend(folder, *NO_MODEL, "--devices", "none").start()
    yield server
    server.stop()


def token(server: Backend) -> str:
    return (server.data_dir / "worker-token").read_text().strip()


def test_tokens_of_owners_and_of_workers_open_their_own_doors(closed: Backend) -> None:
    as_worker = {"Authorization": f"Bearer {token(closed)}", VERSION: __version__}
    as_owner = {"Authorization": f"Bearer {closed.token}", VERSION: __version__}
    call = f"{closed.url}/workers/calls/order"
    assert httpx.post(call, json={}, headers=as_worker).status_code == 200
    assert httpx.post(call, json={}, headers=as_owner).status_code == 401
    assert httpx.post(call, json={}).status_code == 401
    assert httpx.get(f"{closed.url}/jobs", headers=as_worker).status_code == 401
    assert httpx.put(f"{closed.url}/workers/files/a/0-1/0/x", headers=as_owner).status_code == 401
    other = httpx.post(call, json={}, headers=as_worker | {VERSION: "0.0"})
    assert (other.status_code, __version__ in other.json()["detail"]) == (409, True)
    assert oct((closed.data_dir / "worker-token").stat().st_mode)[-3:] == "600"
    assert token(closed) not in httpx.post(call, json={}, headers=as_worker).text


def test_the_command_says_what_is_wrong(closed: Backend, tmp_path: Path) -> None:
    wrong = tmp_path / "token"
    wrong.write_text("no such token at all\n")

    def said(*flags: str) -> str:
        command = [sys.executable, "-m", "model_backend", "worker", *flags]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
        assert done.returncode == 1
        return done.stderr

    assert "token of this backend's workers" in said("--server", closed.url, "--token-file", str(wrong))
    assert "begins with http" in said("--server", "gpu-server", "--token-file", str(wrong))
    assert "No such file" in said("--server", closed.url, "--token-file", str(tmp_path / "none"))


def test_values_are_answered_where_nothing_is_computed(closed: Backend) -> None:
    with closed.client() as client:
        assert finished(client, submit(client, "echo", {"message": "x"}))["status"] == "successful"


def test_only_who_holds_a_block_hands_in_files_of_it(model: Path, tmp_path: Path) -> None:
    server = Backend(tmp_path / "data", "--model", str(model), "--devices", "none").start()
    settings = Settings(data_dir=server.data_dir, model=str(model))
    store = JobStore.open(server.data_dir)
    job = store.queue.submit(submission(settings, "generate", SCENE), max_jobs=9, free=10**12).id
    connection = Connection(server.url, token(server))
    claim = claim_of(connection.call("take", worker="w", last=None, excluded=[]))
    assert (claim.job, claim.number, claim.part) == (job, 0, 0)
    assert claim_of(of_claim(claim)) == claim
    assert hold_of(of_hold(claim)) == claim or of_hold(hold_of(of_hold(claim))) == of_hold(claim)
    folder = server.data_dir / "jobs" / job / "0-1"
    made = tmp_path / "block.tif"
    made.write_bytes(b"pixels")
    connection.send(f"/files/{job}/0-1/0/block.tif", made)
    assert (folder / "block.tif").read_bytes() == b"pixels"
    for name in ("..%2f..%2fjobs.sqlite", ".hidden"):
        with pytest.raises(Refused):
            connection.send(f"/files/{job}/0-1/0/{name}", made)
    for path in (
        f"/files/{job}/0-2/0/block.tif",
        f"/files/{job}/1-1/0/block.tif",
        "/files/x/0-1/0/a",
        "/files/x/y/z/a",
    ):
        with pytest.raises(Cancelled):
            connection.send(path, made)
    again = connection.call("take", worker="v", last=of_hold(claim), excluded=[f"{job}/0"])
    assert again is None, "the variant is left to others"
    connection.call("release", worker="w", crashed=False, fault=None)
    with pytest.raises(Cancelled):
        connection.call("progress", claim=of_hold(claim), done=1, total=2, rate=None)
    with pytest.raises(Refused, match="cannot ask"):
        connection.call("database")
    with pytest.raises(Refused, match="no such file"):
        connection.fetch("/models/tiny/../token", tmp_path / "stolen", "")
    connection.close()
    store.close()
    server.stop()


def test_who_joins_blocks_at_home_is_woken_when_one_is_handed_in(closed: Backend) -> None:
    """Who just went to sleep looks by itself after ``POLL``."""
    at_home = psutil.Process(closed.worker().pid)
    settings = Settings(data_dir=closed.data_dir, model="open-land")
    store, connection = JobStore.open(closed.data_dir), Connection(closed.url, token(closed))
    waited = []
    for seed in range(4):
        scene = submission(settings, "generate", SCENE | {"seed": seed, "extent": ONE_BLOCK})
        job = store.queue.submit(scene, max_jobs=9, free=10**12).id
        held = of_hold(claim_of(connection.call("take", worker="w", last=None, excluded=[])))
        connection.call("record_block", claim=held, file="0-1/block.tif", sha256="", approximate=False)
        until(lambda: at_home.cpu_percent(0.2) < 5)
        began = time.monotonic()
        connection.call("finish", claim=held, results=[], notes=[])
        until(lambda job=job: store.database.rows(MISSED, (job,)))  # type: ignore[misc]
        waited.append(time.monotonic() - began)
        store.queue.dismiss("ada", job)
    assert min(waited) < POLL / 4
    connection.close()
    store.close()


def test_previews_are_sent_as_seldom_as_the_backend_wants(closed: Backend, tmp_path: Path) -> None:
    settings = Settings(data_dir=closed.data_dir, model="open-land")
    store = JobStore.open(closed.data_dir)
    job = store.queue.submit(submission(settings, "generate", SCENE), max_jobs=9, free=10**12).id
    own = Settings(data_dir=tmp_path, lease_seconds=60)
    desk = RemoteDesk.of({"url": closed.url, "token": token(closed)}, own, "w")
    for name in range(9):
        desk.connection.call("ignores_cancel", worker=f"other-{name}")
    here, there = desk.files.preview(job), closed.data_dir / "jobs" / job / "preview.png"

    def paint(grey: int) -> None:
        here.write_bytes(b"")  # of another time, however fast this is
        Image.new("RGBA", (4, 4), (grey, grey, grey, 255)).save(here, "PNG")

    def seen() -> int:
        with Image.open(there) as picture:
            return int(picture.getpixel((0, 0))[0])

    first = desk.claims.take("w", 60, 3)
    assert first is not None
    folder = desk.files.attempt(first)
    assert desk.preview_pause == 5, "before the backend said anything"
    paint(10)
    desk.claims.progress(first, 1, 1, None, 60)
    assert (seen(), desk.preview_pause >= 18) == (10, True), "the first one at once; ten share two seconds"
    paint(20)
    for name in (THUMBNAIL, "block.tif"):
        (folder / name).write_bytes(b"x")
    desk.claims.finish(first, [])
    desk.tidy(first)
    assert seen() == 10, "too soon"
    assert [path.name for path in folder.iterdir()] == [THUMBNAIL], "what later previews show it by"
    second = desk.claims.take("w", 60, 3, first)
    assert second is not None
    desk.files.attempt(second)
    paint(30)
    desk.claims.finish(second, [Result("image", "Image", "image/tiff", value=1)])
    assert seen() == 30, "the last one, which shows the result"
    store.queue.dismiss("ada", job)
    desk.connection.close()
    store.close()


def test_a_preview_is_laid_over_what_others_know(tmp_path: Path) -> None:
    known, made = np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)
    known[:2], made[1:, :, 0], made[1:, :, 3] = (10, 10, 10, 255), 20, 200
    for name, picture in (("known", known), ("made", made)):
        Image.fromarray(picture).save(tmp_path / name, "PNG")
    laid_over(tmp_path / "known", tmp_path / "made")
    with Image.open(tmp_path / "made") as file:
        seen = np.asarray(file)
    assert (seen[:2] == (10, 10, 10, 255)).all(), "what is made stays"
    assert (seen[2:] == (20, 0, 0, 200)).all()
