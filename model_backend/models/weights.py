"""Weight files looked at before they are loaded, so that what is wrong with them is a sentence.

A safetensors file begins with the length of its header, which says how long the file must be: downloads that
stopped, web pages and pointers of Git LFS are told by that. Only names and headers are read. Needs no torch.
"""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

from model_backend.errors import ModelUnavailable

WEIGHTED_PARTS = ("unet", "vae", "text_encoder")  # of a model folder
_NAME = {"text_encoder": "model"}  # of the files of weights that are read, whole or in numbered pieces
_PICKLES = {".bin", ".ckpt", ".pt", ".pth"}
_HEADER_MOST = 100_000_000  # bytes; longer ones are refused by the format itself
_AGAIN = "Get the file again"


def check_weights(folder: Path, part: str) -> None:
    """Refuse a part of a model folder whose weights are missing, not safetensors, or damaged."""
    name = _NAME.get(part, "diffusion_pytorch_model")
    files = sorted((folder / part).glob(f"{name}*.safetensors"))
    if not files:
        suffixes = {path.suffix for path in (folder / part).glob("*")}
        if suffixes & _PICKLES:
            how = (
                "only as a pickle, which could run any code when it is read; convert it to safetensors first"
            )
        else:
            how = f"not at all: there is no {part}/{name}.safetensors; get the model anew"
        raise ModelUnavailable(f"The model folder {folder.name} holds the weights of its {part} {how}.")
    if all(variant_of(path.name) for path in files):
        wanted = files[0].name.replace(f".{variant_of(files[0].name)}.", ".")
        raise ModelUnavailable(
            f"The model folder {folder.name} holds the weights of its {part} only as {files[0].name}. "
            f"Rename it to {wanted}; the same goes for other files with this ending."
        )
    for path in files:
        if not variant_of(path.name) and (fault := _fault(path)):
            raise ModelUnavailable(f"The file {part}/{path.name} of {folder.name} {fault}")


def loaded_bytes(folder: Path, unet: int) -> int:
    """Return the bytes that the weights of a model folder take once loaded.

    ``unet`` are those of a number of its UNet; the others are loaded in float32, whatever their files have.
    """
    return sum(_numbers(folder, part) * (unet if part == "unet" else 4) for part in WEIGHTED_PARTS)


def is_page(begin: bytes) -> bool:
    """Say whether a file that begins so is a web page."""
    return begin.lstrip().lower().startswith((b"<!doctype", b"<html"))


def variant_of(name: str) -> str:
    """Return the variant that a weight file is, such as fp16, empty if it is the plain one."""
    return name.rsplit("/", 1)[-1].split(".")[1] if name.count(".") > 1 else ""


def _numbers(folder: Path, part: str) -> int:
    """Return of how many numbers the weights of a part are, by the headers of its files.

    Damaged files count nothing: `check_weights` tells of them.
    """
    name = _NAME.get(part, "diffusion_pytorch_model")
    count = 0
    for path in (folder / part).glob(f"{name}*.safetensors"):
        if variant_of(path.name) or _fault(path):
            continue
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        count += sum(prod(entry["shape"]) for tensor, entry in header.items() if tensor != "__metadata__")
    return count


def _fault(path: Path) -> str:
    """Say what is wrong with a safetensors file, empty if it is whole."""
    size = path.stat().st_size
    with path.open("rb") as file:
        begin = file.read(64)
        if not begin:
            return f"is empty. {_AGAIN}."
        if begin.startswith(b"version https://git-lfs"):
            return 'is a pointer of Git LFS, not the file itself. Fetch it with "git lfs pull".'
        if is_page(begin):
            return f"is a web page. {_AGAIN}; a portal may ask for a login first."
        length = int.from_bytes(begin[:8], "little")
        if length > min(_HEADER_MOST, size):
            return f"is no safetensors file, or cut off. {_AGAIN}."
        file.seek(8)
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            expected = 8 + length + int(max(ends, default=0))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return f"is no safetensors file. {_AGAIN}."
    if size != expected:
        return f"has {size:,} bytes instead of {expected:,}: a download that stopped? {_AGAIN}."
    return ""
