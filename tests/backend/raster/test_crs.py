"""CRSs as callers may name them: what is understood, what is refused, and that nothing else reaches PROJ."""

from __future__ import annotations

import ctypes
import os
import re
import select
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pyproj
import pytest
import rasterio.crs
import rasterio.errors
from pyproj.exceptions import CRSError, ProjError

from model_backend.errors import InvalidInput
from model_backend.raster.georeference.crs import crs_text, parse_any, parse_crs, parse_reference, storable
from tests.support.backend.crs import LAEA, ROTATED

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("text", "code", "swapped"),
    [
        ("EPSG:32633", "EPSG:32633", False),
        ("epsg:2263", "EPSG:2263", False),
        ("EPSG:4326", "EPSG:4326", False),
        ("OGC:CRS84", "EPSG:4326", False),
        ("IGNF:LAMB93", "IGNF:LAMB93", False),
        ("ESRI:54030", "ESRI:54030", False),
        ("ESRI:102100", "EPSG:3857", False),
        ("http://www.opengis.net/def/crs/OGC/1.3/CRS84", "EPSG:4326", False),
        ("http://www.opengis.net/def/crs/EPSG/0/4326", "EPSG:4326", True),
        ("https://www.opengis.net/def/crs/EPSG/0/32633", "EPSG:32633", False),
        ("http://www.opengis.net/def/crs/EPSG/9.9.1/3035", "EPSG:3035", True),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326", False),
        ("urn:ogc:def:crs:EPSG::4326", "EPSG:4326", True),
        ("urn:ogc:def:crs:EPSG::3857", "EPSG:3857", False),
        ("urn:ogc:def:crs:EPSG::31468", "EPSG:31468", True),  # Gauss-Krueger: northing, easting
        ("urn:ogc:def:crs:EPSG::2180", "EPSG:2180", True),
        ("urn:ogc:def:crs:EPSG::3413", "EPSG:3413", False),  # both axes point south
        ("urn:ogc:def:crs:EPSG::4807", "EPSG:4807", True),  # grads from Paris
    ],
)
def test_codes_and_uris(text: str, code: str, swapped: bool) -> None:
    reference = parse_reference(text, "crs")
    assert crs_text(reference.crs) == code
    assert reference.swapped is swapped


def test_wkt_is_x_y_and_comes_back_as_code_or_wkt() -> None:
    assert not parse_reference(pyproj.CRS.from_epsg(4326).to_wkt(), "crs").swapped
    assert crs_text(parse_crs(pyproj.CRS.from_epsg(2263).to_wkt("WKT1_GDAL"), "crs")) == "EPSG:2263"
    assert crs_text(parse_crs(pyproj.CRS.from_epsg(25833).to_wkt(pretty=True), "crs")) == "EPSG:25833"
    text = crs_text(parse_crs(LAEA, "crs"))
    assert text.startswith("PROJCRS[")
    assert parse_crs(text, "crs").equals(parse_crs(LAEA, "crs"))
    assert crs_text(parse_crs(text, "crs")) == text


REFUSED = {
    "": "no CRS",
    " ": "no CRS",
    "4326": "no CRS",
    "EPSG:": "no CRS",
    "EPSG:999999": "names no CRS",
    "EPSG:4326+5773": "no CRS",
    "EPSG:9122": "names no CRS",  # a unit
    "FILE:x": "names no CRS",
    "init=epsg:4326": "no CRS",
    "+init=epsg:4326": "no CRS",
    "+proj=utm +zone=33": "no CRS",
    "+proj=longlat +nadgrids=/etc/passwd": "no CRS",
    "proj=utm zone=33": "no CRS",
    "WGS 84": "no CRS",
    "/etc/passwd": "no CRS",
    "../crs.wkt": "no CRS",
    "C:\\crs.wkt": "no CRS",
    "/vsicurl/http://127.0.0.1/crs": "no CRS",
    "file:///etc/passwd": "no CRS",
    "http://127.0.0.1/crs.wkt": "no CRS",
    "http://www.opengis.net/def/crs/EPSG/0/4326?x=http://127.0.0.1": "no CRS",
    "http://www.opengis.net.example/def/crs/EPSG/0/4326": "no CRS",
    "http://www.opengis.net/def/crs-compound?1=http://www.opengis.net/def/crs/EPSG/0/4326": "no CRS",
    "http://www.opengis.net/def/crs/../../etc/0/4326": "no CRS",
    "urn:ogc:def:crs:EPSG::4326,EPSG::5773": "no CRS",
    "urn:ogc:def:datum:EPSG::6326": "no CRS",
    '{"type": "GeographicCRS"}': "no CRS",
    "AUTO:42001,0,0": "no CRS",
    "EPSG:4326\0": "no CRS",
    "ЕPSG:4326": "no CRS",  # a Cyrillic E
    "x" * 20_001: "no CRS",
    "GEOGCRS[": "cannot be understood",
    "GEOGCRS[" * 2_000: "cannot be understood",
    "EPSG:4978": "Geocentric",
    "EPSG:5703": "Vertical",
    'ENGCRS["x",EDATUM["d"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["m",1]]': "Engineering",
    'LOCAL_CS["x",UNIT["m",1]]': "Engineering",
    "ESRI:104903": "not on the Earth",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: repr(text[:40]))
def test_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_crs(text, "extent.crs")
    problem = caught.value.problem()
    assert REFUSED[text] in str(caught.value)
    assert caught.value.field == "extent.crs"
    assert "EPSG:32633" in str(problem["allowed"])
    assert len(str(problem["value"])) <= 200


@pytest.mark.parametrize(("given", "meant"), [("EPSG:4979", "EPSG:4326"), ("EPSG:7415", "EPSG:28992")])
def test_of_a_crs_with_heights_the_horizontal_part_counts(given: str, meant: str) -> None:
    assert crs_text(parse_crs(given, "mask.crs")) == meant
    assert crs_text(parse_crs(pyproj.CRS(given).to_wkt(), "mask.crs")) == meant
    code = given.removeprefix("EPSG:")
    reference = parse_reference(f"http://www.opengis.net/def/crs/EPSG/0/{code}", "mask.crs")
    assert (crs_text(reference.crs), reference.swapped) == (meant, meant == "EPSG:4326")


def test_a_project_may_have_a_crs_that_no_raster_has() -> None:
    assert parse_any("EPSG:7415", "project_crs").crs.is_compound


def test_a_geotiff_can_hold_every_kind_that_passes_but_rotated_poles() -> None:
    for text in ("EPSG:4326", "EPSG:2263", "ESRI:54030", "EPSG:32661", "IGNF:LAMB93", LAEA):
        assert storable(crs_text(parse_crs(text, "crs")))
    assert not storable(crs_text(parse_crs(ROTATED, "crs")))


# --- nothing is read, nothing is asked for ---


class FileServer:
    """A server on loopback in a process of its own: GDAL holds Python's lock while it waits for an answer."""

    def __init__(self, folder: Path) -> None:
        command = [
            sys.executable,
            "-u",
            "-m",
            "http.server",
            "0",
            "--bind",
            "127.0.0.1",
            "--directory",
            str(folder),
        ]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self._process = subprocess.Popen(command, **pipes, text=True)
        assert self._process.stdout is not None
        port = re.search(r"port (\d+)", self._process.stdout.readline())
        assert port is not None
        self.url = f"http://127.0.0.1:{port[1]}"

    def requested(self) -> list[str]:
        """Stop, and return the paths that were asked for."""
        self._process.terminate()
        _, log = self._process.communicate()
        return re.findall(r'"[A-Z]+ (\S+) HTTP', log)

    def close(self) -> None:
        """Stop the server if it runs still."""
        if self._process.poll() is None:
            self.requested()


@pytest.fixture
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    """Serve on loopback, and count."""
    one = FileServer(tmp_path_factory.mktemp("web"))
    yield one
    one.close()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], bool]]:
    """Say whether any file in ``tmp_path`` was opened since last asked (inotify: native code counts too)."""
    if sys.platform != "linux":
        pytest.skip("inotify is Linux")
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.inotify_init()
    in_open, in_access = 0x20, 0x01
    assert libc.inotify_add_watch(handle, os.fsencode(tmp_path), in_open | in_access) >= 0

    def since() -> bool:
        ready = False
        while select.select([handle], [], [], 0)[0]:
            ready = bool(os.read(handle, 4096)) or ready
        return ready

    yield since
    os.close(handle)


def hostile(path: Path, url: str) -> list[str]:
    """Return texts that would make PROJ or GDAL read ``path`` or ask ``url``."""
    utm = pyproj.CRS.from_epsg(32633)
    wkt1, wkt2 = utm.to_wkt("WKT1_GDAL"), utm.to_wkt()
    bound = pyproj.CRS.from_proj4(f"+proj=longlat +ellps=bessel +nadgrids={path} +no_defs").to_wkt()
    method = f'METHOD["PROJ-based operation method: +proj=hgridshift +grids={path}"]'
    tmerc = 'METHOD["Transverse Mercator",ID["EPSG",9807]]'
    texts = [
        f"{path}",
        f"{path}:x",
        f"+init={path}:x",
        f"init={path}:x",
        f"file://{path}",
        f"{url}/crs.wkt",
        f"/vsicurl/{url}/crs.wkt",
        f"+proj=longlat +nadgrids={path}",
        f"+proj=longlat +nadgrids={url}/grid.tif",
        bound,
        wkt1[:-1] + f',EXTENSION["PROJ4","+proj=longlat +nadgrids={path}"]]',
        wkt1[:-1] + f',extension["PROJ4","+init={path}:x"]]',
        wkt2[:-1] + f',REMARK["PROJ CRS string: +init={path}:x +type=crs"]]',
        wkt2[:-1] + f",REMARK[\u201cPROJ CRS string: init={path}:x type=crs\u201d]]",
        wkt2[:-1] + f',REMARK["PROJ CRS string: proj=longlat grids={path} type=crs"]]',
        wkt2.replace(tmerc, method),
        wkt2.replace(tmerc, method.replace('"', "\u201c", 1)),
        wkt2.replace(
            'METHOD["Transverse Mercator",ID["EPSG",9807]]', f'METHOD["PROJ hgridshift grids={path}"]'
        ),
    ]
    assert len(set(texts)) == len(texts)
    return texts


def test_no_file_is_read_and_no_request_made(
    tmp_path: Path, web: FileServer, opened: Callable[[], bool]
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("<x> +proj=utm +zone=33 +ellps=WGS84 <>\n")
    for text in hostile(secret, web.url):
        opened()  # making the text may itself ask PROJ
        with pytest.raises(InvalidInput):
            parse_crs(text, "crs")
        assert not opened(), text
    urllib.request.urlopen(f"{web.url}/").close()
    assert web.requested() == ["/"]


def test_what_the_rules_protect_from(tmp_path: Path, web: FileServer, opened: Callable[[], bool]) -> None:
    """The holes are real, and the means above see them: path, shift grid, extension, method, URL."""
    secret = tmp_path / "secret"
    secret.write_text("<x> +proj=utm +zone=33 +ellps=WGS84 <>\n")
    leaks = 0
    for text in hostile(secret, web.url):
        opened()
        with suppress(CRSError, ProjError):
            pyproj.Transformer.from_crs(pyproj.CRS(text), "EPSG:4326").transform(10, 50)
        leaks += opened()
    with suppress(rasterio.errors.CRSError):
        rasterio.crs.CRS.from_string(f"{web.url}/crs.wkt")
    assert leaks >= 4
    assert "/crs.wkt" in web.requested()


def test_transformations_ask_no_grid_server() -> None:
    assert not pyproj.network.is_network_enabled()
