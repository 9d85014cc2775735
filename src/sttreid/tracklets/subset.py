"""Subsets of the training identities, for learning curves over real and synthetic identities."""

from dataclasses import replace

import numpy as np

from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import Store

ORDER = 5  # random stream of the order of identities; batches and dropout have separate streams


def training_subset(store: Store, identities: int | None, seed: int) -> Store:
    """The same store with fewer training identities; the other splits do not change.

    The seed shuffles the identities, and the first ones are taken. Subsets of one seed are nested; different
    seeds choose different identities, so the spread over seeds includes this choice.

    Args:
        store: with a split "train".
        identities: number of training identities; None: all of them.
        seed: seed of the run.

    Raises:
        InputError: the training split has fewer.
    """
    if identities is None:
        return store
    available = np.unique(store.of_split("train")["identity"].to_numpy())
    if identities > len(available):
        rule = f"training identities must be at most the {len(available)} of the training split"
        raise InputError(f"params.yaml: {rule}, got {identities}")
    chosen = np.random.default_rng([seed, ORDER]).permutation(available)[:identities]
    table = store.tracklets
    selected = (table["split"] != "train") | table["identity"].isin(chosen)
    return replace(store, tracklets=table[selected].reset_index(drop=True))
