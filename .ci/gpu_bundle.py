"""Packs what a bare GPU box needs beside a checkout for ``model_backend.benchmark session``.

    .ci/gpu_bundle.py --data DATA [--megabytes 18] [--python 3.12] [FOLDER]

Wheels of the few libraries that a box with torch and transformers lacks, and as much of the training data as
then fits, a part of every class. Prints the command to run there.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as parquet

from launcher import ROOT

WHEELS = (
    "annotated-types",
    "diffusers",
    "importlib-metadata",
    "pydantic",
    "pydantic-core",
    "typing-inspection",
)
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
DATA = ("eurosat_rgb.parquet", "ucmerced_0m50.parquet")
RUN = """\
python3 -m pip install --no-index --no-deps --target /tmp/site {folder}/wheels/*.whl
PYTHONPATH=/tmp/site python3 -m model_backend.benchmark session --minutes 12 --data {folder}/data --out OUT"""


def bundle(folder: Path, data: Path, size: int, python: str) -> None:
    """Make the bundle in a folder, anew, of at most ``size`` bytes."""
    shutil.rmtree(folder, ignore_errors=True)
    wheels, chips = folder / "wheels", folder / "data"
    chips.mkdir(parents=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download", "--no-deps"]
    target = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", python]
    target += [word for name in PLATFORMS for word in ("--platform", name)]
    pinned = ["--constraint", str(ROOT / ".ci" / "constraints.txt")]
    subprocess.run([*pip, *target, *pinned, "--dest", str(wheels), *WHEELS], check=True)
    left = size - sum(path.stat().st_size for path in wheels.iterdir())
    share = min(1.0, left / sum((data / name).stat().st_size for name in DATA))
    if share <= 0:
        raise SystemExit(f"The wheels alone are more than {size / 1e6:.0f} MB.")
    for name in DATA:
        thin(data / name, chips / name, share)


def thin(source: Path, target: Path, share: float) -> None:
    """Copy a share of a table's rows, the same of every class."""
    table = parquet.read_table(source)
    rows = sorted(range(len(table)), key=lambda row: str(table["label"][row]))
    kept = [row for place, row in enumerate(rows) if int((place + 1) * share) > int(place * share)]
    parquet.write_table(table.take(kept), target)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the training data")
    parser.add_argument("--megabytes", type=float, default=18, help="size of the bundle, at most")
    parser.add_argument("--python", default="3.12", help="version of Python on the box")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("dist") / "gpu")
    given = parser.parse_args()
    bundle(given.folder, given.data, round(given.megabytes * 1e6), given.python)
    size = sum(path.stat().st_size for path in given.folder.rglob("*") if path.is_file())
    print(f"{given.folder}  {size / 1e6:.1f} MB. There:\n{RUN.format(folder=given.folder)}")


if __name__ == "__main__":
    main()
