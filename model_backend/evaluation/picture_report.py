"""A picture's report: the metrics of the engine on every lattice it may show.

A scene of ours carries its recipe, which says where its windows and decode tiles lie; for any other picture
the caller names a lattice, and it is taken to begin at the picture's corner. So real imagery goes through the
same code, and shows what these numbers are where nothing was generated. Knows files and model cards; GeoTIFFs
are read by `model_backend.raster` where it can be imported, else by Pillow.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model_backend.evaluation.lattice_lines import STATISTICS, TONE_WIDTHS, LatticePosition, look
from model_backend.evaluation.metrics.contrast import compare_contrast, cut_windows, gradient_energy
from model_backend.evaluation.reports import circumstances, table
from model_backend.models.card import CARD_FILE, EngineParameters, ModelCard, read_card
from model_backend.schemas import Recipe


def inspect(given: argparse.Namespace) -> dict[str, Any]:
    """Return the report on the file that the command line names.

    Raises ValueError if nothing says where the lattice lies, OSError if a file cannot be read, and
    ModelUnavailable if there is no such model.
    """
    image = read(given.file)
    place = _place(given)
    singles = [read(path) for path in given.singles or ()]
    return {
        "about": circumstances(),
        "file": given.file.name,
        "size": list(image.shape[1:]),
        "lattice": asdict(place) | {"engine": place.engine.model_dump()},
        "std": float(image.astype(np.float64).std(axis=(1, 2)).mean()),
        "gradient_energy": gradient_energy(image),
        **look(image, place),
        "contrast": _contrast(image, singles, place) if singles else None,
    }


def read(path: Path) -> NDArray[Any]:
    """Return the first three bands, or the only one, of a picture: (bands, rows, columns)."""
    if path.suffix.lower() in (".tif", ".tiff") and importlib.util.find_spec("rasterio"):
        from model_backend.raster.files.source import sealed

        with sealed(path) as dataset:
            values: NDArray[Any] = dataset.read(list(range(1, 4)) if dataset.count >= 3 else [1])
        return values
    with Image.open(path) as picture:
        pixels = np.asarray(picture if picture.mode in ("L", "RGB", "I", "F") else picture.convert("RGB"))
    return pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels[None]


def tables(report: dict[str, Any]) -> str:
    """Return a report as text."""
    rows, cols = report["size"]
    parts = [
        f"{report['file']}: {cols} x {rows} pixels, std {report['std']:.3g}, "
        f"gradient energy {report['gradient_energy']:.4g}",
        "",
        _lattice_table(report["lattices"]),
        "{comparisons} comparisons: {outside_band} outside their 95 % band, {beyond_z} with |z| >= 3".format(
            **report["summary"]
        ),
        "",
        table(
            [
                ["repetition", "axis", "period", "1 + peak", "z", "ok"],
                *(
                    [row["lattice"], row["axis"], row["period"], *_three(row["peak"])]
                    for row in report["repetition"]
                ),
            ]
        ),
    ]
    if report["contrast"]:
        contrast = report["contrast"]
        octaves = ", ".join(f"{power:.2f} up to {upper:g}" for upper, power in contrast["spectrum"])
        parts += [
            "",
            "against single windows: "
            f"std {contrast['std']:.3f}, within windows {contrast['local']:.3f}, "
            f"gradient energy {contrast['gradient']:.3f}; power by octave (cycles per pixel): {octaves}",
        ]
    return "\n".join(parts)


def _lattice_table(lattices: Sequence[dict[str, Any]]) -> str:
    header = ["lattice", "part", "axis", "period", "offset", "seam", "z", "ok"]
    for width in TONE_WIDTHS:
        header += [f"tone {width}", "z", "ok"]
    rows = [
        [
            *(row[key] for key in ("lattice", "part", "axis", "period", "offset")),
            *(value for statistic in STATISTICS for value in _three(row[statistic])),
        ]
        for row in lattices
    ]
    return table([header, *rows])


def _three(found: dict[str, Any]) -> list[Any]:
    return [found.get("ratio"), found.get("z"), found.get("passed")]


def _contrast(image: NDArray[Any], singles: Sequence[NDArray[Any]], place: LatticePosition) -> dict[str, Any]:
    side = place.engine.window * place.factor
    return asdict(compare_contrast(image, np.concatenate([cut_windows(one, side, side) for one in singles])))


def _place(given: argparse.Namespace) -> LatticePosition:
    recipe = _recipe(given.file)
    if given.window or given.stride:
        window = given.window or given.stride * 4 // 3
        engine = EngineParameters(window=window, stride=given.stride or window * 3 // 4)
        return LatticePosition(engine, given.factor)
    if given.card is None and recipe is None:
        raise ValueError(
            "This file does not say where its lattice lies: give --card, or --window and --stride."
        )
    card = _card(given.card or recipe.model if recipe else given.card)
    if recipe is None:
        return LatticePosition(card.engine, card.vae_factor)
    corner = (0, 0) if recipe.canvas == "ground" else (recipe.canvas.row, recipe.canvas.col)
    origin = (recipe.grid.row - corner[0], recipe.grid.col - corner[1])
    return LatticePosition(card.engine, card.vae_factor, origin)


def _recipe(path: Path) -> Recipe | None:
    """Return the recipe of a scene of ours on its own grid; None for every other picture."""
    if path.suffix.lower() not in (".tif", ".tiff") or not importlib.util.find_spec("rasterio"):
        return None
    from model_backend.raster.files.provenance import read_recipe

    told = read_recipe(path)
    if told is None or told.get("process") != "generate" or told.get("resampled"):
        return None
    return Recipe.model_validate({"prompt": "", "negative_prompt": ""} | told)


def _card(name: str) -> ModelCard:
    path = Path(name)
    if path.name == CARD_FILE and path.is_file():
        return ModelCard.model_validate_json(path.read_bytes())
    if (path / "model_index.json").is_file():
        return read_card(path)
    from model_backend.models.registry import Registry
    from model_backend.settings import Settings

    return Registry(Settings()).get(name).card
