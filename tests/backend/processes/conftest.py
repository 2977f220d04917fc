"""What the tests of land by example share: a bank of made-up images, and settings that have it as default."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_backend.settings import Settings
from tests.support.backend.tiny_bank import build_bank


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny bank."""
    return build_bank(tmp_path_factory.mktemp("banks"))


@pytest.fixture(scope="module")
def limits(bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with that bank as default."""
    return Settings(data_dir=tmp_path_factory.mktemp("data"), model=str(bank))
