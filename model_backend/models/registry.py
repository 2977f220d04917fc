"""Which models there are, and where.

Looks in three places: the models folder of the data directory (what ``models pull`` fetched), the models
bundled with the checkout or the wheel, and a list of known models that can be pulled. Requests name models by
id, never by path; only an administrator may set a folder, as the default model. Loads no weights and needs no
torch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Lock

from model_backend.errors import ModelUnavailable
from model_backend.models.card import (
    CARD_FILE,
    SURROUNDINGS,
    TEXT2EARTH_DECODE,
    TEXT2EARTH_DTYPE,
    DType,
    FileSum,
    ModelCard,
    is_model_folder,
    read_card,
)
from model_backend.models.gpu import gpu_expected
from model_backend.models.prompt_tokens import PromptTokens
from model_backend.models.schedule import Schedule, read_schedule
from model_backend.models.weights import loaded_bytes
from model_backend.settings import AUTOMATIC, Settings

_PACKAGE = Path(__file__).resolve().parents[1]
BUNDLED = (
    _PACKAGE.parent / "resources" / "models",
    _PACKAGE.parent / "resources" / "banks",
    _PACKAGE / "_bundled",
)
BY_EXAMPLE, MINI = "open-land", "text2earth-mini"  # the bank and the model that come with us

_TEXT2EARTH_NOTICE = """\
Text2Earth (Chenyang Liu et al., arXiv 2501.00895): what its parts say about their licence.
  Weights      the hub card of {repo} {card_says}.
  Base model   the weights are derived from {base}, whose CreativeML Open RAIL++-M licence
               passes its use restrictions on to derivatives.
  Code         the authors' README allows academic use only; its LICENSE file says Apache-2.0.
  Training     Git-10M is CC-BY-NC-ND-4.0; its imagery is Google Earth tiles.
The prudent reading is research, non-commercial use only. This is not legal advice.
No commit of this repository is pinned here: the first download takes the newest one and records its hash and
the SHA-256 of every file in the model folder. `models verify` holds the files to that from then on."""

_DRAWS = "Draws scenes of any kind in any words, at 0.5 to 128 m; cannot edit or extend a raster."
_REPAINTS = "Edits and extends rasters, and draws scenes, in any words, at 0.5 to 128 m."


def _text2earth(inpaint: bool) -> ModelCard:
    repo = "lcybuaa/Text2Earth" + ("-inpainting" if inpaint else "")
    notice = _TEXT2EARTH_NOTICE.format(
        repo=repo,
        card_says="names no licence that we could confirm" if inpaint else "says Apache-2.0",
        base="Stable Diffusion 2 inpainting" if inpaint else "Stable Diffusion 2 base",
    )
    return ModelCard(
        id="text2earth-inpainting" if inpaint else "text2earth",
        title="Text2Earth inpainting (1.3 B)" if inpaint else "Text2Earth (1.3 B)",
        about=(_REPAINTS if inpaint else _DRAWS)
        + " Needs a GPU: a processor takes a minute or more for 256 pixels.",
        pipeline="inpaint" if inpaint else "text2image",
        levels=tuple(range(10, 19)),
        gsd=(0.354, 181.0),  # half a level beyond 0.5 m (level 18) and 128 m (level 10)
        guidance=3.5 if inpaint else 4.0,
        dtype=TEXT2EARTH_DTYPE,
        decode=TEXT2EARTH_DECODE,
        licence="CreativeML Open RAIL++-M (base model); research use",
        licence_url="https://huggingface.co/" + repo,
        non_commercial=True,
        attribution="Text2Earth, Liu et al., IEEE GRSM 2025, arXiv 2501.00895",
        notice=notice,
        repo=repo,
        bytes=3_440_000_000,
        known_revisions=() if inpaint else ("3754e38", "96226bb"),
        # The hub shows this checksum on the file's page. It is the only one we could see; sizes are not shown
        # exactly.
        files={}
        if inpaint
        else {
            "unet/diffusion_pytorch_model.safetensors": FileSum(
                sha256="3f2228d1917595534b8789c404238b937fc64e672ee8bd4ddcdb1a3044e04b5e"
            )
        },
    )


KNOWN = (
    ModelCard(
        id=MINI,
        title="Text2Earth mini",
        levels=tuple(range(10, 19)),
        gsd=(0.354, 181.0),
        licence="see the model's own card",
    ),
    _text2earth(inpaint=False),
    _text2earth(inpaint=True),
)


@dataclass(frozen=True)
class Entry:
    """A model, and its folder if it is installed."""

    card: ModelCard
    folder: Path | None

    def require(self) -> Path:
        """Return the folder, or raise ModelUnavailable with a sentence that says how to get the model."""
        if self.folder is not None:
            return self.folder
        if self.card.repo:
            how = f"Get it with: python -m model_backend models pull {self.card.id}"
        else:
            how = "A release brings it; until then set TEXT2EARTH_MODEL to another model or a model folder."
        raise ModelUnavailable(f"The model {self.card.id} is not installed. {how}")

    @cached_property
    def bytes(self) -> int | None:
        """Bytes on disk; of a model that is not installed about what a pull fetches, None if unknown."""
        if self.folder is None:
            return self.card.bytes
        return sum(size for _, size, _ in _stamps(self.folder))

    @cached_property
    def memory(self) -> dict[DType, int] | None:
        """Bytes that installed weights take once loaded, by the UNet's format; None of what has none."""
        if self.folder is None or self.card.copies:
            return None
        return {"float32": loaded_bytes(self.folder, 4), "float16": loaded_bytes(self.folder, 2)}

    @cached_property
    def tokens(self) -> PromptTokens:
        """Tokenizer, which tells what of a prompt is read; ModelUnavailable if not installed."""
        return PromptTokens.of(self.require())

    @cached_property
    def schedule(self) -> Schedule:
        """Noise schedule, which the planner needs to count steps; ModelUnavailable if not installed."""
        return read_schedule(self.require())


@dataclass(frozen=True)
class _Models:
    """What was found at one time: models by id, those that cannot be read, the default one's id."""

    entries: dict[str, Entry]
    broken: dict[str, ModelUnavailable]
    default_id: str


_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class Registry:
    """The models of one backend; one that comes, changes or goes is noticed at the next question."""

    def __init__(self, settings: Settings) -> None:
        """Read all cards; ModelUnavailable if what was set as the default model is none."""
        self._settings = settings
        self._lock = Lock()
        self._found: tuple[frozenset[_Stamp], _Models] | None = None
        models = self._models()
        if models.default_id not in models.broken:
            self.get(models.default_id)

    @property
    def default_id(self) -> str:
        """The id of the default model, which may not be installed."""
        return self._models().default_id

    def get(self, model_id: str) -> Entry:
        """Return a model by id, installed or not.

        Raises ModelUnavailable if there is none of that id, or its folder is broken.
        """
        if model_id == SURROUNDINGS.id:
            return Entry(SURROUNDINGS, None)
        models = self._models()
        if model_id in models.broken:
            raise models.broken[model_id]
        if model_id not in models.entries:
            known = ", ".join(sorted(models.entries))
            raise ModelUnavailable(f"There is no model {model_id!r} here. Known models: {known}.")
        return models.entries[model_id]

    def default(self) -> Entry:
        """Return the model that is used where a request names none."""
        return self.get(self.default_id)

    def all(self) -> list[Entry]:
        """Return all models, by id."""
        entries = self._models().entries
        return [entries[model_id] for model_id in sorted(entries)]

    def _models(self) -> _Models:
        """Return what is there now: read anew only if a file of a model is another than before."""
        with self._lock:
            default = _default_folder(self._settings)
            folders = [*_folders(self._settings), *([default] if default else [])]
            stamps = frozenset(stamp for folder in folders for stamp in _stamps(folder))
            if self._found is None or self._found[0] != stamps:
                self._found = stamps, _read(self._settings)
            return self._found[1]


_Stamp = tuple[str, int, int]  # path, size in bytes, time of the last change in nanoseconds


def _folders(settings: Settings) -> list[Path]:
    """Return the folders that are models: later ones hide earlier ones of the same name."""
    places = (*BUNDLED, models_dir(settings))
    folders = [folder for place in places for folder in sorted(place.glob("[!.]*"))]
    return [folder for folder in folders if is_model_folder(folder)]


def _default_folder(settings: Settings) -> Path | None:
    """Return the folder that was set as the default model; None: it was set by its id.

    Raises ModelUnavailable, which says what to set instead, if it is no folder of a model.
    """
    folder = Path(settings.model).expanduser()
    looks_like_path = folder.is_absolute() or len(folder.parts) > 1
    if not (looks_like_path or (folder / CARD_FILE).is_file() or (folder / "model_index.json").is_file()):
        return None
    if not folder.exists():
        known = [card.id for card in KNOWN if card.repo == settings.model]
        if known:
            how = f"It is {known[0]} here: pull it (models pull {known[0]}) and set the model to that id."
        elif _HUB_ID.fullmatch(settings.model):
            how = "If it is a model on a hub, download its folder first and set the model to that."
        else:
            how = "Set the model to a folder that exists, or to an id of `models list`."
        raise ModelUnavailable(f"There is no model folder {settings.model}. {how}")
    if folder.is_file():
        raise ModelUnavailable(
            f"{settings.model} is a file; a model is a folder with a model_index.json. A single file is made "
            "one by diffusers: StableDiffusionPipeline.from_single_file(FILE).save_pretrained(FOLDER)."
        )
    if not is_model_folder(folder):
        inside = sorted([*folder.glob("*/model_index.json"), *folder.glob("snapshots/*/model_index.json")])
        hint = f"Did you mean {inside[0].parent}?" if inside else "Set the model to a folder that has one."
        raise ModelUnavailable(f"{settings.model} is not a model folder: it has no model_index.json. {hint}")
    return folder


def _stamps(folder: Path) -> Iterator[_Stamp]:
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            with suppress(FileNotFoundError):  # it goes as we look
                stat = os.stat(path)
                yield path, stat.st_size, stat.st_mtime_ns


def _read(settings: Settings) -> _Models:
    """Read all cards. A broken model folder is reported only when that model is asked for."""
    models = _Models({card.id: Entry(card, None) for card in KNOWN}, {}, settings.model)
    for folder in _folders(settings):
        _add(folder, models)
    if settings.model == AUTOMATIC:
        return replace(models, default_id=_automatic(models.entries, settings))
    default = _default_folder(settings)
    if default is None:
        return models
    entry = Entry(read_card(default), default)
    models.entries[entry.card.id] = entry
    return replace(models, default_id=entry.card.id)


def _automatic(entries: dict[str, Entry], settings: Settings) -> str:
    """Return the default model where none was set: Text2Earth if it was pulled and a GPU is there."""
    ids = ("text2earth", "text2earth-inpainting") if gpu_expected(settings.device) else ()
    ids = (*ids, BY_EXAMPLE, MINI)
    return next(id for id in ids if id == MINI or (id in entries and entries[id].folder is not None))


def _add(folder: Path, models: _Models) -> None:
    try:
        card = read_card(folder)
    except ModelUnavailable as error:
        models.broken[folder.name] = error
        return
    # A folder in the models directory is addressed by its name, so that two copies cannot hide each other.
    card = card if card.id == folder.name else card.model_copy(update={"id": folder.name})
    models.entries[card.id] = Entry(card, folder)


def models_dir(settings: Settings) -> Path:
    """Return the folder that pulled models live in, one folder per id."""
    return settings.data_dir / "models"
