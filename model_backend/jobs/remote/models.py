"""The models of a backend on the computer of a worker: fetched once, by checksum, and kept for later jobs."""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from model_backend.errors import ModelUnavailable
from model_backend.jobs.remote.connection import Connection
from model_backend.models.registry import Registry, models_dir
from model_backend.schemas import Recipe
from model_backend.settings import AUTOMATIC, Settings


def needed(recipe: Recipe) -> dict[str, str]:
    """Return the models, by id, whose files a recipe is made with, each with its revision."""
    start = {recipe.start.bank: recipe.start.revision} if recipe.start is not None else {}
    return {recipe.model: recipe.revision, **start}


class RemoteModels:
    """Keeps models in ``data_dir/models``, where the registry looks; workers may share that folder."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection, self._place = connection, models_dir(settings)
        self._plain = settings.model_copy(update={"model": AUTOMATIC})

    def have(self, model: str, revision: str, registry: Registry | None = None) -> None:
        """Fetch a model unless it is here in that revision, or no backend has files of it."""
        with self._alone(model):
            if not self._is_here(model, revision, registry or Registry(self._plain)):
                self._fetch(model, revision)

    def _is_here(self, model: str, revision: str, registry: Registry) -> bool:
        try:
            entry = registry.get(model)
        except ModelUnavailable:
            return False
        return entry.card.revision_or_hash == revision and (entry.folder is not None or entry.card.copies)

    def _fetch(self, model: str, revision: str) -> None:
        listing: dict[str, Any] = self._connection.call("model", model=model)
        if listing["revision"] != revision or not listing["files"]:
            return  # it was replaced or removed since: who makes the block says so
        part = self._place / f".{model}.{uuid.uuid4().hex}"
        for name, sha256 in listing["files"].items():
            path = f"/models/{quote(model, safe='')}/{quote(name)}"
            self._connection.fetch(path, part / name, sha256)
        target = self._place / model
        if target.exists():  # of another revision
            shutil.rmtree(target)
        os.replace(part, target)

    @contextmanager
    def _alone(self, model: str) -> Iterator[None]:
        """Keep other workers of this computer waiting, who then find the model here."""
        self._place.mkdir(parents=True, exist_ok=True)
        with (self._place / f".{model}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
