"""Memory for the large arrays of a level: it goes back to the system as soon as nobody needs it.

An allocator keeps what was freed, in pieces that the next level's arrays do not fit into; so a block took a
quarter more than its arrays.
"""

from __future__ import annotations

import math
import mmap
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

# Of this process alone; Windows knows no other.
_OWN = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}


def room(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array of zeros."""
    count = math.prod(shape)
    memory = mmap.mmap(-1, max(1, count * np.dtype(dtype).itemsize), **_OWN)
    return np.frombuffer(memory, dtype, count).reshape(shape)
