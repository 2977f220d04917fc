"""OGC API - Processes 1.0 (18-062r2): one test per requirement of the classes that /conformance declares.

Each test carries the identifier of its requirement; the client validates every answer against the official
schemas besides.
"""

from __future__ import annotations

import base64
import email
import re
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio

from tests.support.backend.interruption import stopped
from tests.support.backend.ogc_schemas import validate
from tests.support.backend.service import Backend, execute, finished, status_in, submit

pytestmark = pytest.mark.fast

SPEC = "http://www.opengis.net/spec/ogcapi-processes-1/1.0"
REL = "http://www.opengis.net/def/rel/ogc/1.0"
EXCEPTION = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0"
NOBODY = "00000000-0000-4000-8000-000000000000"
TESTED: set[str] = set()


def requirement(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Name the requirements that a test covers."""
    TESTED.update(names)
    return pytest.mark.parametrize("requirement_id", [" ".join(names)])


def links(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {link["rel"]: link for link in document["links"]}


def echo(client: httpx.Client, inputs: dict[str, Any] | None = None, **more: Any) -> httpx.Response:
    headers = more.pop("headers", {})
    return client.post("/processes/echo/execution", json={"inputs": inputs or {}, **more}, headers=headers)


@pytest.fixture(scope="module")
def done(client: httpx.Client) -> str:
    """A successful echo job whose results were asked for as a document."""
    job = submit(client, "echo", {"message": "hi"}, response="document")
    assert finished(client, job)["status"] == "successful"
    return job


# ---- landing page, API definition, conformance --------------------------------------------------------


@requirement("/req/core/landingpage-op", "/req/core/landingpage-success")
def test_landing_page(client: httpx.Client, requirement_id: str) -> None:
    page = client.get("/")
    assert page.status_code == 200
    validate("landingPage", page.json())
    found = links(page.json())
    assert {"service-desc", f"{REL}/conformance", f"{REL}/processes", f"{REL}/job-list"} <= set(found)
    for link in found.values():
        assert client.get(link["href"]).status_code == 200, link


@requirement("/req/core/api-definition-op", "/req/core/api-definition-success")
def test_api_definition(client: httpx.Client, requirement_id: str) -> None:
    link = links(client.get("/").json())["service-desc"]
    assert link["type"] == "application/vnd.oai.openapi+json;version=3.0"
    answer = client.get(link["href"])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == link["type"]
    document = answer.json()
    assert document["openapi"].startswith("3.0.")
    operations = [op for path in document["paths"].values() for op in path.values()]
    assert len({op["operationId"] for op in operations}) == len(operations)
    for path, methods in document["paths"].items():
        for operation in methods.values():
            named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path))
            assert all(
                answer.get("description") or "$ref" in answer for answer in operation["responses"].values()
            )


@requirement("/req/core/conformance-op", "/req/core/conformance-success")
def test_conformance_declaration(client: httpx.Client, requirement_id: str) -> None:
    answer = client.get("/conformance")
    assert answer.status_code == 200
    validate("confClasses", answer.json())
    classes = {"core", "ogc-process-description", "json", "job-list", "dismiss"}
    assert set(answer.json()["conformsTo"]) == {f"{SPEC}/conf/{name}" for name in classes}


@requirement("/req/core/http")
def test_http(client: httpx.Client, requirement_id: str) -> None:
    for path in (
        "/",
        "/conformance",
        "/api",
        "/processes",
        "/processes/echo",
        "/jobs",
        "/healthz",
        "/models",
    ):
        get, head = client.get(path), client.head(path)
        assert (get.status_code, get.http_version) == (200, "HTTP/1.1")
        assert head.status_code == 200
        assert head.content == b""
        assert head.headers["content-type"] == get.headers["content-type"]
    assert client.put("/processes").status_code == 405
    assert "GET" in client.put("/processes").headers["allow"]
    assert client.get("/nothing").status_code == 404


# ---- processes ----------------------------------------------------------------------------------------


@requirement("/req/core/process-list", "/req/core/process-list-success")
def test_process_list(client: httpx.Client, requirement_id: str) -> None:
    answer = client.get("/processes")
    assert answer.status_code == 200
    validate("processList", answer.json())
    assert {process["id"] for process in answer.json()["processes"]} >= {"generate", "plan", "echo"}


@requirement("/req/core/pl-limit-definition", "/req/core/pl-limit-response", "/req/core/pl-links")
def test_process_list_limit(client: httpx.Client, requirement_id: str) -> None:
    every = [process["id"] for process in client.get("/processes").json()["processes"]]
    seen, url = [], "/processes?limit=1"
    while url:
        page = client.get(url).json()
        assert len(page["processes"]) == 1
        seen += [process["id"] for process in page["processes"]]
        assert client.get(links(page)["self"]["href"]).json() == page
        url = links(page).get("next", {}).get("href")
    assert seen == every
    assert client.get("/processes?limit=10000").status_code == 200
    for wrong in ("0", "-1", "many", "1.5", "", "9" * 40):
        refusal = client.get("/processes", params={"limit": wrong})
        assert refusal.status_code == 400
        assert refusal.json()["field"] == "limit"


@requirement("/req/core/process", "/req/core/process-success")
def test_process_description(client: httpx.Client, requirement_id: str) -> None:
    for summary in client.get("/processes").json()["processes"]:
        answer = client.get(links(summary)["self"]["href"])
        assert answer.status_code == 200
        validate("process", answer.json())
        assert answer.json()["id"] == summary["id"]
        assert links(answer.json())[f"{REL}/execute"]["href"].endswith(f"/{summary['id']}/execution")


@requirement("/req/core/process-exception-no-such-process")
def test_no_such_process(client: httpx.Client, requirement_id: str) -> None:
    for answer in (client.get("/processes/none"), client.post("/processes/none/execution", json={})):
        assert answer.status_code == 404
        assert answer.json()["type"] == f"{EXCEPTION}/no-such-process"


@requirement("/req/ogc-process-description/json-encoding", "/req/json/definition")
def test_descriptions_say_what_they_need(client: httpx.Client, requirement_id: str) -> None:
    for process in client.get("/processes").json()["processes"]:
        description = client.get(f"/processes/{process['id']}").json()
        assert description["version"]
        assert set(description["jobControlOptions"]) <= {"sync-execute", "async-execute", "dismiss"}
        for name, value in description["inputs"].items():
            assert value["schema"], name
            assert value["minOccurs"] in (0, 1)
        for name, value in description["outputs"].items():
            assert value["schema"], name
            assert value["title"], name


# ---- execution ----------------------------------------------------------------------------------------


@requirement("/req/core/process-execute-op", "/req/core/process-execute-request")
def test_execute_request(client: httpx.Client, requirement_id: str) -> None:
    body: dict[str, Any] = {"inputs": {"message": "hi"}, "response": "document"}
    validate("execute", body)
    assert client.post("/processes/echo/execution", json=body).status_code == 200
    for wrong in ([], "x", {"inputs": []}, {"response": "both"}, {"outputs": {"none": {}}}, {"outputs": []}):
        assert client.post("/processes/echo/execution", json=wrong).status_code == 400, wrong


@requirement("/req/core/process-execute-inputs")
def test_inputs_by_value_and_by_reference(client: httpx.Client, done: str, requirement_id: str) -> None:
    def message(value: object) -> object:
        answer = echo(client, {"message": value}, response="document")
        assert answer.status_code == 200, answer.text
        return answer.json()["message"]

    assert message("hi") == "hi"
    assert message({"href": "data:,a%20lake"}) == "a lake"
    assert (
        message({"href": "data:application/json;base64,ImEgbGFrZSI=", "type": "application/json"}) == "a lake"
    )
    assert message({"href": f"{client.base_url}/jobs/{done}/results/message"}) == "hi"
    for elsewhere in ("http://127.0.0.1:1/x", "file:///etc/passwd", "https://example.com/x", "data:nothing"):
        refusal = echo(client, {"message": {"href": elsewhere}})
        assert refusal.status_code == 400
        assert refusal.json()["field"] == "message.href"


@requirement("/req/core/process-execute-input-array")
def test_array_inputs(client: httpx.Client, scene: dict[str, Any], requirement_id: str) -> None:
    # No input of ours takes several values; an array where one value belongs is refused by name.
    refusal = echo(client, {"message": ["a", "b"]})
    assert refusal.status_code == 400
    assert refusal.json()["field"] == "message"


@requirement("/req/core/process-execute-input-inline-object", "/req/core/process-execute-input-mixed-type")
def test_objects_are_taken_qualified_and_plain(
    client: httpx.Client, scene: dict[str, Any], requirement_id: str
) -> None:
    align = {"crs": "EPSG:32632", "pixel_size": ["1", "1"], "anchor": [0.5, 0.25]}
    grids = set()
    for value in (align, {"value": align}, {"value": align, "mediaType": "application/json"}):
        inputs = {"process": "generate", "inputs": {"value": scene | {"align": value}}}
        answer = client.post("/processes/plan/execution", json={"inputs": inputs})
        assert answer.status_code == 200, answer.text
        grids.add(str(answer.json()["transform"]))
    assert len(grids) == 1


@requirement("/req/core/process-execute-input-inline-bbox")
def test_bounding_boxes(client: httpx.Client, scene: dict[str, Any], requirement_id: str) -> None:
    crs84 = {"bbox": [9.0, 46.95, 9.001, 46.951], "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}
    for extent in (crs84, {"bbox": crs84["bbox"]}, {"value": crs84}):
        inputs = {"process": "generate", "inputs": scene | {"extent": extent}}
        answer = client.post("/processes/plan/execution", json={"inputs": inputs})
        assert answer.status_code == 200, answer.text
        assert answer.json()["crs"] == "EPSG:32632"


@requirement("/req/core/process-execute-input-inline-binary")
def test_binary_inputs_come_in_base64(client: httpx.Client, requirement_id: str) -> None:
    source, mask = (
        tiff(np.full((bands, 64, 64), 120, np.uint8), rasterio.Affine(1, 0, 500000, 0, -1, 5200064))
        for bands in (3, 1)
    )

    def plan(source: object) -> httpx.Response:
        edit = {"prompt": "a lake", "source": source, "mask": mask}
        inputs = {"process": "edit", "inputs": edit}
        return client.post("/processes/plan/execution", json={"inputs": inputs})

    for value in (source, {"value": source, "encoding": "base64", "mediaType": "image/tiff"}):
        assert plan(value).json()["width"] == 64
    for wrong in ("?", source[: len(source) // 2], "aGVsbG8="):
        refusal = plan(wrong)
        assert refusal.status_code == 400
        assert refusal.json()["field"].endswith("source")


def tiff(pixels: Any, transform: rasterio.Affine) -> str:
    size = {"count": pixels.shape[0], "height": pixels.shape[1], "width": pixels.shape[2]}
    with rasterio.MemoryFile() as memory:
        with memory.open(
            driver="GTiff", dtype="uint8", crs="EPSG:32632", transform=transform, **size
        ) as file:
            file.write(pixels)
        return base64.b64encode(memory.read()).decode()


@requirement("/req/core/process-execute-input-validation")
def test_inputs_are_validated(client: httpx.Client, requirement_id: str) -> None:
    for inputs, field in (({"pause": -1}, "pause"), ({"pause": "1"}, "pause"), ({"other": 1}, "other")):
        refusal = echo(client, inputs)
        assert refusal.status_code == 400
        assert refusal.json()["field"] == field
        assert refusal.json()["allowed"]


@requirement("/req/core/process-execute-default-execution-mode")
def test_default_execution_mode(client: httpx.Client, scene: dict[str, Any], requirement_id: str) -> None:
    assert echo(client).status_code == 200, "both modes: synchronous"
    answer = client.post("/processes/generate/execution", json={"inputs": scene})
    assert answer.status_code == 201, "asynchronous only"
    client.delete(f"/jobs/{answer.json()['jobID']}")


@requirement("/req/core/process-execute-auto-execution-mode")
def test_auto_execution_mode(client: httpx.Client, scene: dict[str, Any], requirement_id: str) -> None:
    answer = echo(client, headers={"Prefer": "handling=lenient, Respond-Async"})
    assert answer.status_code == 201
    assert answer.headers["preference-applied"] == "respond-async"
    assert echo(client, headers={"Prefer": "respond-sync"}).status_code == 200
    answer = execute(client, "generate", scene)
    assert answer.status_code == 201
    client.delete(f"/jobs/{answer.json()['jobID']}")


@requirement("/req/core/process-execute-default-outputs")
def test_default_outputs(client: httpx.Client, requirement_id: str) -> None:
    assert echo(client, {"message": "hi"}, response="document").json() == {"message": "hi", "pause": 0}
    some = echo(client, {"message": "hi"}, response="document", outputs={"pause": {}})
    assert some.json() == {"pause": 0}


@requirement("/req/core/process-execute-sync-raw-value-one")
def test_raw_value(client: httpx.Client, requirement_id: str) -> None:
    answer = echo(client, {"message": "é"}, outputs={"message": {"transmissionMode": "value"}})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.content.decode() == "é"
    assert echo(client, {"pause": 0}, outputs={"pause": {}}).json() == 0


def parts(answer: httpx.Response) -> dict[str, bytes]:
    assert answer.status_code == 200
    kind = answer.headers["content-type"]
    assert kind.startswith("multipart/related")
    message = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + answer.content)
    return {part["Content-ID"].strip("<>"): part.get_payload(decode=True) for part in message.get_payload()}


@requirement("/req/core/process-execute-sync-raw-value-multi")
def test_raw_values(client: httpx.Client, requirement_id: str) -> None:
    assert parts(echo(client, {"message": "hi"})) == {"message": b"hi", "pause": b"0"}


@requirement("/req/core/process-execute-sync-raw-ref", "/req/core/process-execute-sync-raw-mixed-multi")
def test_what_is_sent_by_value_only_is_not_promised_by_reference(
    client: httpx.Client, requirement_id: str
) -> None:
    # Processes that answer at once offer outputTransmission "value" alone, so no answer of theirs has links.
    assert client.get("/processes/echo").json()["outputTransmission"] == ["value"]
    refusal = echo(client, outputs={"message": {"transmissionMode": "reference"}})
    assert refusal.status_code == 400
    assert refusal.json()["field"] == "outputs.message.transmissionMode"


@requirement("/req/core/process-execute-sync-document")
def test_document(client: httpx.Client, scene: dict[str, Any], requirement_id: str) -> None:
    answer = echo(client, {"message": "hi"}, response="document")
    assert answer.headers["content-type"] == "application/json"
    validate("results", answer.json())
    inputs = {"process": "generate", "inputs": scene}
    plan = client.post("/processes/plan/execution", json={"inputs": inputs, "response": "document"})
    validate("results", plan.json())
    assert plan.json()["plan"]["value"]["width"] == 64


@requirement("/req/core/process-execute-success-async")
def test_async_success(client: httpx.Client, requirement_id: str) -> None:
    answer = execute(client, "echo", {"message": "hi"})
    assert answer.status_code == 201
    validate("statusInfo", answer.json())
    assert answer.json()["status"] == "accepted"
    assert answer.headers["location"] == f"{client.base_url}/jobs/{answer.json()['jobID']}"
    assert client.get(answer.headers["location"]).status_code == 200


# ---- jobs ---------------------------------------------------------------------------------------------


@requirement("/req/core/job", "/req/core/job-success")
def test_job(client: httpx.Client, done: str, requirement_id: str) -> None:
    answer = client.get(f"/jobs/{done}")
    assert answer.status_code == 200
    validate("statusInfo", answer.json())
    info = answer.json()
    assert (info["jobID"], info["type"], info["status"], info["progress"]) == (
        done,
        "process",
        "successful",
        100,
    )
    assert info["created"] <= info["started"] <= info["finished"] <= info["updated"]
    assert links(info)[f"{REL}/results"]["href"].endswith(f"/jobs/{done}/results")


@requirement("/req/core/job-exception-no-such-job", "/req/core/job-results-exception/no-such-job")
def test_no_such_job(client: httpx.Client, requirement_id: str) -> None:
    for path in (NOBODY, f"{NOBODY}/results", f"{NOBODY}/results/image", f"{NOBODY}/preview", "x"):
        answer = client.get(f"/jobs/{path}")
        assert answer.status_code == 404
        assert answer.json()["type"] == f"{EXCEPTION}/no-such-job"
    assert client.delete(f"/jobs/{NOBODY}").json()["type"] == f"{EXCEPTION}/no-such-job"


@requirement("/req/core/job-results", "/req/core/job-results-async-document")
def test_job_results_document(client: httpx.Client, done: str, requirement_id: str) -> None:
    answer = client.get(f"/jobs/{done}/results")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    validate("results", answer.json())
    assert answer.json() == {"message": "hi", "pause": 0}


@requirement("/req/core/job-results-async-raw-value-one", "/req/core/job-results-async-raw-value-multi")
def test_job_results_raw_values(client: httpx.Client, requirement_id: str) -> None:
    one = submit(client, "echo", {"message": "hi"}, outputs={"message": {}})
    two = submit(client, "echo", {"message": "hi"})
    finished(client, one), finished(client, two)
    assert client.get(f"/jobs/{one}/results").text == "hi"
    assert parts(client.get(f"/jobs/{two}/results")) == {"message": b"hi", "pause": b"0"}


@requirement("/req/core/job-results-async-raw-ref", "/req/core/job-results-async-raw-mixed-multi")
def test_job_results_raw_references(client: httpx.Client, scene: dict[str, Any], requirement_id: str) -> None:
    job = submit(client, "generate", scene, outputs={"image": {"transmissionMode": "reference"}, "item": {}})
    assert finished(client, job)["status"] == "successful"
    answer = client.get(f"/jobs/{job}/results")
    assert answer.status_code == 204
    assert answer.content == b""
    found = re.findall(r'<([^>]+)>; rel="item"; type="([^"]+)"; title="(\w+)"', answer.headers["link"])
    assert [title for _, _, title in found] == ["image", "item"]
    for href, media, _ in found:
        target = client.get(href)
        assert (target.status_code, target.headers["content-type"]) == (200, media)


@requirement("/req/core/job-results-exception/results-not-ready")
def test_results_not_ready(client: httpx.Client, requirement_id: str) -> None:
    job = submit(client, "echo", {"pause": 30})
    for path in ("results", "results/message"):
        answer = client.get(f"/jobs/{job}/{path}")
        assert answer.status_code == 404
        assert answer.json()["type"] == f"{EXCEPTION}/result-not-ready"
    client.delete(f"/jobs/{job}")


@requirement("/req/core/job-results-failed")
def test_results_of_a_failed_job(client: httpx.Client, scene: dict[str, Any], requirement_id: str) -> None:
    # An asynchronous plan finds out in the worker that its inputs are wrong.
    wrong = scene | {"extent": {"bbox": [1, 1, 0, 0], "crs": "EPSG:32632"}}
    job = submit(client, "plan", {"process": "generate", "inputs": wrong})
    info = finished(client, job)
    assert info["status"] == "failed"
    assert "extent" in info["message"]
    answer = client.get(f"/jobs/{job}/results")
    assert answer.status_code == 500
    assert answer.json()["detail"] == info["message"]


# ---- job list -----------------------------------------------------------------------------------------


def listed(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    answer = client.get("/jobs", params={"limit": 1000, **query})
    assert answer.status_code == 200, answer.text
    jobs: list[dict[str, Any]] = answer.json()["jobs"]
    return jobs


@requirement(
    "/req/job-list/job-list-op", "/req/job-list/job-list-success", "/req/job-list/processID-mandatory"
)
def test_job_list(client: httpx.Client, done: str, requirement_id: str) -> None:
    answer = client.get("/jobs?limit=1000")
    assert answer.status_code == 200
    validate("jobList", answer.json())
    jobs = answer.json()["jobs"]
    assert done in [job["jobID"] for job in jobs]
    assert all(job["processID"] for job in jobs)


@requirement("/req/job-list/limit-definition", "/req/job-list/limit-response", "/req/job-list/links")
def test_job_list_limit(client: httpx.Client, requirement_id: str) -> None:
    for _ in range(3):
        finished(client, submit(client, "echo", {}))
    every = [job["jobID"] for job in listed(client)]
    assert len(client.get("/jobs").json()["jobs"]) <= 10
    seen, url = [], "/jobs?limit=2"
    while url:
        page = client.get(url).json()
        assert 1 <= len(page["jobs"]) <= 2
        seen += [job["jobID"] for job in page["jobs"]]
        assert client.get(links(page)["self"]["href"]).json()["jobs"] == page["jobs"]
        url = links(page).get("next", {}).get("href")
    assert seen == every
    for wrong in ("0", "-1", "x"):
        assert client.get("/jobs", params={"limit": wrong}).status_code == 400


@requirement("/req/job-list/type-definition", "/req/job-list/type-response")
def test_job_list_type(client: httpx.Client, done: str, requirement_id: str) -> None:
    assert done in [job["jobID"] for job in listed(client, type="process")]
    assert listed(client, type="wps") == []


@requirement("/req/job-list/processID-definition", "/req/job-list/processID-response")
def test_job_list_process(client: httpx.Client, done: str, requirement_id: str) -> None:
    assert {job["processID"] for job in listed(client, processID="echo")} == {"echo"}
    assert {job["processID"] for job in listed(client, processID="echo,plan")} >= {"echo"}
    assert {job["processID"] for job in listed(client, processID=["plan", "echo"])} >= {"echo"}
    assert listed(client, processID="none") == []


@requirement("/req/job-list/status-definition", "/req/job-list/status-response")
def test_job_list_status(client: httpx.Client, done: str, requirement_id: str) -> None:
    dismissed = submit(client, "echo", {"pause": 30})
    client.delete(f"/jobs/{dismissed}")
    assert {job["status"] for job in listed(client, status="successful")} == {"successful"}
    both = {job["jobID"] for job in listed(client, status="successful,dismissed")}
    assert {done, dismissed} <= both
    refusal = client.get("/jobs", params={"status": "lost"})
    assert refusal.status_code == 400
    assert "successful" in refusal.json()["allowed"]


@requirement("/req/job-list/datetime-definition", "/req/job-list/datetime-response")
def test_job_list_datetime(client: httpx.Client, done: str, requirement_id: str) -> None:
    created = client.get(f"/jobs/{done}").json()["created"]

    def ids(when: str) -> set[str]:
        return {job["jobID"] for job in listed(client, datetime=when)}

    for when in (
        f"{created}/..",
        f"../{created[:-1]}9Z",
        f"{created}/2999-01-01T00:00:00Z",
        created[:19] + "Z",
    ):
        assert done in ids(when), when
    for when in ("2999-01-01T00:00:00Z/..", "../1970-01-01T00:00:00Z", "2000-01-01T00:00:00Z"):
        assert ids(when) == set(), when
    for wrong in ("yesterday", "a/b/c", "99999-01-01", "", ","):
        assert client.get("/jobs", params={"datetime": wrong}).json()["field"] == "datetime"


@requirement("/req/job-list/duration-definition", "/req/job-list/duration-response")
def test_job_list_duration(client: httpx.Client, done: str, requirement_id: str) -> None:
    slow = submit(client, "echo", {"pause": 3})
    finished(client, slow)

    def ids(**query: int) -> set[str]:
        return {job["jobID"] for job in listed(client, **query)}

    assert slow in ids(minDuration=3)
    assert done not in ids(minDuration=3)
    assert slow in ids(minDuration=3, maxDuration=3600)
    assert slow not in ids(maxDuration=0)
    running = submit(client, "echo", {"pause": 60})
    status_in(client, running, {"running"})
    assert running in ids(minDuration=0)
    client.delete(f"/jobs/{running}")
    assert client.get("/jobs?minDuration=-1").status_code == 400


# ---- dismiss ------------------------------------------------------------------------------------------


@requirement("/req/dismiss/job-dismiss-op", "/req/dismiss/job-dismiss-success")
def test_dismiss(client: httpx.Client, server: Backend, requirement_id: str) -> None:
    job = submit(client, "echo", {"pause": 60})
    status_in(client, job, {"running"})
    with stopped(server):  # nobody waits for the worker
        for _ in range(2):
            answer = client.delete(f"/jobs/{job}")
            assert answer.status_code == 200
            validate("statusInfo", answer.json())
            assert answer.json()["status"] == "dismissed"
    assert client.get(f"/jobs/{job}").json()["status"] == "dismissed"
    assert client.get(f"/jobs/{job}/results").status_code == 404


@requirement("/rec/dismiss/job-dismiss-removed")
def test_dismissing_a_finished_job_removes_it(client: httpx.Client, requirement_id: str) -> None:
    job = submit(client, "echo", {})
    finished(client, job)
    for _ in range(2):
        answer = client.delete(f"/jobs/{job}")
        assert (answer.status_code, answer.json()["status"]) == (200, "dismissed")
        assert client.get(f"/jobs/{job}").status_code == 404
        assert job not in [other["jobID"] for other in listed(client)]


def test_all_of_core_job_list_and_dismiss_is_covered() -> None:
    """Hold the tests against the list of requirements of the standard."""
    core = """
        landingpage-op landingpage-success api-definition-op api-definition-success conformance-op
        conformance-success http process-list process-list-success pl-limit-definition pl-limit-response
        pl-links process process-success process-exception-no-such-process
        process-execute-op process-execute-request
        process-execute-inputs process-execute-input-array process-execute-input-inline-object
        process-execute-input-mixed-type process-execute-input-inline-bbox process-execute-input-validation
        process-execute-input-inline-binary
        process-execute-default-execution-mode process-execute-auto-execution-mode
        process-execute-default-outputs process-execute-sync-raw-value-one
        process-execute-sync-raw-value-multi process-execute-sync-raw-ref
        process-execute-sync-raw-mixed-multi process-execute-sync-document process-execute-success-async
        job job-success job-exception-no-such-job job-results job-results-async-document
        job-results-async-raw-value-one job-results-async-raw-value-multi job-results-async-raw-ref
        job-results-async-raw-mixed-multi job-results-exception/no-such-job
        job-results-exception/results-not-ready job-results-failed
    """
    jobs = """
        job-list-op job-list-success processID-mandatory limit-definition limit-response links type-definition
        type-response processID-definition processID-response status-definition status-response
        datetime-definition datetime-response duration-definition duration-response
    """
    wanted = {f"/req/core/{name}" for name in core.split()} | {
        f"/req/job-list/{name}" for name in jobs.split()
    }
    wanted |= {"/req/dismiss/job-dismiss-op", "/req/dismiss/job-dismiss-success"}
    assert wanted <= TESTED
