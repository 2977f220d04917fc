"""Layers and CRSs on the wire."""

import pytest
from osgeo import gdal, osr
from qgis.core import QgsApplication, QgsCoordinateReferenceSystem, QgsRasterLayer, QgsRectangle

from text2earth_qgis.core.errors import RasterRefused
from text2earth_qgis.core.imagery import datasets, rasters

pytestmark = pytest.mark.fast

LAEA = (
    'PROJCS["mine",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Lambert_Azimuthal_Equal_Area"],'
    'PARAMETER["latitude_of_center",51.3],PARAMETER["longitude_of_center",7.7],PARAMETER["false_easting",0],'
    'PARAMETER["false_northing",0],UNIT["metre",1]]'
)


@pytest.fixture
def raster(tmp_path):
    def make(transform, crs="EPSG:32633", size=(32, 20)):
        path = str(tmp_path / "r.tif")
        dataset = gdal.GetDriverByName("GTiff").Create(path, *size, 1)
        if transform:
            dataset.SetGeoTransform(transform)
        if crs:
            system = osr.SpatialReference()
            system.SetFromUserInput(crs)
            dataset.SetSpatialRef(system)
        dataset = None
        return QgsRasterLayer(path, "mine", "gdal")

    return make


@pytest.mark.parametrize(
    ("transform", "sizes"),
    [
        ((500000.3, 0.6, 0, 5800000.1, 0, -0.6), ["0.6", "0.6"]),
        ((8.0, 1 / 3600, 0, 47.0, 0, -1 / 7200), ["0.000277777777778", "0.000138888888889"]),
        ((0, 30.0, 0, 0, 0, -30.0), ["30", "30"]),
        ((0, 0.1 + 0.2, 0, 0, 0, -1e-7), ["0.3", "0.0000001"]),
        ((-2e7, 152.8740565703525, 0, 2e7, 0, -152.8740565703525), ["152.8740565703525"] * 2),
    ],
)
def test_pixel_grid_of_a_file(raster, transform, sizes):
    align = rasters.align_to(raster(transform))
    assert align.crs == "EPSG:32633"
    assert align.pixel_size == sizes
    assert align.anchor == [transform[0], transform[3]]
    for text, exact in zip(align.pixel_size, (transform[1], -transform[5]), strict=True):
        assert abs(float(text) - exact) * 100_000 < 0.01 * exact  # over 100,000 pixels


@pytest.mark.parametrize(
    ("transform", "why"),
    [
        ((0, 1, 0.1, 0, 0.1, -1), "rotated"),
        ((0, 1, 0, 0, 0, 1), "not north-up"),
        ((0, -1, 0, 0, 0, -1), "not north-up"),
        (None, "no georeference"),
    ],
)
def test_other_grids_are_refused_in_words(raster, transform, why):
    with pytest.raises(RasterRefused, match=f"'mine' (is|has) .*{why.split()[-1]}"):
        rasters.align_to(raster(transform))


def test_a_layer_without_crs_is_refused(raster):
    layer = raster((0, 1, 0, 0, 0, -1), crs=None)
    layer.setCrs(QgsCoordinateReferenceSystem())
    with pytest.raises(RasterRefused, match="has no CRS"):
        rasters.align_to(layer)


def test_an_online_layer_is_refused():
    layer = QgsRasterLayer("type=xyz&url=http://127.0.0.1:9/{z}/{x}/{y}.png&zmax=3", "mine", "wms")
    with pytest.raises(RasterRefused, match="online layer"):
        rasters.align_to(layer)


def test_the_crs_given_in_qgis_counts(raster):
    layer = raster((0, 1, 0, 0, 0, -1))
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:2056"))
    assert rasters.align_to(layer).crs == "EPSG:2056"


def test_a_custom_crs_travels_as_wkt2():
    crs = QgsCoordinateReferenceSystem.fromWkt(LAEA)
    text = rasters.crs_text(crs)
    assert text.startswith("PROJCRS[")
    assert QgsCoordinateReferenceSystem.fromWkt(text) == crs
    QgsApplication.createDatabase()
    number = QgsApplication.coordinateReferenceSystemRegistry().addUserCrs(crs, "mine")
    saved = QgsCoordinateReferenceSystem(f"USER:{number}")
    assert saved.isValid()
    assert rasters.crs_text(saved).startswith("PROJCRS[")


def test_public_codes_travel_as_they_are():
    for code in ("EPSG:32633", "EPSG:3857", "OGC:CRS84", "ESRI:54009"):
        assert rasters.crs_text(QgsCoordinateReferenceSystem(code)) == code


def test_extent_is_west_south_east_north():
    extent = rasters.extent_of(QgsRectangle(1, 2, 3, 4), QgsCoordinateReferenceSystem("EPSG:4326"))
    assert extent.to_json() == {"bbox": [1, 2, 3, 4], "crs": "EPSG:4326"}


def test_what_is_written_beside_a_raster_is_still_read(tmp_path):
    """Some have their CRS there, and are opened without it only where nothing is there."""
    path = str(tmp_path / "bare.tif")
    gdal.GetDriverByName("GTiff").Create(path, 8, 8, 1).SetGeoTransform((500000, 1, 0, 5800000, 0, -1))
    with datasets.no_statistics_kept(path):
        assert not QgsRasterLayer(path, "bare", "gdal").crs().isValid()
    assert [one.name for one in tmp_path.iterdir()] == ["bare.tif"]
    system = osr.SpatialReference()
    system.ImportFromEPSG(32633)
    gdal.Open(path).SetSpatialRef(system)  # not into the file, which is open for reading
    assert (tmp_path / "bare.tif.aux.xml").exists()
    for source in (path, f"{path}|option:NUM_THREADS=2"):
        with datasets.no_statistics_kept(source):
            assert QgsRasterLayer(source, "bare", "gdal").crs().authid() == "EPSG:32633"
