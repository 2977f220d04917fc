"""A process is one object: one that is not ours is described, refused, run and fetched like the others."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import rasterio

from tests.support.backend.raster_files import write
from tests.support.backend.service import NO_MODEL, Backend, execute, finished, submit

pytestmark = pytest.mark.fast


class ToyBackend(Backend):
    """A backend that offers the toy process too."""

    program = "tests.support.backend.toy_process"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    server = ToyBackend(tmp_path_factory.mktemp("toy") / "data", *NO_MODEL).start()
    with server.client() as one:
        yield one
    server.stop()


def test_it_is_listed_and_described(client: httpx.Client) -> None:
    listed = [process["id"] for process in client.get("/processes").json()["processes"]]
    assert listed == ["generate", "edit", "extend", "plan", "read", "echo", "split"]
    described = client.get("/processes/split").json()
    assert described["inputs"]["parts"]["schema"]["maximum"] == 9
    assert "/processes/split/execution" in client.get("/api").json()["paths"]


def test_it_runs_to_the_end_in_blocks_of_its_own(client: httpx.Client, tmp_path: Path) -> None:
    pixels = np.arange(3 * 64 * 64, dtype=np.uint16).reshape(3, 64, 64)
    path = write(tmp_path / "raster.tif", pixels)
    raster = {"value": base64.b64encode(path.read_bytes()).decode(), "encoding": "base64"}
    job = submit(client, "split", {"raster": raster, "parts": 3}, response="document")
    assert finished(client, job)["status"] == "successful"
    links = client.get(f"/jobs/{job}/results").json()
    assert list(links) == ["part_0", "part_1", "part_2"]
    parts = [client.get(link["href"]).content for link in links.values()]
    whole = bytearray(sum(map(len, parts)))
    for number, part in enumerate(parts):
        whole[number::3] = part
    (tmp_path / "again.tif").write_bytes(whole)
    with rasterio.open(tmp_path / "again.tif") as file:
        assert (file.read() == pixels).all()


def test_it_refuses_in_its_own_words(client: httpx.Client) -> None:
    raster = {"upload": "0" * 32}
    for inputs, field in (
        ({}, "raster"),
        ({"raster": raster}, "raster.upload"),
        ({"raster": {"value": "no base64"}}, "raster"),
        ({"raster": raster, "parts": 10}, "parts"),
        ({"raster": raster, "prompt": "a lake"}, "prompt"),
    ):
        answer = execute(client, "split", inputs)
        assert (answer.status_code, answer.json()["field"]) == (400, field)
