"""The table of seams: what it makes of the comparisons that were measured on the bundled model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_backend.evaluation import scene_seams

FIGURES = Path(__file__).parents[3] / "docs" / "benchmarks" / "text2earth-mini-seams.json"


@pytest.mark.parametrize(
    "report", json.loads(FIGURES.read_text("utf-8")), ids=lambda report: report["prompt"]
)
def test_rows_are_what_the_comparisons_come_to(report):
    rows = [scene_seams.summary(report["lattices"], row["lattice"]) for row in report["rows"]]
    assert rows == report["rows"]


def test_a_lattice_without_lines_has_an_empty_row():
    assert scene_seams.summary([], "decode") == {
        "lattice": "decode",
        "comparisons": 0,
        "outside band": 0,
        "largest |z|": 0.0,
        "|z| >= 3": 0,
    }
