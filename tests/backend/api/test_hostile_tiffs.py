"""More than three hundred kinds of hostile TIFFs: refused with a sentence, or taken and planned with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rasterio

from model_backend import processes
from model_backend.errors import BackendError
from model_backend.settings import Settings
from tests.support.backend.hostile_tiffs import hostile_tiffs, plain
from tests.support.backend.planning import plan_context
from tests.support.backend.service import Backend, execute

MOST = 50_000_000  # bytes, unpacked
# Checks all files in one child with the limits of the one that checks each: Python begins once only.
BATCH = """
import json, resource, sys, time
from pathlib import Path
from model_backend.raster.files.upload_check import Refused, limit_this_process, rewrite
limit_this_process(1 << 30)
folder = Path(sys.argv[1])
for path in sorted(folder.glob("*.tif")):
    begun = time.process_time()
    try:
        answer = rewrite(path, folder / "out" / path.name, int(sys.argv[2]))
    except Refused as error:
        answer = str(error)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps([path.name, answer, peak, time.process_time() - begun]), flush=True)
"""
POLYGON = [[[500010, 5199990], [500040, 5199990], [500040, 5199960], [500010, 5199990]]]
MASK = {"geojson": {"type": "Polygon", "coordinates": POLYGON}, "crs": "EPSG:32632"}


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    """What became of every kind: the rewritten file, and its facts or the sentence of a refusal."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "out").mkdir()
    names = {}
    for number, (name, content) in enumerate(hostile_tiffs()):
        names[f"{number:03}.tif"] = name
        (folder / f"{number:03}.tif").write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", BATCH, str(folder), str(MOST)], capture_output=True, text=True, timeout=600
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    last = list(names.values())[min(len(answers), len(names) - 1)]
    assert done.returncode == 0, f"died at {last!r}: {done.stderr[-500:]}"
    assert len(answers) == len(names) > 300
    assert {name: seconds for name, _, _, seconds in answers if seconds > 5} == {}  # of processor time
    assert answers[-1][2] < answers[0][2] + 300_000  # kilobytes
    return {names[file]: (folder / "out" / file, answer) for file, answer, _, _ in answers}


def test_each_is_refused_or_becomes_one_of_ours(checked: dict[str, tuple[Path, Any]]) -> None:
    refused = {name: answer for name, (_, answer) in checked.items() if isinstance(answer, str)}
    assert 100 < len(refused) < len(checked) - 50
    assert all(answer.endswith(".") for answer in refused.values())
    for name, (target, answer) in checked.items():
        assert target.exists() == (name not in refused), name
        if name not in refused:
            with rasterio.open(target) as file:
                assert (file.width, file.height, file.count) == (
                    answer["width"],
                    answer["height"],
                    answer["bands"],
                ), name


def test_what_is_taken_is_planned_with_or_refused(
    checked: dict[str, tuple[Path, Any]], inpaint_folder: Path
) -> None:
    limits = Settings(model=str(inpaint_folder), data_dir=inpaint_folder)
    inputs = {"prompt": "a lake", "source": {"upload": "0" * 32}}
    edit, extend = processes.get("edit"), processes.get("extend")
    extent = {"bbox": [500000, 5199900, 500128, 5200000], "crs": "EPSG:32632"}
    planned, faults = 0, {}
    for name, (target, answer) in checked.items():
        if isinstance(answer, str):
            continue
        context = plan_context(limits, rasters={"source": target})
        for process, more in ((edit, {"mask": MASK}), (extend, {"extent": extent})):
            try:
                process.workload(process.parse(inputs | more), context)
            except BackendError as error:
                if not str(error).endswith("."):
                    faults[f"{name}, {process.id}"] = str(error)
            except Exception as error:  # noqa: BLE001 - what would be a 500
                faults[f"{name}, {process.id}"] = repr(error)
            else:
                planned += 1
    assert not faults
    assert planned > 50


@pytest.fixture(scope="module")
def painter(inpaint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A backend with a tiny inpainting model."""
    folder = tmp_path_factory.mktemp("painter") / "data"
    one = Backend(folder, "--model", str(inpaint_folder), max_raster=MOST).start()
    yield one
    one.stop()


def test_some_of_each_over_http(painter: Backend) -> None:
    """Every check is a process of its own, so that only one in thirty goes all the way."""
    with painter.client() as client:
        for name, content in [*list(hostile_tiffs())[::30], ("honest", plain().bytes())]:
            answer = client.post("/uploads", content=content)
            assert answer.status_code in (201, 400, 413), name
            if answer.status_code == 201:
                inputs = {"prompt": "a lake", "source": {"upload": answer.json()["id"]}, "mask": MASK}
                plan = execute(client, "plan", {"process": "edit", "inputs": inputs})
                assert plan.status_code in (200, 201, 400, 413), name
            else:
                assert name != "honest"
    assert "Traceback" not in painter.log
