"""Rasters that are sent to the backend for a job, and removed from it when nothing needs them any more."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.tasks import Listener
from text2earth_qgis.core.threads import pool_thread_released
from text2earth_qgis.core.wire import calls
from text2earth_qgis.core.wire.access import Access
from text2earth_qgis.core.wire.client import Client, shares
from text2earth_qgis.core.wire.schemas import Json, Upload
from text2earth_qgis.core.wire.transport import open_client


@dataclass
class Uploads:
    """The files sent for one job."""

    access: Access
    client: Client
    listener: Listener
    uploads: list[str] = field(default_factory=list)

    def send(self, path: Path) -> Upload:
        """Send a file; it is one of the uploads from its first byte on."""
        size = path.stat().st_size
        # Not cancellable, but short: only its answer names what a cancel has to remove.
        upload = str(open_client(self.access).run(calls.begin_upload(size))["id"])
        self.uploads.append(upload)
        with pool_thread_released():
            self.client.upload(upload, path, shares(self.listener.progress))
        return Upload(upload)

    def keep(self, kept: list[str]) -> None:
        """Remove what was sent, but for some; the backend does the same a day later."""
        drop_uploads(self.access, [one for one in self.uploads if one not in kept], self.listener)


def uploads_of(inputs: Json) -> list[str]:
    """Return the ids of the uploads that the inputs of a job name."""
    named = [inputs.get(name) for name in ("source", "mask")]
    named += [sample.get("source") for sample in inputs.get("samples") or ()]
    return [str(one["upload"]) for one in named if isinstance(one, dict) and "upload" in one]


def drop_uploads(access: Access, uploads: list[str], listener: Listener) -> None:
    """Remove uploads that nothing needs any more."""
    for upload in uploads:
        try:
            open_client(access).run(calls.drop_upload(upload))
        except PluginError as error:
            listener.say(tr("What was sent may stay on the backend for a day: {error}").format(error=error))
