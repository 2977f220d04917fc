"""Edits, extensions and scenes of regions, by workers that die: the same bytes as undisturbed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_backend.jobs.uploads import Uploads
from tests.support.backend.headless_backend import RESULTS, HeadlessBackend, worker_settings
from tests.support.backend.interruption import JobHistory
from tests.support.backend.raster_files import polygon, rich_scene
from tests.support.backend.submissions import OWNER

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks, and kills with POSIX signals")


@pytest.fixture(scope="module")
def headless(inpaint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadlessBackend]:
    """A place whose model can edit."""
    one = HeadlessBackend(worker_settings(tmp_path_factory.mktemp("headless") / "data", inpaint_folder))
    yield one
    one.close()


@pytest.mark.slow
@pytest.mark.parametrize("process", ["edit", "extend", "generate"])
def test_whatever_is_made_survives_the_death_of_its_workers(
    headless: HeadlessBackend, tmp_path: Path, process: str
) -> None:
    """An edit, an extension and a scene, all with polygons: four deaths each at random moments."""
    path = rich_scene(tmp_path / "scene.tif", "uint8", 3, "utm", None)
    area, crs = polygon(path, [(10, 10), (80, 12), (50, 60)])
    source = {"upload": Uploads(headless.settings).adopt(OWNER, path)}
    feature = {"type": "Feature", "properties": {"prompt": "houses"}, "geometry": area}
    regions = {"geojson": {"type": "FeatureCollection", "features": [feature]}, "crs": crs}
    wide = {"bbox": [500_000, 5_199_900, 500_200, 5_200_000], "crs": crs}
    wish: dict[str, Any] = {
        "edit": {"source": source, "mask": {"geojson": area, "crs": crs}},
        "extend": {"source": source, "extent": wide, "regions": regions},
        "generate": {"extent": wide, "regions": regions},
    }[process] | {"prompt": "a forest", "seed": 3, "steps": 3, "guidance": 2.0}
    history, job = JobHistory(headless.settings.data_dir), headless.submit(process, **wish)
    done = headless.finish(job, "calm")
    loading, working, *_ = (one for one in history.messages(job) if one)
    history.close()
    assert loading.startswith("Loading the model")
    assert working in ("Painting.", "Making the image."), "and then it is not said to be loaded any more"
    assert done.status == "successful", done.message
    assert done.started is not None
    assert done.finished is not None
    calm, pace = headless.pixels(job), done.finished - done.started
    jobs = headless.die_often(4, 11, pace, process, **wish)
    assert headless.finish(jobs[-1], "last").status == "successful"
    for job in jobs:
        np.testing.assert_array_equal(headless.pixels(job), calm)
        assert headless.left(job) == RESULTS
