"""What GDAL cannot open is said in the same words whether its exceptions are switched on or not."""

from pathlib import Path

import pytest
from qgis.core import QgsRasterLayer

from tests.support.qgis import raster_files
from text2earth_qgis.core import layers
from text2earth_qgis.core.errors import RasterRefused
from text2earth_qgis.core.imagery import datasets, rasters
from text2earth_qgis.gui.canvas.scratch_mask import shapes_of

pytestmark = [pytest.mark.fast, pytest.mark.usefixtures("gdal_exceptions")]


@pytest.fixture
def gone(tmp_path):
    """A layer whose file was removed after it was loaded."""
    path = raster_files.raster(tmp_path / "a.tif")
    layer = QgsRasterLayer(str(path), "mine", "gdal")
    assert layer.isValid()
    Path(path).unlink()
    return layer


def test_a_layer_whose_file_is_gone_is_none_of_ours(gone):
    assert layers.recipe_of(gone) is None
    assert layers.profile_in_file(gone.source()) is None


def test_no_raster_has_no_recipe(tmp_path):
    (tmp_path / "a.tif").write_text("mine")
    assert layers.recipe_in_file(str(tmp_path / "a.tif")) == {}


def test_a_file_that_is_gone_is_named(gone):
    with pytest.raises(RasterRefused, match=r"^'mine' cannot be read: .*a\.tif.*No such file"):
        rasters.align_to(gone)


def test_what_cannot_be_opened_is_its_own_file(gone, tmp_path):
    assert datasets.files_of(gone) == []
    (tmp_path / "a.tif").write_text("mine")
    assert datasets.files_of(gone) == [str(tmp_path / "a.tif")]


@pytest.mark.parametrize("shape", [{}, {"type": "Polygon", "coordinates": "here"}])
def test_a_mask_that_is_none_has_no_shapes(shape):
    assert shapes_of({"geojson": {"geometries": [shape]}}) == []
