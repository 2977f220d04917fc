"""From the command line's options to the figures of `speed`, and from those to tables.

The only module here that knows where models come from: a folder, the registry, or chance.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from model_backend.benchmark import random_weights, stock
from model_backend.benchmark.rounds import Settings
from model_backend.benchmark.speed import PROMPT, Writer, measure
from model_backend.benchmark.stock import StockPipeline, WindowRequest
from model_backend.benchmark.stock_scenes import StockPipelines
from model_backend.evaluation.reports import circumstances, load, table
from model_backend.models import loader, profile
from model_backend.models.card import ModelCard, read_card
from model_backend.models.loader import Model

_BUSY = 0.5  # processes per CPU before anything is measured


@dataclass(frozen=True)
class Opened:
    """A model ready to be measured, the seconds that took, and a way to its stock pipeline."""

    model: Model
    seconds: float
    pipeline: Callable[[], Any]


def benchmark(given: argparse.Namespace) -> dict[str, Any]:
    """Load or make the model, measure, and return everything that goes into the report.

    Raises ModelUnavailable if there is no such model or device.
    """
    stock.quiet()
    report = {"about": circumstances()}
    opened = _open(given)
    model = opened.model
    settings = _settings(given, model.card)
    load_stock = None if given.alone else partial(_stock, opened, settings, bool(given.random_weights))
    figures = measure(model, settings, load_stock, _writer(model.card))
    about_model = {
        "id": model.card.id,
        "pipeline": model.card.pipeline,
        "random_weights": bool(given.random_weights),
        "load_seconds": opened.seconds,
    }
    report["about"]["load_per_cpu_at_end"] = load()
    return report | {"model": about_model, "profile": model.profile.to_dict()} | figures


def tables(report: dict[str, Any]) -> str:
    """Return a report as text."""
    about, model, used = report["about"], report["model"], report["profile"]
    asked, matmul = report["settings"], report["matmul"]["tflops"]
    steps = f"{asked['sampler']}, {asked['steps']} steps, guidance {asked['guidance']}"
    lines = [
        f"{model['id']} on {used['device']} ({used['isa']}), {used['dtype']}, {used['layout']}, "
        f"{used['threads']} threads, torch {used['versions']['torch']}",
        f"{about['date']}, commit {about['commit']}; loaded in {model['load_seconds']:.1f} s; "
        f"matrix products at {matmul:.3g} TFLOP/s; "
        f"an evaluation is {report['unet_tflop_per_evaluation']:.3g} TFLOP",
    ]
    if (about["load_per_cpu"] or 0) > _BUSY:
        lines.append(
            f"THE MACHINE WAS BUSY: {about['load_per_cpu']} processes per CPU before, "
            f"{about['load_per_cpu_at_end']} at the end. Trust ratios, not seconds."
        )
    lines += ["", f"Ours: {steps}", _ours(report)]
    if report["stock"]:
        lines += ["", "One window of the stock pipelines", _windows(report)]
        lines += ["", "Whole scenes of the stock pipelines, and ours beside them", _beside(report)]
    return "\n".join(lines)


def _ours(report: dict[str, Any]) -> str:
    header = "px guided windows phases batch evaluations seconds Mpx/s TFLOP/s of-matmul"
    rows = [
        [
            scene["size"],
            f"{scene['guided_steps']} of {scene['steps']}",
            *(scene[key] for key in ("windows", "phases", "batch", "evaluations")),
            *(scene[key] for key in ("seconds", "mpx_per_second", "unet_tflops", "share_of_matmul")),
            *(scene["shares"][part] for part in ("unet", "decode", "encode", "other")),
            scene["write_share"],
            scene["peak_memory_bytes"] and scene["peak_memory_bytes"] / 1e9,
        ]
        for scene in report["scenes"]
    ]
    return table([[*header.split(), "unet", "decode", "encode", "other", "write", "GB"], *rows])


def _windows(report: dict[str, Any]) -> str:
    header = "way sampler steps calls evaluations seconds TFLOP/s unet decode encode other"
    rows = []
    for way in report["stock"]:
        one = way["window"]
        counts = (one[key] for key in ("unet_calls", "evaluations", "seconds", "unet_tflops"))
        shares = (one["shares"][part] for part in ("unet", "decode", "encode", "other"))
        rows.append([way["name"], way["sampler"], way["steps"], *counts, *shares])
    return table([header.split(), *rows])


def _beside(report: dict[str, Any]) -> str:
    header = "way,px,windows,evaluations,seconds,Mpx/s,we guide,we are faster,by CPU time"
    rows: list[list[object]] = [[*header.split(",")]]
    on_cpu = report["profile"]["threads"] > 0
    ours = [f"{scene['guided_steps']} of {scene['steps']}" for scene in report["scenes"]]
    for way in report["stock"]:
        for guided, scene in zip(ours, way["scenes"], strict=True):
            counts = (scene[key] for key in ("size", "windows", "evaluations", "seconds", "mpx_per_second"))
            by_cpu = scene["by_cpu_time"] if on_cpu else None
            rows.append([way["name"], *counts, guided, scene["ours_is_faster"], by_cpu])
    text = table(rows)
    skipped = report["skipped"]
    return text + (f"\n(b) sequential outpainting was skipped: {skipped}" if skipped else "")


def _open(given: argparse.Namespace) -> Opened:
    device = profile.choose_device(given.device)
    wanted = None if given.dtype == "auto" else getattr(torch, given.dtype)
    if given.random_weights:
        dtype = wanted or profile.choose_dtype(device)
        if given.threads:
            torch.set_num_threads(given.threads)
        profile.make_deterministic(device)
        began = time.perf_counter()
        model, networks = random_weights.build(given.random_weights, device, dtype)
        seconds = time.perf_counter() - began
        return Opened(model, seconds, partial(stock.from_networks, networks, dtype))
    folder, card = _find(given.model)
    dtype = wanted or profile.choose_dtype(device, card.dtype)
    began = time.perf_counter()
    model = loader.load(folder, card, given.device, given.threads, dtype)
    seconds = time.perf_counter() - began
    return Opened(model, seconds, partial(stock.from_folder, folder, card, dtype))


def _find(model: str) -> tuple[Path, ModelCard]:
    folder = Path(model)
    if (folder / "model_index.json").is_file():
        return folder, read_card(folder)
    # Imported here: a bare GPU box, where a folder is measured, need not know settings.
    from model_backend.models.registry import Registry
    from model_backend.settings import Settings as BackendSettings

    entry = Registry(BackendSettings()).get(model)
    return entry.require(), entry.card


def _settings(given: argparse.Namespace, card: ModelCard) -> Settings:
    sampler = given.sampler or card.sampler
    return Settings(
        sizes=tuple(given.size),
        sampler=sampler,
        steps=given.steps or card.steps[sampler],
        guidance=given.guidance or card.guidance,
        rounds=given.rounds,
        cutoff=card.engine.guidance_cutoff if given.cutoff is None else given.cutoff,
    )


def _writer(card: ModelCard) -> Writer | None:
    """Return how scenes are written, None where that cannot be measured: a bare GPU box has no rasterio."""
    try:
        from model_backend.benchmark.writing import write
    except ModuleNotFoundError:
        return None
    return partial(write, card)


def _stock(opened: Opened, settings: Settings, random: bool) -> StockPipelines:
    model, pipeline = opened.model, opened.pipeline()
    request = WindowRequest(PROMPT, max(model.card.levels or (0,)), settings.guidance)
    first = StockPipeline(pipeline, model.card, model.device, request)
    if first.inpaints:
        return StockPipelines(first, first)
    if random:
        return StockPipelines(
            first, StockPipeline(stock.widened(pipeline), model.card, model.device, request)
        )
    return StockPipelines(first, None)
