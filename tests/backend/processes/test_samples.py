"""Samples: land by example that looks like an area of the user's own raster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from affine import Affine

from tests.backend.processes.test_by_example import extent, images, meadow, plan
from tests.support.backend.asking import made
from tests.support.backend.raster_files import write
from tests.support.backend.service import Backend, execute, upload
from tests.support.backend.tiny_bank import COLOURS, build_bank, picture, share_like

PLACE = Affine(1, 0, 500000, 0, -1, 5400000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    folder = tmp_path_factory.mktemp("samples")
    build_bank(folder / "data" / "models", "open-land")
    one = Backend(folder / "data", "--model", "open-land").start()
    yield one
    one.stop()


def ring(*corners: tuple[int, int]) -> dict[str, Any]:
    """A polygon of corners in pixels."""
    points = [[500000 + x, 5400000 - y] for x, y in (*corners, corners[0])]
    return {"geojson": {"type": "Polygon", "coordinates": [points]}, "crs": "EPSG:32633"}


def pond() -> np.ndarray:
    """A meadow with a round pond that has a beach, (4, height, width)."""
    land = meadow()
    rows, cols = np.mgrid[:240, :240]
    away = np.hypot(rows - 60, cols - 60)
    for kind, reach in (("sand", 34), ("water", 28)):
        here = away < reach
        land[:3, here] = np.array(COLOURS[kind])[:, None]
    return land


def test_a_scene_is_made_of_a_sample_with_and_without_words(client, tmp_path):
    land = np.concatenate([picture("sand", 1), picture("town", 2)], 1).transpose(2, 0, 1)
    source = upload(client, write(tmp_path / "own.tif", land, crs="EPSG:32633", transform=PLACE))
    sand = {"source": source, "area": ring((0, 0), (96, 0), (96, 96), (0, 96))}
    asked = {"extent": extent(0, 0, 200, 160), "gsd": 1.0, "crs": "EPSG:32633", "seed": 3}
    (plain,) = images(client, asked | {"prompt": "", "samples": [sand]})
    assert share_like(plain, "sand") > 0.97
    named = asked | {"prompt": "a lake in a forest", "samples": [sand | {"words": "forest"}]}
    (made,) = images(client, named)
    assert share_like(made, "forest") < 0.01  # the sample stands for it
    assert share_like(made, "sand") > 0.4
    assert share_like(made, "water") > 0.02
    recipe = plan(client, named)["recipe"]["examples"]["samples"]
    assert [sample["kind"] for sample in recipe] == ["forest"]


def test_a_pond_like_that_one_comes_with_its_beach(client, tmp_path):
    before = pond()
    source = upload(client, write(tmp_path / "own.tif", before, crs="EPSG:32633", transform=PLACE))
    around = ring(*((60 + round(33 * np.cos(t)), 60 + round(33 * np.sin(t))) for t in np.arange(0, 6.2, 0.3)))
    mask = ring((120, 120), (215, 120), (215, 215), (120, 215))
    asked = {"source": source, "mask": mask, "prompt": "", "seed": 4}
    after = made(client, "edit", asked | {"samples": [{"source": source, "area": around}]})
    changed = np.zeros((240, 240), np.bool_)
    changed[120:215, 120:215] = True
    assert np.array_equal(after[:, ~changed], before[:, ~changed])
    rgb = after[:3].transpose(1, 2, 0)
    assert share_like(rgb[145:190, 145:190], "water", 30) > 0.8
    assert 0.05 < share_like(rgb[120:215, 120:215], "sand", 30) < 0.35  # as wide as there
    corners = [rgb[120:124, 120:124], rgb[120:124, 211:215], rgb[211:215, 120:124], rgb[211:215, 211:215]]
    assert np.mean([share_like(corner, "grassland") for corner in corners]) > 0.8  # round, not square


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"words": "gloop"}, 400, "samples.0.words"),
        ({"area": "outside"}, 400, "outside of the raster"),
        ({"source": {"upload": "0" * 32}}, 400, "samples.0.source"),
    ],
)
def test_what_cannot_be_a_sample_is_refused(client, tmp_path, change, status, said):
    source = upload(client, write(tmp_path / "own.tif", meadow(), crs="EPSG:32633", transform=PLACE))
    far = ring((5000, 5000), (5100, 5000), (5100, 5100))
    sample = {"source": source} | {key: far if value == "outside" else value for key, value in change.items()}
    refused = execute(client, "generate", {"prompt": "", "extent": extent(0, 0, 99, 99), "samples": [sample]})
    assert refused.status_code == status, refused.text
    assert said in refused.text


def test_models_that_make_no_use_of_samples_say_so(client, tmp_path):
    source = upload(client, write(tmp_path / "own.tif", meadow(), crs="EPSG:32633", transform=PLACE))
    asked = {"prompt": "a lake", "extent": extent(0, 0, 99, 99), "samples": [{"source": source}]}
    refused = execute(client, "generate", asked | {"model": "text2earth-mini"})
    assert refused.status_code == 400
    assert "makes no use of samples" in refused.text
