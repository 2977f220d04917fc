"""How many workers are needed, over the time that it takes to have one or to be sure of it."""

from __future__ import annotations

import pytest

from model_backend.jobs.remote import needs
from model_backend.jobs.remote.needs import Needs

pytestmark = pytest.mark.fast


def test_needs_are_remembered_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(needs.time, "monotonic", lambda: now)
    needed = Needs(60)
    assert needed.most(5) == 1, "one at first, to be known"
    for number in (0, 7, 3):
        now += 10
        needed.note(number)
    assert (needed.most(5), needed.most(10), needed.most(60)) == (3, 7, 7)
    now += 6
    assert needed.most(5) == 0, "nobody says any more that one is needed"
    now += 50
    needed.note(2)
    assert (needed.most(60), needed.most(1e9)) == (3, 3), "what is older is forgotten"
