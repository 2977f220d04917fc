"""The catalogues of translations: in step with the code, and such that gettext reads them."""

import ast
import gettext
import re
import string

import pytest

import translations
from model_backend.models.languages import in_english, tables
from translations import KEYWORDS, PLUGIN, catalogue_file, forms, read, texts, updated

pytestmark = pytest.mark.fast

LANGUAGES = ("de", "es", "fr", "zh")
DRAFTS = ("es", "zh")
COMPLETE = ("de", "fr")

each_language = pytest.mark.parametrize("language", LANGUAGES)
SHOWN_PROMPTS = [("gui/prompt/library.py", None)], [("gui/setup/first_layer.py", None)]


def fields(text):
    """Return what a text has in braces."""
    return {(name, spec, cast) for _, name, spec, cast in string.Formatter().parse(text) if name is not None}


def messages(language):
    """Yield each text of a catalogue: its English for one and for many, and its translations."""
    for message in read(language):
        if message.id:
            one, many = (message.id, "") if isinstance(message.id, str) else message.id
            yield one, many, forms(message)


def test_there_is_a_catalogue_for_each_language():
    assert translations.languages() == sorted(LANGUAGES)
    for language in LANGUAGES:
        assert ("DRAFT" in read(language).header_comment) == (language in DRAFTS)


@each_language
def test_no_text_is_missing_and_none_is_stale(language):
    """Brought up to date by ``make translations``."""
    assert catalogue_file(language, PLUGIN).read_bytes() == updated(language, PLUGIN, texts())


@pytest.mark.parametrize("language", COMPLETE)
def test_every_text_is_translated(language):
    assert [one for one, _, said in messages(language) if not all(said)] == []


@each_language
def test_translations_have_the_fields_and_the_number_of_forms(language):
    plurals = read(language).num_plurals
    for one, many, said in messages(language):
        assert len(said) == (plurals if many else 1), one
        for form in filter(None, said):
            assert fields(form) in (fields(one), fields(many or one)), form
            assert form.startswith(" ") == one.startswith(" "), form


@each_language
def test_gettext_reads_what_is_compiled(language, tmp_path):
    translations.compile_into(tmp_path)
    compiled = gettext.translation("text2earth", tmp_path, [language])
    for one, many, written in messages(language):
        said = [translations.together(form) for form in written]
        assert not any(re.search("« | [»:;?!]", form) for form in said), "a line may end there"
        if not all(said):
            assert compiled.gettext(one) == one
        elif many:
            assert {compiled.ngettext(one, many, number) for number in (0, 1, 2, 5, 10**6)} == set(said), one
        else:
            assert compiled.gettext(one) == said[0]


@each_language
def test_prompts_to_start_from_are_of_words_that_the_backend_looks_up(language):
    known = set(" ".join(tables()[language].values()).split())
    for message in read(language):
        if message.locations[:1] in SHOWN_PROMPTS and message.id[0].islower():
            words = re.findall(r"\w+", in_english(message.string)) if message.string else []
            assert set(words) <= known, message.string


def test_every_text_of_the_code_is_found():
    """Babel overlooks texts inside the arguments of a plural and inside f-strings."""
    found = {
        one for message in texts() for one in ([message.id] if isinstance(message.id, str) else message.id)
    }
    for path in translations.CODE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KEYWORDS:
                said = node.args[: 2 if node.func.id == "trn" else 1]
                assert {one.value for one in said} <= found, f"{path}:{node.lineno}"
