"""Two thousand requests made from our own OpenAPI document, right and wrong ones: never a 500.

What the document leaves open is filled in from the process descriptions, so that requests come as far as
plans and jobs. Answers are held against OGC's schemas here, not against the document's references to them.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import ValidationError

from model_backend import processes
from model_backend.api.openapi import document
from tests.support.backend.ogc_schemas import validate
from tests.support.backend.service import Backend, execute, finished, submit

REQUESTS = 2000


def inputs_of(process: str) -> dict[str, Any]:
    """Return the schema of a process's inputs, as its description has them."""
    described = processes.get(process).description()["inputs"]
    schemas = {name: copy.deepcopy(one["schema"]) for name, one in described.items()}
    if process == "echo":
        schemas["pause"]["maximum"] = 0  # a test waits for nobody
    if process == "plan":
        schemas["inputs"] = {"anyOf": [inputs_of(name) for name in ("generate", "edit", "extend")]}
    needed = [name for name, one in described.items() if one["minOccurs"]]
    return {"type": "object", "properties": schemas, "required": needed, "additionalProperties": False}


def filled(base: str, known: dict[str, list[str]]) -> dict[str, Any]:
    """Return the OpenAPI document with real ids and the inputs of each process in it."""
    found = document(base)
    del found["components"]["responses"]
    for path, methods in found["paths"].items():
        for operation in methods.values():
            operation["responses"] = {"default": {"description": "Looked at by the test."}}
            for parameter in operation["parameters"]:
                if ids := known.get(parameter["name"]):
                    parameter["schema"] = {"anyOf": [{"enum": ids}, {"type": "string"}]}
            if path.endswith("/execution"):
                body = operation["requestBody"]["content"]["application/json"]
                body["schema"] = {
                    "type": "object",
                    "properties": {
                        "inputs": inputs_of(path.split("/")[2]),
                        "response": {"enum": ["raw", "document"]},
                        "outputs": {"type": "object"},
                    },
                    "required": ["inputs"],
                }
    return found


@pytest.fixture(scope="module")
def backend(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A backend that takes few jobs: what is made here is not to be waited for."""
    folder = tmp_path_factory.mktemp("fuzz") / "data"
    one = Backend(folder, "--model", str(tiny), max_jobs=4, max_evaluations=2_000).start()
    yield one
    one.stop()


def test_requests_made_from_the_document(backend: Backend) -> None:
    with backend.client() as client:
        job = submit(client, "echo", {"message": "x"})
        finished(client, job)
        known = {"jobID": [job], "output": ["message", "message.json"], "processID": ["echo", "generate"]}
        schema = schemathesis.openapi.from_dict(filled(backend.url, known))
        operations = [result.ok() for result in schema.get_all_operations()]
    statuses: Counter[int] = Counter()
    faults: list[str] = []  # collected, because hypothesis would ask a hundred times more to shorten one
    each = -(-REQUESTS // len(operations))

    for operation in operations:

        @given(case=one_of(operation))
        @settings(
            max_examples=each,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: schemathesis.Case) -> None:
            answer = case.call(base_url=backend.url, headers={"Authorization": f"Bearer {backend.token}"})
            statuses[answer.status_code] += 1
            if fault := fault_of(case, answer):
                faults.append(f"{case.as_curl_command()}\n{answer.status_code} {answer.text[:500]}\n{fault}")

        ask()
    assert not faults, "\n\n".join(faults[:20])
    assert sum(statuses.values()) >= REQUESTS * 0.9
    assert statuses[200] > REQUESTS / 10
    assert statuses[400] > REQUESTS / 10
    with backend.client() as client:  # and it still does its work
        for one in client.get("/jobs", params={"limit": 100}).json()["jobs"]:
            client.delete(f"/jobs/{one['jobID']}")
        assert execute(client, "echo", {"message": "after all"}).status_code in (200, 201)
    assert "Traceback" not in backend.log


def one_of(operation: Any) -> st.SearchStrategy[Any]:
    """Return requests of an operation as the document has them, and such as it does not."""
    modes = schemathesis.GenerationMode
    right = operation.as_strategy(generation_mode=modes.POSITIVE)
    wrong = operation.as_strategy(generation_mode=modes.NEGATIVE)
    return st.one_of(right, right, wrong)


def fault_of(case: Any, answer: Any) -> str | None:
    """Return what is wrong with an answer."""
    if answer.status_code >= 500 and answer.status_code != 503:
        return "a failure of the backend"
    if case.method.upper() == "HEAD" or answer.status_code == 204:
        return None
    try:
        if answer.status_code >= 400:
            assert answer.headers["content-type"][0] == "application/problem+json"
            problem = answer.json()
            validate("exception", problem)
            assert problem["status"] == answer.status_code
            assert problem["detail"].endswith(".") or answer.status_code == 503, "no sentence"
        elif answer.status_code == 201 and case.path.endswith("/execution"):
            validate("statusInfo", answer.json())
    except (AssertionError, KeyError, ValueError, ValidationError) as error:
        return f"{type(error).__name__}: {error}"
    return None
