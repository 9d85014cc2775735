"""Clips -> batches of P identities x K clips.

What a step sees is a function of the seed, the step and the tracklets alone, never of what was drawn before:
a run that is resumed in the middle goes on as if it had not stopped.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from sttreid.data.clips import augment as augment_clip
from sttreid.data.clips import restricted_random
from sttreid.data.store import Store
from sttreid.errors import InputError
from sttreid.params import Augment

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
) -> Batch:
    """Read, draw and augment the clips of one step.

    Args:
        store: holds the pixels.
        tracklets: of one split.
        rows: [B] rows of ``tracklets``, as from :func:`plan`.
        frames: T.
        augment: settings of the augmentation.
        seed: of the run.
        step: from 0.
    """
    columns = tracklets[["tracklet", "camera", "start", "length"]].to_numpy(np.int64)
    numbers, cameras, starts, lengths = columns[rows].T.copy()
    clips = np.empty((len(rows), frames, 3, *store.frames.shape[1:3]), dtype=np.float32)
    seen: Counter[int] = Counter()
    for out, number, start, length in zip(
        clips, numbers.tolist(), starts.tolist(), lengths.tolist(), strict=True
    ):
        rng = np.random.default_rng([seed, CLIP, step, number, seen[number]])
        seen[number] += 1
        augment_clip(store.frames[start + restricted_random(length, frames, rng)], augment, rng, out)
    classes = np.unique(tracklets["identity"], return_inverse=True)[1][rows]
    return Batch(*map(torch.from_numpy, (clips, classes, numbers, cameras)))


def _choose(
    rows: NDArray[np.int64], cameras: NDArray[np.int32], clips: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """K of one identity's rows: shuffled, then each camera's first ones before any camera's second."""
    shuffled = rng.permutation(rows)
    seen: Counter[int] = Counter()
    turns = []
    for camera in cameras[shuffled].tolist():
        turns.append(seen[camera])
        seen[camera] += 1
    return np.resize(shuffled[np.argsort(turns, kind="stable")], clips)
