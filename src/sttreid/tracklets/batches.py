"""Clips -> batches of P identities x K clips.

The batch of a step is a function of the seed, the step and the tracklets alone, never of earlier draws: a run
that resumes sees the batches of an uninterrupted one.
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

from sttreid.config.params import Augment, Batch
from sttreid.runtime.errors import InputError
from sttreid.tracklets.clips import augment as augment_clip
from sttreid.tracklets.clips import restricted_random
from sttreid.tracklets.store import Store

ORDER, CHOICE, CLIP = 1, 2, 3  # random streams: order of identities, choice of their tracklets, one clip


@dataclass(frozen=True, eq=False)
class ClipBatch:
    """The training data of one step.

    Attributes:
        clips: float32 [B, T, 3, H, W], normalised.
        classes: int64 [B], identities of the split, numbered from 0.
        tracklets: int64 [B], their numbers in the store.
        cameras: int64 [B].
    """

    clips: Tensor
    classes: Tensor
    tracklets: Tensor
    cameras: Tensor


def steps_per_epoch(tracklets: pd.DataFrame, identities: int) -> int:
    """Number of steps of an epoch, which shows each identity of a split at most once.

    Raises:
        InputError: P is below 2, or the split has fewer than P identities.
    """
    available = tracklets["identity"].nunique()
    if identities < 2:
        raise InputError(f"a batch must hold at least 2 identities, got {identities}")
    if available < identities:
        raise InputError(f"the split must hold at least the batch's {identities} identities, got {available}")
    return int(available // identities)


def shard(identities: int, clips: int, rank: int, world_size: int) -> slice:
    """The rows of a batch of P x K clips that one of several processes trains on: P / world_size identities.

    Args:
        identities: P.
        clips: K.
        rank: of the process, from 0.
        world_size: number of processes.

    Raises:
        InputError: P is not a multiple of the number of processes.
    """
    if identities % world_size:
        rule = f"batch.identities must be a multiple of the {world_size} processes"
        raise InputError(f"params.yaml: {rule}, got {identities}")
    rows = identities // world_size * clips
    return slice(rank * rows, (rank + 1) * rows)


def plan(tracklets: pd.DataFrame, identities: int, clips: int, seed: int, step: int) -> NDArray[np.int64]:
    """Choose the tracklets of a step: P identities, K tracklets of each.

    An epoch is a seeded permutation of the identities in groups of P; a last, smaller group is dropped. An
    identity contributes tracklets from different cameras first, then further ones; it repeats tracklets only
    if it has fewer than K.

    Args:
        tracklets: of one split.
        identities: P.
        clips: K.
        seed: seed of the run.
        step: from 0.

    Returns:
        [P * K] rows of ``tracklets``, the K rows of an identity adjacent.

    Raises:
        InputError: P is below 2, K below 1, or the split has fewer than P identities.
    """
    if clips < 1:
        raise InputError(f"a batch must hold at least 1 clip of an identity, got {clips}")
    epoch, group = divmod(step, steps_per_epoch(tracklets, identities))
    owners = tracklets["identity"].to_numpy()
    order = np.random.default_rng([seed, ORDER, epoch]).permutation(np.unique(owners))
    rng = np.random.default_rng([seed, CHOICE, step])
    cameras = tracklets["camera"].to_numpy()
    chosen = order[group * identities : (group + 1) * identities]
    return np.concatenate(
        [_choose(np.flatnonzero(owners == identity), cameras, clips, rng) for identity in chosen]
    )


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
) -> ClipBatch:
    """Read and augment the clips of one step; each clip has its own random stream.

    Args:
        store: holds the frames.
        tracklets: of one split.
        rows: [B] rows of ``tracklets``, as from :func:`plan`.
        frames: T.
        augment: the augmentation.
        seed: seed of the run.
        step: from 0.
        out: float32 [B, T, 3, H, W], overwritten with the clips; None: new memory.
        pool: its threads prepare the clips; the result does not depend on their number.
    """
    columns = tracklets[["tracklet", "camera", "start", "length"]].to_numpy(np.int64)
    numbers, cameras, starts, lengths = columns[rows].T.copy()
    clips = torch.empty((len(rows), frames, 3, *store.frames.shape[1:3])) if out is None else out
    repeats = _repeats(numbers.tolist())

    def fill(row: int) -> None:
        rng = np.random.default_rng([seed, CLIP, step, int(numbers[row]), repeats[row]])
        chosen = int(starts[row]) + restricted_random(int(lengths[row]), frames, rng)
        augment_clip(store.frames[chosen], augment, rng, clips[row].numpy())

    list((pool.map if pool else map)(fill, range(len(rows))))  # list: waits, and raises what a thread raised
    classes = np.unique(tracklets["identity"], return_inverse=True)[1][rows]
    return ClipBatch(clips, *map(torch.from_numpy, (classes, numbers, cameras)))


def repeated(tracklets: pd.DataFrame, clips: int) -> int:
    """Number of identities with fewer than K tracklets, of which a batch repeats some."""
    return int((tracklets["identity"].value_counts() < clips).sum())


@dataclass(frozen=True, eq=False)
class BatchReader:
    """Reads the batches of a run.

    Attributes:
        store: holds the frames.
        tracklets: of one split.
        batch: P and K.
        shard: the rows of the P * K clips that this process reads.
        frames: T.
        augment: the augmentation.
        seed: seed of the run.
    """

    store: Store
    tracklets: pd.DataFrame
    batch: Batch
    shard: slice
    frames: int
    augment: Augment
    seed: int

    def steps(self, first: int, end: int, workers: int, pinned: bool = False) -> Iterator[ClipBatch]:
        """The batches of the steps from ``first`` up to ``end``.

        Two buffers hold the clips in turn: a batch is valid until the next one is taken.

        Args:
            first: step, from 0.
            end: the step after the last one.
            workers: threads that prepare the next batch while the current one is in use; 0: no prefetching.
            pinned: the buffers are page-locked, for asynchronous copies to a CUDA device.
        """
        rows = len(range(self.batch.identities * self.batch.clips)[self.shard])
        shape = (rows, self.frames, 3, *self.store.frames.shape[1:3])
        buffers = [torch.empty(shape, pin_memory=pinned) for _ in range(2)]
        with ExitStack() as stack:
            if not workers:
                yield from (self._read(step, buffers[step % 2], None) for step in range(first, end))
                return
            pool = stack.enter_context(ThreadPoolExecutor(workers))
            reading = stack.enter_context(ThreadPoolExecutor(1))
            following: list[Future[ClipBatch]] = []
            for step in range(first, end):
                following.append(reading.submit(self._read, step, buffers[step % 2], pool))
                if len(following) == 2:
                    yield following.pop(0).result()
            yield from (future.result() for future in following)

    def _read(self, step: int, out: Tensor, pool: Executor | None) -> ClipBatch:
        rows = plan(self.tracklets, self.batch.identities, self.batch.clips, self.seed, step)[self.shard]
        return batch(self.store, self.tracklets, rows, self.frames, self.augment, self.seed, step, out, pool)


def _choose(
    rows: NDArray[np.int64], cameras: NDArray[np.int32], clips: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """K rows of one identity: shuffled, then the first row of every camera before any camera's second."""
    shuffled = rng.permutation(rows)
    repeats = _repeats(cameras[shuffled].tolist())
    return np.resize(shuffled[np.argsort(repeats, kind="stable")], clips)


def _repeats(values: list[int]) -> list[int]:
    """For each value, the number of its earlier occurrences."""
    seen: Counter[int] = Counter()
    repeats = []
    for value in values:
        repeats.append(seen[value])
        seen[value] += 1
    return repeats
