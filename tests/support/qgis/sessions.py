"""Scripts of tests that run in a QGIS of their own: started, waited for, looked at."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from launcher import ROOT
from tests.support.qgis.window import SCREENS

SESSIONS = ROOT / "tests" / "window" / "sessions"


def run_session(
    name: str, folder: Path, *options: str, wrapper: Sequence[str] = (), **variables: str
) -> subprocess.CompletedProcess:
    """Run a script in a QGIS of its own, whose profile and results stay in ``folder``.

    ``wrapper`` is a command that runs what follows it.
    """
    SCREENS.mkdir(parents=True, exist_ok=True)
    command = [*wrapper, ROOT / ".ci" / "qgis", "--profile", folder / "profile", "--limit", "600", *options]
    # QGIS asks before it closes a project with layers below the temporary folder, where a checkout may lie.
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "TMPDIR": str(temporary),
        "SESSION_ROOT": str(ROOT),
        "SESSION_FOLDER": str(SESSIONS),
        "SESSION_OUT": str(folder / "job"),
        "SESSION_SCREEN": str(SCREENS / f"{name}.png"),
        **variables,
    }
    settings = f"text2earth/folder={folder / 'results'}"
    return subprocess.run(
        [*command, "--set", settings, "window", SESSIONS / f"{name}.py"],
        env=environment, capture_output=True, text=True, timeout=700, check=False,
    )  # fmt: skip
