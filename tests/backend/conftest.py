"""What the tests of the backend share: a tiny model, and real backends that run it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: tiny models are slower on more threads
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as workers have it: threads that wait keep nobody out

from model_backend.models.loader import Model
from tests.support.backend.file_editor import FileEditor
from tests.support.backend.service import Backend
from tests.support.backend.tiny_models import build_tiny, load_tiny

UTM = {"bbox": [500000, 5200000, 500064, 5200064], "crs": "EPSG:32632"}


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch on one thread, as training has it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random model."""
    return build_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def inpaint_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random inpainting model."""
    return build_tiny(tmp_path_factory.mktemp("models") / "tiny-inpaint", "inpaint", vae="tiny")


@pytest.fixture(scope="session")
def inpaint_model(inpaint_folder: Path) -> Model:
    """That model, loaded."""
    loaded: Model = load_tiny(inpaint_folder)
    return loaded


@pytest.fixture
def editor(inpaint_model: Model, inpaint_folder: Path, tmp_path: Path) -> FileEditor:
    """Edits files with that model."""
    return FileEditor(inpaint_model, inpaint_folder, tmp_path)


@pytest.fixture(scope="session")
def server(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A backend that many tests share: leave its settings and its jobs alone."""
    one = Backend(tmp_path_factory.mktemp("shared") / "data", "--model", str(tiny), max_jobs=1000).start()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def client(server: Backend) -> Iterator[httpx.Client]:
    """A client of the shared backend, or of a module's own, that validates every answer."""
    with server.client() as one:
        yield one


@pytest.fixture
def start(tiny: Path, tmp_path: Path) -> Iterator[Callable[..., Backend]]:
    """Start backends of the test's own: ``start(*flags, **settings)``."""
    running: list[Backend] = []

    def begin(*flags: str, name: str = "data", **settings: Any) -> Backend:
        flags = flags if "--model" in flags else ("--model", str(tiny), *flags)
        running.append(Backend(tmp_path / name, *flags, **settings).start())
        return running[-1]

    yield begin
    for one in running:
        one.stop()


@pytest.fixture
def scene() -> dict[str, Any]:
    """Inputs of a small ``generate``: 64 x 64 pixels of 1 m."""
    return {"prompt": "a lake", "extent": UTM, "gsd": 1.0, "seed": 7}


@pytest.fixture(scope="session")
def chips(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Made-up chips of land cover, by level."""
    from tests.support.backend.training_runs import made_up_chips

    return made_up_chips(tmp_path_factory.mktemp("chips"))


@pytest.fixture(scope="session")
def trained(chips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work folder of a training run of a few steps. Leave it as it is."""
    from tests.support.backend.training_runs import train_few_steps

    return train_few_steps(tmp_path_factory.mktemp("run"), chips)
