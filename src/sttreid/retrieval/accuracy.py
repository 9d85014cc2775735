"""Stores -> scores: what the stages ask of a network, or of a colour histogram, on the test split."""

from sttreid.data.store import Store
from sttreid.model.network import Network
from sttreid.retrieval.embedding import embed_tracklets
from sttreid.retrieval.evaluation import asking, score, score_similarities
from sttreid.retrieval.histogram import histograms, similarity
from sttreid.retrieval.metrics import Result
from sttreid.retrieval.protocol import Protocol


def score_network(network: Network, store: Store, batch: int, rules: Protocol) -> Result:
    """Embed a test's gallery with a network, ``batch`` clips at once, and score it by a protocol."""
    gallery = store.gallery()
    return score(embed_tracklets(network, store, gallery, batch), gallery, rules)


def score_histogram(store: Store, equalised: bool, rules: Protocol) -> Result:
    """As :func:`score_network`, for a colour histogram, plain or equalised."""
    gallery = store.gallery()
    features = histograms(store, gallery, equalised).double()  # so that rounding noise stays below a tie
    return score_similarities(similarity(features[asking(gallery)], features), gallery, rules)
