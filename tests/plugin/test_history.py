"""The list of runs: survives, migrates, says when it cannot be used."""

import dataclasses
import sqlite3
import threading

import pytest

from text2earth_qgis.core.errors import HistoryError
from text2earth_qgis.core.runs import variants
from text2earth_qgis.core.runs.history import VERSION, History, Run
from text2earth_qgis.core.wire.schemas import Align, Box, Extent, GenerateInputs

pytestmark = pytest.mark.fast

INPUTS = GenerateInputs(
    "a lake, été 湖",
    Extent([0, 1, 2, 3], "EPSG:32633"),
    align=Align("EPSG:32633", ["0.5", "0.5"], [0.0, 0.25]),
    canvas=Box(-5, 3, 256, 256),
    seed=0,
)


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "profile" / "history.sqlite")


def run(**changes):
    return dataclasses.replace(Run("http://127.0.0.1:1", INPUTS.to_json(), "/x/a.tif"), **changes)


def test_reading_makes_no_file(history):
    assert history.runs() == []
    assert history.get("x") is None
    assert not history.path.parent.exists()


def test_runs_survive(history):
    first = history.put(run(project="/x/project.qgz"))
    second = history.put(run())
    history.put(dataclasses.replace(first, state="running", job="abc", recipe={"seed": 7}))
    again = History(history.path)
    assert [one.key for one in again.runs()] == [second.key, first.key]
    found = again.get(first.key)
    assert (found.state, found.job, found.recipe, found.project) == (
        "running",
        "abc",
        {"seed": 7},
        "/x/project.qgz",
    )
    assert found.created == first.created
    assert GenerateInputs.from_json(found.inputs) == dataclasses.replace(INPUTS)


def test_what_is_left_to_do(history):
    states = [
        "submitting",
        "accepted",
        "running",
        "successful",
        "fetched",
        "failed",
        "dismissing",
        "dismissed",
    ]
    for state in states:
        history.put(run(state=state))
    left = [one.state for one in history.unfinished()]
    assert left == ["submitting", "accepted", "running", "successful", "dismissing"]


def test_forgetting(history):
    one = history.put(run())
    history.remove(one.key)
    assert history.runs() == []


def test_many_threads(history):
    def work():
        for _ in range(10):
            history.put(run())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(history.runs()) == 40


def test_schema_version(history):
    history.put(run())
    with sqlite3.connect(history.path) as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] == VERSION
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
    database.close()
    with pytest.raises(HistoryError, match="newer version"):
        history.runs()


def test_a_list_of_an_earlier_version_is_kept(history):
    first = history.put(run(process="edit", state="running", job="abc"))
    with sqlite3.connect(history.path) as database:
        for column in ("assembly", "notes", "sources", "variant_of", "choice", "samples"):
            database.execute(f"ALTER TABLE run DROP COLUMN {column}")
        database.execute("PRAGMA user_version = 1")
    database.close()
    (found,) = History(history.path).unfinished()
    assert (found.key, found.job, found.assembly, found.notes) == (first.key, "abc", {}, "")
    assert found.sources == found.outputs == {}
    assert found.samples == []
    history.put(dataclasses.replace(found, assembly={"result": "whole"}))
    assert history.get(first.key).assembly == {"result": "whole"}


def test_a_broken_file_is_told(history):
    history.path.parent.mkdir()
    history.path.write_bytes(b"no database" * 1000)
    with pytest.raises(HistoryError, match="cannot be used"):
        history.runs()


def test_variants_are_found_as_long_as_one_is_undecided(history):
    for set_ in ("a", "b", ""):
        for seed in (8, 7):
            history.put(run(variant_of=set_, state="fetched", inputs={**INPUTS.to_json(), "seed": seed}))
    kept = next(one for one in history.undecided() if one.variant_of == "b")
    history.put(dataclasses.replace(kept, choice=variants.KEPT))
    found = variants.sets(history.undecided())
    assert {key: [variants.seed_of(one) for one in runs] for key, runs in found.items()} == {
        "a": [7, 8],
        "b": [7, 8],
    }
    assert [variants.waits(one) for one in found["b"]] == [True, False]
    for one in found["b"]:
        history.put(dataclasses.replace(one, choice=variants.DISCARDED))
    assert list(variants.sets(history.undecided())) == ["a"]


def test_seeds_of_variants_follow_the_one_asked_for():
    assert variants.seeds(None, 1) == [None]
    assert variants.seeds(5, 1) == [5]
    assert variants.seeds(5, 3) == [5, 6, 7]
    first, second = variants.seeds(None, 2)
    assert second == first + 1
    assert 0 <= first < 2**31
