"""From the packaged plugin and an empty profile to the first layer on the map, two clicks, two minutes."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from osgeo import gdal

from launcher import BACKEND_PYTHON, ROOT, clean_environment
from tests.support.qgis.sessions import run_session

pytestmark = pytest.mark.slow

ENOUGH = 120.0  # seconds from the click on Install to the layer on the map
PROMPT = "farmland with a lake, a forest"
# Runs a command where there is no network but this computer's own.
ALONE = """
import fcntl, os, socket, struct, sys
with socket.socket() as any:  # the loopback is down in a new namespace; 0x8914 sets flags, 1 is up
    fcntl.ioctl(any, 0x8914, struct.pack("16sh14x", b"lo", 1))
os.execvp(sys.argv[1], sys.argv[1:])
"""
OFFLINE = ("unshare", "--map-root-user", "--net", "/usr/bin/python3", "-c", ALONE)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    """What `make bundle` makes."""
    folder = tmp_path_factory.mktemp("bundle")
    command = [BACKEND_PYTHON, ROOT / ".ci" / "bundle.py", folder]
    subprocess.run(command, env=clean_environment(), check=True, timeout=600)
    return folder


@pytest.fixture
def index(bundle, tmp_path) -> Iterator[tuple[str, list[str]]]:
    """A package index of the bundle's wheels: its address, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            asked.append(self.path)

    for wheel in (bundle / "wheels").glob("*.whl"):
        name = re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()
        (tmp_path / "simple" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "simple" / name / wheel.name).symlink_to(wheel)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/simple", asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def data(tmp_path) -> Iterator[Path]:
    """The data folder of a user who has no backend; one that was installed there is ended."""
    folder = tmp_path / "data"
    yield folder
    stop = [folder / "environment" / "bin" / "python", "-m", "model_backend", "stop", "--data-dir", folder]
    subprocess.run(stop, check=True, timeout=100)


def first_layer(bundle: Path, folder: Path, name: str, **more) -> dict:
    """Run the session of a new user, and return what it saw."""
    (plugin,) = bundle.glob("*.zip")
    variables = {"TEXT2EARTH_DATA_DIR": str(folder / "data"), "SESSION_PROMPT": PROMPT, "SESSION_LOOK": name}
    done = run_session("first_run", folder, "--zip", str(plugin), **variables, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads((folder / "job").read_text())
    print({key: value for key, value in seen.items() if key != "log"})
    return seen


def check(seen: dict) -> None:
    """A true layer, in time, and nothing came in between."""
    assert seen["dialogs"] == seen["errors"] == []
    longest, allowed, where = seen["longest"]
    assert longest <= allowed, where
    assert seen["around"], "the map does not show it"
    image = gdal.Open(seen["file"])
    assert (image.RasterXSize, image.RasterYSize) == tuple(seen["size"])
    assert min(image.RasterXSize, image.RasterYSize) > 700
    assert all(image.GetRasterBand(band).ComputeStatistics(False)[3] > 10 for band in (1, 2, 3)), "one colour"
    # Programs run one after the other: on a computer of its own it takes the time that processors spent.
    assert min(seen["all"], seen["processor"]) <= ENOUGH


def test_from_an_index(bundle, index, data, tmp_path):
    address, asked = index
    seen = first_layer(bundle, tmp_path, "index", PIP_INDEX_URL=address)
    check(seen)
    assert any("text2earth_backend" in path for path in asked)


def test_from_the_bundle_without_network(bundle, data, tmp_path):
    wrapper: tuple[str, ...] = OFFLINE
    refusing = {}
    if subprocess.run([*OFFLINE, "true"], check=False).returncode:  # not allowed here: then nothing answers
        wrapper = ()
        refusing = dict.fromkeys(("http_proxy", "https_proxy", "PIP_INDEX_URL"), "http://127.0.0.1:9")
    wheels = str(bundle / "wheels")
    seen = first_layer(bundle, tmp_path, "bundle", wrapper=wrapper, SESSION_WHEELS=wheels, **refusing)
    check(seen)
    assert not any("Downloading" in line for line in seen["log"])
