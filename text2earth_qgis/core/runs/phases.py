"""What our backend says that a job is at, in the user's language; the backend itself speaks English.

What is not known here, such as the words of a newer backend, is shown as it came. Knows no QGIS.
"""

from __future__ import annotations

import re

from text2earth_qgis.core.language import tr

PHASES = {  # as the backend says them
    "Loading the model {model}.": tr("Loading the model {model}."),
    "Choosing example images.": tr("Choosing example images."),
    "Making the image.": tr("Making the image."),
    "Making variant {number} of {all}.": tr("Making variant {number} of {all}."),
    "Painting.": tr("Painting."),
    "Painting variant {number} of {all}.": tr("Painting variant {number} of {all}."),
    "Joining it to its surroundings.": tr("Joining it to its surroundings."),
    "Matching the other bands.": tr("Matching the other bands."),
    "Writing the file.": tr("Writing the file."),
}
_PATTERNS = [
    (re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(said))), shown)
    for said, shown in PHASES.items()
]


def phase(said: str) -> str:
    """Return a sentence of the backend in the user's language, where it is known."""
    for pattern, shown in _PATTERNS:
        found = pattern.fullmatch(said)
        if found:
            return shown.format(**found.groupdict())
    return said
