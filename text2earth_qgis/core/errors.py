"""Everything that can go wrong for the user of the plugin; the text of each error is a sentence to show.

    PluginError
    |- BackendError     the backend answered, and refused or failed
    |- Unreachable      no answer, or half of one
    |- Locked           QGIS keeps the credentials locked until its master password is given
    |- JobFailed        the job ended in an error, or is gone
    |- RasterRefused    a layer that cannot be aligned to, edited or be a mask
    |- HistoryError     the list of runs cannot be read or written
    `- Cancelled        the user stopped it; control flow, shown nowhere as an error

Knows no HTTP library and no QGIS.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from text2earth_qgis.core.language import tr


class PluginError(Exception):
    """Base of all errors of the plugin."""


def unwritable(target: Path, error: OSError) -> PluginError:
    """Return the error for a result that cannot be written."""
    return PluginError(
        tr("The result cannot be written to {target}: {reason}.").format(
            target=target, reason=error.strerror or error
        )
    )


class BackendError(PluginError):
    """The backend answered with an error."""

    def __init__(
        self,
        sentence: str,
        status: int,
        field: Optional[str] = None,
        retry_after: Optional[float] = None,
    ) -> None:
        """Keep the HTTP status, the wrong field (dotted) and the seconds to wait before another try."""
        super().__init__(sentence)
        self.status = status
        self.field = field
        self.retry_after = retry_after

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed a little later."""
        return self.status in (429, 502, 503, 504)


class Unreachable(PluginError):
    """No whole answer came from the backend."""


class Locked(PluginError):
    """QGIS keeps the credentials locked until its master password is given."""


class JobFailed(PluginError):
    """The job ended without a result."""


class RasterRefused(PluginError):
    """The layer cannot serve as the grid of a result, as the source of an edit or as its mask."""


class HistoryError(PluginError):
    """The list of runs cannot be used."""


class Cancelled(PluginError):
    """The user stopped it."""
