"""The algorithm in the real qgis_process, against a real backend."""

import json
import os
import re
import signal
import subprocess
import time

import pytest
from osgeo import gdal, ogr, osr

from launcher import ROOT
from tests.support.qgis.toolbox import HOURS, PATIENCE

LONGER = {"EXTENT": "500000,500256,5800000,5800256 [EPSG:32633]", "GSD": 1, "STEPS": 25}
SECONDS = PATIENCE / 1000


def command(**parameters):
    values = {"PROMPT": "a lake", **parameters}
    return [ROOT / ".ci/qgis", "process", "run", "text2earth:generate", "--"] + [
        f"{name}={value}" for name, value in values.items()
    ]


def run(backend, **parameters):
    return subprocess.run(
        command(**parameters),
        env={**os.environ, **backend.environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def test_a_georeferenced_file_comes_out(shared_backend, tmp_path):
    target = tmp_path / "new folder" / "lake.tif"
    extent = "500000,500256,5800000,5800128 [EPSG:32633]"
    done = run(shared_backend, EXTENT=extent, GSD=1, SEED=7, VARIANTS=2, STEPS=2, OUTPUT=target)
    assert done.returncode == 0, done.stderr
    dataset = gdal.Open(str(target))
    assert (dataset.RasterXSize, dataset.RasterYSize, dataset.RasterCount) == (256, 128, 3)
    assert dataset.GetGeoTransform() == (500000, 1, 0, 5800128, 0, -1)
    assert dataset.GetSpatialRef().GetAuthorityCode(None) == "32633"
    assert re.search(r"^SEED:\s+7$", done.stdout, re.M)
    assert re.search(r"^GSD:\s+1\.0004", done.stdout, re.M)
    assert '"seed": 7' in done.stdout
    assert "256 x 128 px in WGS 84 / UTM zone 33N" in done.stdout
    assert "100 - done" in done.stdout
    assert sorted(path.name for path in target.parent.iterdir()) == ["lake.tif", "lake_2.tif"]
    assert re.search(r"^FILES:.*lake\.tif.*lake_2\.tif", done.stdout, re.M)


def test_other_crs_and_defaults(shared_backend, tmp_path):
    target = tmp_path / "a.tif"
    extent = "8.69,8.692,49.41,49.411 [EPSG:4326]"
    done = run(shared_backend, EXTENT=extent, GSD=2, CRS="EPSG:3857", STEPS=2, OUTPUT=target)
    assert done.returncode == 0, done.stderr
    system = gdal.Open(str(target)).GetSpatialRef()
    wanted = osr.SpatialReference()
    wanted.ImportFromEPSG(3857)
    assert system.IsSame(wanted)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"EXTENT": "0,1,0,1"}, "The extent has no CRS. Add it in brackets"),
        ({"EXTENT": "0,1,0,1 [EPSG:4326]", "GSD": 5000}, "not of 5000."),
        ({"EXTENT": "0,20000,0,20000 [EPSG:32633]", "GSD": 1}, "at most 67,108,864 pixels"),
    ],
    ids=["no CRS", "GSD", "too large"],
)
def test_refusals_are_sentences_and_exit_1(shared_backend, tmp_path, parameters, sentence):
    done = run(shared_backend, **{"OUTPUT": tmp_path / "a.tif", **parameters})
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_wrong_token(shared_backend, tmp_path):
    class Stranger:
        environment = {**shared_backend.environment, "TEXT2EARTH_TOKEN": "x" * 20}

    done = run(Stranger, EXTENT="0,1,0,1 [EPSG:4326]", OUTPUT=tmp_path / "a.tif")
    assert done.returncode == 1
    assert "does not accept the token" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_signals_delete_the_job(shared_backend, tmp_path, number):
    before = {job["jobID"] for job in shared_backend.jobs()}
    process = subprocess.Popen(
        command(OUTPUT=tmp_path / "a.tif", **HOURS),
        env={**os.environ, **shared_backend.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + SECONDS
    mine = []
    while not mine and time.monotonic() < deadline:
        time.sleep(0.1)
        mine = [
            job for job in shared_backend.jobs() if job["jobID"] not in before and job["status"] == "running"
        ]
    process.send_signal(number)
    _out, told = process.communicate(timeout=SECONDS)
    assert process.returncode == 1, told
    (status,) = [job["status"] for job in shared_backend.jobs() if job["jobID"] == mine[0]["jobID"]] or [None]
    assert status in ("dismissed", None)
    assert list(tmp_path.iterdir()) == []


def test_a_backend_that_dies_meanwhile(own_backend, tmp_path):
    target = tmp_path / "a.tif"
    process = subprocess.Popen(
        command(OUTPUT=target, **LONGER),
        env={**os.environ, **own_backend.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + SECONDS
    # Once a part of it is made, it has long been told that the job was taken.
    while time.monotonic() < deadline and not any(job["progress"] > 0 for job in own_backend.jobs()):
        time.sleep(0.05)
    own_backend.kill_all()
    time.sleep(2)  # it may notice, or not
    own_backend.start(own_backend.port)
    told, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, told
    assert gdal.Open(str(target)).RasterXSize == 256


def land(path, *shapes):
    """Write a GeoPackage of polygons in degrees, with a prompt each."""
    system = osr.SpatialReference()
    system.ImportFromEPSG(4326)
    system.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    source = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    layer = source.CreateLayer("land", system, ogr.wkbPolygon)
    layer.CreateField(ogr.FieldDefn("class", ogr.OFTString))
    for text, prompt in shapes:
        feature = ogr.Feature(layer.GetLayerDefn())
        feature.SetField("class", prompt)
        feature.SetGeometry(ogr.CreateGeometryFromWkt(text))
        layer.CreateFeature(feature)
    return path


def test_regions_from_a_file(shared_backend, tmp_path):
    lake = "POLYGON((8.69 49.41, 8.691 49.41, 8.691 49.411, 8.69 49.411, 8.69 49.41))"
    bow = "POLYGON((8.69 49.41, 8.691 49.411, 8.691 49.41, 8.69 49.411, 8.69 49.41))"
    extent = "8.69,8.692,49.41,49.411 [EPSG:4326]"
    wanted = {"EXTENT": extent, "GSD": 1, "SEED": 7, "STEPS": 2, "REGION_PROMPT_FIELD": "class"}
    good = land(tmp_path / "good.gpkg", (lake, "houses"), (lake.replace("8.691", "8.6905"), "the road"))
    done = run(shared_backend, **wanted, REGIONS=good, OUTPUT=tmp_path / "a.tif")
    assert done.returncode == 0, done.stderr
    assert "2 regions are sent." in done.stdout
    recipe = json.loads(gdal.Open(str(tmp_path / "a.tif")).GetMetadataItem("RECIPE", "GENERATION"))
    assert [region["prompt"] for region in recipe["regions"]] == ["houses", "the road"]
    bad = land(tmp_path / "bad.gpkg", (lake, "houses"), (bow, "the road"))
    done = run(shared_backend, **wanted, REGIONS=bad, OUTPUT=tmp_path / "b.tif")
    assert done.returncode == 1
    assert "Region 2 is no valid polygon (Self-intersection" in done.stdout + done.stderr
    assert not (tmp_path / "b.tif").exists()
