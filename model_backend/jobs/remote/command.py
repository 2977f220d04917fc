"""The command ``worker``: a computer works for a backend elsewhere, as Slurm or Kubernetes would have it."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from model_backend import logs
from model_backend.errors import BackendError


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to a command line."""
    parser = commands.add_parser("worker", help="work for a backend on another computer, until it is ended")
    parser.add_argument("--server", required=True, metavar="URL", help="where the backend answers")
    parser.add_argument(
        "--token-file", type=Path, required=True, help="the backend's DATA_DIR/worker-token, or a copy"
    )
    parser.add_argument("--devices", default="auto", metavar="DEVICE,...", help="a worker for each (auto)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of each (all)")
    parser.add_argument("--data-dir", type=Path, help="folder for models and inputs that were fetched")
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    from model_backend.jobs.remote.remote_crew import RemoteCrew, own_folder  # Linux only

    logs.begin()
    try:
        token = given.token_file.read_text(encoding="utf-8").strip()
        devices = [device.strip() for device in given.devices.split(",")]
        crew = RemoteCrew(given.server, token, devices, given.data_dir or own_folder(), given.threads)
    except (BackendError, OSError, ValueError) as error:
        print(f"text2earth-backend: {error}", file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: crew.stop())
    crew.run()
    return 0
