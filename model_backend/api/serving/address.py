"""Where the backend of a data folder answers: a file in that folder, by which its user finds it, or ends it.

Whoever removes the file ends the backend: a way that works alike on every operating system, and through
which nobody but the owner of the folder can ask.
"""

from __future__ import annotations

import ipaddress
import os
import time
from pathlib import Path

from model_backend.api.serving.folder_lock import lock_folder
from model_backend.api.tokens import BadSetUp

PATIENCE = 30.0  # seconds a backend gets to end: requests that run, then workers
LOOK = 0.1  # seconds between two looks


def address_path(data_dir: Path) -> Path:
    """Return the file that the address is in."""
    return data_dir / "address"


def read_address(data_dir: Path) -> str | None:
    """Return the URL of the backend that uses a folder, None if none says so. It may have died since."""
    try:
        return address_path(data_dir).read_text("utf-8").strip() or None
    except FileNotFoundError:
        return None


def publish(data_dir: Path, host: str, port: int) -> str:
    """Write down where the backend answers on this computer, for its user alone; return that URL."""
    if ipaddress.ip_address(host).is_unspecified:  # every address, and so the loopback
        host = "::1" if ":" in host else "127.0.0.1"
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    part = data_dir / f"address.{os.getpid()}.part"
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(f"{url}\n".encode())
    os.replace(part, address_path(data_dir))
    return url


def withdraw(data_dir: Path, url: str) -> None:
    """Take the address back, unless it is that of another backend by now."""
    if read_address(data_dir) == url:
        address_path(data_dir).unlink(missing_ok=True)


def stop(data_dir: Path) -> None:
    """End the backend that uses a folder, if one does, and wait until it has; BadSetUp if it stays."""
    if not data_dir.is_dir():
        return
    address_path(data_dir).unlink(missing_ok=True)
    end = time.monotonic() + PATIENCE
    while True:
        try:
            lock_folder(data_dir).close()
        except BadSetUp:
            if time.monotonic() > end:
                raise
            time.sleep(LOOK)
        else:
            return
