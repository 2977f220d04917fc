"""Files sent in pieces, over lines that break."""

import re

import pytest

from tests.support.web_server import Reply
from text2earth_qgis.core.errors import BackendError, Unreachable
from text2earth_qgis.core.wire import calls, client, transport
from text2earth_qgis.core.wire.access import Access
from text2earth_qgis.core.wire.transport import open_client

pytestmark = pytest.mark.fast

CONTENT = bytes(range(256)) * 20
ID = "0" * 32


class Store:
    """Takes pieces as the backend does; ``faults`` are what happens instead, one after another."""

    def __init__(self, *faults):
        self.there, self.length, self.faults, self.dropped = b"", None, list(faults), False

    def state(self, status=200):
        complete = len(self.there) == self.length
        return Reply.of(
            {"id": ID, "length": self.length, "received": len(self.there), "complete": complete}, status
        )

    def __call__(self, request):
        if request.method == "DELETE":
            self.dropped = True
            return Reply(204)
        given = request.headers.get("content-range", "")
        if request.method == "POST":
            assert (request.body, request.path) == (b"", "/uploads")
            self.length = int(re.fullmatch(r"bytes \*/(\d+)", given).group(1))
            return self.state(201)
        if request.method == "GET":
            return self.state()
        first, last, length = (int(one) for one in re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", given).groups())
        assert (length, len(request.body)) == (self.length, last + 1 - first)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "lost":
            return Reply(503, b"")
        if first != len(self.there):
            return Reply.of({"title": "Conflict", "status": 409, "detail": "Go on elsewhere."}, 409)
        self.there += request.body
        return Reply(503, b"") if fault == "answer lost" else self.state()


@pytest.fixture
def small(monkeypatch, tmp_path):
    monkeypatch.setattr(client, "PIECE", 1000)
    monkeypatch.setattr(transport, "pause", lambda _seconds, _feedback=None: None)
    path = tmp_path / "a.tif"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize(
    "faults", [[], ["lost", "lost"], ["", "answer lost", "lost"], ["answer lost"] * 6], ids=str
)
def test_every_byte_arrives_once(web, small, faults):
    web.answer = store = Store(*faults)
    asked, heard = open_client(Access(web.url)), []
    upload = asked.run(calls.begin_upload(len(CONTENT)))["id"]
    asked.upload(upload, small, lambda there, size: heard.append((there, size)))
    assert store.there == CONTENT
    assert heard[-1] == (len(CONTENT), len(CONTENT))
    assert asked.run(calls.drop_upload(upload))
    assert store.dropped


def test_a_refusal_is_told_at_once(web, small):
    detail = "The file is damaged."
    web.answer = lambda _request: Reply.of({"title": "Invalid input", "status": 400, "detail": detail}, 400)
    with pytest.raises(BackendError, match="is damaged"):
        open_client(Access(web.url)).upload(ID, small)
    assert len(web.requests) == 1


def test_a_line_that_stays_broken(web, small):
    web.answer = Store(*["lost"] * 50)
    web.answer.length = len(CONTENT)
    with pytest.raises((BackendError, Unreachable)):
        open_client(Access(web.url), None).upload(ID, small)


def test_a_real_backend_tells_how_far_it_is(shared_backend, small, monkeypatch):
    asked = open_client(shared_backend.access)
    upload = asked.run(calls.begin_upload(len(CONTENT)))["id"]
    state = asked.run(calls.send_piece(upload, 0, CONTENT[:1500], len(CONTENT)))
    assert (state["received"], state["complete"]) == (1500, False)
    with pytest.raises(BackendError, match="1500 bytes; go on from there"):
        asked.run(calls.send_piece(upload, 10, CONTENT[10:20], len(CONTENT)))
    with pytest.raises(BackendError, match="TIFF"):  # taken up where it stands, and then looked at
        asked.upload(upload, small)
    assert not [file for file in shared_backend.uploads if file.name.startswith(upload)]
