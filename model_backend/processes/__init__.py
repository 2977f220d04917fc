"""The processes on offer, one file each: their description, inputs and plan.

``get`` and ``every`` are the registry. Knows neither HTTP nor torch; CRS and pixels only through ``raster``.
"""

from __future__ import annotations

from typing import Any

from model_backend.errors import NoSuchProcess
from model_backend.processes import echo, edit, extend, generate, plan
from model_backend.processes.base import Process

_ALL: dict[str, Process[Any]] = {
    item.PROCESS.id: item.PROCESS for item in (generate, edit, extend, plan, echo)
}


def every() -> tuple[Process[Any], ...]:
    """Return all processes in the order of the process list."""
    return tuple(_ALL.values())


def get(process_id: str) -> Process[Any]:
    """Return the process ``process_id``; raises NoSuchProcess."""
    try:
        return _ALL[process_id]
    except KeyError:
        raise NoSuchProcess(
            f"There is no process `{process_id[:100]}`; there are {', '.join(_ALL)}."
        ) from None
