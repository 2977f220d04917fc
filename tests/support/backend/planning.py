"""Plans without a backend: what they depend on, made up by the test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model_backend import processes
from model_backend.models.registry import Registry
from model_backend.processes.base import PlanContext, StoredRaster
from model_backend.processes.imagery import ImageryProcess
from model_backend.schemas import Plan, Upload
from model_backend.settings import Settings


def plan_context(
    limits: Settings,
    rate: float | None = None,
    profile: Mapping[str, Any] | None = None,
    rasters: Mapping[str, Path] | None = None,
    registry: Registry | None = None,
) -> PlanContext:
    """Return a context in which every model was measured at ``rate``; ``rasters`` are files by input."""

    def measured(model: str) -> tuple[Mapping[str, Any], float] | None:
        return None if rate is None and profile is None else (profile or {}, rate or 1.0)

    def raster(field: str, named: Upload) -> StoredRaster:
        assert rasters is not None, f"nobody has a raster as `{field}`"
        return StoredRaster(rasters[field], "0" * 64)

    return PlanContext(registry or Registry(limits), limits, measured, raster)


def planned(
    process_id: str, inputs: Mapping[str, Any], limits: Settings, rate: float | None = None, **known: Any
) -> Plan:
    """Return what the inputs of a process come to; ``known`` goes into the context."""
    process: ImageryProcess[Any] = processes.get(process_id)  # type: ignore[assignment]
    return process.plan(process.parse(inputs), plan_context(limits, rate, **known))
