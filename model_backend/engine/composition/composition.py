"""What a scene is to show, as values: what lies everywhere, which things lie in it, what must not be seen.

Knows no words but those that users read, and no pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

from model_backend.engine.composition.forms import Shape


@dataclass(frozen=True)
class Thing:
    """Something to be seen: what the prompt calls it, its kind of land, outline, size and number."""

    word: str
    kind: str
    shape: Shape
    low: int  # metres across, of lines their width
    high: int
    count: int = 1
    winding: int = 0  # percent of what is usual for a line
    near: int | None = None  # the thing beside which it is, as an index


@dataclass(frozen=True)
class Composition:
    """What a scene shows: a kind of land everywhere, things in it, and kinds that must not be seen."""

    background: str
    things: tuple[Thing, ...] = ()
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """What was understood of a prompt: a composition, its parts in plain words, and words that mean nothing.

    ``notes`` are sentences on what was decided without being asked for.
    """

    composition: Composition
    understood: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    background: bool = True  # whether it says what lies everywhere
