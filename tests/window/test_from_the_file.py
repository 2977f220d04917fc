"""An edit in a project opened years later: what its file alone says of raster and mask."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from osgeo import gdal
from qgis.core import QgsProject, QgsRasterLayer

from tests.support.qgis.dock import bar, fill_edit, press_run, state
from tests.support.qgis.raster_files import pixels
from tests.support.qgis.window import until
from text2earth_qgis.core import settings
from text2earth_qgis.core.layers import RECIPE, origin_in_file


def from_the_file_alone(dock, window, iface, path):
    """Ask for what a result shows again, in a project that has nothing else."""
    dock.removals.remove([row.run.key for row in dock.runs.model.rows])
    dock.edit.form.recall({})
    QgsProject.instance().clear()
    layer = QgsRasterLayer(str(path), "found years later")
    QgsProject.instance().addMapLayer(layer)
    until(lambda: layer.customProperty(RECIPE))
    iface.layerTreeView().setCurrentLayer(layer)
    window._layers.remake.trigger()


def test_an_edit_is_made_again_from_its_file_alone(dock, form, scene, window, iface, tmp_path):
    """The mask is in the file, and where the raster lies from there."""
    form.seed.set_value(5)
    fill_edit(dock, form, scene)
    key = press_run(dock)
    until(lambda: state(dock, key) == "fetched")
    result, source = Path(dock.runs.row(key).run.target), Path(scene.source())
    said = origin_in_file(str(result))
    assert not Path(said.raster).is_absolute()
    from_the_file_alone(dock, window, iface, result)
    until(lambda: dock.runs.model.rows)
    assert Path(form.layer().source()) == source
    again = dock.runs.model.rows[0].run.key
    until(lambda: state(dock, again) == "fetched")
    made = dock.runs.row(again).run
    assert pixels(made.target) == pixels(result)
    moved = tmp_path / "elsewhere" / "deep" / result.name
    moved.parent.mkdir(parents=True)
    result.rename(moved)
    iface.messageBar().clearWidgets()
    from_the_file_alone(dock, window, iface, moved)
    assert "This was made of “NAIP 2018”, which is not where it was." in bar(iface)[0]
    assert form.mask.layer() is not None, "the mask is there all the same"


def test_a_file_without_prompts_says_nothing_of_its_origin(dock, form, scene, window, iface):
    settings.save(replace(settings.load(), record_prompt=False))
    fill_edit(dock, form, scene)
    key = press_run(dock)
    until(lambda: state(dock, key) == "fetched")
    target = dock.runs.row(key).run.target
    assert origin_in_file(target).name == ""
    assert "ORIGIN" not in gdal.Open(target).GetMetadataDomainList()
    iface.messageBar().clearWidgets()
    from_the_file_alone(dock, window, iface, target)
    assert "not from which raster" in bar(iface)[0]
