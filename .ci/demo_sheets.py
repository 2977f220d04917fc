"""The pictures of ``make demo``: results side by side, edits before and after, where a real scene ends."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image, ImageDraw
from rasterio.features import rasterize

GAP = 20


@dataclass(frozen=True)
class Made:
    """A finished result: its file and how long it took from the user's side, in seconds."""

    prompt: str
    path: Path
    seconds: float


def describe(made: Made) -> str:
    """Return CRS, size, GSD, seed and time of a result in a line."""
    with rasterio.open(made.path) as source:
        size = f"{source.width} x {source.height} px"
        tags, crs = source.tags(), source.crs.to_string()
    gsd = float(tags["GROUND_SAMPLE_DISTANCE_M"].split()[0])
    return f"{crs}  {size}  {gsd:.3f} m  seed {tags['AI_SEED']}  {made.seconds:.1f} s"


def side_by_side(made: list[Made], path: Path) -> None:
    """Draw results at 1:1, at most 512 px, with what they are below."""
    sheet = Image.new("RGB", (len(made) * (512 + GAP) + GAP, 512 + 4 * GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for index, one in enumerate(made):
        left = GAP + index * (512 + GAP)
        sheet.paste(_picture(one.path).crop((0, 0, 512, 512)), (left, GAP))
        pen.text((left, 512 + 1.5 * GAP), one.prompt, fill="black")
        pen.text((left, 512 + 2.4 * GAP), describe(one), fill="black")
    sheet.save(path)


def pairs(above: list[Made], below: list[Made], path: Path) -> None:
    """Draw a corner of results, 256 px, over what another model makes of the same prompts."""
    sheet = Image.new("RGB", (len(above) * (256 + GAP) + GAP, 2 * (256 + GAP) + 2 * GAP), "white")
    for row, line in enumerate((above, below)):
        for index, one in enumerate(line):
            part = _picture(one.path).crop((0, 0, 256, 256))
            sheet.paste(part, (GAP + index * (256 + GAP), GAP + row * (256 + GAP)))
    pen = ImageDraw.Draw(sheet)
    for index, one in enumerate(above):
        pen.text((GAP + index * (256 + GAP), sheet.height - 1.5 * GAP), one.prompt, fill="black")
    sheet.save(path)


def layout(made: Made, features: Path, path: Path) -> None:
    """Draw a scene at 1:1, beside a small one with the features it was made from and what they say."""
    scene = _picture(made.path)
    with rasterio.open(made.path) as source:
        inverse = ~source.transform
    small = Image.new("RGB", (scene.width // 2, scene.height // 2), (225, 232, 215))
    pen = ImageDraw.Draw(small)
    for feature in json.loads(features.read_text())["features"]:
        geometry = feature["geometry"]
        is_area = geometry["type"] == "Polygon"
        corners = geometry["coordinates"][0] if is_area else geometry["coordinates"]
        points = [tuple(value / 2 for value in inverse * (x, y)) for x, y in corners]
        if is_area:
            pen.polygon(points, fill=(205, 214, 200), outline="black", width=2)
        else:
            pen.line(points, fill=(90, 90, 90), width=3)
        pen.text(tuple(np.mean(points, axis=0)), feature["properties"]["class"], fill="black", anchor="mm")
    sheet = Image.new("RGB", (scene.width + small.width + 3 * GAP, scene.height + 2 * GAP), "white")
    sheet.paste(small, (GAP, GAP))
    sheet.paste(scene, (small.width + 2 * GAP, GAP))
    sheet.save(path)


def edit(before: Path, mask: Path, after: Path, path: Path) -> int:
    """Draw the surroundings of an edit before, with its mask, and after; return the changed pixels.

    Raises SystemExit if a pixel outside the mask changed.
    """
    geometry = json.loads(mask.read_text())["features"][0]["geometry"]
    views = []
    for file in (before, after):
        with rasterio.open(file) as source:
            views.append(source.read())
            transform, shape = source.transform, source.shape
    inside = rasterize([geometry], shape, transform=transform, all_touched=True).astype(bool)
    changed = (views[0] != views[1]).any(axis=0)
    if changed[~inside].any():
        raise SystemExit("The edit changed pixels outside its mask.")
    rows, cols = np.nonzero(inside)
    high, wide = np.ptp(rows) // 2, np.ptp(cols) // 2
    window = (
        slice(max(0, rows.min() - high), rows.max() + high),
        slice(max(0, cols.min() - wide), cols.max() + wide),
    )
    red = np.where(inside, np.array([[[255]], [[40]], [[40]]]), views[0][:3])
    masked = (0.5 * views[0][:3] + 0.5 * red).astype(np.uint8)
    images = [
        Image.fromarray(view[:3][:, *window].transpose(1, 2, 0)) for view in (views[0], masked, views[1])
    ]
    size = (images[0].width * 2, images[0].height * 2)
    sheet = Image.new("RGB", (3 * (size[0] + GAP) + GAP, size[1] + 3 * GAP), "white")
    for index, (image, title) in enumerate(zip(images, ("before", "mask", "after"), strict=True)):
        left = GAP + index * (size[0] + GAP)
        sheet.paste(image.resize(size, Image.Resampling.NEAREST), (left, GAP))
        ImageDraw.Draw(sheet).text((left, size[1] + 1.5 * GAP), title, fill="black")
    sheet.save(path)
    return int(changed.sum())


def extension(before: Path, after: Path, path: Path) -> None:
    """Draw an extended scene, marks above and below where the real one ends.

    Raises SystemExit if a pixel of the real scene changed.
    """
    with rasterio.open(before) as old, rasterio.open(after) as new:
        col, row = (round(value) for value in ~new.transform * (old.transform * (0, 0)))
        was, now = old.read(), new.read()
        border = col + old.width
    if not np.array_equal(was, now[:, row : row + was.shape[1], col : col + was.shape[2]]):
        raise SystemExit("The extension changed pixels of the scene it extends.")
    image = Image.fromarray(now[:3].transpose(1, 2, 0))
    sheet = Image.new("RGB", (image.width + 2 * GAP, image.height + 3 * GAP), "white")
    sheet.paste(image, (GAP, 30))
    pen = ImageDraw.Draw(sheet)
    x = GAP + border
    pen.line([(x, 4), (x, 26)], fill="red", width=2)
    pen.line([(x, sheet.height - 26), (x, sheet.height - 4)], fill="red", width=2)
    pen.text((x - 8, 15), "real", fill="black", anchor="rm")
    pen.text((x + 8, 15), "generated", fill="black", anchor="lm")
    sheet.save(path)


def _picture(path: Path) -> Image.Image:
    with rasterio.open(path) as source:
        return Image.fromarray(source.read().transpose(1, 2, 0)[:, :, :3])
