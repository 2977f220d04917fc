"""``models list | pull | verify`` on the command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from model_backend.errors import BackendError
from model_backend.models.registry import Registry, models_dir
from model_backend.settings import Settings


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the ``models`` command; its ``run(args)`` returns the exit code."""
    parser = subparsers.add_parser("models", help="list, download and verify models")
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="list the models and whether they are installed")
    pulling = actions.add_parser("pull", help="download a model, checked and resumable")
    pulling.add_argument("id", help="id from `models list`")
    pulling.add_argument("--yes", action="store_true", help="accept the licence without being asked")
    verifying = actions.add_parser("verify", help="check installed models against their checksums")
    verifying.add_argument("id", nargs="?", help="id of one model; default: all that are installed")
    for action, run in ((listing, _list), (pulling, _pull), (verifying, _verify)):
        action.add_argument("--data-dir", type=Path, help="folder of the backend's data")
        action.set_defaults(run=run)


def _list(args: argparse.Namespace) -> int:
    try:
        registry = Registry(_settings(args))
    except BackendError as error:
        return _fail(error)
    default = registry.default_id
    for entry in registry.all():
        card = entry.card
        state = "installed" if entry.folder else "not installed"
        mark = " (default)" if card.id == default else ""
        limits = "research, non-commercial use" if card.non_commercial else "commercial use allowed"
        print(f"{card.id}{mark}\n  {card.title}\n  {state}; {card.licence}; {limits}")
        print(f"  {card.gsd[0]:g} to {card.gsd[1]:g} m per pixel")
    return 0


def _pull(args: argparse.Namespace) -> int:
    try:
        from model_backend.models import pull
    except ModuleNotFoundError as error:
        print(
            f"{error.name} is not installed, nor what runs such models. Install the backend with [model], or "
            "add diffusion in the panel of QGIS.",
            file=sys.stderr,
        )
        return 1
    settings = _settings(args)
    try:
        offered = pull.offer(Registry(settings).get(args.id).card)
        size = f"{len(offered.files)} files, {offered.size / 1e6:,.1f} MB"
        print(f"{args.id}: {size}, commit {offered.revision}")
        if offered.unfamiliar:
            print(offered.unfamiliar, file=sys.stderr)
        folder = pull.pull(offered, models_dir(settings), accept=lambda text: _accept(text, args.yes))
    except BackendError as error:
        return _fail(error)
    print(f"{args.id} is installed in {folder}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    from model_backend.models import pull

    wrong = 0
    try:
        registry = Registry(_settings(args))
        entries = [registry.get(args.id)] if args.id else [entry for entry in registry.all() if entry.folder]
        for entry in entries:
            problems = pull.verify(entry.require())
            wrong += len(problems)
            print(f"{entry.card.id}: {' '.join(problems) or 'All files are as they were locked.'}")
            if note := entry.card.unfamiliar(entry.card.revision):
                print(note)
    except BackendError as error:
        return _fail(error)
    return 1 if wrong else 0


def _accept(text: str, yes: bool) -> bool:
    print(text)
    if yes:
        return True
    try:
        return input("Do you accept this and want to download? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print("\nNobody is there to ask; scripts accept with --yes.", file=sys.stderr)
        return False


def _fail(error: BackendError) -> int:
    print(error, file=sys.stderr)
    return 1


def _settings(args: argparse.Namespace) -> Settings:
    return Settings(data_dir=args.data_dir) if args.data_dir else Settings()
