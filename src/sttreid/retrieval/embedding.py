"""Tracklets -> one feature each: every frame is seen, in clips, and the clips' features are averaged."""

from collections.abc import Callable
from typing import Literal

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
Precision = Literal["fp32", "bf16"]


def embed_tracklets(
    network: Network, store: Store, tracklets: pd.DataFrame, batch: int, precision: Precision = "fp32"
) -> Tensor:
    """Embed with a network, on the device where it lies; see :func:`embed`.

    ``"bf16"`` lets CUDA compute in bfloat16; a CPU, on which that is slow, keeps to single precision.
    """
    network.eval()
    device = next(network.parameters()).device
    half = precision == "bf16" and device.type == "cuda"

    def encode(clips: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            return network.encode(clips.to(device))

    return embed(encode, store, tracklets, network.frames, batch)


@torch.inference_mode()
def embed(encode: Encoder, store: Store, tracklets: pd.DataFrame, frames: int, batch: int) -> Tensor:
    """One feature a tracklet: the mean over its clips of consecutive frames, L2-normalised.

    Clips of several tracklets share a batch. Tracklets are taken by length, the longest first, so that one
    is finished before the next but one begins: beside the result, memory holds one batch, however long the
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
    order = np.argsort(-tracklets["length"].to_numpy(np.int64), kind="stable")
    ordered = tracklets.iloc[order]
    owner, where = _clip_table(ordered, frames)
    height, width = store.frames.shape[1:3]
    clips = torch.empty((min(batch, len(owner)), frames, 3, height, width))
    out, rest = torch.empty(0), torch.empty(0)  # features that are done; the sum so far of the last tracklet
    for start in tqdm(range(0, len(owner), batch), desc="embed", unit="batch", disable=None, leave=False):
        rows = torch.from_numpy(owner[start : start + batch])
        for slot, positions in enumerate(where[start : start + batch]):
            normalise(store.frames[positions], clips[slot].numpy())
        features = encode(clips[: len(rows)]).double().cpu()
        first, last = int(rows[0]), int(rows[-1])
        sums = torch.zeros((last - first + 1, features.shape[1]), dtype=torch.float64)
        if start == 0:
            out = torch.empty((len(order), features.shape[1]))
        elif owner[start - 1] == first:
            sums[0] = rest
        sums.index_add_(0, rows - first, features)
        rest = sums[-1]
        done = len(sums) - (owner[start + batch :][:1] == last).sum()  # the last one may go on
        _check(sums[:done], ordered.iloc[first : first + done])
        out[order[first : last + 1]] = F.normalize(
            sums, dim=1
        ).float()  # the sum points where the mean points
    return out


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
