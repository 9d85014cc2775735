"""Learning rate over the steps, and the optimiser's parameter groups."""

import math

import torch
from torch import nn

from sttreid.config.params import Schedule

FLOOR = 0.01  # the cosine ends at this share of the peak rate


def factor(step: int, schedule: Schedule) -> float:
    """Share of the peak rate at a step (from 0): linear warm-up, then a cosine down to 1 %."""
    if step < schedule.warmup:
        return (step + 1) / schedule.warmup
    progress = (step - schedule.warmup) / max(1, schedule.steps - schedule.warmup)
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * progress))


def optimizer(network: nn.Module, schedule: Schedule) -> torch.optim.AdamW:
    """AdamW; the backbone has its own rate, and norms, biases, tokens and positions do not decay.

    On CUDA one fused kernel updates all parameters.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 and not name.endswith(("token", "positions", "places", "times"))
            groups.setdefault((name.startswith("backbone."), decays), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "peak": schedule.backbone_lr if backbone else schedule.lr,
                "weight_decay": schedule.weight_decay if decays else 0.0,
            }
            for (backbone, decays), parameters in sorted(groups.items(), key=lambda item: item[0])
        ],
        lr=schedule.lr,
        fused=True if next(network.parameters()).is_cuda else None,
    )


def set_rate(optimiser: torch.optim.Optimizer, step: int, schedule: Schedule) -> None:
    """Set every group's rate for a step."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * factor(step, schedule)
