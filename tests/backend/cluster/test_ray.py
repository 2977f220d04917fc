"""Workers on a Ray cluster whose nodes its autoscaler starts and ends: whoever dies, the bytes are the same.

The cluster lives in a network of its own; ``tests.support.backend.ray_campaign`` kills as many as one likes.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from launcher import ROOT
from model_backend.jobs.remote.ray_crew import devices_of
from model_backend.settings import Settings
from tests.support.backend import alone

VICTIMS = ["head"]  # and with it nodes and actors


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of a campaign."""
    if not alone.is_possible():
        pytest.skip("this user may have no network of their own")
    folder = tmp_path_factory.mktemp("ray")
    found: dict[str, Any] = alone.outcome(
        "tests.support.backend.ray_campaign", folder, "--victims", ",".join(VICTIMS)
    )
    return found


@pytest.mark.slow
def test_a_cluster_that_begins_without_a_node_gets_two_and_makes_a_scene(seen: dict[str, Any]) -> None:
    look = seen["from nothing"]
    assert look["same"]
    assert look["once"]
    assert look["nodes"] == 2
    makers = look["makers"]
    changes = sum(a != b for a, b in zip(makers, makers[1:], strict=False))
    assert changes <= 3, f"runs are handed out, not single blocks: {makers}"


@pytest.mark.slow
def test_a_worker_that_is_not_needed_leaves_and_none_that_computes(seen: dict[str, Any]) -> None:
    looks = seen["shrunk"]
    assert looks, "there were two"
    assert all(look["same"] and look["once"] and not look["crashes"] for look in looks), looks


@pytest.mark.slow
def test_the_death_of_the_head_with_its_nodes_costs_no_block(seen: dict[str, Any]) -> None:
    killed = seen["killed"]
    assert killed["victims"] == VICTIMS
    assert all(job["same"] and job["once"] for job in killed["jobs"]), killed


@pytest.mark.slow
def test_workers_and_nodes_go_when_there_is_nothing_to_do_and_come_back_for_a_job(
    seen: dict[str, Any],
) -> None:
    rest = seen["rest"]
    assert [worker["device"] for worker in rest["workers"]] == ["none"], "who left is not counted any more"
    assert rest["ready"] == {"status": "ready"}, "a job would be made"
    assert rest["same"]
    assert rest["once"]
    assert rest["nodes"] == 1, "a scene of one block needs no more, whatever is allowed"


@pytest.mark.slow
def test_the_pace_of_one_worker_and_of_two_is_measured(tmp_path: Path) -> None:
    if not alone.is_possible():
        pytest.skip("this user may have no network of their own")
    seen = alone.outcome("tests.support.backend.ray_pace", tmp_path, "--rounds", "1", "--rows", "5")
    assert seen["two against one"] > 0
    for (measured,) in seen["rounds"].values():
        parts = measured["processor seconds"]
        assert parts["workers"] > parts["backend"] > 0, "workers compute, the backend looks after them"
        assert set(parts) >= {"Ray", "actors", "who asks", "who hires", "worker at home"}


def test_ray_needs_its_extra_and_says_so(tmp_path: Path) -> None:
    without = (
        "import sys; sys.modules['ray'] = None; from model_backend.__main__ import main; sys.exit(main())"
    )
    flags = ["serve", "--port", "0", "--ray", "auto", "--data-dir", str(tmp_path)]
    command = [sys.executable, "-c", without, *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 1
    assert "need the extra `cluster`" in done.stderr


def test_what_an_actor_takes_is_said_as_ray_spells_it(tmp_path: Path) -> None:
    assert devices_of({"num_gpus": 2, "num_cpus": 8}) == ["cuda:0", "cuda:1"]
    assert devices_of({"num_gpus": 0.5}) == ["cuda"]
    assert devices_of({"num_cpus": 4}) == ["cpu"]
    with pytest.raises(ValueError, match="num_gpus"):
        Settings(data_dir=tmp_path, ray="auto", ray_resources={"gpus": 1})
    assert Settings(data_dir=tmp_path, ray="auto").devices == ["none"], "workers elsewhere make everything"
    assert Settings(data_dir=tmp_path, ray="auto", device="cpu,cpu").devices == ["cpu", "cpu"]
