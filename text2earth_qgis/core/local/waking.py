"""Wakes the backend on this computer for whoever waits: unused for a while it has ended itself."""

from __future__ import annotations

from qgis.PyQt.QtCore import QProcess

from text2earth_qgis.core import settings
from text2earth_qgis.core.errors import Cancelled, PluginError, Unreachable
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.local import starting
from text2earth_qgis.core.settings import Settings
from text2earth_qgis.core.threads import Feedback
from text2earth_qgis.core.wire.access import Access
from text2earth_qgis.core.wire.transport import open_client

LOOK_MS = 200  # between two looks whether the user wants no more of it


def awake(chosen: Settings, feedback: Feedback) -> Access:
    """Return how to reach the backend that the settings name, started first if it is one that can be.

    Waits, in any thread; raises ``PluginError`` if it does not start.
    """
    access = settings.access(chosen)
    if access.own and starting.python(chosen) and not _answers(access, feedback):
        _start(chosen, feedback)
        return settings.access(chosen)
    return access


def _answers(access: Access, feedback: Feedback) -> bool:
    if not settings.own_address():  # whoever answers then is somebody else
        return False
    try:
        open_client(access, feedback).healthz()
    except Unreachable:
        return False
    return True


def _start(chosen: Settings, feedback: Feedback) -> None:
    process = QProcess()
    starting.run(process, chosen)
    while process.state() != QProcess.ProcessState.NotRunning and not process.waitForFinished(LOOK_MS):
        if feedback.isCanceled():
            process.kill()
            process.waitForFinished(LOOK_MS)
            raise Cancelled(tr("Cancelled."))
    if not starting.url_of(process):
        raise PluginError(starting.reason(process))
