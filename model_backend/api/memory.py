"""How much memory this computer has."""

from __future__ import annotations

import ctypes
import os
import sys


def memory() -> int | None:
    """Return the bytes of memory of this computer, None where the system does not say."""
    if sys.platform == "win32":
        kilobytes = ctypes.c_ulonglong(0)
        known = ctypes.windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes))
        return int(kilobytes.value) * 1024 if known else None
    names = ("SC_PAGE_SIZE", "SC_PHYS_PAGES")
    if not all(name in os.sysconf_names for name in names):
        return None
    return os.sysconf(names[0]) * os.sysconf(names[1])
