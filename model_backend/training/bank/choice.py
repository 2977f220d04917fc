"""Which images a bank takes, and why others are left out: the hand-made list ``choice.json``.

Every group of it is one kind of land from one table of originals. Knows names only, reads no image.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

_FILE = Path(__file__).with_name("choice.json")
_Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class FamilyChoice:
    """A family as it is wanted: its pixel size, those that it serves, how much its bands are brightened, and
    whether its near infrared is kept."""

    id: str
    title: str
    gsd: float
    finest: float
    coarsest: float
    gain: tuple[float, float, float]
    lift: tuple[float, float, float]
    nir: bool = False


@dataclass(frozen=True)
class Group:
    """Images of one kind from one table. ``files`` has a place for each of the ``ids``, separated by blanks;
    ``*`` is all, of which the ``most`` telling ones are taken. ``strength`` is how far they move to one tone.
    Of other kinds that they show, only those in ``draws`` are drawn from, or all if it is empty; a ``whole``
    image is of its kind with all that is in it, such as fields with copses.
    In one with ``streets`` they are looked for and are roads.
    ``turns`` are the turns in which it is used, so that rivers and roads run in more than one direction.
    """

    family: str
    table: str
    files: str
    kind: str
    words: tuple[str, ...]
    ids: str
    strength: _Share = 0.6
    whole: bool = False
    streets: bool = False
    turns: tuple[Annotated[int, Field(ge=0, le=7)], ...] = (0,)
    draws: tuple[str, ...] = ()
    most: int | None = None

    def takes(self, file: str) -> bool:
        """Say whether a file belongs to the group."""
        before, after = self.files.split("{}")
        if self.ids == "*":
            return file.startswith(before) and file.endswith(after)
        return file in {self.files.format(id) for id in self.ids.split()}


@dataclass(frozen=True)
class LeftOut:
    """Images that must not be taken, and why."""

    why: str
    files: str
    ids: str


@dataclass(frozen=True)
class Choice:
    """The whole list."""

    families: tuple[FamilyChoice, ...]
    groups: tuple[Group, ...]
    left_out: tuple[LeftOut, ...]

    @classmethod
    def read(cls, path: Path = _FILE) -> Choice:
        """Read a list. Raises ValueError if it takes what it leaves out."""
        choice = TypeAdapter(cls).validate_json(path.read_bytes())
        for one in choice.left_out:
            for id in one.ids.split():
                file = one.files.format(id)
                if any(group.takes(file) for group in choice.groups if group.ids != "*"):
                    raise ValueError(f"{file} is taken, and left out: {one.why}")
        return choice

    def leaves_out(self, file: str) -> bool:
        """Say whether an image must not be taken."""
        return any(file == one.files.format(id) for one in self.left_out for id in one.ids.split())
