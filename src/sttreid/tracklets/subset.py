"""Fewer people to learn from: learning curves, and how much synthetic data pays."""

from dataclasses import replace

import numpy as np

from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import Store

ORDER = 5  # random stream of the draw, beside those of batches and dropout


def training_subset(store: Store, identities: int | None, seed: int) -> Store:
    """The same store with only so many of its training identities; other splits stay whole.

    They are the first ones of an order that the seed draws: of one seed, fewer are always among more, and
    another seed draws others, so that a spread over seeds holds that of the people as well.

    Args:
        store: with a split "train".
        identities: how many train; None for all of them.
        seed: of the run.

    Raises:
        InputError: there are fewer.
    """
    if identities is None:
        return store
    known = np.unique(store.of_split("train")["identity"].to_numpy())
    if identities > len(known):
        raise InputError(
            f"identities to train on must be at most the {len(known)} of the training split, got {identities}"
        )
    chosen = np.random.default_rng([seed, ORDER]).permutation(known)[:identities]
    table = store.tracklets
    kept = (table["split"] != "train") | table["identity"].isin(chosen)
    return replace(store, tracklets=table[kept].reset_index(drop=True))
