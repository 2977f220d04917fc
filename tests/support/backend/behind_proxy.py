"""Puts a proxy that speaks TLS before every backend of a test run, as docs/server.md says to do it.

    TEXT2EARTH_PROXY=caddy .venv/backend/bin/pytest -p tests.support.backend.behind_proxy tests/backend/api

A plugin of pytest: tests ask the proxy without knowing it. The proxy, ``caddy`` or ``nginx``, is a real one
with the files of resources/deploy, but for addresses and certificate. Nothing leaves loopback. A test that
writes bytes into a socket fails here: it speaks no TLS.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from launcher import ROOT, BackendProcess

DEPLOY = ROOT / "resources" / "deploy"
SITE = "imagery.example.org"
_NGINX = """\
daemon off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{server}
}}
"""


def make_certificate(folder: Path) -> None:
    """Write certificate.pem and key.pem for localhost."""
    name = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    made = ("-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", "key.pem", "-out", "certificate.pem")
    subprocess.run(["openssl", "req", "-x509", *made, *name], cwd=folder, check=True, capture_output=True)


class Proxy:
    """One proxy before one backend on loopback; its certificate is in a folder of the run."""

    def __init__(self, kind: str, certificate: Path) -> None:
        self._kind, self._certificate = kind, certificate
        self._folder = tempfile.TemporaryDirectory(prefix="text2earth-proxy-")
        self.folder = Path(self._folder.name)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"https://localhost:{self.port}"

    def start(self, backend: int) -> None:
        """Start it before the backend on this port, and return once it listens."""
        start = {"caddy": self._caddy, "nginx": self._nginx}[self._kind]
        with (self.folder / "log").open("wb") as log:
            self._process = start(backend, log)
        while self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError((self.folder / "log").read_text())

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
        self._folder.cleanup()

    def _caddy(self, backend: int, log: Any) -> subprocess.Popen[bytes]:
        own = f"tls {self._certificate}/certificate.pem {self._certificate}/key.pem\n\tbind 127.0.0.1"
        text = (DEPLOY / "Caddyfile").read_text()
        text = text.replace("# tls /data/certificate.pem /data/key.pem", own)
        text = text.replace("admin off", "admin off\n\tauto_https disable_redirects")
        (self.folder / "Caddyfile").write_text(text)
        variables = {
            "TEXT2EARTH_SITE": self.url,
            "TEXT2EARTH_BACKEND": f"127.0.0.1:{backend}",
            "HOME": str(self.folder),
        }
        command = ["caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
        environment = os.environ | variables
        return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)

    def _nginx(self, backend: int, log: Any) -> subprocess.Popen[bytes]:
        text = (DEPLOY / "nginx.conf").read_text()
        for ours, here in (
            ("listen 443", f"listen 127.0.0.1:{self.port}"),
            ("listen [::]:443 ssl http2;", ""),
            (SITE, "localhost"),
            ("/etc/ssl/text2earth", str(self._certificate)),
            ("127.0.0.1:8765", f"127.0.0.1:{backend}"),
        ):
            assert ours in text, ours
            text = text.replace(ours, here)
        (self.folder / "nginx.conf").write_text(_NGINX.format(folder=self.folder, server=text))
        command = ["nginx", "-p", str(self.folder), "-c", "nginx.conf", "-e", "stderr"]
        return subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)


def pytest_configure(config: pytest.Config) -> None:
    """From here on every backend has a proxy, and says the proxy's address for its own."""
    folder = tempfile.TemporaryDirectory(prefix="text2earth-certificate-")
    config.add_cleanup(folder.cleanup)
    make_certificate(Path(folder.name))
    for library in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GDAL_CURL_CA_BUNDLE"):
        os.environ[library] = f"{folder.name}/certificate.pem"
    begin, end = BackendProcess.start, BackendProcess._end

    def start(self: Any, port: int = 0) -> Any:
        proxy = Proxy(os.environ["TEXT2EARTH_PROXY"], Path(folder.name))
        self._variables["TEXT2EARTH_PUBLIC_URL"] = proxy.url
        begin(self, port)
        proxy.start(self.port)
        self.proxy = proxy
        return self

    def stop(self: Any) -> int:
        self.proxy.stop()
        return int(end(self))

    BackendProcess.start = start  # type: ignore[method-assign]
    BackendProcess._end = stop  # type: ignore[method-assign]
    BackendProcess.url = property(lambda self: self.proxy.url)  # type: ignore[method-assign, assignment]
