"""The client over plain requests, without QGIS: URLs, readers, downloads, sentences."""

import hashlib
import json

import pytest
import requests

from tests.support.web_server import File, Reply
from text2earth_qgis.core.errors import BackendError, PluginError, Unreachable
from text2earth_qgis.core.wire.client import RANGE, Client
from text2earth_qgis.core.wire.schemas import Extent, GenerateInputs, Link

pytestmark = pytest.mark.fast

CONTENT = bytes(range(256)) * 4096 * 20  # 20 MiB: three ranges


@pytest.fixture
def client(web):
    with requests.Session() as session:
        yield Client(session, web.url + "/base", timeout=60, pause=lambda _seconds: None)


def link(web, content=None):
    return Link(f"{web.url}/file", sha256=hashlib.sha256(content).hexdigest() if content else "")


def ranges(web):
    return [request.headers.get("range") for request in web.requests if request.method == "GET"]


def test_execute_asks_as_the_standard_says(client, web):
    web.answer = lambda _request: Reply(201, b"", {"Location": f"{web.url}/base/jobs/abc"})
    inputs = GenerateInputs("a lake", Extent([0, 0, 1, 1])).to_json()
    status = client.execute("generate", inputs, "key")
    request = web.requests[0]
    assert (status.job, status.status) == ("abc", "accepted")
    assert (request.method, request.path) == ("POST", "/base/processes/generate/execution")
    assert request.headers["prefer"] == "respond-async"
    assert request.headers["idempotency-key"] == "key"
    assert json.loads(request.body) == {"inputs": inputs, "response": "document"}


def test_status_of_any_server(client, web):
    web.answer = lambda _request: Reply.of(
        {"jobID": "a b", "type": "process", "status": "running"}, **{"Retry-After": "3"}
    )
    status = client.status("a b")
    assert web.requests[0].path == "/base/jobs/a%20b"
    assert (status.status, status.progress, status.retry_after, status.links) == ("running", None, 3, ())


def test_status_of_ours(client, web):
    links = [
        {"href": "/x", "rel": "http://www.opengis.net/def/rel/ogc/1.0/results"},
        {"href": "/y", "rel": "preview", "crs": "EPSG:32633", "bbox": [1, 2, 3, 4]},
    ]
    more = {"queuePosition": 2, "eta": 12.5, "seed": 7, "progress": 40, "links": links}
    web.answer = lambda _request: Reply.of({"jobID": "a", "status": "accepted", **more})
    status = client.status("a")
    assert (status.queue_position, status.eta, status.seed, status.progress) == (2, 12.5, 7, 40)
    assert status.link("results").href == "/x"
    assert (status.link("preview").crs, status.link("preview").bbox) == ("EPSG:32633", (1, 2, 3, 4))
    assert status.link("preview").outline == ((1, 4), (3, 4), (3, 2), (1, 2))
    assert status.link("monitor") is None


def test_a_preview_of_turned_rows():
    corners = [[0, 0], [4, 3], [1, 7], [-3, 4]]
    assert Link.from_json({"href": "/y", "corners": corners}).outline == tuple(map(tuple, corners))
    assert Link.from_json({"href": "/y", "corners": corners[:3]}).outline == ()
    assert Link.from_json({"href": "/y"}).outline == ()


def test_delete_says_whether_there_was_something(client, web):
    web.answer = lambda _request: Reply.of({"jobID": "a", "status": "dismissed"})
    assert client.delete("a") is True
    web.answer = lambda _request: Reply.of({"detail": "No such job."}, 404)
    assert client.delete("a") is False


def test_download_goes_by_ranges_and_is_checked(client, web, tmp_path):
    web.answer = File(CONTENT)
    seen = []
    size = client.download(link(web, CONTENT), tmp_path / "a.tif", lambda *both: seen.append(both))
    assert size == len(CONTENT)
    assert (tmp_path / "a.tif").read_bytes() == CONTENT
    assert len(ranges(web)) == 3
    assert seen == [(RANGE, size), (2 * RANGE, size), (size, size)]
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_download_continues_where_it_broke(client, web, tmp_path):
    file = File(CONTENT)
    web.answer = lambda request: (
        Reply(500) if request.headers.get("range", "").startswith(f"bytes={RANGE}-") else file(request)
    )
    with pytest.raises(BackendError):
        client.download(link(web, CONTENT), tmp_path / "a.tif")
    assert not (tmp_path / "a.tif").exists()
    web.requests.clear()
    web.answer = file
    client.download(link(web, CONTENT), tmp_path / "a.tif")
    assert (tmp_path / "a.tif").read_bytes() == CONTENT
    assert ranges(web)[0] == f"bytes={RANGE}-{2 * RANGE - 1}"


def test_download_never_mixes_two_files(client, web, tmp_path):
    old, new = File(CONTENT), File(CONTENT[::-1], '"two"')
    web.answer = lambda request: (
        Reply(500) if request.headers.get("range", "").startswith(f"bytes={RANGE}-") else old(request)
    )
    with pytest.raises(BackendError):
        client.download(link(web), tmp_path / "a.tif")
    web.answer = new
    client.download(link(web), tmp_path / "a.tif")
    assert (tmp_path / "a.tif").read_bytes() == CONTENT[::-1]


def test_download_notices_a_file_that_changes_meanwhile(client, web, tmp_path):
    old, new = File(CONTENT), File(CONTENT[::-1], '"two"')
    web.answer = lambda request: (old if len(web.requests) < 3 else new)(request)
    with pytest.raises(BackendError, match="has changed"):
        client.download(link(web), tmp_path / "a.tif")
    assert not (tmp_path / "a.tif").exists()


def test_download_tries_a_broken_range_again(client, web, tmp_path):
    file = File(CONTENT)
    web.answer = lambda request: Reply(503) if len(web.requests) in (3, 4) else file(request)
    client.download(link(web, CONTENT), tmp_path / "a.tif")
    assert (tmp_path / "a.tif").read_bytes() == CONTENT


def test_download_without_ranges_or_head(client, web, tmp_path):
    web.answer = lambda request: Reply(405) if request.method == "HEAD" else Reply(200, CONTENT)
    assert client.download(link(web, CONTENT), tmp_path / "a.tif") == len(CONTENT)


def test_download_throws_damage_away(client, web, tmp_path):
    web.answer = File(CONTENT)
    with pytest.raises(Unreachable, match="damaged"):
        client.download(Link(f"{web.url}/file", sha256="00"), tmp_path / "a.tif")
    assert list(tmp_path.iterdir()) == []


def test_download_says_where_it_cannot_write(client, web, tmp_path):
    web.answer = File(CONTENT)
    (tmp_path / "a").write_text("a file, not a folder")
    with pytest.raises(PluginError, match="cannot be written"):
        client.download(link(web), tmp_path / "a" / "b.tif")


PROBLEMS = [
    (
        400,
        {"detail": "The GSD is too fine.", "field": "gsd", "allowed": "0.5 to 153 m"},
        "The GSD is too fine. Allowed: 0.5 to 153 m.",
    ),
    (401, {"detail": "No token."}, "The backend at http://127.0.0.1:{port} asks for a token."),
    (403, {"detail": "Host not allowed."}, "Host not allowed."),
    (404, {"title": "No such job"}, "No such job."),
    (413, {"detail": "70000 x 70000 px is above the limit."}, "70000 x 70000 px is above the limit."),
    (500, {"detail": "out of memory"}, "The backend failed: out of memory."),
    (503, {"detail": "The model is not installed."}, "The model is not installed."),
]


@pytest.mark.parametrize(("status", "problem", "sentence"), PROBLEMS, ids=[str(row[0]) for row in PROBLEMS])
def test_problems_become_sentences(client, web, status, problem, sentence):
    web.answer = lambda _request: Reply.of(problem, status)
    with pytest.raises(BackendError) as error:
        client.landing()
    assert str(error.value).startswith(sentence.replace("{port}", web.url.rpartition(":")[2]))
    assert (error.value.status, error.value.field) == (status, problem.get("field"))


def test_too_many_jobs_says_when_to_try_again(client, web):
    web.answer = lambda _request: Reply.of({"detail": "You have 16 jobs"}, 429, **{"Retry-After": "30"})
    with pytest.raises(BackendError) as error:
        client.landing()
    assert str(error.value) == "You have 16 jobs. Try again in 30 s."
    assert error.value.retry_after == 30
    assert error.value.passing


def test_a_page_of_something_else(client, web):
    web.answer = lambda _request: Reply(200, b"<html>", {"Content-Type": "text/html"})
    with pytest.raises(BackendError, match=f"{web.url} did not answer with a JSON object"):
        client.landing()
    web.answer = lambda _request: Reply(502, b"<html>", {"Content-Type": "text/html"})
    with pytest.raises(BackendError, match="answered 502 Bad Gateway. Is a Text2Earth backend there?"):
        client.landing()


def test_nobody_there(client, web):
    web.close()
    with pytest.raises(Unreachable, match=f"No backend answers at {web.url} "):
        client.landing()
