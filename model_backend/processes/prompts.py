"""Rules for prompts: how long they may be, and whether the model knows their words.

Knows cards and limits; no grids and no pixels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from model_backend.engine.composition import prompt as composition
from model_backend.errors import TooLarge
from model_backend.models.banks.bank import bank_in
from model_backend.models.card import ModelCard
from model_backend.models.languages import in_english
from model_backend.models.prompt_tokens import plain_prompt
from model_backend.models.registry import Entry
from model_backend.schemas import Recipe
from model_backend.settings import Settings

_WORD = re.compile(r"[^\W\d_]+")
#: Words between words: a model that was trained on captions has met them, and its card does not list them.
_FILLERS = frozenset(
    ("a", "an", "the", "and", "or", "of", "in", "on", "at", "by", "to", "from", "with", "near", "beside")
    + ("between", "some", "is", "are")
)
_SOFT = 1.3  # times larger pixels than asked for, from which images look soft
_NAMED = 8  # words or prompts that a warning names
_SHOWN = 30  # characters of a text in a warning


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


def prompt_warnings(recipe: Recipe, entry: Entry) -> list[str]:
    """Return sentences on the words of a recipe's prompts that the model does not know, or will not read."""
    return [*_notes(recipe, entry), *_unknown(recipe, entry.card), *_cut(recipe, entry)]


def knows(card: ModelCard, prompt: str) -> bool:
    """Say whether the model was trained on any of the prompt's words, as far as its card tells."""
    return len(unknown_words(card, prompt)) < len(_words(prompt)) or not _words(prompt)


def understood(recipe: Recipe, card: ModelCard) -> list[str]:
    """Return what was understood of a prompt, in plain words; empty where a network reads it."""
    if not card.by_example:
        return []
    return list(composition.read(recipe.prompt, recipe.negative_prompt).understood)


def unknown_words(card: ModelCard, prompt: str) -> list[str]:
    """Return the words of a prompt that mean nothing to the model, as far as its card tells."""
    if card.by_example:
        return list(composition.read(prompt).unknown)
    if card.words is None:
        return []
    known = {word.casefold() for word in card.words}
    return [word for word in _words(prompt) if word not in known]


def vocabulary(card: ModelCard) -> str:
    """Return a sentence with words that the model knows, if it knows any."""
    if card.by_example:
        return "It knows kinds of land, such as forest, farmland, houses, lake, river, beach, road."
    return f"It knows words such as {', '.join(sorted(card.words)[:12])}." if card.words else "It reads none."


def _words(prompt: str) -> list[str]:
    """Return the words of a prompt that mean something, each once, in small letters."""
    found = dict.fromkeys(_WORD.findall(in_english(prompt).casefold()))
    return [word for word in found if word not in _FILLERS]


def _notes(recipe: Recipe, entry: Entry) -> list[str]:
    """Return what was decided without being asked for, and whether images have to be enlarged."""
    drawn_alone = recipe.edit is not None and recipe.is_laid_out and not recipe.prompt.strip()
    if drawn_alone or not entry.card.by_example or recipe.examples is None:
        return []
    reading = composition.read(recipe.prompt, recipe.negative_prompt)
    asked = [reading.composition.background, *(thing.kind for thing in reading.composition.things)]
    gsd = recipe.examples.gsd
    family = bank_in(entry.require(), entry.card.revision_or_hash).family_for(gsd, asked)
    if recipe.examples.samples and not recipe.prompt.strip():
        return []
    if family is None or family.gsd < _SOFT * gsd:
        return list(reading.notes)
    soft = f"The example images have pixels of {family.gsd:g} m: in pixels of {gsd:g} m they look soft."
    return [*reading.notes, soft]


def _unknown(recipe: Recipe, card: ModelCard) -> list[str]:
    strange = not knows(card, recipe.prompt)
    said = [f"{card.title} knows none of the words of the prompt. {vocabulary(card)}"] if strange else []
    some = [
        f"{listed(words)} ({name})"
        for name, text in _named(recipe)
        if knows(card, text) and (words := unknown_words(card, text))
    ]
    if some:
        said.append(f"{card.title} does not know: {'; '.join(some[:_NAMED])}. {vocabulary(card)}")
    return said


def _cut(recipe: Recipe, entry: Entry) -> list[str]:
    if entry.card.pipeline in ("surroundings", "examples"):  # no tokens, so no end of them
        return []
    said = []
    for name, text in _named(recipe):
        if cut := entry.tokens.cut(plain_prompt(text, entry.card)):
            ignored = "its last token is" if cut.tokens == 1 else f"its last {cut.tokens} tokens are"
            said.append(
                f"The {name} is longer than the model reads: {ignored} ignored, from "
                f'"{_short(cut.rest)}" on. Say what matters first, or say less.'
            )
    return said[:_NAMED]


def _named(recipe: Recipe) -> list[tuple[str, str]]:
    """Return the prompts of a recipe, each once, and before each what to call it."""
    texts = {recipe.prompt: "prompt"}
    texts.setdefault(recipe.negative_prompt, "negative prompt")
    for region in recipe.regions or ():
        texts.setdefault(region.prompt, f'prompt "{_short(region.prompt)}" of a region')
        texts.setdefault(
            region.negative_prompt, f'negative prompt "{_short(region.negative_prompt)}" of a region'
        )
    return [(name, text) for text, name in texts.items()]


def listed(words: Sequence[str]) -> str:
    """Return words with commas between; of many, how many more there are."""
    more = len(words) - _NAMED
    return ", ".join(words[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
