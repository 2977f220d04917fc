"""Variants on the map: in a group of theirs among the layers, of which QGIS shows one at a time.

Layers are added when they are first looked at. Knows no run list and no network. Main thread only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from qgis.core import QgsLayerTreeGroup, QgsLayerTreeLayer, QgsProject, QgsRasterLayer

from text2earth_qgis.core import layers
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.gui import words

SET = "text2earth/variants"  # custom property of the group: what its variants are of


class VariantLayers:
    """The layers of variants in the open project."""

    def __init__(self, project: QgsProject) -> None:
        self._project = project

    def has(self, run: Run) -> bool:
        """Whether the project has the layer of a variant."""
        return self._layer(run) is not None

    def show(self, run: Run) -> None:
        """Show a variant and hide the others of its set; its layer is added if need be.

        Raises ``PluginError`` if its file cannot be read.
        """
        layer = self._layer(run)
        node = self._node(layer) if layer is not None else self._add(run)
        group = node.parent()
        if group.customProperty(SET) == run.variant_of:
            for one in group.findLayers():
                one.setItemVisibilityChecked(one.layerId() == node.layerId())
        node.setItemVisibilityCheckedParentRecursive(True)

    def keep(self, run: Run) -> None:
        """Make a variant a usual result: beside its group, below what is still to be decided.

        Raises ``PluginError`` if its file cannot be read.
        """
        self.show(run)
        node = self._node(self._layer(run))
        group = node.parent()
        if group.customProperty(SET) != run.variant_of:  # the user moved it
            return
        siblings = group.parent().children()
        moved = node.clone()
        group.parent().insertChildNode(siblings.index(group) + 1, moved)
        group.removeChildNode(node)
        moved.setItemVisibilityChecked(True)
        self._tidy(group)

    def drop(self, run: Run) -> None:
        """Take a variant off the project; the file stays."""
        layer = self._layer(run)
        if layer is None:
            return
        group = self._node(layer).parent()
        self._project.removeMapLayer(layer.id())
        if group.customProperty(SET):
            self._tidy(group)

    def _add(self, run: Run) -> QgsLayerTreeLayer:
        """Add the layer of a variant, to the group of its set."""
        group = self._group(run.variant_of)
        source = layers.source_of(run.assembly, self._project)
        layer = layers.add_result(run.target, self._project, run.recipe, source, run.notes)
        node = self._node(layer)
        node.setExpanded(False)
        if group is None:
            group = self._make_group(run, node)
        moved = node.clone()
        group.insertChildNode(0, moved)
        node.parent().removeChildNode(node)
        return moved

    def _make_group(self, run: Run, node: QgsLayerTreeLayer) -> QgsLayerTreeGroup:
        """Make the group of a set, in the place of its first layer."""
        prompt = words.first_line(str(run.inputs.get("prompt") or ""), 28)
        name = tr("Variants of “{prompt}”").format(prompt=prompt) if prompt else tr("Variants")
        group = node.parent().insertGroup(node.parent().children().index(node), name)
        group.setCustomProperty(SET, run.variant_of)
        group.setIsMutuallyExclusive(True)
        group.setExpanded(False)
        return group

    def _group(self, of: str) -> Optional[QgsLayerTreeGroup]:
        groups = self._project.layerTreeRoot().findGroups(True)
        return next((group for group in groups if group.customProperty(SET) == of), None)

    def _tidy(self, group: QgsLayerTreeGroup) -> None:
        if not group.children():
            group.parent().removeChildNode(group)

    def _layer(self, run: Run) -> Optional[QgsRasterLayer]:
        return layers.with_file(Path(run.target), self._project)

    def _node(self, layer: Optional[QgsRasterLayer]) -> QgsLayerTreeLayer:
        return self._project.layerTreeRoot().findLayer(layer.id() if layer is not None else "")
