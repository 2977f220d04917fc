"""Rules for prompts: how long they may be, and whether the model knows their words.

Knows cards and limits; no grids and no pixels.
"""

from __future__ import annotations

import re

from model_backend.errors import TooLarge
from model_backend.models.card import ModelCard
from model_backend.settings import Settings


def check_prompts(prompt: str, negative_prompt: str, limits: Settings) -> None:
    """Refuse prompts longer than this server takes."""
    for field, text in (("prompt", prompt), ("negative_prompt", negative_prompt)):
        check_length(field, f"`{field}`", text, limits)


def check_length(field: str, what: str, text: str, limits: Settings) -> None:
    """Refuse a prompt longer than this server takes; ``what`` begins the sentence."""
    if len(text) > limits.max_prompt:
        rule = f"at most {limits.max_prompt:,} characters"
        detail = f"{what} has {len(text):,} characters; this server takes {rule}."
        raise TooLarge(field, detail, value=text[:200], allowed=rule)


def unknown_words(prompt: str, card: ModelCard) -> list[str]:
    """Return a warning if the model was trained on none of the prompt's words."""
    if knows(card, prompt):
        return []
    return [f"{card.title} knows none of the words of the prompt. {vocabulary(card)}"]


def knows(card: ModelCard, prompt: str) -> bool:
    """Say whether the model was trained on any of the prompt's words, as far as its card tells."""
    said = re.findall(r"[^\W\d_]+", prompt.casefold())
    return card.words is None or not said or bool(set(said) & {word.casefold() for word in card.words})


def vocabulary(card: ModelCard) -> str:
    """Return a sentence with words that the model was trained on."""
    return f"It knows words such as {', '.join(sorted(card.words or ())[:12])}."
