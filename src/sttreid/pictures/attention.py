"""Where a network looks: the temporal token's weights of every frame, the spatial token's of every patch.

The weights are computed beside the fused attention, on the clips of the test: consecutive frames, every frame
seen. They are means over layers and heads.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sttreid.model.branches import SpatioTemporalBranch
from sttreid.model.network import Network
from sttreid.runtime.errors import InputError
from sttreid.tracklets.clips import consecutive_clips, normalise
from sttreid.tracklets.store import Store


def temporal(network: Network, store: Store, tracklets: pd.DataFrame, batch: int) -> pd.DataFrame:
    """The temporal token's attention in TT.

    Args:
        network: on any device.
        store: where the frames lie.
        tracklets: rows of ``store.tracklets``.
        batch: clips at once.

    Returns:
        One row a frame: tracklet, identity, place (in the tracklet, from 0), clip (from 0), times (how often
        the frame stands in its clip: a short last clip repeats its own), weight (0 to 1, of all times
        together; those of a clip and ``token`` sum to 1), token (of the temporal token on itself), entropy
        (nats, of the clip's 1 + T weights, the mean over layers and heads) and visibility (0 to 1, NaN where
        the data set does not know it), and heads, the list of the heads' own weights: their mean
        hides a head that looks at one frame alone.

    Raises:
        InputError: the network has no temporal transformer.
    """
    rows = []
    visibility = store.index["visibility"].to_numpy()
    for tracklet, clip, places, weights in _clips(network, _stt(network).temporal, store, tracklets, batch):
        entropy = float(-torch.special.xlogy(weights, weights).sum(-1).mean())
        heads = weights.mean(0).numpy()  # [heads, 1 + T]
        mean = heads.mean(0)
        for place in np.unique(places):
            there = places == place
            rows.append(
                {
                    "tracklet": int(tracklet.tracklet),
                    "identity": int(tracklet.identity),
                    "place": int(place),
                    "clip": clip,
                    "times": int(there.sum()),
                    "weight": float(mean[1:][there].sum()),
                    "heads": heads[:, 1:][:, there].sum(1).tolist(),
                    "token": float(mean[0]),
                    "entropy": entropy,
                    "visibility": float(visibility[int(tracklet.start) + place]),
                }
            )
    return pd.DataFrame(rows)


def spatial(network: Network, store: Store, tracklets: pd.DataFrame, batch: int) -> pd.DataFrame:
    """The spatial token's attention in ST; arguments and errors as :func:`temporal`.

    Returns:
        One row a frame and patch: tracklet, place (in the tracklet, from 0), row and column (in the map, from
        0), weight (0 to 1; those of a frame sum to 1 less what the token gives itself).
    """
    height, width = network.map_size
    row, column = np.divmod(np.arange(height * width), width)
    tables = []
    for tracklet, _, places, maps in _clips(network, _stt(network).spatial, store, tracklets, batch):
        for place, first in zip(*np.unique(places, return_index=True), strict=True):
            weights = maps[int(first)].mean((0, 1))[1:].numpy()  # [N]
            columns = {"tracklet": int(tracklet.tracklet), "place": int(place), "row": row, "column": column}
            tables.append(pd.DataFrame(columns | {"weight": weights}))
    return pd.concat(tables, ignore_index=True)


def occluded(frames: pd.DataFrame, count: int) -> list[int]:
    """The tracklets whose visibility changes most within one clip, at most one an identity.

    There attention has something to choose from; where no visibility is known, the first ones are taken.

    Args:
        frames: of :func:`temporal`.
        count: how many at most.
    """
    ranges = frames.groupby(["identity", "tracklet", "clip"])["visibility"].agg(
        lambda seen: seen.max() - seen.min()
    )
    widest = ranges.fillna(0).groupby(["identity", "tracklet"]).max().reset_index()
    ordered = widest.sort_values(["visibility", "tracklet"], ascending=[False, True], kind="stable")
    return [int(tracklet) for tracklet in ordered.drop_duplicates("identity")["tracklet"].head(count)]


def _stt(network: Network) -> SpatioTemporalBranch:
    """The branch whose attention is shown."""
    if "stt" not in network.branches:
        raise InputError("attention is shown of networks with model.stt only, got one without")
    return cast(SpatioTemporalBranch, network.branches["stt"])


@contextmanager
def _weights(transformer: nn.Module) -> Iterator[list[Tensor]]:
    """While the network runs, ask a transformer for its token's rows and collect them, one a pass."""
    seen: list[Tensor] = []
    hooks = (
        transformer.register_forward_pre_hook(lambda _module, given: (given[0], "first")),
        transformer.register_forward_hook(lambda _module, _given, made: seen.append(made[-1])),
    )
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


@torch.inference_mode()
def _clips(
    network: Network, transformer: nn.Module, store: Store, tracklets: pd.DataFrame, batch: int
) -> Iterator[tuple[Any, int, NDArray[np.int64], Tensor]]:
    """Each clip of each tracklet: the tracklet, the clip's number, its frames' places [T], the token's rows.

    Rows are float64, [layers, heads, 1 + T] of TT and [T, layers, heads, 1 + N] of ST.
    """
    network.eval()
    device = next(network.parameters()).device
    height, width = store.frames.shape[1:3]
    for tracklet in tracklets.itertuples(index=False):
        where = consecutive_clips(int(tracklet.length), network.frames)
        for start in range(0, len(where), batch):
            chosen = where[start : start + batch]
            clips = torch.empty((len(chosen), network.frames, 3, height, width))
            for slot, places in enumerate(chosen):
                normalise(store.frames[int(tracklet.start) + places], clips[slot].numpy())
            with _weights(transformer) as seen:
                network(clips.to(device))
            rows = seen[0].double().cpu()
            if transformer is _stt(network).spatial:
                rows = rows.view(len(chosen), network.frames, *rows.shape[1:])
            for slot, places in enumerate(chosen):
                yield tracklet, start + slot, places, rows[slot]
