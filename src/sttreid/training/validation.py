"""Validation during training: cross-camera rank-1 on training identities and on validation identities.

It does not use the evaluator, so a change of an evaluation protocol retrains no model. It never reads the
test split.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sttreid.embedding import embed_tracklets
from sttreid.model.distances import cosine
from sttreid.model.network import Network, Output
from sttreid.tracklets.store import Store

DIGITS = 9  # of a distance: smaller differences are ties, so that rounding errors never decide


def validate(network: Network, store: Store, embed_batch: int) -> dict[str, float]:
    """Rank-1 of a network on two splits, and the entropy of its temporal attention.

    Args:
        network: in evaluation mode.
        store: with the splits "train" and "validation".
        embed_batch: clips that are embedded at once.

    Returns:
        ``train_rank1`` and ``validation_rank1``: cross-camera rank-1 among the tracklets of a split;
        ``rank1_gap``: their difference; and, where the network has a temporal transformer,
        ``attention_entropy`` in nats, of its class token: the mean over layers, heads and the clips of the
        validation split (ln(1 + T) for uniform attention, 0 for attention on a single token).
    """
    results = {}
    entropies: list[Tensor] = []
    for split in ("train", "validation"):
        tracklets = store.of_split(split)
        with _collect_entropies(network, entropies if split == "validation" else []):
            features = embed_tracklets(network, store, tracklets, embed_batch)
        columns = tracklets[["identity", "camera"]].to_numpy(np.int64)
        identities, cameras = torch.tensor(columns).unbind(1)
        results[f"{split}_rank1"] = rank1(features, identities, cameras)
    results["rank1_gap"] = results["train_rank1"] - results["validation_rank1"]
    if entropies:
        results["attention_entropy"] = float(torch.cat(entropies).mean())
    return results


@contextmanager
def _collect_entropies(network: Network, entropies: list[Tensor]) -> Iterator[None]:
    """Append the entropy of each clip's temporal attention while the network embeds: float64 [B] per batch.

    The attention is computed in addition to the fused kernel, so features do not change.
    """

    def request_rows(_: Any, arguments: tuple[Tensor, ...]) -> tuple[Tensor, str]:
        return arguments[0], "first"

    def collect(_: Any, __: Any, output: Output) -> None:
        for branch in output.branches.values():
            if branch.attention is not None:
                rows = branch.attention.detach().double().cpu()
                entropies.append(torch.special.entr(rows).sum(-1).mean((1, 2)))

    hooks = network.register_forward_pre_hook(request_rows), network.register_forward_hook(collect)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def rank1(features: Tensor, identities: Tensor, cameras: Tensor) -> float:
    """Cross-camera rank-1, where every tracklet is a query against all others.

    Same-identity same-camera pairs are ignored. Single-camera identities are never queries. A tie between a
    match and a false positive counts as an error.

    Args:
        features: [G, D].
        identities: int64 [G].
        cameras: int64 [G].

    Returns:
        Between 0 and 1; NaN if no query has a match.
    """
    distances = cosine(features.double(), features.double()).round(decimals=DIGITS)
    same = identities[:, None] == identities[None]
    matches = same & (cameras[:, None] != cameras[None])
    nearest_match = distances.masked_fill(~matches, float("inf")).amin(1)
    nearest_other = distances.masked_fill(same, float("inf")).amin(1)
    return float((nearest_match < nearest_other)[matches.any(1)].double().mean())
