"""Uploads over real HTTP: whole, in pieces, refused, one's own; and edits that use them."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import rasterio
import rasterio.features
from affine import Affine
from PIL import Image
from starlette.concurrency import run_in_threadpool

from model_backend.api.threads import Threads
from model_backend.errors import NoSuchUpload
from model_backend.jobs.uploads import Uploads
from model_backend.settings import Settings
from tests.support.backend.raster_files import write
from tests.support.backend.service import Backend, execute, finished, submit, until
from tests.support.backend.tiny_models import build_tiny

BOX = {
    "type": "Polygon",
    "coordinates": [[[500030, 5199980], [500050, 5199980], [500050, 5199960], [500030, 5199980]]],
}
MASK = {"geojson": BOX, "crs": "EPSG:32632"}


@pytest.fixture(scope="module")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A backend with a tiny inpainting model."""
    folder = tmp_path_factory.mktemp("painter")
    model = build_tiny(folder / "tiny-inpaint", "inpaint", vae="tiny")
    one = Backend(folder / "data", "--model", str(model), max_jobs=1000, max_upload=10_000_000).start()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def client(painter: Backend) -> Iterator[httpx.Client]:
    with painter.client() as one:
        yield one


@pytest.fixture(scope="module")
def raster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An RGB scene of 1 m with four corners of noise."""
    path = tmp_path_factory.mktemp("rasters") / "scene.tif"
    return write(path, np.random.default_rng(0).integers(0, 255, (3, 100, 120), np.uint8))


def send(client: httpx.Client, path: Path) -> str:
    response = client.post("/uploads", content=path.read_bytes())
    assert response.status_code == 201, response.text
    assert response.headers["location"].endswith(response.json()["id"])
    return str(response.json()["id"])


def test_a_whole_file(client: httpx.Client, raster: Path) -> None:
    upload = send(client, raster)
    state = client.get(f"/uploads/{upload}").json()
    assert state["complete"]
    assert (state["width"], state["height"], state["bands"], state["dtype"]) == (120, 100, 3, "uint8")
    assert client.delete(f"/uploads/{upload}").status_code == 204
    assert client.get(f"/uploads/{upload}").status_code == 404
    assert client.delete(f"/uploads/{upload}").status_code == 204


def test_pieces_and_going_on_after_a_break(client: httpx.Client, raster: Path) -> None:
    content = raster.read_bytes()
    length, half = len(content), len(content) // 2
    begun = client.post("/uploads", headers={"Content-Range": f"bytes */{length}"})
    assert begun.status_code == 201
    upload = begun.json()["id"]

    def put(first: int, last: int) -> httpx.Response:
        headers = {"Content-Range": f"bytes {first}-{last}/{length}"}
        return client.put(f"/uploads/{upload}", content=content[first : last + 1], headers=headers)

    assert put(0, half - 1).json()["received"] == half
    wrong = put(half + 5, length - 1)
    assert wrong.status_code == 409
    assert str(half) in wrong.json()["detail"]
    assert client.get(f"/uploads/{upload}").json() == {
        "id": upload, "length": length, "received": half, "complete": False,
    }  # fmt: skip
    early = execute(client, "edit", {"prompt": "a lake", "source": {"upload": upload}, "mask": MASK})
    assert early.status_code == 400
    assert "not complete" in early.json()["detail"]
    assert put(half, length - 1).json()["complete"]
    assert put(half, length - 1).json()["complete"]  # an answer was lost: asked again


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"Content-Range": "bytes 0-1"}, "Content-Range"),
        ({"Content-Range": "lines */5"}, "Content-Range"),
        ({"Content-Range": "bytes */0"}, "body"),
        ({}, "body"),
    ],
)
def test_ranges_that_mean_nothing(client: httpx.Client, headers: dict[str, str], field: str) -> None:
    answer = client.post("/uploads", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["field"] == field


def test_files_that_are_too_large(client: httpx.Client) -> None:
    assert client.post("/uploads", headers={"Content-Range": "bytes */10000001"}).status_code == 413
    assert client.post("/uploads", content=b"0" * 10_000_001).status_code == 413

    def endless() -> Iterator[bytes]:
        for _ in range(20):
            yield b"0" * 1_000_000

    assert client.post("/uploads", content=endless()).status_code == 413


def test_refused_files_leave_nothing(client: httpx.Client, painter: Backend, tmp_path: Path) -> None:
    left = sorted(painter.data_dir.glob("uploads/*/*"))
    answer = client.post("/uploads", content=b"<VRTDataset/>")
    assert answer.status_code == 400
    assert "GeoTIFF" in answer.json()["detail"]
    assert sorted(painter.data_dir.glob("uploads/*/*")) == left


def test_uploads_are_the_owners_alone(start: Callable[..., Backend], tmp_path: Path, raster: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("a" * 40 + "\n" + "b" * 40 + "\n")
    tokens.chmod(0o600)
    server = start("--token-file", str(tokens))
    with server.client("a" * 40) as mine, server.client("b" * 40) as other:
        upload = send(mine, raster)
        assert mine.get(f"/uploads/{upload}").status_code == 200
        assert other.get(f"/uploads/{upload}").status_code == 404
        assert other.delete(f"/uploads/{upload}").status_code == 204
        assert mine.get(f"/uploads/{upload}").status_code == 200
        refused = execute(other, "edit", {"prompt": "x", "source": {"upload": upload}, "mask": MASK})
        assert refused.status_code == 400
        assert refused.json()["field"] == "source.upload"


def edited(
    client: httpx.Client, raster: Path, inputs: dict[str, Any], folder: Path
) -> tuple[Path, np.ndarray]:
    """Run an edit; return the file and where it differs from the source."""
    job = submit(client, "edit", {"prompt": "a lake", "seed": 3, "feather": 0, **inputs})
    info = finished(client, job)
    assert info["status"] == "successful", info
    path = folder / "edited.tif"
    path.write_bytes(client.get(f"/jobs/{job}/results/image.tif").content)
    with rasterio.open(raster) as before, rasterio.open(path) as after:
        assert before.profile["crs"] == after.profile["crs"]
        return path, (before.read() != after.read()).any(0)


def test_an_edit_end_to_end(client: httpx.Client, raster: Path, tmp_path: Path) -> None:
    source = {"upload": send(client, raster)}
    plan = client.post(
        "/processes/plan/execution",
        json={"inputs": {"process": "edit", "inputs": {"prompt": "a lake", "source": source, "mask": MASK}}},
    )
    assert plan.status_code == 200, plan.text
    assert plan.json()["width"] == 120
    _, changed = edited(client, raster, {"source": source, "mask": MASK}, tmp_path)
    mask = rasterio.features.rasterize([BOX], (100, 120), transform=Affine(1, 0, 500000, 0, -1, 5200000)) > 0
    assert not changed[~mask].any()
    assert changed[mask].mean() > 0.95


def test_every_way_to_name_a_raster(client: httpx.Client, raster: Path, tmp_path: Path) -> None:
    small = write(tmp_path / "small.tif", np.full((3, 40, 40), 90, np.uint8))
    inline = base64.b64encode(small.read_bytes()).decode()
    whole = np.zeros((1, 100, 120), np.uint8)
    whole[0, 10:20, 30:60] = 1
    mask = {"upload": send(client, write(tmp_path / "mask.tif", whole))}
    job = submit(client, "edit", {"prompt": "a", "source": inline, "mask": mask, "seed": 1, "feather": 0})
    assert finished(client, job)["status"] == "successful"
    result = {"href": f"{client.base_url}/jobs/{job}/results/image.tif"}
    again, changed = edited(
        client, raster, {"source": {"upload": send(client, raster)}, "mask": mask}, tmp_path
    )
    assert np.array_equal(changed, whole[0] > 0)
    job = submit(client, "edit", {"prompt": "a", "source": result, "mask": mask, "seed": 2})
    assert finished(client, job)["status"] == "successful"
    qualified = {"value": inline, "mediaType": "image/tiff; application=geotiff", "encoding": "base64"}
    job = submit(client, "edit", {"prompt": "a", "source": qualified, "mask": mask, "seed": 2, "variants": 2})
    assert finished(client, job)["status"] == "successful"
    assert client.get(f"/jobs/{job}/results/image_2.tif").status_code == 200
    for bad in ({"href": "http://example.com/x.tif"}, {"href": f"{result['href']}x"}, "no base64!", 5):
        refused = execute(client, "edit", {"prompt": "a", "source": bad, "mask": mask})
        assert refused.status_code == 400, bad
        assert refused.json()["field"].split(".")[0] == "source"


PLACE = Affine(1, 0, 500000, 0, -1, 5200000)


@pytest.mark.parametrize(
    "transform",
    [PLACE, PLACE @ Affine.rotation(30), Affine(1, 0, 500000, 0, 1, 5200000)],
    ids=["north-up", "rotated", "south-up"],
)
def test_the_preview_says_where_it_lies(client: httpx.Client, tmp_path: Path, transform: Affine) -> None:
    row, col = np.mgrid[:100, :120]
    land = np.stack([row + 60, col + 40, row // 2 + col]).astype(np.uint8)
    painted = np.zeros((1, 100, 120), np.uint8)
    painted[0, 40:60, 30:70] = 1
    source, mask = (
        {"upload": send(client, write(tmp_path / f"{name}.tif", pixels, transform=transform))}
        for name, pixels in (("land", land), ("mask", painted))
    )
    job = submit(client, "edit", {"prompt": "a", "source": source, "mask": mask, "seed": 1, "feather": 0})
    link = next(link for link in finished(client, job)["links"] if link["rel"] == "preview")
    corners = [transform @ corner for corner in ((30, 40), (70, 40), (70, 60), (30, 60))]
    if transform == PLACE:
        assert link["bbox"] == [500030, 5199940, 500070, 5199960]
    else:
        assert np.allclose(link["corners"], corners, rtol=0, atol=1e-6)
    result = client.get(f"/jobs/{job}/results/image.tif").content
    with (
        rasterio.open(io.BytesIO(result)) as file,
        Image.open(io.BytesIO(client.get(link["href"]).content)) as preview,
    ):
        made = file.read()[:, 40:60, 30:70].transpose(1, 2, 0).astype(int)
        assert np.abs(np.asarray(preview) - made).mean() < 1


def test_uploads_that_nobody_uses_go(painter: Backend, client: httpx.Client, raster: Path) -> None:
    used, unused = send(client, raster), send(client, raster)
    for path in painter.data_dir.glob("uploads/*/*"):
        os.utime(path, (1, 1))
    Uploads(Settings(data_dir=painter.data_dir)).sweep(lambda upload: upload == used)
    assert client.get(f"/uploads/{used}").status_code == 200
    assert client.get(f"/uploads/{unused}").status_code == 404


def test_what_came_in_a_request_goes_soon_after_it(tmp_path: Path, raster: Path) -> None:
    uploads = Uploads(Settings(data_dir=tmp_path))
    came = uploads.adopt("me", raster.read_bytes())
    sent = uploads.start("me", raster.stat().st_size).id
    uploads.part("me", sent).write_bytes(raster.read_bytes())
    uploads.finish("me", sent)
    uploads.sweep(lambda _upload: False)
    assert uploads.state("me", came).facts
    past = time.time() - 3600
    for path in (tmp_path / "uploads").glob("*/*"):
        os.utime(path, (past, past))
    uploads.sweep(lambda upload: upload == came)
    assert uploads.state("me", came).facts
    uploads.sweep(lambda _upload: False)
    with pytest.raises(NoSuchUpload):
        uploads.state("me", came)
    assert uploads.state("me", sent).facts


def test_one_recipe_gives_one_file(client: httpx.Client, raster: Path, scene: dict[str, Any]) -> None:
    """To the byte, whenever it is made; when that was, the STAC Item says."""
    upload = send(client, raster)
    edit = {"source": {"upload": upload}, "mask": MASK, "prompt": "a lake", "seed": 5, "steps": 2}
    for process, inputs in (("generate", scene), ("edit", edit)):
        digests, dates = set(), set()
        for _ in range(2):
            job = submit(client, process, inputs, response="document")
            assert finished(client, job)["status"] == "successful"
            results = client.get(f"/jobs/{job}/results").json()
            digests.add((results["image"]["sha256"], results["recipe"]["sha256"]))
            dates.add(client.get(f"/jobs/{job}/results/item.json").json()["id"])
        assert len(digests) == 1, process
        assert len(dates) == 2


def kept(server: Backend) -> list[Path]:
    return [path for path in (server.data_dir / "uploads").rglob("*") if path.is_file()]


def test_what_an_owner_may_keep(start: Callable[..., Backend], raster: Path) -> None:
    """So many uploads, so many bytes: announced ones count, and so does what they unpack to."""
    server = start("--model", "text2earth", owner_uploads=2, owner_upload_bytes=5_000_000)
    with server.client(checked=False) as client:
        promise = client.post("/uploads", headers={"Content-Range": "bytes */4000000"}).json()["id"]
        assert client.post("/uploads", headers={"Content-Range": "bytes */1000001"}).status_code == 507
        upload = send(client, raster)
        refused = client.post("/uploads", content=raster.read_bytes())
        assert (refused.status_code, "DELETE /uploads/ID" in refused.json()["detail"]) == (507, True)
        assert client.delete(f"/uploads/{promise}").status_code == 204
        noise = np.random.default_rng(1).integers(0, 255, 1 << 16, np.uint8)
        rolled = np.stack([np.roll(noise, -512 * row) for row in range(128)])[None]
        small = write(raster.with_name("small.tif"), rolled, compress="ZSTD", blockysize=128)
        assert small.stat().st_size < 1_000_000 < rolled.nbytes - 5_000_000
        unpacked = client.post("/uploads", content=small.read_bytes())
        assert (unpacked.status_code, "may keep" in unpacked.json()["detail"]) == (507, True)
        assert {path.stem for path in kept(server)} == {upload}
        assert client.delete(f"/uploads/{upload}").status_code == 204
        send(client, raster)


def test_requests_leave_no_files_behind(painter: Backend, client: httpx.Client, raster: Path) -> None:
    """A raster sent in a request is kept for the job alone that it makes."""
    before = len(kept(painter))
    inputs = {"source": base64.b64encode(raster.read_bytes()).decode(), "mask": MASK, "prompt": "a lake"}
    planned = client.post("/processes/plan/execution", json={"inputs": {"process": "edit", "inputs": inputs}})
    assert planned.status_code == 200, planned.text
    refused = execute(client, "edit", inputs | {"model": "none"})
    assert refused.status_code in (400, 503)
    far = {"geojson": {"type": "Point", "coordinates": [0, 0]}, "crs": "EPSG:32632"}
    assert execute(client, "edit", inputs | {"mask": far}).status_code == 400
    assert len(kept(painter)) == before


def test_an_upload_removed_while_it_is_looked_at(
    client: httpx.Client, painter: Backend, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(2).integers(0, 255, (3, 1500, 1500), np.uint8)
    content = write(tmp_path / "big.tif", pixels).read_bytes()
    upload = client.post("/uploads", headers={"Content-Range": f"bytes */{len(content)}"}).json()["id"]
    span = {"Content-Range": f"bytes 0-{len(content) - 1}/{len(content)}"}
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(client.put, f"/uploads/{upload}", content=content, headers=span)
        until(lambda: sending.done() or any(path.name == f"{upload}.made" for path in kept(painter)))
        assert client.delete(f"/uploads/{upload}").status_code == 204
        assert sending.result().status_code in (200, 404)
    assert client.get(f"/uploads/{upload}").status_code == 404
    assert not [path for path in kept(painter) if upload in path.name]


def test_checks_leave_threads_for_quick_answers() -> None:
    """However many uploads wait to be looked at, what all endpoints share is free."""

    async def crowd() -> None:
        threads, go = Threads(), threading.Event()
        waiting = [asyncio.ensure_future(threads.check(go.wait, 60)) for _ in range(60)]
        waiting += [asyncio.ensure_future(threads.execute(go.wait, 60)) for _ in range(60)]
        assert await asyncio.wait_for(run_in_threadpool(lambda: "here"), 30) == "here"
        go.set()
        assert all(await asyncio.gather(*waiting))

    asyncio.run(crowd())


def test_hostile_files_hurt_nobody(
    painter: Backend, client: httpx.Client, raster: Path, tmp_path: Path
) -> None:
    source = {"upload": send(client, raster)}
    assert finished(client, submit(client, "edit", {"prompt": "a", "source": source, "mask": MASK}))
    worker, api = painter.worker(), psutil.Process(painter.process.pid)
    huge = tmp_path / "huge.tif"
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "width": 600_000, "height": 600_000}
    with rasterio.open(
        huge, "w", tiled=True, sparse_ok=True, bigtiff="YES", blockxsize=4096, blockysize=4096, **profile
    ):
        pass
    vrt = b"<VRTDataset rasterXSize='20' rasterYSize='20'><VRTRasterBand/></VRTDataset>"
    before = api.memory_info().rss
    for content in (
        huge.read_bytes(),
        vrt,
        raster.read_bytes()[:20_000],
        b"II*\0" + os.urandom(5000),
        b"",
    ) * 2:
        answer = client.post("/uploads", content=content)
        assert answer.status_code == 400, answer.text
    assert api.memory_info().rss - before < 50_000_000
    job = submit(client, "edit", {"prompt": "a", "source": source, "mask": MASK})
    assert finished(client, job)["status"] == "successful"
    assert painter.worker().pid == worker.pid
