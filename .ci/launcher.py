"""Starts a real backend in a process of its own, for the demo and for tests.

Standard library only: QGIS's own Python uses it too.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parent.parent
BACKEND_PYTHON = ROOT / ".venv" / "backend" / "bin" / "python"
# What would lead the backend's Python, GDAL or settings astray.
FOREIGN = ("PYTHON", "VIRTUAL_ENV", "QT_", "QGIS", "GDAL_", "PROJ_", "LD_", "CONDA", "TEXT2EARTH_")

Self = TypeVar("Self", bound="BackendProcess")


def clean_environment() -> dict[str, str]:
    """Return the caller's environment without QGIS's own libraries and without settings of a backend."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(FOREIGN)}


class BackendProcess:
    """One backend on a loopback port; it may be killed and started again on the same data directory.

    ``flags`` are those of ``model_backend serve``, ``settings`` its TEXT2EARTH_ variables without the prefix,
    ``variables`` other ones.
    """

    program = "model_backend"  # the module that is run

    def __init__(
        self, data_dir: Path, *flags: str, variables: dict[str, str] | None = None, **settings: object
    ) -> None:
        self.data_dir, self.port = data_dir, 0
        self._flags = flags
        self._variables = {f"TEXT2EARTH_{name.upper()}": str(value) for name, value in settings.items()}
        self._variables |= variables or {}
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        """The token that it made at its first start."""
        return (self.data_dir / "token").read_text().split()[0]

    @property
    def environment(self) -> dict[str, str]:
        """The variables through which the plugin finds it."""
        return {"TEXT2EARTH_BACKEND_URL": self.url, "TEXT2EARTH_TOKEN": self.token}

    @property
    def process(self) -> subprocess.Popen[str]:
        """The running process."""
        assert self._process is not None, "the backend is not running"
        return self._process

    @property
    def log_path(self) -> Path:
        """The file beside the data directory with all that it logs."""
        return self.data_dir.with_suffix(".log")

    @property
    def log(self) -> str:
        """All that it has logged."""
        return self.log_path.read_text()

    def start(self: Self, port: int = 0) -> Self:
        """Start it on a port, or on a free one, and return once it listens."""
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        command = [str(BACKEND_PYTHON), "-m", self.program, "serve", "--port", str(port)]
        with self.log_path.open("a") as log:
            self._process = subprocess.Popen(
                [*command, "--data-dir", str(self.data_dir), *self._flags],
                cwd=ROOT,
                env=clean_environment() | self._variables,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found = re.fullmatch(r"Listening on http://127\.0\.0\.1:(\d+)\n", line)
        if not found:
            self.kill_all()
            raise RuntimeError(f"The backend did not start; it said {line!r}.\n{self.log}")
        self.port = int(found[1])
        return self

    def stop(self) -> int:
        """Ask it to end, if it runs; return its exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        return self._end()

    def kill(self) -> None:
        """End it at once; its workers notice."""
        self.process.kill()
        self._end()

    def kill_all(self) -> None:
        """End it and its workers at once, as a power cut would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self._end()

    def _end(self) -> int:
        process, self._process = self.process, None
        try:
            return process.wait(60)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
