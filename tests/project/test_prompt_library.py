"""The prompts to start from are understood by land by example, in every language that has them."""

from __future__ import annotations

import ast
import gettext
from pathlib import Path

import pytest

import translations
from model_backend.engine.composition.mentions import mentions
from model_backend.engine.composition.prompt import read
from model_backend.models.languages import in_english

pytestmark = pytest.mark.fast

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "text2earth_qgis/gui/prompt/library.py"
LANGUAGES = sorted(path.name for path in translations.CATALOGUES.iterdir())


def prompts() -> list[str]:
    """The English prompts, as the module has them."""
    (made,) = [node for node in ast.walk(ast.parse(LIBRARY.read_text("utf-8"))) if isinstance(node, ast.Dict)]
    texts = [value for some in made.values for value in ast.walk(some) if isinstance(value, ast.Constant)]
    return [str(one.value) for one in texts]


def test_english_prompts_are_understood():
    assert len(prompts()) >= 25
    for prompt in prompts():
        assert not read(prompt).unknown, prompt
        assert not read(prompt).notes, prompt


@pytest.mark.parametrize("language", LANGUAGES)
def test_translated_prompts_mean_the_same(language, tmp_path):
    translations.compile_into(tmp_path)
    catalogue = gettext.translation("text2earth", tmp_path, [language], fallback=True)
    for prompt in prompts():
        said = catalogue.gettext(prompt)
        named, unknown = mentions(said)
        assert not unknown, (said, in_english(said))
        assert {one.kind for one in named} == {one.kind for one in mentions(prompt)[0]}, said
