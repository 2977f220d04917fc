"""What the tests of the plugin share: clean settings, a plain web server, a real backend, the toolbox."""

import gc
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from qgis.core import (
    QgsApplication,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
    QgsScopedProxyProgressTask,
    QgsSettings,
)
from qgis.PyQt import sip

from tests.support.web_server import Reply, Web
from text2earth_qgis.core import settings
from text2earth_qgis.core.wire.access import Access
from text2earth_qgis.core.wire.transport import open_client
from text2earth_qgis.processing.provider import Text2EarthProvider

PATIENCE = 200_000  # milliseconds: so long takes only what will never happen, on any machine
# A scene that takes minutes on a machine many times faster than any of today: it does not end by itself.
HOURS = {"EXTENT": "500000,504096,5800000,5803072 [EPSG:32633]", "GSD": 1, "STEPS": 170}
ROOT = Path(__file__).resolve().parents[2]
BACKEND_PYTHON = ROOT / ".venv" / "backend" / "bin" / "python"
SETTINGS = {"TEXT2EARTH_DEVICE": "cpu", "TEXT2EARTH_THREADS": "1", "TEXT2EARTH_LEASE_SECONDS": "3"}
INPAINTING = (
    "import sys; from tests.support.tiny_models import build_tiny; build_tiny(sys.argv[1], 'inpaint')"
)
FOREIGN = ("PYTHON", "QT_", "QGIS", "GDAL_", "PROJ_", "LD_", "VIRTUAL_ENV", "TEXT2EARTH_")


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """No test sees the settings, the environment or the token file of another, or of the developer."""
    for key in [key for key in os.environ if key.startswith("TEXT2EARTH_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("TEXT2EARTH_DATA_DIR", str(tmp_path / "no-data"))
    QgsSettings().remove("text2earth")


@pytest.fixture
def web():
    """A web server whose ``answer`` the test sets."""
    with Web(lambda _request: Reply()) as server:
        yield server


def clean_environment(**more):
    """The environment of a backend: nothing of QGIS's own Python and libraries."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", **more}


@dataclass
class Backend:
    """A real backend process with a tiny model; can be killed and started again on the same port and data."""

    data: Path
    model: Path
    port: int = 0
    process: subprocess.Popen = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self):
        return (self.data / "token").read_text().split()[0]

    @property
    def access(self):
        return Access(self.url, token=self.token)

    @property
    def environment(self):
        return {"TEXT2EARTH_BACKEND_URL": self.url, "TEXT2EARTH_TOKEN": self.token}

    def start(self):
        command = [BACKEND_PYTHON, "-m", "model_backend", "serve", "--port", str(self.port)]
        command += ["--data-dir", str(self.data), "--model", str(self.model)]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=clean_environment(**SETTINGS),
            stdout=subprocess.PIPE,
            stderr=(self.data.parent / "backend.log").open("ab"),
            text=True,
            start_new_session=True,
        )
        for line in self.process.stdout:
            if line.startswith("Listening on "):
                self.port = int(line.rsplit(":", 1)[1])
                return self
        raise AssertionError((self.data.parent / "backend.log").read_text())

    def stop(self, number=signal.SIGTERM):
        """End the server; SIGKILL takes its workers with it, as a power cut would."""
        if number == signal.SIGKILL:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        self.process.wait(60)
        self.process.stdout.close()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """A model folder of the real family with random weights."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    subprocess.run(
        [BACKEND_PYTHON, "-m", "tests.support.tiny_models", str(folder)],
        cwd=ROOT,
        env=clean_environment(),
        check=True,
    )
    return folder


@pytest.fixture(scope="session")
def shared_backend(tiny_model, tmp_path_factory):
    """One backend for all tests that do not kill it."""
    backend = Backend(tmp_path_factory.mktemp("backend") / "data", tiny_model).start()
    yield backend
    backend.stop()


@pytest.fixture
def backend(shared_backend, monkeypatch):
    """The shared backend, found through the environment."""
    for name, value in shared_backend.environment.items():
        monkeypatch.setenv(name, value)
    return shared_backend


@pytest.fixture
def own_backend(tiny_model, tmp_path):
    """A backend that the test may kill."""
    backend = Backend(tmp_path / "data", tiny_model).start()
    yield backend
    if backend.process.poll() is None:
        backend.stop()


@pytest.fixture(scope="session")
def painter(tmp_path_factory):
    """One backend with an inpainting model for all tests of edits."""
    folder = tmp_path_factory.mktemp("inpaint")
    command = [BACKEND_PYTHON, "-c", INPAINTING, folder / "model"]
    subprocess.run(command, cwd=ROOT, env=clean_environment(), check=True)
    backend = Backend(folder / "data", folder / "model").start()
    yield backend
    backend.stop()


def jobs(backend, *states):
    """Return the backend's jobs in one of these states."""
    found = open_client(backend.access).fetch_json("jobs?limit=1000")["jobs"]
    return [job for job in found if job["status"] in states]


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


def algorithm_of(name):
    """Return a fresh algorithm of ours."""
    return QgsApplication.processingRegistry().createAlgorithmById(f"text2earth:{name}")


def in_worker(name, parameters, qtbot, during=lambda task: None, project=None):
    """Run as the toolbox does, in a worker thread; return (good, results, log)."""
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    if project is not None:
        context.setProject(project)
    algorithm = algorithm_of(name)
    task = QgsProcessingAlgRunnerTask(algorithm, parameters, context, feedback)
    ends = []
    task.executed.connect(lambda good, results: ends.append((good, results)))
    QgsApplication.taskManager().addTask(task)
    during(task)
    qtbot.waitUntil(lambda: bool(ends), timeout=PATIENCE)
    return (*ends[0], feedback.textLog())


def run_batch(dialog):
    """Run the rows of a batch window.

    QGIS 3.22 leaks the exception of a failed row, with it the batch window's frame, with it its task.
    """
    dialog.runAlgorithm()
    for leaked in gc.get_objects():
        if isinstance(leaked, QgsScopedProxyProgressTask) and not sip.isdeleted(leaked):
            sip.delete(leaked)
