"""Processes that train together: they agree, and none goes on alone."""

import json
import multiprocessing
import os
import signal
from pathlib import Path

import psutil
import torch

from model_backend.training.process_group import ProcessGroup
from tests.support.backend.service import until


def test_two_processes_average_their_gradients(tmp_path):
    torch.multiprocessing.spawn(_team_member, (2, tmp_path / "meeting", tmp_path), nprocs=2)
    results = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert results[0]["grad"] == results[1]["grad"] == [0.5, 0.5]
    assert results[0]["value"] == 1.5
    assert results[0]["draw"] != results[1]["draw"]


def _team_member(rank: int, size: int, meeting: Path, out: Path) -> None:
    team = ProcessGroup(rank, size, meeting)
    weight = torch.nn.Parameter(torch.zeros(2))
    weight.grad = torch.full((2,), float(rank))
    value = team.reduce([weight], 1.0 + rank)
    result = {"grad": weight.grad.tolist(), "value": value, "draw": int(team.seed(1, 2).integers(1 << 30))}
    (out / f"{rank}.json").write_text(json.dumps(result))


def test_nobody_trains_on_when_the_process_that_began_it_is_killed(tmp_path):
    """Else they would go on for hours, and save over what a new run makes in the same folder."""
    leader = multiprocessing.get_context("spawn").Process(target=_lead, args=(tmp_path,))
    leader.start()
    written = [tmp_path / f"{rank}.pid" for rank in range(2)]
    until(lambda: all(path.exists() for path in written))
    members = [psutil.Process(int(path.read_text())) for path in written]
    leader.kill()
    leader.join()
    try:
        until(lambda: all(_ended(member) for member in members))
    finally:
        for member in members:
            if not _ended(member):
                member.kill()


def _lead(folder: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a job that a script began with `&`
    torch.multiprocessing.spawn(_train_for_ever, (2, folder / "meeting", folder), nprocs=2)


def _train_for_ever(rank: int, size: int, meeting: Path, out: Path) -> None:
    team = ProcessGroup(rank, size, meeting)
    weight = torch.nn.Parameter(torch.zeros(2))
    weight.grad = torch.ones(2)
    team.reduce([weight], 0.0)
    whole = out / f"{rank}.part"
    whole.write_text(str(os.getpid()))
    whole.rename(out / f"{rank}.pid")
    while True:
        team.reduce([weight], 0.0)


def _ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
