"""The processes on offer, one object each: description, inputs, plan, and the handler that runs them.

``get`` and ``every`` look them up. Knows neither HTTP nor torch; CRS and pixels only through ``raster``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from model_backend.errors import NoSuchProcess
from model_backend.processes import echo, edit, extend, generate
from model_backend.processes.base import Process
from model_backend.processes.plan import PlanProcess
from model_backend.processes.reading import read

_IMAGERY = (generate.PROCESS, edit.PROCESS, extend.PROCESS)
_OFFERED: dict[str, Process[Any]] = {
    process.id: process for process in (*_IMAGERY, PlanProcess(_IMAGERY), read.PROCESS, echo.PROCESS)
}
_registered: list[str] = []


def every() -> tuple[Process[Any], ...]:
    """Return all processes in the order of the process list."""
    return tuple(_OFFERED.values())


def get(process_id: str) -> Process[Any]:
    """Return the process ``process_id``; raises NoSuchProcess."""
    try:
        return _OFFERED[process_id]
    except KeyError:
        raise NoSuchProcess(
            f"There is no process `{process_id[:100]}`; there are {', '.join(_OFFERED)}."
        ) from None


def register(module: str) -> None:
    """Offer the process ``PROCESS`` of an importable module too, here and in the workers of this backend."""
    process: Process[Any] = import_module(module).PROCESS
    _OFFERED[process.id] = process
    _registered.append(module)


def registered() -> tuple[str, ...]:
    """Return the modules that were registered, which a new worker has to register for itself."""
    return tuple(_registered)
