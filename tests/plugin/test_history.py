"""The list of runs: survives, migrates, says when it cannot be used."""

import dataclasses
import sqlite3
import threading
import time
from datetime import UTC, datetime

import pytest

from tests.support.qgis.runs import whole, years_of_runs
from text2earth_qgis.core.errors import HistoryError
from text2earth_qgis.core.runs import variants
from text2earth_qgis.core.runs.history import OPEN, VERSION, History, Run
from text2earth_qgis.core.wire.schemas import Align, Box, Extent, GenerateInputs

pytestmark = pytest.mark.fast

INPUTS = GenerateInputs(
    "a lake, été 湖",
    Extent([0, 1, 2, 3], "EPSG:32633"),
    align=Align("EPSG:32633", ["0.5", "0.5"], [0.0, 0.25]),
    canvas=Box(-5, 3, 256, 256),
    seed=0,
)


EARLIER, LATER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "profile" / "history.sqlite")


def run(**changes):
    return dataclasses.replace(Run("http://127.0.0.1:1", INPUTS.to_json(), "/x/a.tif"), **changes)


def test_reading_makes_no_file(history):
    assert whole(history) == []
    assert history.get("x") is None
    assert not history.path.parent.exists()


def test_runs_survive(history):
    first = history.put(run(project="/x/project.qgz"))
    second = history.put(run())
    history.put(dataclasses.replace(first, state="running", job="abc", recipe={"seed": 7}))
    again = History(history.path)
    assert [one.key for one in whole(again)] == [second.key, first.key]
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


def test_a_removed_run_is_in_no_list_until_it_is_restored_or_erased(history):
    """Also one that is still open, and a variant; at its place, with all that it had."""
    mask = {"geojson": {"type": "Point", "coordinates": [0, 1]}}
    runs = [history.put(run(state=state, variant_of="a", target=f"/x/{state}.tif")) for state in OPEN]
    large = history.put(run(state="fetched", inputs={**INPUTS.to_json(), "mask": mask}))
    last = history.put(run(state="fetched", target="/x/last.tif"))
    gone = [one.key for one in (*runs, large)]
    history.remove(gone)
    assert [one.key for one in history.latest()] == [last.key]
    assert history.latest("lake") == history.latest()
    assert history.unfinished() == history.undecided() == []
    assert history.of_file(large.target) is None
    new = history.put(run(target="/x/new.tif"))
    again = History(history.path)
    assert [one.key for one in again.removed(LATER)] == gone
    assert again.removed(EARLIER) == []
    assert [one.key for one in again.removed(EARLIER, {large.key, new.key})] == [large.key]
    back = again.restore([large.key, runs[1].key])
    assert [one.key for one in back] == [large.key, runs[1].key]
    assert [one.key for one in again.latest()] == [new.key, last.key, large.key, runs[1].key]
    assert again.get(large.key) == large
    again.erase(gone)
    assert [one.key for one in again.latest()] == [new.key, last.key, large.key, runs[1].key]
    assert again.get(runs[0].key) is None
    assert again.restore(gone) == back[::-1], "the erased ones are not there any more"
    assert again.removed(LATER) == []


def test_many_threads(history):
    def work():
        for _ in range(10):
            history.put(run())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(whole(history)) == 40


def test_schema_version(history):
    history.put(run())
    with sqlite3.connect(history.path) as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] == VERSION
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
    database.close()
    with pytest.raises(HistoryError, match="newer version"):
        whole(history)


def test_a_list_of_an_earlier_version_is_kept(history):
    first = history.put(run(process="edit", state="running", job="abc"))
    with sqlite3.connect(history.path) as database:
        for column in ("assembly", "notes", "sources", "variant_of", "choice", "samples"):
            database.execute(f"ALTER TABLE run DROP COLUMN {column}")
        database.execute("DROP TABLE brief")
        database.execute("PRAGMA user_version = 1")
    database.close()
    (found,) = History(history.path).unfinished()
    assert (found.key, found.job, found.assembly, found.notes) == (first.key, "abc", {}, "")
    assert found.sources == found.outputs == {}
    assert found.samples == []
    assert [one.prompt for one in History(history.path).latest("lake")] == [first.prompt]
    history.put(dataclasses.replace(found, assembly={"result": "whole"}))
    assert history.get(first.key).assembly == {"result": "whole"}


def test_a_broken_file_is_told(history):
    history.path.parent.mkdir()
    history.path.write_bytes(b"no database" * 1000)
    with pytest.raises(HistoryError, match="cannot be used"):
        whole(history)


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


def test_a_list_reads_lines_not_masks(history):
    """Page by page, newest first; words are looked for in prompt, raster, seed and file name."""
    years_of_runs(history, 250)
    mask = {"geojson": {"type": "Polygon", "coordinates": [[[0.123456, 1.5]] * 100_000]}}
    large = history.put(
        run(inputs={**INPUTS.to_json(), "mask": mask}, recipe={"seed": 7, "frame": {"crs": "x"}})
    )
    first = history.latest()
    assert [len(first), first[0].key] == [100, large.key]
    assert all(one.brief for one in first)
    assert "mask" not in first[0].inputs
    assert (first[0].prompt, first[0].recipe["seed"]) == (INPUTS.prompt, 7)
    second, third = history.latest(before=first[-1]), history.latest(before=history.latest(limit=200)[-1])
    assert [len(second), len(third)] == [100, 51]
    assert len({one.key for one in (*first, *second, *third)}) == 251
    assert [one.prompt for one in history.latest("LAKE  forest 244")] == ["a lake in a forest 244"]
    assert history.latest("ÉTÉ 湖")[0].key == large.key
    assert len(history.latest("naip", limit=-1)) == 50
    assert all("NAIP" in one.raster for one in history.latest("naip"))
    assert history.latest("nowhere") == []
    assert history.of_file("/x/17.tif").inputs["seed"] == 17
    assert history.of_file("/x/none.tif") is None
    with pytest.raises(ValueError, match="brief"):
        history.put(first[0])


def test_what_is_left_to_do_is_found_among_thousands(history):
    years_of_runs(history, 5000)
    left = history.put(run(state="running", job="abc"))
    began = time.process_time()
    assert [one.key for one in history.unfinished()] == [left.key]
    assert len(history.latest()) == 100
    assert [one.prompt for one in history.latest("village 4997")] == ["farmland with a village 4997"]
    took = time.process_time() - began
    print(f"5,000 runs: open, first page and a search in {took * 1000:.0f} ms of CPU")
    assert took < 0.1
