"""The processes that train one network together, as torchrun starts them; a process alone is rank 0 of 1.

Every step's P x K clips are one batch of all ranks: each works on the clips of P / ranks identities. Means
over clips are means over the ranks' means, since shares are equal. Batch-hard mining needs all clips, so
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

PATIENCE = timedelta(hours=2)  # the other ranks wait while the first looks at accuracies


@dataclass(frozen=True)
class Ranks:
    """This process among the processes of a run."""

    rank: int
    size: int

    @property
    def first(self) -> bool:
        """Whether this process writes the files and measures the accuracies."""
        return self.rank == 0

    def share(self, identities: int, clips: int) -> slice:
        """The places of this rank's clips in a batch of P x K.

        Raises:
            InputError: P is no multiple of the ranks.
        """
        if identities % self.size:
            rule = f"batch.identities must be a multiple of the {self.size} processes"
            raise InputError(f"params.yaml: {rule}, got {identities}")
        own = identities // self.size * clips
        return slice(self.rank * own, (self.rank + 1) * own)

    def gather(self, x: Tensor) -> Tensor:
        """[b, ...] of each rank -> [B, ...] of all, in the order of the ranks.

        Every rank computes the same loss from the result, and its gradient reaches the rank's own part alone.
        DistributedDataParallel averages over the ranks, hence the factor: the average is then the gradient of
        the one loss with respect to all clips.
        """
        if self.size == 1:
            return x
        parts = [torch.empty_like(x) for _ in range(self.size)]
        dist.all_gather(parts, x.detach().contiguous())
        own = x.view_as(x)
        if own.requires_grad:
            own.register_hook(lambda gradient: gradient * self.size)  # type: ignore[no-untyped-call]
        parts[self.rank] = own
        return torch.cat(parts)

    def mean(self, x: Tensor) -> Tensor:
        """The mean over the ranks, the same bits on each."""
        if self.size == 1:
            return x
        total = x.clone()
        dist.all_reduce(total)
        return total / self.size

    def hand_out(self, content: bytes | None) -> bytes | None:
        """What the first rank has, for all: only its machine needs to see the checkpoints."""
        if self.size == 1:
            return content
        box = [content]
        dist.broadcast_object_list(box)
        return box[0]

    def join(
        self, module: nn.Module, synchronise: bool, device: torch.device, partial: bool = False
    ) -> nn.Module:
        """Wrap a module so that its gradients are averaged over the ranks.

        Args:
            module: on ``device``; its batch norms are replaced in place if they shall be synchronised.
            synchronise: batch norms use the statistics of all ranks' clips.
            device: of this rank.
            partial: some parameters get no gradient, and must be looked for in every step.

        Raises:
            InputError: batch norms shall be synchronised and the device is no CUDA device.
        """
        if self.size == 1:
            return module
        if synchronise and device.type != "cuda":
            rule = "compute.sync_batch_norm needs CUDA devices where several processes train"
            raise InputError(f"params.yaml: {rule}, got {device.type}")
        if synchronise:
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        own = [device.index] if device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=own, find_unused_parameters=partial)


ALONE = Ranks(0, 1)


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """The ranks of this run: those that torchrun started, or this process alone.

    After an error the group is left as it is: other ranks may be waiting in it, and torchrun ends them.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield ALONE
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    yield Ranks(dist.get_rank(), dist.get_world_size())
    dist.destroy_process_group()
