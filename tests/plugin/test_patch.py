"""Cutting a raster and assembling an edit, without a backend: the patch is made here."""

import resource
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsRasterLayer

from tests.support.qgis import raster_files
from text2earth_qgis.core import origin
from text2earth_qgis.core.errors import Cancelled, PluginError, RasterRefused
from text2earth_qgis.core.imagery import crops, datasets, patch, rasters
from text2earth_qgis.core.wire.schemas import Box

pytestmark = pytest.mark.fast

AT, CHANGED = Box(40, 30, 60, 50), Box(50, 41, 20, 13)
WATCH = (lambda _share: None, lambda: False)


def never():
    return False


def load(path):
    layer = QgsRasterLayer(str(path), "mine", "gdal")
    assert layer.isValid()
    file = rasters.file_of(layer)
    return file, file.open()


def painted(source, file, folder, at=AT, changed=CHANGED):
    """Return a patch: the cut with other values in ``changed``, and tags as the backend writes them."""
    path = folder / "patch.tif"
    crops.write(source, file, at, path, never)
    made = gdal.OpenEx(str(path), gdal.OF_UPDATE)
    inside = changed.col - at.col, changed.row - at.row, changed.width, changed.height
    raw = np.frombuffer(made.ReadRaster(*inside), "u1").copy()
    made.WriteRaster(*inside, (raw ^ 3).tobytes())
    made.SetMetadataItem("AI_GENERATED", "YES")
    made.SetMetadataItem("RECIPE", "{}", "GENERATION")
    made.SetMetadata(["<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"], "xml:XMP")
    made = None
    return patch.Patch(path, at, changed, tuple(range(1, source.RasterCount + 1)), origin="{}")


def outside(shape, box):
    kept = np.ones(shape, bool)
    kept[box.row : box.row + box.height, box.col : box.col + box.width] = False
    return kept


SOURCES = {
    "uint8": {},
    "uint16, 8 bands": {"dtype": "uint16", "bands": 8},
    "int16, nodata": {"dtype": "int16", "bands": 4, "nodata": -999},
    "float32, nan": {"dtype": "float32", "bands": 1, "nodata": float("nan")},
    "alpha": {"bands": 4, "alpha": True},
    "mask band": {"mask": True, "options": ["COMPRESS=LZW", "PREDICTOR=2"]},
    "strips, by band": {"options": ["INTERLEAVE=BAND", "COMPRESS=PACKBITS"]},
    "raw": {"options": []},
    "zstd float": {"dtype": "float32", "options": ["COMPRESS=ZSTD", "PREDICTOR=3", "TILED=YES"]},
    "scaled": {"dtype": "uint16", "scale": (0.01, 5.0)},
    "overviews": {"overviews": True},
    **{place: {"place": place} for place in raster_files.PLACES if place != "utm"},
}


@pytest.mark.parametrize("kind", SOURCES.values(), ids=SOURCES)
def test_whole_is_the_source_but_for_the_patch(tmp_path, kind):
    path = raster_files.raster(tmp_path / "a.tif", **kind)
    before = raster_files.fingerprint(path)
    file, source = load(path)
    piece = painted(source, file, tmp_path)
    target = tmp_path / "out" / "b.tif"
    patch.write_whole(source, file, piece, target, WATCH)
    (old, valid), (new, shown) = raster_files.everything(path), raster_files.everything(target)
    kept = outside(old.shape[1:], CHANGED)
    assert old[:, kept].tobytes() == new[:, kept].tobytes()
    assert (valid[kept] == shown[kept]).all()
    assert (old[:, ~kept] != new[:, ~kept]).any(0).all()
    assert raster_files.about(path) == raster_files.about(target)
    tags = gdal.Open(str(target)).GetMetadata()
    assert (tags["SURVEY"], tags["AI_GENERATED"]) == ("of the test", "YES")
    assert gdal.Open(str(target)).GetMetadata("GENERATION") == {"RECIPE": "{}"}
    assert gdal.Open(str(target)).GetMetadata(origin.DOMAIN) == {origin.ITEM: "{}"}
    assert "xmpmeta" in gdal.Open(str(target)).GetMetadata("xml:XMP")[0]
    assert raster_files.fingerprint(path) == before
    assert [one.name for one in target.parent.iterdir()] == ["b.tif"]


@pytest.mark.parametrize("kind", SOURCES.values(), ids=SOURCES)
def test_vrt_shows_the_same(tmp_path, kind):
    path = raster_files.raster(tmp_path / "a.tif", **kind)
    file, source = load(path)
    piece = painted(source, file, tmp_path)
    patch.write_vrt(source, file, piece, tmp_path / "b.vrt")
    patch.write_whole(source, file, piece, tmp_path / "b.tif", WATCH)
    one, other = raster_files.everything(tmp_path / "b.vrt"), raster_files.everything(tmp_path / "b.tif")
    assert one[0].tobytes() == other[0].tobytes()
    assert (one[1] == other[1]).all()
    said, meant = raster_files.about(tmp_path / "b.vrt"), raster_files.about(path)
    for key in ("size", "transform", "gcps"):
        assert said[key] == meant[key]
    assert [band[:7] for band in said["bands"]] == [band[:7] for band in meant["bands"]]
    assert gdal.Open(str(tmp_path / "b.vrt")).GetMetadataItem("AI_GENERATED") == "YES"
    assert gdal.Open(str(tmp_path / "b.vrt")).GetMetadataItem(origin.ITEM, origin.DOMAIN) == "{}"
    moved = tmp_path / "elsewhere"  # all three together
    moved.mkdir()
    source = None
    for name in ("a.tif", "b.vrt", "patch.tif"):
        (tmp_path / name).rename(moved / name)
    assert raster_files.everything(moved / "b.vrt")[0].tobytes() == one[0].tobytes()


def test_a_cut_is_the_part_of_the_raster(tmp_path):
    for name, kind in SOURCES.items():
        path = raster_files.raster(tmp_path / "a.tif", **kind)
        file, source = load(path)
        crops.write(source, file, AT, tmp_path / "cut.tif", never)
        whole, part = raster_files.everything(path), raster_files.everything(tmp_path / "cut.tif")
        here = np.s_[..., AT.row : AT.row + AT.height, AT.col : AT.col + AT.width]
        assert whole[0][here].tobytes() == part[0].tobytes(), name
        assert (whole[1][here] == part[1]).all(), name
        said, meant = raster_files.about(tmp_path / "cut.tif"), raster_files.about(path)
        assert [band[:8] for band in said["bands"]] == [band[:8] for band in meant["bands"]], name
        a, b, c, d, e, f = meant["transform"]
        x, y = raster_files.corner(path, AT.col, AT.row)
        assert said["transform"] == pytest.approx((x, b, c, y, e, f), rel=1e-15)
        assert said["crs"] == meant["crs"]


def test_what_an_edit_was_made_of_is_not_sent(tmp_path):
    """Not of a whole raster either, which GDAL copies with all that it says."""
    path = raster_files.raster(tmp_path / "edited.tif")
    said = origin.written({"mask": {"geojson": {}}}, {"source": path, "name": "own"}, tmp_path / "a.tif")
    made = gdal.Open(path, gdal.GA_Update)
    made.SetMetadata({origin.ITEM: said}, origin.DOMAIN)
    made.SetMetadataItem("TOPIC", "land")
    whole = Box(0, 0, made.RasterXSize, made.RasterYSize)
    made = None
    file, source = load(path)
    known = origin.read(source.GetMetadataItem(origin.ITEM, origin.DOMAIN))
    assert known.found(tmp_path / "a.tif") == Path(path)
    for box in (AT, whole):
        sent = tmp_path / "cut.tif"
        crops.write(source, file, box, sent, never)
        assert b"edited.tif" not in sent.read_bytes()
        cut = gdal.Open(str(sent))
        assert origin.DOMAIN not in (cut.GetMetadataDomainList() or [])
        assert cut.GetMetadataItem("TOPIC") == "land"
        expected = source.ReadRaster(box.col, box.row, box.width, box.height)
        assert cut.ReadRaster() == expected


def test_control_points_move_with_the_cut(tmp_path):
    path = tmp_path / "a.tif"
    made = gdal.GetDriverByName("GTiff").Create(str(path), 160, 128, 3)
    made.WriteRaster(0, 0, 160, 128, raster_files.texture("uint8", 3, (160, 128)).tobytes())
    points = [gdal.GCP(500000 + c, 5800000 - r, 0, c, r) for c, r in ((0, 0), (160, 0), (160, 128), (0, 128))]
    made.SetGCPs(points, gdal.Open(raster_files.raster(tmp_path / "u.tif")).GetProjection())
    made = None
    file, source = load(path)
    grid = datasets.grid_of(source, file)
    assert grid.transform == pytest.approx(raster_files.UTM)
    piece = painted(source, file, tmp_path)
    cut = datasets.RasterFile("cut", str(piece.path), (), file.crs, False)
    assert datasets.grid_of(cut.open(), cut).transform == pytest.approx((500040, 1, 0, 5799970, 0, -1))
    patch.write_whole(source, file, piece, tmp_path / "b.tif", WATCH)
    assert raster_files.about(path)["gcps"] == raster_files.about(tmp_path / "b.tif")["gcps"] != []


def test_a_cog_stays_one(tmp_path):
    plain = raster_files.raster(tmp_path / "plain.tif", size=(700, 600), dtype="uint16")
    options = ["COMPRESS=LZW", "PREDICTOR=YES", "BLOCKSIZE=128"]
    gdal.GetDriverByName("COG").CreateCopy(str(tmp_path / "a.tif"), gdal.Open(plain), 0, options)
    file, source = load(tmp_path / "a.tif")
    piece = painted(source, file, tmp_path)
    patch.write_whole(source, file, piece, tmp_path / "b.tif", WATCH)
    assert raster_files.about(tmp_path / "a.tif") == raster_files.about(tmp_path / "b.tif")
    assert raster_files.about(tmp_path / "b.tif")["structure"]["LAYOUT"] == "COG"
    old, new = raster_files.everything(tmp_path / "a.tif")[0], raster_files.everything(tmp_path / "b.tif")[0]
    kept = outside(old.shape[1:], CHANGED)
    assert old[:, kept].tobytes() == new[:, kept].tobytes()
    assert (old[:, ~kept] != new[:, ~kept]).any()


@pytest.mark.parametrize(
    ("driver", "name", "options"),
    [
        ("GTiff", "a.tif", ["COMPRESS=JPEG", "PHOTOMETRIC=YCBCR", "TILED=YES"]),
        ("JPEG", "a.jpg", ["WORLDFILE=YES"]),
        ("PNG", "a.png", ["WORLDFILE=YES"]),
        ("HFA", "a.img", []),
        ("ENVI", "a.dat", []),
    ],
)
def test_what_is_no_lossless_geotiff_becomes_one(tmp_path, driver, name, options):
    plain = gdal.Open(raster_files.raster(tmp_path / "plain.tif"))
    gdal.GetDriverByName(driver).CreateCopy(str(tmp_path / name), plain, 0, options)
    before = raster_files.fingerprint(tmp_path / name)
    file, source = load(tmp_path / name)
    piece = painted(source, file, tmp_path)
    patch.write_whole(source, file, piece, tmp_path / "b.tif", WATCH)
    old, new = raster_files.everything(tmp_path / name)[0], raster_files.everything(tmp_path / "b.tif")[0]
    kept = outside(old.shape[1:], CHANGED)
    assert old[:, kept].tobytes() == new[:, kept].tobytes()
    assert raster_files.about(tmp_path / "b.tif")["structure"]["COMPRESSION"] == "DEFLATE"
    assert raster_files.about(tmp_path / "b.tif")["transform"] == pytest.approx(raster_files.UTM)
    assert raster_files.fingerprint(tmp_path / name) == before


def test_inside_a_zip_and_as_a_subdataset(tmp_path):
    import zipfile

    path = raster_files.raster(tmp_path / "a.tif")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "deep/a.tif")
    old = raster_files.everything(path)[0]
    gpkg = str(tmp_path / "a.gpkg")
    for table in ("one", "two"):
        options = [f"RASTER_TABLE={table}", "TILE_FORMAT=PNG", "APPEND_SUBDATASET=YES"]
        gdal.GetDriverByName("GPKG").CreateCopy(gpkg, gdal.Open(path), 0, options)
    for name in (f"/vsizip/{tmp_path}/a.zip/deep/a.tif", f"GTIFF_DIR:1:{path}"):
        file, source = load(name)
        piece = painted(source, file, tmp_path)
        patch.write_whole(source, file, piece, tmp_path / "b.tif", WATCH)
        kept = outside(old.shape[1:], CHANGED)
        assert old[:, kept].tobytes() == raster_files.everything(tmp_path / "b.tif")[0][:, kept].tobytes()
    file, source = load(f"GPKG:{gpkg}:two")
    crops.check_editable(source, file)
    assert source.RasterCount == 3
    sub = datasets.RasterFile("all", gpkg, (), file.crs, False)
    with pytest.raises(RasterRefused, match="several rasters"):
        crops.check_editable(sub.open(), sub)


def test_dropped_bands(tmp_path):
    path = raster_files.raster(tmp_path / "a.tif", bands=5, dtype="uint16")
    file, source = load(path)
    piece = painted(source, file, tmp_path)
    gdal.Translate(str(tmp_path / "p.tif"), str(piece.path), bandList=[1, 3, 4])
    piece = patch.Patch(tmp_path / "p.tif", AT, CHANGED, (1, 3, 4))
    patch.check_patch(source, piece)
    patch.write_whole(source, file, piece, tmp_path / "b.tif", WATCH)
    patch.write_vrt(source, file, piece, tmp_path / "b.vrt")
    old = raster_files.everything(path)[0][[0, 2, 3]]
    kept = outside(old.shape[1:], CHANGED)
    for name in ("b.tif", "b.vrt"):
        new = raster_files.everything(tmp_path / name)[0]
        assert old[:, kept].tobytes() == new[:, kept].tobytes()
        assert (old[:, ~kept] != new[:, ~kept]).any()
    assert [band[3] for band in raster_files.about(tmp_path / "b.tif")["bands"]] == [
        "band 1",
        "band 3",
        "band 4",
    ]


def test_a_crs_set_in_qgis_is_written(tmp_path):
    from qgis.core import QgsCoordinateReferenceSystem

    path = raster_files.raster(tmp_path / "a.tif")
    layer = QgsRasterLayer(path, "mine", "gdal")
    assert not rasters.file_of(layer).assigned
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32634"))
    file = rasters.file_of(layer)
    source = file.open()
    piece = painted(source, file, tmp_path)
    patch.write_whole(source, file, piece, tmp_path / "b.tif", WATCH)
    patch.write_vrt(source, file, piece, tmp_path / "b.vrt")
    for name in ("patch.tif", "b.tif", "b.vrt"):
        assert gdal.Open(str(tmp_path / name)).GetSpatialRef().GetAuthorityCode(None) == "32634"


def test_a_sparse_giant(tmp_path):
    """30,000 x 30,000 pixels of which nearly none is stored: read by the box, copied by blocks."""
    path = tmp_path / "a.tif"
    options = ["TILED=YES", "COMPRESS=DEFLATE", "SPARSE_OK=TRUE", "INTERLEAVE=BAND"]
    made = gdal.GetDriverByName("GTiff").Create(str(path), 30_000, 30_000, 4, gdal.GDT_UInt16, options)
    made.SetGeoTransform(raster_files.UTM)
    made.SetProjection(gdal.Open(raster_files.raster(tmp_path / "u.tif")).GetProjection())
    pixels = raster_files.texture("uint16", 4, (300, 300))
    made.WriteRaster(20_000, 10_000, 300, 300, pixels.tobytes())
    made = None
    file, source = load(path)
    at, changed = Box(20_010, 10_010, 200, 200), Box(20_050, 10_060, 64, 64)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    piece = painted(source, file, tmp_path, at, changed)
    patch.write_whole(source, file, piece, tmp_path / "b.tif", WATCH)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500 * 1024  # KiB: GDAL's cache
    new = gdal.Open(str(tmp_path / "b.tif"))
    assert (new.RasterXSize, new.RasterYSize, new.RasterCount) == (30_000, 30_000, 4)
    got = np.frombuffer(new.ReadRaster(20_000, 10_000, 300, 300), "u2").reshape(4, 300, 300)
    kept = outside((300, 300), Box(50, 60, 64, 64))
    assert (got[:, kept] == pixels[:, kept]).all()
    assert (got[:, ~kept] != pixels[:, ~kept]).any(0).all()
    assert Path(tmp_path / "b.tif").stat().st_size < 20e6  # still sparse


@pytest.mark.usefixtures("gdal_exceptions")
def test_nothing_is_left_of_a_cancelled_or_failed_copy(tmp_path):
    path = raster_files.raster(tmp_path / "a.tif", size=(600, 600), dtype="float32")
    file, source = load(path)
    piece = painted(source, file, tmp_path)
    stop = []
    watch = (lambda share: stop.append(share) if share > 0.3 else None, lambda: bool(stop))
    with pytest.raises(Cancelled):
        patch.write_whole(source, file, piece, tmp_path / "out" / "b.tif", watch)
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(PluginError, match="cannot be written"):
        patch.write_whole(source, file, piece, Path("/proc/nothing/b.tif"), WATCH)
    with pytest.raises(PluginError, match="is the raster that is edited"):
        patch.check_target(Path(path), source)


@pytest.mark.usefixtures("gdal_exceptions")
def test_a_damaged_source_is_blamed_itself(tmp_path):
    """Not the result, which is a file that can well be written."""
    whole = Path(raster_files.raster(tmp_path / "a.tif", size=(600, 600), dtype="uint16"))
    file, source = load(whole)
    piece, content = painted(source, file, tmp_path), whole.read_bytes()
    crops.check_whole(source, file)
    half = len(content) // 2
    for name, damage in (
        ("torn", content[:half] + bytes(40_000) + content[half + 40_000 :]),
        ("short", content[:half]),
    ):
        (tmp_path / f"{name}.tif").write_bytes(damage)
        damaged = datasets.RasterFile(name, str(tmp_path / f"{name}.tif"), (), file.crs, False)
        with pytest.raises(RasterRefused, match=f"'{name}' is damaged, so there can be no copy of it"):
            patch.write_whole(damaged.open(), damaged, piece, tmp_path / "b.tif", WATCH)
        assert not (tmp_path / "b.tif").exists()
    with pytest.raises(RasterRefused, match="'short' is damaged"):
        crops.check_whole(damaged.open(), damaged)


def test_sidecars_of_an_older_file_go(tmp_path):
    path = raster_files.raster(tmp_path / "a.tif")
    file, source = load(path)
    piece = painted(source, file, tmp_path)
    (tmp_path / "b.tif").write_bytes(b"old")
    (tmp_path / "b.tif.aux.xml").write_text("<PAMDataset></PAMDataset>")
    patch.write_whole(source, file, piece, tmp_path / "b.tif", WATCH)
    assert not (tmp_path / "b.tif.aux.xml").exists()


@pytest.mark.usefixtures("gdal_exceptions")
def test_refusals_are_sentences(tmp_path):
    path = raster_files.raster(tmp_path / "a.tif", bands=1)
    made = gdal.OpenEx(path, gdal.OF_UPDATE)
    table = gdal.ColorTable()
    table.SetColorEntry(1, (255, 0, 0, 255))
    made.GetRasterBand(1).SetColorTable(table)
    made = None
    file, source = load(path)
    with pytest.raises(RasterRefused, match="PCT to RGB"):
        crops.check_editable(source, file)
    bare = str(tmp_path / "bare.tif")
    gdal.GetDriverByName("GTiff").Create(bare, 10, 10, 1)
    file, source = load(bare)
    with pytest.raises(RasterRefused, match="'mine' has no georeference"):
        datasets.grid_of(source, file)
    camera = gdal.GetDriverByName("GTiff").Create(str(tmp_path / "rpc.tif"), 10, 10, 1)
    ones = " ".join(["1"] * 20)
    numbers = ("LINE", "SAMP", "LAT", "LONG", "HEIGHT")
    terms = [f"{name}_{end}" for name in ("LINE", "SAMP") for end in ("NUM_COEFF", "DEN_COEFF")]
    camera.SetMetadata(
        {f"{name}_{end}": "1" for name in numbers for end in ("OFF", "SCALE")} | dict.fromkeys(terms, ones),
        "RPC",
    )
    camera = None
    file, source = load(tmp_path / "rpc.tif")
    with pytest.raises(RasterRefused, match="camera model .RPC.*Orthorectify it first"):
        datasets.grid_of(source, file)
    made = gdal.GetDriverByName("GTiff").Create(str(tmp_path / "c.tif"), 10, 10, 1, gdal.GDT_CFloat32)
    made = None
    file, source = load(tmp_path / "c.tif")
    with pytest.raises(RasterRefused, match="one type"):
        crops.check_editable(source, file)
    online = QgsRasterLayer("type=xyz&url=http://127.0.0.1:9/{z}/{x}/{y}.png&zmax=3", "mine", "wms")
    with pytest.raises(RasterRefused, match="Save it as GeoTIFF first"):
        rasters.file_of(online)
    gone = datasets.RasterFile("gone", str(tmp_path / "gone.tif"), (), file.crs, False)
    with pytest.raises(RasterRefused, match="'gone' cannot be read: .*No such file"):
        gone.open()


def test_a_cut_reaches_as_far_as_the_plan_says():
    raster = Box(0, 0, 1000, 1000)
    cut = Box(100, 0, 200, 200)
    assert crops.covers(cut, Box(101, -50, 100, 249), raster)  # the raster ends there
    for short in (Box(100, 10, 50, 50), Box(120, 10, 50, 190), Box(150, 10, 150, 50)):
        assert not crops.covers(cut, short, raster)
        wide = crops.larger_crop(cut, short, 64, raster)
        assert crops.covers(wide, short, raster)
