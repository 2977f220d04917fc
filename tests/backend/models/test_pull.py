"""``models list | pull | verify`` as processes, against a local server that speaks the hub's protocol."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_backend.models.card import ModelCard, read_card
from tests.support.backend.model_hub import COMMIT, ModelHub
from tests.support.backend.tiny_models import build_tiny, load_tiny, tiny_card

MODEL = "text2earth-inpainting"  # known, on the hub, and without a pinned checksum that ours could not have
UNET = "unet/diffusion_pytorch_model.safetensors"
LARGE = "unet/large.safetensors"  # a download is written in pieces of 10 MB
PIECE = 10 * 1024 * 1024


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository as on the hub: no card, but a pickle, code and a half-precision copy of the weights."""
    folder = build_tiny(tmp_path_factory.mktemp("hub") / "repo", "inpaint", card=None)
    (folder / LARGE).write_bytes(bytes(PIECE + PIECE // 2))
    (folder / "README.md").write_text("# Model\n", encoding="utf-8")
    (folder / "pipeline_text2earth_diffusion.py").write_text("raise SystemExit('run')\n", encoding="utf-8")
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"pickle")
    (folder / "unet" / "diffusion_pytorch_model.fp16.safetensors").write_bytes(b"half")
    return folder


@pytest.fixture
def hub(published: Path) -> Iterator[ModelHub]:
    one = ModelHub(published)
    yield one
    one.stop()


@pytest.fixture
def start(hub: ModelHub, tmp_path: Path):
    """Start ``models ...`` against the hub; returns the process."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TEXT2EARTH_"))
    }
    environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    running: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        running.append(
            subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "model_backend",
                    "models",
                    *arguments,
                    "--data-dir",
                    str(tmp_path / "data"),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
        )
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def models(start):
    """Run ``models ...`` to its end; returns (exit code, stdout, stderr)."""

    def run(*arguments: str, answer: str = "") -> tuple[int, str, str]:
        process = start(*arguments)
        out, err = process.communicate(answer, timeout=200)
        return process.returncode, out, err

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the model will be."""
    return tmp_path / "data" / "models" / MODEL


def test_pull_locks_what_it_fetched_and_the_model_runs(models, hub: ModelHub, folder: Path, published: Path):
    code, out, err = models("pull", MODEL, "--yes")
    assert code == 0, err
    assert "Open RAIL++-M" in out
    assert COMMIT in out
    assert "pickle" not in err
    fetched = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    unwanted = {"pipeline_text2earth_diffusion.py", "unet/diffusion_pytorch_model.bin"}
    unwanted |= {"unet/diffusion_pytorch_model.fp16.safetensors"}
    assert fetched == set(hub.files) - unwanted | {"text2earth.json"}
    card = read_card(folder)
    assert (card.id, card.revision, card.revision_or_hash) == (MODEL, COMMIT, COMMIT)
    assert set(card.files) == fetched - {"text2earth.json"}
    assert not list(folder.parent.glob(".pull-*"))
    load_tiny(folder, engine=tiny_card().engine)

    assert models("verify", MODEL)[:2] == (0, f"{MODEL}: All files are as they were locked.\n")
    assert f"{MODEL}\n  Text2Earth inpainting (1.3 B)\n  installed" in models("list")[1]
    code, _, err = models("pull", MODEL, "--yes")
    assert code == 1
    assert "is installed already" in err
    (folder / UNET).write_bytes((folder / UNET).read_bytes()[:-1] + b"\x01")
    (folder / "vae" / "config.json").unlink()
    code, out, _ = models("verify")
    assert code == 1
    assert f"{UNET} is not the file that was locked." in out
    assert "vae/config.json is missing." in out


def test_nothing_is_fetched_before_the_licence_is_accepted(models, hub: ModelHub, folder: Path):
    for answer in ("", "n\n", "\n"):
        code, out, err = models("pull", MODEL, answer=answer)
        assert code == 1
        assert "not legal advice" in out
        assert "was not accepted" in err
        assert ("--yes" in err) == (answer == "")
    assert not any("/resolve/" in path or "/cdn/" in path for _, path, _ in hub.requests)
    assert models("pull", MODEL, answer="yes\n")[0] == 0
    assert folder.is_dir()


def test_a_broken_transfer_goes_on_where_it_broke(models, hub: ModelHub, folder: Path):
    hub.faults.break_at[LARGE] = PIECE + 100_000
    code, _, err = models("pull", MODEL, "--yes")
    assert code == 0, err
    assert hub.ranges(LARGE) == [None, f"bytes={PIECE}-"]
    assert (folder / LARGE).read_bytes() == hub.files[LARGE]


def test_a_killed_pull_is_resumed_and_does_not_ask_again(start, models, hub: ModelHub, folder: Path):
    hub.faults.stall_at[LARGE] = PIECE + 100_000
    process = start("pull", MODEL, "--yes")
    assert hub.faults.stalled.wait(200)
    part = next(folder.parent.glob(f".pull-*/{LARGE}.part"))
    while part.stat().st_size < PIECE:
        assert process.poll() is None
        time.sleep(0.01)
    assert process.stdout is not None
    assert any(" % of " in line for line in iter(process.stdout.readline, ""))
    process.kill()
    process.wait()
    assert not folder.exists()
    before = len(hub.requests)
    code, out, err = models("pull", MODEL)  # without --yes: it was accepted
    assert code == 0, err
    assert "not legal advice" not in out
    assert hub.ranges(LARGE) == [None, f"bytes={PIECE}-"]
    again = [path for _, path, _ in hub.requests[before:]]
    assert not any(path.endswith("/text_encoder/model.safetensors") for path in again)  # it was complete
    assert (folder / LARGE).read_bytes() == hub.files[LARGE]


@pytest.mark.parametrize("name", [UNET, "vae/config.json"])
def test_a_corrupted_file_is_refused_and_thrown_away(models, hub: ModelHub, folder: Path, name: str):
    hub.faults.corrupt.add(name)
    code, _, err = models("pull", MODEL, "--yes")
    assert code == 1
    assert f"{name} has another checksum than the hub states; it was thrown away" in err
    assert not folder.exists()
    hub.faults.corrupt.clear()
    assert models("pull", MODEL)[0] == 0


def test_a_file_the_card_pins_must_be_that_file(models, tmp_path: Path):
    """The UNet of Text2Earth is pinned by the checksum that the hub shows; ours is another one."""
    code, _, err = models("pull", "text2earth", "--yes")
    assert code == 1
    assert f"{UNET} has another checksum than the card pins; it was thrown away" in err
    assert not (tmp_path / "data" / "models" / "text2earth").exists()


def test_a_repository_of_pickles_is_refused(models, hub: ModelHub):
    for name in (UNET, LARGE, "unet/diffusion_pytorch_model.fp16.safetensors"):
        del hub.files[name]
    code, _, err = models("pull", MODEL, "--yes")
    assert code == 1
    assert "no safetensors weights of its unet; pickles are not fetched" in err


def test_a_portal_that_answers_instead_of_the_hub_is_named(models, hub: ModelHub, folder: Path):
    hub.faults.portal = True
    code, _, err = models("pull", MODEL, "--yes")
    assert code == 1
    assert "is not the hub, perhaps the login page of a network. Open any page in a browser, log in" in err
    assert "Traceback" not in err
    hub.faults.portal = False
    for name in (UNET, "vae/config.json"):
        hub.faults.portal_at = {name}
        code, _, err = models("pull", MODEL, "--yes")
        assert code == 1
        assert f"Instead of {name} a web page came" in err
        assert "Traceback" not in err
    hub.faults.portal_at = set()
    assert models("pull", MODEL)[0] == 0
    assert (folder / UNET).read_bytes() == hub.files[UNET]


def test_what_is_no_description_of_a_repository_is_a_sentence(models, hub: ModelHub):
    hub.describe = lambda: ["no", "repository"]  # type: ignore[assignment,return-value]
    code, _, err = models("pull", MODEL, "--yes")
    assert code == 1
    assert "is not the hub" in err
    assert "Traceback" not in err


def test_a_repository_of_half_precision_alone_says_what_to_do(models, hub: ModelHub):
    del hub.files[UNET], hub.files[LARGE]
    code, _, err = models("pull", MODEL, "--yes")
    assert code == 1
    assert "has the weights of its unet only as unet/diffusion_pytorch_model.fp16.safetensors" in err
    assert 'take ".fp16" out of the names of such files, and set the model to that folder' in err


@pytest.mark.parametrize("name", ["model_index.json", "scheduler/scheduler_config.json", "unet/config.json"])
def test_a_repository_without_a_needed_file_is_refused_before_anything_is_fetched(
    models, hub: ModelHub, name: str
):
    del hub.files[name]
    code, _, err = models("pull", MODEL, "--yes")
    assert code == 1
    assert f"has no {name}" in err
    assert not any("/resolve/" in path for _, path, _ in hub.requests)


def test_another_commit_than_this_version_knows_is_mentioned(models, hub: ModelHub):
    _, _, err = models("pull", "text2earth", "--yes")
    assert "knows lcybuaa/Text2Earth at commit 3754e38 or 96226bb; this is 0123456" in err
    _, _, err = models("pull", MODEL, "--yes")
    assert "at commit" not in err


def test_errors_are_sentences(models, hub: ModelHub, tmp_path: Path, tiny: Path):
    code, _, err = models("pull", "nonsense")
    assert (code, err) == (1, err)
    assert "There is no model 'nonsense' here" in err
    code, _, err = models("pull", "text2earth-mini")
    assert "is not on the hub" in err
    code, _, err = models("verify", "text2earth")
    assert "is not installed" in err
    hub.stop()
    code, _, err = models("pull", MODEL, "--yes")
    assert code == 1
    assert "The hub does not answer for lcybuaa/Text2Earth-inpainting" in err
    assert "Traceback" not in err


def test_a_pinned_revision_is_asked_for(hub: ModelHub, tmp_path: Path):
    card = tiny_card("inpaint", repo="somebody/model", revision=COMMIT)
    program = (
        "import sys; from pathlib import Path\n"
        "from model_backend.models import pull\n"
        "from model_backend.models.card import ModelCard\n"
        "card = ModelCard.model_validate_json(sys.argv[1])\n"
        "print(pull.pull(pull.offer(card), Path(sys.argv[2]), accept=lambda text: False))\n"
    )

    def run(card: ModelCard) -> subprocess.CompletedProcess[str]:
        arguments = [sys.executable, "-c", program, card.model_dump_json(), str(tmp_path / "models")]
        environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
        return subprocess.run(arguments, capture_output=True, text=True, env=environment, timeout=200)

    done = run(card)  # no notice, nothing to accept
    assert done.returncode == 0, done.stderr
    assert any(path == f"/api/models/somebody/model/revision/{COMMIT}" for _, path, _ in hub.requests)
    assert read_card(Path(done.stdout.splitlines()[-1])).engine == card.engine
    gone = run(card.model_copy(update={"id": "other", "revision": "f" * 40}))
    assert "The hub does not answer for somebody/model" in gone.stderr
