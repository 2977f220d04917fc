"""The token file: who may use the backend, until when; read anew when it changes.

One token a line: ``sha256:HEX`` (what ``tokens add`` writes: the token itself is told once and kept nowhere)
or the token in plain, then ``until=YYYY-MM-DD`` if it expires, then its owner's name. ``#`` starts a comment.
Without a name the owner is called after the token's hash, so that the order of lines means nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import stat
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from model_backend.errors import Unauthorized, WrongToken
from model_backend.settings import Settings

log = logging.getLogger(__name__)

SHORTEST_TOKEN = 16
_HASHED, _UNTIL = "sha256:", "until="


class BadSetUp(Exception):
    """The settings would make a backend that is open to strangers, or to nobody."""


@dataclass(frozen=True)
class Token:
    """One accepted token, by its hash, and the name under which its jobs are kept."""

    digest: bytes
    owner: str
    until: date | None = None  # its last day, in UTC

    @property
    def id(self) -> str:
        """What it is called where it is listed or revoked."""
        return self.digest.hex()[:12]

    @property
    def expired(self) -> bool:
        """Whether its last day is over."""
        return self.until is not None and datetime.now(UTC).date() > self.until


class TokenFile:
    """The tokens of a file, as it is at this moment."""

    def __init__(self, path: Path) -> None:
        """Read it; raises BadSetUp."""
        self._path = path
        self._stamp = _stamp(path)
        self._tokens = read_tokens(path)

    def owner(self, given: bytes) -> str:
        """Return whose token it is; raises WrongToken, or Unauthorized for one that has expired."""
        if _stamp(self._path) != self._stamp:
            self.reload()
        digest = hashlib.sha256(given).digest()
        found = [token for token in self._tokens if hmac.compare_digest(token.digest, digest)]
        if not found:
            raise WrongToken(
                "Send the backend's token as `Authorization: Bearer TOKEN`, or as the password of HTTP Basic."
            )
        if found[0].expired:
            raise Unauthorized(
                f"This token was good until {found[0].until}. Ask the administrator for another."
            )
        return found[0].owner

    def reload(self) -> None:
        """Read the file again; what it said before holds on if it cannot be used."""
        self._stamp = _stamp(self._path)
        try:
            tokens = read_tokens(self._path)
        except BadSetUp as error:
            log.error("the tokens stay what they were: %s", error)
            return
        added, gone = set(tokens) - set(self._tokens), set(self._tokens) - set(tokens)
        self._tokens = tokens
        log.info(
            "tokens were read anew; added: %s; removed: %s",
            ", ".join(sorted(token.owner for token in added)) or "none",
            ", ".join(sorted(token.owner for token in gone)) or "none",
        )


def token_path(settings: Settings) -> Path:
    """Return the file that the tokens are in."""
    return settings.token_file or settings.data_dir / "token"


def read_tokens(path: Path) -> tuple[Token, ...]:
    """Return the tokens of a file; BadSetUp says what is wrong with it."""
    lines = [line.split("#")[0].split(maxsplit=1) for line in _read(path).splitlines()]
    tokens = tuple(_token(path, parts[0], "".join(parts[1:])) for parts in lines if parts)
    if not tokens:
        raise BadSetUp(f"The token file {path} holds no token.")
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise BadSetUp(f"Other users can read the token file {path}. Set its mode to 0600.")
    return tokens


def add_token(path: Path, owner: str, until: date | None) -> str:
    """Add a token for an owner to a file, by its hash, and return it; raises BadSetUp."""
    if owner != owner.strip() or not owner.isprintable() or "#" in owner or owner.startswith(_UNTIL):
        raise BadSetUp(f"{owner!r} is no name of an owner: take letters and digits.")
    made = secrets.token_urlsafe(32)
    digest = hashlib.sha256(made.encode()).hexdigest()
    before = _read(path) if path.exists() else ""
    before += "\n" if before and not before.endswith("\n") else ""
    expires = f"{_UNTIL}{until.isoformat()} " if until else ""
    write_private(path, f"{before}{_HASHED}{digest} {expires}{owner}\n")
    return made


def revoke_tokens(path: Path, named: str) -> list[Token]:
    """Remove the token of an id, or all of an owner, from a file; return them; BadSetUp if there are none."""
    kept, gone = [], []
    for line in _read(path).splitlines(keepends=True):
        parts = line.split("#")[0].split(maxsplit=1)
        token = _token(path, parts[0], "".join(parts[1:])) if parts else None
        if token is not None and named in (token.id, token.owner):
            gone.append(token)
        else:
            kept.append(line)
    if not gone:
        raise BadSetUp(f"{path} has no token with the id or owner {named!r}; `tokens list` shows them.")
    write_private(path, "".join(kept))
    return gone


def make_token(path: Path) -> None:
    """Write a random token into a file that its owner alone can read."""
    write_private(path, secrets.token_urlsafe(32) + "\n")


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone can read, whole or not at all; one that was there keeps its owner."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        if os.name == "posix" and path.exists():  # root must not lock the backend's user out
            os.fchown(file.fileno(), path.stat().st_uid, path.stat().st_gid)
    os.replace(part, path)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetUp(f"The token file {path} cannot be read: {error}") from error


def _token(path: Path, text: str, rest: str) -> Token:
    until = None
    if rest.startswith(_UNTIL):
        day, _, rest = rest.removeprefix(_UNTIL).partition(" ")
        try:
            until = date.fromisoformat(day.strip())
        except ValueError:
            raise BadSetUp(f"{day.strip()!r} in {path} is no day; write until=2027-12-31.") from None
    if text.startswith(_HASHED):
        try:
            digest = bytes.fromhex(text.removeprefix(_HASHED))
        except ValueError:
            digest = b""
        if len(digest) != 32:
            raise BadSetUp(f"A line of {path} begins with {_HASHED} and holds no SHA-256.")
    else:
        _check_plain(path, text)
        digest = hashlib.sha256(text.encode()).digest()
    return Token(digest, rest.strip() or f"token-{digest.hex()[:12]}", until)


def _check_plain(path: Path, text: str) -> None:
    if not text.isascii():
        raise BadSetUp(f"A token in {path} has letters beyond ASCII, which not every client can send.")
    if len(text) < SHORTEST_TOKEN:
        raise BadSetUp(f"A token in {path} is shorter than {SHORTEST_TOKEN} characters: it can be guessed.")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        known = path.stat()
    except OSError:
        return None
    return known.st_mtime_ns, known.st_size, known.st_ino
