"""Who may talk to this backend: tokens, the Host allow-list, foreign Origins.

Loopback is not private: web pages in the user's browser and other users of the computer reach it. So a token
is asked for by default, a Host that is not ours is refused (DNS rebinding), and so is a request that a page
of another origin sent. Knows HTTP headers and the token file; does not know jobs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import os
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from model_backend.errors import Forbidden, Unauthorized
from model_backend.settings import Settings

LOCAL = "local"  # the owner of everything where no token is asked for
SHORTEST_TOKEN = 16
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class BadSetUp(Exception):
    """The settings would make a backend that is open to strangers, or to nobody."""


@dataclass(frozen=True)
class Token:
    """One accepted token, by its hash, and the name under which its jobs are kept."""

    digest: bytes
    owner: str


@dataclass(frozen=True)
class Gate:
    """Decides about a request from its headers alone."""

    tokens: tuple[Token, ...] | None  # None: nobody is asked
    hosts: frozenset[str]
    addresses: bool  # any IP address may be named as Host: a name can be rebound, an address cannot
    origin: str | None  # of the public URL

    @classmethod
    def of(cls, settings: Settings) -> Gate:
        """Build the gate of a backend, making the token file if it is missing; BadSetUp if unsafe."""
        public = urlsplit(settings.public_url) if settings.public_url else None
        if settings.no_token and not is_loopback(settings.host):
            raise BadSetUp(
                f"Without a token the backend listens on loopback only, not on {settings.host}."
                " Drop --no-token, or listen on 127.0.0.1."
            )
        named = {settings.host, *settings.allowed_hosts, *([public.hostname or ""] if public else [])}
        return cls(
            tokens=None if settings.no_token else read_tokens(settings),
            hosts=_LOOPBACK | {host.lower().strip("[]") for host in named if host},
            addresses=not is_loopback(settings.host),
            origin=f"{public.scheme}://{public.netloc}".lower() if public else None,
        )

    def check_source(self, headers: Headers, scheme: str) -> None:
        """Refuse (Forbidden) a Host that is not ours and a page of another origin."""
        host = headers.get("host", "")
        name = _host_name(host)
        if name not in self.hosts and not (self.addresses and _is_address(name)):
            raise Forbidden(
                "This backend is not known by that host name. Its administrator can add the name to"
                " TEXT2EARTH_ALLOWED_HOSTS."
            )
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in (f"{scheme}://{host}".lower(), self.origin):
            raise Forbidden("Web pages of other origins may not use this backend.")

    def owner(self, headers: Headers) -> str:
        """Return the owner that the Authorization header proves, or raise Unauthorized."""
        if self.tokens is None:
            return LOCAL
        given = hashlib.sha256(credential(headers.get("authorization", ""))).digest()
        owners = [token.owner for token in self.tokens if hmac.compare_digest(token.digest, given)]
        if not owners:
            raise Unauthorized(
                "Send the backend's token as `Authorization: Bearer TOKEN`, or as the password of HTTP Basic."
            )
        return owners[0]


def is_loopback(host: str) -> bool:
    """Say whether only this computer can reach ``host``."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def token_path(settings: Settings) -> Path:
    """Return the file that the tokens are in."""
    return settings.token_file or settings.data_dir / "token"


def read_tokens(settings: Settings) -> tuple[Token, ...]:
    """Return the tokens of the token file: one per line, optionally followed by its owner's name.

    ``#`` starts a comment. The default file is made with a random token at first start, readable by its owner
    only. Without a name the owner is called after the token's hash, so that the order of lines means nothing.
    """
    path = token_path(settings)
    if settings.token_file is None and not path.exists():
        make_token(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetUp(f"The token file {path} cannot be read: {error}") from error
    words = [line.split("#")[0].split(maxsplit=1) for line in lines]
    tokens = tuple(_token(parts[0], parts[1:]) for parts in words if parts)
    if not tokens:
        raise BadSetUp(f"The token file {path} holds no token.")
    if not all(parts[0].isascii() for parts in words if parts):
        raise BadSetUp(f"A token in {path} has letters beyond ASCII, which not every client can send.")
    if any(len(parts[0]) < SHORTEST_TOKEN for parts in words if parts):
        raise BadSetUp(f"A token in {path} is shorter than {SHORTEST_TOKEN} characters: it can be guessed.")
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise BadSetUp(f"Other users can read the token file {path}. Set its mode to 0600.")
    return tokens


def _token(text: str, names: Iterable[str]) -> Token:
    digest = hashlib.sha256(text.encode()).digest()
    return Token(digest, next(iter(names), f"token-{digest.hex()[:12]}").strip())


def worker_token(settings: Settings) -> str:
    """Return the token of workers on other computers, made at first start; it opens nothing else."""
    path = settings.data_dir / "worker-token"
    if not path.exists():
        make_token(path)
    return path.read_text(encoding="utf-8").strip()


def make_token(path: Path) -> None:
    """Write a random token into a file that its owner alone can read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def credential(header: str) -> bytes:
    """Return the token out of an Authorization header, empty if there is none."""
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip().encode()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
        except ValueError:  # no base64, or no ASCII
            return b""
    return b""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _host_name(host: str) -> str:
    """Return the name in a Host header without its port; empty if it is none."""
    if set(host) & set("/?#@\\ "):
        return ""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:  # brackets around what is no address
        return ""
