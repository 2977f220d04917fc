"""The page in Settings > Options: servers with names, and models that are downloaded from there."""

from __future__ import annotations

import pytest
from qgis.core import QgsSettings

from launcher import BACKEND_PYTHON
from tests.support.backend.model_hub import ModelHub
from tests.support.qgis.backend import build_model
from tests.support.qgis.window import MainThreadMeter, grab, until
from text2earth_qgis.core import settings
from text2earth_qgis.core.local.pulling import Puller
from text2earth_qgis.core.settings import Server
from text2earth_qgis.gui.options.models import ModelsField
from text2earth_qgis.gui.options.servers import ServersField

MODEL = "text2earth-inpainting"
UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def stored():
    """What is stored now, put back afterwards."""
    before, servers = settings.load(), settings.servers()
    QgsSettings().remove(settings.SERVERS)
    yield
    settings.save(before)
    settings.save_servers(servers)


@pytest.mark.fast
def test_a_single_server_of_before_has_a_name_and_stays_when_another_is_chosen(stored):
    settings.save(settings.Settings(url="https://gpu.example.org", authcfg="abc1234"))
    QgsSettings().remove(settings.SERVERS)  # as versions before this one stored it
    field = ServersField()
    field.show_servers(settings.servers(), settings.load().url)
    assert field.used() == Server("gpu.example.org", "https://gpu.example.org", "abc1234")
    settings.save(settings.Settings())  # this computer is chosen, elsewhere than on this page
    assert [one.name for one in settings.servers()] == ["gpu.example.org"]
    field.show_servers(settings.servers(), "")
    assert field.used() is None
    field.add_button.click()
    field.name.setText("Office")
    assert field.servers() == settings.servers()  # one without an address is none
    field.url.setText("office.example.org")
    assert field.used() == Server("Office", "https://office.example.org")
    field.list.setCurrentRow(1)
    field.remove_button.click()
    assert [one.name for one in field.servers()] == ["Office"]
    assert field.used() is None


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with a model, and an empty data folder of a backend on this computer."""
    one = ModelHub(build_model(tmp_path / "repo", "inpaint"))
    for name, value in (("HF_ENDPOINT", one.url), ("HF_HOME", tmp_path), ("TEXT2EARTH_DATA_DIR", tmp_path)):
        monkeypatch.setenv(name, str(value))
    yield one
    one.stop()


def test_a_model_is_downloaded_and_every_end_is_told(dock, stored, hub, tmp_path):
    settings.save(settings.Settings(python=str(BACKEND_PYTHON)))
    puller = Puller()
    field = ModelsField(puller)
    field.resize(640, 480)
    field.show()
    cards = dock.connection.state.models
    field.show_models(cards, own=False)
    field.table.setCurrentItem(field.table.topLevelItem([card["id"] for card in cards].index(MODEL)))
    assert "Edits and extends rasters" in field.about.text()
    assert f"models pull {MODEL}" in field.about.text()
    assert not field.pull_button.isEnabled()
    field.show_models(cards, own=True)

    def download(accept=True):
        field.pull_button.click()
        assert "This is not legal advice" in field.outcome.text()
        field.outcome.actions()["Accept and download" if accept else "Cancel"].click()

    download(accept=False)
    assert not puller.busy
    hub.faults.portal = True
    download()
    until(lambda: "perhaps the login page of a network" in field.outcome.text())
    hub.faults.portal = False
    hub.faults.stall_at[UNET] = 200_000
    with MainThreadMeter() as meter:
        download()
        assert field.outcome.isHidden()
        until(hub.faults.stalled.is_set)
        until(lambda: field.bar.value() > 0)
        grab("download", field)
        field.cancel_button.click()
        until(lambda: "The download was stopped" in field.outcome.text())
    assert meter.longest < meter.allowed, meter.where
    hub.faults.release.set()
    download()
    until(lambda: f"{MODEL} is installed." in field.outcome.text())
    assert (tmp_path / "models" / MODEL / UNET).read_bytes() == hub.files[UNET]
    assert field.table.currentItem().text(4) == "installed"
    assert field.pull_button.isHidden()
    field.close()
    field.deleteLater()
    puller.close()
