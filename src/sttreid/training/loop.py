"""Batches -> losses -> weights: one training run, with its history.

A run is the same whether it is made in one go or was killed and started again: batches and random draws are
functions of the seed and the step, and all else that a step depends on stands in the checkpoints.
"""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from sttreid.config.conversion import dump
from sttreid.config.params import Augment, Compute, Loss, Schedule
from sttreid.config.params import Batch as BatchSize
from sttreid.model.network import Network
from sttreid.runtime import numerics
from sttreid.runtime.checkpoints import Checkpoints, Scratch, fingerprint, pack, tell, unpack
from sttreid.runtime.distributed import ALONE, Ranks
from sttreid.runtime.errors import DivergedError
from sttreid.runtime.files import write_bytes, write_text
from sttreid.runtime.progress import Watch
from sttreid.tracklets.batches import Batch, Reader, repeated, steps_per_epoch
from sttreid.tracklets.store import Store
from sttreid.training import losses
from sttreid.training.schedule import factor, optimizer, set_rate
from sttreid.training.step import Step

Look = Callable[[Network], dict[str, float]]
Row = dict[str, float]

DROPOUT = 4  # random stream of what the network draws, beside those of the batches
WORKERS = 8  # threads that prepare clips while a CUDA device works


@dataclass(frozen=True)
class Recipe:
    """Everything that one training run follows."""

    augment: Augment
    batch: BatchSize
    loss: Loss
    schedule: Schedule
    compute: Compute


def fit(
    network: Network,
    store: Store,
    recipe: Recipe,
    seed: int,
    look: Look,
    name: str,
    scratch: Scratch | None = None,
    ranks: Ranks = ALONE,
) -> pd.DataFrame:
    """Train a network in place on a store's training tracklets.

    Args:
        network: on the device where it shall be trained.
        store: its split "train" is used.
        recipe: losses, batches, augmentation, schedule and precision.
        seed: of the batches and of dropout.
        look: measures the network now and then (accuracies); called with the network in evaluation mode, on
            the first rank alone.
        name: for the progress bar and messages.
        scratch: keeps the checkpoints; a run that stands there already goes on. None: a killed run is lost.
        ranks: the processes that share every batch; each calls this function.

    Returns:
        One row a step: step, rate, loss, one column a term, gradient_norm, and the looks' columns (empty
        between).

    Raises:
        DivergedError: a loss term or the gradient is not finite.
        InputError: the training split has fewer identities than a batch, or ranks cannot share it evenly, or
            another process trains the same.
        SystemExit: the process was asked to end (SIGTERM, Ctrl-C); the step's checkpoint is written first.
    """
    schedule, device = recipe.schedule, next(network.parameters()).device
    reader = _reader(network, store, recipe, seed, name, ranks)
    checkpoints = _checkpoints(network, store, recipe, seed, scratch, ranks)
    step = Step(network, recipe.loss, recipe.compute, ranks.gather)
    module = ranks.join(step, recipe.compute.sync_batch_norm, device, step.partial)
    optimiser = optimizer(network, schedule)
    history = _resume(network, optimiser, checkpoints, ranks)
    clips = recipe.batch.identities * recipe.batch.clips
    watch = Watch(name, len(history), schedule.steps, clips, scratch.folder if scratch else None, ranks.first)
    with numerics.asked_to_end() as asked, numerics.deterministic(), numerics.full_precision():
        for batch in watch.waiting(_batches(reader, len(history), schedule.steps, device)):
            number = len(history)
            _prepare(network, optimiser, schedule, seed, number, ranks)
            row, end = _gradients(module, optimiser, batch, recipe, ranks, asked)
            if broken := _broken(row):
                place = _post_mortem(network, optimiser, batch, row, number, scratch, ranks)
                raise DivergedError(f"training step {number + 1}: {broken}; lower the rate; {place}")
            optimiser.step()
            looks = _looks_now(number + 1, schedule)
            if looks and ranks.first:
                row |= look(network.eval())
            history.append({"step": number + 1, "lr": schedule.lr * factor(number, schedule), **row})
            watch.step(history[-1])
            if checkpoints and (end or looks or checkpoints.due()):
                checkpoints.write(number + 1, pack(_state(network, optimiser, history)))
                _show(checkpoints, history)
            if end:
                sys.exit(f"error: asked to end behind step {number + 1} ({watch.close()})")
    if ranks.first:
        tell(watch.close())
    return pd.DataFrame(history)


def _reader(network: Network, store: Store, recipe: Recipe, seed: int, name: str, ranks: Ranks) -> Reader:
    """What the batches are made of, checked before anything is trained."""
    tracklets, size = store.of_split("train"), recipe.batch
    steps_per_epoch(tracklets, size.identities)
    share = ranks.share(size.identities, size.clips)
    if ranks.first and (few := repeated(tracklets, size.clips)):
        people = f"{few} of {tracklets['identity'].nunique()} identities"
        tell(f"{name}: {people} have fewer than {size.clips} tracklets: a batch repeats some of theirs")
    return Reader(store, tracklets, size, share, network.frames, recipe.augment, seed)


def _batches(reader: Reader, first: int, end: int, device: torch.device) -> Iterator[Batch]:
    """Read ahead where another device works meanwhile; on a CPU that would only take it from the step."""
    ahead = device.type == "cuda"
    return reader.steps(first, end, WORKERS if ahead else 0, pinned=ahead)


def _prepare(
    network: Network,
    optimiser: torch.optim.Optimizer,
    schedule: Schedule,
    seed: int,
    number: int,
    ranks: Ranks,
) -> None:
    """Everything that a step needs and that only depends on its number."""
    draws = np.random.SeedSequence([seed, DROPOUT, number, ranks.rank]).generate_state(1, np.uint64)
    torch.manual_seed(int(draws[0]))
    set_rate(optimiser, number, schedule)
    network.train()


def _gradients(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    recipe: Recipe,
    ranks: Ranks,
    asked: list[int],
) -> tuple[Row, bool]:
    """Forward and backward; returns the loss, its terms and the gradient's norm before clipping.

    The second value says whether any rank was asked to end: all of them must end behind the same step.
    """
    device = next(module.parameters()).device
    parts = batch.clips, batch.classes, batch.tracklets
    named = module(*(part.to(device, non_blocking=True) for part in parts))
    loss = losses.total(named, recipe.loss)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(module.parameters(), recipe.schedule.max_grad_norm)
    values = {"loss": loss, **named, "grad_norm": norm}
    numbers = torch.stack([value.detach() for value in values.values()])
    if ranks.size == 1:
        return dict(zip(values, numbers.tolist(), strict=True)), bool(asked)
    *means, ending = ranks.mean(torch.cat([numbers, numbers.new_tensor([len(asked)])])).tolist()
    return dict(zip(values, means, strict=True)), ending > 0


def _broken(row: Row) -> str:
    """What must stop the run before an update spoils the weights; a term is named rather than their sum."""
    broken = [name for name, value in row.items() if not math.isfinite(value)]
    name = next((name for name in broken if name != "loss"), "loss")
    return f"{name} must be finite, got {row[name]}" if broken else ""


def _post_mortem(
    network: Network,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    row: Row,
    number: int,
    scratch: Scratch | None,
    ranks: Ranks,
) -> str:
    """Keep what the step has seen; returns whose clips they were, and where the file lies."""
    shown = f"the clips' tracklets are {', '.join(map(str, sorted(set(batch.tracklets.tolist()))))}"
    if scratch is None:
        return shown
    path = scratch.folder / f"post-mortem-step-{number + 1}-rank-{ranks.rank}.pt"
    content = {**_state(network, optimiser, []), "row": row, **vars(batch)}
    with suppress(OSError):  # the divergence is what must be said
        write_bytes(path, pack(content))
    return f"{shown}; all that the step has seen is kept in {path}"


def _checkpoints(
    network: Network, store: Store, recipe: Recipe, seed: int, scratch: Scratch | None, ranks: Ranks
) -> Checkpoints | None:
    """Take hold of this very run's checkpoints, on the first rank."""
    if scratch is None or not ranks.first:
        return None
    settings = {part: dump(value) for part, value in vars(recipe).items()}
    return scratch.open(fingerprint(network, store, seed=seed, ranks=ranks.size, **settings))


def _state(network: Network, optimiser: torch.optim.Optimizer, history: list[Row]) -> dict[str, object]:
    """All that a later step depends on; rates, batches and random draws follow from its number."""
    return {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "history": history}


def _resume(
    network: Network, optimiser: torch.optim.Optimizer, checkpoints: Checkpoints | None, ranks: Ranks
) -> list[Row]:
    """Go back to the last checkpoint, if there is one; returns the history up to it."""
    content = ranks.hand_out(checkpoints.latest() if checkpoints else None)
    if content is None:
        return []
    state = unpack(content)
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    history: list[Row] = state["history"]
    return history


def _show(checkpoints: Checkpoints, history: list[Row]) -> None:
    """The history so far, beside the checkpoints, for whoever watches."""
    with suppress(OSError):
        write_text(checkpoints.folder / "history.tsv", history_text(pd.DataFrame(history)))


def _looks_now(step: int, schedule: Schedule) -> bool:
    """Every ``eval_every`` steps, and after the last one."""
    return step % schedule.eval_every == 0 or step == schedule.steps


def history_text(history: pd.DataFrame) -> str:
    """The history as tab-separated text, six significant digits, empty where nothing was looked at.

    No step gives no text at all, not even a header: its columns are not known.
    """
    if history.empty:
        return ""
    return str(history.to_csv(sep="\t", index=False, float_format="%.6g", lineterminator="\n"))
