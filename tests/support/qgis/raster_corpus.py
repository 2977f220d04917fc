"""Rasters of all kinds that people have, small, each with what an edit of it has to come to.

Made with QGIS's own GDAL. A kind is a function that writes files into a folder and returns what QGIS opens;
``kind`` says what is expected: a result that keeps everything, or a refusal that has certain words.
"""

import gzip
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from osgeo import gdal, osr

SIZE = (72, 64)
UTM = (500000.0, 1.0, 0.0, 5800000.0, 0.0, -1.0)
DEGREE = 1e-5
NUMPY = {
    gdal.GDT_Byte: "u1",
    gdal.GDT_UInt16: "u2",
    gdal.GDT_Int16: "i2",
    gdal.GDT_UInt32: "u4",
    gdal.GDT_Int32: "i4",
    gdal.GDT_Float32: "f4",
    gdal.GDT_Float64: "f8",
    gdal.GDT_CInt16: "u4",  # two numbers of 16 bits each
    gdal.GDT_CFloat32: "c8",
}
NAMES = {gdal.GetDataTypeName(kind): kind for kind in NUMPY}


@dataclass(frozen=True)
class Kind:
    """A raster and what an edit of it comes to: ``refused`` or ``warned`` are words of the sentence.

    ``kept`` is false where a GeoTIFF cannot say all that the file says: pixels are compared all the same.
    """

    make: Callable[[Path], object]
    refused: str = ""
    warned: str = ""
    kept: bool = True
    extended: bool = False  # an extension is tried, too
    shades: bool = False  # of a mask band, which a GeoTIFF's own does not have


KINDS: dict[str, Kind] = {}


def kind(name, **more):
    """Register the function below as the kind ``name``."""

    def keep(make):
        KINDS[name] = Kind(make, **more)
        return make

    return keep


def texture(dtype, bands=3, size=SIZE, least=1, most=None, seed=0):
    """Return (bands, rows, columns) of smooth fields with noise between two values."""
    width, height = size
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    share = np.stack([0.5 + 0.35 * np.sin(x / (9 + b)) * np.cos(y / (13 + b)) for b in range(bands)])
    share = (share + random.normal(0, 0.04, share.shape)).clip(0, 1)
    most = most or (250 if dtype == "u1" else 4000)
    return (least + share * (most - least)).astype(dtype)


def spatial(text):
    """Return a CRS from what GDAL reads of it."""
    system = osr.SpatialReference()
    system.SetFromUserInput(text)
    system.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return system


def write(folder, type="Byte", bands=3, **more):
    """Write a GeoTIFF; ``more``: pixels, options, crs, place, size, nodata, name, driver, most, touch."""
    size = more.get("size", SIZE)
    code = NAMES[type]
    pixels = more.get("pixels")
    if pixels is None:
        pixels = texture(NUMPY[code], bands, size, most=more.get("most"))
    path = folder / more.get("name", "a.tif")
    options = more.get("options", [])
    made = gdal.GetDriverByName(more.get("driver", "GTiff")).Create(
        str(path), *size, len(pixels), code, options
    )
    place = more.get("place", UTM)
    if place is not None:
        made.SetGeoTransform(place)
    crs = more.get("crs", "EPSG:32633")
    if crs is not None:
        made.SetSpatialRef(spatial(crs))
    if more.get("nodata") is not None:
        for number in range(len(pixels)):
            made.GetRasterBand(number + 1).SetNoDataValue(more["nodata"])
    if more.get("touch"):
        more["touch"](made)
    for number, values in enumerate(pixels):
        band = made.GetRasterBand(number + 1)
        assert band.WriteRaster(0, 0, *size, np.ascontiguousarray(values).tobytes()) == gdal.CE_None
    if more.get("after"):
        more["after"](made)
    made = None
    return path


def plain(name, expected=None, **more):
    """Register a GeoTIFF that ``write`` makes."""
    KINDS[name] = Kind(lambda folder: write(folder, **more), **(expected or {}))


# ---- types and bits

EXTENDED = {"extended": True}
for dtype in ("Byte", "UInt16", "Int16", "UInt32", "Int32", "Float32", "Float64"):
    plain(dtype, EXTENDED if dtype in ("UInt16", "Float32") else None, type=dtype)
plain("grey", EXTENDED, bands=1)
plain("two bands", bands=2)
plain("four bands", bands=4)
plain("twelve bands", type="UInt16", bands=12, options=["COMPRESS=DEFLATE"])
plain("seventy bands", {"refused": "bands"}, bands=70)
plain("complex whole numbers", {"refused": "type"}, type="CInt16", bands=1)
plain("complex", {"refused": "type"}, type="CFloat32", bands=1)
plain("signed bytes", options=["PIXELTYPE=SIGNEDBYTE"], most=120)
for bits in (1, 2, 4, 7):
    plain(
        f"{bits} bits",
        {"extended": bits == 7, "refused": "colour table" if bits == 1 else ""},
        bands=1 if bits < 7 else 3,
        options=[f"NBITS={bits}"],
        most=2**bits - 1,
        pixels=texture("u1", 1 if bits < 7 else 3, least=0, most=2**bits - 0.01),
    )
for bits in (10, 11, 12, 15):
    plain(
        f"{bits} bits", {"extended": bits == 12}, type="UInt16", options=[f"NBITS={bits}"], most=2**bits - 1
    )
plain("24 bits", type="UInt32", options=["NBITS=24"], most=2**24 - 1)
plain("half floats", type="Float32", options=["NBITS=16"], most=1000)
plain("12 bits, deflate", type="UInt16", options=["NBITS=12", "COMPRESS=DEFLATE", "TILED=YES"], most=4095)

# ---- compressions and layouts

plain("lzw, predictor 2", type="UInt16", options=["COMPRESS=LZW", "PREDICTOR=2"])
plain("deflate, predictor 3", type="Float32", options=["COMPRESS=DEFLATE", "PREDICTOR=3"])
plain("zstd", options=["COMPRESS=ZSTD"])
plain("packbits", options=["COMPRESS=PACKBITS"])
plain("lzma", options=["COMPRESS=LZMA"])
plain("lerc", {"kept": False}, type="Float32", options=["COMPRESS=LERC"])
plain(
    "jpeg",
    {"kept": False},
    options=["COMPRESS=JPEG", "PHOTOMETRIC=YCBCR", "TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64"],
)
plain("webp", {"kept": False}, options=["COMPRESS=WEBP", "WEBP_LOSSLESS=YES", "TILED=YES"])
plain("band interleaved", options=["INTERLEAVE=BAND", "COMPRESS=LZW"])
plain("tiles of 16", options=["TILED=YES", "BLOCKXSIZE=16", "BLOCKYSIZE=16"])
plain("strips of 7 rows", options=["BLOCKYSIZE=7"])
plain("big endian", type="UInt16", options=["ENDIANNESS=BIG"])
plain("bigtiff", options=["BIGTIFF=YES"])
plain(
    "fax",
    {"refused": "colour table"},
    bands=1,
    options=["NBITS=1", "COMPRESS=CCITTFAX4"],
    pixels=texture("u1", 1, least=0, most=1.99),
)


@kind("cloud-optimized", extended=True)
def cog(folder):
    plain = gdal.Open(str(write(folder, name="plain.tif", size=(600, 560))))
    options = ["BLOCKSIZE=128", "COMPRESS=DEFLATE"]
    gdal.GetDriverByName("COG").CreateCopy(str(folder / "a.tif"), plain, 0, options)
    return folder / "a.tif"


@kind("sparse")
def sparse(folder):
    return write(folder, options=["SPARSE_OK=TRUE", "TILED=YES", "BLOCKXSIZE=32", "BLOCKYSIZE=32"])


@kind("overviews")
def overviews(folder):
    return write(folder, after=lambda made: made.BuildOverviews("AVERAGE", [2, 4]))


# ---- what bands say of themselves


def _alpha(number):
    return lambda made: made.GetRasterBand(number).SetColorInterpretation(gdal.GCI_AlphaBand)


def _opaque(dtype, bands, alpha, opaque):
    pixels = texture(dtype, bands)
    pixels[alpha - 1] = opaque
    pixels[alpha - 1, :9, :9] = 0
    return pixels


plain("alpha", EXTENDED, pixels=_opaque("u1", 4, 4, 255), touch=_alpha(4), options=["ALPHA=YES"])
plain(
    "alpha of 16 bits",
    type="UInt16",
    pixels=_opaque("u2", 4, 4, 65535),
    touch=_alpha(4),
)
plain("alpha first", pixels=_opaque("u1", 4, 1, 255), touch=_alpha(1))
plain("grey with alpha", pixels=_opaque("u1", 2, 2, 255), touch=_alpha(2), options=["ALPHA=YES"])


def _all_bands(call):
    def done(made):
        for number in range(made.RasterCount):
            call(made.GetRasterBand(number + 1), number + 1)

    return done


def _scaled(band, _number):
    band.SetScale(0.0001)
    band.SetOffset(-0.1)
    band.SetUnitType("1")
    band.SetDescription("reflectance")


def _table(band, _number):
    table = gdal.RasterAttributeTable()
    table.CreateColumn("VALUE", gdal.GFT_Integer, gdal.GFU_MinMax)
    table.CreateColumn("CLASS", gdal.GFT_String, gdal.GFU_Name)
    table.SetRowCount(2)
    for row, (value, name) in enumerate([(1, "water"), (2, "wood")]):
        table.SetValueAsInt(row, 0, value)
        table.SetValueAsString(row, 1, name)
    band.SetDefaultRAT(table)


plain("scale, offset, units, names", EXTENDED, type="UInt16", after=_all_bands(_scaled))
plain(
    "categories",
    {"extended": True},
    bands=1,
    most=7,
    after=_all_bands(lambda band, _: band.SetCategoryNames(["none", "water", "wood"])),
)
plain("attribute table", {"extended": True}, bands=1, after=_all_bands(_table))
plain("metadata of bands", after=_all_bands(lambda band, n: band.SetMetadata({"WAVELENGTH": f"{n}00 nm"})))
plain(
    "other colours",
    after=lambda made: [
        made.GetRasterBand(n).SetColorInterpretation(c)
        for n, c in ((1, gdal.GCI_BlueBand), (2, gdal.GCI_GreenBand), (3, gdal.GCI_RedBand))
    ],
)
plain("huge metadata", after=lambda made: made.SetMetadata({f"KEY{n}": "x" * 200 for n in range(3000)}))
plain("metadata of a domain", after=lambda made: made.SetMetadata({"A": "b"}, "SURVEY"))
plain("odd words", after=lambda made: made.SetMetadata({"Größe & <b>": "„ü“ ]]> \n & <x>"}))


@kind("colour table", refused="colour table")
def palette(folder):
    table = gdal.ColorTable()
    for value in range(256):
        table.SetColorEntry(value, (value, 255 - value, 0, 255))
    return write(folder, bands=1, touch=lambda made: made.GetRasterBand(1).SetRasterColorTable(table))


# ---- pixels without values


def _holes(dtype, bands, value):
    pixels = texture(dtype, bands)
    pixels[:, :12, :15] = value
    return pixels


plain("nodata", EXTENDED, type="Int16", pixels=_holes("i2", 3, -999), nodata=-999)
plain("nodata 0, black land", EXTENDED, pixels=_holes("u1", 3, 0), nodata=0)
plain("nodata that no pixel can have", bands=1, nodata=-9999)
plain("nan", type="Float32", pixels=_holes("f4", 3, np.nan), nodata=float("nan"))
plain("nan without nodata", EXTENDED, type="Float32", pixels=_holes("f4", 1, np.nan))
plain(
    "-3.4e38", type="Float32", pixels=_holes("f4", 1, -3.4028234663852886e38), nodata=-3.4028234663852886e38
)
plain("infinities", type="Float32", pixels=_holes("f4", 1, np.inf))
plain(
    "minus infinities beside the mask",
    type="Float32",
    bands=1,
    pixels=np.where((np.indices((64, 72))[1] == 45)[None], np.float32(-np.inf), texture("f4", 1)),
)
plain(
    "all nodata", {"refused": "no value"}, type="Int16", pixels=np.full((1, 64, 72), -999, "i2"), nodata=-999
)
plain("all nan", {"refused": "no value"}, type="Float32", pixels=np.full((1, 64, 72), np.nan, "f4"))
plain("all infinite", {"refused": "no value"}, type="Float32", pixels=np.full((1, 64, 72), np.inf, "f4"))
plain("one value", {"refused": "one value"}, type="UInt16", pixels=np.full((1, 64, 72), 400, "u2"))
plain("one value, floats", {"refused": "one value"}, type="Float32", pixels=np.full((3, 64, 72), 0.25, "f4"))
plain("one value, bytes", pixels=np.full((3, 64, 72), 90, "u1"))
plain("undeclared nodata", {"warned": "-9999"}, type="Float32", pixels=_holes("f4", 1, -9999))
plain("codes of classes", {"warned": "classes"}, bands=1, pixels=texture("u1", 1, least=1, most=5.9) * 10)
plain("tiny reflectances", type="Float32", pixels=texture("f4", 3) / 1e6)
plain("enormous values", type="Float64", pixels=texture("f8", 3) * 1e30)


def _mask_band(valid):
    def done(made):
        made.CreateMaskBand(gdal.GMF_PER_DATASET)
        made.GetRasterBand(1).GetMaskBand().WriteRaster(0, 0, *SIZE, valid.tobytes())

    return done


def _masked(folder, internal, valid):
    gdal.SetConfigOption("GDAL_TIFF_INTERNAL_MASK", "YES" if internal else "NO")
    try:
        return write(folder, after=_mask_band(valid))
    finally:
        gdal.SetConfigOption("GDAL_TIFF_INTERNAL_MASK", None)


VALID = np.full(SIZE[::-1], 255, "u1")
VALID[:9, :20] = 0


@kind("mask inside", extended=True)
def mask_inside(folder):
    return _masked(folder, True, VALID)


@kind("mask beside")
def mask_beside(folder):
    return _masked(folder, False, VALID)


@kind("mask of all shades", shades=True, warned="between 0 and 255")
def shaded(folder):
    valid = VALID.copy()
    valid[50:, 50:] = 120
    return _masked(folder, False, valid)


@kind("nodata of bands differs", refused="nodata")
def several_nodata(folder):
    path = write(folder, name="plain.tif", type="Int16")
    made = gdal.Translate(str(folder / "a.vrt"), str(path), format="VRT")
    for number in (1, 2, 3):
        made.GetRasterBand(number).SetNoDataValue(-number)
    return folder / "a.vrt"


# ---- places

SINU = "+proj=sinu +R=6371007.181 +units=m +no_defs"
for name, crs, place in (
    ("feet", "EPSG:2263", (980000.0, 3.0, 0.0, 200000.0, 0.0, -3.0)),
    ("web mercator", "EPSG:3857", (1e6, 1.5, 0.0, 6e6, 0.0, -1.5)),
    ("degrees", "EPSG:4326", (8.0, DEGREE, 0.0, 50.0, 0.0, -DEGREE)),
    ("degrees around Greenwich", "EPSG:4326", (-36 * DEGREE, DEGREE, 0.0, 50.0, 0.0, -DEGREE)),
    ("0 to 360", "EPSG:4326", (190.0, DEGREE, 0.0, 50.0, 0.0, -DEGREE)),
    ("-190", "EPSG:4326", (-190.0, DEGREE, 0.0, 50.0, 0.0, -DEGREE)),
    ("across the antimeridian", "EPSG:4326", (180 - 36 * DEGREE, DEGREE, 0.0, 50.0, 0.0, -DEGREE)),
    ("utm across the antimeridian", "EPSG:32660", (785000.0, 100.0, 0.0, 5580000.0, 0.0, -100.0)),
    ("sinusoidal on a sphere", SINU, (60000.0, 2.0, 0.0, 5000000.0, 0.0, -2.0)),
    ("ESRI:53008", "ESRI:53008", (60000.0, 2.0, 0.0, 5000000.0, 0.0, -2.0)),
    ("degrees on a sphere", "+proj=longlat +R=6371229 +no_defs", (8.0, DEGREE, 0.0, 50.0, 0.0, -DEGREE)),
    ("ease grid", "EPSG:3408", (60000.0, 2.0, 0.0, 5000000.0, 0.0, -2.0)),
    ("compound", "EPSG:25832+7837", UTM),
    ("three-dimensional", "EPSG:4979", (8.0, DEGREE, 0.0, 50.0, 0.0, -DEGREE)),
    ("polar", "EPSG:3995", (60000.0, 2.0, 0.0, 50000.0, 0.0, -2.0)),
    ("over the pole", "EPSG:3995", (-72.0, 2.0, 0.0, 64.0, 0.0, -2.0)),
    ("equal area", "EPSG:3035", (4321000.0, 2.0, 0.0, 3210000.0, 0.0, -2.0)),
    ("west and south", "EPSG:2053", (-50000.0, 2.0, 0.0, -3600000.0, 0.0, -2.0)),
    ("old datum", "EPSG:31467", (3500000.0, 2.0, 0.0, 5500000.0, 0.0, -2.0)),
    (
        "custom",
        "+proj=laea +lat_0=47.3 +lon_0=8.5 +ellps=bessel +towgs84=674,15,405,0,0,0,0 +units=m",
        (1000.0, 2.0, 0.0, 2000.0, 0.0, -2.0),
    ),
    ("rotated", "EPSG:32633", (500000.0, 0.8, 0.6, 5800000.0, 0.6, -0.8)),
    ("sheared", "EPSG:32633", (500000.0, 1.0, 0.3, 5800000.0, 0.1, -1.0)),
    ("south-up", "EPSG:32633", (500000.0, 1.0, 0.0, 5800000.0, 0.0, 1.0)),
    ("mirrored", "EPSG:32633", (500000.0, -1.0, 0.0, 5800000.0, 0.0, -1.0)),
    ("oblong pixels", "EPSG:32633", (500000.0, 1.0, 0.0, 5800000.0, 0.0, -2.0)),
    ("5 m", "EPSG:32633", (500000.0, 5.0, 0.0, 5800000.0, 0.0, -5.0)),
):
    plain(
        name,
        EXTENDED if name in ("0 to 360", "sinusoidal on a sphere", "compound", "degrees") else None,
        crs=crs,
        place=place,
    )
plain(
    "geostationary",
    None,
    crs="+proj=geos +h=35785831 +lon_0=0 +sweep=y",
    place=(100000.0, 60.0, 0.0, 4000000.0, 0.0, -60.0),
)
plain("drawing", {"refused": "CRS"}, crs='LOCAL_CS["drawing",UNIT["metre",1]]')
plain("geocentric", {"refused": "CRS"}, crs="EPSG:4978")
plain(
    "moon",
    {"refused": "Earth"},
    crs="+proj=longlat +R=1737400 +no_defs",
    place=(8.0, DEGREE, 0.0, 50.0, 0.0, -DEGREE),
)
plain("no crs", {"refused": "no CRS"}, crs=None)
plain("no place", {"refused": "no georeference"}, crs=None, place=None)
plain("a crs but no place", {"refused": "no georeference"}, place=None)
plain("no size on the ground", {"refused": "no area"}, place=(500000.0, 1.0, 1.0, 5800000.0, 1.0, 1.0))
plain("beyond the pole", {"refused": "CRS"}, crs="EPSG:4326", place=(8.0, DEGREE, 0.0, 91.0, 0.0, -DEGREE))
plain("1 km pixels", {"refused": "Resample"}, place=(500000.0, 1000.0, 0.0, 5800000.0, 0.0, -1000.0))
plain("1 cm pixels", {"refused": "Resample"}, place=(500000.0, 0.01, 0.0, 5800000.0, 0.0, -0.01))


def virtual(name, crs, place, **more):
    """Register a raster in a CRS that a GeoTIFF may not be able to hold."""

    def make(folder):
        path = write(folder, name="plain.tif", crs=None, place=place)
        made = gdal.Translate(str(folder / "a.vrt"), str(path), format="VRT")
        made.SetSpatialRef(spatial(crs))
        return folder / "a.vrt"

    KINDS[name] = Kind(make, **more)


SPHERE = "+proj=aeqd +R=6371000 +lat_0=50 +lon_0=10"
POLE = "+proj=ob_tran +o_proj=longlat +o_lon_p=-162 +o_lat_p=39.25 +lon_0=180 +R=6371229"
virtual("equidistant on a sphere", SPHERE, (100000.0, 2.0, 0.0, 200000.0, 0.0, -2.0))
virtual("rotated pole", POLE, (1.0, 1e-5, 0.0, 1.0, 0.0, -1e-5), refused="A GeoTIFF cannot hold the CRS")


@kind("control points", warned="control points")
def control_points(folder):
    def place(made):
        corners = ((0, 0), (72, 0), (72, 64), (0, 64))
        points = [gdal.GCP(500000 + col, 5800000 - row, 0, col, row) for col, row in corners]
        made.SetGCPs(points, spatial("EPSG:32633").ExportToWkt())

    return write(folder, crs=None, place=None, after=place)


@kind("rational polynomials", refused="RPC")
def rational(folder):
    zeros = " ".join(["0"] * 20)
    numbers = {
        "LINE_OFF": "32",
        "SAMP_OFF": "36",
        "LAT_OFF": "50",
        "LONG_OFF": "8",
        "HEIGHT_OFF": "0",
        "LINE_SCALE": "32",
        "SAMP_SCALE": "36",
        "LAT_SCALE": "0.001",
        "LONG_SCALE": "0.001",
        "HEIGHT_SCALE": "100",
        "LINE_NUM_COEFF": "0 0 -1" + zeros[5:],
        "LINE_DEN_COEFF": "1" + zeros[1:],
        "SAMP_NUM_COEFF": "0 1" + zeros[3:],
        "SAMP_DEN_COEFF": "1" + zeros[1:],
    }
    return write(folder, crs=None, place=None, after=lambda made: made.SetMetadata(numbers, "RPC"))


# ---- sizes

plain("one pixel", size=(1, 1))
plain("one row", size=(72, 1))
plain("one column", size=(1, 64))
plain("3 x 3", EXTENDED, size=(3, 3))

# ---- formats


def copied(name, driver, ending, options=(), expected=None, **more):
    """Register a copy in another format."""

    def make(folder):
        plain = gdal.Open(str(write(folder, name="plain.tif", **more)))
        path = folder / f"a.{ending}"
        if gdal.GetDriverByName(driver) is None:
            return None
        gdal.GetDriverByName(driver).CreateCopy(str(path), plain, 0, list(options))
        return path

    KINDS[name] = Kind(make, **{"kept": False, **(expected or {})})


copied("png", "PNG", "png", ["WORLDFILE=YES"])
copied("png of 16 bits", "PNG", "png", type="UInt16")
copied("jpeg file", "JPEG", "jpg", ["WORLDFILE=YES"])
copied("jpeg 2000", "JP2OpenJPEG", "jp2", ["QUALITY=100", "REVERSIBLE=YES"])
copied(
    "jpeg 2000 of 15 bits",
    "JP2OpenJPEG",
    "jp2",
    ["QUALITY=100", "REVERSIBLE=YES", "NBITS=15"],
    type="UInt16",
    most=32767,
)
copied("virtual", "VRT", "vrt", expected={"extended": True})
copied("netcdf", "netCDF", "nc", bands=1, type="Float32")
copied("erdas", "HFA", "img")
copied("envi", "ENVI", "bil")
copied("esri ascii", "AAIGrid", "asc", bands=1, type="Int16")
copied("geopackage", "GPKG", "gpkg")
copied(
    "grib",
    "GRIB",
    "grb2",
    bands=1,
    type="Float64",
    crs="+proj=longlat +R=6371229 +no_defs",
    place=(8.0, 0.001, 0.0, 50.0, 0.0, -0.001),
)
copied("saga", "SAGA", "sdat", bands=1, type="Float32")
copied("pcidsk", "PCIDSK", "pix")


@kind("zipped", kept=False)
def zipped(folder):
    path = write(folder)
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.write(path, "a.tif")
    return f"/vsizip/{folder}/a.zip/a.tif"


@kind("zipped by gzip", kept=False)
def gzipped(folder):
    path = write(folder)
    with path.open("rb") as plain, gzip.open(folder / "a.tif.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    return f"/vsigzip/{folder}/a.tif.gz"


@kind("bands of several types", refused="type")
def several_types(folder):
    one, two = write(folder, name="1.tif", bands=1), write(folder, name="2.tif", bands=1, type="UInt16")
    gdal.BuildVRT(str(folder / "a.vrt"), [str(one), str(two)], separate=True)
    return folder / "a.vrt"


@kind("cut short", refused="is damaged")
def cut_short(folder):
    path = write(folder, type="UInt16")
    path.write_bytes(path.read_bytes()[:-9000])
    return path
