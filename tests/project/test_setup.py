"""Setting up the environments: where it fails, those that were there are there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from launcher import ROOT

pytestmark = pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="it is for Debian")


def script(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o700)
    return path


def test_a_set_up_that_fails_leaves_the_environments_as_they_were(tmp_path: Path) -> None:
    """A Python that makes an environment whose pip finds no network; once it was killed before."""
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "model_backend").mkdir()
    (tmp_path / "model_backend" / "one.py").touch()
    for name in ("backend", "plugin.before"):
        (tmp_path / ".venv" / name).mkdir(parents=True)
        (tmp_path / ".venv" / name / "old").touch()
    script(tmp_path / "bin" / "dpkg-query", 'echo "install ok installed"')
    no_network = script(tmp_path / "bin" / "pip", "touch installed", "exit 1")
    python = script(tmp_path / "bin" / "python", 'mkdir -p "$3/bin"', f'cp {no_network} "$3/bin/pip"')
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        [tmp_path / ".ci" / "setup"],
        env=os.environ | {"PATH": path, "BACKEND_PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert (tmp_path / "installed").exists(), "it came so far"
    found = sorted(str(one.relative_to(tmp_path / ".venv")) for one in (tmp_path / ".venv").rglob("*"))
    assert found == ["backend", "backend/old", "plugin", "plugin/old"]
