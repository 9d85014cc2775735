"""Tracklets -> one feature each: the mean of the features of all clips of consecutive frames."""

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from sttreid.model.network import Network
from sttreid.runtime import numerics
from sttreid.runtime.errors import InputError
from sttreid.tracklets.clips import consecutive_clips, normalise
from sttreid.tracklets.store import Store

ROUNDING = 1e-6  # relative rounding error of float32 sums, with a margin

Encoder = Callable[[Tensor], Tensor]
Precision = Literal["fp32", "bf16"]


def encoder(network: Network, precision: Precision = "fp32", *, flip: bool = False) -> Encoder:
    """The function that maps clips to features, on the network's device.

    Args:
        network: is set to evaluation mode.
        precision: of the network's matrix products. With ``"bf16"``, CUDA computes in bfloat16 and a CPU in
            float32, because bfloat16 is slow there. With ``"fp32"``, CUDA computes in float32 too, without
            TensorFloat-32 in convolutions.
        flip: a feature is the sum of those of the clip and of its mirror image, which :func:`embed`
            normalises. It costs twice the time.

    Returns:
        [B, T, 3, H, W] normalised float32 clips -> [B, D] features of any norm.
    """
    network.eval()
    device = next(network.parameters()).device
    half = precision == "bf16" and device.type == "cuda"

    def encode(clips: Tensor) -> Tensor:
        with numerics.full_precision(), torch.autocast(device.type, torch.bfloat16, enabled=half):
            here = clips.to(device)
            features = network.encode(here)
            return features + network.encode(here.flip(-1)) if flip else features

    return encode


def embed_tracklets(
    network: Network,
    store: Store,
    tracklets: pd.DataFrame,
    batch: int,
    precision: Precision = "fp32",
    *,
    flip: bool = False,
) -> Tensor:
    """Embed tracklets with a network, on its device; see :func:`encoder` and :func:`embed`.

    Args:
        network: is set to evaluation mode.
        store: holds the frames.
        tracklets: G >= 1 rows of ``store.tracklets``.
        batch: B, number of clips embedded at once.
        precision: of the network's matrix products.
        flip: whether the mirror image of each clip is embedded too.

    Returns:
        [G, D] float32 L2-normalised rows, on the CPU.

    Raises:
        InputError: as :func:`embed`.
    """
    return embed(encoder(network, precision, flip=flip), store, tracklets, network.frames, batch)


@torch.inference_mode()
def embed(encode: Encoder, store: Store, tracklets: pd.DataFrame, frames: int, batch: int) -> Tensor:
    """One feature per tracklet: the mean over its clips of consecutive frames, L2-normalised.

    Clips of several tracklets share a batch; the longest tracklets come first. Memory holds the result [G,
    D], a few numbers per tracklet, one batch of clips, its features, and their sums in float64, whatever the
    lengths of the tracklets.

    Args:
        encode: [B, T, 3, H, W] normalised float32 clips -> [B, D] features of any norm; a network must be in
            evaluation mode.
        store: holds the frames.
        tracklets: G >= 1 rows of ``store.tracklets``.
        frames: T, frames of a clip.
        batch: B, clips at once; the last batch may be smaller.

    Returns:
        [G, D] float32 L2-normalised rows, on the CPU, in inference mode: clone them to change them.

    Raises:
        InputError: there is no tracklet; or a tracklet's feature is not finite, is zero, or is only rounding
            error because the features of its clips cancel (the error names the tracklet).
    """
    if tracklets.empty:
        raise InputError("there must be at least 1 tracklet to embed, got 0")
    order = np.argsort(-tracklets["length"].to_numpy(np.int64), kind="stable")
    ordered = tracklets.iloc[order]
    most = min(batch, int((-(-ordered["length"] // frames)).sum()))
    clips = torch.empty((most, frames, 3, *store.frames.shape[1:3]))
    out, rest, first = torch.empty(0), torch.empty((0, 1)), 0  # rest: the sum so far of tracklet ``first``
    for owner, rows, done in _batches(ordered, frames, batch):
        for slot, clip_rows in enumerate(rows):
            normalise(store.frames[clip_rows], clips[slot].numpy())
        features = _with_length(encode(clips[: len(owner)]).double().cpu())
        if not len(out):
            out = torch.empty((len(order), features.shape[1] - 1))
        sums = torch.zeros((int(owner[-1]) + 1 - first, features.shape[1]), dtype=torch.float64)
        sums[: len(rest)] = rest
        sums.index_add_(0, torch.from_numpy(owner - first), features)
        out[order[first:done]] = _directions(sums[: done - first], ordered.iloc[first:done])
        rest, first = sums[done - first :], done
    return out


def _batches(
    tracklets: pd.DataFrame, frames: int, batch: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], int]]:
    """The batches, one at a time; clip numbers run through all tracklets.

    Yields the row of each clip's tracklet [B], the rows of its frames in the store [B, T], and the number of
    tracklets that are complete after this batch.
    """
    starts, lengths = tracklets["start"].to_numpy(np.int64), tracklets["length"].to_numpy(np.int64)
    counts = -(-lengths // frames)
    ends = np.cumsum(counts)
    total = int(ends[-1])
    for first in tqdm(range(0, total, batch), desc="embed", unit="batch", disable=None, leave=False):
        number = np.arange(first, min(first + batch, total))
        owner = np.searchsorted(ends, number, side="right")
        skipped = frames * (number - (ends - counts)[owner])  # frames of the tracklet before the clip
        rows = [
            start + consecutive_clips(int(left), frames)[0]
            for start, left in zip(
                starts[owner] + skipped, np.minimum(lengths[owner] - skipped, frames), strict=True
            )
        ]
        yield owner, np.array(rows), int(np.searchsorted(ends, number[-1] + 1, side="right"))


def _with_length(features: Tensor) -> Tensor:
    """[B, D + 1]: features and, in the last column, their norms."""
    return torch.cat([features, features.norm(dim=1, keepdim=True)], dim=1)


def _directions(sums: Tensor, tracklets: pd.DataFrame) -> Tensor:
    """L2-normalised rows, float32, from sums of :func:`_with_length`: a sum has the direction of the mean.

    A sum whose norm is far below the summed norms of its parts is the rounding error of clips that cancel:
    its direction is arbitrary.
    """
    vectors, lengths = sums[:, :-1], sums[:, -1]
    norms = vectors.norm(dim=1)
    invalid = ~(norms > ROUNDING * lengths)  # also true for NaN, infinities and zeros
    for row in invalid.nonzero().flatten().tolist():
        values = tracklets.iloc[row]
        name = f"tracklet {values['tracklet']} (identity {values['identity']}, camera {values['camera']})"
        rule = "its feature must be finite and not all zero, nor may those of its clips cancel"
        raise InputError(f"{name}: {rule}, got {vectors[row, :3].tolist()} ...")
    directions: Tensor = vectors / norms[:, None]
    return directions.float()
