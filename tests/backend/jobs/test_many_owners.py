"""Many owners with many jobs, and one with a single job: a small one of what ``docs/benchmarks`` has."""

from __future__ import annotations

from pathlib import Path

from tests.support.backend.many_owners import Size, measured


def test_a_single_job_waits_for_one_of_each_other_owner(tmp_path: Path) -> None:
    figures = measured(tmp_path, Size(owners=6, jobs=25, workers=2, late=3))
    assert figures["faults"] == []
    assert figures["jobs done"] == 150
    # Two workers that choose at one moment note their times in any order.
    assert max(figures["most jobs of one other owner before a single one"]) <= 2
