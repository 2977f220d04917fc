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
    command = [str(BACKEND_PYTHON), "-m", "tests.support.backend.tiny_models", str(folder), pipeline]
    subprocess.run(command, cwd=ROOT, env=clean_environment(), check=True)
    return folder
