"""Who may talk to this backend: tokens, the Host allow-list, foreign Origins.

Loopback is not private: web pages in the user's browser and other users of the computer reach it. So a token
is asked for by default, a Host that is not ours is refused (DNS rebinding), and so is a request that a page
of another origin sent. Knows HTTP headers; does not know jobs.
"""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from model_backend.api.tokens import BadSetUp, TokenFile, make_token, token_path
from model_backend.errors import Forbidden, Unauthorized
from model_backend.settings import Settings

LOCAL = "local"  # the owner of everything where no token is asked for
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Gate:
    """Decides about a request from its headers alone."""

    tokens: TokenFile | None  # None: nobody is asked
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
            tokens=None if settings.no_token else token_file(settings),
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

    def reload(self) -> None:
        """Read the tokens anew."""
        if self.tokens is not None:
            self.tokens.reload()

    def owner(self, headers: Headers) -> str:
        """Return the owner that the Authorization header proves, or raise Unauthorized."""
        if self.tokens is None:
            return LOCAL
        given = credential(headers.get("authorization", ""))
        if not given:
            raise Unauthorized(
                "Send the backend's token as `Authorization: Bearer TOKEN`, or as the password of HTTP Basic."
            )
        return self.tokens.owner(given)


def is_loopback(host: str) -> bool:
    """Say whether only this computer can reach ``host``."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def token_file(settings: Settings) -> TokenFile:
    """Return the tokens; the default file is made with one at the first start. Raises BadSetUp."""
    path = token_path(settings)
    if settings.token_file is None and not path.exists():
        make_token(path)
    return TokenFile(path)


def worker_token(settings: Settings) -> str:
    """Return the token of workers on other computers, made at first start; it opens nothing else."""
    path = settings.data_dir / "worker-token"
    if not path.exists():
        make_token(path)
    return path.read_text(encoding="utf-8").strip()


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
