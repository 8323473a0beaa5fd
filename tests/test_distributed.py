"""Several processes train as one does, and go on when one of them dies."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from test_train import dots
from torch import nn

from inception_course import train
from inception_course.train import processes

TESTS = Path(__file__).parent


def torchrun(*arguments, restarts=0):
    """Two processes on this machine, at a port that is free."""
    options = ["--nnodes=1", "--nproc-per-node=2", f"--max-restarts={restarts}"]
    options += ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"]
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *options, *map(str, arguments)],
        env=os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def team_of(size, rank):
    team = processes.Team()
    team.size, team.rank = size, rank
    return team


@pytest.mark.parametrize(
    ("count", "sizes"), [(16, [4, 4, 4, 4]), (15, [4, 4, 4, 3]), (8, [2] * 4), (7, [7] * 4)]
)
def test_shares_make_up_the_batch(count, sizes):
    images, labels = dots(count).tensors
    shares = [team_of(4, rank).share(images, labels) for rank in range(4)]
    assert [len(share.labels) for share in shares] == sizes
    counted = [share for share in shares if share.weight]
    assert torch.equal(torch.cat([share.images for share in counted]), images)
    assert torch.equal(torch.cat([share.labels for share in counted]), labels)
    means = [share.weight * share.labels.double().mean() for share in shares]
    assert (sum(means) / 4).item() == pytest.approx(labels.double().mean().item())


def test_alone_nothing_changes():
    team, net = processes.Team(), nn.BatchNorm2d(4)
    images, labels = dots(3).tensors
    share = team.share(images, labels)
    assert share.weight == 1
    assert torch.equal(share.images, images)
    assert team.wrap(net) is net
    assert type(net) is nn.BatchNorm2d
    assert (team.sum(1, 2.5), team.most(3), team.mean(4)) == ((1, 2.5), (3,), 4)
    assert (team.collect("x"), team.first(lambda: "y")) == (["x"], "y")


def test_cores_are_divided(monkeypatch):
    monkeypatch.setattr(processes, "usable_cores", lambda: 8)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert [team_of(size, 0).cores for size in (1, 3)] == [8, 2]
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "16")
    assert team_of(16, 0).cores == 1


def test_each_process_takes_a_gpu_of_its_own(monkeypatch):
    chosen, asked = [], []
    launch = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    for name, value in launch.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    group = processes.dist
    monkeypatch.setattr(group, "rendezvous", lambda url: iter([(group.HashStore(), 1, 2)]))
    monkeypatch.setattr(group, "init_process_group", lambda backend, **_: asked.append(backend))
    monkeypatch.setattr(group, "destroy_process_group", lambda: None)
    with processes.joined("cuda") as device:
        assert (device, chosen, asked) == ("cuda:1", ["cuda:1"], ["nccl"])


def test_outside_a_group_shared_batch_norm_is_batch_norm():
    torch.manual_seed(0)
    shared, plain = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    shared.__class__ = processes.SharedBatchNorm
    for _ in range(2):
        images = torch.randn(5, 3, 4, 4)
        assert torch.equal(shared(images), plain(images))
    assert torch.equal(shared.eval()(images), plain.eval()(images))


@pytest.mark.skipif(sys.platform != "linux", reason="tested on Linux")
def test_two_processes_train_as_one_does(tmp_path):
    process = torchrun(TESTS / "shared_training.py", tmp_path)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "the same 2" in out
    assert {path.name for path in (tmp_path / "stopped").iterdir()} == {
        "checkpoint-1.pt",
        "checkpoint-2.pt",
        "run.json",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="tested on Linux")
def test_a_run_goes_on_when_a_process_dies(tmp_path):
    folder = tmp_path / "run"
    command = ("-m", "inception_course", "train", "--sample", 130, "--epochs", 3, "--out", folder)
    process = torchrun(*command, restarts=2)
    deadline = time.monotonic() + 120
    while not (folder / "run.json").exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    workers = psutil.Process(process.pid).children()
    assert len(workers) == 2
    workers[1].send_signal(signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode in (0, 1), err  # 1: so short a run may be stuck, and says so
    run = train.Run.from_json((folder / "run.json").read_text())
    assert [epoch.number for epoch in run.epochs] == [1, 2, 3], err
    assert "3 of 3 epochs" in out
    assert out.count("epoch 1: training loss") == 1
    assert out.count("epoch 3: training loss") == 1
    assert (folder / "weights.pt").exists()
