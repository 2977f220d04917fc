"""What the processes that run a model share: outputs, seeds, rules for prompts, sentences about the model.

Knows cards and limits; no grids and no pixels.
"""

from __future__ import annotations

import re
import secrets

from model_backend.errors import InvalidInput, TooLarge
from model_backend.models.card import ModelCard
from model_backend.settings import Settings

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
_VARIANTS = 8


def outputs() -> dict[str, dict[str, object]]:
    """Return the outputs of all variants; those after the first exist if more variants are asked for."""
    made: dict[str, dict[str, object]] = {}
    for number in range(1, _VARIANTS + 1):
        end, which = ("", "") if number == 1 else (f"_{number}", f" of variant {number}")
        link = {"type": "string", "contentEncoding": "base64", "contentMediaType": COG}
        record = {"type": "object", "contentMediaType": "application/geo+json"}
        made[f"image{end}"] = {"title": f"Cloud-optimized GeoTIFF{which}", "schema": link}
        made[f"item{end}"] = {"title": f"STAC Item{which}", "schema": record}
        made[f"recipe{end}"] = {"title": f"Recipe{which}", "schema": {"type": "object"}}
    return made


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


def first_seed(asked: int | None, variants: int) -> int:
    """Return the seed of the first variant: as asked, else a random one below 2^31."""
    seed = secrets.randbelow(2**31) if asked is None else asked
    if seed + variants > 2**53:
        rule = f"0 to {2**53 - variants}"
        raise InvalidInput(
            "seed", f"`seed` must be {rule}, so that variants have seeds.", value=seed, allowed=rule
        )
    return seed


def licence(card: ModelCard) -> list[str]:
    """Return a sentence on what the result may not be used for."""
    return [f"{card.title} is not for commercial use: {card.licence}."] if card.non_commercial else []


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
