"""Results on the wire: links, ranges, HEAD, checksums, signed URLs, previews, variants."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
import pytest
import rasterio
from PIL import Image
from rio_cogeo import cog_validate

from tests.support.backend.interruption import HOURS, caught, done_of, stopped
from tests.support.backend.service import NO_MODEL, PATIENCE, Backend, finished, status_in, submit, until


@pytest.fixture(scope="module")
def job(client: httpx.Client) -> str:
    """A finished scene of two variants, big enough for ranges."""
    extent = {"bbox": [500000, 5200000, 500128, 5200096], "crs": "EPSG:32632"}
    inputs = {"prompt": "a forest", "extent": extent, "gsd": 1.0, "seed": 3, "variants": 2}
    made = submit(client, "generate", inputs, response="document")
    info = finished(client, made)
    assert info["status"] == "successful", info
    return made


@pytest.fixture(scope="module")
def results(client: httpx.Client, job: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = client.get(f"/jobs/{job}/results").json()
    return found


@pytest.fixture(scope="module")
def whole(client: httpx.Client, job: str) -> bytes:
    return client.get(f"/jobs/{job}/results/image.tif").content


def test_results_are_links(results: dict[str, dict[str, Any]], whole: bytes) -> None:
    assert list(results) == ["image", "item", "recipe", "image_2", "item_2", "recipe_2"]
    image = results["image"]
    assert image["type"] == "image/tiff; application=geotiff; profile=cloud-optimized"
    assert image["length"] == len(whole)
    assert image["sha256"] == hashlib.sha256(whole).hexdigest()
    assert urlsplit(image["href"]).path.endswith("/results/image.tif")
    assert {link["rel"] for link in results.values()} == {"item"}


def test_a_file_is_read_in_ranges(client: httpx.Client, job: str, whole: bytes) -> None:
    path, size = f"/jobs/{job}/results/image.tif", len(whole)
    for wanted, part in (
        ("bytes=0-99", whole[:100]),
        ("bytes=100-199", whole[100:200]),
        ("bytes=-50", whole[-50:]),
        (f"bytes={size - 10}-", whole[-10:]),
        (f"bytes=10-{size * 2}", whole[10:]),
    ):
        answer = client.get(path, headers={"Range": wanted})
        assert answer.status_code == 206
        assert answer.content == part
        assert answer.headers["content-range"].endswith(f"/{size}")
    two = client.get(path, headers={"Range": "bytes=0-9,20-29"})
    assert two.headers["content-type"].startswith("multipart/byteranges")
    beyond = client.get(path, headers={"Range": f"bytes={size}-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{size}"


def test_a_resumed_download_notices_another_file(client: httpx.Client, job: str, whole: bytes) -> None:
    path = f"/jobs/{job}/results/image.tif"
    tag = client.head(path).headers["etag"]
    same = client.get(path, headers={"Range": "bytes=5-", "If-Range": tag})
    other = client.get(path, headers={"Range": "bytes=5-", "If-Range": '"other"'})
    assert (same.status_code, same.content) == (206, whole[5:])
    assert (other.status_code, other.content) == (200, whole)


def test_head_says_what_get_sends(client: httpx.Client, job: str, whole: bytes) -> None:
    head = client.head(f"/jobs/{job}/results/image.tif")
    assert head.status_code == 200
    assert head.content == b""
    assert int(head.headers["content-length"]) == len(whole)
    assert head.headers["accept-ranges"] == "bytes"
    assert head.headers["content-type"].startswith("image/tiff")
    assert head.headers["etag"].strip('"') == hashlib.sha256(whole).hexdigest()
    assert client.head(f"/jobs/{job}/results").status_code == 200
    assert client.head(f"/jobs/{job}/preview").status_code == 200


def test_urls_of_outputs(client: httpx.Client, job: str, whole: bytes) -> None:
    assert client.get(f"/jobs/{job}/results/image").content == whole
    for wrong in ("image.json", "image.tiff", "image_3", "item.tif", "nothing", "%2e%2e%2fpreview.png"):
        answer = client.get(f"/jobs/{job}/results/{wrong}")
        assert answer.status_code == 404, wrong


def test_gdal_reads_a_signed_link_without_headers(results: dict[str, dict[str, Any]], whole: bytes) -> None:
    options = {"CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif", "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}
    with rasterio.Env(**options), rasterio.open("/vsicurl/" + results["image"]["href"]) as there:
        pixels, crs, bounds = there.read(), there.crs, there.bounds
        assert there.tags()["AI_GENERATED"] == "YES"
    with rasterio.open(io.BytesIO(whole)) as here:
        assert np.array_equal(here.read(), pixels)
    assert crs.to_epsg() == 32632
    assert tuple(bounds) == (500000, 5200000, 500128, 5200096)
    with rasterio.MemoryFile(whole) as file:
        valid, errors, _ = cog_validate(file.name)
    assert valid, errors


def test_a_signed_link_opens_one_output_until_it_expires(
    client: httpx.Client, job: str, results: dict[str, dict[str, Any]], whole: bytes
) -> None:
    href = results["image"]["href"]
    query = {name: values[0] for name, values in parse_qs(urlsplit(href).query).items()}
    assert 23 * 3600 < int(query["expires"]) - time.time() < 25 * 3600
    assert httpx.get(href).content == whole
    assert httpx.get(href, headers={"Range": "bytes=0-9"}).content == whole[:10]
    later = query | {"expires": str(int(query["expires"]) + 1)}
    forged = ("y" if query["signature"][0] == "x" else "x") + query["signature"][1:]
    for path, signed in (
        (f"/jobs/{job}/results/image.tif", later),
        (f"/jobs/{job}/results/image.tif", query | {"signature": forged}),
        (f"/jobs/{job}/results/image.tif", query | {"signature": ""}),
        (f"/jobs/{job}/results/item.json", query),
        (f"/jobs/{job}/results", query),
        (f"/jobs/{job}", query),
        (f"/jobs/{job}/preview", query),
        ("/jobs", query),
        ("/processes", query),
    ):
        answer = httpx.get(client.base_url.join(path), params=signed)
        assert answer.status_code == 401, path
    assert httpx.delete(client.base_url.join(f"/jobs/{job}"), params=query).status_code == 401


def test_item_and_recipe_describe_the_image(client: httpx.Client, results: dict[str, dict[str, Any]]) -> None:
    item = client.get(results["item_2"]["href"])
    assert item.headers["content-type"] == "application/geo+json"
    assert item.json()["stac_version"] == "1.1.0"
    address = httpx.URL(results["item_2"]["href"]).join(item.json()["assets"]["image"]["href"])
    assert client.get(address).status_code == 200
    assert address.path.endswith("/results/image_2.tif")
    first, second = (client.get(results[name]["href"]).json() for name in ("recipe", "recipe_2"))
    assert (first["seed"], second["seed"]) == (3, 4)
    assert {**first, "seed": 4} == second


def test_a_variant_is_the_scene_of_its_seed(
    client: httpx.Client, results: dict[str, dict[str, Any]], whole: bytes
) -> None:
    extent = {"bbox": [500000, 5200000, 500128, 5200096], "crs": "EPSG:32632"}
    alone = submit(client, "generate", {"prompt": "a forest", "extent": extent, "gsd": 1.0, "seed": 4})
    assert finished(client, alone)["status"] == "successful"
    pictures = []
    for content in (
        client.get(f"/jobs/{alone}/results/image.tif").content,
        client.get(results["image_2"]["href"]).content,
        whole,
    ):
        with rasterio.open(io.BytesIO(content)) as file:
            pictures.append(file.read())
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_prompts_stay_out_of_files_on_request(client: httpx.Client, scene: dict[str, Any]) -> None:
    secret = "a hidden lake"
    job = submit(client, "generate", scene | {"prompt": secret, "record_prompt": False}, response="document")
    finished(client, job)
    for link in client.get(f"/jobs/{job}/results").json().values():
        assert secret.encode() not in client.get(link["href"]).content


def test_previews_come_while_the_job_runs(client: httpx.Client) -> None:
    job = submit(client, "generate", HOURS)

    def shown() -> dict[str, Any] | None:
        info = client.get(f"/jobs/{job}").json()
        assert info["status"] in ("accepted", "running"), info
        links = [link for link in info["links"] if link["rel"] == "preview"]
        return links[0] if links else None

    link = until(shown)
    left, bottom, right, top = HOURS["extent"]["bbox"]
    assert link["crs"] == "EPSG:32632"
    assert link["bbox"] == [left, bottom, right, top]
    answer = client.get(link["href"])
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert max(picture.size) <= 768
        assert picture.mode == "RGBA"
        assert picture.getextrema()[3][0] == 0, "transparent where nothing is made yet"
        assert picture.size[0] / picture.size[1] == pytest.approx((right - left) / (top - bottom), rel=0.1)
    info = client.get(f"/jobs/{job}").json()
    assert 0 <= info["steps"]["done"] < info["steps"]["total"]
    assert info["windows"] > 1
    client.delete(f"/jobs/{job}")
    assert client.get(f"/jobs/{job}/preview").status_code == 404


def test_the_last_preview_is_the_result(client: httpx.Client, job: str) -> None:
    link = next(link for link in client.get(f"/jobs/{job}").json()["links"] if link["rel"] == "preview")
    content = client.get(f"/jobs/{job}/results/image_2.tif").content
    picture = client.get(link["href"]).content
    with rasterio.open(io.BytesIO(content)) as file, Image.open(io.BytesIO(picture)) as preview:
        assert preview.getextrema()[3] == (255, 255), "all of it is made"
        shown = np.asarray(preview.convert("RGB")).astype(int)
        assert np.abs(shown - file.read().transpose(1, 2, 0)).mean() < 1


def test_links_honour_the_public_url(start: Callable[..., Backend], scene: dict[str, Any]) -> None:
    server = start(*NO_MODEL, public_url="https://maps.example.org/t2e/")
    with server.client(checked=False) as client:
        for host in (None, "maps.example.org"):
            headers = {"Host": host} if host else {}
            page = client.get("/", headers=headers)
            assert page.status_code == 200
            assert all(
                link["href"].startswith("https://maps.example.org/t2e/") for link in page.json()["links"]
            )
        answer = client.post(
            "/processes/echo/execution", json={"inputs": {}}, headers={"Prefer": "respond-async"}
        )
        assert answer.headers["location"].startswith("https://maps.example.org/t2e/jobs/")
        finished(client, answer.json()["jobID"])
        own = {"href": f"{answer.headers['location']}/results/message"}
        echoed = client.post("/processes/echo/execution", json={"inputs": {"message": own}})
        assert echoed.status_code == 200, echoed.text
        assert client.get("/", headers={"Origin": "https://maps.example.org"}).status_code == 200


def test_a_result_can_be_an_input(client: httpx.Client, job: str) -> None:
    # The recipe is no text, and the refusal says so: the link itself was followed.
    link = {"href": f"{client.base_url}/jobs/{job}/results/recipe.json"}
    refusal = client.post("/processes/echo/execution", json={"inputs": {"message": link}})
    assert refusal.status_code == 400
    assert refusal.json()["field"] == "message"


def test_no_result_of_a_removed_job(client: httpx.Client, scene: dict[str, Any], server: Backend) -> None:
    made = submit(client, "generate", scene, response="document")
    finished(client, made)
    links = client.get(f"/jobs/{made}/results").json()
    assert (server.data_dir / "jobs" / made).is_dir()
    client.delete(f"/jobs/{made}")
    assert not (server.data_dir / "jobs" / made).exists()
    for link in links.values():
        assert httpx.get(link["href"]).status_code == 404


def test_a_stranger_program_finds_its_way(server: Backend, scene: dict[str, Any]) -> None:
    """Nothing but the standard library, another process, Basic authentication."""
    script = """
import base64, json, sys, time, urllib.request
url, token, inputs = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
basic = base64.b64encode(("anybody:" + token).encode()).decode()
def ask(path, body=None):
    headers = {"Authorization": "Basic " + basic, "Content-Type": "application/json"}
    return json.load(urllib.request.urlopen(urllib.request.Request(url + path, body, headers)))
job = ask("/processes/generate/execution", json.dumps({"inputs": inputs, "response": "document"}).encode())
while (info := ask("/jobs/" + job["jobID"]))["status"] in ("accepted", "running"):
    time.sleep(0.05)
image = ask(f"/jobs/{job['jobID']}/results")["image"]
print(info["status"], len(urllib.request.urlopen(image["href"]).read()))
"""
    arguments = [sys.executable, "-c", script, server.url, server.token, json.dumps(scene)]
    words = subprocess.run(
        arguments, capture_output=True, text=True, check=True, timeout=PATIENCE
    ).stdout.split()
    assert words[0] == "successful"
    assert int(words[1]) > 1000


def test_waiting_jobs_know_their_place_and_time(client: httpx.Client, server: Backend) -> None:
    first, second, third = (submit(client, "echo", {"pause": 60}) for _ in range(3))
    status_in(client, first, {"running"})
    with stopped(server):
        running, *infos = (client.get(f"/jobs/{job}") for job in (first, second, third))
    assert running.json()["queuePosition"] == 0
    assert 0 < running.json()["eta"] <= 60.2
    assert [answer.json()["queuePosition"] for answer in infos] == [1, 2]
    assert infos[0].json()["eta"] == pytest.approx(running.json()["eta"] + 60, abs=0.5)
    assert infos[1].json()["eta"] == pytest.approx(infos[0].json()["eta"] + 60, abs=0.5)
    assert int(infos[1].headers["retry-after"]) >= 6, "who waits long asks seldom"
    assert client.get("/healthz").json()["queue"] >= 2
    for job in (first, second, third):
        client.delete(f"/jobs/{job}")
    assert "retry-after" not in client.get(f"/jobs/{first}").headers


def test_eta_and_progress_of_a_scene(client: httpx.Client, scene: dict[str, Any], server: Backend) -> None:
    extent = {"bbox": [500000, 5200000, 500128, 5200128], "crs": "EPSG:32632"}
    inputs = scene | {"extent": extent, "steps": 30}
    planned = client.post(
        "/processes/plan/execution", json={"inputs": {"process": "generate", "inputs": inputs}}
    ).json()
    assert planned["seconds"] > 0, "the rate of a model that ran here is known"
    seen = []
    for share in (0.05, 0.6):
        with caught(server, client, inputs, share) as (job, _):
            info = client.get(f"/jobs/{job}").json()
            status, done = done_of(server, job)
        assert (info["status"], info["progress"]) == (status, pytest.approx(100 * done, abs=1))
        assert info["eta"] > 0
        seen.append(info["progress"])
        assert finished(client, job)["status"] == "successful"
    assert seen[0] > 0
    assert 59 <= seen[1] < 100


def test_an_idempotency_key_starts_one_job(client: httpx.Client, scene: dict[str, Any]) -> None:
    inputs = {name: value for name, value in scene.items() if name != "seed"}  # the seed is drawn once

    def post(key: str, **more: Any) -> httpx.Response:
        return client.post(
            "/processes/generate/execution", json={"inputs": inputs | more}, headers={"Idempotency-Key": key}
        )

    first = post("one")
    again = [post("one") for _ in range(3)]
    assert {answer.json()["jobID"] for answer in again} == {first.json()["jobID"]}
    assert {answer.json()["seed"] for answer in again} == {first.json()["seed"]}
    assert {answer.headers["location"] for answer in again} == {first.headers["location"]}
    assert finished(client, first.json()["jobID"])["status"] == "successful"
    assert post("one").json()["status"] == "successful", "also when it is long done"
    assert post("two").json()["jobID"] != first.json()["jobID"]
    conflict = post("one", prompt="another")
    assert conflict.status_code == 409
    assert "key" in conflict.json()["detail"]
    assert post("x" * 300).status_code == 400


def test_resends_at_the_same_moment_start_one_job(server: Backend) -> None:
    """As a client does whose connection broke: the same bytes, twice, on two connections."""

    def post(_: int) -> str:
        with server.client() as client:
            answer = client.post(
                "/processes/echo/execution",
                json={"inputs": {}},
                headers={"Idempotency-Key": "same", "Prefer": "respond-async"},
            )
            assert answer.status_code == 201
            return str(answer.json()["jobID"])

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(post, range(16)))) == 1


def test_answers_do_not_wait_for_acknowledgements(server: Backend) -> None:
    """Without TCP_NODELAY every answer on a kept connection takes 40 ms, however fast the machine is."""
    seconds = []
    with server.client(checked=False) as client:
        for _ in range(50):
            began = time.perf_counter()
            client.get("/conformance")
            seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.035
