"""The arithmetic of one step: clips -> loss terms."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from sttreid.config.branches import BRANCHES
from sttreid.config.params import Compute, Loss
from sttreid.model.attention import Rows
from sttreid.model.network import Network
from sttreid.training import losses

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
T = TypeVar("T")


class Step(nn.Module):
    """A network and its losses in one module, so that DistributedDataParallel sees heads without gradient.

    Args:
        network: to be trained.
        loss: weights and constants of the terms.
        compute: ``precision`` of the network's matrix products.
        gather: [b, ...] of this process -> [B, ...] of all processes.
    """

    def __init__(
        self, network: Network, loss: Loss, compute: Compute, gather: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.precision = PRECISIONS[compute.precision]
        self.gather = gather

    @property
    def _rows(self) -> Rows:
        """The rows of the attention that the losses read."""
        if not self.loss.entropy:
            return "none"
        return "all" if self.loss.entropy_all_rows else "first"

    @property
    def has_idle_heads(self) -> bool:
        """Whether a classifier gets no gradient, because the weight of its term is 0."""
        branches = [branch for branch in BRANCHES if branch.name in self.network.branches]
        terms = [branch.identity for branch in branches]
        terms += [term.name for branch in branches for term in branch.terms if term.classifies]
        return not all(getattr(self.loss, name) for name in terms)

    def forward(self, clips: Tensor, classes: Tensor, tracklets: Tensor) -> dict[str, Tensor]:
        """[b, T, 3, H, W] and int64 [b] of this process -> the unweighted terms.

        With bf16 the network's matrix products and convolutions run in bfloat16; weights, statistics of norms
        and losses stay in float32.
        """
        mixed = self.precision != torch.float32
        with torch.autocast(clips.device.type, self.precision, enabled=mixed):
            output = self.network(clips, self._rows)
        return losses.terms(_widened(output), classes, tracklets, self.loss, self.gather)


def _widened(value: T) -> T:
    """The same dataclass, dictionary or tensor with all bfloat16 tensors in float32."""
    if isinstance(value, Tensor):
        return value.float() if value.dtype == torch.bfloat16 else value  # type: ignore[return-value]
    if isinstance(value, dict):
        return {name: _widened(part) for name, part in value.items()}  # type: ignore[return-value]
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _widened(getattr(value, field.name)) for field in fields(value)})
    return value
