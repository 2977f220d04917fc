"""A plain HTTP server for the tests: does on purpose what servers and networks do by accident."""

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Request:
    method: str
    path: str
    headers: dict
    body: bytes


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    claim: int = -1  # Content-Length to claim, if not the true one
    reset: bool = False  # close without any answer
    hold: bool = False  # answer nothing until the server is closed

    @classmethod
    def of(cls, value, status=200, **headers):
        kind = "application/problem+json" if status >= 400 else "application/json"
        return cls(status, json.dumps(value).encode(), {"Content-Type": kind, **headers})


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, _request, _address):
        """Clients that go away in the middle are what is tested."""


class WebServer:
    """Answers each request with what ``answer(request)`` returns; remembers all of them."""

    def __init__(self, answer: Callable[[Request], Reply], port: int = 0, tls: ssl.SSLContext | None = None):
        self.answer = answer
        self.requests: list = []
        self.over = threading.Event()
        self._server = _Server(("127.0.0.1", port), self._handler())
        if tls is not None:  # the handshake is made by the thread of the connection
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_port
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()

    def _handler(web):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def _serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {key.lower(): value for key, value in self.headers.items()}
                request = Request(self.command, self.path, headers, body)
                web.requests.append(request)
                reply = web.answer(request)
                if reply.hold:
                    web.over.wait(60)
                if reply.hold or reply.reset:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body) if reply.claim < 0 else reply.claim))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(reply.body)
                if reply.claim >= 0 and self.command != "HEAD":
                    self.close_connection = True

            do_GET = do_HEAD = do_POST = do_DELETE = do_PUT = do_CONNECT = _serve

            def log_message(self, *_arguments):
                pass

        return Handler


def self_signed(folder: Path) -> ssl.SSLContext:
    """Make a certificate for this computer that is signed by nobody else."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-keyout", key, "-out", certificate, "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


class File:
    """A file behind ``/file``: HEAD and ranges with an ETag, as our backend serves results."""

    def __init__(self, content: bytes, tag: str = '"one"'):
        self.content, self.tag = content, tag

    def __call__(self, request: Request) -> Reply:
        headers = {"ETag": self.tag, "Accept-Ranges": "bytes"}
        asked = request.headers.get("range", "")
        if not asked or request.headers.get("if-range", self.tag) != self.tag:
            return Reply(200, self.content, headers)
        first, last = (int(part) for part in asked[len("bytes=") :].split("-"))
        body = self.content[first : last + 1]
        headers["Content-Range"] = f"bytes {first}-{first + len(body) - 1}/{len(self.content)}"
        return Reply(206, body, headers)
