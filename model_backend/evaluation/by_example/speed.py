"""What a scene by example takes: wall time, processor time of this process, and memory.

Scenes are made block by block as a job makes them, in one thread; compiling is done before. The peak is that
of the resident memory above what was there once the images were chosen, where the system counts it (Linux).
"""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Any

from model_backend.engine.blocks import Blocks
from model_backend.engine.synthesis.warm_up import warm_up
from model_backend.evaluation.by_example.scenes import Maker
from model_backend.evaluation.reports import load
from model_backend.schemas import Box

Figures = dict[str, Any]

BLOCK = 1024  # pixels of a block's side
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def measure(maker: Maker, sides: tuple[int, ...], prompt: str, gsd: float) -> list[Figures]:
    """Make a scene of every size."""
    warm_up()
    rows = []
    for side in sides:
        rows.append(_one(maker, side, prompt, gsd))
        print("speed:", rows[-1], flush=True)
    return rows


def _one(maker: Maker, side: int, prompt: str, gsd: float) -> Figures:
    wall, processor = time.perf_counter(), time.process_time()
    scene = maker.scene(prompt, gsd, side, seed=5)
    chosen = time.process_time() - processor
    before = _begin_peak()
    blocks = Blocks.cut(Box(col=0, row=0, width=side, height=side), BLOCK)
    for number, block in enumerate(blocks):
        scene.pixels(block, maker.silent)
        if (rest := blocks.rest(number + 1)) is not None:
            scene.keep(rest)
    peak = _resident("VmHWM")
    in_block = max(block.width * block.height for block in blocks)
    return {
        "side": side,
        "prompt": prompt,
        "wall s": time.perf_counter() - wall,
        "CPU s": time.process_time() - processor,
        "of which choosing images s": chosen,
        "blocks": len(blocks),
        "bytes per pixel of a block": None if peak is None or before is None else (peak - before) / in_block,
        "load per CPU": load(),
    }


def _begin_peak() -> int | None:
    """Give unused memory back, forget the peak so far, and return the resident size."""
    if not _CLEAR.exists():
        return None
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:  # glibc has it
        trim(0)
    _CLEAR.write_text("5", encoding="ascii")  # proc(5): resets the peak resident size
    return _resident("VmRSS")


def _resident(name: str) -> int | None:
    """Return a size of this process in bytes."""
    if not _STATUS.exists():
        return None
    lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")]
    return found[0] if found else None
