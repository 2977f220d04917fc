"""Timers that act once each time they are started. Main thread only."""

from __future__ import annotations

from typing import Callable, Optional

from qgis.PyQt.QtCore import QObject, QTimer


def single_shot(parent: Optional[QObject], act: Callable[[], object], pause_ms: int = 0) -> QTimer:
    """Return a timer that calls ``act`` so many milliseconds after it was started; 0: in the next turn."""
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(pause_ms)
    timer.timeout.connect(act)
    return timer
