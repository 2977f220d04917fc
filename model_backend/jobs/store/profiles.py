"""What models are like on this machine: the profile of each as last loaded, and how fast it was."""

from __future__ import annotations

import json
import time
from typing import Any

from model_backend.jobs.store.database import Database


class Profiles:
    """Profiles and speeds of models by id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, model: str, device: str, profile: dict[str, Any], rate: float) -> None:
        """Remember a loaded model's profile and its ``rate`` in seconds per evaluation."""
        with self._database.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO profile (model, device, profile, rate, updated)"
                " VALUES (?, ?, ?, ?, ?)",
                (model, device, json.dumps(profile), rate, time.time()),
            )

    def of(self, model: str) -> tuple[dict[str, Any], float] | None:
        """Return (profile, seconds per evaluation) of a model as last loaded here; None: it never was."""
        sql = "SELECT profile, rate FROM profile WHERE model = ? ORDER BY updated DESC LIMIT 1"
        rows = self._database.rows(sql, (model,))
        return (json.loads(rows[0]["profile"]), rows[0]["rate"]) if rows else None
