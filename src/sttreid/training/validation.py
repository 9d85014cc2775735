"""Looks at a network while it trains: does it fit its training identities, and does it know unseen ones?

A small rank-1 of its own, apart from ``retrieval``: editing a protocol must not retrain a model. The test
split is never read here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sttreid.model.distances import cosine
from sttreid.model.network import Network, Output
from sttreid.tracklets.store import Store

DIGITS = 9  # of a distance: what differs less is a tie, so that rounding noise never decides
Embed = Callable[[Network, Store, pd.DataFrame], Tensor]


def accuracies(network: Network, store: Store, embed: Embed) -> dict[str, float]:
    """What one look gives.

    Returns:
        ``train_rank1`` and ``validation_rank1``: cross-camera rank-1 among the tracklets of a split;
        ``rank1_gap``: the first minus the second; and, where the network has a temporal transformer,
        ``attention_entropy``: of its temporal token's rows, in nats, the mean over layers, heads and the
        validation split's clips (ln(1 + T) where all tokens get the same attention, 0 where one gets all).
    """
    results = {}
    entropies: list[Tensor] = []
    for split in ("train", "validation"):
        tracklets = store.of_split(split)
        with _listening(network, entropies if split == "validation" else []):
            features = embed(network, store, tracklets)
        columns = tracklets[["identity", "camera"]].to_numpy(np.int64)
        identities, cameras = torch.tensor(columns).unbind(1)
        results[f"{split}_rank1"] = rank1(features, identities, cameras)
    results["rank1_gap"] = results["train_rank1"] - results["validation_rank1"]
    if entropies:
        results["attention_entropy"] = float(torch.cat(entropies).mean())
    return results


@contextmanager
def _listening(network: Network, entropies: list[Tensor]) -> Iterator[None]:
    """While the network embeds, collect the entropy of each clip's temporal attention: float64 [B] a batch.

    The weights are computed beside the fused attention, so features keep their bits.
    """

    def ask(_: Any, arguments: tuple[Tensor, ...]) -> tuple[Tensor, str]:
        return arguments[0], "first"

    def note(_: Any, __: Any, output: Output) -> None:
        if output.temporal_attention is not None:
            rows = output.temporal_attention.detach().double().cpu()
            entropies.append(torch.special.entr(rows).sum(-1).mean((1, 2)))

    hooks = network.register_forward_pre_hook(ask), network.register_forward_hook(note)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def rank1(features: Tensor, identities: Tensor, cameras: Tensor) -> float:
    """Share of tracklets whose nearest tracklet of another camera or person is the same person.

    Same identity in the same camera is left out, identities seen by one camera only are no queries, and a tie
    with a wrong tracklet counts as wrong.

    Args:
        features: [G, D].
        identities: int64 [G].
        cameras: int64 [G].

    Returns:
        Between 0 and 1; NaN if no tracklet has a match.
    """
    distances = cosine(features.double(), features.double()).round(decimals=DIGITS)
    same = identities[:, None] == identities[None]
    matches = same & (cameras[:, None] != cameras[None])
    right = distances.masked_fill(~matches, float("inf")).amin(1)
    wrong = distances.masked_fill(same, float("inf")).amin(1)
    return float((right < wrong)[matches.any(1)].double().mean())
