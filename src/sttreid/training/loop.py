"""Batches -> losses -> weights: one training run, with its history.

A resumed run gives the same weights as an uninterrupted one: batches and random draws are functions of the
seed and the step, and checkpoints hold everything else that a step depends on.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from sttreid.config.conversion import dump
from sttreid.config.params import Augment, Batch, Compute, Loss, Schedule
from sttreid.model.network import Network
from sttreid.runtime import numerics
from sttreid.runtime.errors import DivergedError
from sttreid.tracklets.batches import BatchReader, ClipBatch, repeated, shard, steps_per_epoch
from sttreid.tracklets.store import Store
from sttreid.training import losses, validation
from sttreid.training.interfaces import Group, Observer, Row, Silent, State
from sttreid.training.optimisation import average_with_start, build_optimiser, lr_factor, set_lr
from sttreid.training.step import Step

Validate = Callable[[Network, Store, int], Row]

DROPOUT = 4  # random stream of the network's draws; batches have separate streams
WORKERS = 8  # threads that prepare clips while a CUDA device works
SAMPLED = 256  # frames of a store whose pixels are hashed


@dataclass(frozen=True)
class Recipe:
    """All parameters of one training run."""

    augment: Augment
    batch: Batch
    loss: Loss
    schedule: Schedule
    compute: Compute


def fit(
    network: Network,
    store: Store,
    recipe: Recipe,
    seed: int,
    group: Group,
    observer: Observer | None = None,
    validate: Validate = validation.validate,
) -> pd.DataFrame:
    """Train a network in place on a store's training tracklets.

    Args:
        network: on the device where it is trained.
        store: with the splits "train" and, for ``validate``, "validation".
        recipe: losses, batches, augmentation, schedule and precision.
        seed: of the batches and of dropout.
        group: the processes that share every batch; each of them calls this function.
        observer: of the steps; None: :class:`sttreid.training.interfaces.Silent`.
        validate: network in evaluation mode, store and clips per batch -> columns of the history; called on
            the first process every ``eval_every`` steps and after the last one.

    Returns:
        One row per step: step, lr, loss, one column per term, grad_norm, and the columns of ``validate``
        (empty between validations).

    Raises:
        DivergedError: a loss term or the gradient is not finite.
        InputError: the training split has fewer identities than a batch, or the processes cannot share a
            batch evenly.
        SystemExit: the observer requested a stop; the current step is completed first.
    """
    observer = observer or Silent()
    schedule, device = recipe.schedule, next(network.parameters()).device
    reader = _reader(network, store, recipe, seed, group, observer)
    state = observer.resume(_settings(recipe, seed, group, device), _content(network, store))
    step = Step(network, recipe.loss, recipe.compute, group.gather)
    module = group.wrap(step, recipe.compute.sync_batch_norm, device, step.has_idle_heads)
    optimiser = build_optimiser(network, schedule)
    start = {name: value.clone() for name, value in network.state_dict().items()}
    history = _restore(network, optimiser, state)
    clips = recipe.batch.identities * recipe.batch.clips
    batches = _batches(reader, len(history), schedule.steps, device)
    with numerics.deterministic(), numerics.full_precision():
        for batch in observer.watch(batches, len(history), schedule.steps, clips):
            number = len(history)  # of the step, from 0
            _prepare(network, optimiser, schedule, seed, number, group)
            row, stop = _gradients(module, optimiser, batch, recipe, group, observer.stop_requested)
            if problem := _not_finite(row):
                raise _divergence(network, optimiser, batch, row, number, problem, observer)
            optimiser.step()
            if number + 1 == schedule.steps:
                average_with_start(network, start, schedule.start_weight)
            evaluates = (number + 1) % schedule.eval_every == 0 or number + 1 == schedule.steps
            if evaluates and group.rank == 0:
                row |= validate(network.eval(), store, recipe.compute.embed_batch)
            history.append({"step": number + 1, "lr": schedule.lr * lr_factor(number, schedule), **row})
            last = stop or number + 1 == schedule.steps
            observer.stepped(history[-1], lambda: _state(network, optimiser, history), evaluates, last)
            if stop:
                raise SystemExit(f"error: training stopped on request after step {number + 1}")
    return pd.DataFrame(history)


def _reader(
    network: Network, store: Store, recipe: Recipe, seed: int, group: Group, observer: Observer
) -> BatchReader:
    """The source of the batches; wrong parameters raise an error before training starts."""
    tracklets, size = store.of_split("train"), recipe.batch
    steps_per_epoch(tracklets, size.identities)
    rows = shard(size.identities, size.clips, group.rank, group.world_size)
    if few := repeated(tracklets, size.clips):
        identities = f"{few} of {tracklets['identity'].nunique()} training identities"
        observer.notify(
            f"{identities} have fewer than {size.clips} tracklets: a batch repeats tracklets of these"
        )
    return BatchReader(store, tracklets, size, rows, network.frames, recipe.augment, seed)


def _batches(reader: BatchReader, first: int, end: int, device: torch.device) -> Iterator[ClipBatch]:
    """Prefetch while a CUDA device works; on a CPU, prefetching would slow the step down."""
    ahead = device.type == "cuda"
    return reader.steps(first, end, WORKERS if ahead else 0, pinned=ahead)


def _prepare(
    network: Network,
    optimiser: torch.optim.Optimizer,
    schedule: Schedule,
    seed: int,
    number: int,
    group: Group,
) -> None:
    """Set everything that depends on the step number alone: random draws, lr, training mode."""
    draws = np.random.SeedSequence([seed, DROPOUT, number, group.rank]).generate_state(1, np.uint64)
    torch.manual_seed(int(draws[0]))
    set_lr(optimiser, number, schedule)
    network.train()


def _gradients(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: ClipBatch,
    recipe: Recipe,
    group: Group,
    stop_requested: Callable[[], bool],
) -> tuple[Row, bool]:
    """Forward and backward.

    Returns:
        The loss, its terms and the gradient norm before clipping; and whether any process must stop, because
        all processes stop after the same step.
    """
    device = next(module.parameters()).device
    inputs = batch.clips, batch.classes, batch.tracklets
    terms = module(*(part.to(device, non_blocking=True) for part in inputs))
    loss = losses.total(terms, recipe.loss)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(module.parameters(), recipe.schedule.max_grad_norm)
    values = {"loss": loss, **terms, "grad_norm": norm}
    numbers = torch.stack([value.detach() for value in values.values()])
    stop = stop_requested()
    if group.world_size == 1:
        return dict(zip(values, numbers.tolist(), strict=True)), stop
    *means, stops = group.mean(torch.cat([numbers, numbers.new_tensor([float(stop)])])).tolist()
    return dict(zip(values, means, strict=True)), stops > 0


def _not_finite(row: Row) -> str:
    """The non-finite value that stops the run before the update; a term rather than the sum of all terms."""
    names = [name for name, value in row.items() if not math.isfinite(value)]
    name = next((name for name in names if name != "loss"), "loss")
    return f"{name} must be finite, got {row[name]}" if names else ""


def _divergence(
    network: Network,
    optimiser: torch.optim.Optimizer,
    batch: ClipBatch,
    row: Row,
    number: int,
    problem: str,
    observer: Observer,
) -> DivergedError:
    """The error for a step (from 0), naming its tracklets; the observer receives all inputs of the step."""
    tracklets = ", ".join(map(str, sorted(set(batch.tracklets.tolist()))))
    state = {**_state(network, optimiser, []), "row": row, **vars(batch)}
    advice = f"lower the lr; the batch holds the tracklets {tracklets}"
    return DivergedError(
        f"training step {number + 1}: {problem}; {advice}{observer.diverged(number + 1, state)}"
    )


def _settings(recipe: Recipe, seed: int, group: Group, device: torch.device) -> dict[str, object]:
    """All plain values that the result depends on."""
    sections = {name: dump(section) for name, section in vars(recipe).items()}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {**sections, "seed": seed, "world_size": group.world_size, "device": name}


def _content(network: Network, store: Store) -> Iterator[bytes]:
    """The initial weights, the store's index, and evenly spaced frames in place of all pixels."""
    for name, value in network.state_dict().items():
        yield name.encode()
        yield value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    yield pd.util.hash_pandas_object(store.tracklets).to_numpy().tobytes()
    yield pd.util.hash_pandas_object(store.index).to_numpy().tobytes()
    yield repr(store.frames.shape).encode()
    for frame in np.unique(np.linspace(0, len(store.frames) - 1, SAMPLED, dtype=np.int64)).tolist():
        yield store.frames[frame].tobytes()


def _state(network: Network, optimiser: torch.optim.Optimizer, history: list[Row]) -> State:
    """Everything that later steps depend on; lr, batches and random draws follow from the step number."""
    return {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "history": history}


def _restore(network: Network, optimiser: torch.optim.Optimizer, state: State | None) -> list[Row]:
    """Load the state of a checkpoint, if there is one; returns its history."""
    if state is None:
        return []
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    history: list[Row] = state["history"]
    return history
