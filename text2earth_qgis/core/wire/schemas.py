"""What travels, seen from QGIS: twin of the inputs in ``model_backend/schemas.py``, and what comes back.

Units and axis order: coordinates are ``(x, y)`` in CRS units, boxes ``(col, row, width, height)`` in pixels
of a frame with rows counted southward, GSD in ground metres per pixel. Standard library only, so that a
contract test can hold the two sides equal. What is None is left out of the JSON: the backend then chooses.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence, Union

from text2earth_qgis.core.wire.field_names import in_words
from text2earth_qgis.core.wire.sentences import land

Json = dict[str, Any]

FINISHED = ("successful", "failed", "dismissed")


class Value:
    """Base of what is sent."""

    def to_json(self) -> Json:
        """Return the JSON object, without the members that are None."""
        members = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}  # type: ignore[arg-type]
        return {name: _plain(value) for name, value in members.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, Value):
        return value.to_json()
    return list(value) if isinstance(value, (list, tuple)) else value


@dataclass(frozen=True)
class Extent(Value):
    """A box in any CRS: west, south, east, north; in the axis order of ``crs`` when that is a URI."""

    bbox: Sequence[float]
    crs: str = "OGC:CRS84"


@dataclass(frozen=True)
class Box(Value):
    """A rectangle of whole pixels of a frame; ``row`` grows southward, both may be negative."""

    col: int
    row: int
    width: int
    height: int


@dataclass(frozen=True)
class Align(Value):
    """The pixel grid of another raster: decimal pixel sizes in CRS units, and any pixel corner (x, y)."""

    crs: str
    pixel_size: Sequence[str]
    anchor: Sequence[float]


@dataclass(frozen=True)
class Polygons(Value):
    """Polygons of the ground: any GeoJSON that holds polygons, and the CRS of its coordinates."""

    geojson: Json
    crs: str = "OGC:CRS84"


@dataclass(frozen=True)
class LayoutFeatures(Value):
    """What lies where: a FeatureCollection with a property ``class``, and the table its values are from."""

    geojson: Json
    crs: str = "OGC:CRS84"
    table: str = "words"


@dataclass(frozen=True)
class Upload(Value):
    """A raster that was sent to ``/uploads``."""

    upload: str


@dataclass(frozen=True)
class LayoutRaster(Value):
    """What lies where: a raster of classes, sent before or as the GeoTIFF itself, in base64.

    ``classes`` are what values mean, by their digits; of others the value itself is the class.
    """

    source: Union[Upload, str]
    band: Optional[int] = None
    table: str = "words"
    classes: Optional[Json] = None


Layout = Union[LayoutFeatures, LayoutRaster]


def layout_from_json(data: Optional[Json]) -> Optional[Layout]:
    """Read the input ``layout`` as ``to_json`` wrote it."""
    if not data:
        return None
    if "source" not in data:
        return LayoutFeatures(**data)
    source = data["source"]
    return LayoutRaster(**{**data, "source": Upload(**source) if isinstance(source, dict) else source})


@dataclass(frozen=True)
class Frame(Value):
    """CRS, decimal pixel sizes and an anchor (x, y): the endless pixel grid of the ground."""

    crs: str
    pixel_size: Sequence[str]
    anchor: Sequence[float]


@dataclass(frozen=True)
class Joins(Value):
    """The scene that a new one continues: frame and level of its recipe, and what it was made with."""

    frame: Frame
    engine: int
    level: Optional[int] = None
    profile: Optional[str] = None
    examples: Optional[Json] = None
    start: Optional[Json] = None


@dataclass(frozen=True)
class GenerateInputs(Value):
    """Inputs of the process ``generate``."""

    prompt: str
    extent: Extent
    gsd: Optional[float] = None
    negative_prompt: str = ""
    crs: Optional[str] = None
    project_crs: Optional[str] = None
    align: Optional[Align] = None
    canvas: Union[str, Box] = "extent"
    seed: Optional[int] = None
    steps: Optional[int] = None
    sampler: Optional[str] = None
    guidance: Optional[float] = None
    model: Optional[str] = None
    variants: int = 1
    record_prompt: bool = True
    regions: Optional[Polygons] = None
    layout: Optional[Layout] = None
    joins: Optional[Joins] = None
    samples: Optional[Sequence[Json]] = None
    start: str = "noise"
    start_strength: float = 0.7

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GenerateInputs:
        """Read what ``to_json`` wrote."""
        members = dict(data)
        members["extent"] = Extent(**members["extent"])
        if members.get("align"):
            members["align"] = Align(**members["align"])
        if members.get("regions"):
            members["regions"] = Polygons(**members["regions"])
        members["layout"] = layout_from_json(members.get("layout"))
        if members.get("joins"):
            members["joins"] = Joins(**{**members["joins"], "frame": Frame(**members["joins"]["frame"])})
        if isinstance(members.get("canvas"), dict):
            members["canvas"] = Box(**members["canvas"])
        return cls(**members)


@dataclass(frozen=True)
class EditInputs(Value):
    """Inputs of the process ``edit``; ``feather`` and ``grow`` are ground metres, bands count from 1."""

    prompt: str
    source: Upload
    mask: Union[Upload, Polygons]
    negative_prompt: str = ""
    bands: Optional[Sequence[int]] = None
    stretch: Optional[Sequence[Sequence[float]]] = None
    extra_bands: str = "match"
    feather: Optional[float] = None
    grow: float = 0.0
    strength: float = 1.0
    seed: Optional[int] = None
    steps: Optional[int] = None
    sampler: Optional[str] = None
    guidance: Optional[float] = None
    model: Optional[str] = None
    variants: int = 1
    record_prompt: bool = True
    samples: Optional[Sequence[Json]] = None
    layout: Optional[Layout] = None


@dataclass(frozen=True)
class ExtendInputs(Value):
    """Inputs of the process ``extend``; bands count from 1."""

    prompt: str
    source: Upload
    extent: Extent
    negative_prompt: str = ""
    fill_holes: bool = False
    bands: Optional[Sequence[int]] = None
    stretch: Optional[Sequence[Sequence[float]]] = None
    extra_bands: str = "match"
    seed: Optional[int] = None
    steps: Optional[int] = None
    sampler: Optional[str] = None
    guidance: Optional[float] = None
    model: Optional[str] = None
    variants: int = 1
    record_prompt: bool = True
    regions: Optional[Polygons] = None
    samples: Optional[Sequence[Json]] = None
    layout: Optional[Layout] = None


@dataclass(frozen=True)
class UnsentRaster(Value):
    """The grid of a raster that is not sent yet; ``transform`` is affine a, b, c, d, e, f as in rasterio."""

    crs: str
    transform: Sequence[float]
    width: int
    height: int
    bands: int = 3


@dataclass(frozen=True)
class PlanInputs(Value):
    """Inputs of the process ``plan``: those of another process; ``raster`` in place of their ``source``."""

    process: str
    inputs: Union[Value, Json]
    raster: Optional[UnsentRaster] = None
    outputs: Optional[Json] = None


@dataclass(frozen=True)
class ReadInputs(Value):
    """Inputs of the process ``read``: a prompt, and the model whose words count."""

    prompt: str
    model: Optional[str] = None


@dataclass(frozen=True)
class EchoInputs(Value):
    """Inputs of the process ``echo``, which checks a connection."""

    message: str = ""
    pause: int = 0


@dataclass(frozen=True)
class Plan:
    """What a request comes to, before it is run."""

    recipe: Json
    variants: int
    crs: str
    crs_name: str
    width: int
    height: int
    transform: list[float]
    bbox: list[float]
    gsd: Json
    level: Optional[int]
    windows: int
    evaluations: int
    seconds: Optional[float]
    bytes: int
    warnings: list[str]
    understood: Sequence[str] = ()  # of the prompt, by a backend that says it

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """Read the backend's answer; members this version does not know are ignored."""
        known = [item.name for item in dataclasses.fields(cls) if item.name != "understood"]
        members = {name: data[name] for name in known}
        members["understood"] = tuple(land(words) for words in data.get("understood") or ())
        members["warnings"] = [in_words(text) for text in members["warnings"]]
        return cls(**members)

    @property
    def seed(self) -> int:
        """Return the seed of the first variant."""
        return int(self.recipe["seed"])

    @property
    def ground(self) -> tuple[float, float]:
        """Return the ground metres per pixel along x and y."""
        return float(self.gsd["x"]), float(self.gsd["y"])


@dataclass(frozen=True)
class PromptReading:
    """How a model reads a prompt: its language, and words it does not know, each with known ones near it."""

    language: str
    unknown: Sequence[tuple[str, Sequence[str]]]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PromptReading:
        """Read the backend's answer."""
        found = tuple((one["word"], tuple(one["nearest"])) for one in data["unknown"])
        return cls(data["language"], found)


@dataclass(frozen=True)
class Link:
    """A link; ``sha256`` (hex) only on our result files, ``crs`` and where they lie only on our previews.

    ``bbox`` says it of most; of those whose rows are turned ``corners`` does, from the first clockwise.
    """

    href: str
    rel: str = ""
    type: str = ""
    title: str = ""
    crs: str = ""
    sha256: str = ""
    bbox: tuple[float, ...] = ()
    corners: tuple[tuple[float, float], ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Link:
        """Read one link object."""
        names = ("href", "rel", "type", "title", "crs", "sha256")
        words = {name: str(data.get(name) or "") for name in names}
        return cls(
            bbox=tuple(float(value) for value in data.get("bbox") or ()),
            corners=tuple((float(x), float(y)) for x, y in data.get("corners") or ()),
            **words,
        )

    @property
    def outline(self) -> tuple[tuple[float, float], ...]:
        """The corners of what a preview shows, from its top left clockwise; none if it does not say."""
        if self.corners or len(self.bbox) != 4:
            return self.corners if len(self.corners) == 4 else ()
        west, south, east, north = self.bbox
        return (west, north), (east, north), (east, south), (west, south)


@dataclass(frozen=True)
class StatusInfo:
    """Where a job stands: the OGC members, and what our backend adds (None elsewhere)."""

    job: str
    status: str
    process: str = ""
    message: str = ""
    progress: Optional[int] = None
    queue_position: Optional[int] = None
    eta: Optional[float] = None
    seed: Optional[int] = None
    steps: Optional[tuple[int, int]] = None  # of a diffusion model, done and in all
    windows: Optional[int] = None
    links: tuple[Link, ...] = ()
    retry_after: Optional[float] = field(default=None, compare=False)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], retry_after: Optional[float] = None) -> StatusInfo:
        """Read a statusInfo of any OGC API - Processes 1.0 server; ``retry_after`` is from the header."""
        steps = data.get("steps")
        return cls(
            job=str(data["jobID"]),
            status=str(data["status"]),
            process=str(data.get("processID") or ""),
            message=in_words(str(data.get("message") or "")),
            progress=data.get("progress"),
            queue_position=data.get("queuePosition"),
            eta=data.get("eta"),
            seed=data.get("seed"),
            steps=(int(steps["done"]), int(steps["total"])) if steps else None,
            windows=data.get("windows"),
            links=tuple(Link.from_json(link) for link in data.get("links") or ()),
            retry_after=retry_after,
        )

    @property
    def finished(self) -> bool:
        """Whether the job has come to an end, good or bad."""
        return self.status in FINISHED

    def link(self, rel: str) -> Optional[Link]:
        """Return the first link whose relation is ``rel`` (short name, or the end of its URI)."""
        return next((link for link in self.links if link.rel.rsplit("/", 1)[-1] == rel), None)
