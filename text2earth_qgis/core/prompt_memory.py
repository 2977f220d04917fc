"""The prompts that were run last, and those that the user keeps, in the settings of QGIS."""

from __future__ import annotations

import json

from qgis.core import QgsSettings

from text2earth_qgis.core.settings import PREFIX

RECENT = PREFIX + "prompts/recent"
FAVOURITES = PREFIX + "prompts/favourites"
MOST = 20  # recent ones


def recent() -> list[str]:
    """Return the prompts that were run, the last one first."""
    return _stored(RECENT)


def favourites() -> list[str]:
    """Return the prompts that are kept, in the order in which they were."""
    return _stored(FAVOURITES)


def remember(prompt: str) -> None:
    """Put a prompt that is run before all others."""
    prompt = prompt.strip()
    if prompt:
        _store(RECENT, [prompt, *(one for one in recent() if one != prompt)][:MOST])


def keep(prompt: str, kept: bool) -> None:
    """Keep a prompt, or no longer."""
    others = [one for one in favourites() if one != prompt]
    _store(FAVOURITES, [*others, prompt] if kept else others)


def _stored(key: str) -> list[str]:
    return [str(one) for one in json.loads(QgsSettings().value(key, "") or "[]")]


def _store(key: str, prompts: list[str]) -> None:
    QgsSettings().setValue(key, json.dumps(prompts, ensure_ascii=False))
