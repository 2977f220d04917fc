"""Whether devices are there: ``python -m model_backend.models.devices DEVICE ...`` says which is not."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from model_backend.errors import ModelUnavailable
from model_backend.models.profile import choose_device


def main(devices: Sequence[str]) -> int:
    """Print a sentence about the first device that is not there; return 1 for that, else 0."""
    for device in devices:
        try:
            choose_device(device)
        except ModelUnavailable as error:
            print(error)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
