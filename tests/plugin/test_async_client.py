"""The client of the main thread: questions that nobody waits for any more."""

from __future__ import annotations

import gc

import pytest
from qgis.PyQt.QtCore import QCoreApplication, QEvent, QEventLoop, QTimer

from tests.support.web_server import Reply, WebServer
from text2earth_qgis.core.wire import calls
from text2earth_qgis.core.wire.access import Access
from text2earth_qgis.core.wire.async_client import AsyncClient


@pytest.fixture
def client(qgis_app):
    answer = Reply(200, b'{"status": "ok"}', {"Content-Type": "application/json"})
    with WebServer(lambda _request: answer) as web:
        yield AsyncClient(Access(web.url))


def serve_events(seconds):
    loop = QEventLoop()
    QTimer.singleShot(int(seconds * 1000), loop.quit)
    loop.exec()


def cancel(client, questions):
    for question in questions:
        question.cancel()


def close(client, questions):
    client.close()


def delete(client, questions):
    client.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.mark.parametrize("drop", [cancel, close, delete])
def test_a_dropped_question_calls_nobody(client, drop):
    """Nor does QGIS crash: a reply that is aborted before it is sent ends twice."""
    told, access = [], client.access
    for turn in range(20):
        questions = [client.run(calls.healthz(), told.append, told.append) for _ in range(3)]
        if turn % 2:
            QCoreApplication.processEvents()
        known = len(told)
        drop(client, questions)
        del questions
        if turn % 3 == 0:
            del client
        gc.collect()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        gc.collect()
        serve_events(0.05)
        assert len(told) == known
        client = AsyncClient(access)


def test_a_question_is_answered_once(client):
    told, loop = [], QEventLoop()
    client.run(calls.healthz(), told.append, told.append)
    QTimer.singleShot(20_000, loop.quit)
    tick = QTimer()
    tick.timeout.connect(lambda: told and loop.quit())
    tick.start(10)
    loop.exec()
    serve_events(0.1)
    assert told == [{"status": "ok"}]
