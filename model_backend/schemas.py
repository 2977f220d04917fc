"""What travels: the inputs of the processes, the recipe, the plan.

Units and axis order: coordinates are ``(x, y)`` in CRS units (traditional GIS order, longitude before
latitude); boxes are ``(col, row, width, height)`` in pixels of a frame, rows counted southward; GSD is ground
metres per pixel. Knows no HTTP, no CRS library and no torch. The input models have a twin in the plugin,
``text2earth_qgis/core/wire/schemas.py``; a contract test holds the two equal.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    FiniteFloat,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from model_backend import ENGINE_VERSION
from model_backend.example_schemas import ExampleRecipe as ExampleRecipe
from model_backend.example_schemas import SampleRecipe as SampleRecipe
from model_backend.example_schemas import Start, Strength
from model_backend.example_schemas import StartRecipe as StartRecipe
from model_backend.layout_schemas import LaidOut, LaidRaster, Layout
from model_backend.layout_schemas import LayoutFeatures as LayoutFeatures
from model_backend.layout_schemas import LayoutRaster as LayoutRaster
from model_backend.value import Source
from model_backend.value import UnsentRaster as UnsentRaster
from model_backend.value import Upload as Upload
from model_backend.value import Value as Value

Sampler = Literal["dpm++2m", "euler"]
Seed = Annotated[int, Field(ge=0, le=2**53 - 1)]
PixelSize = Annotated[str, Field(pattern=r"^\d{1,12}(\.\d{1,15})?$")]
REGION_UNITS = 16  # to a pixel: a region's rings are in whole ones of these


class Extent(Value):
    """A box in any CRS."""

    bbox: Annotated[list[FiniteFloat], Field(min_length=4, max_length=4)] = Field(
        description="West, south, east, north; in the axis order of `crs` when that is a URI."
    )
    crs: str = Field("OGC:CRS84", max_length=20_000, description="Code, OGC URI or WKT.")


class Box(Value):
    """A rectangle of whole pixels of a frame; ``row`` grows southward, both may be negative."""

    col: int
    row: int
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]


class Align(Value):
    """Put the pixels exactly on those of another raster."""

    crs: str = Field(max_length=20_000)
    pixel_size: Annotated[list[PixelSize], Field(min_length=2, max_length=2)] = Field(
        description="Width and height of a pixel in CRS units, decimal strings."
    )
    anchor: Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)] = Field(
        description="x and y of any pixel corner, usually the upper left one."
    )


class Polygons(Value):
    """Polygons of the ground."""

    geojson: dict[str, Any] = Field(description="GeoJSON: polygons, or features or collections of them.")
    crs: str = Field("OGC:CRS84", max_length=20_000, description="CRS of the coordinates.")


class Frame(Value):
    """CRS + pixel size + anchor: the endless pixel grid of the ground.

    Pixel (col, row) covers x in [x0 + col*px, x0 + (col+1)*px) and y in (y0 - (row+1)*py, y0 - row*py].
    """

    crs: str = Field(max_length=20_000, description="Authority code, else WKT2.")
    pixel_size: Annotated[list[PixelSize], Field(min_length=2, max_length=2)]
    anchor: Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]


class Joins(Value):
    """The scene that a new one continues, as its file tells: the two agree where they overlap.

    They also share all that the recipe says (prompts, seed, steps, model, canvas, ...), as inputs of the same
    names.
    """

    frame: Frame
    level: int | None = Field(None, ge=0, le=30, description="Resolution class of the recipe.")
    engine: int = Field(ge=1, description="Engine version of the recipe.")
    profile: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None, description="What the file says it was computed on."
    )
    examples: ExampleRecipe | None = Field(None, description="That of the recipe, of land by example.")
    start: StartRecipe | None = Field(None, description="That of the recipe, if it has one.")


Steps = Annotated[int, Field(ge=1, le=200)]
Guidance = Annotated[FiniteFloat, Field(ge=1, le=30)]
ModelId = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9._-]+$")]
Variants = Annotated[int, Field(ge=1, le=8)]
RecordPrompt = Annotated[bool, Field(description="Write the prompts into the files.")]
PromptPolygons = Annotated[
    Polygons | None,
    Field(
        description="A FeatureCollection of polygons with prompts of their own: properties `prompt`, and if "
        "wanted `negative_prompt` and `priority` (higher covers lower, then later covers earlier)."
    ),
]


Bands = Annotated[
    Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=3)] | None,
    Field(description="The band, or the red, green and blue bands, that the model sees and paints."),
]
Stretch = Annotated[
    Annotated[list[list[FiniteFloat]], Field(min_length=1, max_length=3)] | None,
    Field(description="Per visible band the values shown black and white; left out: 0 to 255, or 2-98 %."),
]


class Sample(Value):
    """An area of a raster of the user's, to make land by example of."""

    source: Source
    area: Polygons | None = Field(None, description="The part of the raster that is meant; left out: all.")
    words: str = Field(
        "", max_length=200, description="What it shows, such as `forest`; left out: all that is asked for."
    )
    bands: Bands = None
    stretch: Stretch = None


Samples = Annotated[
    Annotated[list[Sample], Field(min_length=1, max_length=8)] | None,
    Field(
        description="Areas of own rasters that show how land by example is to look, used instead of the "
        "bank's images."
    ),
]


class GenerateInputs(Value):
    """Inputs of the process ``generate``. What is left out, the model card or the backend chooses."""

    prompt: str
    extent: Extent
    gsd: FiniteFloat | None = Field(
        None, gt=0, description="Ground metres per pixel; left out, that of `align` or the model's best."
    )
    negative_prompt: str = ""
    crs: str | None = Field(None, max_length=20_000, description="CRS of the result.")
    project_crs: str | None = Field(
        None, max_length=20_000, description="Taken as `crs` if it is metric and true to scale here."
    )
    align: Align | None = None
    canvas: Literal["extent", "ground"] | Box = "extent"
    seed: Seed | None = None
    steps: Steps | None = None
    sampler: Sampler | None = None
    guidance: Guidance | None = None
    model: ModelId | None = None
    variants: Variants = 1
    record_prompt: RecordPrompt = True
    regions: PromptPolygons = None
    layout: Layout = None
    joins: Joins | None = Field(None, description="An earlier scene that this one continues.")
    samples: Samples = None
    start: Start = "noise"
    start_strength: Strength = 0.7


class EditInputs(Value):
    """Inputs of the process ``edit``. What is left out, the model card or the backend chooses."""

    prompt: str
    source: Source
    mask: Upload | Polygons = Field(
        description="What may change: polygons, or a raster (as `source`) that is above zero there."
    )
    negative_prompt: str = ""
    bands: Bands = None
    stretch: Stretch = None
    extra_bands: Literal["match", "keep", "drop"] = Field(
        "match", description="Other bands in the mask: borrowed from similar pixels, left alone, or left out."
    )
    feather: FiniteFloat | None = Field(
        None, ge=0, description="Ground metres over which the mask's inside fades in; left out: 6 pixels."
    )
    grow: FiniteFloat = Field(0.0, ge=0, description="Ground metres by which the mask grows first.")
    strength: FiniteFloat = Field(
        1.0, gt=0, le=1, description="1 paints anew from noise; less keeps more of what was there."
    )
    seed: Seed | None = None
    steps: Steps | None = None
    sampler: Sampler | None = None
    guidance: Guidance | None = None
    model: ModelId | None = None
    variants: Variants = 1
    record_prompt: RecordPrompt = True
    samples: Samples = None
    layout: Layout = None


class ExtendInputs(Value):
    """Inputs of the process ``extend``. What is left out, the model card or the backend chooses."""

    prompt: str
    source: Source
    extent: Extent = Field(description="The land that the raster is to cover besides what it has.")
    negative_prompt: str = ""
    fill_holes: bool = Field(False, description="Make pixels in the extent that have no value, too.")
    bands: Bands = None
    stretch: Stretch = None
    extra_bands: Literal["match", "drop"] = Field(
        "match", description="Other bands of new land: borrowed from similar pixels, or left out."
    )
    seed: Seed | None = None
    steps: Steps | None = None
    sampler: Sampler | None = None
    guidance: Guidance | None = None
    model: ModelId | None = None
    variants: Variants = 1
    record_prompt: RecordPrompt = True
    regions: PromptPolygons = None
    samples: Samples = None
    layout: Layout = None


class PlanInputs(Value):
    """Inputs of the process ``plan``: the inputs of another process."""

    process: Literal["generate", "edit", "extend"]
    inputs: dict[str, Any]
    raster: UnsentRaster | None = Field(
        None,
        description="In place of the `source` of the inputs, before it is sent: what depends on its values "
        "is then not said.",
    )
    outputs: dict[str, dict[str, Any]] | None = Field(
        None, description="Those that are wanted; left out, the usual ones."
    )


class ReadInputs(Value):
    """Inputs of the process ``read``."""

    prompt: str
    model: ModelId | None = Field(None, description="Whose words count; left out, the default model's.")


class EchoInputs(Value):
    """Inputs of the process ``echo``, which exists for conformance tests and connection checks."""

    message: str = Field("", max_length=10_000)
    pause: Annotated[int, Field(ge=0, le=60)] = 0


class OutputGrid(Value):
    """The grid of the file where it is not the frame's own: pixels are resampled once."""

    crs: str
    transform: Annotated[list[FiniteFloat], Field(min_length=6, max_length=6)] = Field(
        description="Affine a, b, c, d, e, f as in rasterio."
    )
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]


class EditRecipe(Value):
    """What determines the pixels of an edit, or of an extension, besides the model's part.

    Grid and canvas of the recipe are where it paints.
    """

    source: str = Field(description="SHA-256 of the raster, as this backend stored it.")
    mask: str = Field(description="SHA-256 of the mask's box and pixels, grown.")
    bands: list[int]
    stretch: list[list[float]] = Field(description="Per visible band the values shown black and white.")
    extra_bands: Literal["match", "keep", "drop"]
    feather: float = Field(description="Ground metres.")
    strength: float


class Region(Value):
    """A part of the frame with prompts of its own, where no later region lies over it."""

    prompt: str
    negative_prompt: str
    rings: list[list[int]] = Field(
        description="Column, row, column, row, ... of the corners of every ring, in sixteenths of a pixel of "
        "the frame; inside is what an odd number of rings surrounds."
    )


class Recipe(Value):
    """All that determines the pixels of one scene. Holds no paths, hosts or tokens."""

    engine: int = ENGINE_VERSION
    process: Literal["generate", "edit", "extend"] = "generate"
    model: str
    revision: str = Field(description="Pinned revision or weights hash of the model.")
    prompt: str
    negative_prompt: str
    frame: Frame
    grid: Box = Field(description="The pixels of the frame that are wanted.")
    canvas: Literal["ground"] | Box
    level: int | None = Field(description="Resolution class given to the model; null: it has none.")
    seed: Seed
    steps: int
    sampler: Sampler
    guidance: float
    resampled: OutputGrid | None = None
    edit: EditRecipe | None = None
    regions: list[Region] | None = Field(None, description="In the order in which they cover each other.")
    layout: list[LaidOut] | None = Field(None, description="In the order in which they cover each other.")
    land_cover: LaidRaster | None = Field(None, description="A raster of classes, under the layout.")
    examples: ExampleRecipe | None = Field(None, description="Of land by example.")
    start: StartRecipe | None = Field(None, description="Of a diffusion model that begins with such land.")

    @model_serializer(mode="wrap")
    def _plain(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not there, so that recipes from before it existed keep their bytes."""
        members: dict[str, Any] = dump(self)
        for name in ("regions", "layout", "land_cover", "examples", "start"):
            if getattr(self, name) is None:
                members.pop(name, None)
        return members

    @property
    def canvas_box(self) -> Box | None:
        """The canvas in pixels of the frame; None is the ground, which has no end."""
        return None if self.canvas == "ground" else self.canvas

    @property
    def is_laid_out(self) -> bool:
        """Whether a layout says what lies where."""
        return bool(self.layout or self.land_cover)

    def variant(self, number: int) -> Recipe:
        """Return the recipe of another variant, counted from 0: the same with a seed of its own."""
        return self.model_copy(update={"seed": self.seed + number})

    def canonical(self) -> str:
        """Return the canonical JSON: sorted keys, no spaces, so that equal recipes are equal bytes."""
        return json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def digest(self) -> str:
        """Return the SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()


class GroundSampleDistance(Value):
    """Ground metres per pixel at the centre of a grid, along its columns' and rows' direction."""

    x: float
    y: float


class Plan(Value):
    """What a request comes to, before it is run."""

    recipe: Recipe = Field(description="Recipe of the first variant; variant i has seed + i.")
    variants: int
    crs: str = Field(description="CRS of the file: authority code, else WKT2.")
    crs_name: str
    width: int
    height: int
    transform: list[float] = Field(description="Affine a, b, c, d, e, f of the file.")
    bbox: list[float] = Field(description="Of the file, in its CRS: minx, miny, maxx, maxy.")
    gsd: GroundSampleDistance
    level: int | None
    windows: int = Field(description="Windows of all phases, one variant.")
    window_evaluations: float | None = Field(
        None,
        description="UNet evaluations of a window per step, mean: more where regions meet, one where guidance"
        " has stopped.",
    )
    evaluations: int = Field(description="UNet evaluations of samples, all variants.")
    seconds: float | None = Field(description="Estimate from this backend's measured rate.")
    bytes: int = Field(description="Disk reserved: staging, file and previews.")
    sources: bool = Field(False, description="Whether a raster says what every pixel was copied from.")
    understood: list[str] = Field([], description="What was understood, of land by example and layouts.")
    warnings: list[str] = Field(description="Sentences for the user.")
