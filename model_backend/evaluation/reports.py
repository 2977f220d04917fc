"""How a report is made, printed and written, and what every one says about the machine it was made on.

Knows nothing of what was measured.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model_backend import __version__
from model_backend.errors import BackendError

Report = dict[str, Any]


def run_command(
    given: argparse.Namespace,
    make: Callable[[argparse.Namespace], Report],
    tables: Callable[[Report], str],
) -> int:
    """Make a report, print it, write it to ``given.out``; refusals are sentences. Return an exit code."""
    try:
        report = make(given)
    except (BackendError, OSError, ValueError) as error:
        print(f"text2earth-backend: {error}", file=sys.stderr)
        return 1
    print(tables(report))
    write(report, given.out)
    return 0


def circumstances() -> dict[str, Any]:
    """Tell date, commit, system, and how busy the machine is: processes that want a CPU, per CPU."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "commit": _commit(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load_per_cpu": load(),
    }


def load() -> float | None:
    """Return the running processes per CPU in the last minute; None where the system does not count them."""
    if not hasattr(os, "getloadavg"):
        return None
    return round(os.getloadavg()[0] / (os.cpu_count() or 1), 2)


def write(report: Report, path: Path | None) -> None:
    """Write a report as JSON, if it is wanted; what is no number becomes null."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_clean(report), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def table(rows: Sequence[Sequence[object]]) -> str:
    """Set rows, the first of them the header, in aligned columns: words left, numbers right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [any(isinstance(row[i], int | float) for row in rows) for i in range(len(widths))]
    lines = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clean(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(member) for member in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def _commit() -> str | None:
    """Return the commit of the checkout this runs from, with ``-dirty``; None outside of one."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None
