"""Command line of evaluation: ``evaluate`` a model, ``metrics`` of a picture; torch only when one runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from model_backend.evaluation.reports import run_command

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Add ``evaluate`` and ``metrics`` to the backend's command line."""
    _add_evaluate(subparsers)
    _add_metrics(subparsers)


def _add_evaluate(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("evaluate", help="measure a model against held-out chips")
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    parser.add_argument("--data", type=Path, required=True, help="folder of the parquet files")
    parser.add_argument("--work", type=Path, default=Path(".scratch/mini"), help="cache and judge")
    parser.add_argument("--out", type=Path, required=True, help="folder of the figures and pictures")
    parser.add_argument("--inception", type=Path, help="TorchScript file, images -> features, for an FID")
    parser.add_argument("--share", type=float, default=1.0, help="share of the usual number of images")
    parser.add_argument("--scenes", action="store_true", help="the table of lattice parameters instead")
    parser.add_argument("--borders", action="store_true", help="borders of edits and extensions instead")
    parser.add_argument("--seams", type=int, help="lattices in scenes of so many pixels a side instead")
    parser.add_argument("--regions", type=int, help="so many scenes of regions per level instead")
    parser.set_defaults(run=_evaluate)


def _add_metrics(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("metrics", help="look for seams, tone steps and repetition in a picture")
    parser.add_argument("file", type=Path, help="GeoTIFF, PNG or JPEG; a scene of ours knows its lattice")
    parser.add_argument("--card", help="an id of `models list`, a model folder, or a text2earth.json")
    parser.add_argument("--window", type=int, help="of a lattice without a card, in latents")
    parser.add_argument("--stride", type=int, help="of a lattice without a card, in latents")
    parser.add_argument("--factor", type=int, default=8, help="pixels per latent without a card (8)")
    parser.add_argument("--singles", type=Path, nargs="+", help="pictures of single windows, for contrast")
    parser.add_argument("--out", type=Path, help="write the figures to this file, as JSON")
    parser.set_defaults(run=_metrics)


def _evaluate(given: argparse.Namespace) -> int:
    from model_backend.evaluation import (
        edit_borders,
        model_quality,
        parameter_sweep,
        region_fidelity,
        scene_seams,
    )
    from model_backend.training.data_sets import land_cover

    given.out.mkdir(parents=True, exist_ok=True)
    if given.scenes:
        parameter_sweep.run(given.model, given.out / f"{given.model.name}-scenes.json")
        return 0
    if given.seams:
        scene_seams.run(given.model, given.out, given.seams)
        return 0
    chips = land_cover.load(given.data, given.work / "cache")
    if given.borders:
        edit_borders.run(given.model, chips, given.out / f"{given.model.name}-borders.json", given.share)
    elif given.regions:
        region_fidelity.run(given.model, chips, given.work, given.out, given.regions)
    else:
        amounts = model_quality.Amounts(inception=given.inception).scaled(given.share)
        model_quality.run(given.model, chips, given.work, given.out, amounts)
    return 0


def _metrics(given: argparse.Namespace) -> int:
    from model_backend.evaluation import picture_report

    return run_command(given, picture_report.inspect, picture_report.tables)
