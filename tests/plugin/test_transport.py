"""HTTP through QGIS: what arrives, what fails and how it is told, who gets credentials."""

import base64
import gzip
import json
import socket
import threading

import pytest
from qgis.core import QgsApplication, QgsAuthMethodConfig, QgsFeedback, QgsNetworkAccessManager, QgsTask
from qgis.PyQt.QtNetwork import QNetworkProxy

from tests.support.qgis.toolbox import PATIENCE
from tests.support.web_server import File, Reply, WebServer
from text2earth_qgis.core.errors import BackendError, Cancelled, PluginError, Unreachable
from text2earth_qgis.core.wire import calls, transport
from text2earth_qgis.core.wire.access import Access
from text2earth_qgis.core.wire.async_client import AsyncClient
from text2earth_qgis.core.wire.schemas import Link
from text2earth_qgis.core.wire.transport import open_client, open_session


@pytest.fixture
def client(web):
    return open_client(Access(web.url))


@pytest.fixture
def asking(web, qtbot):
    """Ask asynchronously and return what was answered: a value, or an error."""
    client = AsyncClient(Access(web.url))

    def ask(call):
        answers = []
        client.run(call, answers.append, answers.append)
        qtbot.waitUntil(lambda: bool(answers), timeout=PATIENCE)
        return answers[0]

    yield ask
    client.close()


class Work(QgsTask):
    """Calls a function in a worker thread and keeps what came of it."""

    def __init__(self, function):
        super().__init__("test", QgsTask.Flag.CanCancel)
        self.function, self.value, self.error = function, None, None

    def run(self):
        try:
            self.value = self.function(self)
        except PluginError as error:
            self.error = error
        return True


@pytest.fixture
def in_worker(qtbot):
    def run(function):
        task = Work(function)
        with qtbot.waitSignal(task.taskCompleted, timeout=PATIENCE):
            QgsApplication.taskManager().addTask(task)
        if task.error:
            raise task.error
        return task.value

    return run


# ---- what arrives


def test_headers_and_body_arrive(client, web):
    web.answer = lambda _request: Reply(201, b"", {"Location": "/jobs/a"})
    client.execute("generate", {"prompt": "été 湖"}, "key")
    request = web.requests[0]
    assert request.method == "POST"
    assert json.loads(request.body)["inputs"] == {"prompt": "été 湖"}
    assert request.headers["content-type"] == "application/json"
    assert request.headers["idempotency-key"] == "key"
    assert request.headers["x-request-id"] == "key", "what logs of the backend call it, and runs here"
    assert "QGIS" in request.headers["user-agent"]
    assert "authorization" not in request.headers


def test_delete_arrives(client, web):
    web.answer = lambda _request: Reply.of({})
    assert client.delete("a")
    assert web.requests[0].method == "DELETE"


def test_compressed_answers_are_read(client, web):
    body = gzip.compress(json.dumps({"title": "x"}).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    web.answer = lambda _request: Reply(200, body, headers)
    assert client.landing() == {"title": "x"}


def test_download_in_a_worker(web, tmp_path, in_worker):
    content = bytes(range(256)) * 4096 * 20
    web.answer = File(content)
    in_worker(lambda task: open_client(Access(web.url), task).download(Link("file"), tmp_path / "a.tif"))
    assert (tmp_path / "a.tif").read_bytes() == content


def test_download_without_ranges_is_streamed_to_disk(client, web, tmp_path):
    content = bytes(range(256)) * 4096 * 20
    web.answer = lambda request: Reply(405) if request.method == "HEAD" else Reply(200, content)
    client.download(Link("file"), tmp_path / "a.tif")
    assert (tmp_path / "a.tif").read_bytes() == content


def test_redirects_are_followed_with_the_range(client, web, tmp_path):
    file = File(b"abc" * 100)
    web.answer = lambda request: (
        file(request) if request.path == "/there" else Reply(302, b"", {"Location": "/there"})
    )
    client.download(Link("here"), tmp_path / "a.tif")
    assert (tmp_path / "a.tif").read_bytes() == b"abc" * 100


# ---- credentials


def test_token_goes_to_the_backend_and_nowhere_else(web):
    with WebServer(lambda _request: Reply.of({})) as other:
        client = open_client(Access(web.url, token="secret-word"))
        web.answer = lambda request: (
            Reply(302, b"", {"Location": other.url + "/x"}) if request.path == "/moved" else Reply.of({})
        )
        client.landing()
        client.fetch(other.url + "/elsewhere")
        client.fetch("moved")
        assert web.requests[0].headers["authorization"] == "Bearer secret-word"
        assert [request.path for request in other.requests] == ["/elsewhere", "/x"]
        assert all("authorization" not in request.headers for request in other.requests)


def test_port_is_part_of_the_origin(web):
    session = open_session(Access(web.url[:-1], token="secret-word"))  # a port that begins alike
    web.answer = lambda _request: Reply.of({})
    session.get(web.url + "/", timeout=60)
    assert "authorization" not in web.requests[0].headers


def test_token_is_not_in_representations():
    assert "secret-word" not in repr(Access("http://127.0.0.1", token="secret-word"))


@pytest.fixture
def basic():
    manager = QgsApplication.authManager()
    if not manager.masterPasswordIsSet():
        manager.setMasterPassword("test", True)
    config = QgsAuthMethodConfig("Basic")
    config.setName("test")
    config.setConfig("username", "me")
    config.setConfig("password", "secret-word")
    assert manager.storeAuthenticationConfig(config)
    stored = config.id()
    yield stored
    manager.removeAuthenticationConfig(stored)


def test_authcfg_is_used(web, basic, in_worker):
    web.answer = lambda _request: Reply.of({})
    open_client(Access(web.url, authcfg=basic)).landing()
    in_worker(lambda task: open_client(Access(web.url, authcfg=basic), task).landing())
    expected = "Basic " + base64.b64encode(b"me:secret-word").decode()
    assert [request.headers["authorization"] for request in web.requests] == [expected] * 2
    assert len({request.headers["x-request-id"] for request in web.requests}) == 2


def test_unknown_authcfg_is_refused(web, asking):
    with pytest.raises(PluginError, match="authentication configuration nothing cannot be used"):
        open_client(Access(web.url, authcfg="nothing")).landing()
    assert web.requests == []


def test_loopback_does_not_go_to_the_proxy(client, web):
    manager = QgsNetworkAccessManager.instance()
    before = manager.fallbackProxy(), manager.excludeList(), manager.noProxyList()
    proxy = QNetworkProxy(QNetworkProxy.ProxyType.HttpProxy, "127.0.0.1", 9)
    manager.setFallbackProxyAndExcludes(proxy, [], [])
    try:
        web.answer = lambda _request: Reply.of({"title": "x"})
        assert client.landing() == {"title": "x"}
        with pytest.raises(Unreachable, match="[Pp]roxy"):
            open_client(Access("https://example.invalid")).landing()
    finally:
        manager.setFallbackProxyAndExcludes(*before)


# ---- failures

PROBLEMS = [
    (400, {"detail": "Too fine.", "field": "gsd"}, "Too fine."),
    (401, {"detail": "No token."}, "asks for a token. Choose an authentication configuration"),
    (413, {"detail": "Too large."}, "Too large."),
    (429, {"detail": "16 jobs."}, "16 jobs. Try again in 7 s."),
    (500, {"detail": "oops"}, "The backend failed: oops."),
    (503, {"detail": "No model."}, "No model."),
    (507, {"detail": "Disk full."}, "Disk full."),
]


@pytest.mark.parametrize(("status", "problem", "sentence"), PROBLEMS, ids=[str(row[0]) for row in PROBLEMS])
def test_problems_reach_both_ways(client, asking, web, status, problem, sentence):
    web.answer = lambda _request: Reply.of(problem, status, **{"Retry-After": "7"})
    with pytest.raises(BackendError) as waited:
        client.execute("generate", {}, "key")
    called_back = asking(calls.execute("generate", {}, "key"))
    for error in (waited.value, called_back):
        assert sentence in str(error)
        assert (error.status, error.retry_after, error.field) == (status, 7, problem.get("field"))


def test_half_a_body_is_no_answer(client, asking, web):
    web.answer = lambda _request: Reply(200, b'{"title": ', {"Content-Type": "application/json"}, claim=500)
    with pytest.raises(Unreachable):
        client.landing()
    assert isinstance(asking(calls.landing()), Unreachable)


def test_a_closed_connection_is_no_answer(client, asking, web):
    web.answer = lambda _request: Reply(reset=True)
    with pytest.raises(Unreachable, match=f"No backend answers at {web.url}"):
        client.landing()
    assert isinstance(asking(calls.landing()), Unreachable)


def test_refused_connection(asking):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(Unreachable, match=r"refused.*Set one up in the panel"):
        open_client(Access(url)).landing()


def test_unknown_host_and_nonsense(qtbot):
    with pytest.raises(Unreachable, match="example.invalid"):
        open_client(Access("http://example.invalid")).landing()
    for url in ("nonsense", "ftp://127.0.0.1/x", "http://[::1"):
        with pytest.raises(PluginError, match="Settings > Options"):
            open_client(Access(url)).landing()
        told = []
        AsyncClient(Access(url)).run(calls.landing(), told.append, told.append)
        assert "Settings > Options" in str(told[0])


def test_silence_is_a_timeout(web, monkeypatch, qtbot):
    monkeypatch.setattr(transport, "TIMEOUT", 0.3)
    web.answer = lambda _request: Reply(hold=True)
    with pytest.raises(Unreachable, match="did not answer in time"):
        open_client(Access(web.url)).landing()
    told = []
    client = AsyncClient(Access(web.url))
    client.run(calls.landing(), told.append, told.append)
    qtbot.waitUntil(lambda: bool(told), timeout=PATIENCE)
    assert "did not answer in time" in str(told[0])


# ---- stopping


def test_cancel_ends_a_transfer_at_once(web, in_worker):
    web.answer = lambda _request: Reply(hold=True)

    def ask(task):
        threading.Timer(0.2, task.cancel).start()
        with pytest.raises(Cancelled):  # else it would time out, or wait for as long as the test may take
            open_client(Access(web.url), task).landing()

    in_worker_cancelled(in_worker, ask)


def in_worker_cancelled(in_worker, function):
    """A cancelled task does not complete, so the function runs under a feedback of its own."""

    def run(_task):
        feedback = QgsFeedback()
        feedback_like = type("F", (), {"cancel": feedback.cancel, "isCanceled": feedback.isCanceled})()
        return function(feedback_like)

    return in_worker(run)


def test_pause_can_be_cancelled(qtbot):
    feedback = QgsFeedback()
    threading.Timer(0.2, feedback.cancel).start()
    with pytest.raises(Cancelled):
        transport.pause(24 * 3600, feedback)


def test_pending_question_can_be_dropped(web, qtbot):
    web.answer = lambda _request: Reply(hold=True)
    client, told = AsyncClient(Access(web.url)), []
    pending = client.run(calls.landing(), told.append, told.append)
    qtbot.waitUntil(lambda: bool(web.requests), timeout=PATIENCE)
    pending.cancel()
    client.run(calls.landing(), told.append, told.append)
    client.close()
    qtbot.wait(100)
    assert told == []
