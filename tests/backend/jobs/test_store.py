"""Rows and their transitions, in a real SQLite file shared by real processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from model_backend.errors import Busy, Cancelled, Conflict, Declined, NoSuchJob, TooManyJobs
from model_backend.jobs.files import Files
from model_backend.jobs.store import database as databases
from model_backend.jobs.store import line
from model_backend.jobs.store.claims import choose_block
from model_backend.jobs.store.database import MIGRATIONS
from model_backend.jobs.store.job_store import JobStore
from model_backend.jobs.store.rows import Claim, Filter, Job, RequestedOutputs, Result, Submission
from model_backend.processes.base import Workload

pytestmark = pytest.mark.fast

LEASE = 30.0
PLENTY = 10**12


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobStore]:
    monkeypatch.setattr(line, "SECONDS", 0.0)  # every look counts anew
    one = JobStore.open(tmp_path)
    yield one
    one.close()


def put(
    store: JobStore,
    owner: str = "ada",
    blocks: tuple[int, ...] = (10,),
    unit_seconds: float | None = 2.0,
    variants: int = 1,
    join_seconds: float | None = None,
    **more: object,
) -> Job:
    fields = {"process": "echo", "digest": "d", "inputs": {}, "requested": RequestedOutputs(), **more}
    work = Workload(blocks, variants, join_seconds, unit_seconds)
    return store.queue.submit(Submission(owner=owner, work=work, **fields), max_jobs=100, free=PLENTY)


def test_a_job_goes_from_accepted_to_successful(store: JobStore) -> None:
    job = put(store)
    assert (job.status, job.progress) == ("accepted", 0)
    claim = store.claims.take("w", LEASE, 3)
    assert claim is not None
    assert (claim.job, claim.attempt) == (job.id, 1)
    store.claims.set_message(claim, "Making the image.")
    store.claims.progress(claim, 5, 10, 0.5, LEASE)
    running = store.queue.job("ada", job.id)
    assert (running.status, running.progress, running.message) == ("running", 50, "Making the image.")
    assert store.queue.results("ada", job.id) == []
    store.claims.finish(
        claim, [Result("b", "B", "text/plain", value="1"), Result("a", "A", "x/y", file="0-1/a.tif")]
    )
    done = store.queue.job("ada", job.id)
    assert (done.status, done.progress) == ("successful", 100)
    assert [r.output for r in store.queue.results("ada", job.id)] == ["b", "a"]
    assert store.claims.take("w", LEASE, 3) is None


def test_a_job_is_done_when_its_last_block_is(store: JobStore) -> None:
    job = put(store, blocks=(4, 4, 4))
    for number in range(3):
        assert store.queue.job("ada", job.id).status in ("accepted", "running")
        claim = store.claims.take(f"w{number}", LEASE, 3)
        assert claim is not None
        assert claim.number == number
        store.claims.finish(claim, [Result(f"o{number}", "", "text/plain", value=number)])
    assert store.queue.job("ada", job.id).status == "successful"
    assert [r.value for r in store.queue.results("ada", job.id)] == [0, 1, 2]


def test_claims_are_fair_to_the_order_of_arrival(store: JobStore) -> None:
    jobs = [put(store, owner) for owner in ("ada", "bob", "ada")]
    claimed = [store.claims.take("w", LEASE, 3) for _ in jobs]
    assert [c.job for c in claimed if c] == [j.id for j in jobs]


def test_a_cancelled_claim_stops_at_its_next_write(store: JobStore) -> None:
    job = put(store)
    claim = store.claims.take("w", LEASE, 3)
    assert claim is not None
    assert store.queue.dismiss("ada", job.id).status == "dismissed"
    for write in (
        lambda: store.claims.progress(claim, 1, 10, None, LEASE),
        lambda: store.claims.set_message(claim, "x"),
        lambda: store.claims.finish(claim, []),
        lambda: store.claims.fail(claim, "x"),
    ):
        with pytest.raises(Cancelled):
            write()
    assert not store.claims.extend_lease(claim, LEASE)
    assert store.upkeep.folders()[job.id], "the worker still holds the block"
    store.claims.let_go(claim)
    assert not store.upkeep.folders()[job.id]
    assert store.queue.job("ada", job.id).status == "dismissed"


def test_a_lost_lease_fences_out_the_old_claim(store: JobStore) -> None:
    put(store)
    old = store.claims.take("one", -1.0, 3)
    new = store.claims.take("two", LEASE, 3)
    assert old is not None
    assert new is not None
    assert (new.job, new.attempt) == (old.job, 2)
    with pytest.raises(Cancelled):
        store.claims.finish(old, [])
    store.claims.let_go(old)  # must not take the block from its new holder
    store.claims.finish(new, [])
    assert store.queue.job("ada", new.job).status == "successful"


def test_a_block_that_kills_workers_fails_its_job(store: JobStore) -> None:
    job = put(store)
    for _ in range(3):
        assert store.claims.take("w", LEASE, 3) is not None
        store.claims.release("w", crashed=True)
    assert store.claims.take("w", LEASE, 3) is None
    failed = store.queue.job("ada", job.id)
    assert failed.status == "failed"
    assert "died 3 times" in failed.message


def test_a_block_given_back_may_be_tried_for_ever(store: JobStore) -> None:
    put(store)
    for attempt in range(1, 8):
        claim = store.claims.take("w", LEASE, 3)
        assert claim is not None
        assert claim.attempt == attempt
        store.claims.release("w", crashed=False)


def test_an_expired_lease_counts_as_a_death(store: JobStore) -> None:
    job = put(store)
    for _ in range(3):
        assert store.claims.take("w", -1.0, 3) is not None
    assert store.claims.take("w", LEASE, 3) is None
    assert store.queue.job("ada", job.id).status == "failed"


def test_dismiss_and_remove_are_idempotent(store: JobStore) -> None:
    job = put(store)
    first, second = store.queue.dismiss("ada", job.id), store.queue.dismiss("ada", job.id)
    assert first == second
    assert store.queue.job("ada", job.id).status == "dismissed"

    done = put(store, key="k")
    claim = store.claims.take("w", LEASE, 3)
    assert claim is not None
    store.claims.finish(claim, [Result("a", "A", "x/y", value=1)])
    for _ in range(2):
        assert store.queue.dismiss("ada", done.id).status == "dismissed"
        with pytest.raises(NoSuchJob):
            store.queue.job("ada", done.id)
    assert store.queue.results("ada", done.id) == []
    assert done.id not in [j.id for j in store.queue.jobs("ada", Filter(), limit=10, offset=0)]
    assert put(store, key="k").id != done.id, "a removed job frees its key"


def test_owners_do_not_see_each_other(store: JobStore) -> None:
    job = put(store, "ada")
    with pytest.raises(NoSuchJob):
        store.queue.job("bob", job.id)
    with pytest.raises(NoSuchJob):
        store.queue.dismiss("bob", job.id)
    assert store.queue.jobs("bob", Filter(), limit=10, offset=0) == []
    assert store.queue.job("ada", job.id).status == "accepted"


def test_a_key_names_one_request_of_one_owner(store: JobStore) -> None:
    job = put(store, key="k")
    assert put(store, key="k").id == job.id
    assert put(store, "bob", key="k").id != job.id
    with pytest.raises(Conflict):
        put(store, key="k", digest="other")


def test_an_owner_has_so_many_unfinished_jobs(store: JobStore) -> None:
    def submit(owner: str) -> Job:
        fields = {
            "process": "echo",
            "digest": "d",
            "inputs": {},
            "requested": RequestedOutputs(),
            "work": Workload((1,)),
        }
        return store.queue.submit(Submission(owner=owner, **fields), max_jobs=2, free=PLENTY)

    submit("ada"), submit("ada"), submit("bob")
    with pytest.raises(TooManyJobs) as refusal:
        submit("ada")
    assert refusal.value.retry_after
    store.queue.dismiss("ada", store.queue.jobs("ada", Filter(), limit=1, offset=0)[0].id)
    submit("ada")


def test_position_and_eta_count_what_is_ahead(store: JobStore) -> None:
    first, second, third = put(store, blocks=(10,)), put(store, "bob", blocks=(10, 10)), put(store)
    assert [store.queue.position(j) for j in (first, second, third)] == [(1, 20.0), (2, 60.0), (3, 80.0)]
    claim = store.claims.take("w", LEASE, 3)
    assert claim is not None
    store.claims.progress(claim, 6, 10, 0.5, LEASE)
    first = store.queue.job("ada", first.id)
    assert store.queue.position(first) == (0, 2.0)
    assert store.queue.position(second) == (1, 42.0)
    unknown = put(store, unit_seconds=None)
    assert store.queue.position(unknown) == (3, None)


def test_owners_take_turns(store: JobStore) -> None:
    """However many jobs the others send: those that run are ended first, then owners share the time."""
    many = [put(store, "ada", blocks=(1, 1)) for _ in range(3)]
    bob = put(store, "bob")
    cyd = [put(store, "cyd"), put(store, "cyd")]
    order = [many[0], bob, cyd[0], many[1], many[2], cyd[1]]  # of 4 s, 20 s, 20 s
    assert [store.queue.position(job)[0] for job in order] == [1, 2, 3, 4, 5, 6]
    for place, job in enumerate(order):
        assert [store.queue.position(waiting)[0] for waiting in order[place:]] == list(range(1, 7 - place))
        for _ in range(2 if job.owner == "ada" else 1):
            claim = store.claims.take("w", LEASE, 3)
            assert claim is not None
            assert claim.job == job.id
            store.claims.finish(claim, [])
    late = put(store, "cyd"), put(store, "dan")
    assert [store.queue.position(job)[0] for job in late] == [2, 1], "whose time was used last comes last"


def test_a_place_in_a_long_line_is_quick(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [put(store, f"owner{number % 10}", blocks=(1,) * 20, join_seconds=1.0) for number in range(200)]
    monkeypatch.setattr(line, "SECONDS", 1.0)
    before = time.monotonic()
    places = {store.queue.position(job)[0] for _ in range(50) for job in jobs}
    assert places == set(range(1, 201))
    assert time.monotonic() - before < 10, "10,000 questions: it took minutes"


def test_nobody_waits_for_a_backup_but_those_who_write(
    store: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a lock is held for long, a worker waits on; a request is told to come again."""
    monkeypatch.setattr(databases, "WAIT", 0.1)
    job = put(store)
    worker = JobStore.open(tmp_path)
    requests = JobStore.open(tmp_path, patience=0.3)
    claim = worker.claims.take("w", LEASE, 3)
    assert claim is not None
    backup = sqlite3.connect(tmp_path / "jobs.sqlite", isolation_level=None)
    backup.execute("BEGIN IMMEDIATE")
    assert requests.queue.job("ada", job.id).status == "running", "who reads does not wait"
    assert requests.queue.position(job)[0] == 0
    with pytest.raises(Busy) as refusal:
        requests.queue.dismiss("ada", job.id)
    assert (refusal.value.status, bool(refusal.value.retry_after)) == (503, True)
    writing = threading.Thread(target=worker.claims.finish, args=(claim, []))
    writing.start()
    while "locked by another program" not in caplog.text:
        assert writing.is_alive()
    backup.execute("ROLLBACK")
    writing.join()
    assert requests.queue.job("ada", job.id).status == "successful"
    for one in (backup, worker, requests):
        one.close()


def test_what_the_database_forgot_is_set_aside(
    store: JobStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files, folder = Files(tmp_path), tmp_path / "jobs" / "of-another-database"
    folder.mkdir()
    (folder / "image.tif").write_bytes(b"land")
    job = put(store)
    claim = store.claims.take("w", LEASE, 3)
    assert claim is not None
    files.attempt(claim)
    files.sweep(store.upkeep.folders)
    assert {path.name for path in files.root.iterdir()} == {job.id, "set-aside"}
    assert (files.root / "set-aside" / folder.name / "image.tif").read_bytes() == b"land"
    assert folder.name in caplog.text
    folder.mkdir()
    files.sweep(store.upkeep.folders)
    assert len(list((files.root / "set-aside").iterdir())) == 2, "nothing replaces what was there"


def test_what_a_killed_attempt_left_goes_with_the_next(store: JobStore, tmp_path: Path) -> None:
    files = Files(tmp_path)
    put(store)
    first = store.claims.take("one", -1.0, 3)
    assert first is not None
    (files.attempt(first) / "half.tif").touch()
    files.preview(first.job).with_suffix(".0-1.part").touch()
    again = store.claims.take("two", LEASE, 3)
    assert again is not None
    files.attempt(again)
    assert [path.name for path in files.of(again.job).rglob("*")] == ["0-2"]


@pytest.mark.parametrize("days", [9, -9])
def test_nothing_expires_on_the_day_that_the_clock_jumps(
    store: JobStore, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    now, ahead = time.time, 0.0
    monkeypatch.setattr(time, "time", lambda: now() + ahead)
    steady = []
    for ahead in (0.0, *(days * 86400.0 + hour * 3600.0 for hour in range(0, 30, 6)), 0.0, 60.0):  # noqa: B007
        steady.append(store.upkeep.is_clock_steady())
    assert steady == [True, False, False, False, False, True, False, False]


def test_leases_of_an_earlier_backend_are_over_whatever_the_clock_says(store: JobStore) -> None:
    put(store)
    assert store.claims.take("old", 9 * 86400.0, 3) is not None
    assert store.claims.take("new", LEASE, 3) is None
    store.upkeep.take_over()
    again = store.claims.take("new", LEASE, 3)
    assert again is not None
    assert again.attempt == 2


@pytest.mark.parametrize("how", ["zeroed", "noise", "header"])
def test_a_damaged_database_is_said(tmp_path: Path, how: str) -> None:
    store = JobStore.open(tmp_path)
    for _ in range(100):
        put(store)
    store.close()
    path = tmp_path / "jobs.sqlite"
    content = bytearray(path.read_bytes())
    at = 0 if how == "header" else 17 * 4096
    content[at : at + 4096] = bytes(4096) if how == "zeroed" else os.urandom(4096)
    path.write_bytes(content)
    damaged = pytest.raises(sqlite3.DatabaseError, match=r"jobs.sqlite is damaged .* move it")
    with damaged, closing(JobStore.open(tmp_path)) as again:
        again.database.check()


def test_a_scene_is_joined_when_its_blocks_are_there(store: JobStore) -> None:
    """Blocks and joining steps of two variants; a block that is made again holds its joining step up."""
    job = put(store, blocks=(4, 4), variants=2, join_seconds=1.5)
    order = []
    while claim := store.claims.take("w", LEASE, 3):
        order.append((claim.variant, claim.part))
        if claim.part is not None:
            assert store.claims.begin(claim, "profile") == 0
            store.claims.record_block(claim, f"{claim.number}-1/block.tif", str(claim.part), False)
        elif len(order) == 3:
            blocks = store.claims.finished_blocks(claim)
            assert [(block.number, block.sha256) for block in blocks] == [(0, "0"), (1, "1")]
            store.claims.make_again(claim, [1])
            with pytest.raises(Cancelled):
                store.claims.finish(claim, [])
            continue
        store.claims.finish(claim, [], ["Said once."])
    assert order == [(0, 0), (0, 1), (0, None), (0, 1), (0, None), (1, 0), (1, 1), (1, None)]
    assert (store.queue.job("ada", job.id).status, store.queue.job("ada", job.id).message) == (
        "successful",
        "Done. Said once.",
    )
    assert store.upkeep.joined_blocks() == [(job.id, 0), (job.id, 1), (job.id, 3), (job.id, 4)]
    store.upkeep.forget_files(store.upkeep.joined_blocks())
    assert store.upkeep.joined_blocks() == []


def test_which_block_a_worker_takes() -> None:
    """Its next one, else the first of a variant without workers, else away from those that are at one."""

    def chosen(free: list[int], busy: set[int], last: int | None, shortest: int = 1) -> int | None:
        return choose_block(dict.fromkeys(free, 0), dict.fromkeys(busy, 0), last, shortest)

    assert chosen([0, 1, 2, 3], set(), None) == 0
    assert chosen([3, 4, 5], {2}, 2) == 3
    assert chosen([1, 2, 3, 4], {0}, None) == 3
    assert chosen([1, 5, 6, 7, 8], set(), None) == 1
    assert chosen([1, 5, 6, 7, 8], {2}, None) == 5
    assert chosen([5], {4}, None) == 5
    assert chosen([1, 6, 7, 8], {0, 5}, 9) == 7
    assert chosen([], {4}, None) is None
    assert chosen([1, 5, 6, 7], {0, 4}, None, shortest=4) is None, "not worth it"
    assert chosen([1, 5, 6, 7, 8], {0, 4}, None, shortest=4) == 7
    assert chosen([1, 5, 6, 7], {0, 4}, 0, shortest=4) == 1, "its own"
    assert chosen([1, 5, 6, 7], set(), None, shortest=4) == 1, "nobody is there"
    assert choose_block({1: 0, 2: 0, 3: 0, 6: 1}, {0: 0, 5: 2}, None, 4) == 6


def test_short_scenes_have_a_worker_each_and_long_ones_all(store: JobStore) -> None:
    def taken(worker: str, last: Claim | None = None) -> Claim:
        claim = store.claims.take(worker, LEASE, 3, last)
        assert claim is not None
        return claim

    first, second = (put(store, blocks=(1,) * 7, join_seconds=1.0) for _ in range(2))
    one = taken("one")
    two = taken("two")
    assert [(claim.job, claim.number) for claim in (one, two)] == [(first.id, 0), (second.id, 0)]
    store.claims.finish(two, [])
    two = taken("two", two)
    assert (two.job, two.number) == (second.id, 1), "it goes on, though an older job has blocks left"
    three = taken("three")
    assert (three.job, three.number) == (first.id, 4), "nobody else waits: it helps"
    store.claims.fail(one, "No.")
    store.claims.fail(two, "No.")
    long = put(store, blocks=(1,) * 20, join_seconds=1.0)
    put(store, blocks=(1,))
    one, two = taken("one"), taken("two")
    assert [(claim.job, claim.number) for claim in (one, two)] == [(long.id, 0), (long.id, 10)]


def test_a_variant_is_made_on_one_profile(store: JobStore) -> None:
    put(store, blocks=(1, 1, 1), join_seconds=1.0)
    first = store.claims.take("one", LEASE, 3)
    assert first is not None
    store.claims.begin(first, "p")
    other = store.claims.take("two", LEASE, 3)
    assert other is not None
    with pytest.raises(Declined):
        store.claims.begin(other, "q")
    store.claims.put_back(other)
    assert store.claims.take("two", LEASE, 3, excluded=[f"{other.job}/{other.variant}"]) is None
    store.claims.finish(first, [])
    other = store.claims.take("two", LEASE, 3)
    assert other is not None
    assert store.claims.begin(other, "q") == 1, "nobody is at it on the other profile any more"
    again = store.claims.take("one", LEASE, 3)
    assert again is not None
    with pytest.raises(Declined):
        store.claims.begin(again, "p")


def test_a_worker_that_comes_back_late_spoils_nothing(store: JobStore) -> None:
    """Its lease ran out, nobody took its block, but the scene was begun on another profile since."""
    put(store, blocks=(1, 1), join_seconds=1.0)
    late = store.claims.take("late", -1.0, 9)
    assert late is not None
    store.claims.begin(late, "p")
    taken = [store.claims.take("new", LEASE, 9, excluded=[]) for _ in range(2)]
    assert [claim.number for claim in taken if claim] == [0, 1]
    for claim in taken:
        assert claim is not None
        store.claims.begin(claim, "q")
        store.claims.finish(claim, [])
    assert not store.claims.extend_lease(late, LEASE)
    with pytest.raises(Cancelled):
        store.claims.record_block(late, "x", "y", False)


def test_waiting_blocks_take_as_long_as_measured_ones_and_workers_share_them(store: JobStore) -> None:
    job = put(store, blocks=(10, 10, 10), unit_seconds=None, join_seconds=3.0)
    assert store.queue.position(job) == (1, None)
    claim = store.claims.take("w", LEASE, 3)
    assert claim is not None
    store.claims.progress(claim, 1, 4, 20.0, LEASE)  # four calls for the ten that were planned
    half = store.queue.job("ada", job.id)
    assert (half.done, half.total) == (2, 31)
    assert store.queue.position(half) == (0, (8 + 20) * 8.0 + 3.0)
    assert store.queue.position(half, workers=2) == (0, ((8 + 20) * 8.0 + 3.0) / 2)
    assert store.queue.position(half, workers=50) == (0, ((8 + 20) * 8.0 + 3.0) / 3)
    store.claims.progress(claim, 0, 0, None, LEASE)  # a block whose windows are there already takes no call


def test_a_store_of_the_first_kind_is_brought_up(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    with sqlite3.connect(path) as db:
        for statement in MIGRATIONS[0].split(";\n"):
            db.execute(statement)
        db.execute("PRAGMA user_version = 1")
        for seq, (process, status) in enumerate((("generate", "running"), ("edit", "accepted")), 1):
            db.execute(
                "INSERT INTO job"
                " (seq, id, owner, process, status, inputs, wish, bytes, digest, created, updated)"
                " VALUES (?, ?, 'ada', ?, ?, '{}', '{}', 0, 'd', 1, 2)",
                (seq, str(seq), process, status),
            )
            db.executemany(
                "INSERT INTO block (job, number, status, total) VALUES (?, ?, 'accepted', 5)",
                [(str(seq), 0), (str(seq), 1)],
            )
    db.close()
    store = JobStore.open(path.parent)
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite.schema-1")) as copy:
        assert copy.execute("PRAGMA user_version").fetchone()[0] == 1
        assert copy.execute("SELECT process, status FROM job").fetchall() == [
            ("generate", "running"),
            ("edit", "accepted"),
        ]
    old = store.queue.job("ada", "1")
    assert (old.status, "Send it again." in old.message) == ("failed", True)
    claim = store.claims.take("w", LEASE, 3)
    assert claim is not None
    assert (claim.job, claim.variant, claim.part) == ("2", 0, 0)
    store.close()


def test_filters(store: JobStore) -> None:
    jobs = [put(store, process=name) for name in ("echo", "plan", "generate")]
    store.queue.dismiss("ada", jobs[1].id)

    def found(**which: object) -> list[str]:
        return [j.process for j in store.queue.jobs("ada", Filter(**which), limit=10, offset=0)]

    assert found() == ["generate", "plan", "echo"]
    assert found(processes=("echo", "plan")) == ["plan", "echo"]
    assert found(statuses=("dismissed",)) == ["plan"]
    assert found(created=(jobs[1].created, None)) == ["generate", "plan"]
    assert found(created=(None, jobs[1].created)) == ["plan", "echo"]
    assert found(duration=(0, None)) == [], "what has not started has no duration"
    assert [j.process for j in store.queue.jobs("ada", Filter(), limit=1, offset=1)] == ["plan"]
    assert found(processes=("' OR 1 --",)) == []


def test_expired_jobs_go_and_their_files_after_them(store: JobStore, tmp_path: Path) -> None:
    files = Files(tmp_path)
    old, fresh = put(store), put(store)
    for _ in (old, fresh):
        claim = store.claims.take("w", LEASE, 3)
        assert claim is not None
        (files.attempt(claim) / "x.tif").write_bytes(b"x")
        store.claims.finish(claim, [])
    with store.database.transaction() as db:
        db.execute("UPDATE job SET finished = finished - 7200 WHERE id = ?", (old.id,))
    assert store.upkeep.expired(3600) == [old.id]
    store.upkeep.forget(files.remove([old.id]))
    files.sweep(store.upkeep.folders)
    assert [path.name for path in files.root.iterdir()] == [fresh.id]
    with pytest.raises(NoSuchJob):
        store.queue.job("ada", old.id)


def test_a_newer_store_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    JobStore.open(path.parent).close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    with pytest.raises(sqlite3.DatabaseError, match="newer"):
        JobStore.open(path.parent)


def _labour(path: Path, name: str) -> None:
    """Claim and finish until nothing is left; die now and then while holding a claim."""
    store = JobStore.open(path.parent)
    while True:
        claim = store.claims.take(name, 1.0, 1000)
        if claim is None:
            if store.queue.waiting() == 0:
                break
            time.sleep(0.02)
            continue
        if claim.attempt == 1 and int(claim.job[:4], 16) % 8 == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        store.claims.progress(claim, 1, 2, 0.1, 1.0)
        store.claims.finish(claim, [Result("by", name, "text/plain", value=name)])
    store.close()


@pytest.mark.skipif(os.name != "posix", reason="kills with a POSIX signal")
@pytest.mark.slow
def test_every_job_is_done_once_whoever_dies(store: JobStore, tmp_path: Path) -> None:
    jobs = [put(store) for _ in range(60)]
    spawn = multiprocessing.get_context("spawn")
    started: list[multiprocessing.process.BaseProcess] = []
    while store.queue.waiting() and len(started) < 100:
        living = [process for process in started if process.exitcode is None]
        for _ in range(3 - len(living)):
            process = spawn.Process(target=_labour, args=(tmp_path / "jobs.sqlite", f"w{len(started)}"))
            process.start()
            started.append(process)
        started[-1].join(0.1)
    for process in started:
        process.join()
    assert {store.queue.job("ada", j.id).status for j in jobs} == {"successful"}
    assert all(len(store.queue.results("ada", j.id)) == 1 for j in jobs)
    assert sum(process.exitcode == -signal.SIGKILL for process in started) == sum(
        int(j.id[:4], 16) % 8 == 0 for j in jobs
    )
