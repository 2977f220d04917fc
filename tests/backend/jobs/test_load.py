"""Many clients while processes die and stand still: a small one of the load that ``docs/benchmarks`` has."""

from __future__ import annotations

from pathlib import Path

from tests.support.backend.load import Size, measured


def test_every_job_is_done_once_while_processes_die_and_stand_still(tmp_path: Path) -> None:
    size = Size(jobs=80, clients=16, owners=4, kills=4, stops=2)
    figures = measured(tmp_path, size)
    assert figures["faults"] == []
    assert figures["jobs done"] == 80
    assert (figures["workers killed"], figures["backends killed"], figures["workers stopped"]) == (3, 1, 2)
    assert figures["poll, seconds"]["p95"] < 10, "nobody waits for those who died"
