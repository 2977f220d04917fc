"""Numbers and states as people read them.

Functions from values to short phrases in the user's language, with numbers as the user's locale writes them;
knows no widget and no request.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit

from qgis.PyQt.QtCore import QDate, QLocale

from text2earth_qgis.core.language import spoken, tr, trn

TOGETHER = re.compile(r"(?<=\d) (?=[\w%×])|(?<=×) (?=\d)")  # a number, and what it counts
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def significant(value: float, digits: int = 3) -> str:
    """Return ``value`` with that many significant digits, without an exponent or trailing zeros."""
    if value == 0:
        return "0"
    decimals = max(0, digits - len(str(int(abs(value)))) + (1 if abs(value) < 1 else 0))
    locale = _locale()
    text, point = locale.toString(float(value), "f", decimals), str(locale.decimalPoint())
    return text.rstrip("0").rstrip(point) if point in text else text


def number(amount: int) -> str:
    """Return a whole number with its thousands apart: ``1,200``."""
    return _locale().toString(float(amount), "f", 0)


def _locale() -> QLocale:
    """Return the locale that QGIS was told to use for numbers; that of no country does not group digits."""
    own = QLocale()
    return QLocale(QLocale.Language.English) if own.language() == QLocale.Language.C else own


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
        return tr("{minutes} min").format(minutes=minutes)
    hours, minutes = divmod(5 * round(minutes / 5), 60)
    if hours < 48:
        text = tr("{hours} h {minutes} min") if minutes else tr("{hours} h")
        return text.format(hours=hours, minutes=minutes)
    days = round(hours / 24)
    return trn("{days} day", "{days} days", days).format(days=number(days))


def size(amount: int) -> str:
    """Return bytes as people read them: ``40 kB``, ``2.1 MB``, ``3.4 GB``."""
    if amount >= 1_000_000_000:
        return tr("{number} GB").format(number=significant(amount / 1e9, 2))
    if amount < 1_000_000:
        return tr("{number} kB").format(number=max(1, round(amount / 1000)))
    return tr("{number} MB").format(number=significant(amount / 1e6, 2))


def ordinal(place: int) -> str:
    """Return ``1st``, ``2nd``, ``3rd``, ``11th``."""
    th = tr("{number}th")
    endings = {1: tr("{number}st"), 2: tr("{number}nd"), 3: tr("{number}rd")}
    return (th if 10 <= place % 100 <= 20 else endings.get(place % 10, th)).format(number=place)


def time_left(seconds: float) -> str:
    """Return how long something still takes: ``about 3 min left``; the last seconds are not counted."""
    if seconds < 10:
        return tr("a few seconds left")
    return tr("about {time} left").format(time=duration(seconds))


def clock(when: datetime) -> str:
    """Return the local time of day: ``14:05``."""
    return when.astimezone().strftime("%H:%M")


def day(one: date) -> str:
    """Return a day as people call it: today, yesterday, or its date."""
    today = datetime.now().astimezone().date()
    if one == today:
        return tr("Today")
    if one == today - timedelta(days=1):
        return tr("Yesterday")
    # QGIS lets users have the numbers of one language, texts of another.
    own, ours = _locale(), QLocale(spoken())
    locale = own if own.language() == ours.language() else ours
    return str(locale.toString(QDate(one.year, one.month, one.day), QLocale.FormatType.LongFormat))


def first_line(prompt: str, limit: int = 80) -> str:
    """Return the prompt on one line, cut at a word where it is longer than ``limit`` characters."""
    text = " ".join(prompt.split())
    if len(text) <= limit:
        return text
    return text[: limit - 1].rsplit(" ", 1)[0].rstrip(",.;: ") + "…"


def unbroken(text: str) -> str:
    """Return a text whose numbers stay on one line with what they count: ``4 s``, ``640 × 480 px``."""
    return TOGETHER.sub("\u00a0", text)


def host(url: str) -> str:
    """Return the name of the host of a URL."""
    return urlsplit(url).hostname or url


def is_local(url: str) -> bool:
    """Whether that URL is on this computer."""
    return urlsplit(url).hostname in LOOPBACK
