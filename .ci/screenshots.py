"""Makes all pictures of the README and the user guide anew, in real QGIS: ``make screenshots``.

The demonstration becomes docs/*.jpg; then a window is brought into the states that the guide
tells of, with a backend of its own, and grabbed to docs/guide/*.jpg.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

import demo
from launcher import ROOT

DOCS = ROOT / "docs"
QUALITY = 85
SHEETS = {  # of the demonstration, and the picture each becomes
    "qgis": "qgis",
    "scenes": "scenes",
    "layout": "layout",
    "pond_put": "like_here",
    "pond_gone": "fill",
    "extension": "extension",
    "comparison": "comparison",
}


def keep(picture: Path, target: Path) -> None:
    """Write a picture as JPEG."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(picture) as image:
        image.convert("RGB").save(target, quality=QUALITY, optimize=True)
    print(f"{target.relative_to(ROOT)}  {target.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Make the demonstration, then the states of the window."""
    demo.main()
    for sheet, name in SHEETS.items():
        keep(demo.DEMO / f"{sheet}.png", DOCS / f"{name}.jpg")
    with tempfile.TemporaryDirectory(prefix="text2earth-screens-") as folder, demo.backend() as environment:
        values = {"SCREENS_FOLDER": folder, "SCREENS_BACKGROUND": str(demo.real_scene())}
        command = [".ci/qgis", "--limit", "600", "window", ".ci/screenshots_window.py"]
        subprocess.run(command, cwd=ROOT, env=os.environ | environment | values, check=True)
        for picture in sorted(Path(folder).glob("*.png")):
            keep(picture, DOCS / "guide" / f"{picture.stem}.jpg")


if __name__ == "__main__":
    main()
