"""Clients that strangers wrote, against a real backend: OWSLib, ogc-api-processes-client, GDAL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import rasterio
from ogc_api_processes_client.api_client_wrapper import ApiClientWrapper
from ogc_api_processes_client.configuration import Configuration
from owslib.ogcapi import REQUEST_HEADERS
from owslib.ogcapi.processes import Processes

from tests.support.backend.service import Backend, until


@pytest.fixture
def owslib(server: Backend) -> Iterator[Processes]:
    before = dict(REQUEST_HEADERS)
    yield Processes(server.url, headers={"Authorization": f"Bearer {server.token}"})
    REQUEST_HEADERS.clear()  # OWSLib shares its headers between all its clients
    REQUEST_HEADERS.update(before)


@pytest.fixture
def generated(server: Backend) -> Any:
    """The client generated from the standard's OpenAPI document."""
    wrapper = ApiClientWrapper(
        Configuration(host=server.url), "Authorization", f"Bearer {server.token}", modifier=None
    )
    wrapper.api_client.default_headers["Authorization"] = f"Bearer {server.token}"
    return wrapper


def test_owslib_lists_and_describes(owslib: Processes) -> None:
    assert {process["id"] for process in owslib.processes()} >= {"generate", "plan", "echo"}
    assert "prompt" in owslib.process("generate")["inputs"]
    assert any(uri.endswith("/conf/core") for uri in owslib.conformance()["conformsTo"])
    assert owslib.api()["openapi"].startswith("3.0")


def test_owslib_executes(owslib: Processes, scene: dict[str, Any]) -> None:
    assert owslib.execute("echo", {"message": "hi"}) == {"message": "hi", "pause": 0}
    assert owslib.execute("plan", {"process": "generate", "inputs": scene})["plan"]["value"]["width"] == 64
    job = owslib.execute("generate", scene, async_=True)
    assert job["status"] == "accepted"
    assert owslib.response_headers["Location"].endswith(job["jobID"])

    def done() -> bool:
        return bool(owslib._request(path=f"jobs/{job['jobID']}")["status"] == "successful")

    until(done)
    image = owslib._request(path=f"jobs/{job['jobID']}/results")["image"]
    with rasterio.open("/vsicurl/" + image["href"]) as file:
        assert (file.width, file.height, file.count) == (64, 64, 3)
    with pytest.raises(RuntimeError, match="prompt"):
        owslib.execute("generate", {"extent": scene["extent"]}, async_=True)


def test_the_generated_client_understands_every_answer(
    generated: Any, scene: dict[str, Any], server: Backend
) -> None:
    assert len(generated.get_landing_page().links) >= 4
    assert generated.get_conformance_classes().conforms_to
    assert {process.id for process in generated.get_processes().processes} >= {"generate", "plan", "echo"}
    assert generated.get_process_description("generate").inputs["prompt"].min_occurs == 1
    headers = {"Authorization": f"Bearer {server.token}", "Prefer": "respond-async"}
    started = generated.execute_simple(
        "generate",
        {"inputs": scene, "response": "document"},
        _headers={**headers, "Content-Type": "application/json"},
    )
    job = started.job_id
    assert job

    def status() -> bool:
        return bool(generated.get_status(job).status.value == "successful")

    until(status)
    assert job in [one.job_id for one in generated.get_jobs().jobs]
    links = {name: value.actual_instance for name, value in generated.get_result(job).items()}
    assert links["image"].type.startswith("image/tiff")
    assert httpx.get(links["item"].href).json()["type"] == "Feature"
    assert generated.dismiss(job).status.value == "dismissed"


def test_polling_as_told_is_gentle(client: httpx.Client) -> None:
    """A client that follows Retry-After asks a short job a few times only."""
    answer = client.post(
        "/processes/echo/execution", json={"inputs": {"pause": 2}}, headers={"Prefer": "respond-async"}
    )
    asked, began = 0, time.monotonic()
    while "retry-after" in answer.headers:
        time.sleep(int(answer.headers["retry-after"]))
        answer = client.get(f"/jobs/{answer.json()['jobID']}")
        asked += 1
    assert answer.json()["status"] == "successful"
    assert asked <= 1 + time.monotonic() - began, "once a second at most"
