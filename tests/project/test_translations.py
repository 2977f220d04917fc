"""The catalogues of translations: in step with the code, and such that gettext reads them."""

import gettext
import string

import pytest

import translations
from translations import CATALOGUES, NAME, Text, read, texts

pytestmark = pytest.mark.fast

LANGUAGES = ("de", "es", "fr", "zh")
DRAFTS = ("es", "zh")
COMPLETE = ()  # once there is one, all catalogues are kept in step with the code

each_language = pytest.mark.parametrize("language", LANGUAGES)


def fields(text):
    """Return what a text has in braces."""
    return {(name, spec, cast) for _, name, spec, cast in string.Formatter().parse(text) if name is not None}


def test_there_is_a_catalogue_for_each_language():
    assert translations.languages() == sorted(LANGUAGES)
    for language in LANGUAGES:
        assert ("DRAFT" in read(language).comment) == (language in DRAFTS)


def test_a_text_is_either_counted_or_not():
    assert len({text.one for text in texts()}) == len(texts())


@pytest.mark.parametrize("language", LANGUAGES if COMPLETE else ())
def test_no_text_is_missing_and_none_is_stale(language):
    """Brought up to date by ``make translations``."""
    assert (CATALOGUES / language / NAME).read_text("utf-8") == translations.updated(language)


@pytest.mark.parametrize("language", COMPLETE)
def test_every_text_is_translated(language):
    forms = read(language).forms
    assert [text.one for text in texts() if not all(forms[text])] == []


@each_language
def test_translations_have_the_fields_and_the_number_of_forms(language):
    catalogue = read(language)
    for text, forms in catalogue.forms.items():
        assert len(forms) == (catalogue.plurals if text.many else 1), text
        for form in filter(None, forms):
            assert fields(form) in (fields(text.one), fields(text.many or text.one)), form
            assert form.startswith(" ") == text.one.startswith(" "), form


@each_language
def test_gettext_reads_what_is_compiled(language, tmp_path):
    translations.compile_into(tmp_path)
    read_back = gettext.translation("text2earth", tmp_path, [language])
    for text, forms in read(language).forms.items():
        if not all(forms):
            assert read_back.gettext(text.one) == text.one
        elif text.many:
            said = {read_back.ngettext(text.one, text.many, number) for number in (0, 1, 2, 5, 10**6)}
            assert said == set(forms), text
        else:
            assert read_back.gettext(text.one) == forms[0]


def test_texts_are_found_in_the_code(tmp_path):
    module = tmp_path / "module.py"
    module.write_text('a = tr("one " "text") + trn("{n} bird", "{n} birds", count(tr("in")))\n')
    assert list(translations.texts_in(module)) == [
        Text("one text"),
        Text("{n} bird", "{n} birds"),
        Text("in"),
    ]
    module.write_text('tr(f"{value} is no text")\n')
    with pytest.raises(SystemExit, match="plain text"):
        list(translations.texts_in(module))


def test_quotes_and_lines_survive(tmp_path, monkeypatch):
    """What is written is what is read."""
    monkeypatch.setattr(translations, "CATALOGUES", tmp_path)
    monkeypatch.setattr(translations, "CODE", tmp_path / "code")
    text = 'say "hello"\n\\ and\ttab'
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "module.py").write_text(f"tr({text!r})")
    path = tmp_path / "de" / NAME
    path.parent.mkdir(parents=True)
    path.write_text(
        '# About.\nmsgid ""\nmsgstr "Language: de\\nPlural-Forms: nplurals=2; plural=(n != 1);\\n"\n'
    )
    path.write_text(
        translations.updated("de").replace('msgstr ""\n', f"msgstr {translations._quoted(text)}\n")
    )
    assert read("de").forms == {Text(text): (text,)}
