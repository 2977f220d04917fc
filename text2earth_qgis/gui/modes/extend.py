"""The tab that continues a raster over more land: form, its outline on the map, and the tool that drags that.

How far the raster is to reach is kept here, as a box of its pixels; the form shows it as numbers, the map as
an outline. A raster that is turned on the map takes drawn rectangles alone, since an extent is what is sent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional

from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer, QgsRectangle
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject

from text2earth_qgis.core.crs import crs_of
from text2earth_qgis.core.errors import PluginError
from text2earth_qgis.core.imagery import crops, datasets, masks, rasters
from text2earth_qgis.core.imagery.datasets import Grid
from text2earth_qgis.core.imagery.drawn.drawings import Drawings, DrawnLayers
from text2earth_qgis.core.imagery.edit_request import EditPreview, EditRequest
from text2earth_qgis.core.imagery.extension import Extension, pixels_of
from text2earth_qgis.core.imagery.reach import Reach, extension_of, is_turned, reach_of
from text2earth_qgis.core.language import tr
from text2earth_qgis.core.layers import source_of
from text2earth_qgis.core.runs.history import Run
from text2earth_qgis.core.wire.schemas import Box, Json, Polygons
from text2earth_qgis.gui import words
from text2earth_qgis.gui.canvas.outline import Outline
from text2earth_qgis.gui.canvas.outline_tool import OutlineTool
from text2earth_qgis.gui.connection import Connection
from text2earth_qgis.gui.debounce import Debounced, Question
from text2earth_qgis.gui.modes.mode import UNKNOWN
from text2earth_qgis.gui.modes.painting import PaintingMode
from text2earth_qgis.gui.panels.extend import ExtendPanel
from text2earth_qgis.gui.panels.plan import PlanPanel, about
from text2earth_qgis.gui.runner import Runner


@dataclass(frozen=True)
class Land:
    """What the result is to have: pixels of the raster, or a rectangle around a raster that is turned."""

    box: Box
    drawn: Optional[Extension] = None

    def extension(self, grid: Grid, fill_holes: bool) -> Extension:
        """Return what is sent."""
        found = self.drawn or extension_of(self.box, grid)
        return replace(found, fill_holes=fill_holes)


class ExtendMode(PaintingMode):
    """The dock's third tab."""

    key = "extend"
    title = tr("Extend")
    section = "extend-a-raster"
    hint = tr("Extend this raster (Ctrl+Enter in the prompt)")

    def __init__(
        self,
        canvas: QgsMapCanvas,
        project: QgsProject,
        plan: PlanPanel,
        connection: Connection,
        parent: Optional[QObject] = None,
    ) -> None:
        self.form = ExtendPanel(project)
        super().__init__(self.form, canvas, project, plan, connection, parent)
        self.grid: Optional[Grid] = None  # of the chosen raster, once it was looked at
        self._metres = (1.0, 1.0)  # of a pixel of it
        self._refusal = ""  # why it cannot be extended
        self.land: Optional[Land] = None
        self._before: list[Optional[Land]] = []  # what Ctrl+Z brings back
        self._after: list[Optional[Land]] = []
        self._earlier: Optional[Run] = None  # whose land is to be shown, once the raster was looked at
        self._covered = True
        self._rate: Optional[float] = None  # seconds for a new pixel, by the last plan
        self.outline = Outline(canvas, project)
        self.tool = OutlineTool(canvas, project, self.outline, self.describe)
        self.looking = Debounced(tr("looking at a raster"), 0, self)
        self.looking.found.connect(self._take_grid)
        self.looking.refused.connect(self._refuse_raster)
        self.form.source.layerChanged.connect(lambda _layer: self._follow_raster())
        self.form.changed.connect(self._cover)
        self.form.regions.made.connect(self.layer_made)
        reach = self.form.reach
        reach.wanted.connect(self._take_tool)
        reach.changed.connect(self._reach)
        reach.cleared.connect(lambda: self._turn_to(None))
        self.tool.dragged.connect(self._reach)
        self.tool.drawn.connect(self._draw)
        self.tool.undone.connect(self._undo)
        self.tool.left.connect(lambda: reach.show_active(False))
        canvas.destinationCrsChanged.connect(self.outline.update)
        self._follow_raster()

    def show(self, shown: bool) -> None:
        """Outline the raster while the form is seen; only then it can be dragged."""
        super().show(shown)
        if not shown:
            self.tool.leave()
        self._outline()

    def uncover(self) -> None:
        """Take the outline off the map, until something changes: there is a result to be seen."""
        self.tool.leave()
        self._covered = False
        self._outline()

    def extension(self) -> Optional[Extension]:
        """Return the land that is asked for, None as long as there is none."""
        holes, land = self.form.holes.isChecked(), self.land
        if self.grid is None:
            return None
        if land is None and holes and not is_turned(self.grid):
            land = Land(self.grid.box)
        return None if land is None else land.extension(self.grid, holes)

    def missing(self) -> str:
        """Name what the form still lacks."""
        return self._refusal or ("" if self._is_looked_at else self.form.missing(self.extension()))

    def reason(self) -> str:
        """Return why this cannot be run."""
        return super().reason() or (tr("Looking at the raster.") if self._is_looked_at else "")

    def ask(self) -> None:
        """Look at what is asked for, once the raster was looked at."""
        if self._is_looked_at:
            self.found, self.refused = None, False
            self.stop()
            self.plan.wait()
        else:
            super().ask()

    @property
    def _is_looked_at(self) -> bool:
        """Whether a worker still finds out what the raster's pixels are."""
        return self.form.layer() is not None and self.grid is None and not self._refusal

    def request(self) -> EditRequest:
        """Return what is asked for, without what is drawn. Raises ``PluginError``."""
        extension = self.extension()
        if extension is None:
            raise PluginError(self.missing())
        return self.form.request(extension)

    def drawn_layers(self) -> DrawnLayers:
        """Return the layers of regions and layout, and near what they are read."""
        extension = self.extension()
        if extension is None:
            raise PluginError(self.missing())
        return self.form.drawn_layers(extension)

    def reads_layers(self) -> bool:
        """Whether regions or a layout are read from a layer."""
        return super().reads_layers() or self.form.regions.has_layer()

    def run(self, runner: Runner) -> None:
        """Send what is around the new land, and start the job; raises ``PluginError``."""
        request = self.request()
        self.remember_prompt()
        drawn = self.drawn.over(Drawings(self.form.regions.kept(), self.form.layout_panel.kept()))
        if drawn.regions is not None:
            request = replace(request, options={**request.options, "regions": drawn.regions})
        runner.edit(request if drawn.layout is None else request.with_layout(drawn.layout))

    def use_again(self, run: Run) -> None:
        """Show raster, land and settings of an earlier run, with the seed that it took."""
        source, seed = source_of(run.assembly, self._project), run.inputs.get("seed")
        filled = not (run.inputs.get("prompt") or run.inputs.get("model"))
        kept = {**self.form.memory(), "sources": bool(run.sources), "fill": filled}
        self.form.recall({**kept, **run.inputs, "seed": run.recipe.get("seed", seed)})
        if source is not None:
            self.form.source.setLayer(source)
        self._earlier = run
        self._follow_raster()
        self.use_drawn(run)
        regions = run.inputs.get("regions")
        self.form.use_regions(Polygons(**regions) if regions else None)

    def use_recipe(self, recipe: Json, layer: QgsRasterLayer) -> None:
        """Show the settings in the recipe of an extended layer; tells what is left to choose."""
        filled = not recipe.get("prompt")
        self.form.recall({**self.form.memory(), **recipe, "fill": filled, "layout": None, "regions": None})
        drawn = self.use_recorded(recipe)
        self.form.use_regions(drawn.regions)
        raise PluginError(drawn.note or UNKNOWN)

    def memory(self) -> Json:
        """Return all but the layers and the land."""
        return self.form.memory()

    def recall(self, memory: Json) -> None:
        """Show the settings that ``memory`` returned."""
        self.form.recall(memory)

    def close(self) -> None:
        """Undo what was done outside the dock."""
        super().close()
        self.looking.stop()
        self.tool.leave()
        self.tool.deleteLater()
        self._canvas.destinationCrsChanged.disconnect(self.outline.update)
        self.outline.remove()
        self.form.regions.close_layers()

    def describe(self, box: Box) -> str:
        """Say of a box of pixels how much larger it is than the raster, and how large."""
        if self.grid is None:
            return ""
        lines = [_beyond(reach_of(box, self.grid), self._metres), self._result(box), self._time(box)]
        return "\n".join(line for line in lines if line)

    def show_preview(self, found: EditPreview) -> None:
        """Show what would be made, and what it comes to as far as that is known."""
        if self.grid is not None and found.whole is not None:
            work = self.work(found)
            if work.seconds is not None:
                self._rate = work.seconds / max(1, self._new_pixels(found.whole))
            land = _beyond(reach_of(found.whole, self.grid), self._metres)
            self.plan.show_extension(found, land, work, self.connection.state.url)

    def show_drawn(self) -> None:
        """Show what of regions and layout is sent."""
        found = self.drawn.over(Drawings(self.form.regions.kept(), self.form.layout_panel.kept()))
        self.form.regions.show_found(found.regions)
        self.form.layout_panel.show_drawn(found)

    def _follow_raster(self) -> None:
        """Look at the chosen raster in a worker; until then there is nothing to extend."""
        self.grid, self.land, self._refusal, self._before, self._after = None, None, "", [], []
        self.looking.stop()
        self.form.reach.set_value(Reach())
        self.form.reach.set_grid(None)
        self._outline()
        if self.form.layer() is not None:
            self.looking.ask(self._look_at_raster)

    def _look_at_raster(self) -> Optional[Question]:
        layer = self.form.layer()
        if layer is None:
            return None
        file, context = rasters.file_of(layer), self._project.transformContext()

        def look(_listener: object) -> tuple[Grid, tuple[float, float]]:
            dataset = file.open()
            crops.check_editable(dataset, file)
            grid = datasets.grid_of(dataset, file)
            return grid, masks.ground_pixel(grid, context)

        return look

    def _refuse_raster(self, error: PluginError) -> None:
        self._refusal = str(error)
        self.changed.emit()

    def _take_grid(self, found: tuple[Grid, tuple[float, float]]) -> None:
        self.grid, self._metres = found
        self.form.reach.set_grid(self._metres, typed=not is_turned(self.grid))
        if self._earlier is not None:
            earlier, self._earlier = self._earlier, None
            self.land = self._land_of(earlier, self.grid)
        self._show_land()
        self.tool.show_handles()

    def _land_of(self, run: Run, grid: Grid) -> Optional[Land]:
        """Return the land of an earlier run, None where that cannot be placed any more."""
        extent, whole = run.inputs.get("extent"), run.assembly.get("whole")
        if extent and (run.inputs.get("fill_holes") or is_turned(grid)):
            crs = crs_of(str(extent.get("crs") or ""))
            return self._land_around(QgsRectangle(*extent["bbox"]), crs, grid)
        return Land(Box(**whole)) if whole else None

    def _land_around(
        self, rectangle: QgsRectangle, crs: QgsCoordinateReferenceSystem, grid: Grid
    ) -> Optional[Land]:
        """Return the land that a rectangle means, None where it has no place on the raster's grid."""
        wanted = Extension(rectangle, crs, False)
        try:
            box = pixels_of(wanted, grid, self._project.transformContext())
        except PluginError:
            return None  # the label beside the pointer has said so
        return Land(box, wanted if is_turned(grid) else None)

    def _reach(self, reach: Reach) -> None:
        """Take how far the raster is to reach, typed or dragged."""
        if self.grid is not None:
            self._turn_to(Land(reach.box(self.grid)) if reach != Reach() else None)

    def _draw(self, rectangle: QgsRectangle) -> None:
        """Take a rectangle that was drawn on the map."""
        crs = self._canvas.mapSettings().destinationCrs()
        land = self._land_around(rectangle, crs, self.grid) if self.grid is not None else None
        if land is not None:
            self._turn_to(land)

    def _turn_to(self, land: Optional[Land]) -> None:
        """Have other land, which can be taken back."""
        self._before.append(self.land)
        self._after.clear()
        self.land = land
        self._show_land()

    def _undo(self, again: bool) -> None:
        """Take the last change back, or make it again."""
        one, other = (self._after, self._before) if again else (self._before, self._after)
        if one:
            other.append(self.land)
            self.land = one.pop()
            self._show_land()

    def _show_land(self) -> None:
        if self.grid is not None:
            reach = reach_of(self.land.box, self.grid) if self.land is not None else Reach()
            self.form.reach.set_value(reach)
        self.form.changed.emit()

    def _take_tool(self, wanted: bool) -> None:
        if not wanted:
            self.tool.leave()
            return
        self._cover()
        self.tool.begin()
        self.form.reach.show_active(True)

    def _cover(self) -> None:
        """Outline the raster again, if a result has hidden that."""
        self._covered = True
        self._outline()

    def _outline(self) -> None:
        """Show on the map the raster and its new land, while the form is seen."""
        if self.grid is not None and self.shown and self._covered:
            self.outline.show_box(self.grid, self.land.box if self.land is not None else self.grid.box)
        else:
            self.outline.clear()

    def _new_pixels(self, box: Box) -> int:
        """Return how many pixels of a box the raster does not have."""
        return box.width * box.height - (self.grid.width * self.grid.height if self.grid is not None else 0)

    def _time(self, box: Box) -> str:
        """Say how long new land takes, by what the last plan said; empty where there was none."""
        return about(self._rate * self._new_pixels(box)) if self._rate and self.form.words() else ""

    def _result(self, box: Box) -> str:
        """Say how large a result would be."""
        width, height = box.width * self._metres[0], box.height * self._metres[1]
        return tr("{width} × {height} px, {area} in all").format(
            width=words.number(box.width), height=words.number(box.height), area=words.area(width, height)
        )


def _beyond(reach: Reach, metres: tuple[float, float]) -> str:
    """Say how far a raster is to reach on which sides; ``metres`` are those of a column and of a row."""
    titles = {"top": tr("top"), "left": tr("left"), "right": tr("right"), "bottom": tr("bottom")}
    parts = []
    for side, title in titles.items():
        pixels, size = getattr(reach, side), metres[0] if side in ("left", "right") else metres[1]
        if pixels:
            text = tr("{side} +{pixels} px ({length})")
            parts.append(
                text.format(side=title, pixels=words.number(pixels), length=words.length(pixels * size))
            )
    return ", ".join(parts)
