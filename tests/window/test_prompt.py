"""Writing a prompt: words to choose from, completion, unknown words, prompts of before and to start from."""

from __future__ import annotations

import pytest
from qgis.core import QgsSettings
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QPalette, QTextCharFormat
from qgis.PyQt.QtTest import QTest

from tests.support.qgis.dock import texts_fit
from tests.support.qgis.window import MainThreadMeter, grab, settle, until

pytestmark = pytest.mark.fast

BY_EXAMPLE, FREE = "open-land", "text2earth"
WAVE = QTextCharFormat.UnderlineStyle.WaveUnderline


@pytest.fixture
def box(dock):
    """The prompt of the form to generate, of land by example; no prompts are remembered."""
    from text2earth_qgis.core import prompt_memory

    for key in (prompt_memory.RECENT, prompt_memory.FAVOURITES):
        QgsSettings().remove(key)
    choose(dock, BY_EXAMPLE)
    return dock.request.prompt_box


def choose(dock, model):
    combo = dock.request.advanced.model
    combo.setCurrentIndex(combo.findData(model))


def underlined(box) -> list[str]:
    """Return the parts of the text that are underlined with a wave, as they are painted."""
    found, block = [], box.edit.document().begin()
    while block.isValid():
        for one in block.layout().formats():
            if one.format.underlineStyle() == WAVE:
                found.append(block.text()[one.start : one.start + one.length])
        block = block.next()
    return found


def chip(box, text):
    return next(one for one in box.chips.chips if one.text() == text)


def test_a_click_puts_a_word_in_or_takes_it_out(dock, box):
    assert box.chips.isVisible()
    assert box.chips.chips[0].text() == "forest"
    for word in ("forest", "lake"):
        QTest.mouseClick(chip(box, word), Qt.MouseButton.LeftButton)
    assert box.edit.text() == "forest, lake"
    assert chip(box, "lake").isChecked()
    QTest.mouseClick(chip(box, "forest"), Qt.MouseButton.LeftButton)
    assert box.edit.text() == "lake"
    box.edit.setPlainText("two lakes with a ")
    assert chip(box, "lake").isChecked()
    assert not chip(box, "forest").isChecked()
    QTest.mouseClick(chip(box, "beach"), Qt.MouseButton.LeftButton)
    assert box.edit.text() == "two lakes with a beach"
    box.edit.undo()
    assert box.edit.text() == "two lakes with a"


def test_all_words_are_there_and_reached_by_keys(dock, box):
    settle()
    few = sum(one.isVisible() for one in box.chips.chips)
    assert 4 < few < len(box.chips.chips)
    QTest.mouseClick(box.chips.more, Qt.MouseButton.LeftButton)
    settle()
    assert all(one.isVisible() for one in box.chips.chips)
    for one in box.chips.chips:
        assert box.chips.rect().contains(one.geometry())
    first, second = box.chips.chips[:2]
    first.setFocus()
    QTest.keyClick(first, Qt.Key.Key_Right)
    assert dock.window().focusWidget() is second
    QTest.keyClick(second, Qt.Key.Key_Space)
    assert box.edit.text() == "farmland"
    QTest.mouseClick(box.chips.more, Qt.MouseButton.LeftButton)


def test_words_are_completed(dock, box):
    popup = box.edit.completer.popup()
    box.edit.setFocus()
    QTest.keyClicks(box.edit, "a vin")
    until(popup.isVisible)
    QTest.keyClick(popup, Qt.Key.Key_Return)
    assert box.edit.text() == "a vineyard"
    assert not popup.isVisible()
    QTest.keyClicks(box.edit, " beside a ri")
    until(popup.isVisible)
    QTest.keyClick(popup, Qt.Key.Key_Tab)
    assert box.edit.text() == "a vineyard beside a river"
    QTest.keyClicks(box.edit, ", for")
    until(popup.isVisible)
    QTest.keyClick(popup, Qt.Key.Key_Escape)
    assert not popup.isVisible()
    assert box.edit.text().endswith(", for")
    QTest.keyClicks(box.edit, "est")  # a whole word needs no help
    assert not popup.isVisible()


def test_unknown_words_are_underlined_and_named(dock, box):
    box.edit.setPlainText("a Fjord in a forest, a quokka")
    until(lambda: box.unknown.isVisible())
    assert underlined(box) == ["Fjord", "quokka"]
    assert "Not understood: 'Fjord', 'quokka'." in box.unknown.text()
    assert "Nearest: " in box.unknown.text()
    grab("prompt-unknown")
    box.unknown.linkActivated.emit("Fjord/lake")
    until(lambda: "Fjord" not in box.unknown.text())
    assert box.edit.text() == "a lake in a forest, a quokka"
    assert underlined(box) == ["quokka"]
    assert "Nearest" not in box.unknown.text()
    box.edit.setPlainText("a lake in a forest")
    until(lambda: not box.unknown.isVisible())
    assert underlined(box) == []


@pytest.mark.parametrize(
    ("prompt", "wrong", "word"),
    [
        ("ein See im Buchenwald, ein Dorf", ["Buchenwald"], "Wald"),
        ("un lac près d'une montagne", ["montagne"], "forêt"),
        ("un lago en un bosque", [], "bosque"),
        ("森林中的峡湾", ["峡湾"], "森林"),
    ],
)
def test_other_languages_are_understood_and_go_on(dock, box, prompt, wrong, word):
    box.edit.setPlainText(prompt)
    until(lambda: box.chips.chips[0].text() == word)
    assert underlined(box) == wrong
    assert "en" not in (box._language,)


def test_a_plan_is_not_asked_for_again_by_underlining(dock, box, scene):
    from tests.support.qgis.window import box as part

    dock.request.gsd.set_value(4.0)
    dock.request.extent.take(part(scene, 0.5))
    box.edit.setPlainText("a quokka beside a lake")
    until(lambda: box.unknown.isVisible() and dock.planned is not None)
    settle()
    assert dock.planned is not None
    assert dock.run_button.isEnabled()


def test_a_model_of_free_text_has_neither(dock, box):
    box.edit.setPlainText("a quokka")
    until(lambda: box.unknown.isVisible())
    dock.request.advanced.model.addItem("Free", "free")
    dock.request.advanced._models.append({"id": "free", "title": "Free", "vocabulary": None})
    choose(dock, "free")
    assert not box.chips.isVisible()
    assert not box.unknown.isVisible()
    assert underlined(box) == []
    assert box.starters.isVisible()
    dock.request.advanced.set_models(list(dock.connection.state.models))


def test_an_example_is_paler_than_what_is_typed_in_themes_too(box):
    roles = QPalette.ColorRole
    for theme in ("QPlainTextEdit { color: #aaaaaa; }", ""):
        box.edit.setStyleSheet(theme)
        settle()
        example, typed = (box.edit.palette().color(role) for role in (roles.PlaceholderText, roles.Text))
        assert example.rgb() == typed.rgb()
        assert example.alpha() < 150 < typed.alpha()


def test_recent_prompts_and_favourites(dock, box):
    def entries():
        box.recent.menu().aboutToShow.emit()
        return [one for one in box.recent.menu().actions() if not one.isSeparator()]

    assert [one.isEnabled() for one in entries()] == [False]
    assert not box.favourite.isEnabled()
    for prompt in ("a lake", "a forest"):
        box.edit.setPlainText(prompt)
        box.remember()
    QTest.mouseClick(box.favourite, Qt.MouseButton.LeftButton)
    assert [one.text() for one in entries()] == ["a forest", "a forest", "a lake"]
    entries()[-1].trigger()
    assert box.edit.text() == "a lake"
    assert not box.favourite.isChecked()
    entries()[0].trigger()
    assert box.favourite.isChecked()
    assert dock.edit.form.prompt_box.recent.menu() is not None
    QTest.mouseClick(box.favourite, Qt.MouseButton.LeftButton)
    assert [one.text() for one in entries()] == ["a forest", "a lake"]


def test_prompts_to_start_from(dock, box):
    menu = box.starters.menu()
    menu.aboutToShow.emit()
    kinds = menu.actions()
    assert len(kinds) >= 8
    for kind in kinds:
        assert 2 <= len(kind.menu().actions()) <= 5
    kinds[0].menu().actions()[0].trigger()
    assert box.edit.text() == "a lake in a forest"
    until(lambda: dock.request.prompt.text() and not box.unknown.isVisible())


def test_the_edit_has_the_same(dock, form):
    form.model.model.setCurrentIndex(form.model.model.findData(BY_EXAMPLE))
    box = form.prompt_box
    assert box.chips.isVisible()
    box.edit.setPlainText("a fjord")
    until(lambda: underlined(box) == ["fjord"])


def test_it_fits_into_a_narrow_dock_and_holds_nothing_up(dock, box, iface):
    dock.setFloating(True)
    dock.resize(300, 800)
    with MainThreadMeter() as meter:
        for letter in "a fjord beside a village, farmland":
            QTest.keyClick(box.edit, letter)
            settle()
        until(lambda: underlined(box) == ["fjord"])
    assert meter.longest < meter.allowed, meter.where
    settle()
    texts_fit(dock)
    grab("prompt-narrow", dock)
    dock.setFloating(False)
