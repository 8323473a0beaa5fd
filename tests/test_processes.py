"""Several processes train as one does, and continue when one of them dies."""

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
from helpers import contents, dots, recorded
from torch import nn

from inception_course.__main__ import STUCK
from inception_course.train import processes
from inception_course.train.checkpoint import RECORD

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


@pytest.fixture
def as_one_of(monkeypatch):
    """Make this process one of several, as far as sharing goes."""

    def become(size, rank):
        monkeypatch.setattr(processes, "world_size", lambda: size)
        monkeypatch.setattr(processes, "rank", lambda: rank)

    return become


@pytest.mark.parametrize(("count", "sizes"), [(16, [4, 4, 4, 4]), (15, [4, 4, 4, 3]), (8, [2] * 4)])
def test_shares_make_up_the_batch(as_one_of, count, sizes):
    images, labels = dots(count).tensors
    shares = []
    for rank in range(4):
        as_one_of(4, rank)
        shares.append((processes.shard(images), processes.shard(labels)))
    assert [len(labels) for _, labels in shares] == sizes
    assert torch.equal(torch.cat([images for images, _ in shares]), images)
    assert torch.equal(torch.cat([labels for _, labels in shares]), labels)


def test_alone_nothing_changes():
    net = nn.BatchNorm2d(4)
    images, _ = dots(3).tensors
    assert torch.equal(processes.shard(images), images)
    assert processes.wrap(net) is net
    assert processes.all_reduce_sum(1, 2.5) == [1, 2.5]
    assert processes.all_reduce_max(3) == [3]
    assert (processes.all_gather("x"), processes.on_rank_zero(lambda: "y")) == (["x"], "y")


def test_cores_are_divided(as_one_of, monkeypatch):
    monkeypatch.setattr(processes, "usable_cores", lambda: 8)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert processes.cores() == 8
    as_one_of(3, 0)
    assert processes.cores() == 2
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "16")
    assert processes.cores() == 1


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
    with processes.process_group("cuda") as device:
        assert (device, chosen, asked) == ("cuda:1", ["cuda:1"], ["nccl"])


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="tested on Linux")


@on_linux
@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path):
    with torchrun(TESTS / "shared_training.py", tmp_path) as process:
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "the same 2" in out
    assert contents(tmp_path / "stopped").keys() == {"checkpoint-1.pt", "checkpoint-2.pt", RECORD}


@on_linux
@pytest.mark.slow
def test_a_run_goes_on_when_a_process_dies(tmp_path):
    folder = tmp_path / "run"
    command = ("-m", "inception_course", "train", "--sample", 130, "--epochs", 5, "--out", folder)
    with torchrun(*command, restarts=2) as process:
        lines = iter(process.stdout.readline, "")
        out = "".join(itertools.takewhile(lambda line: not line.startswith("epoch 1:"), lines))
        workers = psutil.Process(process.pid).children()
        assert len(workers) == 2, process.stderr.read()
        workers[1].send_signal(signal.SIGKILL)
        rest, err = process.communicate(timeout=300)
    assert process.returncode in (0, STUCK), err  # so short a run may be stuck, and says so
    assert [epoch.number for epoch in recorded(folder).epochs] == [1, 2, 3, 4, 5], err
    assert "5 of 5 epochs" in rest
    assert "epoch 1: training loss" not in out + rest  # but for the line that was waited for
    assert rest.count("epoch 5: training loss") == 1
    assert (folder / "weights.pt").exists()
