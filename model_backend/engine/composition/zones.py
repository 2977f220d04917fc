"""Which parts a scene has, and which available kind of land shows each.

A zone is one part, such as a lake or the houses of a town: zones of the same kind may be drawn over
differently.
"""

from __future__ import annotations

from collections.abc import Sequence

from model_backend.models.land_cover import nearest, replaced


class Zones:
    """Which zones there are, and which available kind shows each."""

    def __init__(self, available: Sequence[str], excluded: Sequence[str]) -> None:
        self._available = tuple(available)
        self._allowed = [kind for kind in available if kind not in excluded]
        self.labels: list[int] = []
        self.warnings: dict[str, None] = {}

    def add(self, kind: str, silent: bool = False) -> int:
        """Return a new zone that shows a kind, or what comes nearest to it."""
        shown = nearest(kind, self._allowed) or next(iter(self._allowed or self._available))
        if shown != kind and not silent:
            self.warnings[replaced(kind, shown)] = None
        self.labels.append(self._available.index(shown))
        return len(self.labels) - 1

    def has(self, kind: str) -> bool:
        """Say whether a kind can be shown and is not excluded."""
        return kind in self._allowed
