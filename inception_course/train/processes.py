"""Training by several processes, as torchrun starts them, with torch's DistributedDataParallel.

Each process takes its share of every batch, and DistributedDataParallel averages the gradients, so
that all of them hold the same weights. Shares differ by one image at most; the images of the
smaller ones count that little more. On GPUs `nn.SyncBatchNorm` normalizes over the whole batch. On
CPUs torch has no such layer: each process normalizes its own share, as a GPU of a large machine
does, and the statistics of the first process count. A run by two processes therefore equals one by
a single process in all but these two points. Without torchrun nothing here has any effect.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from ..machine import usable_cores

Value = TypeVar("Value")


def launched() -> bool:
    """Tell whether torchrun started this process."""
    return {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys()


def restarted() -> bool:
    """Tell whether torchrun started this process again, after one of all died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) > 0


def is_first() -> bool:
    """Tell whether this is the first process, 0, which writes, prints and draws for all."""
    return not launched() or os.environ["RANK"] == "0"


@contextmanager
def process_group(device: str) -> Iterator[str]:
    """Join the processes that torchrun started; does nothing without torchrun.

    Gives this process's device: of several GPUs each process takes one.
    """
    if not launched():
        yield device
        return
    backend = "gloo"
    if device == "cuda":
        backend, device = "nccl", f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    # A store for this attempt alone: addresses of processes that died lead nowhere.
    store, rank, size = next(dist.rendezvous("env://"))
    store = dist.PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)
    dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    try:
        yield device
    finally:
        dist.destroy_process_group()


def world_size() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if world_size() > 1 else 0


def cores() -> int:
    """Count the cores of this machine that each process on it may use."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if world_size() > 1 else 1
    return max(1, usable_cores() // local)


def wrap(model: nn.Module) -> nn.Module:
    """Return the same network, with gradients averaged over the processes."""
    if world_size() == 1:
        return model
    if next(model.parameters()).device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    return DistributedDataParallel(model)


def shard(values: Tensor) -> Tensor:
    """Return this process's share of the images or labels of a batch."""
    return values.tensor_split(world_size())[rank()]


def broadcast_buffers(model: nn.Module) -> None:
    """Copy the first process's statistics of batch norm to all processes."""
    for values in model.buffers() if world_size() > 1 else ():
        dist.broadcast(values, src=0)


def all_reduce_sum(*numbers: float) -> list[float]:
    """Add up each number over all processes."""
    return _reduced(numbers, torch.float64, dist.ReduceOp.SUM)


def all_reduce_max(*numbers: int) -> list[int]:
    """Return the largest value of each number in any process."""
    return _reduced(numbers, torch.int64, dist.ReduceOp.MAX)


def _reduced(numbers: tuple, dtype: torch.dtype, operation: Any) -> list:
    if world_size() == 1:
        return list(numbers)
    values = torch.tensor(numbers, dtype=dtype, device=_device())
    dist.all_reduce(values, operation)
    return values.tolist()


def all_gather(value: Value) -> list[Value]:
    """Return the values of all processes, in each of them."""
    values: list[Any] = [value] * world_size()
    if world_size() > 1:
        dist.all_gather_object(values, value)
    return values


def on_rank_zero(ask: Callable[[], Value]) -> Value:
    """Return what the first process answers, or raise what it raises, in all of them."""
    if world_size() == 1:
        return ask()
    answer: list[Any] = [None, None]
    if rank() == 0:
        try:
            answer[0] = ask()
        except Exception as error:
            answer[1] = error
    dist.broadcast_object_list(answer, device=_device())
    if answer[1] is not None:
        raise answer[1]
    return answer[0]


def _device() -> torch.device:
    """Return the device on which numbers must lie to be sent."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
