"""Numbers and states as people read them.

Pure functions from values to short English phrases; knows no widget, no QGIS and no request.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def significant(value: float, digits: int = 3) -> str:
    """Return ``value`` with that many significant digits, without an exponent or trailing zeros."""
    if value == 0:
        return "0"
    decimals = max(0, digits - len(str(int(abs(value)))) + (1 if abs(value) < 1 else 0))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def length(metres: float) -> str:
    """Return a length on the ground: ``640 m``, ``2.05 km``, ``1,200 km``."""
    return f"{significant(metres / 1000)} km" if metres >= 1000 else f"{significant(metres)} m"


def area(width: float, height: float) -> str:
    """Return the size of a rectangle of ``width`` x ``height`` metres: ``2.05 × 1.5 km``."""
    if min(width, height) >= 1000:
        return f"{significant(width / 1000)} × {significant(height / 1000)} km"
    if max(width, height) < 1000:
        return f"{significant(width)} × {significant(height)} m"
    return f"{length(width)} × {length(height)}"


def gsd(x: float, y: float) -> str:
    """Return ground metres per pixel, both ways where they differ by more than half a percent."""
    if abs(x - y) <= 0.005 * max(x, y):
        return f"{significant(x)} m"
    return f"{significant(x)} × {significant(y)} m"


def duration(seconds: float) -> str:
    """Return a rough duration: ``5 s``, ``40 s``, ``3 min``, ``1 h 20 min``, ``2 days``."""
    if seconds < 10:
        return f"{max(1, round(seconds))} s"
    if seconds < 55:
        return f"{5 * round(seconds / 5)} s"
    minutes = max(1, round(seconds / 60))
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(5 * round(minutes / 5), 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{round(hours / 24)} days"


def count(number: int, noun: str) -> str:
    """Return ``1 window``, ``48 windows``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def size(amount: int) -> str:
    """Return bytes as people read them: ``40 kB``, ``2.1 MB``."""
    if amount < 1_000_000:
        return f"{max(1, round(amount / 1000))} kB"
    return f"{significant(amount / 1e6, 2)} MB"


def ordinal(number: int) -> str:
    """Return ``1st``, ``2nd``, ``3rd``, ``11th``."""
    if 10 <= number % 100 <= 20:
        return f"{number}th"
    return f"{number}" + {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def moment(when: datetime) -> str:
    """Return a local time as short as today allows: ``14:05``, ``yesterday 14:05``, ``3 May 14:05``."""
    local = when.astimezone()
    today = datetime.now().astimezone()
    clock = local.strftime("%H:%M")
    if local.date() == today.date():
        return clock
    if local.date() == today.date() - timedelta(days=1):
        return f"yesterday {clock}"
    day = f"{local.day} {local.strftime('%b')}"
    return f"{day} {clock}" if local.year == today.year else f"{day} {local.year}"


def first_line(prompt: str, limit: int = 80) -> str:
    """Return the prompt on one line, cut at a word where it is longer than ``limit`` characters."""
    text = " ".join(prompt.split())
    if len(text) <= limit:
        return text
    return text[: limit - 1].rsplit(" ", 1)[0].rstrip(",.;: ") + "…"


def place(url: str) -> str:
    """Return where a backend is: ``this computer`` or its host name."""
    host = urlsplit(url).hostname or url
    return "this computer" if host in LOOPBACK else host


def is_local(url: str) -> bool:
    """Whether that URL is on this computer."""
    return urlsplit(url).hostname in LOOPBACK
