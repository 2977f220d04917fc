"""The bundled bank open-land: all of it decodes, is attributed, is small enough, and serves what it says."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from model_backend.engine.by_example.choice import Wanted, atlas_of
from model_backend.models.banks.bank import UNUSABLE, Bank
from model_backend.models.banks.direction import alike
from model_backend.models.card import read_card
from model_backend.models.land_cover import KINDS
from model_backend.models.registry import Registry
from model_backend.processes.base import PlanContext
from model_backend.settings import Settings
from model_backend.training.bank.originals import SOURCES

FOLDER = Path(__file__).parents[3] / "resources/banks/open-land"
FOUR_LEVELS = 56  # pixels that a side needs for four levels of patches of seven pixels


@pytest.fixture(scope="module")
def bank() -> Bank:
    return Bank.read(FOLDER)


def test_it_is_at_most_25_megabytes():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 25e6


def test_every_image_decodes_and_its_labels_are_kinds_of_the_bank(bank):
    for chip in bank.chips:
        found = bank.pixels(chip)
        names = set(np.unique(found.labels).tolist()) - {UNUSABLE}
        shown = {bank.kinds[name] for name in names}
        assert shown == {*chip.kinds, *chip.around}, chip.id
        assert min(found.labels.shape) >= FOUR_LEVELS
        assert (found.nir is not None) == (chip.family in ("towns", "plains"))


def test_ids_are_unique_and_every_file_is_used(bank):
    assert len({chip.id for chip in bank.chips}) == len(bank.chips)
    with zipfile.ZipFile(FOLDER / "chips.zip") as images:
        names = images.namelist()
    assert names == sorted(names)
    assert set(names) == {name for one in bank.chips for name in (one.image, one.labels, one.nir) if name}


def test_every_source_is_attributed(bank):
    text = (FOLDER / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for source in {chip.source for chip in bank.chips}:
        assert f"`{source}`" in text
    assert all(chip.licence for chip in bank.chips)
    attribution = read_card(FOLDER).attribution
    for source in SOURCES.values():
        assert source.attribution in attribution


def test_every_family_shows_its_kinds_and_important_ones_often(bank):
    for family in bank.families:
        for kind in family.kinds:
            assert bank.of(family.id, kind), (family.id, kind)
    for family, kind in (
        ("aerial", "houses"),
        ("aerial", "forest"),
        ("aerial", "farmland"),
        ("towns", "houses"),
        ("landscapes", "farmland"),
        ("landscapes", "forest"),
        ("plains", "farmland"),
    ):
        assert len(bank.of(family, kind)) >= 20, (family, kind)


@pytest.mark.parametrize("gsd", [0.3, 0.5, 0.6, 1, 1.2, 2.4, 4, 5, 10, 20, 30, 60, 120])
def test_pixel_sizes_from_30_centimetres_to_120_metres_are_served(bank, gsd):
    family = bank.family_for(gsd, ["farmland" if gsd > 4 else "houses"])
    chip = bank.of(family.id)[-1]
    found = bank.at(chip, gsd)
    assert found.rgb.shape[:2] == found.labels.shape
    assert min(found.labels.shape) >= FOUR_LEVELS // 2


def test_houses_and_rivers_and_forest_are_found_where_they_are_best(bank):
    assert bank.family_for(0.5, ["houses"]).id == "aerial"
    assert bank.family_for(0.6, ["houses"]).id == "towns"
    assert bank.family_for(30, ["town"]).id == "landscapes"
    words = {word for chip in bank.of("landscapes", "water") for word in chip.words}
    assert {"lake", "river"} <= words


def test_houses_of_one_direction_are_many_enough_for_a_town(bank):
    for family, kind, many in (
        ("towns", "houses", 40),
        ("aerial", "dense houses", 20),
        ("towns", "buildings", 20),
    ):
        directions = [chip.direction for chip in bank.of(family, kind)]
        straight = sum(alike(one, 0) for one in directions)
        assert straight >= many, (family, kind, straight)
    assert not any(chip.direction for chip in bank.of("landscapes"))


@pytest.mark.parametrize(
    ("kind", "gsd", "levels"), [("farmland", 1.0, 4), ("farmland", 2.0, 3), ("sand", 2.7, 3)]
)
def test_land_has_as_many_levels_as_its_images_allow_and_never_few_images(bank, kind, gsd, levels):
    """Images of 78 m are 39 pixels of 2 m: too few for patches on four levels."""
    atlas = atlas_of(bank, Wanted(tuple(one.id for one in KINDS), (kind,), gsd, seed=3))
    assert len(atlas.atlas.levels) == levels
    assert len(atlas.origins) >= 15


def test_its_time_is_known_before_it_ever_ran(tmp_path):
    settings = Settings(data_dir=tmp_path)
    context = PlanContext(Registry(settings), settings, lambda _model: None, lambda _name, _upload: None)
    assert 0.5 < context.seconds("open-land", 38) < 5  # 512 x 512 pixels
    assert 0.5 < context.seconds("surroundings", 6) < 5  # a mask of 100 x 100 pixels
    assert context.seconds("text2earth-mini", 38) is None, "that depends on the device"
