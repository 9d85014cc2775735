"""The process group that trains one network together, as torchrun starts it; a single process is rank 0 of 1.

All processes share the P x K clips of a step: each embeds those of P / world_size identities. Each has the
same number of clips, so the mean over clips is the mean of their means. Batch-hard mining needs all clips, so
features are gathered.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from sttreid.runtime.errors import InputError

TIMEOUT = timedelta(hours=2)  # the other processes wait while the first one validates


@dataclass(frozen=True)
class ProcessGroup:
    """This process among the processes of a run.

    Attributes:
        rank: number of this process, from 0.
        world_size: number of processes.
    """

    rank: int
    world_size: int

    @property
    def first(self) -> bool:
        """Whether this process validates and writes the files."""
        return self.rank == 0

    def gather(self, x: Tensor) -> Tensor:
        """[b, ...] of each process -> [B, ...] of all, in the order of the ranks.

        Every process computes the same loss from the result, and its gradient reaches only the process's own
        part. DistributedDataParallel averages over the processes, hence the factor: the average is then the
        gradient of the one loss with respect to all clips.
        """
        if self.world_size == 1:
            return x
        parts = [torch.empty_like(x) for _ in range(self.world_size)]
        dist.all_gather(parts, x.detach().contiguous())
        local = x.view_as(x)
        if local.requires_grad:
            local.register_hook(lambda gradient: gradient * self.world_size)  # type: ignore[no-untyped-call]
        parts[self.rank] = local
        return torch.cat(parts)

    def mean(self, x: Tensor) -> Tensor:
        """The mean over the processes, with equal bits on each."""
        if self.world_size == 1:
            return x
        total = x.clone()
        dist.all_reduce(total)
        return total / self.world_size

    def broadcast(self, content: bytes | None) -> bytes | None:
        """The content of the first process, on every process: only its machine needs the checkpoints."""
        if self.world_size == 1:
            return content
        box = [content]
        dist.broadcast_object_list(box)
        return box[0]

    def wrap(
        self, module: nn.Module, sync_batch_norm: bool, device: torch.device, idle_parameters: bool = False
    ) -> nn.Module:
        """Wrap a module so that its gradients are averaged over the processes.

        Args:
            module: on ``device``; synchronised batch norms replace its batch norms in place.
            sync_batch_norm: whether batch norms use the statistics of all processes' clips.
            device: of this process.
            idle_parameters: whether some parameters may get no gradient and must be detected in every step.

        Raises:
            InputError: batch norms must be synchronised, and the device is not a CUDA device.
        """
        if self.world_size == 1:
            return module
        if sync_batch_norm and device.type != "cuda":
            rule = "compute.sync_batch_norm needs CUDA devices where several processes train"
            raise InputError(f"params.yaml: {rule}, got {device.type}")
        if sync_batch_norm:
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        devices = [device.index] if device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=devices, find_unused_parameters=idle_parameters)


SINGLE = ProcessGroup(rank=0, world_size=1)


@contextmanager
def process_group(device: torch.device) -> Iterator[ProcessGroup]:
    """The process group that torchrun started, or this process alone.

    After an error the group stays as it is: other processes may wait in it, and torchrun ends them.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield SINGLE
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    yield ProcessGroup(dist.get_rank(), dist.get_world_size())
    dist.destroy_process_group()
