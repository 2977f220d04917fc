"""Command line of training: ``train-mini``, ``bank`` and ``bank-sheets``. Imports torch only when needed."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_STAGES = ("autoencoder", "decoder", "diffusion", "edge-distillation", "export")


def add_parser(subparsers: Subparsers) -> None:
    """Add the commands of training to the backend's command line."""
    _add_bank(subparsers)
    train = subparsers.add_parser("train-mini", help="train the bundled model text2earth-mini")
    train.add_argument("--stage", choices=_STAGES, required=True)
    train.add_argument("--data", type=Path, required=True, help="folder of the parquet files")
    train.add_argument("--work", type=Path, default=Path(".scratch/mini"), help="checkpoints, logs, sheets")
    train.add_argument("--minutes", type=float, default=10, help="training time, all resumes together")
    train.add_argument(
        "--batch", type=int, help="samples per step; default: 16, 16, 32 and 8, 8 times that on a GPU"
    )
    train.add_argument("--processes", type=int, help="one thread each; default: cores of a CPU, 1 on a GPU")
    train.add_argument("--out", type=Path, help="model folder that the stage `export` writes")
    train.set_defaults(run=_train)


def _add_bank(subparsers: Subparsers) -> None:
    bank = subparsers.add_parser("bank", help="build the bundled bank of example images")
    bank.add_argument("--data", type=Path, required=True, help="folder of the parquet files")
    bank.add_argument("--out", type=Path, required=True, help="folder of the bank")
    bank.set_defaults(run=_bank)
    sheets = subparsers.add_parser("bank-sheets", help="draw all images of a bank, to be judged by eye")
    sheets.add_argument("--bank", type=Path, required=True, help="folder of the bank")
    sheets.add_argument("--out", type=Path, required=True, help="folder of the sheets")
    sheets.set_defaults(run=_bank_sheets)


def _bank(arguments: argparse.Namespace) -> int:
    from model_backend.training.bank import build
    from model_backend.training.bank.choice import Choice

    build.build(arguments.data, arguments.out, Choice.read())
    return 0


def _bank_sheets(arguments: argparse.Namespace) -> int:
    from model_backend.models.banks.bank import Bank
    from model_backend.training.bank import sheets

    sheets.write(Bank.read(arguments.bank), arguments.out)
    return 0


def _train(arguments: argparse.Namespace) -> int:
    import torch
    from torch.multiprocessing.spawn import spawn

    if arguments.stage == "export":
        return _export(arguments)
    # The decoder and its critic take turns, which several processes would have to share.
    alone = arguments.stage == "decoder" or torch.cuda.is_available()
    count = arguments.processes or (1 if alone else os.cpu_count() or 1)
    if count == 1 or arguments.stage == "decoder":
        _run_stage(0, 1, None, arguments)
        return 0
    memory = Path("/dev/shm")  # gradients meet in a file there; nothing of it should reach a disk
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        job = (count, Path(folder) / "meeting", arguments)
        spawn(_run_stage, job, nprocs=count)  # type: ignore[no-untyped-call]
    return 0


def _run_stage(rank: int, size: int, meeting: Path | None, arguments: argparse.Namespace) -> None:
    """Train one stage as one process of a group."""
    from dataclasses import replace

    from model_backend.training.data_sets import land_cover
    from model_backend.training.process_group import ProcessGroup
    from model_backend.training.stages import autoencoder, decoder, diffusion, edge_distillation
    from model_backend.training.trainer import Budget, training_device

    stage = {
        "autoencoder": autoencoder,
        "decoder": decoder,
        "diffusion": diffusion,
        "edge-distillation": edge_distillation,
    }[arguments.stage]
    group = ProcessGroup(rank, size, meeting)
    chips = land_cover.load(arguments.data, arguments.work / "cache")
    times = 8 if training_device().type == "cuda" else 1
    options = stage.Options()
    options = replace(options, batch=arguments.batch or times * options.batch)
    stage.Stage(arguments.work, options, Budget(arguments.minutes), group).run(chips)


def _export(arguments: argparse.Namespace) -> int:
    from model_backend.training import export
    from model_backend.training.data_sets import land_cover

    if arguments.out is None:
        print("The stage `export` needs --out, the model folder to write.", file=sys.stderr)
        return 2
    chips = land_cover.load(arguments.data, arguments.work / "cache")
    export.write(arguments.work, arguments.out, chips)
    return 0


def main() -> int:
    """Run one command without the rest of the backend: ``python -m model_backend.training ...``."""
    parser = argparse.ArgumentParser(prog="model_backend.training")
    add_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args()
    return int(arguments.run(arguments))


if __name__ == "__main__":
    raise SystemExit(main())
