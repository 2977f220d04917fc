"""Handlers: how a claimed block becomes results, a module per kind of process.

A process names its handler (``Process.handler``); it is imported here, with its first block. Knows the order
of things; pixels are made in ``engine``, files in ``raster``, models in ``models``. Whatever a handler raises
ends at the worker's loop.
"""

from __future__ import annotations

from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

from model_backend.jobs.context import JobContext
from model_backend.jobs.store.rows import Claim, Result
from model_backend.processes.base import Process

#: Runs the claimed block of a job of the process; returns the outputs that are complete with it.
Handler = Callable[[Process[Any], Claim, JobContext], list[Result]]


def run(process: Process[Any], claim: Claim, context: JobContext) -> list[Result]:
    """Run a block by the handler of its process."""
    handler: Handler = resolve_name(process.handler)
    return handler(process, claim, context)
