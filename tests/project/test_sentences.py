"""What a backend says, in the user's language: the plugin looks up what the backend's code says."""

import ast
import re
import string
from pathlib import Path

import pytest

import model_backend
import translations
from text2earth_qgis.core import language
from text2earth_qgis.core.wire import sentences
from text2earth_qgis.core.wire.field_names import in_words
from translations import backend_texts

pytestmark = pytest.mark.fast

LANGUAGES = ("de", "es", "fr", "zh")
each_language = pytest.mark.parametrize("spoken", LANGUAGES)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The catalogues as a package has them."""
    folder = tmp_path_factory.mktemp("resources")
    translations.compile_into(folder / "i18n")
    return folder


@pytest.fixture
def speak(compiled, monkeypatch):
    """Let the plugin speak a language."""

    def take(name):
        language.speak(name)
        sentences._catalogue.cache_clear()
        sentences._shown.cache_clear()

    monkeypatch.setattr(language, "resource", lambda *parts: str(compiled.joinpath(*parts)))
    yield take
    take("en")


def said(node):
    """Yield the sentences that an expression may come to, with 1 for what is filled in."""
    if isinstance(node, ast.Constant):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*said(node.body), *said(node.orelse))
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "1" for part in node.values)
    else:
        raise AssertionError(f"line {node.lineno}: write the whole sentence out")


def fields(text):
    return [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]


def test_all_that_jobs_say_is_found():
    known = {re.sub(r"\{\w+\}", "1", text) for text in backend_texts.texts()}
    for path in Path(model_backend.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "say":
                assert set(said(node.args[0])) <= known, path


def test_a_text_that_differs_with_a_condition_is_found_in_each_form():
    texts = backend_texts.texts()
    assert "{count} feature of the layout lies outside." in texts
    assert "{count} features of the layout lie outside." in texts
    assert "{count} features of the layout lies outside." not in texts
    assert "The prompt {reason}: the scene shows {shows}." in texts
    assert "names nothing that can be drawn" in texts, "a value of that"
    assert not [text for text in texts if "SELECT" in text or "\n" in text]


@each_language
def test_no_text_is_missing_and_none_is_stale(spoken):
    """Brought up to date by ``make translations``."""
    path = translations.catalogue_file(spoken, translations.BACKEND)
    assert path.read_bytes() == translations.updated(spoken, translations.BACKEND, translations.said())


@each_language
def test_every_text_is_translated_with_its_fields(spoken):
    for message in translations.read(spoken, translations.BACKEND):
        if message.id:
            assert message.string, message.id
            assert sorted(fields(message.id)) == sorted(fields(message.string)), message.id
            assert sorted(re.findall("`[^`]+`", message.id)) == sorted(re.findall("`[^`]+`", message.string))


@each_language
def test_every_text_is_recognised_with_values_in_it(spoken, speak):
    """No text is taken for another one."""
    speak(spoken)
    for text, shown in language.said_by_backends()["texts"].items():
        values = {name: f"{number + 7}" for number, name in enumerate(fields(text))}
        assert sentences.translated(text.format(**values)) == shown.format(**values), text


def test_sentences_are_looked_up_one_by_one_and_what_is_new_stays(speak):
    speak("zh")
    whole = "Loading the model open-land. Dreaming of it. Writing the file."
    assert sentences.translated(whole) == "正在加载模型 open-land。 Dreaming of it. 正在写入文件。"
    assert sentences.translated("") == ""
    told = in_words("`gsd` must be sizes above 0.")
    assert told == "'Ground sample distance' 必须是 大于 0 的大小。", "a value is looked up, too"


def test_numbers_are_written_as_the_language_does(speak):
    said = "The ground canvas takes 42,928 evaluations instead of 19,440 (2.2 times as long);"
    whole = f"{said} in return, scenes of one recipe join without a seam."
    speak("de")
    assert all(one in sentences.translated(whole) for one in ("42.928", "19.440", "2,2"))
    speak("zh")
    assert all(one in sentences.translated(whole) for one in ("42,928", "19,440", "2.2"))


def test_english_stays(speak):
    speak("en")
    assert sentences.translated("Writing the file. Dreaming.") == "Writing the file. Dreaming."
    assert sentences.land("two ponds (water)") == "two ponds (water)"


def test_words_for_land(speak):
    speak("de")
    assert sentences.land("two ponds (water), along one side") == "zwei Teiche (Wasser), entlang einer Seite"
    assert sentences.land("no houses") == "ohne Häuser"
    assert sentences.land("my own words") == "my own words"


def test_what_a_user_wrote_stays(speak):
    """A region may be called like a word for land."""
    speak("de")
    assert (
        sentences.translated("Region forest lies outside of the extent.")
        == "Region forest liegt außerhalb der Ausdehnung."
    )
