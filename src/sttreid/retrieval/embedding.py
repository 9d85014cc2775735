"""Tracklets -> one feature each: every frame is seen, in clips, and the clips' features are averaged."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from sttreid.data.clips import consecutive_clips, normalise
from sttreid.data.store import Store
from sttreid.errors import InputError
from sttreid.model.network import Network

Encoder = Callable[[Tensor], Tensor]


def embed_tracklets(network: Network, store: Store, tracklets: pd.DataFrame, batch: int) -> Tensor:
    """Embed with a network, on the device where it lies; see :func:`embed`."""
    network.eval()
    device = next(network.parameters()).device
    return embed(lambda clips: network.encode(clips.to(device)), store, tracklets, network.frames, batch)


@torch.inference_mode()
def embed(encode: Encoder, store: Store, tracklets: pd.DataFrame, frames: int, batch: int) -> Tensor:
    """One feature a tracklet: the mean over its clips of consecutive frames, L2-normalised.

    Clips of several tracklets share a batch, and memory holds one batch at a time, however long the
    tracklets.

    Args:
        encode: [B, T, 3, H, W] normalised float32 clips -> [B, D] features of any length; a network must be
            in evaluation mode.
        store: where the frames lie.
        tracklets: G >= 1 rows of ``store.tracklets``.
        frames: T, frames in a clip.
        batch: B, clips at once; the last batch may be smaller.

    Returns:
        [G, D] float32 rows of length 1, on the CPU.

    Raises:
        InputError: there is no tracklet, or a feature is not finite or zero.
    """
    if tracklets.empty:
        raise InputError("there must be at least 1 tracklet to embed, got 0")
    owner, where = _clip_table(tracklets, frames)
    height, width = store.frames.shape[1:3]
    clips = torch.empty((min(batch, len(owner)), frames, 3, height, width))
    total: Tensor | None = None
    for start in tqdm(range(0, len(owner), batch), desc="embed", unit="batch", disable=None, leave=False):
        rows = owner[start : start + batch]
        for slot, positions in enumerate(where[start : start + batch]):
            normalise(store.frames[positions], clips[slot].numpy())
        features = encode(clips[: len(rows)]).double().cpu()
        if total is None:
            total = torch.zeros((len(tracklets), features.shape[1]), dtype=torch.float64)
        total.index_add_(0, torch.from_numpy(rows), features)
    assert total is not None  # a tracklet has at least one clip
    _check(total, tracklets)
    return F.normalize(total, dim=1).float()  # the sum points where the mean points


def _clip_table(tracklets: pd.DataFrame, frames: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For all C clips: the row of their tracklet [C], and the places of their frames in the store [C, T]."""
    owner, where = [], []
    starts, lengths = tracklets["start"].to_numpy(np.int64), tracklets["length"].to_numpy(np.int64)
    for row, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        places = start + consecutive_clips(int(length), frames)
        owner.append(np.full(len(places), row))
        where.append(places)
    return np.concatenate(owner), np.concatenate(where)


def _check(features: Tensor, tracklets: pd.DataFrame) -> None:
    """A direction is needed: refuse rows that hold NaN, an infinity, or zeros alone."""
    broken = ~(features.isfinite().all(dim=1) & features.any(dim=1))
    for row in broken.nonzero().flatten().tolist():
        values = tracklets.iloc[row]
        place = f"tracklet {values['tracklet']} (identity {values['identity']}, camera {values['camera']})"
        shown = features[row, :3].tolist()
        raise InputError(f"{place}: its feature must be finite and not all zero, got {shown} ...")
