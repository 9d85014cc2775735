"""Batches -> losses -> weights: one training run, with its history."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from sttreid.data.batches import batch as read_batch
from sttreid.data.batches import plan
from sttreid.data.store import Store
from sttreid.errors import DivergedError
from sttreid.model.network import Network
from sttreid.params import Augment, Batch, Loss, Schedule
from sttreid.training import losses
from sttreid.training.schedule import factor, optimizer, set_rate

Look = Callable[[Network], dict[str, float]]


@dataclass(frozen=True)
class Recipe:
    """Everything that one training run follows."""

    augment: Augment
    batch: Batch
    loss: Loss
    schedule: Schedule


def fit(network: Network, store: Store, recipe: Recipe, seed: int, look: Look, name: str) -> pd.DataFrame:
    """Train a network in place on a store's training tracklets.

    Args:
        network: on the device where it shall be trained.
        store: its split "train" is used.
        recipe: losses, batches, augmentation and schedule.
        seed: of the batches and of dropout.
        look: measures the network now and then (accuracies); called with the network in evaluation mode.
        name: for the progress bar.

    Returns:
        One row a step: step, rate, loss, one column a term, gradient_norm, and the looks' columns (empty
        between).

    Raises:
        DivergedError: a loss term or the gradient is not finite.
        InputError: the training split has fewer identities than a batch.
    """
    tracklets = store.of_split("train")
    schedule, batch = recipe.schedule, recipe.batch
    optimiser = optimizer(network, schedule)
    torch.manual_seed(seed)
    history = []
    for step in tqdm(range(schedule.steps), desc=name, unit="step", disable=None):
        rows = plan(tracklets, batch.identities, batch.clips, seed, step)
        clips = read_batch(store, tracklets, rows, network.frames, recipe.augment, seed, step)
        set_rate(optimiser, step, schedule)
        network.train()
        row = _step(network, optimiser, clips.clips, clips.classes, clips.tracklets, recipe, step)
        if _looks_now(step + 1, schedule):
            row |= look(network.eval())
        history.append({"step": step + 1, "rate": schedule.rate * factor(step, schedule), **row})
    return pd.DataFrame(history)


def _step(
    network: Network,
    optimiser: torch.optim.Optimizer,
    clips: Tensor,
    classes: Tensor,
    tracklets: Tensor,
    recipe: Recipe,
    step: int,
) -> dict[str, float]:
    """One update; returns the loss, its terms and the gradient's norm before clipping."""
    device = next(network.parameters()).device
    classes, tracklets = classes.to(device), tracklets.to(device)
    output = network(clips.to(device), "first" if recipe.loss.entropy else "none")
    named = losses.terms(output, classes, tracklets, recipe.loss)
    loss = losses.total(named, recipe.loss)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(network.parameters(), recipe.schedule.gradient_norm)
    values = {"loss": loss, **named, "gradient_norm": norm}
    row = dict(zip(values, torch.stack([v.detach() for v in values.values()]).tolist(), strict=True))
    _check(row, step)
    optimiser.step()
    return row


def _check(row: dict[str, float], step: int) -> None:
    """Stop before an update that would spoil the weights; a term is named rather than their sum."""
    broken = [name for name, value in row.items() if not math.isfinite(value)]
    if broken:
        name = next((name for name in broken if name != "loss"), "loss")
        rule = f"{name} must be finite, got {row[name]}"
        raise DivergedError(f"training step {step + 1}: {rule}; lower the rate")


def _looks_now(step: int, schedule: Schedule) -> bool:
    """Looks are spread evenly over the steps; the last step always has one."""
    return (step * schedule.looks) // schedule.steps > ((step - 1) * schedule.looks) // schedule.steps


def history_text(history: pd.DataFrame) -> str:
    """The history as tab-separated text, six significant digits, empty where nothing was looked at.

    No step gives no text at all, not even a header: its columns are not known.
    """
    if history.empty:
        return ""
    return str(history.to_csv(sep="\t", index=False, float_format="%.6g", lineterminator="\n"))
