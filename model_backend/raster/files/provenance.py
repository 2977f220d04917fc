"""What a file says about itself: synthetic, by which model, from which recipe.

Three places, because each has readers that know no other: GeoTIFF tags (GDAL, QGIS), XMP (photo tools,
newsrooms; IPTC DigitalSourceType) and a STAC Item (catalogues). None holds paths, hosts, tokens or owners;
prompts are in there only if the user allowed it. Knows no pixels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pyproj
import pystac
import rasterio
from pystac.extensions.projection import ProjectionExtension

from model_backend import __version__
from model_backend.raster.georeference.footprint import footprint
from model_backend.schemas import Plan, Recipe

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOURCE_TYPE = _SOURCE_TYPES + "trainedAlgorithmicMedia"
EDITED_SOURCE_TYPE = _SOURCE_TYPES + "compositeWithTrainedAlgorithmicMedia"
REARRANGED_SOURCE_TYPE = _SOURCE_TYPES + "compositeCapture"  # of elements that are all captures of real life
_DOMAIN = "GENERATION"
_TEXTS = {"prompt": True, "negative_prompt": True}
_PROMPTS: Any = {
    **_TEXTS,
    "regions": {"__all__": _TEXTS},
    "layout": {"__all__": {"kind": True}},
    "land_cover": {"kinds": True},
}


@dataclass(frozen=True)
class Provenance:
    """Where pixels come from, besides their recipe.

    ``created`` (aware, in UTC) is for the STAC Item alone: one recipe is to give the same file at any time.
    """

    model: str
    licence: str
    attribution: str
    profile: str
    approximate: bool
    created: datetime
    record_prompt: bool = True
    by_example: bool = False  # real pixels rearranged, not painted by a network
    #: Source, licence and share of what pixels were copied from, where they were.
    sources: tuple[tuple[str, str, float], ...] = ()
    software: str = f"Text2Earth backend {__version__}"


def recorded(recipe: Recipe, provenance: Provenance) -> dict[str, Any]:
    """Return the recipe as it may be written down: without the prompts where the user wants them private."""
    return recipe.model_dump(mode="json", exclude=None if provenance.record_prompt else _PROMPTS)


def tags(recipe: Recipe, plan: Plan, provenance: Provenance) -> dict[str, str]:
    """Return the tags of GDAL's default domain, which every reader shows."""
    how = "by example: real pixels rearranged" if provenance.by_example else "AI-generated"
    text = f"SYNTHETIC ({how}) imagery, not an observation. Made by {provenance.model}."
    if recipe.edit is not None:
        text = f"EDITED: part of this raster is synthetic ({how}), made by {provenance.model}."
    return {
        "TIFFTAG_SOFTWARE": provenance.software,
        "TIFFTAG_IMAGEDESCRIPTION": text,
        "TIFFTAG_COPYRIGHT": ". ".join(
            text.rstrip(". ") for text in (provenance.attribution, provenance.licence) if text
        ),
        "AI_GENERATED": "YES",
        "AI_MODEL": f"{recipe.model} {recipe.revision}",
        "AI_SEED": str(recipe.seed),
        "GROUND_SAMPLE_DISTANCE_M": f"{plan.gsd.x:.6g} {plan.gsd.y:.6g}",
    }


def source_tags(
    recipe: Recipe, images: Sequence[Mapping[str, Any]], provenance: Provenance
) -> dict[str, dict[str, str]]:
    """Return by domain the tags of the raster that says where pixels were copied from.

    ``images`` have a ``number``, and more that is to be said of each.
    """
    text = (
        f"Where the pixels of {_title(recipe).lower()} made by {provenance.model} were copied from: number "
        "of an image (metadata domain SOURCES), column and row in it; -1: not copied."
    )
    return {
        "": {
            "TIFFTAG_SOFTWARE": provenance.software,
            "TIFFTAG_IMAGEDESCRIPTION": text,
            "AI_MODEL": f"{recipe.model} {recipe.revision}",
            "AI_SEED": str(recipe.seed),
        },
        "SOURCES": {
            str(one["number"]): json.dumps(
                {key: value for key, value in one.items() if key != "number"}, ensure_ascii=False
            )
            for one in images
        },
    }


def generation_tags(recipe: Recipe, provenance: Provenance) -> dict[str, str]:
    """Return the tags of the domain ``GENERATION``: what makes the same pixels again, and on what."""
    canonical = json.dumps(
        recorded(recipe, provenance), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    return {
        "RECIPE": canonical,
        "PROFILE": provenance.profile,
        "APPROXIMATE": "YES" if provenance.approximate else "NO",
    }


def read_recipe(path: Path) -> dict[str, Any] | None:
    """Return the recipe that a GeoTIFF of ours carries (its prompts may be missing), None if it has none."""
    with rasterio.open(path, driver="GTiff") as file:
        text = file.tags(ns=_DOMAIN).get("RECIPE")
    recipe = json.loads(text) if text else None
    return recipe if isinstance(recipe, dict) else None


def source_type(provenance: Provenance, edited: bool) -> str:
    """Return IPTC's DigitalSourceType."""
    if provenance.by_example:
        return REARRANGED_SOURCE_TYPE
    return EDITED_SOURCE_TYPE if edited else SOURCE_TYPE


def xmp(provenance: Provenance, edited: bool = False) -> bytes:
    """Return the XMP packet (ISO 16684-1) with IPTC's DigitalSourceType."""
    rights = escape(provenance.licence)
    maker = escape(f"{provenance.software}, {provenance.model}")
    return f"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
   <Iptc4xmpExt:DigitalSourceType>{source_type(provenance, edited)}</Iptc4xmpExt:DigitalSourceType>
   <xmp:CreatorTool>{maker}</xmp:CreatorTool>
   <dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{rights}</rdf:li></rdf:Alt></dc:rights>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>""".encode()


def stac_item(
    item_id: str,
    asset: str,
    plan: Plan,
    recipe: Recipe,
    provenance: Provenance,
    bands: dict[str, Any] | None = None,
    sources: str | None = None,
) -> dict[str, Any]:
    """Return the STAC 1.1 Item of one file; ``asset`` is the file's address relative to the Item's own.

    ``bands`` are STAC's members for the asset's bands; left out, they are those of a generated scene.
    ``sources`` is the address of the raster of its sources, if there is one.

    An Item needs a date. Elsewhere it is that of the observation, here that of the making, and it says so.
    """
    crs = pyproj.CRS.from_user_input(plan.crs)
    minx, miny, maxx, maxy = plan.bbox
    geometry, bbox = footprint((minx, miny, maxx, maxy), crs)
    item = pystac.Item(item_id, geometry, bbox, provenance.created, _properties(plan, recipe, provenance))
    is_code = not plan.crs.endswith("]")
    projection = ProjectionExtension.ext(item, add_if_missing=True)
    projection.apply(
        code=plan.crs if is_code else None,
        wkt2=None if is_code else plan.crs,
        bbox=list(plan.bbox),
        shape=[plan.height, plan.width],
        transform=list(plan.transform),
    )
    item.add_asset(
        "image",
        pystac.Asset(asset, _title(recipe), media_type=COG, roles=["data"], extra_fields=bands or _bands()),
    )
    if sources is not None:
        about = {"data_type": "int32", "nodata": -1}
        about |= {"bands": [{"name": name} for name in ("source", "column", "row")]}
        title = "What every pixel was copied from"
        item.add_asset(
            "sources",
            pystac.Asset(sources, title, media_type=COG, roles=["metadata"], extra_fields=about),
        )
    result: dict[str, Any] = item.to_dict(include_self_link=False)
    return result


def _title(recipe: Recipe) -> str:
    return "Partly synthetic imagery" if recipe.edit is not None else "Synthetic imagery"


def _bands() -> dict[str, Any]:
    """Return the STAC 1.1 description of the three bands."""
    return {"data_type": "uint8", "bands": [{"name": name} for name in ("red", "green", "blue")]}


def _properties(plan: Plan, recipe: Recipe, provenance: Provenance) -> dict[str, Any]:
    """Return the properties of the Item; STAC has no field for synthetic imagery, so there are ours."""
    created = provenance.created.strftime("%Y-%m-%dT%H:%M:%SZ")
    edited = recipe.edit is not None
    how = "rearranged from real pixels" if provenance.by_example else "AI-generated"
    whole, part = f"{how[0].upper()}{how[1:]}, not an observation", f"An observation of which a part is {how}"
    return {
        "title": f"{_title(recipe)} by {provenance.model}",
        "description": f"{part if edited else whole}; the date is that of the making.",
        "keywords": ["synthetic", "by example" if provenance.by_example else "AI-generated"],
        "created": created,
        "license": "other",
        "gsd": round((plan.gsd.x * plan.gsd.y) ** 0.5, 6),
        "text2earth:synthetic": True,
        "text2earth:digital_source_type": source_type(provenance, edited),
        "text2earth:model": provenance.model,
        "text2earth:licence": provenance.licence,
        "text2earth:attribution": provenance.attribution,
        "text2earth:software": provenance.software,
        "text2earth:profile": provenance.profile,
        "text2earth:approximate": provenance.approximate,
        "text2earth:level": recipe.level,
        "text2earth:recipe": recorded(recipe, provenance),
    } | ({"text2earth:sources": _sources(provenance)} if provenance.sources else {})


def _sources(provenance: Provenance) -> list[dict[str, Any]]:
    """Return what pixels were copied from."""
    names = ("source", "licence", "share")
    return [dict(zip(names, one, strict=True)) for one in provenance.sources]
