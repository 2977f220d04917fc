"""Command line of the benchmark: ``benchmark``. Imports torch only when it runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from model_backend.evaluation.reports import run_command

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_DTYPES = ("auto", "float32", "bfloat16", "float16")


def add_parser(subparsers: Subparsers) -> None:
    """Add ``benchmark`` to the backend's command line."""
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


def _benchmark(given: argparse.Namespace) -> int:
    from model_backend.benchmark import run

    return run_command(given, run.benchmark, run.tables)
