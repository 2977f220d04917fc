"""Continuing a scene: the inputs of a new one that joins it, read from its layer.

The two agree where they overlap because they share frame, canvas and everything else of the recipe; what was
made with another engine or on another profile the backend's plan tells. Knows layers and recipes, no network.
"""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsRasterLayer

from text2earth_qgis.core import layers
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.wire.schemas import Box, Frame, Joins, Json

SHARED = ("prompt", "negative_prompt", "seed", "steps", "sampler", "guidance", "model")


def inputs_to_continue(layer: QgsRasterLayer) -> Json:
    """Return the members of ``GenerateInputs`` that continue a layer: all but the extent.

    A prompt that was not recorded is left out. Raises ``PluginError`` if the layer cannot be continued.
    """
    try:
        recipe = layers.recipe_of(layer)
    except ValueError:
        recipe = None
    if not recipe:
        raise PluginError(
            tr(
                "'{name}' cannot be continued: it has no recipe of Text2Earth. Choose a layer that "
                "Generate imagery made."
            ).format(name=layer.name())
        )
    return inputs_from_recipe(recipe, layer.name(), layers.profile_in_file(layers.path_of(layer)))


def inputs_from_recipe(recipe: Json, name: str, profile: Optional[str] = None) -> Json:
    """Return the same inputs from the recipe of a scene called ``name``."""
    if recipe.get("process", "generate") != "generate":
        raise PluginError(
            tr(
                "'{name}' is not a scene of its own but a raster with painted parts. Use Extend imagery "
                "to continue it."
            ).format(name=name)
        )
    try:
        canvas = recipe["canvas"]
        frame = Frame(**recipe["frame"])
        start = recipe.get("start")
        joins = Joins(
            frame, int(recipe["engine"]), recipe.get("level"), profile, recipe.get("examples"), start
        )
        shared = {key: recipe[key] for key in SHARED if recipe.get(key) is not None}
        return {
            **shared,
            "canvas": Box(**canvas) if isinstance(canvas, dict) else str(canvas),
            "joins": joins,
            **(begun(start) if start else {}),
        }
    except (KeyError, TypeError, ValueError):
        raise PluginError(
            tr("'{name}' cannot be continued: its recipe is not complete.").format(name=name)
        ) from None


def begun(start: Json) -> Json:
    """Return the inputs of what a scene began with instead of noise."""
    kind = "samples" if start.get("samples") else "bank"
    return {"start": kind, "start_strength": float(start["strength"])}
