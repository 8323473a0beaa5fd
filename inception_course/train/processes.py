"""Training by several processes side by side, as torchrun starts them; alone, nothing changes.

Every process draws the same order and the same augmentation, takes its share of each batch, and
learns from the gradient of the whole batch: the number of processes decides the pace, not the run.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from ..machine import usable_cores


def launched() -> bool:
    """Did torchrun start this process?"""
    return {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys()


def started_again() -> bool:
    """Did torchrun start it again, after one of the processes died?"""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) > 0


def is_first() -> bool:
    """One process of all writes, prints and draws."""
    return not launched() or os.environ["RANK"] == "0"


@contextmanager
def joined(device: str) -> Iterator[str]:
    """Together with the processes that torchrun started, inside; does nothing without torchrun.

    Gives the device that is this process's: of several GPUs each one takes its own.
    """
    if not launched():
        yield device
        return
    backend = "gloo"
    if device == "cuda":
        backend, device = "nccl", f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    # Of this attempt alone: what processes that died left in torchrun's store leads nowhere.
    store, rank, size = next(dist.rendezvous("env://"))
    store = dist.PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)
    dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    try:
        yield device
    finally:
        dist.destroy_process_group()


class Share(NamedTuple):
    """What one process does of a batch.

    The mean over all processes of `weight` times the mean over the share is the mean over the
    batch. `weight` is 0 where the images are another process's, and only go along.
    """

    images: Tensor
    labels: Tensor
    weight: float


class Team:
    """The processes that train one network together: those of torch.distributed, or this one."""

    def __init__(self):
        together = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if together else 0
        self.size = dist.get_world_size() if together else 1
        on_gpu = together and dist.get_backend() == "nccl"
        self.device = torch.device("cuda" if on_gpu else "cpu")  # of what is sent

    @property
    def cores(self) -> int:
        """Of this machine, for each process on it."""
        local = int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if self.size > 1 else 1
        return max(1, usable_cores() // local)

    def wrap(self, model: nn.Module, sync_norm: bool = True) -> nn.Module:
        """The same network, with gradients averaged and, if wanted, batch norm over all processes.

        Otherwise each process normalizes its share by itself, and the first one's statistics count.
        """
        if self.size == 1:
            return model
        for module in model.modules() if sync_norm else ():
            if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d) and module.track_running_stats:
                module.__class__ = SharedBatchNorm
        return DistributedDataParallel(model)

    def agree(self, model: nn.Module) -> None:
        """Take the first process's statistics of batch norm, everywhere."""
        for values in model.buffers() if self.size > 1 else ():
            dist.broadcast(values, src=0)

    def share(self, images: Tensor, labels: Tensor) -> Share:
        """This process's part of a batch.

        A batch of fewer than two images for each is the first process's alone, since batch norm
        cannot learn from one value.
        """
        count = len(labels)
        if count < 2 * self.size:
            return Share(images, labels, 0.0 if self.rank else float(self.size))
        images, labels = (each.tensor_split(self.size)[self.rank] for each in (images, labels))
        return Share(images, labels, len(labels) * self.size / count)

    def sum(self, *numbers: float) -> tuple[float, ...]:
        """Each number, added up over all processes."""
        if self.size == 1:
            return numbers
        total = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return tuple(total.tolist())

    def mean(self, number: float) -> float:
        """The mean over all processes."""
        return self.sum(number)[0] / self.size

    def most(self, *numbers: int) -> tuple[int, ...]:
        """Of each number the largest that any process has."""
        if self.size == 1:
            return numbers
        largest = torch.tensor([int(number) for number in numbers], device=self.device)
        dist.all_reduce(largest, dist.ReduceOp.MAX)
        return tuple(largest.tolist())

    def collect(self, value: object) -> list:
        """The values of all processes, for all of them."""
        if self.size == 1:
            return [value]
        values = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def first(self, ask: Callable[[], object]) -> object:
        """What the first process answers, or raises, for all."""
        if self.size == 1:
            return ask()
        answer = [None, None]
        if self.rank == 0:
            try:
                answer[0] = ask()
            except Exception as error:
                answer[1] = error
        dist.broadcast_object_list(answer, device=self.device)
        if answer[1] is not None:
            raise answer[1]
        return answer[0]


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalization by the statistics of the batches of all processes.

    `nn.SyncBatchNorm` does the same for GPUs only. Outside a group, and in eval mode, it is the
    layer that it was.
    """

    def _check_input_dim(self, x: Tensor) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:  # [B, C, ...]
        if not (self.training and dist.is_initialized()):
            return super().forward(x)
        affine = self.weight, self.bias
        if not self.affine:
            affine = torch.ones_like(self.running_mean), torch.zeros_like(self.running_mean)
        y, mean, variance, count = SharedNormalization.apply(x, *affine, self.eps)
        with torch.no_grad():
            self.num_batches_tracked += 1
            unbiased = variance * count / (count - 1)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
        return y


class SharedNormalization(torch.autograd.Function):
    """Normalise each channel by its mean and variance over all processes, then scale and shift.

    torch's own layer does the work, with the statistics as if they were constants; that they
    depend on x, too, adds to its gradient what the batch normalization paper derives in section 3.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, eps: float):
        count = x.numel() / x.shape[1]
        _, mean, inverse = torch.native_batch_norm(x, weight, bias, None, None, True, 0.0, 0.0)
        mean, variance = mean.double(), inverse.double() ** -2
        # Doubles, since the mean of squares minus the square of the mean loses digits.
        sums = torch.stack([count * mean, count * (variance + mean**2)])
        sums = torch.cat([sums.flatten(), sums.new_tensor([count])])
        dist.all_reduce(sums)
        count = sums[-1]
        mean, square = (sums[:-1] / count).view(2, -1)
        variance = square - mean**2
        constants = mean.float(), variance.float()
        ctx.save_for_backward(x, weight, *constants, count)
        ctx.eps = eps
        y = F.batch_norm(x, *constants, weight, bias, training=False, eps=eps)
        ctx.mark_non_differentiable(mean, variance, count)
        return y, mean, variance, count

    @staticmethod
    def backward(ctx, dy: Tensor, *_):
        x, weight, mean, variance, count = ctx.saved_tensors
        dx, d_weight, d_bias = torch.ops.aten.native_batch_norm_backward(
            dy, x, weight, mean, variance, None, None, False, ctx.eps, [True] * 3
        )
        sums = torch.stack([d_weight, d_bias]).double()
        dist.all_reduce(sums)
        scale = weight * (variance + ctx.eps).rsqrt()
        along = (sums / count).float() * scale
        dx -= F.batch_norm(x, mean, variance, *along, training=False, eps=ctx.eps)
        return dx, d_weight, d_bias, None
