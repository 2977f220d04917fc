"""The process ``read``: says which words of a prompt a model does not know, and what comes near to them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import Field

from model_backend.models.card import ModelCard
from model_backend.models.languages import language_of, tables
from model_backend.processes.base import PlanContext
from model_backend.processes.describe import model_schema
from model_backend.processes.prompts import check_length, unknown_words
from model_backend.processes.reading.nearest import nearest
from model_backend.processes.values import ValueProcess
from model_backend.schemas import ReadInputs
from model_backend.value import Value


class UnknownWord(Value):
    """A word of a prompt that means nothing to a model."""

    word: str = Field(description="As the prompt has it.")
    nearest: list[str] = Field(description="Up to three words that the model knows, the nearest first.")


class PromptReading(Value):
    """How a model reads a prompt."""

    language: str = Field(description="`en`, `de`, `fr`, `es` or `zh`.")
    unknown: list[UnknownWord]


class Read(ValueProcess[ReadInputs]):
    """Answers how a model reads a prompt."""

    id = "read"
    title = "Read a prompt"
    text = "Says which words of a prompt mean nothing to a model, and which known words come near to them."
    keywords = ("prompt", "vocabulary")
    inputs = ReadInputs
    outputs = {"reading": {"title": "Reading", "schema": model_schema(PromptReading)}}

    def answer(self, inputs: ReadInputs, context: PlanContext) -> dict[str, Any]:
        """Return the output ``reading``. Raises TooLarge and ModelUnavailable."""
        check_length("prompt", "`prompt`", inputs.prompt, context.limits)
        registry = context.registry
        card = (registry.get(inputs.model) if inputs.model else registry.default()).card
        return {"reading": read_prompt(inputs.prompt, card).model_dump(mode="json")}


PROCESS = Read()


def read_prompt(prompt: str, card: ModelCard) -> PromptReading:
    """Return the language of a prompt, and the words that mean nothing to the model, as they stand there."""
    language = language_of(prompt)
    words = dict.fromkeys(_as_written(prompt, language, unknown_words(card, prompt)))
    unknown = [UnknownWord(word=word, nearest=nearest(word, card, language)) for word in words]
    return PromptReading(language=language, unknown=unknown)


def _as_written(prompt: str, language: str, unknown: list[str]) -> Iterator[str]:
    """Yield words as the prompt has them, of which some were translated before they were not known."""
    table = tables().get(language, {})
    for word in unknown:
        sources = [word, *(local for local, english in table.items() if word in english.split())]
        yield next((found for one in sources if (found := _found(one, prompt, language))), word)


def _found(word: str, prompt: str, language: str) -> str:
    """Return a word in small letters as the prompt has it; empty if it does not."""
    if language == "zh":
        return word if word in prompt else ""
    alone = rf"(?<!\w){re.escape(word).replace('ss', '(?:ss|ß)')}(?!\w)"
    found = re.search(alone, prompt, re.IGNORECASE)
    return found[0] if found else ""
