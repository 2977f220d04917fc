"""How work on pixels reports on itself: to a listener, who may stop it.

Knows no model and no lattice, so that whatever makes pixels can report alike.
"""

from __future__ import annotations

from typing import Protocol

from model_backend.arrays import UInt8Array

PREVIEW_SIDE = 1024  # pixels of a preview, at most


class ProgressListener(Protocol):
    """Who follows the making of pixels; both methods may raise `errors.Cancelled` to stop it at once."""

    def step(self, done: int, total: int) -> None:
        """Hear that ``done`` of ``total`` steps are over; called often: after every UNet call."""

    def preview(self, pixels: UInt8Array) -> None:
        """Take an impression of the whole box asked for, (height, width, 3 or 4 with opacity)."""


class SilentListener:
    """A listener that ignores what it hears."""

    def step(self, done: int, total: int) -> None:
        """Ignore a step."""

    def preview(self, pixels: UInt8Array) -> None:
        """Ignore a preview."""
