"""How long a run still takes is told without jumps, whatever a backend on a busy computer says."""

from itertools import groupby, pairwise

import pytest

from text2earth_qgis.core.runs.time_left import PATIENCE, TimeLeft, steadied
from text2earth_qgis.gui import words

pytestmark = pytest.mark.fast

# Seconds left, as a backend said once a second: a scene by example of 3,000 x 2,000 px in six blocks.
BY_EXAMPLE = [
    None, None, None, None, 16.1, 18.6, 16.3, 14.3, 13.9, 13.9, 15.5, 16.6, 17.5, 17.5, 17.5, 20.5,
    20.7, 20.0, 20.1, 18.9, 18.4, 17.7, 16.6, 17.8, 17.8, 16.9, 18.0, 18.0, 18.0, 24.9, 22.7, 21.4,
    18.3, 18.3, 17.8, 17.5, 13.9, 14.3, 14.3, 14.3, 17.4, 16.5, 15.3, 14.0, 13.4, 13.4, 13.4, 13.4,
    13.0, 10.3, 10.0, 10.0, 10.6, 9.8, 7.9, 7.9, 7.2, 7.2, 6.4, 4.4, 4.5, 4.5, 4.5, 5.3, 4.1, 2.9,
    1.7, 0.6, 0.6,
]  # fmt: skip
# Every three seconds: a diffusion model, whose first windows were slow; it was stopped before its end.
DIFFUSION = [
    None, None, None, None, None, None, 678.2, 513.1, 400.3, 387.7, 396.7, 371.3, 357.8, 353.4,
    353.8, 346.6, 333.7, 327.2, 318.3, 311.5, 308.1, 300.7, 292.4, 288.1, 280.5, 277.2, 272.6,
    266.2, 262.5, 260.6, 262.9, 266.6, 264.9, 263.1, 262.5, 263.4, 262.1, 256.6, 251.8, 249.2,
    245.3, 241.6, 238.8, 234.7, 229.8, 222.7, 211.6, 206.4, 203.3, 200.9, 198.8, 197.4, 196.1,
    191.5, 189.2, 188.1, 184.9, 180.1, 174.6, 170.4, 166.0, 161.7, 157.7, 155.5, 153.2, 150.9,
    150.1, 148.1, 147.8, 147.4, 145.3, 143.2, 141.5, 138.9, 136.4, 132.8, 130.3, 128.2, 125.4, 122.3,
]  # fmt: skip


def shown(said, every=1.0):
    """Return the seconds that a person reads each time."""
    left, found = None, []
    for number, seconds in enumerate(said):
        left = steadied(left, number * every, seconds)
        found.append(None if left is None else left.seconds)
    return [seconds for seconds in found if seconds is not None]


def rises(numbers):
    return sum(later > earlier for earlier, later in pairwise(numbers))


@pytest.mark.parametrize(("said", "every"), [(BY_EXAMPLE, 1.0), (DIFFUSION, 3.0)])
def test_a_recorded_job_counts_down(said, every):
    known = [seconds for seconds in said if seconds is not None]
    found = shown(said, every)
    assert rises(known) >= 5
    assert rises(found) == 0
    texts = [text for text, _ in groupby(words.time_left(seconds) for seconds in found)]
    assert len(texts) == len(set(texts)), "no wording comes back"
    off = sorted(abs(one - other) / max(other, 10) for one, other in zip(found, known, strict=False))
    print(f"off by {off[len(off) // 2]:.0%} in the middle, {off[-1]:.0%} at most")
    assert off[len(off) // 2] < 0.35


def test_bad_news_is_believed_once_it_stays():
    found = shown([60.0, 59.0, *[300.0 - number for number in range(20)]])
    assert rises(found) == 1
    assert found[int(PATIENCE)] <= 60
    assert found[-1] == pytest.approx(281, abs=2)
    assert rises(shown([60.0, 59.0, 300.0, 300.0, 57.0, 56.0])) == 0, "a moment is no news"


def test_good_news_is_followed_within_seconds():
    found = shown([600.0, 599.0, *[60.0 - number for number in range(20)]])
    assert found[3] < 600
    assert found[-1] < 60
    assert rises(found) == 0


def test_what_is_not_known_goes_on_counting_down():
    assert steadied(None, 0.0, None) is None
    assert steadied(TimeLeft(30.0, 100.0), 110.0, None).seconds == 20.0
    assert steadied(TimeLeft(5.0, 100.0), 110.0, None).seconds == 0.0
    assert words.time_left(3.2) == "a few seconds left"
    assert words.time_left(64.0) == "about 1 min left"
