"""Fetching the result of a finished job into the file that was asked for. Any thread; waits."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Callable, Optional

from text2earth_qgis.core import origin
from text2earth_qgis.core.errors import Cancelled, JobFailed, PluginError, unwritable
from text2earth_qgis.core.imagery.assembly import Assembly
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.runs.source_raster import OUTPUT, SourceRaster
from text2earth_qgis.core.tasks import Listener
from text2earth_qgis.core.wire.client import Client, shares
from text2earth_qgis.core.wire.schemas import Json


def check_writable(target: Path) -> None:
    """Refuse a file that could not be written once it is there. Raises ``PluginError``."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise unwritable(target, error) from error


def fetch(client: Client, run: Run, listener: Listener) -> Run:
    """Write the result of a finished job to ``run.target``; return the run as it is then.

    An edit's part is put into its source. Where that cannot be done, the part is the result: it is the run's
    ``target``, and ``message`` says why. The raster of sources is written too, if one is wanted. Raises
    ``Cancelled`` with nothing left behind, or a ``PluginError`` while the result is still on the backend.
    """
    if not run.sources:
        return _fetch_image(client, run, listener)
    sources = SourceRaster.from_json(run.sources)
    links = client.results(run.job)
    if OUTPUT not in links:
        raise JobFailed(tr("The backend has no raster of sources of this job."))
    try:
        client.download(links[OUTPUT], sources.part, shares(listener.part(0, 0.3).progress))
        run = _fetch_image(client, run, listener.part(0.3, 1))
        sources.finish(Path(run.target))
    finally:
        sources.part.unlink(missing_ok=True)
    return run


def _fetch_image(client: Client, run: Run, listener: Listener) -> Run:
    """Write the image of a finished job, put together where it is an edit's part."""
    if not run.assembly:
        recipe = fetch_result(client, run.job, Path(run.target), listener.progress)
        return replace(run, state="fetched", recipe=recipe, message="")
    assembly = Assembly.from_json(run.assembly)
    recipe = fetch_result(client, run.job, assembly.part, listener.part(0, 0.5).progress)
    run = replace(run, state="fetched", recipe=recipe, message="")
    listener.say(tr("Writing the result"))
    try:
        said = origin.written(run.inputs, run.assembly["source"], Path(run.target))
        assembly.finish(Path(run.target), said, listener.part(0.5, 1).progress, listener.stop)
    except Cancelled:
        assembly.part.unlink(missing_ok=True)
        raise
    except PluginError as error:
        return replace(
            run,
            target=str(assembly.part),
            message=tr("{error} The edited part is in {part}.").format(error=error, part=assembly.part),
        )
    return run


def fetch_result(
    client: Client, job: str, path: Path, progress: Optional[Callable[[float], object]] = None
) -> Json:
    """Write the image of a finished job to ``path`` and return its recipe."""
    links = client.results(job)
    if "image" not in links:
        raise JobFailed(tr("The backend has no image of this job."))
    recipe = client.fetch_json(links["recipe"].href) if "recipe" in links else {}
    client.download(links["image"], path, shares(progress) if progress else None)
    return recipe
