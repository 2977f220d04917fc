"""Results as tests look at them: pixels of a finished job, and a listener that never stops anybody."""

from __future__ import annotations

import io
from typing import Any

import httpx
import numpy as np
import rasterio

from tests.support.backend.service import finished, submit


class Asker:
    """Never asks to stop."""

    def step(self, done: int, total: int) -> None:
        assert 0 <= done <= total

    def preview(self, rgb: np.ndarray) -> None:
        pass


def made(client: httpx.Client, process: str, inputs: dict[str, Any]) -> np.ndarray:
    """The bands of a job's result, (bands, height, width)."""
    job = submit(client, process, inputs, response="document")
    status = finished(client, job)
    assert status["status"] == "successful", status
    link = client.get(f"/jobs/{job}/results").json()["image"]["href"]
    with rasterio.open(io.BytesIO(client.get(link).content)) as file:
        bands: np.ndarray = file.read()
    return bands
