"""The command line: ``serve``, ``stop``, what administrators do, ``models``, what measures and trains."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from model_backend import __version__
from model_backend.administration import cli as administration
from model_backend.administration.cli import told
from model_backend.benchmark import cli as benchmark
from model_backend.evaluation import cli as evaluation
from model_backend.jobs.remote import command
from model_backend.models import cli as models
from model_backend.settings import Settings
from model_backend.training import cli as training


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="text2earth-backend", description="Backend of Text2Earth for QGIS.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands)
    _add_stop(commands)
    command.add_parser(commands)
    administration.add_parsers(commands)
    models.add_parser(commands)
    benchmark.add_parser(commands)
    training.add_parser(commands)
    evaluation.add_parser(commands)
    given = parser.parse_args(arguments)
    return int(given.run(given) or 0)


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "serve", help="answer requests", description="Every setting is also a TEXT2EARTH_ variable."
    )
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (8765); 0 takes a free one")
    parser.add_argument("--data-dir", type=Path, help="folder of job store, results, models and token")
    parser.add_argument("--model", help="default model: an id of `models list`, or a model folder")
    parser.add_argument(
        "--devices",
        dest="device",
        metavar="DEVICE,...",
        help="auto, cpu, cuda, cuda:N or mps; a worker for each, all of which work on one scene (auto)",
    )
    parser.add_argument(
        "--ray", metavar="ADDRESS", help="give a Ray cluster workers; auto: that of this computer"
    )
    parser.add_argument("--ray-workers", type=int, metavar="N", help="so many (as many as there is room for)")
    parser.add_argument(
        "--ray-resources",
        type=_json_object,
        metavar="JSON",
        help='what each takes, as Ray spells it ({"num_gpus": 1})',
    )
    token = parser.add_mutually_exclusive_group()
    token.add_argument("--token-file", type=Path, help="file with one token per line (DATA_DIR/token)")
    token.add_argument("--no-token", action="store_true", default=None, help="ask nobody (loopback only)")
    parser.add_argument("--idle-minutes", type=float, help="minutes after which it ends if nobody needs it")
    parser.add_argument(
        "--background",
        action="store_true",
        help="return once it answers, and leave it running; one that is there is as good",
    )
    parser.set_defaults(run=_serve)


def _json_object(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'write JSON, as in {{"num_gpus": 1}}: {error}') from None


def _add_stop(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("stop", help="end the backend of this user, and wait until it has ended")
    parser.add_argument("--data-dir", type=Path, help="its data folder")
    parser.set_defaults(run=_stop)


def _in_utf8() -> None:
    """Begin anew in UTF-8 mode where the locale is of another kind: GDAL takes names of files in UTF-8."""
    if not sys.flags.utf8_mode and sys.getfilesystemencoding() != "utf-8":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _serve(given: argparse.Namespace) -> int:
    # Imported here: the other commands run where FastAPI is missing.
    from model_backend.api.serving.background import start_in_background
    from model_backend.api.serving.server import serve

    _in_utf8()
    kept = {name: value for name, value in vars(given).items() if value is not None}
    flags = {name: value for name, value in kept.items() if name not in ("run", "background")}

    def run() -> None:
        settings = Settings(**flags)
        if given.background:
            print(f"Listening on {start_in_background(settings.data_dir, flags)}", flush=True)
        else:
            serve(settings)

    return told(run)


def _stop(given: argparse.Namespace) -> int:
    from model_backend.api.serving.address import stop

    return told(lambda: stop(given.data_dir or Settings().data_dir))


if __name__ == "__main__":
    sys.exit(main())
