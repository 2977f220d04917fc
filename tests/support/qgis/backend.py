"""Backends with tiny models for the tests inside QGIS, whose own Python has neither torch nor the backend."""

import subprocess
from pathlib import Path

from launcher import BACKEND_PYTHON, ROOT, BackendProcess, clean_environment
from text2earth_qgis.core.settings import Access
from text2earth_qgis.core.wire.transport import open_client


class Backend(BackendProcess):
    """A backend, and how the plugin reaches it."""

    @property
    def access(self):
        return Access(self.url, token=self.token)

    @property
    def uploads(self):
        """The files of uploads that are there, in order."""
        return sorted((self.data_dir / "uploads").glob("*/*"))

    def jobs(self, *states):
        """Return its jobs, newest first; those in one of these states, if any are given."""
        found = open_client(self.access).fetch_json("jobs?limit=1000")["jobs"]
        return [job for job in found if not states or job["status"] in states]


def build_model(folder: Path, pipeline: str = "text2image") -> Path:
    """Build a tiny random model in a folder with the backend's Python; return the folder."""
    _build("tiny_models", folder, pipeline)
    return folder


def build_bank(folder: Path, name: str) -> Path:
    """Build a tiny bank of images in a folder with the backend's Python; return its own folder."""
    _build("tiny_bank", folder, name)
    return folder / name


def _build(module: str, folder: Path, what: str) -> None:
    command = [str(BACKEND_PYTHON), "-m", f"tests.support.backend.{module}", str(folder), what]
    subprocess.run(command, cwd=ROOT, env=clean_environment(), check=True)
