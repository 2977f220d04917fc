"""Hashing a profile without what was only measured: equal hashes mean equal pixels. Imports no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

# Members that bits do not depend on.
_MEASURED = ("approximate", "seconds_per_evaluation", "memory", "digest")


def digest(profile: Mapping[str, Any]) -> str:
    """Return the SHA-256 over the members of a profile that bits depend on."""
    members = {name: value for name, value in profile.items() if name not in _MEASURED}
    return hashlib.sha256(json.dumps(members, sort_keys=True).encode()).hexdigest()
