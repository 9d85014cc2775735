"""Features -> a map of two dimensions, and how much data sets keep apart in the space that it flattens."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

NEAR = 10  # neighbours that are asked where they come from

Floats = NDArray[np.floating]


def drawn(tracklets: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """At most ``count`` tracklets, drawn at random without repetition, in their own order."""
    rng = np.random.default_rng([seed, len(tracklets)])
    rows = np.sort(rng.permutation(len(tracklets))[:count])
    return tracklets.iloc[rows].reset_index(drop=True)


def project(features: Floats, perplexity: float, seed: int) -> Floats:
    """t-SNE of cosine distances (van der Maaten and Hinton, JMLR 9, 2008), begun from principal components.

    One thread, so that equal features give equal coordinates on one kind of processor.

    Args:
        features: [N, D] rows of length 1, N at least 3.
        perplexity: neighbours that a point holds on to; lowered where there are too few points.
        seed: of the projection.

    Returns:
        [N, 2] between -1 and 1. Who is near whom means something; sizes and gaps of groups do not.
    """
    fitting = max(1.0, min(perplexity, (len(features) - 1) / 3))
    tsne = TSNE(2, perplexity=fitting, metric="euclidean", init="pca", random_state=seed, n_jobs=1)
    with threadpool_limits(1):
        places: Floats = tsne.fit_transform(features)
    places = places - (places.max(axis=0) + places.min(axis=0)) / 2
    return places / max(float(np.abs(places).max()), 1e-12)


def own_share(features: Floats, groups: NDArray[np.str_]) -> Floats:
    """Of each row's ten nearest others, the share of its own group; of equally near ones the first count.

    Args:
        features: [N, D] rows of length 1.
        groups: [N].

    Returns:
        [N] between 0 and 1. Where groups of equal size mix fully, the mean is about 1 / their number.
    """
    similar = features @ features.T
    np.fill_diagonal(similar, -np.inf)
    near = np.argsort(-similar, axis=1, kind="stable")[:, : min(NEAR, len(features) - 1)]
    shares: Floats = (groups[near] == groups[:, None]).mean(axis=1)
    return shares
