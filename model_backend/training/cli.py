"""Command line of training: ``train-mini``. Imports torch only when a command runs."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Add ``train-mini`` to the backend's command line."""
    train = subparsers.add_parser("train-mini", help="train the bundled model text2earth-mini")
    train.add_argument("--stage", choices=("autoencoder", "diffusion"), required=True)
    train.add_argument("--data", type=Path, required=True, help="folder of the parquet files")
    train.add_argument("--work", type=Path, default=Path(".scratch/mini"), help="checkpoints, logs, sheets")
    train.add_argument("--minutes", type=float, help="training time, all resumes together")
    train.add_argument("--processes", type=int, help="one thread each; default: cores of a CPU, 1 on a GPU")
    train.set_defaults(run=_train)


def _train(arguments: argparse.Namespace) -> int:
    import tempfile

    import torch
    from torch.multiprocessing.spawn import spawn

    count = arguments.processes or (1 if torch.cuda.is_available() else os.cpu_count() or 1)
    if count == 1:
        _work(0, 1, None, arguments)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        job = (count, Path(folder) / "meeting", arguments)
        spawn(_work, job, nprocs=count)  # type: ignore[no-untyped-call]
    return 0


def _work(rank: int, size: int, meeting: Path | None, arguments: argparse.Namespace) -> None:
    from model_backend.training import autoencoder, data, diffusion, loop

    team = loop.Team(rank, size, meeting)
    chips = data.load(arguments.data, arguments.work / "cache")
    budget = loop.Budget(arguments.minutes)
    if arguments.stage == "autoencoder":
        autoencoder.Stage(arguments.work, autoencoder.Options(), budget, team).run(chips)
    else:
        diffusion.Stage(arguments.work, diffusion.Options(), budget, team).run(chips)


def main() -> int:
    """Run one training command: ``python -m model_backend.training.cli train-mini ...``."""
    parser = argparse.ArgumentParser(prog="model_backend.training")
    add_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args()
    return int(arguments.run(arguments))


if __name__ == "__main__":
    raise SystemExit(main())
