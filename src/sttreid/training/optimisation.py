"""The optimiser: parameter groups of AdamW, the lr of each step, the average with the starting weights."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sttreid.config.params import Schedule
from sttreid.model.network import Network

FINAL_LR = 0.01  # the cosine ends at this fraction of the peak lr


def lr_factor(step: int, schedule: Schedule) -> float:
    """Fraction of the peak lr at a step (from 0): linear warm-up, then a cosine down to 1 %."""
    if step < schedule.warmup:
        return (step + 1) / schedule.warmup
    progress = (step - schedule.warmup) / max(1, schedule.steps - schedule.warmup)
    return FINAL_LR + (1 - FINAL_LR) * 0.5 * (1 + math.cos(math.pi * progress))


def set_lr(optimiser: torch.optim.Optimizer, step: int, schedule: Schedule) -> None:
    """Set the lr of every parameter group for a step (from 0)."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak_lr"] * lr_factor(step, schedule)


def build_optimiser(network: Network, schedule: Schedule) -> torch.optim.AdamW:
    """AdamW; the backbone has its own lr; norms, biases, class tokens and position embeddings do not decay.

    One fused kernel updates each group's parameters: it is faster, and the square root of the other
    implementation has other bits on other processors.
    """
    undecayed = network.no_weight_decay()
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 and name not in undecayed
            groups.setdefault((name.startswith("backbone."), decays), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "peak_lr": schedule.backbone_lr if backbone else schedule.lr,
                "weight_decay": schedule.weight_decay if decays else 0.0,
            }
            for (backbone, decays), parameters in sorted(groups.items(), key=lambda item: item[0])
        ],
        lr=schedule.lr,
        fused=True,
    )


@torch.no_grad()
def average_with_start(network: Network, start: Mapping[str, Tensor], share: float) -> None:
    """Replace weights and batch-norm statistics by ``share`` * start + (1 - share) * trained.

    Fine-tuning on few identities over-fits them; the average with the starting weights keeps what they know
    of other domains (weight-space ensembles, arXiv 2109.01903).

    Args:
        network: trained; changed in place.
        start: its ``state_dict`` before training, not shared with the network.
        share: between 0 and 1; 0 changes nothing.
    """
    for name, value in network.state_dict().items():
        if share and value.is_floating_point():
            value.mul_(1 - share).add_(start[name], alpha=share)
