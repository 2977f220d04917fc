"""The files of a bank: an index with a line for every image, a zip of the images, a list of sources.

The same content is the same bytes: names are sorted, days are fixed. Knows formats, chooses nothing.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

from PIL import Image

from model_backend.arrays import UInt8Array
from model_backend.models.banks.bank import IMAGES
from model_backend.models.banks.index import INDEX
from model_backend.training.bank.originals import Source

ATTRIBUTION = "ATTRIBUTION.md"
_DAY = (1980, 1, 1, 0, 0, 0)
_HEAD = """# Sources of the example images

Every image of `chips.zip` names its source by this key in `chips.json`. Images are the originals, byte for
byte; labels were drawn over them, or made from the forest masks and crop maps that come with them.

"""


def write(
    out: Path, index: Mapping[str, object], files: Mapping[str, bytes], sources: Sequence[Source]
) -> None:
    """Write all files of a bank into its folder."""
    out.mkdir(parents=True, exist_ok=True)
    (out / INDEX).write_text(_json(index), encoding="utf-8")
    with zipfile.ZipFile(out / IMAGES, "w", zipfile.ZIP_STORED) as images:
        for name in sorted(files):
            images.writestr(zipfile.ZipInfo(name, _DAY), files[name])
    lines = [
        fill(f"- `{one.key}`: {one.attribution}.", 110, subsequent_indent="  ") + "\n" for one in sources
    ]
    (out / ATTRIBUTION).write_text(_HEAD + "".join(lines), encoding="utf-8")


def png(labels: UInt8Array) -> bytes:
    """Encode labels as a grey PNG."""
    out = io.BytesIO()
    Image.fromarray(labels).save(out, "PNG", compress_level=9)
    return out.getvalue()


def _json(index: Mapping[str, object]) -> str:
    """Write an index with one line for every image."""
    parts = []
    for name, value in index.items():
        if isinstance(value, list):
            rows = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in value)
            parts.append(f'"{name}": [\n{rows}\n ]')
        else:
            parts.append(f'"{name}": {json.dumps(value)}')
    return "{\n " + ",\n ".join(parts) + "\n}\n"
