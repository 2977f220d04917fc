"""What the tests of the plugin share: clean settings, a plain web server, a real backend, the toolbox."""

import gc
import os

import pytest
from osgeo import gdal, ogr, osr
from qgis.core import QgsApplication, QgsProject, QgsSettings

from tests.support.qgis.backend import Backend, build_bank, build_model
from tests.support.web_server import Reply, WebServer
from text2earth_qgis.core import settings
from text2earth_qgis.processing.provider import Text2EarthProvider

os.environ["OMP_NUM_THREADS"] = "1"  # of backends: tiny models are slower on more threads
SETTINGS = {"device": "cpu", "threads": 1, "lease_seconds": 3}


@pytest.fixture(scope="session", autouse=True)
def _rasters_closed(qgis_app):
    """Close what nobody holds any more before QGIS ends GDAL: a dataset that is closed after that crashes."""
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """No test sees the settings, the environment or the token file of another, or of the developer."""
    for key in [key for key in os.environ if key.startswith("TEXT2EARTH_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("TEXT2EARTH_DATA_DIR", str(tmp_path / "no-data"))
    QgsSettings().remove("text2earth")


@pytest.fixture(params=[False, True], ids=["silent", "raising"])
def gdal_exceptions(request):
    """GDAL's exceptions, off as in QGIS 3.22, and on as Processing of 3.40 has them for all of QGIS."""
    libraries = [one for one in (gdal, ogr, osr) if bool(one.GetUseExceptions()) != request.param]
    for one in libraries:
        one.UseExceptions() if request.param else one.DontUseExceptions()
    yield
    for one in reversed(libraries):  # GDAL 3.6 wants them in this order
        one.DontUseExceptions() if request.param else one.UseExceptions()


@pytest.fixture
def web():
    """A web server whose ``answer`` the test sets."""
    with WebServer(lambda _request: Reply()) as server:
        yield server


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """A model folder of the real family with random weights."""
    return build_model(tmp_path_factory.mktemp("model") / "tiny")


def started(data_dir, model):
    """Start a backend with a model."""
    return Backend(data_dir, "--model", str(model), **SETTINGS).start()


def find(backend, monkeypatch):
    """Let the plugin find a backend through the environment."""
    for name, value in backend.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def shared_backend(tiny_model, tmp_path_factory):
    """One backend for all tests that do not kill it."""
    backend = started(tmp_path_factory.mktemp("backend") / "data", tiny_model)
    yield backend
    backend.stop()


@pytest.fixture
def backend(shared_backend, monkeypatch):
    """The shared backend, found through the environment."""
    find(shared_backend, monkeypatch)
    return shared_backend


@pytest.fixture
def own_backend(tiny_model, tmp_path):
    """A backend that the test may kill."""
    backend = started(tmp_path / "data", tiny_model)
    yield backend
    backend.stop()


@pytest.fixture(scope="session")
def painter(tmp_path_factory):
    """One backend with an inpainting model for all tests of edits."""
    folder = tmp_path_factory.mktemp("inpaint")
    backend = started(folder / "data", build_model(folder / "model", "inpaint"))
    yield backend
    backend.stop()


@pytest.fixture
def editing_backend(painter, monkeypatch):
    """That backend, found through the environment; a test leaves no upload behind."""
    find(painter, monkeypatch)
    yield painter
    assert painter.uploads == []


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """A backend with a bank of made-up images, for the tests of one module."""
    folder = tmp_path_factory.mktemp("bank") / "data"
    build_bank(folder / "models", "open-land")
    backend = started(folder, "open-land")
    yield backend
    backend.stop()


@pytest.fixture
def example_backend(bank, monkeypatch):
    """That backend, found through the environment."""
    find(bank, monkeypatch)
    return bank


@pytest.fixture
def no_upload_left(bank):
    """A test leaves no upload behind."""
    yield
    assert bank.uploads == []


# ---- the toolbox


@pytest.fixture(scope="module")
def provider(qgis_processing):
    """Our algorithms, registered."""
    made = Text2EarthProvider()
    QgsApplication.processingRegistry().addProvider(made)
    yield made
    QgsApplication.processingRegistry().removeProvider(made)


@pytest.fixture
def own_history(monkeypatch, tmp_path):
    """The list of runs of this test alone."""
    monkeypatch.setattr(settings, "profile_folder", lambda: tmp_path / "profile")


@pytest.fixture
def project():
    """The project of QGIS, empty."""
    made = QgsProject.instance()
    made.clear()
    yield made
    made.clear()
