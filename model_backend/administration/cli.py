"""``jobs``, ``owners``, ``pause``, ``drain``, ``tokens``, ``backup`` and their like on the command line."""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

from model_backend.administration.client import ask
from model_backend.api import tokens
from model_backend.api.tokens import BadSetUp
from model_backend.errors import BackendError
from model_backend.settings import Settings

if TYPE_CHECKING:
    from model_backend.administration.backup import Amount

LOOK = 1.0  # seconds between two looks whether all has been drained

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_parsers(commands: Commands) -> None:
    """Add the commands of administrators; ``run(args)`` of each returns the exit code."""
    jobs = commands.add_parser("jobs", help="list and cancel jobs of all owners").add_subparsers(
        required=True
    )
    listing = _add(jobs, "list", "list unfinished jobs", _list_jobs)
    listing.add_argument("--all", action="store_true", help="those that have ended, too")
    listing.add_argument("--json", action="store_true", help="as JSON")
    _add(jobs, "cancel", "dismiss an unfinished job", _cancel).add_argument("id")

    owners = commands.add_parser("owners", help="what owners have and get").add_subparsers(required=True)
    _add(owners, "list", "list owners", _list_owners).add_argument("--json", action="store_true")
    giving = _add(owners, "set", "give an owner another share or limit", _set_owner)
    giving.add_argument("owner")
    giving.add_argument("--priority", type=float, help="share of the time beside others, who have 1")
    giving.add_argument("--running", type=int, help="jobs at a time; 0: as many as everybody")

    _add(commands, "pause", "let workers take nothing; what is sent waits", _mode("paused"))
    _add(commands, "resume", "end a pause or a drain", _mode("open"))
    draining = _add(commands, "drain", "take no jobs, begin none, and wait for those that run", _drain)
    draining.add_argument("--no-wait", action="store_true", help="return at once")

    _add_tokens(commands.add_parser("tokens", help="who may use the backend").add_subparsers(required=True))
    keeping = _add(commands, "backup", "write jobs, results and uploads into one file, at any time", _backup)
    keeping.add_argument("file", type=Path)
    restoring = _add(commands, "restore", "make an empty data folder what a backup holds", _restore)
    restoring.add_argument("file", type=Path)


def told(work: Callable[[], object]) -> int:
    """Do something; return its exit code, having said what was wrong."""
    try:
        work()
    except (BadSetUp, BackendError, OSError, sqlite3.DatabaseError, ValueError) as error:
        print(f"text2earth-backend: {error}", file=sys.stderr)
        return 1
    return 0


def _add(
    commands: Commands, name: str, about: str, act: Callable[[argparse.Namespace], object]
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=about, description=about)
    parser.add_argument("--data-dir", type=Path, help="the backend's data folder")
    parser.set_defaults(run=lambda given: told(lambda: act(given)))
    return parser


def _folder(given: argparse.Namespace) -> Path:
    folder: Path = given.data_dir or Settings().data_dir
    return folder


# ---- orders to a backend that runs ----------------------------------------------------------------------


def _list_jobs(given: argparse.Namespace) -> None:
    jobs = ask(_folder(given), "GET", f"jobs?ended={str(given.all).lower()}")
    if given.json:
        print(json.dumps(jobs, indent=1))
        return
    rows = [
        [
            job["id"],
            job["owner"],
            job["process"],
            job["status"],
            f"{job['cost']:.0f} s",
            _time(job["created"]),
        ]
        for job in jobs
    ]
    _print_table(["id", "owner", "process", "status", "cost", "sent"], rows)


def _cancel(given: argparse.Namespace) -> None:
    ask(_folder(given), "DELETE", f"jobs/{quote(given.id, safe='')}")
    print(f"{given.id} is dismissed.")


def _list_owners(given: argparse.Namespace) -> None:
    _print_owners(ask(_folder(given), "GET", "owners"), given.json)


def _set_owner(given: argparse.Namespace) -> None:
    body = {"priority": given.priority, "running": given.running}
    _print_owners(ask(_folder(given), "PUT", f"owners/{quote(given.owner, safe='')}", body), False)


def _print_owners(owners: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(owners, indent=1))
        return
    rows = [
        [one["owner"], f"{one['priority']:g}", str(one["mostRunning"] or "-"), str(one["running"]),
         str(one["waiting"]), f"{one['bytes'] / 1e6:,.0f}"]
        for one in owners
    ]  # fmt: skip
    _print_table(["owner", "priority", "limit", "running", "waiting", "MB"], rows)


def _mode(mode: str) -> Callable[[argparse.Namespace], None]:
    def act(given: argparse.Namespace) -> None:
        print(_said(ask(_folder(given), "PUT", "mode", {"mode": mode})))

    return act


def _drain(given: argparse.Namespace) -> None:
    state = ask(_folder(given), "PUT", "mode", {"mode": "draining"})
    while state["running"] and state["mode"] == "draining" and not given.no_wait:
        time.sleep(LOOK)
        state = ask(_folder(given), "GET", "status")
    print(_said(state))


def _said(state: dict[str, Any]) -> str:
    return f"The backend is {state['mode']}: {state['running']} jobs run, {state['waiting']} wait."


# ---- tokens -----------------------------------------------------------------------------------------------


def _add_tokens(commands: Commands) -> None:
    adding = _add(commands, "add", "make a token for an owner; it is told once", _add_token)
    adding.add_argument("owner", help="name under which its jobs are kept")
    adding.add_argument("--days", type=int, help="days that it is good for (for ever)")
    revoking = _add(commands, "revoke", "remove a token, or all of an owner", _revoke)
    revoking.add_argument("token", help="its id as `tokens list` shows it, or an owner")
    for parser in (adding, revoking, _add(commands, "list", "list tokens by owner", _list_tokens)):
        parser.add_argument("--token-file", type=Path, help="the file they are in (DATA_DIR/token)")


def _token_path(given: argparse.Namespace) -> Path:
    if given.token_file:
        return Path(given.token_file)
    settings = Settings() if given.data_dir is None else Settings(data_dir=given.data_dir)
    return tokens.token_path(settings)


def _add_token(given: argparse.Namespace) -> None:
    if given.days is not None and given.days < 1:
        raise BadSetUp("A token is good for one day at least.")
    until = None if given.days is None else datetime.now(UTC).date() + timedelta(days=given.days)
    made = tokens.add_token(_token_path(given), given.owner, until)
    print("The token, which is kept nowhere but with its owner:", file=sys.stderr)
    print(made)


def _list_tokens(given: argparse.Namespace) -> None:
    rows = [
        [token.id, token.owner, f"{token.until or '-'}{' (expired)' if token.expired else ''}"]
        for token in tokens.read_tokens(_token_path(given))
    ]
    _print_table(["id", "owner", "good until"], rows)


def _revoke(given: argparse.Namespace) -> None:
    for token in tokens.revoke_tokens(_token_path(given), given.token):
        print(f"{token.id} of {token.owner} is revoked.")


# ---- backups ----------------------------------------------------------------------------------------------


def _backup(given: argparse.Namespace) -> None:
    from model_backend.administration import backup  # not everywhere is there what rasters need

    print(_amount(backup.backup(_folder(given), given.file)))


def _restore(given: argparse.Namespace) -> None:
    from model_backend.administration import backup

    print(_amount(backup.restore(given.file, _folder(given))))


def _amount(held: Amount) -> str:
    return f"{held.jobs} jobs, {held.files} files, {held.bytes / 1e6:,.1f} MB."


# ---- tables -----------------------------------------------------------------------------------------------


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
