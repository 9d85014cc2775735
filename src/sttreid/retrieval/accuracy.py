"""Stores -> scores: what the stages ask of a network, or of a colour histogram, on one split."""

from sttreid.data.store import Store
from sttreid.model.network import Network
from sttreid.retrieval.embedding import embed_tracklets
from sttreid.retrieval.evaluation import score, score_similarities
from sttreid.retrieval.histogram import histograms, similarity
from sttreid.retrieval.metrics import Result
from sttreid.retrieval.protocol import Protocol


def score_network(network: Network, store: Store, split: str, batch: int, rules: Protocol) -> Result:
    """Embed a split's tracklets with a network, ``batch`` clips at once, and score them by a protocol."""
    tracklets = store.of_split(split)
    return score(embed_tracklets(network, store, tracklets, batch), tracklets, rules)


def score_histogram(store: Store, split: str, equalised: bool, rules: Protocol) -> Result:
    """As :func:`score_network`, for a colour histogram, plain or equalised."""
    tracklets = store.of_split(split)
    features = histograms(store, tracklets, equalised)
    return score_similarities(similarity(features, features), tracklets, rules)
