"""Lists of runs as tests look at them, and as they are after years of use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from text2earth_qgis.core.runs.history import History, Run, _write


def whole(history: History) -> list[Run]:
    """Return all runs with all that they have, newest first."""
    found = [history.get(run.key) for run in history.latest(limit=-1)]
    return [run for run in found if run is not None]


def years_of_runs(history: History, count: int) -> None:
    """Write so many runs that are over, five hours apart; every tenth failed, every fifth is an edit."""
    prompts = ("a lake in a forest", "farmland with a village", "dense houses beside a harbour", "été 湖")
    now = datetime.now(UTC)
    with history._open() as database:  # one transaction, not one for each
        for number in range(count):
            edited = number % 5 == 0
            run = Run(
                "http://127.0.0.1:1",
                {"prompt": f"{prompts[number % 4]} {number}", "seed": number},
                f"/x/{number}.tif",
                process="edit" if edited else "generate",
                state="failed" if number % 10 == 3 else "fetched",
                message="The backend could not finish the job. " * 4 if number % 10 == 3 else "",
                recipe={
                    "seed": number,
                    "grid": {"width": 640, "height": 480},
                    "frame": {"crs": "EPSG:32633"},
                },
                assembly={"source": {"name": f"NAIP {number % 7}"}} if edited else {},
                created=(now - timedelta(hours=(count - number) * 5)).isoformat(timespec="milliseconds"),
            )
            _write(database, run)
