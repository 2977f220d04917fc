"""The model card: everything about a model that the engine, the planner and the user must know.

A model folder is an ordinary diffusers folder plus ``text2earth.json``, the card. A folder without one (a
Text2Earth or Stable Diffusion 2 checkpoint as its authors publish it) gets a card derived from its configs.
A bank of example images (``models.banks``) has a card as well: it is listed, chosen and planned like a model.
Knows file names and JSON; loads no weights and needs no torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from model_backend.errors import ModelUnavailable
from model_backend.models.banks.index import INDEX
from model_backend.schemas import Box, Frame, Recipe, Sampler

CARD_FILE = "text2earth.json"
_MODEL_INDEX = "model_index.json"
NO_LEVEL = 0  # what the model is given where the level is unknown, and in the unconditional half

Rgb = tuple[float, float, float]
DeviceKind = Literal["cpu", "cuda", "mps"]
DType = Literal["float32", "float16", "bfloat16"]
DecodeFormat = Literal["float32", "tf32", "float16", "bfloat16"]

#: The frame of scenes that are only measured or learned from: pixels of 1 m.
NOWHERE = Frame(crs="EPSG:32632", pixel_size=["1", "1"], anchor=[500_000, 5_200_000])

# Least-squares fit of decoded RGB to the scaled latents of Stable Diffusion's f8 autoencoder, published at
# discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204 (four latents -> RGB in [-1, 1]).
SD_LATENT_RGB: tuple[Rgb, ...] = (
    (0.298, 0.207, 0.208),
    (0.187, 0.286, 0.173),
    (-0.158, 0.189, 0.264),
    (-0.184, -0.271, -0.473),
)


#: Text2Earth's UNet is published and run by its authors in half precision.
TEXT2EARTH_DTYPE: dict[DeviceKind, DType] = {"cuda": "float16"}
#: Its autoencoder, Stable Diffusion's, is decoded with what a GPU is fast at, if pictures stay the same.
TEXT2EARTH_DECODE: dict[DeviceKind, DecodeFormat] = {"cuda": "tf32"}


class CardValue(BaseModel):
    """Base of the card's parts: frozen, no unknown members."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EngineParameters(CardValue):
    """How this model is laid over a canvas; all lengths in latents."""

    window: Annotated[int, Field(ge=4)] = 32
    stride: Annotated[int, Field(ge=2)] = 24
    boundaries: tuple[float, ...] = Field(
        (840, 680, 480),
        description="Training timesteps at which neighbouring windows are blended, descending.",
    )
    guidance_cutoff: Annotated[float, Field(ge=0)] = Field(
        0, description="Training timestep below which guidance stops; 0: it never does."
    )
    decode_window: Annotated[int, Field(ge=1)] = 104
    decode_core: Annotated[int, Field(ge=1)] = 64
    decode_halo: Annotated[int, Field(ge=0)] = 20
    decode_fade: Annotated[int, Field(ge=0)] = 4
    decode_whole: Annotated[int, Field(ge=0)] = Field(
        0, description="Side of a canvas that is still decoded in one piece; at least decode_window."
    )
    batch: Annotated[int, Field(ge=1)] = Field(
        8, description="Most windows per UNet call; guidance doubles its samples."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.window / 2 <= self.stride <= self.window:
            raise ValueError("stride must lie between half a window and a window")
        if list(self.boundaries) != sorted(set(self.boundaries), reverse=True):
            raise ValueError("boundaries must descend")
        if self.decode_window != self.decode_core + 2 * self.decode_halo:
            raise ValueError("decode_window must be decode_core + 2 decode_halo")
        if self.decode_fade % 2 or self.decode_fade > min(2 * self.decode_halo, self.decode_core):
            raise ValueError("decode_fade must be even, at most twice the halo, and at most the core")
        return self


class FileSum(CardValue):
    """Checksum of one file of the model folder."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)] | None = None


class ModelCard(CardValue):
    """One model: identity, shape, what may be asked of it, engine parameters, licence, checksums."""

    id: Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9._-]+$")]
    title: str
    about: str = Field("", description="What it makes well and what not, for users, in a sentence or two.")
    pipeline: Literal["text2image", "inpaint", "examples", "surroundings"] = "text2image"
    vae_factor: Annotated[int, Field(ge=1)] = Field(8, description="Pixels per latent, per axis.")
    latent_channels: Annotated[int, Field(ge=1, le=4)] = 4
    levels: tuple[int, ...] | None = Field(
        None, description="Resolution classes it was trained on; null: it has no level input."
    )
    gsd: tuple[float, float] = Field(
        description="Finest and coarsest ground metres per pixel it may be asked for."
    )
    sampler: Sampler = "dpm++2m"
    steps: dict[Sampler, int] = {"dpm++2m": 20, "euler": 50}
    guidance: Annotated[float, Field(ge=1)] = 4.0
    engine: EngineParameters = EngineParameters()
    latent_rgb: tuple[Rgb, ...] = Field(SD_LATENT_RGB, description="Preview: latents -> RGB in [-1, 1].")
    latent_rgb_bias: Rgb = (0.0, 0.0, 0.0)
    dtype: dict[DeviceKind, DType] = Field(
        {}, description="Number format of the UNet by kind of device; else what the device does well."
    )
    decode: dict[DeviceKind, DecodeFormat] = Field(
        {},
        description="Number format of decoding by kind of device, if pictures stay the same; else float32.",
    )
    unit_seconds: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Seconds that a unit of its work usually takes, until they are measured here."
    )
    licence: str = "unknown"
    licence_url: str | None = None
    non_commercial: bool = True
    attribution: str = ""
    notice: str = Field("", description="What a user must read and accept before the download.")
    words: tuple[str, ...] | None = Field(None, description="Words of its captions; null: open vocabulary.")
    repo: str | None = Field(None, description="Where `models pull` finds it on the hub.")
    bytes: Annotated[int, Field(ge=0)] | None = Field(None, description="About what a pull of it fetches.")
    revision: str | None = Field(None, description="Commit hash on the hub.")
    known_revisions: tuple[str, ...] = Field(
        (), description="First digits of the commits that this version knows; a pull of another one warns."
    )
    files: dict[str, FileSum] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not 0 < self.gsd[0] < self.gsd[1]:
            raise ValueError("gsd must be (finest, coarsest), both positive")
        if len(self.latent_rgb) != self.latent_channels:
            raise ValueError("latent_rgb needs one row per latent channel")
        if set(self.steps) != set(get_args(Sampler)):
            raise ValueError("steps must name every sampler")
        return self

    @property
    def by_example(self) -> bool:
        """Whether scenes are made of example images, and not by a network."""
        return self.pipeline == "examples"

    @property
    def copies(self) -> bool:
        """Whether pixels are copied from real images, so that rasters are worked on as they are."""
        return self.pipeline in ("examples", "surroundings")

    @property
    def revision_or_hash(self) -> str:
        """What goes into ``Recipe.revision``: the pinned commit, else a hash over the files' checksums."""
        return self.revision or self.weights_hash

    def unfamiliar(self, revision: str | None) -> str:
        """Return a sentence if a commit on the hub is none that this version knows, else empty."""
        if not revision or not self.known_revisions or revision.startswith(self.known_revisions):
            return ""
        return (
            f"Note: this version knows {self.repo} at commit {' or '.join(self.known_revisions)}; this is "
            f"{revision[:7]}. Its files may be others; what the card pins is checked all the same."
        )

    @property
    def weights_hash(self) -> str:
        """``sha256:`` + the digest over all names and checksums of ``files``."""
        listing = "".join(f"{self.files[name].sha256}  {name}\n" for name in sorted(self.files))
        return "sha256:" + hashlib.sha256(listing.encode()).hexdigest()

    def recipe(self, prompt: str, level: int | None, seed: int, canvas: Box) -> Recipe:
        """Return a recipe by the card's defaults on a frame that is nowhere, as measurements need them."""
        return Recipe(
            model=self.id,
            revision=self.revision_or_hash,
            prompt=prompt,
            negative_prompt="",
            frame=NOWHERE,
            grid=canvas,
            canvas=canvas,
            level=level,
            seed=seed,
            steps=self.steps[self.sampler],
            sampler=self.sampler,
            guidance=self.guidance,
        )

    def write(self, folder: Path) -> None:
        """Write the card into its model folder."""
        text = json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False)
        (folder / CARD_FILE).write_text(text + "\n", encoding="utf-8")


#: What fills a mask from the raster itself, where a request has no prompt. No model, so it is not listed.
SURROUNDINGS = ModelCard(
    id="surroundings",
    title="rearranged pixels of the raster itself",
    pipeline="surroundings",
    vae_factor=1,
    gsd=(1e-9, 1e9),
    unit_seconds=0.15,
    licence="that of the raster",
    non_commercial=False,
    words=(),
)


def is_model_folder(folder: Path) -> bool:
    """Say whether a folder looks like a model of diffusers, or like a bank of example images."""
    return any((folder / name).is_file() for name in (_MODEL_INDEX, INDEX))


def read_card(folder: Path) -> ModelCard:
    """Return the card of a model folder, with the checksums of its files filled in where it lists none.

    Raises ModelUnavailable if the folder is no model folder, or its card is not valid.
    """
    if not is_model_folder(folder):
        raise ModelUnavailable(f"{folder.name} is not a model folder: it has no {_MODEL_INDEX}.")
    card = stored_card(folder) or card_from_folder(folder)
    return card if card.files else card.model_copy(update={"files": checksums(folder)})


def stored_card(folder: Path) -> ModelCard | None:
    """Return the card that lies in a model folder, None if none does; ModelUnavailable if it is not valid."""
    path = folder / CARD_FILE
    if not path.is_file():
        return None
    with _sentences(folder):
        return ModelCard.model_validate_json(path.read_bytes())


def card_from_folder(folder: Path) -> ModelCard:
    """Derive a card from the configs of a Text2Earth-shaped or plain Stable Diffusion 2 folder."""
    if not (folder / _MODEL_INDEX).is_file():
        raise ModelUnavailable(f"The example images in {folder.name} have no card: {CARD_FILE} is missing.")
    unet, vae = (_config(folder / part / "config.json") for part in ("unet", "vae"))
    has_level = unet.get("class_embed_type") == "timestep"
    inpaint = unet.get("in_channels") == 9
    blocks = vae.get("decoder_block_out_channels") or vae.get("block_out_channels") or []
    # Text2Earth keeps the sample_size of its base model, 64, but was trained and is used at 32 x 32 latents.
    window = 32 if has_level else int(unet.get("sample_size") or 64)
    with _sentences(folder):
        return ModelCard(
            id="".join(
                c if (c.isascii() and c.isalnum()) or c in "._-" else "-" for c in folder.resolve().name
            )[:100],
            title=folder.resolve().name,
            pipeline="inpaint" if inpaint else "text2image",
            vae_factor=2 ** max(len(blocks) - 1, 0),
            latent_channels=int(vae.get("latent_channels", 4)),
            levels=tuple(range(10, 19)) if has_level else None,
            gsd=(0.354, 181.0) if has_level else (0.05, 200.0),
            guidance=(3.5 if inpaint else 4.0) if has_level else 7.5,
            engine=EngineParameters(window=window, stride=window * 3 // 4),
            dtype=TEXT2EARTH_DTYPE if has_level else {},
            decode=TEXT2EARTH_DECODE if has_level else {},
        )


@contextmanager
def _sentences(folder: Path) -> Iterator[None]:
    """Turn what pydantic finds wrong with a card into a sentence."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ModelUnavailable(f"The card of {folder.name} is not valid: {where}: {first['msg']}.") from error


def checksums(folder: Path) -> dict[str, FileSum]:
    """Return size and SHA-256 of every file of a model folder that pixels depend on."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if (
            path.is_file()
            and not hidden
            and path.suffix in (".json", ".safetensors", ".txt", ".zip")
            and name != CARD_FILE
        ):
            stat = path.stat()
            found[name] = FileSum(sha256=_sha256(path, stat.st_size, stat.st_mtime_ns), size=stat.st_size)
    return found


@lru_cache(maxsize=1024)
def _sha256(path: Path, _size: int, _mtime_ns: int) -> str:
    # Size and time are in the key so that a file of gigabytes is read once, and again when it changed.
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _config(path: Path) -> dict[str, Any]:
    name = f"{path.parent.name}/{path.name}"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"The model's {name} cannot be read: {error}") from error
    return config if isinstance(config, dict) else {}
