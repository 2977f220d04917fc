"""What the user sets, and what the environment overrides."""

import pytest
from qgis.core import QgsProject, QgsSettings

from text2earth_qgis.core import settings
from text2earth_qgis.core.settings import Settings
from text2earth_qgis.core.wire.access import Access

pytestmark = pytest.mark.fast


def test_defaults_and_round_trip():
    assert settings.load() == Settings()
    changed = Settings("http://gpu:1", "abc1234", "/x", False, 2.5, "/usr/bin/python3")
    settings.save(changed)
    assert settings.load() == changed
    assert QgsSettings().value("text2earth/url") == "http://gpu:1"


def test_environment_wins(monkeypatch):
    settings.save(Settings(url="http://gpu:1", authcfg="abc1234"))
    assert settings.access(settings.load()) == Access("http://gpu:1", "abc1234")
    monkeypatch.setenv("TEXT2EARTH_BACKEND_URL", "http://other:2")
    monkeypatch.setenv("TEXT2EARTH_TOKEN", "word")
    assert settings.access(settings.load()) == Access(
        "http://other:2", "", "word", token_source="the environment variable TEXT2EARTH_TOKEN"
    )


@pytest.mark.parametrize(("url", "sent"), [("http://127.0.0.1:1", True), ("http://gpu:1", False)])
def test_the_local_token_stays_on_this_computer(monkeypatch, tmp_path, url, sent):
    (tmp_path / "token").write_text("# made at first start\nword me # mine\n")
    monkeypatch.setenv("TEXT2EARTH_DATA_DIR", str(tmp_path))
    assert settings.access(Settings(url=url)).token == ("word" if sent else None)
    assert settings.access(Settings(url=url, authcfg="abc1234")).token is None


def test_data_folder_is_the_backend_s(monkeypatch):
    monkeypatch.delenv("TEXT2EARTH_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", "/x")
    assert str(settings.data_folder()) == "/x/text2earth"


@pytest.mark.parametrize("url", ["nonsense", "http://[::1", "http://127.0.0.1:99999999", ""])
def test_an_address_that_is_none_is_not_local(url):
    assert not Access(url).local or url.startswith("http://127")


def test_result_folder(tmp_path):
    project = QgsProject()
    assert settings.result_folder(Settings(), project).name == "Text2Earth"
    project.write(str(tmp_path / "p.qgz"))
    assert settings.result_folder(Settings(), project) == tmp_path / "text2earth"
    assert str(settings.result_folder(Settings(folder="/x/y"), project)) == "/x/y"
