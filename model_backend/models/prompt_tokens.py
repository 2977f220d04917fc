"""Counting the tokens of a prompt as CLIP's tokenizer makes them, without transformers.

Plans are made where neither torch nor transformers is installed, and must say which words a model will not
read. The tokenizer is byte-pair encoding (Sennrich et al. 2016) over lower-case words, in GPT-2's alphabet of
bytes; its tables come from the model folder. Knows files and text; no model. A test holds the counts to those
of the library.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from model_backend.errors import ModelUnavailable
from model_backend.models.card import ModelCard
from model_backend.models.languages import in_english

# The authors' pipelines take the level as a prefix of the prompt and cut it off again. Here the level is a
# number.
_LEVEL_PREFIX = re.compile(r"^\s*\d+_GOOGLE_LEVEL_")
_SPECIAL = re.compile(r"<\|startoftext\|>|<\|endoftext\|>")
_ENDINGS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d")
_POSITIONS = 77  # of CLIP, where a config does not say
_BEGIN_AND_END = 2  # tokens that every prompt has besides its own

Merges = dict[tuple[str, str], int]


def plain_prompt(prompt: str, card: ModelCard) -> str:
    """Return a prompt as the text encoder of a model gets it: in English, as far as tables know its words,
    and without the authors' prefix for the level."""
    return in_english(_LEVEL_PREFIX.sub("", prompt) if card.levels else prompt)


@dataclass(frozen=True)
class Cut:
    """The end of a prompt that is not read: its number of tokens, and the text that begins with them."""

    tokens: int
    rest: str


@dataclass(frozen=True)
class PromptTokens:
    """The tokenizer of one model: ``merges`` rank the pairs of symbols that become one; ``limit`` tokens."""

    merges: Merges
    limit: int
    _known: dict[str, int] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Read the tokenizer of a model folder. Raises ModelUnavailable if it cannot be read."""
        try:
            encoder = json.loads((folder / "text_encoder" / "config.json").read_text(encoding="utf-8"))
            config = json.loads((folder / "tokenizer" / "tokenizer_config.json").read_text(encoding="utf-8"))
            positions = int(encoder.get("max_position_embeddings", _POSITIONS))
            limit = min(positions, int(config.get("model_max_length", positions)))
            return cls(_read_merges(folder / "tokenizer"), limit)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelUnavailable(
                f"The tokenizer of {folder.name} cannot be read: {error}. Get the model anew."
            ) from error

    def count(self, text: str) -> int:
        """Return the number of tokens of a text, those at its begin and end included."""
        return _BEGIN_AND_END + sum(tokens for _, tokens in self._words(_normal(text)))

    def cut(self, text: str) -> Cut | None:
        """Return the end of a text that is beyond the limit, None if there is none."""
        text, read = _normal(text), _BEGIN_AND_END
        rest = None
        for start, tokens in self._words(text):
            read += tokens
            if read > self.limit and rest is None:
                rest = text[start:]
        return None if rest is None else Cut(read - self.limit, rest)

    def _words(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where each word of a text begins, and its tokens."""
        end = 0
        for special in _SPECIAL.finditer(text):
            yield from self._plain_words(text[: special.start()], end)
            yield special.start(), 1
            end = special.end()
        yield from self._plain_words(text, end)

    def _plain_words(self, text: str, start: int) -> Iterator[tuple[int, int]]:
        while start < len(text):
            end = _word_end(text, start)
            if not text[start].isspace():
                yield start, self._tokens(text[start:end])
            start = end

    def _tokens(self, word: str) -> int:
        if word not in self._known:
            self._known[word] = _merged(word, self.merges)
        return self._known[word]


def _normal(text: str) -> str:
    """Return a text as the tokenizer splits it: composed, in small letters, each for itself."""
    return "".join(letter.lower() for letter in unicodedata.normalize("NFC", text))


def _read_merges(tokenizer: Path) -> Merges:
    whole = tokenizer / "tokenizer.json"
    pairs: list[Any]
    if whole.is_file():
        pairs = json.loads(whole.read_text(encoding="utf-8"))["model"]["merges"]
    else:
        lines = (tokenizer / "merges.txt").read_text(encoding="utf-8").split("\n")
        pairs = [line for line in lines if line and not line.startswith("#version")]
    split = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in pairs]
    return {(left, right): rank for rank, (left, right) in enumerate(split)}


def _kind(sign: str) -> str:
    """Return a space, L for a letter, N for a digit, * for any other sign."""
    category = unicodedata.category(sign)[0]
    return " " if sign.isspace() else category if category in "LN" else "*"


def _word_end(text: str, start: int) -> int:
    """Return the end of the piece of text at ``start``: an ending, letters, a digit, other signs, a space."""
    if ending := _ENDINGS.match(text, start):
        return ending.end()
    kind, end = _kind(text[start]), start + 1
    while kind in "L*" and end < len(text) and _kind(text[end]) == kind:
        end += 1
    return end


def _merged(word: str, merges: Merges) -> int:
    """Return the tokens of a word: neighbours become one in the order of their ranks, until none can."""
    symbols = [_BYTES[byte] for byte in word.encode("utf-8", "replace")]
    symbols[-1] += "</w>"
    while True:
        pairs = zip(symbols, symbols[1:], strict=False)
        best = min(pairs, key=lambda pair: merges.get(pair, len(merges)), default=("", ""))
        if best not in merges:
            return len(symbols)
        merged: list[str] = []
        for symbol in symbols:
            if merged and (merged[-1], symbol) == best:
                merged[-1] += symbol
            else:
                merged.append(symbol)
        symbols = merged


def _byte_alphabet() -> list[str]:
    """Return GPT-2's sign for every byte: printable Latin-1 stands for itself, the rest is shifted up."""
    printable = {code for first, last in ("!~", "¡¬", "®ÿ") for code in range(ord(first), ord(last) + 1)}
    shifted = iter(range(256, 512))
    return [chr(byte if byte in printable else next(shifted)) for byte in range(256)]


_BYTES = _byte_alphabet()
