"""What one backend is made of: its settings, models, job store, uploads, files, supervisor, secret.

Built once at start and handed to the endpoints as a value; starting it starts the workers.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from itsdangerous import Signer

from model_backend.api.auth import Gate, worker_token
from model_backend.api.device_check import missing
from model_backend.api.operations.audit import Audit
from model_backend.api.serving.address import address_path
from model_backend.api.serving.folder_lock import lock_folder
from model_backend.api.threads import Threads
from model_backend.api.tokens import BadSetUp
from model_backend.jobs.files import Files
from model_backend.jobs.remote.port import WorkerPort
from model_backend.jobs.store.job_store import JobStore
from model_backend.jobs.supervisor import Supervisor
from model_backend.jobs.uploads import Uploads
from model_backend.models.registry import Registry
from model_backend.settings import Settings

log = logging.getLogger(__name__)

SECRET = 32  # bytes
PATIENCE = 5.0  # seconds that a request waits for another program that holds the job store
LOCK_PATIENCE = 1.0  # seconds for whoever only looks whether the data folder is used


@dataclass(frozen=True)
class Backend:
    """One running backend."""

    settings: Settings
    gate: Gate
    registry: Registry
    store: JobStore
    uploads: Uploads
    files: Files
    supervisor: Supervisor
    worker_token: str
    port: WorkerPort
    signer: Signer
    threads: Threads
    lock: BinaryIO
    audit: Audit

    @classmethod
    def open(cls, settings: Settings) -> Backend:
        """Open (or make) the data directory.

        Raises BadSetUp (also where another backend uses it), ModelUnavailable (there is no such default
        model), OSError or sqlite3.DatabaseError.
        """
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = lock_folder(settings.data_dir, LOCK_PATIENCE)
        address_path(settings.data_dir).unlink(missing_ok=True)  # of one that was killed
        gate = Gate.of(settings)
        registry = Registry(settings)
        registry.default()
        if sentence := missing(settings.devices):
            raise BadSetUp(sentence)
        if settings.ray and importlib.util.find_spec("ray") is None:
            raise BadSetUp(
                "Workers on a Ray cluster need the extra `cluster`: pip install '.[model,cluster]'."
            )
        signer = Signer(_secret(settings.data_dir / "secret"), salt="result", digest_method=hashlib.sha256)
        files = Files(settings.data_dir)
        store, uploads = JobStore.open(settings.data_dir, durable=True, patience=PATIENCE), Uploads(settings)
        store.database.check()
        store.administration.limit_running(settings.owner_running or None)
        if (mode := store.administration.mode()) != "open":
            log.warning("the backend is %s, as its administrator left it: `resume` ends that", mode)
        token = worker_token(settings)
        supervisor = Supervisor(settings, store, files, uploads, token)
        rows = JobStore.open(settings.data_dir, patience=PATIENCE)
        guests, wake = supervisor.guests, supervisor.wake
        port = WorkerPort(settings, rows, files, uploads, registry, guests, wake)
        audit = Audit(settings.data_dir)
        return cls(
            settings,
            gate,
            registry,
            store,
            uploads,
            files,
            supervisor,
            token,
            port,
            signer,
            Threads(),
            lock,
            audit,
        )

    def close(self) -> None:
        """End the workers and close the store; unfinished jobs stay queued."""
        self.supervisor.stop()
        self.port.close()
        self.store.close()
        self.audit.close()
        self.lock.close()


def _secret(path: Path) -> bytes:
    """Return the key that signs links, made at first start and where a power cut left none."""
    if not path.exists() or path.stat().st_size < SECRET:
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(SECRET))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    return path.read_bytes()
