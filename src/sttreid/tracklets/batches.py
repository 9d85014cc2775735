"""Clips -> batches of P identities x K clips.

What a step sees is a function of the seed, the step and the tracklets alone, never of what was drawn before:
a run that is resumed in the middle goes on as if it had not stopped.
"""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from sttreid.config.params import Augment
from sttreid.config.params import Batch as BatchSize
from sttreid.runtime.errors import InputError
from sttreid.tracklets.clips import augment as augment_clip
from sttreid.tracklets.clips import restricted_random
from sttreid.tracklets.store import Store

ORDER, CHOICE, CLIP = 1, 2, 3  # random streams: order of identities, choice of their tracklets, one clip


@dataclass(frozen=True, eq=False)
class Batch:
    """What the network is trained on in one step.

    Attributes:
        clips: float32 [B, T, 3, H, W], normalised.
        classes: int64 [B], identities of the split numbered from 0.
        tracklets: int64 [B], numbers in the store.
        cameras: int64 [B].
    """

    clips: Tensor
    classes: Tensor
    tracklets: Tensor
    cameras: Tensor


def steps_per_epoch(tracklets: pd.DataFrame, identities: int) -> int:
    """How many steps show each identity of a split at most once.

    Raises:
        InputError: P is below 2, or the split has fewer than P identities.
    """
    found = tracklets["identity"].nunique()
    if identities < 2:
        raise InputError(f"a batch must hold at least 2 identities, got {identities}")
    if found < identities:
        raise InputError(f"the split must hold at least the batch's {identities} identities, got {found}")
    return int(found // identities)


def plan(tracklets: pd.DataFrame, identities: int, clips: int, seed: int, step: int) -> NDArray[np.int64]:
    """Choose what a step sees: P identities, K tracklets of each.

    An epoch is a seeded permutation of the identities, cut into groups of P; the last ones that do not fill a
    group are left out of this epoch. An identity gives tracklets of different cameras first, then further
    ones, and the same ones again only when it has fewer than K.

    Args:
        tracklets: of one split.
        identities: P.
        clips: K.
        seed: of the run.
        step: from 0.

    Returns:
        [P * K] rows of ``tracklets``, the K of an identity side by side.

    Raises:
        InputError: P is below 2, K below 1, or the split has fewer than P identities.
    """
    if clips < 1:
        raise InputError(f"a batch must hold at least 1 clip of an identity, got {clips}")
    epoch, place = divmod(step, steps_per_epoch(tracklets, identities))
    owners = tracklets["identity"].to_numpy()
    order = np.random.default_rng([seed, ORDER, epoch]).permutation(np.unique(owners))
    rng = np.random.default_rng([seed, CHOICE, step])
    cameras = tracklets["camera"].to_numpy()
    chosen = order[place * identities : (place + 1) * identities]
    return np.concatenate([_choose(np.flatnonzero(owners == one), cameras, clips, rng) for one in chosen])


def batch(
    store: Store,
    tracklets: pd.DataFrame,
    rows: NDArray[np.int64],
    frames: int,
    augment: Augment,
    seed: int,
    step: int,
    out: Tensor | None = None,
    pool: Executor | None = None,
) -> Batch:
    """Read, draw and augment the clips of one step; each clip has a random stream of its own.

    Args:
        store: holds the pixels.
        tracklets: of one split.
        rows: [B] rows of ``tracklets``, as from :func:`plan`.
        frames: T.
        augment: settings of the augmentation.
        seed: of the run.
        step: from 0.
        out: float32 [B, T, 3, H, W], overwritten with the clips; new memory if None.
        pool: its threads share the clips; the result does not depend on them.
    """
    columns = tracklets[["tracklet", "camera", "start", "length"]].to_numpy(np.int64)
    numbers, cameras, starts, lengths = columns[rows].T.copy()
    clips = torch.empty((len(rows), frames, 3, *store.frames.shape[1:3])) if out is None else out
    turns = _turns(numbers.tolist())

    def fill(place: int) -> None:
        rng = np.random.default_rng([seed, CLIP, step, int(numbers[place]), turns[place]])
        chosen = int(starts[place]) + restricted_random(int(lengths[place]), frames, rng)
        augment_clip(store.frames[chosen], augment, rng, clips[place].numpy())

    list((pool.map if pool else map)(fill, range(len(rows))))
    classes = np.unique(tracklets["identity"], return_inverse=True)[1][rows]
    return Batch(clips, *map(torch.from_numpy, (classes, numbers, cameras)))


def repeated(tracklets: pd.DataFrame, clips: int) -> int:
    """How many identities have fewer than K tracklets, so that a batch shows some of theirs several times."""
    return int((tracklets["identity"].value_counts() < clips).sum())


@dataclass(frozen=True, eq=False)
class Reader:
    """What the batches of a run are made of.

    Attributes:
        store: holds the pixels.
        tracklets: of one split.
        batch: P and K.
        share: places of the P * K clips that are wanted.
        frames: T.
        augment: settings of the augmentation.
        seed: of the run.
    """

    store: Store
    tracklets: pd.DataFrame
    batch: BatchSize
    share: slice
    frames: int
    augment: Augment
    seed: int

    def steps(self, first: int, end: int, workers: int, pinned: bool = False) -> Iterator[Batch]:
        """The batches of the steps from ``first`` up to ``end``.

        Clips are written into two buffers in turn: a batch is good until the next one is taken.

        Args:
            first: step, from 0.
            end: step behind the last.
            workers: threads that prepare the next batch while the last one is in use; 0: none, and nothing is
                read ahead.
            pinned: the buffers can be copied to a CUDA device while both work.
        """
        rows = len(range(self.batch.identities * self.batch.clips)[self.share])
        shape = (rows, self.frames, 3, *self.store.frames.shape[1:3])
        buffers = [torch.empty(shape, pin_memory=pinned) for _ in range(2)]
        with ExitStack() as stack:
            if not workers:
                yield from (self._read(step, buffers[step % 2], None) for step in range(first, end))
                return
            pool = stack.enter_context(ThreadPoolExecutor(workers))
            reading = stack.enter_context(ThreadPoolExecutor(1))
            following: list[Future[Batch]] = []
            for step in range(first, end):
                following.append(reading.submit(self._read, step, buffers[step % 2], pool))
                if len(following) == 2:
                    yield following.pop(0).result()
            yield from (future.result() for future in following)

    def _read(self, step: int, out: Tensor, pool: Executor | None) -> Batch:
        rows = plan(self.tracklets, self.batch.identities, self.batch.clips, self.seed, step)[self.share]
        return batch(self.store, self.tracklets, rows, self.frames, self.augment, self.seed, step, out, pool)


def _choose(
    rows: NDArray[np.int64], cameras: NDArray[np.int32], clips: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """K of one identity's rows: shuffled, then each camera's first ones before any camera's second."""
    shuffled = rng.permutation(rows)
    turns = _turns(cameras[shuffled].tolist())
    return np.resize(shuffled[np.argsort(turns, kind="stable")], clips)


def _turns(values: list[int]) -> list[int]:
    """How often each value has come before."""
    seen: Counter[int] = Counter()
    turns = []
    for value in values:
        turns.append(seen[value])
        seen[value] += 1
    return turns
