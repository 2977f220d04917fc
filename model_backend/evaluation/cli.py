"""Command line of the evaluation: ``evaluate``. Imports torch only when a command runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Add ``evaluate`` to the backend's command line."""
    judge = subparsers.add_parser("evaluate", help="measure a model against held-out chips")
    judge.add_argument("--model", type=Path, required=True, help="model folder")
    judge.add_argument("--data", type=Path, required=True, help="folder of the parquet files")
    judge.add_argument("--work", type=Path, default=Path(".scratch/mini"), help="cache and judge")
    judge.add_argument("--out", type=Path, required=True, help="folder of the figures and pictures")
    judge.add_argument("--inception", type=Path, help="TorchScript file, images -> features, for an FID")
    judge.add_argument("--share", type=float, default=1.0, help="share of the usual number of images")
    judge.add_argument("--scenes", action="store_true", help="the table of lattice parameters instead")
    judge.add_argument("--borders", action="store_true", help="borders of edits and extensions instead")
    judge.add_argument("--seams", type=int, help="lattices in scenes of so many pixels a side instead")
    judge.add_argument("--regions", type=int, help="so many scenes of regions per level instead")
    judge.set_defaults(run=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> int:
    from model_backend.evaluation import (
        edit_borders,
        model_quality,
        parameter_sweep,
        region_fidelity,
        scene_seams,
    )
    from model_backend.training.data_sets import land_cover

    if arguments.scenes:
        arguments.out.mkdir(parents=True, exist_ok=True)
        parameter_sweep.run(arguments.model, arguments.out / f"{arguments.model.name}-scenes.json")
        return 0
    if arguments.seams:
        arguments.out.mkdir(parents=True, exist_ok=True)
        scene_seams.run(arguments.model, arguments.out, arguments.seams)
        return 0
    chips = land_cover.load(arguments.data, arguments.work / "cache")
    if arguments.borders:
        arguments.out.mkdir(parents=True, exist_ok=True)
        edit_borders.run(
            arguments.model, chips, arguments.out / f"{arguments.model.name}-borders.json", arguments.share
        )
        return 0
    if arguments.regions:
        region_fidelity.run(arguments.model, chips, arguments.work, arguments.out, arguments.regions)
        return 0
    amounts = model_quality.Amounts(inception=arguments.inception).scaled(arguments.share)
    model_quality.run(arguments.model, chips, arguments.work, arguments.out, amounts)
    return 0
