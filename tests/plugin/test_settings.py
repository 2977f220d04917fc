"""What the user sets, and what the environment overrides."""

import fcntl

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


def test_the_address_that_was_the_default_is_this_computer_s_backend():
    """It was stored with every other setting. A tunnel to a server, which has credentials, is another."""
    settings.save(Settings(url="http://127.0.0.1:8765", python="/usr/bin/python3"))
    assert settings.load() == Settings(python="/usr/bin/python3")
    tunnel = Settings(url="http://127.0.0.1:8765", authcfg="abc1234")
    settings.save(tunnel)
    assert settings.load() == tunnel


def test_the_user_s_own_backend_is_found_where_it_says(monkeypatch, tmp_path):
    monkeypatch.setenv("TEXT2EARTH_DATA_DIR", str(tmp_path))
    (tmp_path / "token").write_text("word\n")
    nowhere = settings.access(Settings())
    assert (nowhere.url, nowhere.token, nowhere.own) == ("http://127.0.0.1:8765", None, True)
    (tmp_path / "address").write_text("http://127.0.0.1:34567\n")
    (tmp_path / "lock").touch()
    killed = settings.access(Settings())
    assert (killed.url, killed.token) == (nowhere.url, None), "that port may be a stranger's by now"
    with (tmp_path / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = settings.access(Settings(authcfg="abc1234"))
    assert (found.url, found.token, found.authcfg) == ("http://127.0.0.1:34567", "word", "")
    assert found.server == nowhere.server, "runs are on the same backend, whatever its port"
    assert found.has(nowhere.server)
    assert found.has("http://127.0.0.1:8765")
    assert not found.has("http://gpu:1")


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
