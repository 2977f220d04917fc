"""A program of its own: transfers cancelled at random moments by parallel users of the transport.

``transfer_load.py URL`` prints a JSON line with what became of them. A hang ends it after five minutes.
"""

import faulthandler
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
faulthandler.enable()
faulthandler.dump_traceback_later(300, exit=True)

from qgis.core import QgsApplication, QgsTask  # noqa: E402
from qgis.PyQt.QtCore import QTimer  # noqa: E402

from text2earth_qgis.core.errors import Cancelled  # noqa: E402
from text2earth_qgis.core.threads import pool_of_tasks  # noqa: E402
from text2earth_qgis.core.wire import calls  # noqa: E402
from text2earth_qgis.core.wire.access import Access  # noqa: E402
from text2earth_qgis.core.wire.async_client import AsyncClient  # noqa: E402
from text2earth_qgis.core.wire.schemas import Link  # noqa: E402
from text2earth_qgis.core.wire.transport import open_client  # noqa: E402

USERS, TRANSFERS, ASKED = 4, 50, 50


class Deadline:
    """A feedback that is cancelled some milliseconds from now: every fourth one at once, another never."""

    def __init__(self, index):
        pause = {0: 0.0, 1: float("inf")}.get(index // 2 % 4, random.uniform(0, 0.08))
        self.end = time.monotonic() + pause

    def isCanceled(self):
        return time.monotonic() >= self.end


class User(QgsTask):
    """Transfers one thing after the other in a worker thread."""

    def __init__(self, number, access, folder):
        super().__init__(f"user {number}", QgsTask.Flag.CanCancel)
        self.number, self.access, self.folder = number, access, folder
        self.ends = Counter()

    def run(self):
        for index in range(TRANSFERS):
            client = open_client(self.access, Deadline(index))
            try:
                if index % 2:
                    client.download(Link("file"), self.folder / f"{self.number}.tif")
                else:
                    client.execute("generate", {"prompt": "x" * 50_000}, "key")
                self.ends["done"] += 1
            except Cancelled:
                self.ends["cancelled"] += 1
        return True


def main(url):
    app = QgsApplication([], False)
    app.initQgis()
    pool_of_tasks().setMaxThreadCount(USERS + 1)
    access, ends, gaps = Access(url, token="x"), Counter(), []
    client = AsyncClient(access)
    with tempfile.TemporaryDirectory() as folder:
        users = [User(number, access, Path(folder)) for number in range(USERS)]

        def ask():  # the main thread is a user too
            if sum(ends.values()) >= ASKED:
                return
            pending = client.run(calls.fetch("file"), lambda _v: count("done"), lambda _e: count("failed"))
            QTimer.singleShot(random.randrange(40), lambda: drop(pending))

        def drop(pending):
            if pending in client._pending:
                pending.cancel()
                count("cancelled")

        def count(what):
            ends[what] += 1
            QTimer.singleShot(0, ask)

        def finish():
            total = sum((user.ends for user in users), Counter())
            if sum(total.values()) == USERS * TRANSFERS and sum(ends.values()) >= ASKED:
                told = {"workers": total, "main": ends, "longest_gap_ms": 1000 * max(gaps)}
                print(json.dumps(told), flush=True)
                app.quit()

        last = time.monotonic()

        def tick():
            nonlocal last
            now = time.monotonic()
            gaps.append(now - last - 0.01)
            last = now

        beat, end = QTimer(), QTimer()
        beat.timeout.connect(tick)
        beat.start(10)
        end.timeout.connect(finish)
        end.start(100)
        for user in users:
            QgsApplication.taskManager().addTask(user)
        ask()
        app.exec()


if __name__ == "__main__":
    main(sys.argv[1])
