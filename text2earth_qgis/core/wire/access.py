"""Where a backend is and what opens it: its address and the credentials for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Access:
    """How to reach one backend. Credentials are sent to this URL's origin only."""

    url: str
    authcfg: str = ""
    token: Optional[str] = field(default=None, repr=False)

    @property
    def local(self) -> bool:
        """Whether the backend is on this computer."""
        try:
            return urlsplit(self.url).hostname in LOOPBACK
        except ValueError:  # not a URL: told when it is asked for
            return False
