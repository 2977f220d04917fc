"""A small byte-level BPE in CLIP's file format, so that the stock ``CLIPTokenizer`` reads it.

Byte-pair encoding (Sennrich et al. 2016) on the words of our captions, with CLIP's conventions: lower case,
``</w>`` on the last symbol of a word, the 256 bytes as base symbols. Unknown words fall into bytes.
Does not know networks.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from transformers import CLIPTokenizer

LENGTH = 32
"""Tokens of a prompt, begin and end included."""
BEGIN, END = "<|startoftext|>", "<|endoftext|>"


def _byte_symbols() -> list[str]:
    """Return a printable character for each byte, as GPT-2 and CLIP map them."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = {byte: chr(byte) for byte in printable}
    for extra, byte in enumerate(byte for byte in range(256) if byte not in symbols):
        symbols[byte] = chr(256 + extra)
    return [symbols[byte] for byte in (*printable, *(b for b in range(256) if b not in printable))]


def learn(texts: Iterable[str], limit: int) -> list[tuple[str, str]]:
    """Return at most ``limit`` merges, most frequent pair first, ties in alphabetical order."""
    counts = Counter(word for text in texts for word in re.findall(r"[a-z]+", text.lower()))
    parts = {word: [*word[:-1], word[-1] + "</w>"] for word in counts}
    merges: list[tuple[str, str]] = []
    while len(merges) < limit:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, symbols in parts.items():
            for pair in zip(symbols, symbols[1:], strict=False):
                pairs[pair] += counts[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        parts = {word: _merge(symbols, best) for word, symbols in parts.items()}
    return merges


def _merge(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    for symbol in symbols:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


def build(texts: Iterable[str], folder: Path, limit: int = 1000) -> CLIPTokenizer:
    """Write ``vocab.json`` and ``merges.txt`` to ``folder`` and return the tokenizer they make."""
    merges = learn(texts, limit)
    base = _byte_symbols()
    symbols = [*base, *(s + "</w>" for s in base), *("".join(pair) for pair in merges), BEGIN, END]
    vocabulary = {symbol: index for index, symbol in enumerate(dict.fromkeys(symbols))}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), "utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", "utf-8")
    tokenizer = CLIPTokenizer(
        str(folder / "vocab.json"),
        str(folder / "merges.txt"),
        unk_token=END,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=END,
        model_max_length=LENGTH,
    )
    tokenizer.save_pretrained(folder)
    return tokenizer
