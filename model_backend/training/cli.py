"""Command line of training: ``train-mini``. Imports torch only when a command runs."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Add ``train-mini`` to the backend's command line."""
    train = subparsers.add_parser("train-mini", help="train the bundled model text2earth-mini")
    train.add_argument(
        "--stage", choices=("autoencoder", "decoder", "diffusion", "rims", "export"), required=True
    )
    train.add_argument("--data", type=Path, required=True, help="folder of the parquet files")
    train.add_argument("--work", type=Path, default=Path(".scratch/mini"), help="checkpoints, logs, sheets")
    train.add_argument("--minutes", type=float, default=10, help="training time, all resumes together")
    train.add_argument(
        "--batch", type=int, help="samples per step; default: 16, 16, 32 and 8, 8 times that on a GPU"
    )
    train.add_argument("--processes", type=int, help="one thread each; default: cores of a CPU, 1 on a GPU")
    train.add_argument("--out", type=Path, help="model folder that the stage `export` writes")
    train.set_defaults(run=_train)


def _train(arguments: argparse.Namespace) -> int:
    import torch
    from torch.multiprocessing.spawn import spawn

    if arguments.stage == "export":
        return _export(arguments)
    if arguments.stage == "decoder":
        return _sharpen(arguments)
    count = arguments.processes or (1 if torch.cuda.is_available() else os.cpu_count() or 1)
    if count == 1:
        _work(0, 1, None, arguments)
        return 0
    memory = Path("/dev/shm")  # gradients meet in a file there; nothing of it should reach a disk
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        job = (count, Path(folder) / "meeting", arguments)
        spawn(_work, job, nprocs=count)  # type: ignore[no-untyped-call]
    return 0


def _work(rank: int, size: int, meeting: Path | None, arguments: argparse.Namespace) -> None:
    """Train one stage as one process of a team."""
    from dataclasses import replace

    from model_backend.training import autoencoder, data, diffusion, edge_distillation, loop

    team = loop.Team(rank, size, meeting)
    chips = data.load(arguments.data, arguments.work / "cache")
    budget = loop.Budget(arguments.minutes)
    times = 8 if loop.device().type == "cuda" else 1
    stage = {"autoencoder": autoencoder, "diffusion": diffusion, "rims": edge_distillation}[arguments.stage]
    options = stage.Options()
    options = replace(options, batch=arguments.batch or times * options.batch)
    stage.Stage(arguments.work, options, budget, team).run(chips)


def _sharpen(arguments: argparse.Namespace) -> int:
    """Train the decoder in this process: it and its critic take turns, which a team would have to share."""
    from dataclasses import replace

    from model_backend.training import data, decoder, loop

    options = decoder.Options()
    times = 8 if loop.device().type == "cuda" else 1
    options = replace(options, batch=arguments.batch or times * options.batch)
    chips = data.load(arguments.data, arguments.work / "cache")
    decoder.Stage(arguments.work, options, loop.Budget(arguments.minutes)).run(chips)
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from model_backend.training import data, export

    if arguments.out is None:
        print("The stage `export` needs --out, the model folder to write.", file=sys.stderr)
        return 2
    chips = data.load(arguments.data, arguments.work / "cache")
    export.write(arguments.work, arguments.out, chips)
    return 0


def main() -> int:
    """Run one command without the rest of the backend: ``python -m model_backend.training.cli ...``."""
    parser = argparse.ArgumentParser(prog="model_backend.training.cli")
    add_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args()
    return int(arguments.run(arguments))


if __name__ == "__main__":
    raise SystemExit(main())
