"""The main job, from start to end, as a user meets it: ``make demo``.

Starts a backend of its own, or takes the one that TEXT2EARTH_BACKEND_URL and TEXT2EARTH_TOKEN name, and
calls it through the real qgis_process: scenes by example at three pixel sizes
and from a layout, a pond put into a real aerial scene and one taken out, more land beside it; then the same
scenes by the small diffusion model. Opens a real QGIS window with the dock and a result over the real scene,
and leaves GeoTIFFs, sheets and a screenshot in demo/.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import demo_sheets as sheets
import rasterio
from demo_sheets import Made

from launcher import ROOT, BackendProcess

DEMO = ROOT / "demo"
MINI = "text2earth-mini"
Outline = list[tuple[float, float]]
# Middles and half axes in metres, EPSG:26914, on the real scene.
FIELD = (489377.0, 5206880.0, 290.0, 200.0)
POND = (488652.0, 5207593.0, 100.0, 100.0)
UNWANTED = (488187.0, 5206398.0, 150.0, 130.0)
NEW_LAND = 960.0  # metres added to the east of the real scene
SCENES = (  # name, prompt, west, south, CRS, pixel size in metres, seed
    ("town", "houses with a pond", 489000, 5206002, "EPSG:26914", 0.6, 4),
    ("landscape", "farmland with a village and a river", 477504, 5473000, "EPSG:32632", 8.0, 8),
    ("coast", "a coast with a sandy beach", 489000, 5206000, "EPSG:26914", 0.5, 1),
)
LAYOUT = (  # class, corners in metres from the middle of the scene; lines have a width
    ("forest", "Polygon", [(-320, 40), (-130, 60), (-90, 200), (-120, 320), (-320, 320)]),
    ("houses", "Polygon", [(20, -10), (320, -60), (320, 210), (60, 240)]),
    ("dense houses", "Polygon", [(-320, -320), (-110, -320), (-120, -150), (-320, -120)]),
    ("lake", "Polygon", [(60, -250), (150, -280), (240, -230), (220, -160), (120, -140), (50, -180)]),
    ("industry", "Polygon", [(-100, -320), (40, -320), (40, -200), (-100, -180)]),
    ("river", "LineString", [(-320, -60), (-180, -20), (-60, -90), (90, -60), (180, -110), (320, -90)]),
    ("road", "LineString", [(-30, 320), (0, 120), (-30, -40), (10, -160), (50, -320)]),
)
NAIP = (
    ROOT.parent / "shared" / "data" / "imagery" / "naip_20180716.tif",
    ROOT / "resources" / "demo" / "scene.tif",
)


def real_scene() -> Path:
    """Return the real imagery that is edited, and shown below results."""
    return next(path for path in NAIP if path.is_file())


@contextmanager
def backend() -> Iterator[dict[str, str]]:
    """Run a backend, unless there is one; yield the environment through which the plugin finds it."""
    if "TEXT2EARTH_BACKEND_URL" in os.environ:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="text2earth-demo-") as folder:
        one = BackendProcess(Path(folder) / "backend")
        try:
            yield one.start().environment
        finally:
            one.stop()
            shutil.copy(one.log_path, DEMO)


class Toolbox:
    """The plugin's algorithms in qgis_process, as a script would call them."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def run(self, algorithm: str, name: str, **arguments: object) -> Made:
        """Run an algorithm; its result is NAME.tif in demo/."""
        target = DEMO / f"{name}.tif"
        given = [f"{key}={value}" for key, value in (arguments | {"OUTPUT": target}).items()]
        started = time.monotonic()
        command = [".ci/qgis", "process", "run", f"text2earth:{algorithm}", "--", *given]
        environment = os.environ | self._environment
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"qgis_process ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return Made(str(arguments.get("PROMPT", "")), target, time.monotonic() - started)


def blob(x: float, y: float, a: float, b: float) -> Outline:
    """Return the outline of something grown: an uneven ellipse around (x, y) with half axes a and b."""
    return [
        (x + a * r * math.cos(t), y + b * r * math.sin(t))
        for t in (math.tau * k / 60 for k in range(61))
        for r in (1 + 0.12 * math.sin(3 * t + 1) + 0.08 * math.cos(5 * t),)
    ]


def write_features(path: Path, features: Iterable[tuple[str, str, Outline]]) -> Path:
    """Write (class, geometry type, corners) in EPSG:26914 as GeoJSON."""
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::26914"}}
    written = [
        {
            "type": "Feature",
            "properties": {"class": what},
            "geometry": {"type": kind, "coordinates": [corners] if kind == "Polygon" else corners},
        }
        for what, kind, corners in features
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": written}))
    return path


def scenes(toolbox: Toolbox, pixels: int = 512, suffix: str = "", **more: object) -> list[Made]:
    """Make the scenes, so many pixels wide; ``more`` are further parameters."""
    made = []
    for name, prompt, west, south, crs, gsd, seed in SCENES:
        side = pixels * gsd
        extent = f"{west},{west + side},{south},{south + side} [{crs}]"
        given = {"PROMPT": prompt, "EXTENT": extent, "GSD": gsd, "CRS": crs, "SEED": seed}
        made.append(toolbox.run("generate", name + suffix, **(given | more)))
    return made


def from_layout(toolbox: Toolbox, real: Path) -> tuple[Made, Path]:
    """Make grassland with all that a vector layer draws in it; return the result and the layer."""
    with rasterio.open(real) as source:
        x, y = (3 * round(middle / 3) for middle in source.transform * (source.width / 2, source.height / 2))
    placed = [
        (
            what,
            kind,
            [(x + dx, y + dy) for dx, dy in (corners + corners[:1] if kind == "Polygon" else corners)],
        )
        for what, kind, corners in LAYOUT
    ]
    layout = write_features(DEMO / "layout.geojson", placed)
    extent = f"{x - 307.2},{x + 307.2},{y - 307.2},{y + 307.2} [EPSG:26914]"
    given = {"PROMPT": "grassland", "EXTENT": extent, "GSD": 0.6, "CRS": "EPSG:26914", "SEED": 3}
    return toolbox.run("generate", "layout", LAYOUT=layout, **given), layout


def edits(toolbox: Toolbox, real: Path) -> list[tuple[str, Made, Path]]:
    """Put a pond like another one into a field, and take a pond away; return what, result and mask."""
    field = write_features(DEMO / "field.geojson", [("pond", "Polygon", blob(*FIELD))])
    like = write_features(DEMO / "like.geojson", [("pond", "Polygon", blob(*POND))])
    unwanted = write_features(DEMO / "unwanted.geojson", [("pond", "Polygon", blob(*UNWANTED))])
    put = toolbox.run("edit", "pond_put", INPUT=real, MASK=field, SAMPLE=real, SAMPLE_AREA=like, SEED=7)
    gone = toolbox.run("edit", "pond_gone", INPUT=real, MASK=unwanted, SEED=7)
    return [("a pond like that one", put, field), ("a pond less", gone, unwanted)]


def extension(toolbox: Toolbox, real: Path) -> Made:
    """Continue the real scene eastward, out of itself."""
    with rasterio.open(real) as source:
        west, south, east, north = source.bounds
        crs = source.crs.to_string()
    extent = f"{west},{east + NEW_LAND},{south},{north} [{crs}]"
    return toolbox.run("extend", "extended", INPUT=real, EXTENT=extent, SEED=5)


def screenshot(environment: dict[str, str], made: Made, background: Path) -> Path:
    """Grab a real QGIS window: dock open, the result over real imagery."""
    target = DEMO / "qgis.png"
    values = {
        "DEMO_RESULT": str(made.path),
        "DEMO_BACKGROUND": str(background),
        "DEMO_PROMPT": "houses with a pond",
        "DEMO_SCREENSHOT": str(target),
    }
    command = [".ci/qgis", "window", ".ci/demo_window.py"]
    subprocess.run(command, cwd=ROOT, env=os.environ | environment | values, check=True)
    return target


def main() -> None:
    """Make everything in demo/ anew and say where it is."""
    shutil.rmtree(DEMO, ignore_errors=True)
    DEMO.mkdir()
    real = real_scene()
    with backend() as environment:
        toolbox = Toolbox(environment)
        made = scenes(toolbox)
        laid_out, layout = from_layout(toolbox, real)
        edited = edits(toolbox, real)
        extended = extension(toolbox, real)
        grabbed = screenshot(environment, laid_out, real)
        by_model = scenes(toolbox, 256, "_mini", MODEL=MINI)
    sheets.side_by_side(made, DEMO / "scenes.png")
    sheets.layout(laid_out, layout, DEMO / "layout.png")
    changed = [sheets.edit(real, mask, one.path, DEMO / f"{one.path.stem}.png") for _, one, mask in edited]
    sheets.extension(real, extended.path, DEMO / "extension.png")
    sheets.pairs(made, by_model, DEMO / "comparison.png")
    for one in (*made, laid_out, *(one for _, one, _ in edited), extended):
        print(f"{one.path.relative_to(ROOT)}  {sheets.describe(one)}")
    for (what, one, _), count in zip(edited, changed, strict=True):
        print(f"demo/{one.path.stem}.png  {what}: {count} pixels changed, none outside the mask")
    print("demo/scenes.png, demo/layout.png, demo/extension.png (the real part unchanged)")
    print("demo/comparison.png  by example above, by the small diffusion model below")
    print(grabbed.relative_to(ROOT))


if __name__ == "__main__":
    main()
