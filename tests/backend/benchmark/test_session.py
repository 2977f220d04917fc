"""A visit to a GPU box, rehearsed on a processor: all runs where little else is installed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from argparse import Namespace
from pathlib import Path

import gpu_bundle
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_backend.benchmark import session

# What a box with torch and transformers lacks, and what is not brought along.
BARE = """
import sys

class NotHere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {MISSING}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NotHere())
"""
MISSING = {"rasterio", "pyproj", "fastapi", "uvicorn", "tifffile", "pystac", "shapely", "platformdirs"}
MISSING |= {"pydantic_settings", "itsdangerous", "starlette"}


@pytest.mark.slow
def test_a_tiny_visit_leaves_all_figures(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "sitecustomize.py").write_text(BARE.replace("{MISSING}", str(MISSING)))
    command = [sys.executable, "-m", "model_backend.benchmark", "session", "--random-weights", "tiny"]
    where = ["--device", "cpu", "--out", str(out), "--minutes", "30"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "bare"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *where], env=environment, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert [line.split(":")[0] for line in done.stdout.splitlines()[:-1]] == ["speed", "formats", "large"]
    speed = json.loads((out / "speed.json").read_text())
    assert speed["stock"]
    assert speed["scenes"][0]["unet_tflops"] > 0
    formats = json.loads((out / "formats.json").read_text())
    assert [row["format"] for row in formats["unet"]] == ["float32", "float16", "bfloat16"]
    assert all(row["repeats"] and row["off_float32"] < 8 for row in formats["unet"])
    assert max(row["mean_off_stock"] for row in formats["unet"]) < 2
    assert [row["format"] for row in formats["decode"]] == ["float32", "tf32", "float16", "bfloat16"]


def test_a_part_that_hangs_or_fails_costs_no_other(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert not session._program("hangs", ("http.server", "--bind", "127.0.0.1", "0"), 0.5, tmp_path)
    assert not session._program("fails", ("there_is_no_such_module",), 60, tmp_path)
    said = capfd.readouterr().out
    assert "hangs: stopped at its limit" in said
    assert "No module named there_is_no_such_module" in said


def test_a_model_comes_back_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_PIECE", 20_000)
    (tmp_path / "model").mkdir()
    weights = bytes(range(256)) * 200
    (tmp_path / "model" / "weights").write_bytes(weights)
    session._pack(tmp_path / "model", tmp_path)
    pieces = [tmp_path / f"model.tar.{number}" for number in range(4)]
    joined = io.BytesIO(b"".join(path.read_bytes() for path in pieces))
    with tarfile.open(fileobj=joined) as archive:
        assert archive.extractfile("model/weights").read() == weights  # type: ignore[union-attr]
    assert not (tmp_path / "model.tar").exists()


def test_the_most_wanted_comes_first_and_leaves_time_to_train() -> None:
    found = list(session.parts(Namespace(random_weights="sd2", device="cuda")))
    assert [part.name for part in found] == ["speed", "formats", "large"]
    assert sum(part.share for part in found) < 0.7


def test_data_is_thinned_evenly(tmp_path: Path) -> None:
    rows = [{"image": bytes([n]), "file": str(n), "label": "ab"[n % 5 == 0]} for n in range(100)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "all.parquet")
    gpu_bundle.thin(tmp_path / "all.parquet", tmp_path / "some.parquet", 0.25)
    labels = pq.read_table(tmp_path / "some.parquet")["label"].to_pylist()
    assert (labels.count("a"), labels.count("b")) == (20, 5)
