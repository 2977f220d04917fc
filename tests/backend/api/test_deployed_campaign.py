"""The command that kills a deployed backend while it works, against one whose worker dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from launcher import ROOT
from tests.support.backend.service import NO_MODEL, Backend


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="the commands of a campaign are those of a shell")
def test_a_campaign_counts_what_came_of_its_jobs(start: Callable[..., Backend]) -> None:
    server = start(*NO_MODEL)
    kill = f"pkill -KILL -P {server.process.pid}"
    command = [sys.executable, "-m", "tests.support.backend.deployed_campaign", "--kill", kill]
    done = subprocess.run(
        [*command, "--kills", "1", "--data-dir", str(server.data_dir)],
        cwd=ROOT,
        env=os.environ | server.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    seen = json.loads(done.stdout)
    assert (done.returncode, seen["faults"]) == (0, [])
    assert seen["jobs that were struck"] >= 1
    assert list(seen["seconds until it was ready again"]) == [kill]
    assert set(seen["jobs"]) == {"by example", "by a model", "filled", "echo"}
