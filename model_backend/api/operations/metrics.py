"""Figures for Prometheus: ``GET /metrics``.

What jobs came to are rows of the job store; the rest is looked at when it is asked for. No owner and no
prompt is named. Any token may ask: what it learns of others is how many jobs there are.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from model_backend import __version__
from model_backend.api.backend import Backend
from model_backend.jobs.store.tally import SECONDS

PATIENCE = 5.0  # seconds for the driver of a GPU

router = APIRouter()


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Return all figures in Prometheus's text format."""
    # Imported here: who does not ask for figures need not wait for it at the start.
    from prometheus_client import CollectorRegistry, ProcessCollector
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Figures(request.app.state.backend))
    return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})


class _Figures:
    """What Prometheus's registry collects."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def collect(self) -> Iterator[Any]:
        """Yield all families of figures."""
        yield from self._now()
        yield from self._counted()
        yield from self._machine()

    def _now(self) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

        backend = self._backend
        model = backend.registry.default().card.id
        yield InfoMetricFamily("text2earth", "This backend.", value={"version": __version__, "model": model})
        mode = GaugeMetricFamily("text2earth_mode", "1 for how it is set.", labels=["mode"])
        now = backend.store.administration.mode()
        for name in ("open", "paused", "draining"):
            mode.add_metric([name], float(name == now))
        yield mode
        jobs = GaugeMetricFamily(
            "text2earth_jobs", "Unfinished jobs by their owners' priority.", labels=["priority", "status"]
        )
        for priority, status, count in backend.store.administration.queue():
            jobs.add_metric([f"{priority:g}", status], count)
        yield jobs
        workers = GaugeMetricFamily(
            "text2earth_workers", "Workers by device and state.", labels=["device", "state"]
        )
        states: defaultdict[tuple[str, str], int] = defaultdict(int)
        for worker in backend.supervisor.health():
            states[worker["device"], worker["state"]] += 1
        for labels, count in states.items():
            workers.add_metric(labels, count)
        yield workers

    def _counted(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        values: defaultdict[str, dict[tuple[str, str], float]] = defaultdict(dict)
        for name, process, label, value in self._backend.store.administration.tallies():
            values[name][process, label] = value
        for name, about, label in _COUNTERS:
            family = CounterMetricFamily(
                f"text2earth_{name}", about, labels=["process", label][: 1 + bool(label)]
            )
            for labels, value in values[name].items():
                family.add_metric(labels[: 1 + bool(label)], value)
            yield family
        seconds = HistogramMetricFamily(
            "text2earth_job_seconds", "How long jobs took that were successful.", labels=["process"]
        )
        for (process, _), total in values["seconds_sum"].items():
            buckets, so_far = [], 0.0
            for end in (*map(str, SECONDS), "+Inf"):
                so_far += values["seconds"].get((process, end), 0.0)
                buckets.append((end, so_far))
            seconds.add_metric([process], buckets, total)
        yield seconds
        answers = CounterMetricFamily("text2earth_http_answers", "Answers.", labels=["method", "status"])
        for (method, status), count in dict(self._backend.audit.answers).items():
            answers.add_metric([method, str(status)], count)
        yield answers

    def _machine(self) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily

        disk = GaugeMetricFamily("text2earth_disk_bytes", "The disk of the data folder.", labels=["part"])
        known = shutil.disk_usage(self._backend.settings.data_dir)
        for part in ("total", "used", "free"):
            disk.add_metric([part], getattr(known, part))
        yield disk
        memory = GaugeMetricFamily(
            "text2earth_worker_memory_bytes", "Memory that workers hold.", labels=["device"]
        )
        for device, pid in self._backend.supervisor.processes():
            if (held := _resident(pid)) is not None:
                memory.add_metric([device], held)
        yield memory
        gpus = GaugeMetricFamily("text2earth_device_memory_bytes", "Memory of GPUs.", labels=["gpu", "part"])
        for gpu, used, total in _gpus():
            gpus.add_metric([gpu, "used"], used)
            gpus.add_metric([gpu, "total"], total)
        yield gpus


_COUNTERS = (
    ("jobs_ended", "Jobs that ended, by how.", "status"),
    ("failures", "Jobs that failed, by the kind of failure.", "kind"),
    ("blocks", "Blocks that were made.", ""),
    ("evaluations", "Units of work of imagery: evaluations of the UNet, where there is one.", ""),
)


def _resident(pid: int) -> int | None:
    """Return the bytes of memory that a process holds; None where the system does not say."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):  # another system, or it has ended
        return None


def _gpus() -> Iterator[tuple[str, float, float]]:
    """Yield (number, bytes used, bytes) of NVIDIA's GPUs, as their driver says."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return
    command = [tool, "--query-gpu=index,memory.used,memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return
    for line in said.splitlines():
        index, used, total = (part.strip() for part in line.split(","))
        if used.isdecimal() and total.isdecimal():
            yield index, int(used) * float(1 << 20), int(total) * float(1 << 20)
