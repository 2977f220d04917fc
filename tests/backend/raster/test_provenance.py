"""What files say about themselves: synthetic, by whom, from which recipe; and what they must not say."""

from __future__ import annotations

import json
import os
import socket
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyproj
import pystac
import pystac.validation
import pytest
import rasterio
import tifffile
from pystac.extensions.projection import ProjectionExtension
from shapely.geometry import box, shape

from model_backend.raster.files.provenance import SOURCE_TYPE, Provenance, read_recipe, stac_item
from model_backend.raster.georeference.footprint import footprint
from model_backend.schemas import Plan, Recipe
from tests.support.backend.crs import LAEA
from tests.support.backend.scene_files import noise, plan_of, write_pixels

pytestmark = pytest.mark.fast

MADE = Provenance(
    model="Tiny & Sons <1>",
    licence="OpenRAIL++ \u201cresearch\u201d & more",
    attribution="Liu et al.",
    profile="abc123",
    approximate=True,
    created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
)
SECRET = 'Geheimnis; "Fluß" <b> \u6c34'


def written(tmp_path: Path, provenance: Provenance, prompt: str = SECRET) -> tuple[Path, Plan]:
    """Write a small scene."""
    path, plan = tmp_path / "scene.tif", plan_of(40, 30, prompt=prompt)
    write_pixels(path, noise(40, 30), plan, plan.recipe, provenance)
    return path, plan


def test_recipe_comes_back_whole(tmp_path: Path) -> None:
    path, plan = written(tmp_path, MADE)
    found = read_recipe(path)
    assert found is not None
    assert Recipe.model_validate(found) == plan.recipe
    with rasterio.open(path) as file:
        assert file.tags(ns="GENERATION")["RECIPE"] == plan.recipe.canonical()
        assert file.tags(ns="GENERATION")["PROFILE"] == "abc123"
        assert file.tags(ns="GENERATION")["APPROXIMATE"] == "YES"


def test_a_stranger_has_no_recipe(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    profile: dict[str, Any] = {"driver": "GTiff", "width": 1, "height": 1, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, transform=rasterio.Affine(1, 0, 0, 0, -1, 1)):
        pass
    assert read_recipe(path) is None


def test_prompts_are_left_out_if_the_user_says_so(tmp_path: Path) -> None:
    private = replace(MADE, record_prompt=False)
    path, plan = written(tmp_path, private)
    item = json.dumps(stac_item("x", "image.tif", plan, plan.recipe, private), ensure_ascii=False)
    for text in (path.read_bytes().decode("utf-8", "replace"), item):
        assert "Geheimnis" not in text
        assert "prompt" not in text
    found = read_recipe(path)
    assert found is not None
    assert found | {"prompt": SECRET, "negative_prompt": ""} == plan.recipe.model_dump(mode="json")


def test_nothing_of_the_machine_is_in_the_file(tmp_path: Path) -> None:
    path, plan = written(tmp_path, MADE)
    item = json.dumps(stac_item("x", "image.tif", plan, plan.recipe, MADE)).encode()
    for content in (path.read_bytes(), item):
        for secret in (
            str(tmp_path),
            str(Path.cwd()),
            str(Path.home()) + "/",
            socket.gethostname(),
            os.fspath(path),
        ):
            assert secret.encode() not in content


def test_tags_that_every_reader_shows(tmp_path: Path) -> None:
    path, _ = written(tmp_path, MADE)
    with rasterio.open(path) as file:
        tags = file.tags()
    assert tags["AI_GENERATED"] == "YES"
    assert tags["TIFFTAG_IMAGEDESCRIPTION"].startswith("SYNTHETIC (AI-generated)")
    assert "TIFFTAG_DATETIME" not in tags, "one recipe gives one file, at any time"
    assert tags["TIFFTAG_SOFTWARE"].startswith("Text2Earth")
    assert "OpenRAIL++ \u201cresearch\u201d" in tags["TIFFTAG_COPYRIGHT"]
    assert tags["AI_MODEL"] == "tiny " + "0" * 40
    assert tags["AI_SEED"] == "3"


def test_xmp_says_trained_algorithmic_media(tmp_path: Path) -> None:
    """The packet is clean XML for readers that know TIFF tag 700 and no GDAL."""
    path, _ = written(tmp_path, MADE)
    with tifffile.TiffFile(path) as file:
        packet = bytes(file.pages[0].tags[700].value)
    assert packet.startswith(b"<?xpacket")
    root = ET.fromstring(packet.decode("utf-8-sig"))
    assert root.tag == "{adobe:ns:meta/}xmpmeta"
    kinds = root.findall(".//{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")
    assert [kind.text for kind in kinds] == [SOURCE_TYPE]
    rights = root.find(".//{http://purl.org/dc/elements/1.1/}rights")
    assert rights is not None
    assert "".join(rights.itertext()).strip() == MADE.licence


def test_stac_item_is_valid_and_says_synthetic() -> None:
    plan = plan_of(40, 30)
    text = json.dumps(stac_item("job-1", "image.tif", plan, plan.recipe, MADE), allow_nan=False)
    item = pystac.Item.from_dict(json.loads(text))
    core = json.loads(text) | {"stac_extensions": []}
    pystac.validation.validate_dict(core)  # the core schemas come with pystac; extensions are on the network
    assert item.properties["text2earth:synthetic"] is True
    assert item.properties["text2earth:digital_source_type"] == SOURCE_TYPE
    assert item.properties["gsd"] == 0.5
    assert Recipe.model_validate(item.properties["text2earth:recipe"]) == plan.recipe
    projection = ProjectionExtension.ext(item)
    assert projection.code == "EPSG:32632"
    assert projection.shape == [30, 40]
    assert projection.transform == plan.transform
    assert projection.bbox == plan.bbox
    assert item.datetime == MADE.created
    asset = item.assets["image"]
    assert asset.href == "image.tif"
    assert asset.media_type == "image/tiff; application=geotiff; profile=cloud-optimized"
    assert item.links == []
    there = pyproj.Transformer.from_crs(4326, 32632, always_xy=True)
    xs, ys = there.transform(*shape(item.geometry).exterior.xy)
    assert (min(xs), min(ys), max(xs), max(ys)) == pytest.approx(plan.bbox, abs=0.01)


def test_stac_item_of_a_custom_crs_carries_wkt() -> None:
    plan = plan_of(40, 30).model_copy(update={"crs": LAEA, "bbox": [0.0, 0.0, 20.0, 15.0]})
    projection = ProjectionExtension.ext(
        pystac.Item.from_dict(stac_item("x", "image.tif", plan, plan.recipe, MADE))
    )
    assert projection.code is None
    assert projection.wkt2 == LAEA


def test_footprint_over_the_antimeridian_is_split() -> None:
    crs = pyproj.CRS.from_epsg(32660)
    x, y = pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform(179.99, -20)
    geometry, bounds = footprint((x, y, x + 5000, y + 3000), crs)
    assert geometry["type"] == "MultiPolygon"
    assert bounds[0] > 179 > -179 > bounds[2]
    parts = shape(geometry)
    assert parts.is_valid
    assert parts.bounds[0] == -180
    assert parts.bounds[2] == 180
    assert all(part.exterior.is_ccw for part in parts.geoms)
    geod = pyproj.Geod(ellps="WGS84")
    assert abs(geod.geometry_area_perimeter(parts)[0]) == pytest.approx(5000 * 3000, rel=3e-3)


def test_footprint_around_a_pole_takes_in_every_longitude() -> None:
    geometry, bounds = footprint((1_990_000, 1_990_000, 2_010_000, 2_010_000), pyproj.CRS.from_epsg(5042))
    assert bounds[0] == -180
    assert bounds[1:3] == [-90, 180]
    assert shape(geometry).covers(box(-180, -90, 180, -89.92))


def test_footprint_is_counterclockwise_everywhere() -> None:
    for code, x, y in ((32632, 500_000, 5e6), (32732, 500_000, 5e6), (3413, 3e5, -8e5), (3031, -3e5, 8e5)):
        geometry, _ = footprint((x, y, x + 3000, y + 3000), pyproj.CRS.from_epsg(code))
        ring = shape(geometry)
        assert ring.is_valid
        assert ring.exterior.is_ccw
