"""The command of this folder: every measurement of land by example into one report, with two sheets.

The report is written anew after every part, so that a long run that is stopped leaves what it has.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_backend.evaluation import picture_report, reports
from model_backend.evaluation.by_example import (
    copies,
    fills,
    held_out,
    judges,
    pictures,
    realism,
    small_model,
    spectral,
    speed,
)
from model_backend.evaluation.by_example.fills import Fill
from model_backend.evaluation.by_example.held_out import Photograph
from model_backend.evaluation.by_example.realism import Amounts
from model_backend.evaluation.by_example.scenes import Maker
from model_backend.evaluation.by_example.sets import SETS
from model_backend.models.banks.bank import IMAGES, Bank

Figures = dict[str, Any]

_SIDES, _LARGE = (512, 1024, 2048), 4096
_PARTS = ("speed", "copies", "fills", "realism")
_CROP = 320  # pixels of the pieces of a raster that masks are filled in


@dataclass(frozen=True)
class Work:
    """What is measured, with what, how much of it, and where it goes."""

    data: Path
    maker: Maker
    out: Path
    raster: Path | None = None
    model: Path | None = None
    amounts: Amounts = field(default_factory=Amounts)
    judge_steps: int = 800
    masks: int = 200
    copies_side: int = 384
    sides: tuple[int, ...] = _SIDES


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m model_backend.evaluation")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("by-example", help="measure land by example against real land")
    command.add_argument("--data", type=Path, required=True, help="folder of the parquet files")
    command.add_argument("--bank", type=Path, required=True, help="folder of the example images")
    command.add_argument("--out", type=Path, required=True, help="folder of the report and the sheets")
    command.add_argument("--raster", type=Path, help="a raster in which masks are filled, too")
    command.add_argument("--model", type=Path, help="folder of a small diffusion model to compare with")
    command.add_argument("--large", action="store_true", help=f"also a scene of {_LARGE:,} pixels a side")
    command.add_argument("--part", action="append", choices=_PARTS, help="measure this anew, keep the rest")
    given = parser.parse_args(arguments)
    sides = (*_SIDES, _LARGE) if given.large else _SIDES
    maker = Maker(Bank.read(given.bank))
    work = Work(given.data, maker, given.out, given.raster, given.model, sides=sides)
    run(work, hashlib.sha256((given.bank / IMAGES).read_bytes()).hexdigest(), given.part or _PARTS)
    return 0


def run(work: Work, revision: str, wanted: Sequence[str] = _PARTS) -> Figures:
    """Measure all parts, or some anew; write ``by-example.json`` and the sheets, and return the figures."""
    bank, path = work.maker.bank, work.out / "by-example.json"
    report: Figures = json.loads(path.read_text("utf-8")) if set(wanted) < set(_PARTS) else {}
    report |= {
        "about": reports.circumstances(),
        "bank": {"images": len(bank.chips), "sha256 of its images": revision},
    }
    town = max(bank.families, key=lambda family: (family.id == "towns", family.id))
    parts: dict[str, Callable[[], Any]] = {
        "speed": lambda: speed.measure(work.maker, work.sides, "houses and streets", town.gsd),
        "copies": lambda: _copies(work),
        "fills": lambda: _fills(work),
        "realism": lambda: _realism(work),
    }
    for name in wanted:
        report[name] = parts[name]()
        reports.write(report, path)
    return report


def _copies(work: Work) -> Figures:
    rows = copies.measure(work.maker, work.copies_side)
    return {"summary": copies.summary(rows), "kinds": rows}


def _fills(work: Work) -> Figures:
    """Fill masks on all lands, and on lands with near infrared; write the sheet of them."""
    lands = _lands(work)
    figures: Figures = {}
    shown: list[Fill] = []
    every: list[Fill] = []
    for number, (name, some) in enumerate(lands.items()):
        done = list(fills.made(some, -(-work.masks // len(lands)), 40 + number))
        figures[name] = fills.measure(done)
        every += done
        shown += done[: 16 // len(lands)]
        print("fills:", name, figures[name], flush=True)
    figures["all"] = fills.measure(every)
    figures |= {name: fills.measure(done) for name, done in fills.inpainted(every).items()}
    pictures.write_fills(work.out / "by-example-fills.jpg", shown)
    photographs = held_out.read(work.data, "naip_towns_0m60", work.maker.bank)
    rasters: dict[str, Callable[[Photograph], NDArray[Any]]] = {
        "four bands": spectral.four_bands,
        "ten bands": spectral.ten_bands,
    }
    for name, raster in rasters.items():
        bands = [raster(one) for one in photographs[:: max(1, len(photographs) // 60)]]
        figures[f"vegetation index, {name}"] = spectral.measure(
            list(fills.made(bands, max(2, work.masks // 5), 50))
        )
    return figures


def _lands(work: Work) -> dict[str, list[NDArray[Any]]]:
    """Return real land that the bank does not hold, (3, height, width) each."""
    lands: dict[str, list[NDArray[Any]]] = {}
    for one in SETS[:3]:
        photographs = held_out.read(work.data, one.table, work.maker.bank)
        lands[one.title.split(",")[0]] = [photo.pixels.transpose(2, 0, 1) for photo in photographs]
    if work.raster is not None:
        whole = picture_report.read(work.raster)
        rng = np.random.default_rng(6)
        pieces = []
        for _ in range(work.masks):
            row, col = (int(rng.integers(side - _CROP + 1)) for side in whole.shape[1:])
            piece = whole[:, row : row + _CROP, col : col + _CROP]
            if piece.any(0).all():  # nothing of it is without data
                pieces.append(piece)
        lands[work.raster.stem] = pieces
    return lands


def _realism(work: Work) -> Figures:
    """Compare scenes of all sets with real land; write the sheet of pairs."""
    eurosat, how_good = judges.eurosat(work.data, work.judge_steps)
    ucmerced, how_good_too = judges.ucmerced(work.data, work.maker.bank, work.judge_steps)
    figures: Figures = {"judges' accuracy %": {"eurosat": how_good, "ucmerced": how_good_too}}
    rows = []
    for land in SETS:
        judge = {"eurosat": eurosat, "ucmerced": ucmerced}[land.judge]
        found = realism.compared(work.data, work.maker, land, work.amounts)
        figures[land.id] = realism.measure(found, judge, work.amounts)
        print("realism:", land.id, figures[land.id], flush=True)
        if land.labels and work.model is not None:
            model = small_model.measure(work.model, work.data, found, judge, work.amounts)
            figures["small diffusion model"] = model
        rows.append((land.title, *realism.pairs(work.data, work.maker, land, pictures.COLUMNS)))
    figures["key of the sheet"] = pictures.write_pairs(work.out / "by-example-pairs.jpg", rows)
    return figures
