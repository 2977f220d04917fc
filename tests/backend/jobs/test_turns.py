"""Whose job is next: owners share the time by what their jobs cost, within what an administrator allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from model_backend.errors import Cancelled, Draining, InvalidInput, NoSuchJob
from model_backend.jobs.store import line
from model_backend.jobs.store.job_store import JobStore
from model_backend.jobs.store.rows import Claim, Filter, Job, RequestedOutputs, Submission
from model_backend.processes.base import Workload
from model_backend.settings import Settings
from tests.support.backend.headless_backend import SCENE
from tests.support.backend.submissions import submission

pytestmark = pytest.mark.fast


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobStore]:
    monkeypatch.setattr(line, "SECONDS", 0.0)  # every look counts anew
    one = JobStore.open(tmp_path)
    yield one
    one.close()


def put(store: JobStore, owner: str, seconds: int) -> Job:
    work = Workload((seconds,), unit_seconds=1.0)
    return store.queue.submit(
        Submission(owner, "echo", "d", {}, RequestedOutputs(), work), max_jobs=1000, free=0
    )


def take(store: JobStore, worker: str = "w") -> Claim | None:
    return store.claims.take(worker, 30.0, 3)


def served(store: JobStore, jobs: list[Job]) -> list[Job]:
    """The jobs in the order in which one worker makes them; places that are told of the last must say so."""
    known, order = {job.id: job for job in jobs}, []
    while known:
        if len(known) < 20:
            told = min(known.values(), key=lambda job: store.queue.position(job)[0])
        claim = take(store)
        assert claim is not None
        assert len(known) >= 20 or told.id == claim.job
        order.append(known.pop(claim.job))
        store.claims.finish(claim, [])
    return order


def seconds_of(order: list[Job], costs: dict[str, int]) -> Counter[str]:
    spent: Counter[str] = Counter()
    for job in order:
        spent[job.owner] += costs[job.owner]
    return spent


def test_owners_get_the_same_time_whatever_their_jobs_cost(store: JobStore) -> None:
    costs = {"ada": 1, "bob": 5, "cyd": 20}
    jobs = [put(store, owner, cost) for owner, cost in costs.items() for _ in range(100 // cost)]
    order = served(store, jobs)
    for part in (0.3, 0.6, 0.9):  # at any time while all have jobs
        spent = seconds_of(order[: int(part * len(order))], costs)
        assert max(spent.values()) - min(spent.values()) <= max(costs.values())


def test_an_owner_of_double_priority_gets_double_the_time(store: JobStore) -> None:
    store.administration.set_owner("ada", 2.0, None)
    costs = {"ada": 5, "bob": 5, "cyd": 5}
    order = served(store, [put(store, owner, 5) for owner in costs for _ in range(40)])
    spent = seconds_of(order[:60], costs)
    assert abs(spent["ada"] - 2 * spent["bob"]) <= 10
    assert abs(spent["bob"] - spent["cyd"]) <= 5


def test_a_single_job_waits_for_one_of_each_other_owner_at_most(store: JobStore) -> None:
    others = [put(store, f"owner{number % 7}", 1 + number % 3) for number in range(70)]
    for _ in range(25):
        claim = take(store)
        assert claim is not None
        store.claims.finish(claim, [])
    single = put(store, "late", 100)
    waiting = [job for job in others if store.queue.position(job)[0] > 0]
    before = served(store, [single, *waiting])
    before = before[: before.index(single)]
    assert len(before) == len({job.owner for job in before}) <= 7


def test_nobody_saves_time_up(store: JobStore) -> None:
    """Who was away is not owed what the others used meanwhile, and who was alone does not owe it."""
    served(store, [put(store, "ada", 100) for _ in range(10)])
    order = served(store, [put(store, owner, 10) for owner in ("bob", "ada") for _ in range(10)])
    assert {job.owner for job in order[:2]} == {"bob", "ada"} or order[11].owner == "ada"
    spent = seconds_of(order[:15], {"ada": 10, "bob": 10})
    assert spent["bob"] - spent["ada"] <= 100 + 10, "one job that was begun, and no more"


def test_an_owner_runs_as_many_jobs_as_allowed(store: JobStore) -> None:
    for owner in ("ada", "ada", "ada", "bob", "bob", "bob"):
        put(store, owner, 10)
    store.administration.limit_running(1)
    store.administration.set_owner("bob", None, 2)
    claims = [take(store, f"w{number}") for number in range(4)]
    assert claims[3] is None
    owners = Counter(store.queue.owner(claim.job) for claim in claims if claim)
    assert owners == {"ada": 1, "bob": 2}
    store.administration.set_owner("bob", None, 0)  # as everybody
    store.administration.limit_running(None)
    assert [take(store, f"v{number}") is not None for number in range(4)] == [True, True, True, False]


def test_paused_and_draining(store: JobStore) -> None:
    two = store.queue.submit(
        Submission("ada", "echo", "d", {}, RequestedOutputs(), Workload((1, 1))), max_jobs=9, free=0
    )
    first = take(store)
    assert first is not None
    put(store, "bob", 1)
    store.administration.set_mode("paused")
    assert take(store) is None
    put(store, "bob", 1)
    store.claims.finish(first, [])

    store.administration.set_mode("draining")
    with pytest.raises(Draining, match="no new jobs"):
        put(store, "bob", 1)
    rest = take(store)
    assert rest is not None
    assert rest.job == two.id, "what has begun is ended"
    store.claims.finish(rest, [])
    assert take(store) is None

    store.administration.set_mode("open")
    assert take(store) is not None


def test_blocks_are_open_while_somebody_may_compute_them(store: JobStore, tmp_path: Path) -> None:
    put(store, "ada", 1)
    assert store.upkeep.open_blocks() == 0, "values need no device"
    scene = submission(Settings(data_dir=tmp_path, model="open-land"), "generate", SCENE)
    job = store.queue.submit(scene, max_jobs=9, free=10**12).id
    assert store.upkeep.open_blocks() == (blocks := len(scene.work.blocks)) > 1
    store.administration.set_mode("draining")
    assert store.upkeep.open_blocks() == 0, "it does not begin"
    store.administration.set_mode("open")
    store.queue.dismiss("ada", store.queue.jobs("ada", Filter(), limit=9, offset=0)[1].id)
    claims = [store.claims.take("w", 30.0, 3, work="pixels")]
    assert store.upkeep.open_blocks() == blocks, "that one is being made, too"
    assert store.upkeep.open_blocks(["v", "w"]) == blocks - 1, "but by somebody who is here anyway"
    while claim := store.claims.take("w", 30.0, 3, work="pixels"):
        claims.append(claim)
    store.administration.set_mode("draining")
    assert store.upkeep.open_blocks() == blocks, "it has begun"
    store.administration.set_mode("paused")
    assert store.upkeep.open_blocks() == 0
    store.administration.set_mode("open")
    for claim in claims:
        assert claim is not None
        store.claims.finish(claim, [])
    assert store.queue.job("ada", job).status == "running"
    assert store.upkeep.open_blocks() == 0, "they have yet to be joined, which needs no device"


def test_blocks_of_jobs_that_may_not_run_beside_each_other_are_not_open(
    store: JobStore, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, model="open-land")
    for seed in range(5):
        for owner in ("ada", "bob"):
            scene = submission(settings, "generate", SCENE | {"seed": seed})
            store.queue.submit(replace(scene, owner=owner), max_jobs=9, free=10**12)
    blocks = len(scene.work.blocks)
    assert store.upkeep.open_blocks() == 10 * blocks
    store.administration.limit_running(2)
    store.administration.set_owner("bob", None, 3)
    assert store.upkeep.open_blocks() == 5 * blocks
    assert take(store) is not None
    assert store.upkeep.open_blocks() == 5 * blocks, "one of them runs"


def test_an_administrator_sees_and_ends_all_jobs(store: JobStore) -> None:
    job, other = put(store, "ada", 3), put(store, "bob", 4)
    claim = take(store)
    assert claim is not None
    listed = {one["id"]: one for one in store.administration.jobs()}
    assert {one["owner"]: one["status"] for one in listed.values()} == {"ada": "running", "bob": "accepted"}
    assert listed[other.id]["cost"] == 4
    store.administration.cancel(job.id)
    with pytest.raises(Cancelled):
        store.claims.finish(claim, [])
    assert store.queue.job("ada", job.id).message == "Dismissed by the administrator of the backend."
    assert [one["id"] for one in store.administration.jobs()] == [other.id]
    assert [one["id"] for one in store.administration.jobs(ended=True)] == [other.id, job.id]
    with pytest.raises(NoSuchJob):
        store.administration.cancel("x")
    with pytest.raises(InvalidInput, match=r"0\.001 to 1000"):
        store.administration.set_owner("ada", 0.0, None)
    ada, bob = store.administration.owners()
    assert (ada["owner"], ada["running"], ada["waiting"]) == ("ada", 0, 0)
    assert (bob["owner"], bob["priority"], bob["waiting"]) == ("bob", 1, 1)


def test_what_was_done_is_counted(store: JobStore) -> None:
    for _ in range(3):
        put(store, "ada", 1)
    for act in ("finish", "fail", "die"):
        claim = take(store)
        assert claim is not None
        if act == "finish":
            store.claims.finish(claim, [])
        elif act == "fail":
            store.claims.fail(claim, "No.", "StorageFull")
        else:
            store.claims.release("w", crashed=True)
            store.upkeep.end_hopeless_jobs(1, [])
    counts = {(name, label): value for name, _, label, value in store.administration.tallies()}
    assert counts.pop(("seconds_sum", "")) < 60
    assert counts == {
        ("blocks", ""): 1,
        ("failures", "StorageFull"): 1,
        ("failures", "WorkerDied"): 1,
        ("jobs_ended", "failed"): 2,
        ("jobs_ended", "successful"): 1,
        ("seconds", "1.0"): 1,
    }
