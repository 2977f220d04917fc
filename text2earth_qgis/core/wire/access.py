"""Where a backend is and what opens it: its address and the credentials for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Optional
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")
UNTOLD = "http://127.0.0.1:8765"  # where a backend listens that was told nothing
OWN = "http://localhost"  # in the list of runs: the user's backend on this computer, whatever its port


def complete_address(text: str) -> str:
    """Return the address that a user typed with its scheme: http on this computer, https elsewhere."""
    text = text.strip()
    if not text or re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        return text
    try:
        host = urlsplit(f"//{text}").hostname
    except ValueError:  # no address: told when it is asked for
        return text
    return ("http://" if host in LOOPBACK else "https://") + text


def host(url: str) -> str:
    """Return the name of the host in an address, the address itself if it is none."""
    try:
        return urlsplit(url).hostname or url
    except ValueError:
        return url


@dataclass(frozen=True)
class Access:
    """How to reach one backend. Credentials are sent to this URL's origin only.

    ``token_source`` says where the token came from, or was looked for. ``own`` is the backend of this user on
    this computer, which answers on another port after every start.
    """

    url: str
    authcfg: str = ""
    token: Optional[str] = field(default=None, repr=False)
    token_source: str = ""
    own: bool = False

    @property
    def server(self) -> str:
        """Return what runs remember of where they are."""
        return OWN if self.own else self.url

    def has(self, server: str) -> bool:
        """Whether a run that remembers this server is on this backend."""
        same = urlsplit(server)[:2] == urlsplit(self.url)[:2]
        return same or (self.own and server in (OWN, UNTOLD))

    @property
    def local(self) -> bool:
        """Whether the backend is on this computer."""
        try:
            return urlsplit(self.url).hostname in LOOPBACK
        except ValueError:  # not a URL: told when it is asked for
            return False
