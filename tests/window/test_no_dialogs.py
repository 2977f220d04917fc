"""No question of QGIS is ever caused by us, while backends come and go, change token and certificate."""

from __future__ import annotations

import socket

import pytest
from qgis.core import (
    QgsApplication,
    QgsAuthCertUtils,
    QgsAuthConfigSslServer,
    QgsAuthMethodConfig,
    QgsNetworkAccessManager,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
)
from qgis.PyQt.QtNetwork import QNetworkProxy, QSsl, QSslCertificate, QSslError

from tests.support.qgis.backend import Backend
from tests.support.qgis.dock import ask, state
from tests.support.qgis.window import Interruptions, grab, settle, until
from tests.support.web_server import Reply, WebServer, self_signed

HEALTH = {"status": "ok", "version": "0", "model": "m", "installed": True, "profile": {}, "queue": 0}
BASIC = Reply(401, b"{}", {"WWW-Authenticate": 'Basic realm="a realm"', "Content-Type": "application/json"})
PROXY = Reply(407, b"", {"Proxy-Authenticate": 'Basic realm="a proxy"'})


def healthy(request):
    """Answer as a backend, and end the connection, so that another server can take the place."""
    found = {"models": []} if request.path.startswith("/models") else HEALTH
    return Reply.of(found, **{"Connection": "close"})


@pytest.fixture
def interruptions():
    with Interruptions() as watch:
        yield watch


@pytest.fixture
def turn_to(window, scene, tmp_path):
    """Name another backend in the settings, the dock open; the settings come back."""
    from text2earth_qgis.core import settings

    before = settings.load()

    def turn(url, **more):
        settings.save(settings.Settings(url=url, folder=str(tmp_path), poll_seconds=0.1, **more))
        window.settings_changed()
        window.show_dock()
        return window.dock

    yield turn
    settings.save(before)
    window.settings_changed()


def twice(dock, web=None):
    """Wait until a backend was asked again because of a trouble."""
    until(lambda: dock.connection.state.trouble)
    dock.connection.check()
    if web is not None:
        there = len(web.requests)
        until(lambda: len(web.requests) > there)
    until(lambda: dock.connection.state.asked)


def says(dock, words):
    """Ask anew until the dock complains in these words."""
    dock.connection.start_over()
    until(lambda: words in dock.connection.state.trouble)
    assert dock.notice.isVisible()
    assert words in dock.notice.text()


def ready(dock):
    """Ask anew until the backend is there."""
    dock.connection.start_over()
    until(lambda: dock.connection.state.ready)
    assert not dock.notice.isVisible()


def in_toolbox(tmp_path, **inputs):
    """Run an algorithm in a worker, as the toolbox does; return what was told."""
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("text2earth:generate")
    box = "500000,500128,5800000,5800128 [EPSG:32633]"
    asked = {"PROMPT": "a lake", "EXTENT": box, "GSD": 1, "OUTPUT": str(tmp_path / "a.tif"), **inputs}
    context, feedback, ends = QgsProcessingContext(), QgsProcessingFeedback(), []
    task = QgsProcessingAlgRunnerTask(algorithm, asked, context, feedback)
    task.executed.connect(lambda good, _results: ends.append(good))
    QgsApplication.taskManager().addTask(task)
    until(lambda: ends)
    assert ends == [False]
    return feedback.textLog()


@pytest.fixture
def address(tmp_path, monkeypatch):
    """A data folder that this QGIS knows, and a free port: of a backend that is still to be started."""
    monkeypatch.setenv("TEXT2EARTH_DATA_DIR", str(tmp_path / "data"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return tmp_path / "data", probe.getsockname()[1]


@pytest.fixture
def process(address):
    """A backend that may be started at that address, ended at the end."""
    made = Backend(address[0], "--model", "text2earth-mini", threads=1)  # slow enough to be killed at work
    made.port = address[1]
    yield made
    made.stop()


def test_a_backend_that_appears_is_found_with_its_token(interruptions, turn_to, process, scene, tmp_path):
    dock = turn_to(f"http://127.0.0.1:{process.port}")
    says(dock, "No backend answers")
    process.start(process.port)  # makes its token now
    until(lambda: dock.connection.state.ready)
    token = tmp_path / "data" / "token"

    process.stop()
    says(dock, "No backend answers")
    token.write_text("another-token-of-sixteen\n")
    process.start(process.port)
    until(lambda: dock.connection.state.ready)

    process.stop()
    says(dock, "No backend answers")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("a-token-of-another-file\n")
    elsewhere.chmod(0o600)
    other = Backend(process.data_dir, token_file=elsewhere, threads=1).start(process.port)
    until(lambda: "does not accept the token" in dock.connection.state.trouble)
    assert str(token) in dock.notice.text()
    says(dock, "does not accept the token")
    token.write_text(elsewhere.read_text())
    until(lambda: dock.connection.state.ready)
    other.stop()
    assert interruptions.none, interruptions.dialogs + interruptions.errors


def test_a_job_goes_on_with_a_new_token(interruptions, turn_to, process, scene, window):
    token = process.data_dir / "token"
    token.parent.mkdir()
    token.write_text("one-token-of-sixteen ada\n")
    token.chmod(0o600)
    dock = turn_to(f"http://127.0.0.1:{process.port}")
    process.start(process.port)
    until(lambda: dock.connection.state.ready)
    dock.request.advanced.steps.setValue(2)
    ask(dock, scene, gsd=8.0, share=0.2)
    dock.run_button.click()
    key = dock.runs.model.rows[0].run.key
    until(lambda: dock.runs.row(key).run.job)
    process.stop()
    token.write_text("another-token-of-sixteen ada\n")
    process.start(process.port)
    until(lambda: state(dock, key) == "fetched")
    dock.removals.remove([key])
    dock.request.recall({})
    dock.request.extent.clear()
    assert interruptions.none, interruptions.dialogs + interruptions.errors


def test_a_backend_killed_at_work_is_told_and_awaited(interruptions, turn_to, process, scene, window):
    dock = turn_to(f"http://127.0.0.1:{process.port}")
    process.start(process.port)
    until(lambda: dock.connection.state.ready)
    dock.request.advanced.steps.setValue(200)
    ask(dock, scene, gsd=8.0, share=0.9)
    dock.run_button.click()
    key = dock.runs.model.rows[0].run.key
    until(lambda: dock.runs.card(key) is None or dock.runs.card(key).progress() > 0)
    assert dock.runs.card(key) is not None, dock.runs.row(key).run.message
    process.kill()
    done = dock.runs.card(key).progress()
    until(lambda: "No answer from the backend. Trying again." in dock.runs.card(key).phase())
    until(lambda: dock.connection.state.trouble)
    settle()
    card = dock.runs.card(key)
    assert card.progress() >= done > 0
    assert "…" not in card._phase.text()
    assert card.height() >= card.heightForWidth(card.width())
    assert dock.notice.isVisible()
    assert not dock.run_button.isEnabled()
    grab("backend-killed")
    process.start(process.port)
    until(lambda: dock.connection.state.ready)
    until(lambda: "No answer" not in dock.runs.card(key).phase())
    assert not dock.notice.isVisible()
    dock.runs.card(key).cancel.click()
    until(lambda: state(dock, key) == "dismissed")
    dock.removals.remove([key])
    dock.request.recall({})
    dock.request.extent.clear()
    assert interruptions.none, interruptions.dialogs + interruptions.errors


def test_a_password_is_never_asked_for(interruptions, turn_to, tmp_path):
    with WebServer(lambda _request: BASIC) as web:
        dock = turn_to(web.url)
        twice(dock, web)
        assert "asks for a token" in dock.notice.text()
        assert "asks for a token" in in_toolbox(tmp_path)
        web.answer = lambda request: healthy(request) if "healthz" in request.path else BASIC
        dock.connection.check()
        twice(dock, web)
    assert interruptions.none, interruptions.dialogs + interruptions.errors


def test_a_proxy_asks_nothing(interruptions, turn_to, tmp_path):
    manager = QgsNetworkAccessManager.instance()
    before = manager.fallbackProxy(), manager.excludeList(), manager.noProxyList()
    with WebServer(lambda _request: PROXY) as web:
        proxy = QNetworkProxy(QNetworkProxy.ProxyType.HttpProxy, "127.0.0.1", web.port)
        manager.setFallbackProxyAndExcludes(proxy, [], [])
        try:
            for url in ("http://example.invalid", "https://example.invalid"):
                dock = turn_to(url)
                twice(dock, web)
                assert "The proxy set in QGIS refused" in dock.notice.text()
                assert "The proxy set in QGIS refused" in in_toolbox(tmp_path)
        finally:
            manager.setFallbackProxyAndExcludes(*before)
    assert interruptions.none, interruptions.dialogs + interruptions.errors


def test_a_certificate_is_told_and_not_asked_about(interruptions, turn_to, tmp_path):
    first, second = (tmp_path / name for name in ("first", "second"))
    first.mkdir(), second.mkdir()
    with WebServer(healthy, tls=self_signed(first)) as web:
        dock = turn_to(web.url)
        twice(dock)
        for text in (dock.notice.text(), in_toolbox(tmp_path)):
            assert "signed by nobody but itself" in text
            assert "Manage Certificates" in text
        trust(first / "certificate.pem", web.port)
        dock.connection.check()
        until(lambda: dock.connection.state.ready)
    try:
        with WebServer(healthy, web.port, self_signed(second)) as web:
            dock.connection.check()
            twice(dock)
            assert "signed by nobody but itself" in dock.notice.text()
    finally:
        digest = QgsAuthCertUtils.shaHexForCert(certificate_of(first / "certificate.pem"))
        QgsApplication.authManager().removeSslCertCustomConfig(digest, f"127.0.0.1:{web.port}")
    with WebServer(healthy) as web:
        dock = turn_to(web.url.replace("http:", "https:"))
        twice(dock)
        assert "write its address with http://" in dock.notice.text()
    assert interruptions.none, interruptions.dialogs + interruptions.errors


def certificate_of(path):
    return QSslCertificate.fromPath(str(path))[0]


def trust(path, port):
    """Save an exception for a certificate, as the user does in QGIS's options."""
    manager = QgsApplication.authManager()
    if not manager.masterPasswordIsSet():
        assert manager.setMasterPassword("test", True)
    exception = QgsAuthConfigSslServer()
    exception.setSslCertificate(certificate_of(path))
    exception.setSslHostPort(f"127.0.0.1:{port}")
    exception.setSslProtocol(QSsl.SslProtocol.SecureProtocols)
    exception.setSslIgnoredErrorEnums(
        [QSslError.SslError.SelfSignedCertificate, QSslError.SslError.HostNameMismatch]
    )
    assert manager.storeSslCertCustomConfig(exception)


def test_the_master_password_is_not_asked_for(interruptions, turn_to, tmp_path):
    manager = QgsApplication.authManager()
    if not manager.masterPasswordIsSet():
        assert manager.setMasterPassword("test", True)
    config = QgsAuthMethodConfig("Basic")
    config.setName("ours")
    config.setConfig("username", "me")
    config.setConfig("password", "secret-word")
    assert manager.storeAuthenticationConfig(config)
    manager.clearMasterPassword()
    with WebServer(healthy) as web:
        dock = turn_to(web.url, authcfg=config.id())
        twice(dock)
        assert "master password" in dock.notice.text()
        assert "Unlock" in dock.notice.actions()
        assert "master password" in in_toolbox(tmp_path)
        assert web.requests == []
        assert manager.setMasterPassword("test", True)
        dock.connection.check()
        until(lambda: dock.connection.state.ready)
    manager.removeAuthenticationConfig(config.id())
    assert interruptions.none, interruptions.dialogs + interruptions.errors


@pytest.mark.parametrize(
    ("typed", "whole"),
    [
        ("127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("localhost:8765/x", "http://localhost:8765/x"),
        ("gpu.example.org", "https://gpu.example.org"),
        (" http://gpu:8765 ", "http://gpu:8765"),
    ],
)
def test_an_address_gets_its_scheme(interruptions, window, typed, whole):
    from text2earth_qgis.core import settings
    from text2earth_qgis.gui.options.servers import ServersField

    page = ServersField()
    page.show_servers([], "")
    page.add_button.click()
    page.url.setText(typed)
    page.url.editingFinished.emit()
    assert page.url.text() == page.used().url == whole
    assert settings.access(settings.Settings(url=typed)).url == whole
    page.deleteLater()
