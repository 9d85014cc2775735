"""One step's arithmetic: clips -> loss terms."""

from collections.abc import Callable
from dataclasses import fields, replace

import torch
from torch import Tensor, nn

from sttreid.config.params import Compute, Loss
from sttreid.model.network import Network, Output
from sttreid.training import losses

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Step(nn.Module):
    """A network with its losses: a module, so that DistributedDataParallel sees which heads they reach."""

    def __init__(
        self, network: Network, loss: Loss, compute: Compute, gather: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.precision = PRECISIONS[compute.precision]
        self.gather = gather

    @property
    def partial(self) -> bool:
        """Whether a head gets no gradient, because the term that looks at it is off."""
        looked_at = ("identity", "spatial", "spatial_part", "global_identity")
        return not all(getattr(self.loss, name) for name in looked_at)

    def forward(self, clips: Tensor, classes: Tensor, tracklets: Tensor) -> dict[str, Tensor]:
        """[b, T, 3, H, W] and int64 [b] of this process -> the terms, unweighted.

        With bf16 the network's matrix products and convolutions are rounded to it; weights, norms' statistics
        and losses stay in float32.
        """
        mixed = self.precision != torch.float32
        with torch.autocast(clips.device.type, self.precision, enabled=mixed):
            output = self.network(clips, "first" if self.loss.entropy else "none")
        return losses.terms(_widened(output), classes, tracklets, self.loss, self.gather)


def _widened(output: Output) -> Output:
    """All bfloat16 tensors as float32."""

    def wide(value: object) -> object:
        if isinstance(value, dict):
            return {name: wide(part) for name, part in value.items()}
        return value.float() if isinstance(value, Tensor) and value.dtype == torch.bfloat16 else value

    changed = {field.name: wide(getattr(output, field.name)) for field in fields(output)}
    return replace(output, **changed)  # type: ignore[arg-type]
