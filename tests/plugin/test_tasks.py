"""Work in QGIS's workers: it is done and calls back whoever holds it, and lends its thread once."""

import gc
import threading

import pytest
from qgis.PyQt.QtCore import QRunnable

from tests.support.qgis.toolbox import PATIENCE
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.tasks import BackgroundTask
from text2earth_qgis.core.threads import pool_of_tasks, pool_thread_released

pytestmark = pytest.mark.fast


def answers(qtbot, *work):
    """Return how each work ends, started and held by nobody."""
    found = []
    for number, one in enumerate(work):
        BackgroundTask("testing", one, lambda *made, number=number: found.append((number, *made))).start()
    gc.collect()
    qtbot.waitUntil(lambda: len(found) == len(work), timeout=PATIENCE)
    return [made for _number, *made in sorted(found, key=lambda one: one[0])]


def test_what_nobody_holds_calls_back(qtbot):
    assert answers(qtbot, *[lambda _listener, n=n: n for n in range(9)]) == [[n, None] for n in range(9)]


def test_failures_are_told(qtbot):
    def refuse(_listener):
        raise PluginError("Not like this.")

    (found, error), (nothing, accident) = answers(qtbot, refuse, lambda _listener: 1 / 0)
    assert (found, str(error)) == (None, "Not like this.")
    assert nothing is None
    assert "ZeroDivisionError" in str(accident)


@pytest.fixture
def busy(qtbot):
    """QGIS's pool without a free thread; calling it frees them."""
    pool, free = pool_of_tasks(), threading.Event()
    assert pool.waitForDone(PATIENCE)

    class Rendering(QRunnable):
        def run(self):
            free.wait(60)

    for _ in range(pool.maxThreadCount()):
        pool.start(Rendering())
    qtbot.waitUntil(lambda: pool.activeThreadCount() >= pool.maxThreadCount(), timeout=PATIENCE)
    yield free.set
    free.set()


def test_what_waits_for_a_thread_is_not_lost(qtbot, busy):
    """QGIS takes tasks from the line of its pool for others that are over."""
    found = []
    BackgroundTask("testing", lambda _listener: 7, lambda *made: found.append(made)).start()
    qtbot.wait(100)
    pool_of_tasks().clear()
    busy()
    qtbot.waitUntil(lambda: found == [(7, None)], timeout=PATIENCE)


@pytest.mark.parametrize("dropped", [False, True])
def test_what_waits_for_a_thread_can_be_cancelled(qtbot, busy, dropped):
    found = []
    waiting = BackgroundTask("testing", lambda _listener: 7, lambda *made: found.append(made))
    waiting.start()
    waiting.drop() if dropped else waiting.cancel()
    assert found == ([] if dropped else [(None, None)])
    busy()
    qtbot.wait(100)
    assert len(found) == (not dropped), "it does not begin after that"


def test_nothing_is_kept_of_what_is_over(qtbot):
    from text2earth_qgis.core import tasks

    answers(qtbot, lambda _listener: 1)
    dropped = BackgroundTask("testing", lambda _listener: 1, lambda *_made: None)
    dropped.start()
    dropped.drop()
    qtbot.waitUntil(lambda: not tasks._under_way, timeout=PATIENCE)


def test_the_thread_is_lent_once(qtbot):
    """Lent twice, it would let QGIS's pool begin one thread too many."""

    def count(_listener):  # ``BackgroundTask`` has lent it already
        pool = pool_of_tasks()
        found = [pool.activeThreadCount()]
        with pool_thread_released():
            found.append(pool.activeThreadCount())
            with pool_thread_released():
                found.append(pool.activeThreadCount())
        return [*found, pool.activeThreadCount()]

    assert pool_of_tasks().waitForDone(PATIENCE)
    ((found, error),) = answers(qtbot, count)
    assert error is None
    assert len(set(found)) == 1, found
