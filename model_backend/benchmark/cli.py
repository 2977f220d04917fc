"""Command line of the benchmark: of the backend, and of a bare GPU box. Imports torch only when it runs."""

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
    _add_speed(subparsers, "benchmark")


def _add_speed(subparsers: Subparsers, name: str) -> None:
    speed = subparsers.add_parser(name, help="measure speed, beside stock pipelines")
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


def _add_formats(subparsers: Subparsers) -> None:
    formats = subparsers.add_parser("formats", help="compare number formats of UNet and decoder")
    formats.add_argument("--random-weights", choices=("sd2", "tiny"), default="sd2")
    formats.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    formats.add_argument("--steps", type=int, default=20, help="of Euler")
    formats.add_argument("--out", type=Path, help="write the figures to this file, as JSON")
    formats.set_defaults(run=_formats)


def _add_session(subparsers: Subparsers) -> None:
    visit = subparsers.add_parser("session", help="all that is wanted of a GPU, within minutes")
    visit.add_argument("--minutes", type=float, default=12, help="for everything")
    visit.add_argument("--out", type=Path, required=True, help="folder of the results")
    visit.add_argument("--data", type=Path, help="training data; without any nothing is trained")
    visit.add_argument("--training-minutes", type=float, help="at most; default: what is left")
    visit.add_argument("--work", type=Path, default=Path(".scratch/session"), help="folder of the training")
    visit.add_argument("--random-weights", choices=("sd2", "tiny"), default="sd2", help="tiny: a rehearsal")
    visit.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    visit.set_defaults(run=_session)


def _formats(given: argparse.Namespace) -> int:
    from model_backend.benchmark import formats

    return run_command(given, formats.formats, formats.tables)


def _session(given: argparse.Namespace) -> int:
    from model_backend.benchmark import session

    return session.run(given)


def main() -> int:
    """Run one command without the rest of the backend."""
    parser = argparse.ArgumentParser(prog="model_backend.benchmark")
    commands = parser.add_subparsers(required=True)
    _add_speed(commands, "speed")
    _add_formats(commands)
    _add_session(commands)
    given = parser.parse_args()
    return int(given.run(given))
