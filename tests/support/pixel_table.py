"""SHA-256 of the decoded pixels of twelve recipes, made over HTTP: a change that only moves code keeps them.

``python tests/support/pixel_table.py TINY INPAINT`` starts the backend of the folder it is run in, with two
model folders of ``tiny_models`` beside the bundled model, and prints a line per recipe. The digests hold on
one profile only (processor, threads, versions), so compare runs of one machine.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import rasterio
from affine import Affine

UTM = {"bbox": [500000, 5200000, 500064, 5200064], "crs": "EPSG:32632"}
WIDE = {"bbox": [500000, 5200000, 500160, 5200096], "crs": "EPSG:32632"}
SQUARE = [[500010, 5199990], [500040, 5199990], [500040, 5199955], [500010, 5199990]]
MASK = {"geojson": {"type": "Polygon", "coordinates": [SQUARE]}, "crs": "EPSG:32632"}


def raster(dtype: str, bands: int) -> dict[str, Any]:
    """Return a raster of 1 m pixels with waves and noise in it, as an input by value."""
    row, col = np.mgrid[:96, :120]
    chance = np.random.default_rng(bands).normal(0, 0.04, (bands, 96, 120))
    scene = 0.5 + 0.3 * np.sin(row / 11) * np.cos(col / 9) + chance
    pixels = (scene.clip(0, 1) * (250 if dtype == "uint8" else 9000)).astype(dtype)
    kind = {"driver": "GTiff", "count": bands, "height": 96, "width": 120, "dtype": dtype}
    with rasterio.MemoryFile() as memory:
        with memory.open(**kind, crs="EPSG:32632", transform=Affine(1, 0, 500000, 0, -1, 5200000)) as file:
            file.write(pixels)
        content = base64.b64encode(memory.read()).decode()
    return {"value": content, "encoding": "base64", "mediaType": "image/tiff; application=geotiff"}


def regions(*prompts: str) -> dict[str, Any]:
    """Return strips of 30 m, one per prompt."""
    features = []
    for number, prompt in enumerate(prompts):
        west, south, east, north = 500010 + 35 * number, 5200010, 500040 + 35 * number, 5200060
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "geometry": geometry, "properties": {"prompt": prompt}})
    return {"crs": "EPSG:32632", "geojson": {"type": "FeatureCollection", "features": features}}


def recipes() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Return name -> (model, process, inputs)."""
    lake = {"prompt": "a lake", "seed": 5}
    byte, many = {"source": raster("uint8", 3), **lake}, {"source": raster("uint16", 4), **lake}
    larger = {"bbox": [499980, 5199880, 500140, 5200020], "crs": "EPSG:32632"}
    coarse = {"bbox": [500000, 5200000, 500800, 5200512], "crs": "EPSG:32632"}
    degrees = {"bbox": [9.0, 46.95, 9.0008, 46.9505]}
    return {
        "tiny generate": ("tiny", "generate", {**lake, "extent": UTM, "gsd": 1}),
        "tiny two variants": ("tiny", "generate", {**lake, "extent": UTM, "gsd": 1, "variants": 2}),
        "tiny ground": ("tiny", "generate", {**lake, "extent": UTM, "gsd": 1, "canvas": "ground"}),
        "tiny regions": (
            "tiny",
            "generate",
            {**lake, "extent": WIDE, "gsd": 1, "regions": regions("b", "c")},
        ),
        "tiny degrees": ("tiny", "generate", {**lake, "extent": degrees, "gsd": 1, "crs": "EPSG:4326"}),
        "tiny edit": ("inpaint", "edit", {**byte, "mask": MASK, "strength": 0.7}),
        "tiny extend": ("inpaint", "extend", {**byte, "extent": larger}),
        "mini generate": ("mini", "generate", {**lake, "extent": coarse, "gsd": 8}),
        "mini ground": ("mini", "generate", {**lake, "extent": UTM, "gsd": 1, "canvas": "ground"}),
        "mini regions": (
            "mini",
            "generate",
            {**lake, "extent": WIDE, "gsd": 1, "regions": regions("forest")},
        ),
        "mini edit": ("mini", "edit", {**many, "mask": MASK}),
        "mini extend": ("mini", "extend", {**byte, "extent": larger, "regions": regions("forest")}),
    }


def pixels(client: httpx.Client, process: str, inputs: dict[str, Any]) -> str:
    """Run a job to its end; return the digest of the pixels of all its images."""
    answer = client.post(f"/processes/{process}/execution", json={"inputs": inputs, "response": "document"})
    assert answer.status_code == 201, answer.text
    status = f"/jobs/{answer.json()['jobID']}"
    while (state := client.get(status).json())["status"] in ("accepted", "running"):
        time.sleep(0.1)
    assert state["status"] == "successful", state
    digest = hashlib.sha256()
    for name, value in sorted(client.get(f"{status}/results").json().items()):
        if name.startswith("image"):
            with rasterio.open(io.BytesIO(client.get(value["href"]).content)) as file:
                digest.update(file.read().tobytes())
    return digest.hexdigest()


def main(tiny: str, inpaint: str) -> None:
    """Print the table."""
    started: dict[str, tuple[subprocess.Popen[str], httpx.Client]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for model, place in {"tiny": tiny, "inpaint": inpaint, "mini": "text2earth-mini"}.items():
            command = [sys.executable, "-m", "model_backend", "serve", "--port", "0", "--no-token"]
            command += ["--model", place, "--data-dir", str(Path(folder) / model)]
            variables = {
                **os.environ,
                "TEXT2EARTH_THREADS": "1",
                "TEXT2EARTH_DEVICE": "cpu",
                "OMP_NUM_THREADS": "1",
            }
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables)
            assert process.stdout is not None
            started[model] = process, httpx.Client(base_url=process.stdout.readline().split()[-1], timeout=60)
        try:
            for name, (model, process_id, inputs) in recipes().items():
                print(f"{name:20}{pixels(started[model][1], process_id, inputs)}", flush=True)
        finally:
            for process, client in started.values():
                client.close()
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
