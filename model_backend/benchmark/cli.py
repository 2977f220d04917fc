"""Command line of measuring: ``benchmark`` and ``metrics FILE``. Imports torch only when a command runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_backend.errors import BackendError

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]
    Report = dict[str, Any]
    Make = Callable[[argparse.Namespace], Report]

_DTYPES = ("auto", "float32", "bfloat16", "float16")


def add_parser(subparsers: Subparsers) -> None:
    """Add ``benchmark`` and ``metrics`` to the backend's command line."""
    _add_benchmark(subparsers)
    _add_metrics(subparsers)


def _add_benchmark(subparsers: Subparsers) -> None:
    speed = subparsers.add_parser("benchmark", help="measure speed, beside stock pipelines")
    model = speed.add_mutually_exclusive_group(required=True)
    model.add_argument("--model", help="an id of `models list`, or a model folder")
    model.add_argument("--random-weights", choices=("sd2", "tiny"), help="a model made on the spot")
    speed.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    speed.add_argument("--dtype", choices=_DTYPES, default="auto", help="number format of the UNet")
    speed.add_argument("--threads", type=int, default=0, help="of a CPU; 0: torch's choice")
    speed.add_argument("--size", type=int, nargs="+", default=[512], help="sides of scenes, in pixels")
    speed.add_argument("--sampler", choices=("dpm++2m", "euler"), help="default: the model card's")
    speed.add_argument("--steps", type=int, help="default: the model card's")
    speed.add_argument("--guidance", type=float, help="default: the model card's")
    speed.add_argument(
        "--cutoff", type=float, help="training timestep where guidance stops; default: the card's"
    )
    speed.add_argument("--rounds", type=int, default=3, help="how often everything is measured")
    speed.add_argument("--alone", action="store_true", help="leave the stock pipelines out")
    speed.add_argument("--out", type=Path, help="write the figures to this file, as JSON")
    speed.set_defaults(run=_benchmark)


def _add_metrics(subparsers: Subparsers) -> None:
    metrics = subparsers.add_parser("metrics", help="look for seams, tone steps and repetition in a picture")
    metrics.add_argument("file", type=Path, help="GeoTIFF, PNG or JPEG; a scene of ours knows its lattice")
    metrics.add_argument("--card", help="an id of `models list`, a model folder, or a text2earth.json")
    metrics.add_argument("--window", type=int, help="of a lattice without a card, in latents")
    metrics.add_argument("--stride", type=int, help="of a lattice without a card, in latents")
    metrics.add_argument("--factor", type=int, default=8, help="pixels per latent without a card (8)")
    metrics.add_argument("--singles", type=Path, nargs="+", help="pictures of single windows, for contrast")
    metrics.add_argument("--out", type=Path, help="write the figures to this file, as JSON")
    metrics.set_defaults(run=_metrics)


def _benchmark(given: argparse.Namespace) -> int:
    from model_backend.benchmark import run

    return _tell(given, run.benchmark, run.tables)


def _metrics(given: argparse.Namespace) -> int:
    from model_backend.evaluation import picture_report

    return _tell(given, picture_report.inspect, picture_report.tables)


def _tell(given: argparse.Namespace, make: Make, tables: Callable[[Report], str]) -> int:
    """Make a report, print it and write it; refusals are sentences."""
    from model_backend.evaluation.reports import write

    try:
        report = make(given)
    except (BackendError, OSError, ValueError) as error:
        print(f"text2earth-backend: {error}", file=sys.stderr)
        return 1
    print(tables(report))
    write(report, given.out)
    return 0
