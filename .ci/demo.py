"""The main job, from start to end, as a user meets it: ``make demo``.

Starts a backend of its own, runs ``text2earth:generate`` through the real qgis_process for a UTM and a
Web-Mercator extent, opens a real QGIS window with the dock and a result over real imagery, and leaves
GeoTIFFs, a contact sheet and a screenshot in demo/.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import rasterio
from PIL import Image, ImageDraw
from pyproj import Transformer

from model_backend.raster.provenance import read_recipe

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "demo"
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
    """A finished scene: its file and how long it took from the user's side, in seconds."""

    scene: Scene
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
    side = 512.0
    x, y = round(x / 8) * 8.0, round(y / 8) * 8.0
    east, north = Transformer.from_crs(4326, 3857, always_xy=True).transform(8.69, 49.41)
    return [
        Scene(
            "utm",
            "a residential area with houses, trees and streets",
            (x, x + side, y, y + side),
            utm,
            1.0,
            7,
        ),
        Scene(
            "webmercator",
            "a dense forest",
            (east, east + 4000, north, north + 4000),
            "EPSG:3857",
            8.0,
            11,
        ),
    ]


def model_folder(scratch: Path) -> tuple[Path, bool]:
    """Return the model to demonstrate and whether it is a trained one.

    Without weights a random one is built."""
    if (MINI / "model_index.json").is_file():
        return MINI, True
    from tests.tiny import build_tiny

    print(
        "The bundled model is not there: building a tiny random one. ITS PICTURES ARE NOISE; the way is real."
    )
    return build_tiny(scratch / "tiny"), False


@contextmanager
def backend(scratch: Path, model: Path) -> Iterator[dict[str, str]]:
    """Run a backend on a free port; yield the environment through which the plugin finds it."""
    data = scratch / "data"
    command = [sys.executable, "-m", "model_backend", "serve", "--port", "0", "--data-dir", str(data)]
    with (DEMO / "backend.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--model", str(model)], cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
        )
        try:
            url = ""
            for line in process.stdout or ():
                if line.startswith("Listening on "):
                    url = line.split()[-1]
                    break
            if not url:
                raise SystemExit("The backend did not start; demo/backend.log says why.")
            token = (data / "token").read_text().split()[0]
            yield {"TEXT2EARTH_BACKEND_URL": url, "TEXT2EARTH_TOKEN": token}
        finally:
            process.terminate()
            process.wait(30)


def generate(scene: Scene, environment: dict[str, str]) -> Made:
    """Run the algorithm in qgis_process, as a script would."""
    target = DEMO / f"{scene.name}.tif"
    xmin, xmax, ymin, ymax = scene.extent
    arguments = {
        "PROMPT": scene.prompt,
        "EXTENT": f"{xmin},{xmax},{ymin},{ymax} [{scene.crs}]",
        "GSD": scene.gsd,
        "CRS": scene.crs,
        "SEED": scene.seed,
        "OUTPUT": target,
    }
    started = time.monotonic()
    done = subprocess.run(
        [
            ".ci/qgis",
            "process",
            "run",
            "text2earth:generate",
            "--",
            *(f"{k}={v}" for k, v in arguments.items()),
        ],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"qgis_process ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return Made(scene, target, time.monotonic() - started)


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
        draw.text((20 + index * 532, 542), one.scene.prompt, fill="black")
        draw.text((20 + index * 532, 560), describe(one), fill="black")
    sheet.save(path)


def describe(made: Made) -> str:
    """Return CRS, size, GSD, seed and time of a result in a line."""
    with rasterio.open(made.path) as source:
        size = f"{source.width} x {source.height} px"
        gsd = float(source.tags()["GROUND_SAMPLE_DISTANCE_M"].split()[0])
        crs = source.crs.to_string()
    seed = read_recipe(made.path).seed
    return f"{crs}  {size}  {gsd:.3f} m  seed {seed}  {made.seconds:.1f} s"


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
    with tempfile.TemporaryDirectory(prefix="text2earth-demo-") as temporary:
        scratch = Path(temporary)
        model, trained = model_folder(scratch)
        background = basemap()
        with backend(scratch, model) as environment:
            made = [generate(scene, environment) for scene in scenes(background)]
            contact_sheet(made, DEMO / "contact_sheet.png")
            grabbed = screenshot(environment, made[0], background)
    for one in made:
        print(f"{one.path.relative_to(ROOT)}  {describe(one)}")
    print(f"demo/contact_sheet.png  {'' if trained else 'NOISE: random weights'}")
    print(grabbed.relative_to(ROOT))


if __name__ == "__main__":
    main()
