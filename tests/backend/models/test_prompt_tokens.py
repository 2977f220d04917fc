"""Tokens of a prompt counted without transformers: as many as its tokenizer makes, and what is cut."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from model_backend.errors import ModelUnavailable
from model_backend.models.prompt_tokens import PromptTokens, plain_prompt
from tests.support.backend.tiny_models import build_tiny, tiny_card

MINI = Path(__file__).resolve().parents[3] / "resources" / "models" / "text2earth-mini"
TEXTS = (
    "",
    "a lake and the forest",
    "Zürich's lake; don't, we'll, I'd -- 'tis",
    "  a   lake\n\tat 12,5 m² ½ ",
    "STRAẞE ΣΊΣΥΦΟΣ İstanbul e\u0301 \u00e9",
    "湖と森 🌲🌲 озеро",
    "lake<|endoftext|>road <|startoftext|>",
    "under_scores __ a.b.c ...'s",
    "forest " * 100,
)


@pytest.fixture(scope="module", params=["vocab.json and merges.txt", "tokenizer.json"])
def folder(request: pytest.FixtureRequest, tiny: Path) -> Path:
    return tiny if request.param.startswith("vocab") else MINI


@pytest.fixture(scope="module")
def library(folder: Path) -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)


@pytest.mark.parametrize("text", TEXTS)
def test_as_many_as_the_library_makes(folder: Path, library: CLIPTokenizer, text: str):
    assert PromptTokens.of(folder).count(text) == len(
        library(text, truncation=False, padding=False).input_ids
    )


def test_any_text_has_as_many_as_the_library_makes(folder: Path, library: CLIPTokenizer):
    ours = PromptTokens.of(folder)

    @settings(max_examples=300, deadline=None, database=None)
    @given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cn", "Co")), max_size=40))
    def same(text: str) -> None:
        assert ours.count(text) == len(library(text, truncation=False, padding=False).input_ids)

    same()


def test_what_is_cut_begins_with_the_first_word_that_is_not_read_to_its_end(tiny: Path):
    tokens = PromptTokens.of(tiny)
    assert tokens.limit == 77
    assert tokens.cut("lake " * 75) is None  # 75 words, begin and end
    cut = tokens.cut("Lake " * 75 + "and the  Forest")
    assert cut is not None
    assert (cut.tokens, cut.rest) == (3, "and the  forest")
    assert tokens.cut("") is None
    assert PromptTokens.of(MINI).limit == 32


def test_the_authors_level_prefix_does_not_count(tiny: Path):
    assert plain_prompt("16_GOOGLE_LEVEL_a lake", tiny_card()) == "a lake"
    assert plain_prompt("16_GOOGLE_LEVEL_a lake", tiny_card(level=False)) == "16_GOOGLE_LEVEL_a lake"


def test_a_broken_tokenizer_is_a_sentence(tmp_path: Path):
    folder = build_tiny(tmp_path / "model")
    (folder / "tokenizer" / "merges.txt").unlink()
    with pytest.raises(ModelUnavailable, match="tokenizer of model cannot be read: .* Get the model anew"):
        PromptTokens.of(folder)


def test_counting_imports_neither_torch_nor_transformers(tiny: Path):
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'transformers', 'tokenizers', 'diffusers']));"
        "from pathlib import Path; from model_backend.models.prompt_tokens import PromptTokens;"
        f"print(PromptTokens.of(Path({str(tiny)!r})).count('a lake'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "4\n"
