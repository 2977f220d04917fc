"""How many workers a cluster has room for, and where they reach the backend."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_backend.jobs.remote.ray_fleet import is_cut_off, reachable_url, room
from model_backend.settings import Settings


def node(alive: bool = True, **resources: float) -> dict[str, object]:
    return {"Alive": alive, "Resources": resources}


def test_room_is_counted_node_by_node() -> None:
    nodes = [node(CPU=3, GPU=1), node(CPU=3), node(False, CPU=64), node(CPU=1, special=4)]
    assert room(nodes, {"num_cpus": 2}) == 2, "what two nodes have left over holds nobody"
    assert room(nodes, {"num_cpus": 1, "num_gpus": 0.5}) == 2
    assert room(nodes, {"num_cpus": 1, "resources": {"special": 1}}) == 1
    assert room([node(CPU=0)], {"num_gpus": 1}) == 0
    assert room([], {"num_cpus": 1}) == 0


@pytest.mark.parametrize(
    ("how", "url"),
    [
        ({"host": "127.0.0.1"}, "http://127.0.0.1:9000"),
        ({"host": "0.0.0.0"}, "http://10.1.2.3:9000"),
        ({"host": "gpu-head"}, "http://gpu-head:9000"),
        ({"host": "::1"}, "http://[::1]:9000"),
        ({"public_url": "https://earth.example/t2e"}, "https://earth.example/t2e"),
    ],
)
def test_workers_are_told_an_address_that_they_reach(tmp_path: Path, how: dict[str, str], url: str) -> None:
    assert reachable_url(Settings(data_dir=tmp_path, port=9000, **how), "10.1.2.3") == url


def test_a_backend_that_other_computers_cannot_reach_is_told() -> None:
    here, there = ({"Alive": True, "NodeManagerAddress": address} for address in ("10.1.2.3", "10.1.2.4"))
    assert is_cut_off("http://127.0.0.1:8765", [here, there], "10.1.2.3")
    assert not is_cut_off("http://127.0.0.1:8765", [here, there | {"Alive": False}], "10.1.2.3")
    assert not is_cut_off("http://10.1.2.3:8765", [here, there], "10.1.2.3")
