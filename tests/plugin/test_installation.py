"""An installation as values: which programs run in which order, and what is said of how they end."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from launcher import ROOT
from text2earth_qgis.core.local import installation
from text2earth_qgis.core.local.environment import Environment, Installed, clean_environment
from text2earth_qgis.core.local.installation import Phase, Tools, Wish

pytestmark = pytest.mark.fast

TWO = Tools(pythons=("/opt/python3.9", "/usr/bin/python3"))


def titles(state):
    return [command.title for command in state.commands]


def through(state, *codes):
    """Return the state after commands have ended with these codes."""
    for code in codes:
        state = installation.ended(state, code)
    return state


def package(wish, tools=TWO):
    """Return what pip, or uv, is told to install."""
    state = installation.begin(wish, tools, Environment(Path("/data")))
    (command,) = (one for one in state.commands if one.title.startswith("Installing"))
    return command.program, command.arguments[command.arguments.index("--upgrade") + 1 :]


@pytest.fixture
def place(tmp_path):
    return Environment(tmp_path / "data")


def test_the_first_python_that_fits_is_taken_and_all_steps_follow(place):
    state = installation.begin(Wish("1.0"), TWO, place)
    assert state.command.program == "/opt/python3.9"
    assert state.step == (1, 5)
    state = installation.said(state, "Python 3.9.2")
    state = through(state, 3)
    assert state.command.program == "/usr/bin/python3"
    state = through(state, 0)
    assert (state.command.title, state.command.program) == ("Making an environment", "/usr/bin/python3")
    assert state.command.arguments == ("-m", "venv", "--clear", "--without-pip", str(place.folder))
    shares = [state.share]
    for _ in range(4):
        state = through(state, 0)
        shares.append(state.share)
    assert (state.command.title, state.step) == ("Starting the backend", (5, 5))
    assert shares == sorted(shares)
    state = installation.said(state, "Listening on http://127.0.0.1:4321")
    state = through(state, 0)
    assert (state.phase, state.url, state.share) == (Phase.DONE, "http://127.0.0.1:4321", 1.0)


def test_a_fit_python_ends_the_search(place):
    state = installation.begin(Wish("1.0"), Tools(pythons=("/a", "/b", "/c")), place)
    assert through(state, 0).command.title == "Making an environment"
    assert through(state, 0).command.program == "/a"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("Python 3.9.2", "The backend needs Python 3.11, 3.12 or 3.13; here is 3.9.2."),
        (
            "ModuleNotFoundError: No module named 'ensurepip'",
            "cannot make environments. On Debian",
        ),
        ("/a cannot be started: No such file", "which was not found on this computer."),
    ],
)
def test_why_no_python_fits(place, line, sentence):
    state = installation.begin(Wish("1.0"), Tools(pythons=("/a", "/b")), place)
    state = through(installation.said(state, line), 1)
    state = through(installation.said(state, line), 1)
    assert state.phase is Phase.FAILED
    assert sentence in state.sentence
    assert len(state.output) == 2, "what all of them said"


BUNDLE = ("text2earth_backend-1.0-py3-none-any", "numpy-2.3.1-cp311-cp311-manylinux_2_28_x86_64")
BUNDLE += ("cryptography-45.0-cp39-abi3-manylinux_2_28_x86_64", "numba-0.6-1-cp311-cp311-win_amd64")


@pytest.fixture
def wheels(tmp_path):
    """A folder of wheels as a bundle has them, by their names."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in BUNDLE:
        (folder / f"{name}.whl").touch()
    return folder


def test_wheels_for_one_python_are_installed_with_that_one(place, wheels):
    """Another Python of this computer would fit the backend, and none of the wheels."""
    wish = Wish("1.0", source=str(wheels))
    state = installation.begin(wish, TWO, place)
    check = state.command.arguments[1]
    found = subprocess.run([sys.executable, "-c", check.replace("in (11,)", "in (9, 11)")], check=False)
    assert check.count("in (11,)") == 1
    assert found.returncode == (0 if sys.version_info[1] in (9, 11) else 3)
    state = through(installation.said(state, "Python 3.12.4"), 3)
    state = through(installation.said(state, "Python 3.13.5"), 3)
    assert state.sentence.startswith(
        "The wheels in this folder are for Python 3.11; here is 3.12.4, 3.13.5. Install it"
    )
    state = installation.begin(wish, Tools(), place)
    assert "are for Python 3.11, which was not found on this computer." in state.sentence
    uv = installation.begin(wish, Tools(uv="/bin/uv"), place)
    assert ">=3.11,<3.12" in uv.commands[0].arguments
    (wheels / "numpy-2.3.1-cp312-cp312-manylinux_2_28_x86_64.whl").touch()
    (wheels / "numba-0.6-cp312-cp312-win_amd64.whl").touch()
    assert installation.begin(wish, TWO, place).minors == (11, 12)
    (wheels / "torch-2.9-cp313-cp313-win_amd64.whl").touch()
    assert "are for different versions of Python" in installation.begin(wish, TWO, place).sentence


def test_without_any_python_nothing_is_begun(place):
    state = installation.begin(Wish("1.0"), Tools(), place)
    assert state.phase is Phase.FAILED
    assert "Python 3.11, 3.12 or 3.13, which was not found" in state.sentence


def test_uv_makes_the_environment_where_it_is_there(place):
    state = installation.begin(Wish("1.0"), Tools(uv="/bin/uv", pythons=("/a",)), place)
    assert [command.program for command in state.commands[:2]] == ["/bin/uv", "/bin/uv"]
    assert "/a" not in [command.program for command in state.commands]
    assert str(place.python) in state.commands[1].arguments


def test_where_packages_come_from(tmp_path):
    wheel = tmp_path / "text2earth_backend-1.0-py3-none-any.whl"
    wheel.touch()
    assert package(Wish("1.0"))[1] == ("text2earth-backend==1.0",)
    assert package(Wish("1.0", source="https://a/simple https://b/simple"))[1] == (
        *("--index-url", "https://a/simple", "--extra-index-url", "https://b/simple"),
        "text2earth-backend==1.0",
    )
    assert package(Wish("1.0", source=str(tmp_path)))[1] == (
        *("--no-index", "--find-links", str(tmp_path)),
        "text2earth-backend",
    )
    assert package(Wish("1.0", source=str(wheel)))[1][-1] == f"text2earth-backend @ {wheel.as_uri()}"
    full = package(Wish("1.0", full=True))[1]
    assert full[-1] == "text2earth-backend[model]==1.0"
    assert installation.TORCH_CPU in full
    assert (
        installation.TORCH_CPU not in package(Wish("1.0", full=True), Tools(pythons=("/a",), nvidia=True))[1]
    )


def test_what_is_there_is_ended_first_and_kept_for_an_update(place):
    place.python.parent.mkdir(parents=True)
    place.python.touch()
    place.mark(Installed("0.9", False))
    update = installation.begin(Wish("1.0", anew=False), TWO, place)
    assert titles(update)[:2] == ["Ending the backend", "Installing packages"]
    assert through(update, 1).phase is Phase.WORKING, "one that is broken cannot be asked to end"
    repair = installation.begin(Wish("1.0"), TWO, place)
    assert "Making an environment" in titles(repair)
    assert place.installed() == Installed("0.9", False)


def test_a_disk_that_fills_midway_is_told(place):
    """The programs run on a disk of 4 MB, which pip does not fit on."""
    place.folder.mkdir(parents=True)
    mount = f"mount -t tmpfs -o size=4m tmpfs {place.folder} && echo there && read _"
    inside = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount]
    with subprocess.Popen(inside, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as disk:
        assert disk.stdout.readline() == "there\n"
        enter = ["nsenter", f"--target={disk.pid}", "--user", "--mount", "--preserve-credentials"]
        state = installation.begin(Wish("1.0"), Tools(pythons=("/usr/bin/python3",)), place)
        while state.phase is Phase.WORKING:
            command = [*enter, state.command.program, *state.command.arguments]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for line in done.stdout.splitlines():
                state = installation.said(state, line)
            state = installation.ended(state, done.returncode)
        disk.stdin.write("\n")
    assert (state.phase, state.sentence) == (Phase.FAILED, "The disk is full. Make room, then try again.")
    assert state.command.title == "Making an environment"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": "1"}'])
def test_an_environment_without_its_mark_is_none(place, text):
    place.folder.mkdir(parents=True)
    assert place.installed() is None
    (place.folder / "installed.json").write_text(text)
    assert place.installed() is None


def test_a_cancel_ends_what_runs_and_nothing_follows(place):
    state = installation.cancelled(installation.begin(Wish("1.0"), TWO, place))
    assert state.busy
    state = through(state, 15)
    assert (state.phase, state.busy) == (Phase.CANCELLED, False)
    assert installation.cancelled(state) is state


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        (
            "ERROR: Could not install packages: NewConnectionError('[Errno -3]')",
            "cannot be reached",
        ),
        ("error: error sending request for url", "cannot be reached"),
        ("SSLError(SSLCertVerificationError(1, 'CERTIFICATE_VERIFY_FAILED'))", "a certificate"),
        ("ERROR: text2earth_backend-1.0.whl is an invalid wheel", "A wheel is broken"),
        ("ERROR: No matching distribution found for text2earth-backend==1.0", "does not have all"),
        ("PermissionError: [Errno 13] Permission denied: '/data'", "may not be written"),
        ("  cause: Failed to read from zip file", "A wheel is broken"),
        ("error: No interpreter found for Python >=3.11, <3.14 in search path", "was not found on this"),
        ("Another backend uses /data. Stop it", "started by hand"),
        ("Segmentation fault", "“Installing packages” did not succeed"),
    ],
)
def test_a_failure_is_a_sentence(place, line, words):
    state = through(installation.begin(Wish("1.0"), TWO, place), 0, 0, 0)
    state = through(installation.said(state, line), 1)
    assert state.phase is Phase.FAILED
    assert words in state.sentence
    assert state.output == (line,)


def test_the_python_that_is_looked_for_is_the_one_that_the_backend_names():
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    first, last = installation.wheels.FIT[0], installation.wheels.FIT[-1]
    assert re.search(r'requires-python = "(.*)"', project)[1] == f">=3.{first},<3.{last + 1}"


def test_nothing_of_qgis_is_handed_on(monkeypatch):
    for name in ("PYTHONPATH", "QT_PLUGIN_PATH", "GDAL_DATA", "PROJ_LIB", "VIRTUAL_ENV", "QGIS_PREFIX_PATH"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("PIP_INDEX_URL", "https://a/simple")
    environment = clean_environment()
    assert not [key for key in environment.keys() if environment.value(key) == "x"]  # noqa: SIM118
    assert environment.value("PIP_INDEX_URL") == "https://a/simple", "what pip is set up for"
