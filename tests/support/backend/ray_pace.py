"""Blocks per second by one worker on a Ray cluster and by two, in turns: what came of it as JSON, last line.

    python -m tests.support.backend.ray_pace FOLDER [--rounds 3]

In a network of its own (``alone``), on a computer that does nothing else and has a core for each worker. The
scene is long, so that what its two runs of blocks both compute where they meet counts little.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
from collections import defaultdict
from pathlib import Path

import httpx

from tests.support.backend.headless_backend import SCENE, SMALL
from tests.support.backend.ray_cluster import RayCluster, cache
from tests.support.backend.service import Backend, finished, submit
from tests.support.backend.tiny_models import build_tiny, tiny_card

TALL = {"bbox": [500_000, 5_200_000, 500_520, 5_213_200], "crs": "EPSG:32632"}
LONG = SCENE | {"steps": 8, "extent": TALL}
RESOURCES = json.dumps({"num_cpus": 1})


def pace(data_dir: Path, job: str) -> float:
    """Return blocks per second while all workers were at work: from the last first to the first last one."""
    with sqlite3.connect(data_dir / "jobs.sqlite") as rows:
        made = rows.execute("SELECT worker, at FROM made WHERE job = ? ORDER BY at", (job,))
        times: dict[str, list[float]] = defaultdict(list)
        for worker, at in made:
            times[worker].append(at)
    begin, end = max(one[0] for one in times.values()), min(one[-1] for one in times.values())
    return sum(begin < at <= end for one in times.values() for at in one) / (end - begin)


def by_workers(count: int, folder: Path, model: Path, cluster: RayCluster) -> float:
    """Return the pace of so many workers at one scene."""
    settings = {"threads": 1, "ray": cluster.address, "ray_workers": count, "ray_resources": RESOURCES}
    variables = {key: text for key, text in os.environ.items() if key.startswith(("RAY_", "XDG_"))}
    one = Backend(folder, "--model", str(model), variables=variables, **settings).start()
    with sqlite3.connect(folder / "jobs.sqlite", timeout=60) as rows:
        rows.executescript(
            """
            CREATE TABLE made (job TEXT, worker TEXT, at REAL);
            CREATE TRIGGER pace AFTER UPDATE OF status ON block
            WHEN new.status = 'successful' AND new.part IS NOT NULL
            BEGIN INSERT INTO made VALUES (new.job, new.worker, (julianday('now') - 2440587.5) * 86400); END;
            """
        )
    with one.client() as client:
        _all(client, [SCENE | {"seed": seed} for seed in range(2 * count)])  # models are loaded
        (job,) = _all(client, [LONG])
    one.stop()
    return round(pace(folder, job), 3)


def _all(client: httpx.Client, scenes: list[dict[str, object]]) -> list[str]:
    """Have scenes made."""
    jobs = [submit(client, "generate", scene) for scene in scenes]
    for job in jobs:
        assert finished(client, job, 600)["status"] == "successful"
    return jobs


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    model = build_tiny(given.folder / "models" / "small", vae="tiny", card=tiny_card(engine=SMALL))
    os.environ |= cache(given.folder / "cache")
    cluster = RayCluster(given.folder)
    seen: dict[int, list[float]] = {1: [], 2: []}
    try:
        for number in range(given.rounds):
            for count, rates in seen.items():
                rates.append(by_workers(count, given.folder / f"{number}-{count}", model, cluster))
                print(count, rates[-1], flush=True)
    finally:
        cluster.close()
    ratio = statistics.median(seen[2]) / statistics.median(seen[1])
    print(json.dumps({"blocks per second": seen, "two against one": round(ratio, 2)}))


if __name__ == "__main__":
    main()
