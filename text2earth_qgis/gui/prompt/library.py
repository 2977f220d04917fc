"""Prompts to start from, by land cover. A translation has to be of words that the backend looks up."""

from __future__ import annotations

from text2earth_qgis.core.language import tr


def library() -> dict[str, tuple[str, ...]]:
    """Return prompts by kind of land, in the user's language."""
    return {
        tr("Forest"): (
            tr("a lake in a forest"),
            tr("a forest with a winding river"),
            tr("a forest with clearings and ponds"),
            tr("a dense forest, a road through it"),
        ),
        tr("Farmland"): (
            tr("farmland with a village and a river"),
            tr("fields with hedges and a farm"),
            tr("a vineyard beside a village"),
            tr("an orchard near a stream, meadows"),
        ),
        tr("Meadow and heath"): (
            tr("meadows with a stream and hedges"),
            tr("a pasture beside a forest"),
            tr("heath with ponds"),
        ),
        tr("Lakes and rivers"): (
            tr("a large lake with an island"),
            tr("a winding river through meadows"),
            tr("a reservoir in a forest"),
            tr("a canal between fields"),
        ),
        tr("Coast"): (
            tr("a coast with a beach"),
            tr("a village at the coast, a harbour"),
            tr("dunes and a beach"),
            tr("an island in the sea"),
        ),
        tr("Wetland"): (
            tr("a marsh with ponds"),
            tr("a wetland along a river"),
        ),
        tr("Town"): (
            tr("a village beside a river, farmland"),
            tr("a residential area with a park"),
            tr("dense houses beside a harbour"),
            tr("a city with a river and a park"),
        ),
        tr("Industry and traffic"): (
            tr("an industrial area beside a railway"),
            tr("warehouses with a parking lot"),
            tr("an airport, farmland"),
            tr("a motorway through a forest"),
        ),
        tr("Dry land"): (
            tr("a desert with rock"),
            tr("a quarry in a forest"),
        ),
    }
