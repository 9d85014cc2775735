"""A slow evaluator, written from the definitions: query by query, rank by rank."""

from dataclasses import dataclass

import numpy as np
import pytest

from sttreid.retrieval.labels import Labels
from sttreid.retrieval.protocol import Protocol

DIGITS = 9  # similarities that agree in so many decimals are a tie


def cosines(a, b):
    """Cosine similarities in double precision."""
    a, b = (x.astype(np.float64) for x in (a, b))
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    return a @ b.T


@dataclass
class RankedList:
    """One query's gallery from nearest to farthest, after exclusion."""

    hits: list[bool]
    best_wrong: int


def ranked_list(distances, i, query: Labels, gallery: Labels, protocol: Protocol) -> RankedList:
    """Matches are True; of equal distances the negative comes first."""
    entries, negatives = [], []
    for j, distance in enumerate(distances):
        same = query.identity[i] == gallery.identity[j]
        camera = query.camera[i] == gallery.camera[j]
        removed = (
            gallery.junk[j]
            or ("queries" in protocol.gallery and gallery.query[j])
            or ("distractors" in protocol.gallery and gallery.distractor[j])
            or (camera if protocol.excluded == "same camera" else camera and same)
        )
        if not removed:
            entries.append((distance, bool(same)))
            if not same:
                negatives.append((distance, j))
    return RankedList([hit for _, hit in sorted(entries)], min(negatives)[1] if negatives else -1)


def naive(distances, query: Labels, gallery: Labels, protocol: Protocol):
    """mAP, mINP, the CMC, and the number of queries that count; None if no query has a match."""
    rows = []
    any_match = False
    for i, line in enumerate(distances):
        hits = ranked_list(line, i, query, gallery, protocol).hits
        any_match |= any(hits)
        if not any(hits):
            if protocol.unmatched == "zero":
                rows.append([0.0] * 22)
            continue
        count, ap, earlier = 0, 0.0, 1.0
        for rank, hit in enumerate(hits, start=1):
            count += hit
            precision = count / rank
            if hit:
                step = protocol.average_precision == "non-interpolated"
                ap += (precision if step else (earlier + precision) / 2) / sum(hits)
            earlier = precision
        last = max(rank for rank, hit in enumerate(hits, start=1) if hit)
        rows.append([ap, sum(hits) / last, *(float(any(hits[:k])) for k in range(1, 21))])
    return (np.mean(rows, axis=0), len(rows)) if any_match else None


@dataclass
class Problem:
    """Features and labels of both sides."""

    query_features: np.ndarray
    gallery_features: np.ndarray
    query: Labels
    gallery: Labels

    @property
    def distances(self):
        """[Q, G] rounded so that what is equal compares equal."""
        return np.round(1 - cosines(self.query_features, self.gallery_features), DIGITS)


def problem(seed, queries=30, gallery=80, width=6, identities=9, cameras=4, levels=1000, junk=0.1):
    """Random rows with ties (few ``levels``), junk, distractors, and queries in the gallery."""
    rng = np.random.default_rng(seed)
    features = rng.integers(-levels, levels + 1, (queries + gallery, width)) + 0.5
    features = features.astype(rng.choice([np.float32, np.float64]))
    copies = rng.random(gallery) < 0.2  # rows that are equal to others
    features[queries:][copies] = features[rng.integers(0, queries + gallery, copies.sum())]
    identity = rng.integers(0, identities, queries + gallery)
    camera = rng.integers(0, cameras, queries + gallery)
    first_distractor = max(identities - 2, 1)
    gallery_labels = Labels(
        identity[queries:],
        camera[queries:],
        query=rng.random(gallery) < 0.2,
        distractor=identity[queries:] >= first_distractor,
        junk=rng.random(gallery) < junk,
    )
    query_labels = Labels(identity[:queries] % first_distractor, camera[:queries])
    return Problem(features[:queries], features[queries:], query_labels, gallery_labels)


@pytest.fixture
def crowd():
    """A larger problem without ties, in which every query has a match."""
    rng = np.random.default_rng(11)
    identity, camera = np.repeat(np.arange(40), 12), np.tile(np.arange(4), 120)
    features = rng.standard_normal((40, 32))[identity] + 1.5 * rng.standard_normal((480, 32))
    labels = Labels(identity, camera)
    rows = np.arange(0, 480, 5)
    return Problem(features[rows].astype(np.float32), features.astype(np.float32), labels.take(rows), labels)
