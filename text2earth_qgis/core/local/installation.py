"""An installation of the backend as values: what is run in which order, where it stands, why it failed.

Frozen states and functions from one to the next; runs nothing, shows nothing.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from text2earth_qgis.core.language import tr
from text2earth_qgis.core.local import wheels
from text2earth_qgis.core.local.environment import Environment

PACKAGE = "text2earth-backend"
MIXED = tr(
    "The wheels in this folder are for different versions of Python. Choose a folder as it was made for one."
)
WANTED = tr("Python 3.11, 3.12 or 3.13")
CHECK = """import sys, venv, ensurepip
print("Python %d.%d.%d" % sys.version_info[:3])
sys.exit(0 if sys.version_info[0] == 3 and sys.version_info[1] in {minors} else 3)"""
TORCH_CPU = "https://download.pytorch.org/whl/cpu"  # else what has drivers of NVIDIA in it: gigabytes
ROOM = {False: 800_000_000, True: 4_000_000_000}  # bytes that must be free, light and full
IDLE_MINUTES = 30
MOST_LINES = 5_000  # kept of the log


class Phase(enum.Enum):
    """Where an installation stands."""

    WAITING = "nothing was begun"
    WORKING = "a command runs"
    STOPPING = "the command that runs is being ended"
    CANCELLED = "the user stopped it"
    FAILED = "it cannot go on"
    DONE = "the backend answers"


@dataclass(frozen=True)
class Tools:
    """What is on this computer to make an environment with: ``uv``, and Pythons that may be fit."""

    uv: str = ""
    pythons: tuple[str, ...] = ()
    nvidia: bool = False


@dataclass(frozen=True)
class Wish:
    """What the user wants: the size, and where packages come from.

    ``source`` is a wheel, a folder of wheels, or addresses of indexes; empty: the index pip is set up for.
    """

    version: str
    full: bool = False
    source: str = ""
    anew: bool = True  # a new environment, not the one that is there brought up to date


@dataclass(frozen=True)
class Command:
    """A program to be run. One that ``may_fail`` is followed by the next whatever comes of it."""

    title: str
    program: str
    arguments: tuple[str, ...]
    seconds: float  # that it usually takes
    lines: int = 1  # of output that it usually has
    may_fail: bool = False
    is_trial: bool = False  # of a Python: the first that succeeds is used, and no other is tried


@dataclass(frozen=True)
class State:
    """Where an installation stands. ``at`` counts commands; ``log`` is all output, line by line."""

    phase: Phase = Phase.WAITING
    commands: tuple[Command, ...] = ()
    at: int = 0
    log: tuple[str, ...] = ()
    first: int = 0  # line of the log that the command under way began at
    python: str = ""  # that was found fit
    minors: tuple[int, ...] = wheels.FIT  # of Python 3, that would do
    sentence: str = ""  # why it failed
    url: str = ""  # where the backend answers

    @property
    def busy(self) -> bool:
        """Whether a command runs."""
        return self.phase in (Phase.WORKING, Phase.STOPPING)

    @property
    def command(self) -> Command:
        """Return the command under way, its Python filled in."""
        command = self.commands[self.at]
        return replace(command, program=command.program or self.python)

    @property
    def step(self) -> tuple[int, int]:
        """Return the number of the step under way, and how many there are; trials are one."""
        titles = list(dict.fromkeys(command.title for command in self.commands))
        return titles.index(self.commands[self.at].title) + 1, len(titles)

    @property
    def output(self) -> tuple[str, ...]:
        """Return the lines of the command under way, or that failed."""
        return self.log[self.first :]

    @property
    def share(self) -> float:
        """Return how much is done, 0 to 1: usual seconds of the commands, lines of the one under way."""
        if self.phase is Phase.DONE or not self.commands:
            return float(self.phase is Phase.DONE)
        spent = sum(command.seconds for command in self.commands[: self.at])
        now = self.commands[self.at]
        spent += now.seconds * min(0.95, len(self.output) / now.lines)
        return spent / sum(command.seconds for command in self.commands)


def begin(wish: Wish, tools: Tools, environment: Environment) -> State:
    """Return the first state of an installation."""
    there, minors = environment.python.exists(), wheels.minors(wish.source)
    if not minors:
        return State(Phase.FAILED, sentence=MIXED)
    if not wish.anew and there:
        makes: tuple[Command, ...] = ()
    elif tools.uv:
        fit = f">=3.{minors[0]},<3.{minors[-1] + 1}"
        how = ("venv", "--clear", "--python", fit, str(environment.folder))
        makes = (Command(tr("Making an environment"), tools.uv, how, 3, 4),)
    elif tools.pythons:
        check = CHECK.format(minors=minors)
        trials = [
            Command(tr("Looking for Python"), python, ("-c", check), 0.2, is_trial=True)
            for python in tools.pythons
        ]
        title = tr("Making an environment")
        venv = ("-m", "venv", "--clear", "--without-pip", str(environment.folder))
        pip = ("-m", "ensurepip", "--default-pip")  # on its own: venv does not say why it failed
        makes = (*trials, Command(title, "", venv, 1), Command(title, str(environment.python), pip, 3, 3))
    else:
        return State(Phase.FAILED, sentence=_no_python(State(minors=minors)))
    stops = (_stop(environment),) if there else ()
    return State(Phase.WORKING, (*stops, *makes, *_fill(wish, tools, environment)), minors=minors)


def removal(environment: Environment) -> State:
    """Return the first state of ending the backend before its environment is removed."""
    return State(Phase.WORKING, (_stop(environment),))


def said(state: State, line: str) -> State:
    """Return the state after a line of output."""
    if len(state.log) < MOST_LINES and line.strip():
        return replace(state, log=(*state.log, line))
    return state


def ended(state: State, code: int) -> State:
    """Return the state after the command under way has ended; code -1: it could not be started."""
    if state.phase is Phase.STOPPING:
        return replace(state, phase=Phase.CANCELLED)
    command, following = state.commands[state.at], state.at + 1
    if command.is_trial and code == 0:
        state = replace(state, python=command.program)
        while state.commands[following].is_trial:
            following += 1
    elif code != 0 and not command.may_fail and not _has_another_trial(state):
        return replace(state, phase=Phase.FAILED, sentence=_why(state))
    state = replace(state, url=url_in("\n".join(state.output)) or state.url)
    if following == len(state.commands):
        return replace(state, phase=Phase.DONE)
    return replace(state, at=following, first=state.first if command.is_trial and code else len(state.log))


def cancelled(state: State) -> State:
    """Return the state once the user wants no more of it."""
    return replace(state, phase=Phase.STOPPING) if state.phase is Phase.WORKING else state


def _stop(environment: Environment) -> Command:
    arguments = ("-m", "model_backend", "stop", "--data-dir", str(environment.data))
    return Command(tr("Ending the backend"), str(environment.python), arguments, 1, may_fail=True)


def serve(environment: Environment, python: str) -> Command:
    """Return the command that starts the backend on a free port, with a token of its own."""
    how = ("-m", "model_backend", "serve", "--background", "--port", "0")
    when, where = ("--idle-minutes", str(IDLE_MINUTES)), ("--data-dir", str(environment.data))
    return Command(tr("Starting the backend"), python, (*how, *when, *where), 3)


def pull(environment: Environment, python: str, model: str) -> Command:
    """Return the command that downloads a model, whose licence the user has accepted."""
    arguments = ("-m", "model_backend", "models", "pull", model, "--yes", "--data-dir", str(environment.data))
    return Command(tr("Downloading a model"), python, arguments, 600)


def share_in(line: str) -> Optional[float]:
    """Return how much of a download a line says is there, 0 to 1; None if it says nothing of it."""
    found = re.match(r"([0-9.]+) % of ", line)
    return float(found.group(1)) / 100 if found else None


def url_in(output: str) -> str:
    """Return where the backend answers, by what its start said; '' if it did not start."""
    found = re.search(r"Listening on (http://\S+)", output)
    return found.group(1) if found else ""


def _fill(wish: Wish, tools: Tools, environment: Environment) -> tuple[Command, ...]:
    python = str(environment.python)
    quiet = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off")
    patience = ("--retries", "1", "--timeout", "15", "--prefer-binary", "--no-compile")
    program, how = python, [*("-m", "pip", "install"), *quiet, *patience]
    if tools.uv:
        program, how = tools.uv, ["pip", "install", "--no-progress", "--python", python]
    titles = tr("Installing packages"), tr("Compiling")
    seconds, lines = (120, 260) if wish.full else (20, 120)
    return (
        Command(titles[0], program, (*how, "--upgrade", *_packages(wish, tools)), seconds, lines),
        Command(titles[1], python, ("-m", "model_backend.engine.synthesis.warm_up"), 35, 60),
        serve(environment, python),
    )


def _packages(wish: Wish, tools: Tools) -> tuple[str, ...]:
    """Return what is asked of the installer, and from where."""
    name = f"{PACKAGE}[model]" if wish.full else PACKAGE
    place = Path(wish.source) if wish.source else None
    if place is not None and place.is_dir():
        return "--no-index", "--find-links", str(place), name
    torch = ("--extra-index-url", TORCH_CPU) if wish.full and not tools.nvidia else ()
    if place is not None and place.suffix == ".whl":
        return *torch, "--find-links", str(place.parent), f"{name} @ {place.resolve().as_uri()}"
    first, *others = wish.source.split() or [""]
    indexes = ["--index-url", first] if first else []
    for other in others:
        indexes += ["--extra-index-url", other]
    return *indexes, *torch, f"{name}=={wish.version}"


def _has_another_trial(state: State) -> bool:
    following = state.commands[state.at + 1 :]
    return state.commands[state.at].is_trial and bool(following) and following[0].is_trial


def _no_python(state: State) -> str:
    text = "\n".join(state.output)
    found = sorted(set(re.findall(r"^Python (\S+)$", text, re.M)))
    if "ensurepip" in text or "'venv'" in text:
        what = tr("The Python here cannot make environments. On Debian and Ubuntu, install python3-venv.")
    elif state.minors != wheels.FIT:
        wanted = ", ".join(f"3.{minor}" for minor in state.minors)
        what = tr("The wheels in this folder are for Python {wanted}, which was not found on this computer.")
        if found:
            what = tr("The wheels in this folder are for Python {wanted}; here is {found}.")
        what = what.format(wanted=wanted, found=", ".join(found))
    elif found:
        what = tr("The backend needs {wanted}; here is {found}.").format(
            wanted=WANTED, found=", ".join(found)
        )
    else:
        what = tr("The backend needs {wanted}, which was not found on this computer.").format(wanted=WANTED)
    advice = tr("Install it (python.org has it for every system), or choose where it is.")
    return f"{what} {advice}"


REASONS = (  # the first whose pattern is in the output; {} is the command's title
    (
        r"No space left|ENOSPC|not enough space|Disk quota exceeded|os error 28|os error 112",
        tr("The disk is full. Make room, then try again."),
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLCertVerification|invalid peer certificate",
        tr(
            "The package index shows a certificate that Python does not trust, as where a company reads "
            "along. Ask who runs the network for its certificate, or choose a folder of wheels."
        ),
    ),
    (
        r"invalid wheel|Wheel .* is invalid|BadZipFile|not a zip|[Bb]ad CRC|DO NOT MATCH THE HASHES|"
        r"Failed to (extract|read from zip)|inconsistent (name|version)|[Cc]orrupt",
        tr("A wheel is broken or is not what its name says. Fetch it again, or choose another source."),
    ),
    (
        r"NewConnectionError|Failed to establish|ConnectTimeout|Read timed out|[Nn]ame resolution|"
        r"getaddrinfo|Connection refused|Network is unreachable|ProxyError|dns error|error sending request|"
        r"[Cc]onnection (was )?(aborted|reset|broken)|IncompleteRead",
        tr(
            "The package index cannot be reached. Check the network and its proxy, or choose a folder of "
            "wheels."
        ),
    ),
    (
        r"No matching distribution|Could not find a version|no version of|was not found in the|"
        r"is not a supported wheel|No solution found",
        tr(
            "This source does not have all that is needed, for this version and this computer. Choose "
            "another."
        ),
    ),
    (
        r"Permission denied|Access is denied|Errno 13|Read-only file system|os error 5",
        tr("A file or folder may not be written. The output says which."),
    ),
    (r"Another backend uses", tr("A backend that was started by hand uses the same folder. Stop it first.")),
)


def _why(state: State) -> str:
    """Say in a sentence or two why the command under way has failed."""
    command, text = state.commands[state.at], "\n".join(state.output)
    if command.is_trial or "No interpreter found" in text:  # which uv says
        return _no_python(state)
    for pattern, sentence in REASONS:
        if re.search(pattern, text):
            return sentence
    return tr("“{title}” did not succeed. The output says why.").format(title=command.title)
