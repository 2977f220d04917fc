"""Numbers and texts as people read them."""

from __future__ import annotations

import pytest

from text2earth_qgis.gui import words


@pytest.mark.fast
@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Copied from real pixels nearby, in every band · about 4 s", 11),
        ("2,240 × 1,920 px · 0.5 m per pixel", 5),
        ("about 1 h 30 min left", 4),
        ("耗时约 34 分钟", 2),
        ("a lake, such as: forest", 5),
    ],
)
def test_numbers_stay_with_what_they_count(text, lines):
    kept = words.unbroken(text)
    assert kept.replace("\u00a0", " ") == text
    assert len(kept.split(" ")) == lines
    assert not any(line[-1].isdigit() for line in kept.split(" ")[:-1])
