"""Transfers cancelled at random moments by parallel users neither hang nor crash."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

from tests.support.web_server import File, Reply


def test_two_hundred_cancelled_transfers(web):
    file = File(bytes(1 << 20) * 4)

    def answer(request):
        time.sleep(random.uniform(0, 0.03))
        return file(request) if request.path == "/file" else Reply(201, b"", {"Location": "/jobs/a"})

    web.answer = answer
    program = Path(__file__).parents[1] / "support" / "qgis" / "transfer_load.py"
    done = subprocess.run([sys.executable, program, web.url], capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    print(told)
    assert sum(told["workers"].values()) == 200
    assert set(told["workers"]) == {"done", "cancelled"}
    assert told["workers"]["cancelled"] > 20
    assert set(told["main"]) <= {"done", "cancelled"}
