"""Result files as layers of the project: their name, group, metadata, credit and recipe.

The recipe is in a custom property of the layer, and in the file's tags for a layer that was added by hand.
Knows no network and no jobs. Main thread only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Optional

from osgeo import gdal
from qgis.core import (
    Qgis,
    QgsBilinearRasterResampler,
    QgsCoordinateTransform,
    QgsCsException,
    QgsLayerMetadata,
    QgsLayerTreeGroup,
    QgsLayerTreeLayer,
    QgsLayerTreeNode,
    QgsMapLayer,
    QgsMapLayerStyle,
    QgsProject,
    QgsRasterLayer,
)

from text2earth_qgis.core import origin
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.origin import Origin
from text2earth_qgis.core.wire.schemas import Json

GROUP = "Text2Earth"
RECIPE = "text2earth/recipe"  # custom property
ORIGINAL = "text2earth/original"  # custom property of an edit: the name of the raster that was edited first
OVERSAMPLING = 2.0  # from far, pixels are read at least so finely
CREDIT = tr("Synthetic image, made by a generative model; shows nothing that was observed")
EDITED = tr("Edited image: a part of it was made by a generative model and shows nothing that was observed")
_WORDS = 40  # characters of the prompt in a name


def add_result(
    path: str,
    project: QgsProject,
    recipe: Optional[Json] = None,
    source: Optional[QgsMapLayer] = None,
    notes: str = "",
    raster: str = "",
) -> QgsRasterLayer:
    """Add a result file to the project's group; without ``recipe`` the file's is taken.

    The result of an edit goes above its ``source`` and the results that lie on it, in the same style if both
    are read the same way: what is fetched of an online layer is in its style already. ``raster`` is the name
    of a source that the project does not have any more.
    """
    layer = QgsRasterLayer(str(path), Path(path).stem, "gdal")
    if not layer.isValid():
        raise PluginError(tr("{path} is not a raster that QGIS can read.").format(path=path))
    recipe = recipe or recipe_in_file(path)
    below = project.layerTreeRoot().findLayer(source.id()) if source is not None else None
    alike = source is not None and source.providerType() == layer.providerType()
    if source is not None and alike and source.bandCount() == layer.bandCount():
        style = QgsMapLayerStyle()
        style.readFromLayer(source)
        style.writeToLayer(layer)
    else:
        smooth(layer)
    describe(layer, recipe, notes, original_of(source) or raster)
    project.addMapLayer(layer, False)
    if below is None:
        node = _group_that_is_seen(layer, project).insertLayer(0, layer)
    else:
        node = below.parent().insertLayer(_place_above(below), layer)
    _reveal(node, project, below is not None)
    return layer


def smooth(layer: QgsRasterLayer) -> None:
    """Show a layer between its pixels: bilinear from near, means of four from far."""
    resampling = layer.resampleFilter()
    resampling.setZoomedInResampler(QgsBilinearRasterResampler())
    resampling.setZoomedOutResampler(QgsBilinearRasterResampler())
    resampling.setMaxOversampling(OVERSAMPLING)


def path_of(layer: QgsMapLayer) -> str:
    """Return the file of a layer, without what QGIS says after it of a part or of how it is opened."""
    return str(layer.source().split("|")[0])


def with_file(path: Path, project: QgsProject) -> Optional[QgsRasterLayer]:
    """Return the layer of a raster file, if the project has one."""
    rasters = (layer for layer in project.mapLayers().values() if isinstance(layer, QgsRasterLayer))
    return next((layer for layer in rasters if Path(path_of(layer)) == path), None)


def source_of(run_assembly: Json, project: QgsProject) -> Optional[QgsRasterLayer]:
    """Return the layer that an edit was made of, if the project still has it."""
    named = project.mapLayer(run_assembly.get("layer", ""))
    if isinstance(named, QgsRasterLayer):
        return named
    file = run_assembly.get("source", {}).get("source")
    rasters = (layer for layer in project.mapLayers().values() if isinstance(layer, QgsRasterLayer))
    return next((layer for layer in rasters if path_of(layer) == file), None)


def group_of(project: QgsProject) -> QgsLayerTreeGroup:
    """Return the group of our layers, made on top if it is not there."""
    root = project.layerTreeRoot()
    return root.findGroup(GROUP) or root.insertGroup(0, GROUP)


def move_to_group(layer: QgsRasterLayer, project: QgsProject) -> None:
    """Move a layer that somebody else put into the project to our group."""
    node = project.layerTreeRoot().findLayer(layer.id())
    if node is None:
        return
    if node.parent() is None or node.parent().name() != GROUP:
        moved = node.clone()
        _group_that_is_seen(layer, project).insertChildNode(0, moved)
        node.parent().removeChildNode(node)
        node = moved
    _reveal(node, project)


def put_above(layer: QgsMapLayer, other: str, project: QgsProject) -> None:
    """Move a layer above another one, named by its id, and the results that lie on that one.

    It goes to our group if that other layer is not in the project.
    """
    node, below = (project.layerTreeRoot().findLayer(one) for one in (layer.id(), other))
    if node is None:
        return
    if below is None:
        move_to_group(layer, project)
        return
    moved = node.clone()
    below.parent().insertChildNode(_place_above(below, node), moved)
    node.parent().removeChildNode(node)
    _reveal(moved, project, True)


def _reveal(node: QgsLayerTreeLayer, project: QgsProject, of_a_raster: bool = False) -> None:
    """Tick a result and the groups it is in, open these, and draw it on top, or where its raster is drawn.

    The tree says so, but in a project with an order of its own, which draws a new layer below all others.
    """
    node.setItemVisibilityCheckedParentRecursive(True)
    group = node.parent()
    while group is not None:
        group.setExpanded(True)
        group = group.parent()
    root = project.layerTreeRoot()
    if root.hasCustomLayerOrder():
        order = [one for one in root.customLayerOrder() if one != node.layer()]
        siblings = node.parent().children()
        under = siblings[siblings.index(node) + 1 :] if of_a_raster else []
        drawn = [order.index(one.layer()) for one in under if isinstance(one, QgsLayerTreeLayer)]
        place = drawn[0] if drawn else 0
        root.setCustomLayerOrder([*order[:place], node.layer(), *order[place:]])


def _group_that_is_seen(layer: QgsRasterLayer, project: QgsProject) -> QgsLayerTreeGroup:
    """Return the group of our layers; a new one on top if a raster of others would hide the layer in it."""
    root = project.layerTreeRoot()
    group = root.findGroup(GROUP)
    if group is None or not group.findLayers():
        if group is not None:  # an empty one may lie anywhere
            group.parent().removeChildNode(group)
        return group_of(project)
    for node in root.findLayers():
        if group.findLayer(node.layerId()) is not None:
            break
        other = node.layer()
        if not isinstance(other, QgsRasterLayer) or other == layer or _is_result(node):
            continue
        if node.isVisible() and _meet(layer, other, project):
            return root.insertGroup(0, GROUP)
    return group


def _meet(one: QgsMapLayer, other: QgsMapLayer, project: QgsProject) -> bool:
    """Whether the extents of two layers share a place."""
    turn = QgsCoordinateTransform(one.crs(), other.crs(), project.transformContext())
    try:
        return bool(turn.transformBoundingBox(one.extent()).intersects(other.extent()))
    except QgsCsException:
        return False


def _place_above(below: QgsLayerTreeLayer, besides: Optional[QgsLayerTreeNode] = None) -> int:
    """Return the place among its siblings above a layer and all results of ours that may cover it."""
    siblings = below.parent().children()
    above = siblings[: siblings.index(below)]
    results = (place for place, node in enumerate(above) if node != besides and _is_result(node))
    return next(results, len(above))


def _is_result(node: QgsLayerTreeNode) -> bool:
    layer = node.layer() if isinstance(node, QgsLayerTreeLayer) else None
    return layer is not None and bool(layer.customProperty(RECIPE))


def original_of(source: Optional[QgsMapLayer]) -> str:
    """Return what an edit of a layer is an edit of: of an edit that is what was edited first."""
    return "" if source is None else str(source.customProperty(ORIGINAL) or source.name())


def describe(layer: QgsRasterLayer, recipe: Json, notes: str = "", original: str = "") -> None:
    """Give the layer its name, metadata, credit and recipe; ``notes`` are what the backend had to say.

    ``original`` is the name of the raster that it is an edit of.
    """
    layer.setName(name(recipe, original))
    if original:
        layer.setCustomProperty(ORIGINAL, original)
    layer.setCustomProperty(RECIPE, json.dumps(recipe, ensure_ascii=False, sort_keys=True))
    abstract = summary(recipe, _tag(layer.source(), "GROUND_SAMPLE_DISTANCE_M"), notes)
    metadata = QgsLayerMetadata(layer.metadata())
    metadata.setTitle(layer.name())
    metadata.setAbstract(abstract)
    made = tr("{credit}. Model: {model}").format(
        credit=credit(recipe), model=recipe.get("model") or tr("unknown")
    )
    metadata.setRights([made, *_attribution(layer)])
    layer.setMetadata(metadata)
    if Qgis.versionInt() < 33800:  # their tooltips show it, those of newer ones the metadata
        layer.setAbstract(abstract)


def credit(recipe: Json) -> str:
    """Return the sentence that says the image is synthetic."""
    return EDITED if recipe.get("edit") else CREDIT


def name(recipe: Json, original: str = "") -> str:
    """Return a readable layer name: prompt and seed; of an edit also that, and of which raster, if known."""
    prompt = " ".join(str(recipe.get("prompt") or "").split())
    if len(prompt) > _WORDS:
        prompt = prompt[:_WORDS].rsplit(" ", 1)[0].rstrip(" ,.;:") + "…"
    edited = bool(recipe.get("edit"))
    parts = [prompt or (tr("filled from its surroundings") if edited else GROUP)]
    if "seed" in recipe:
        parts.append(tr("seed {seed}").format(seed=recipe["seed"]))
    made = ", ".join(parts)
    if not edited:
        return made
    extended = recipe.get("process") == "extend"
    if original:
        text = tr("{raster} extended: {what}") if extended else tr("{raster} edited: {what}")
        return text.format(raster=original, what=made)
    return (tr("Extended: {what}") if extended else tr("Edited: {what}")).format(what=made)


def summary(recipe: Json, gsd: str = "", notes: str = "") -> str:
    """Return a few lines about the layer for tooltips and metadata.

    ``gsd`` are its ground metres per pixel along x and y, ``notes`` sentences of the backend.
    """
    lines = [f"{credit(recipe)}."]
    if recipe.get("prompt"):
        lines.append(tr("Prompt: {value}").format(value=recipe["prompt"]))
    if recipe.get("negative_prompt"):
        lines.append(tr("Without: {value}").format(value=recipe["negative_prompt"]))
    regions = dict.fromkeys(region.get("prompt") for region in recipe.get("regions") or ())
    if any(regions):
        lines.append(tr("Regions: {value}").format(value=", ".join(filter(None, regions))))
    classes = (recipe.get("land_cover") or {}).get("kinds") or {}
    laid = dict.fromkeys([*classes.values(), *(one.get("kind") for one in recipe.get("layout") or ())])
    if any(laid):
        lines.append(tr("Layout: {value}").format(value=", ".join(filter(None, laid))))
    if gsd:
        sizes = [f"{size} m" for size in dict.fromkeys(gsd.split())]
        lines.append(tr("Ground sample distance: {value}").format(value=" x ".join(sizes)))
    pairs = (
        ("model", tr("Model: {value}")),
        ("seed", tr("Seed: {value}")),
        ("level", tr("Level: {value}")),
        ("steps", tr("Steps: {value}")),
        ("sampler", tr("Sampler: {value}")),
    )
    lines.append(
        "; ".join(text.format(value=recipe[key]) for key, text in pairs if recipe.get(key) is not None)
    )
    lines.append(notes)
    return "\n".join(line for line in lines if line)


def without_prompts(recipe: Json) -> Json:
    """Return the recipe as it may be stored where the user wants no prompts."""
    kept = {key: value for key, value in recipe.items() if key not in ("prompt", "negative_prompt")}
    if kept.get("regions"):
        kept["regions"] = [without_prompts(region) for region in kept["regions"]]
    if kept.get("layout"):
        kept["layout"] = [{key: one[key] for key in one if key != "kind"} for one in kept["layout"]]
    if kept.get("land_cover"):
        kept["land_cover"] = {key: value for key, value in kept["land_cover"].items() if key != "kinds"}
    return kept


def recipe_of(layer: QgsRasterLayer) -> Optional[Json]:
    """Return the recipe of a layer, from its property or its file; None if it is not one of ours."""
    stored = layer.customProperty(RECIPE)
    if stored:
        return json.loads(stored)
    if layer.providerType() != "gdal":
        return None
    return recipe_in_file(path_of(layer)) or None


def profile_in_file(path: str) -> Optional[str]:
    """Return the profile that a result file was computed on, None if it does not say."""
    return _tag(path, "PROFILE", "GENERATION") or None


def recipe_in_file(path: str) -> Json:
    """Return the recipe in the tags of a result file, {} if it has none."""
    text = _tag(path, "RECIPE", "GENERATION")
    return json.loads(text) if text else {}


def origin_in_file(path: str) -> Origin:
    """Return what the file of an edit says of its raster and mask."""
    return origin.read(_tag(path, origin.ITEM, origin.DOMAIN))


def layer_of(path: Path, project: QgsProject) -> Optional[QgsRasterLayer]:
    """Return the layer of a raster file, added to the project if it is not there; None if it is no raster."""
    if (there := with_file(path, project)) is not None:
        return there
    layer = QgsRasterLayer(str(path), path.stem, "gdal")
    return project.addMapLayer(layer) if layer.isValid() else None


def _attribution(layer: QgsRasterLayer) -> list[str]:
    """Return the attribution that the model's licence asks for, as the backend wrote it into the file."""
    text = _tag(layer.source(), "TIFFTAG_COPYRIGHT")
    return [text] if text else []


def _tag(path: str, name: str, domain: str = "") -> str:
    try:
        dataset = gdal.OpenEx(str(path), gdal.OF_RASTER | gdal.OF_READONLY)
    except RuntimeError:  # how GDAL fails where its exceptions are switched on
        return ""
    return (dataset.GetMetadataItem(name, domain) if dataset else None) or ""
