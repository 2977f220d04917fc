"""Notes what a watcher of a run says, and waits for its end."""

from tests.support.qgis.toolbox import PATIENCE


def noted(watcher):
    """Return the watcher, which collects what it tells in ``told`` and how it ended in ``ends``."""
    watcher.told, watcher.ends = [], []
    watcher.changed.connect(watcher.told.append)
    watcher.finished.connect(lambda run: watcher.ends.append("finished"))
    watcher.failed.connect(lambda run, sentence: watcher.ends.append(sentence))
    watcher.dismissed.connect(lambda run: watcher.ends.append("dismissed"))
    return watcher


def ended(qtbot, watcher, timeout=PATIENCE):
    """Wait for the end of a noted watcher; return ``finished``, ``dismissed`` or why it failed."""
    qtbot.waitUntil(lambda: bool(watcher.ends), timeout=timeout)
    return watcher.ends[0]
