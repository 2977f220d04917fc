"""The main job, from start to end, as a user meets it: ``make demo``.

Starts a backend of its own and calls it through the real qgis_process: ``text2earth:generate`` for a UTM and
a Web-Mercator extent and for a scene of regions, ``text2earth:edit`` and ``text2earth:extend`` on a real
aerial scene. Opens a real QGIS window with the dock and a result over that scene, and leaves GeoTIFFs, sheets
and a screenshot in demo/.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image, ImageDraw
from pyproj import Transformer
from rasterio.features import rasterize

from launcher import ROOT, BackendProcess

DEMO = ROOT / "demo"
LAKE = (489377.0, 5206880.0, 290.0, 200.0)  # middle and half axes, metres, EPSG:26914: in a field
REGIONS = (  # prompt, middle and half axes in metres from the middle of the scene
    ("a forest", (1900.0, 2100.0, 1900.0, 1500.0)),
    ("a residential area", (-1700.0, -300.0, 1500.0, 1300.0)),
    ("a lake", (1300.0, -1500.0, 1300.0, 800.0)),
    ("a pasture", (-1500.0, 2500.0, 1700.0, 900.0)),
)
NEW_LAND = 960.0  # metres added to the east of the real scene
MINI = ROOT / "resources" / "models" / "text2earth-mini"
NAIP = (
    ROOT.parent / "shared" / "data" / "imagery" / "naip_20180716.tif",
    ROOT / "resources" / "demo" / "scene.tif",
)


@dataclass(frozen=True)
class Scene:
    """One run of text2earth:generate; ``extent`` is xmin, xmax, ymin, ymax in ``crs``, as QGIS writes it."""

    name: str
    prompt: str
    extent: tuple[float, float, float, float]
    crs: str
    gsd: float
    seed: int


@dataclass(frozen=True)
class Made:
    """A finished result: its file and how long it took from the user's side, in seconds."""

    prompt: str
    path: Path
    seconds: float


def basemap() -> Path:
    """Return the real imagery that the screenshot shows below the result."""
    return next(path for path in NAIP if path.is_file())


def scenes(background: Path) -> list[Scene]:
    """Return a UTM scene beside the middle of ``background`` and a Web-Mercator one near Heidelberg."""
    with rasterio.open(background) as source:
        x, y = source.transform * (source.width / 2, source.height / 2)
        utm = source.crs.to_string()
    side = 2048.0
    x, y = round(x / 8) * 8.0, round(y / 8) * 8.0
    east, north = Transformer.from_crs(4326, 3857, always_xy=True).transform(8.69, 49.41)
    return [
        Scene(
            "utm",
            "a residential area",
            (x, x + side, y, y + side),
            utm,
            8.0,
            7,
        ),
        Scene(
            "webmercator",
            "a dense forest",
            (east, east + 2600, north, north + 2600),
            "EPSG:3857",
            8.0,
            11,
        ),
    ]


@contextmanager
def backend() -> Iterator[dict[str, str]]:
    """Run a backend with the bundled model; yield the environment through which the plugin finds it."""
    with tempfile.TemporaryDirectory(prefix="text2earth-demo-") as folder:
        one = BackendProcess(Path(folder) / "backend", "--model", str(MINI))
        try:
            yield one.start().environment
        finally:
            one.stop()
            shutil.copy(one.log_path, DEMO)


def run(algorithm: str, environment: dict[str, str], **arguments: object) -> float:
    """Run an algorithm in qgis_process, as a script would; return how many seconds it took."""
    started = time.monotonic()
    done = subprocess.run(
        [
            ".ci/qgis",
            "process",
            "run",
            algorithm,
            "--",
            *(f"{key}={value}" for key, value in arguments.items()),
        ],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"qgis_process ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return time.monotonic() - started


def generate(scene: Scene, environment: dict[str, str]) -> Made:
    """Make a scene."""
    target = DEMO / f"{scene.name}.tif"
    xmin, xmax, ymin, ymax = scene.extent
    seconds = run(
        "text2earth:generate",
        environment,
        PROMPT=scene.prompt,
        EXTENT=f"{xmin},{xmax},{ymin},{ymax} [{scene.crs}]",
        GSD=scene.gsd,
        CRS=scene.crs,
        SEED=scene.seed,
        OUTPUT=target,
    )
    return Made(scene.prompt, target, seconds)


def blob(x: float, y: float, a: float, b: float) -> list[tuple[float, float]]:
    """Return the outline of something grown: an uneven ellipse around (x, y) with half axes a and b."""
    return [
        (x + a * r * math.cos(t), y + b * r * math.sin(t))
        for t in (math.tau * k / 60 for k in range(61))
        for r in (1 + 0.12 * math.sin(3 * t + 1) + 0.08 * math.cos(5 * t),)
    ]


def write_polygons(path: Path, outlines: dict[str, list[tuple[float, float]]]) -> Path:
    """Write outlines in EPSG:26914 as GeoJSON, their names in the field ``prompt``."""
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::26914"}}
    features = [
        {
            "type": "Feature",
            "properties": {"prompt": prompt},
            "geometry": {"type": "Polygon", "coordinates": [outline]},
        }
        for prompt, outline in outlines.items()
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
    return path


def regional(background: Path, environment: dict[str, str]) -> tuple[Made, Path]:
    """Make fields with a forest, a town, a lake and a pasture in them; return the result and its regions."""
    with rasterio.open(background) as source:
        x, y = source.transform * (source.width / 2, source.height / 2)
    x, y = round(x / 8) * 8.0, round(y / 8) * 8.0
    outlines = {prompt: blob(x + at[0], y + at[1], at[2], at[3]) for prompt, at in REGIONS}
    regions = write_polygons(DEMO / "regions.geojson", outlines)
    target = DEMO / "regions.tif"
    prompt, half = "annual crops", 4096
    seconds = run(
        "text2earth:generate",
        environment,
        PROMPT=prompt,
        EXTENT=f"{x - half},{x + half},{y - half},{y + half} [EPSG:26914]",
        GSD=8,
        CRS="EPSG:26914",
        REGIONS=regions,
        REGION_PROMPT_FIELD="prompt",
        SEED=3,
        OUTPUT=target,
    )
    return Made(", ".join((prompt, *outlines)), target, seconds), regions


def extend(background: Path, environment: dict[str, str]) -> Made:
    """Continue the real scene eastward."""
    with rasterio.open(background) as source:
        west, south, east, north = source.bounds
        crs = source.crs.to_string()
    target = DEMO / "extended.tif"
    prompt = "a pasture"
    seconds = run(
        "text2earth:extend",
        environment,
        INPUT=background,
        EXTENT=f"{west},{east + NEW_LAND},{south},{north} [{crs}]",
        PROMPT=prompt,
        SEED=5,
        OUTPUT=target,
    )
    return Made(prompt, target, seconds)


def edit(background: Path, environment: dict[str, str]) -> tuple[Made, Path]:
    """Put a lake into a field of the real scene; return the result and its mask."""
    prompt = "a lake"
    mask = write_polygons(DEMO / "lake.geojson", {prompt: blob(*LAKE)})
    target = DEMO / "edit.tif"
    seconds = run(
        "text2earth:edit",
        environment,
        INPUT=background,
        MASK=mask,
        PROMPT=prompt,
        GUIDANCE=7,  # more than the default: fields on all sides speak against a lake
        SEED=7,
        OUTPUT=target,
    )
    return Made(prompt, target, seconds), mask


def edit_sheet(before: Path, mask: Path, after: Path, path: Path) -> int:
    """Draw the surroundings of the edit before, with its mask, and after; return the changed pixels.

    Raises SystemExit if a pixel outside the mask changed.
    """
    x, y, a, b = LAKE
    outline = json.loads(mask.read_text())["features"][0]["geometry"]
    views = []
    for file in (before, after):
        with rasterio.open(file) as source:
            views.append(source.read())
            transform, shape = source.transform, source.shape
    inside = rasterize([outline], shape, transform=transform, all_touched=True).astype(bool)
    changed = (views[0] != views[1]).any(axis=0)
    if changed[~inside].any():
        raise SystemExit("The edit changed pixels outside its mask.")
    (left, top), (right, bottom) = ~transform * (x - 2 * a, y + 3 * b), ~transform * (x + 2 * a, y - 3 * b)
    window = np.s_[max(0, int(top)) : int(bottom), max(0, int(left)) : int(right)]
    red = np.where(inside, np.array([[[255]], [[40]], [[40]]]), views[0][:3])
    masked = (0.5 * views[0][:3] + 0.5 * red).astype(np.uint8)
    images = [
        Image.fromarray(view[:3][:, *window].transpose(1, 2, 0)) for view in (views[0], masked, views[1])
    ]
    size = (images[0].width * 2, images[0].height * 2)
    sheet = Image.new("RGB", (3 * size[0] + 80, size[1] + 60), "white")
    for index, (image, title) in enumerate(zip(images, ("before", "mask", "after"), strict=True)):
        sheet.paste(image.resize(size, Image.Resampling.NEAREST), (20 + index * (size[0] + 20), 20))
        ImageDraw.Draw(sheet).text((20 + index * (size[0] + 20), size[1] + 30), title, fill="black")
    sheet.save(path)
    return int(changed.sum())


def contact_sheet(made: list[Made], path: Path) -> None:
    """Draw the results side by side, 512 px each, with what they are below."""
    sheet = Image.new("RGB", (len(made) * 532 + 20, 592), "white")
    draw = ImageDraw.Draw(sheet)
    for index, one in enumerate(made):
        with rasterio.open(one.path) as source:
            pixels = source.read().transpose(1, 2, 0)[:, :, :3]
        image = Image.fromarray(pixels)
        image.thumbnail((512, 512))
        sheet.paste(image, (20 + index * 532, 20))
        draw.text((20 + index * 532, 542), one.prompt, fill="black")
        draw.text((20 + index * 532, 560), describe(one), fill="black")
    sheet.save(path)


def regions_sheet(made: Made, regions: Path, path: Path) -> None:
    """Draw a scene of regions at 1:1, beside a small one with their outlines and what they say."""
    with rasterio.open(made.path) as source:
        scene = Image.fromarray(source.read().transpose(1, 2, 0)[:, :, :3])
        inverse = ~source.transform
    small = scene.resize((scene.width // 2, scene.height // 2), Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(small)
    for feature in json.loads(regions.read_text())["features"]:
        outline = [inverse * (x, y) for x, y in feature["geometry"]["coordinates"][0]]
        pen.line([(col / 2, row / 2) for col, row in outline], fill="white", width=2)
        col, row = np.mean(outline, axis=0) / 2
        pen.text((col, row), feature["properties"]["prompt"], fill="white", anchor="mm")
    sheet = Image.new("RGB", (scene.width + small.width + 60, scene.height + 40), "white")
    sheet.paste(small, (20, 20))
    sheet.paste(scene, (small.width + 40, 20))
    sheet.save(path)


def extension_sheet(before: Path, after: Path, path: Path) -> None:
    """Draw the extended scene, marks above and below where the real one ends.

    Raises SystemExit if a pixel of the real scene changed.
    """
    with rasterio.open(before) as old, rasterio.open(after) as new:
        col, row = (round(value) for value in ~new.transform * (old.transform * (0, 0)))
        was, now = old.read(), new.read()
        border = col + old.width
    if not np.array_equal(was, now[:, row : row + was.shape[1], col : col + was.shape[2]]):
        raise SystemExit("The extension changed pixels of the scene it extends.")
    image = Image.fromarray(now[:3].transpose(1, 2, 0))
    sheet = Image.new("RGB", (2 * image.width + 40, 2 * image.height + 60), "white")
    sheet.paste(image.resize((2 * image.width, 2 * image.height), Image.Resampling.NEAREST), (20, 30))
    pen = ImageDraw.Draw(sheet)
    x = 20 + 2 * border
    pen.line([(x, 4), (x, 26)], fill="red", width=2)
    pen.line([(x, sheet.height - 26), (x, sheet.height - 4)], fill="red", width=2)
    pen.text((x - 8, 15), "real", fill="black", anchor="rm")
    pen.text((x + 8, 15), "generated", fill="black", anchor="lm")
    sheet.save(path)


def describe(made: Made) -> str:
    """Return CRS, size, GSD, seed and time of a result in a line."""
    with rasterio.open(made.path) as source:
        size = f"{source.width} x {source.height} px"
        tags, crs = source.tags(), source.crs.to_string()
    gsd = float(tags["GROUND_SAMPLE_DISTANCE_M"].split()[0])
    return f"{crs}  {size}  {gsd:.3f} m  seed {tags['AI_SEED']}  {made.seconds:.1f} s"


def screenshot(environment: dict[str, str], made: Made, background: Path) -> Path:
    """Grab a real QGIS window: dock open, the result over real imagery."""
    target = DEMO / "qgis.png"
    values = {
        "DEMO_RESULT": str(made.path),
        "DEMO_BACKGROUND": str(background),
        "DEMO_SCREENSHOT": str(target),
    }
    subprocess.run(
        [".ci/qgis", "window", ".ci/demo_window.py"],
        cwd=ROOT,
        env=os.environ | environment | values,
        check=True,
    )
    return target


def main() -> None:
    """Make everything in demo/ anew and say where it is."""
    shutil.rmtree(DEMO, ignore_errors=True)
    DEMO.mkdir()
    background = basemap()
    with backend() as environment:
        made = [generate(scene, environment) for scene in scenes(background)]
        contact_sheet(made, DEMO / "contact_sheet.png")
        edited, mask = edit(background, environment)
        changed = edit_sheet(background, mask, edited.path, DEMO / "edit_sheet.png")
        of_regions, regions = regional(background, environment)
        regions_sheet(of_regions, regions, DEMO / "regions_sheet.png")
        extended = extend(background, environment)
        extension_sheet(background, extended.path, DEMO / "extension_sheet.png")
        grabbed = screenshot(environment, made[0], background)
    for one in (*made, of_regions, edited, extended):
        print(f"{one.path.relative_to(ROOT)}  {describe(one)}")
    print("demo/contact_sheet.png")
    print(f"demo/edit_sheet.png  {changed} pixels changed, none outside the mask")
    print("demo/regions_sheet.png")
    print("demo/extension_sheet.png  the real part unchanged")
    print(grabbed.relative_to(ROOT))


if __name__ == "__main__":
    main()
