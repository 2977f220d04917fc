"""The user's settings, read once at the edge and passed on as values.

Kept in QgsSettings under ``text2earth/``; secrets only as the id of an authentication configuration of
QGIS. The environment wins: TEXT2EARTH_BACKEND_URL and TEXT2EARTH_TOKEN, so that scripts need no profile.
Knows where a backend on this computer keeps its token; sends nothing.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from qgis.core import QgsApplication, QgsProject, QgsSettings
from qgis.PyQt.QtCore import QStandardPaths

from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.access import UNTOLD, Access, complete_address, host

PREFIX = "text2earth/"
ONLINE_HOSTS = PREFIX + "online_hosts"  # separated by blanks
SERVERS = PREFIX + "servers"  # JSON


@dataclass(frozen=True)
class Settings:
    """What the Options page shows."""

    url: str = ""  # of the backend; empty: the user's own on this computer, wherever it answers
    authcfg: str = ""  # authentication configuration of QGIS for it
    folder: str = ""  # where results go; empty: beside the project, else in Documents
    record_prompt: bool = True  # write the prompts into the files
    poll_seconds: float = 1.0  # between two questions where a job stands
    python: str = ""  # interpreter that has the backend, where none was installed from the panel


@dataclass(frozen=True)
class Server:
    """A backend elsewhere than the user's own on this computer: its name, and how it is reached."""

    name: str
    url: str
    authcfg: str = ""


def load() -> Settings:
    """Return the stored settings, defaults for the rest."""
    stored = QgsSettings()
    found = Settings(
        **{
            item.name: stored.value(PREFIX + item.name, item.default, type=type(item.default))
            for item in dataclasses.fields(Settings)
        }
    )
    if found.url == UNTOLD and not found.authcfg:  # stored when that was the default
        return dataclasses.replace(found, url="")
    return found


def save(settings: Settings) -> None:
    """Store all settings. A server that was in use stays in the list of servers."""
    save_servers(servers())
    stored = QgsSettings()
    for item in dataclasses.fields(settings):
        stored.setValue(PREFIX + item.name, getattr(settings, item.name))


def servers() -> list[Server]:
    """Return the servers that the user has named, and the one in use if it has no name yet."""
    found = [Server(**one) for one in json.loads(QgsSettings().value(SERVERS, "") or "[]")]
    used = load()
    if not used.url:
        return found
    names = {one.url: one.name for one in found}
    mine = Server(names.get(used.url) or host(used.url), used.url, used.authcfg)
    if used.url not in names:
        return [*found, mine]
    return [mine if one.url == used.url else one for one in found]


def save_servers(named: list[Server]) -> None:
    """Store the list of servers; which one is in use the settings say."""
    QgsSettings().setValue(SERVERS, json.dumps([dataclasses.asdict(one) for one in named]))


def access(settings: Settings) -> Access:
    """Return how to reach the backend: the environment, else the settings, else the local token file."""
    url = complete_address(os.environ.get("TEXT2EARTH_BACKEND_URL") or settings.url)
    token = os.environ.get("TEXT2EARTH_TOKEN")
    own, address = not url, own_address()
    if own:
        url = address or UNTOLD
    if token:
        return Access(url, token=token, token_source=tr("the environment variable TEXT2EARTH_TOKEN"), own=own)  # nosec B106 - a name
    found = Access(url, "" if own else settings.authcfg, own=own)
    if found.local and not found.authcfg:
        known = None if own and not address else local_token()  # of no use to a stranger who listens there
        return dataclasses.replace(found, token=known, token_source=str(token_file()))
    return found


def own_address() -> str:
    """Return where the backend of this user says that it answers, '' if there is none."""
    try:
        address = (data_folder() / "address").read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return address if _is_locked(data_folder() / "lock") else ""


def _is_locked(path: Path) -> bool:
    """Whether a backend holds its lock: the address of one that was killed may be a stranger's by now."""
    try:
        with path.open("r+b") as file:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def local_token() -> Optional[str]:
    """Return the token that a backend of this user made at its first start, None if there is none."""
    try:
        text = token_file().read_text("utf-8")
    except (OSError, UnicodeDecodeError):  # then the backend says that it wants a token, and where was looked
        return None
    lines = (line.split("#")[0].split() for line in text.splitlines())
    return next((words[0] for words in lines if words), None)  # a name may follow the token


def token_file() -> Path:
    """Return the file in which a backend of this user keeps its token."""
    named = os.environ.get("TEXT2EARTH_TOKEN_FILE")
    return Path(named) if named else data_folder() / "token"


def data_folder() -> Path:
    """Return where a backend of this user keeps its data unless told otherwise (as platformdirs has it)."""
    if os.environ.get("TEXT2EARTH_DATA_DIR"):
        return Path(os.environ["TEXT2EARTH_DATA_DIR"])
    if sys.platform == "win32":
        return Path(os.environ["LOCALAPPDATA"], "text2earth", "text2earth")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "text2earth"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share", "text2earth")


def profile_folder() -> Path:
    """Return the folder of the plugin in the QGIS profile; it is made when something is written."""
    return Path(QgsApplication.qgisSettingsDirPath(), "text2earth")


def result_folder(settings: Settings, project: QgsProject) -> Path:
    """Return where results go: the chosen folder, beside the saved project, else in Documents."""
    if settings.folder:
        return Path(settings.folder)
    home = project.absolutePath()
    if home:
        return Path(home, "text2earth")
    documents = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
    return Path(documents, "Text2Earth")


def sends_imagery_of(host: str) -> bool:
    """Say whether the user allowed imagery of an online layer's host to be sent; '' is this computer."""
    return not host or host in _online_hosts()


def send_imagery_of(host: str) -> None:
    """Remember that imagery of a host may be sent to the backend."""
    QgsSettings().setValue(ONLINE_HOSTS, " ".join(sorted({*_online_hosts(), host})))


def _online_hosts() -> list[str]:
    return str(QgsSettings().value(ONLINE_HOSTS, "", type=str)).split()
