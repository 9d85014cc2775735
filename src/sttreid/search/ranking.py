"""Queries -> ranked answers with probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sttreid.config.evaluation import Rerank
from sttreid.retrieval.features import FeatureRows, Singles
from sttreid.retrieval.rerank import rerank as rerank_features
from sttreid.runtime.errors import InputError
from sttreid.search.answers import Answer, Answers
from sttreid.search.approximate import Index
from sttreid.search.calibration import Calibration
from sttreid.search.gallery import Gallery
from sttreid.search.neighbours import Floats, Integers, Limits, Nearest, nearest, pair_distances

K: Final = 10


@dataclass(frozen=True, eq=False)
class Outsider:
    """A query that is no tracklet of the gallery.

    Attributes:
        name: for the result.
        embedding: [D'] L2-normalised, of the gallery's model.
        strip: a JPEG of its images, or nothing.
    """

    name: str
    embedding: NDArray[np.float32]
    strip: bytes = b""


Query: TypeAlias = int | str | Outsider


def search(
    query: Query | Sequence[Query] | NDArray[np.floating] | None,
    gallery: Gallery,
    k: int = K,
    *,
    cross_camera_only: bool = False,
    rerank: Rerank | None = None,
    calibration: Calibration | None = None,
    index: Index | None = None,
) -> tuple[Answers, ...]:
    """The nearest tracklets of a gallery for each query.

    Args:
        query: rows of the gallery, names of its tracklets (VIDEO:TRACK), queries from outside, or embeddings
            [D'] or [Q, D']; None: every tracklet of the gallery.
        gallery: is searched; a query is never its own answer.
        k: number of answers, fewer where the gallery has fewer.
        cross_camera_only: leave out tracklets of the query's own camera.
        rerank: settings of k-reciprocal re-ranking, which decides the order only; None: none. Queries from
            outside count as further tracklets, so an order depends on which of them are asked together.
        calibration: gives probabilities; None: that of the gallery, if it has one.
        index: of the gallery's embeddings, for an approximate search; None: the search is exact.

    Returns:
        The answers to each query, in the order of the queries; a track of several tracklets has several.

    Raises:
        InputError: the gallery is empty, a query is unknown or not finite, or k is below 1; the calibration
            is of another model; the index is of another number of tracklets, or together with re-ranking.
    """
    if k < 1:
        raise InputError(f"the number of answers must be at least 1, got {k}")
    if index is not None and rerank is not None:
        raise InputError("re-ranking needs all distances: it must not be combined with an index")
    if not len(gallery):
        raise InputError("a gallery that is searched must hold at least 1 tracklet, got none")
    calibration = calibration or gallery.calibration
    if calibration is not None and calibration.model != gallery.model.sha256:
        both = f"{calibration.model[:12]} and {gallery.model.sha256[:12]}"
        raise InputError(f"the calibration must be of the gallery's model, got {both}")
    queries = _resolve(query, gallery)
    if not queries:
        raise InputError("there must be at least 1 query, got 0")
    features = np.stack([_embedding(one, gallery) for one in queries])
    rows = np.array([one if isinstance(one, int) else -1 for one in queries])
    cameras = _codes(gallery.tracklets["camera"])
    excluded = np.where(rows >= 0, cameras[rows], -1) if cross_camera_only else None
    limits = Limits(rows, cameras, excluded)
    if index is not None:
        owner, row, distance = index.nearest(features, gallery.embeddings, limits, k)
    elif rerank is None:
        owner, row, distance = nearest(features, gallery.embeddings, limits, k)
    else:
        owner, row, distance = _reranked(features, gallery.embeddings, limits, k, rerank)
    closest = np.full(len(queries), np.inf)  # re-ranking may move it beyond the last rank
    near = (owner, row, distance) if rerank is None else nearest(features, gallery.embeddings, limits, 1)
    np.minimum.at(closest, near[0], near[2])
    ends = np.searchsorted(owner, np.arange(len(queries) + 1))
    findable = _findable(rows, gallery.tracklets["identity"], cameras if cross_camera_only else None)
    return tuple(
        _answers(
            one,
            features[number],
            gallery,
            calibration,
            (row[first:last], distance[first:last], float(closest[number])),
            count,
            known,
        )
        for number, (one, first, last, count, known) in enumerate(
            zip(queries, ends[:-1], ends[1:], limits.candidates().tolist(), findable, strict=True)
        )
    )


def _findable(rows: Integers, identities: pd.Series, cameras: Integers | None) -> list[bool | None]:
    """Whether a tracklet that may answer has the label of each query; None: the query has none.

    Args:
        rows: [Q] of the queries; -1 of those from outside.
        identities: [G] labels.
        cameras: [G] numbers; None: those of the query's own camera may answer.
    """
    people = _codes(identities)  # -1 without a label
    shown = np.bincount(people + 1)[people + 1]
    if cameras is None:
        others = shown - 1
    else:
        groups = _codes(pd.Series((people + 1) * (cameras.max() + 1) + cameras))
        others = shown - np.bincount(groups)[groups]
    return [None if row < 0 or people[row] < 0 else bool(others[row] > 0) for row in rows.tolist()]


def _reranked(
    features: NDArray[np.floating], embeddings: Singles, limits: Limits, k: int, settings: Rerank
) -> Nearest:
    """As :func:`nearest` in the order of re-ranked distances; the distances are cosine distances."""
    scores = rerank_features(features, embeddings, settings.k1, settings.k2, settings.weight)
    everything = slice(0, len(embeddings))
    limits.mask(scores, slice(0, len(features)), everything, np.inf)
    chosen = np.argsort(scores, axis=1, kind="stable")[:, :k]
    owner, place = np.nonzero(np.isfinite(np.take_along_axis(scores, chosen, axis=1)))
    column = chosen[owner, place]
    queries = FeatureRows("query", features, np.arange(len(features)))
    gallery = FeatureRows("gallery", embeddings, np.arange(len(embeddings)))
    return owner, column, pair_distances(queries, gallery, owner, column)


def _resolve(
    query: Query | Sequence[Query] | NDArray[np.floating] | None, gallery: Gallery
) -> list[int | Outsider]:
    if query is None:
        return list(range(len(gallery)))
    if isinstance(query, np.ndarray) and query.dtype.kind == "f":
        rows = np.atleast_2d(query)
        return [Outsider(f"query {number}", row) for number, row in enumerate(rows, 1)]
    given: Sequence[Any] = [query] if isinstance(query, int | str | Outsider | np.integer) else list(query)
    found: list[int | Outsider] = []
    for one in given:
        if isinstance(one, Outsider):
            found.append(one)
        elif isinstance(one, str):
            found += gallery.find(one)
        elif not 0 <= one < len(gallery):
            raise InputError(f"a query must be a row from 0 to {len(gallery) - 1}, got {one}")
        else:
            found.append(int(one))
    return found


def _embedding(query: int | Outsider, gallery: Gallery) -> NDArray[np.float32]:
    if isinstance(query, int):
        row: NDArray[np.float32] = gallery.embeddings[query]
        return row
    values = np.asarray(query.embedding, np.float32)
    if values.shape != (gallery.model.dimensions,):
        rule = f"an embedding must have the {gallery.model.dimensions} values of the gallery's model"
        raise InputError(f"{query.name}: {rule}, got the shape {values.shape}")
    if not np.isfinite(values).all() or not values.any():
        raise InputError(f"{query.name}: an embedding must be finite and not all 0, got {values[:3]} ...")
    return values


def _answers(
    query: int | Outsider,
    feature: NDArray[np.float32],
    gallery: Gallery,
    calibration: Calibration | None,
    nearest: tuple[Integers, Floats, float],
    candidates: int,
    findable: bool | None,
) -> Answers:
    rows, distances, closest = nearest
    identities = gallery.tracklets["identity"]
    own = identities.iloc[query] if isinstance(query, int) else None
    probability: list[float | None] = [None] * len(rows)
    if calibration is not None:
        probability = calibration.probability(distances, candidates).tolist()
    answers = tuple(
        Answer(rank, row, distance, chance, _correct(own, identities.iloc[row]))
        for rank, (row, distance, chance) in enumerate(
            zip(rows.tolist(), distances.tolist(), probability, strict=True), 1
        )
    )
    here = None if calibration is None else closest <= calibration.threshold
    name, strip = (query, gallery.strip(query)) if isinstance(query, int) else (query.name, query.strip)
    return Answers(name, strip, answers, here, _remarks(feature, calibration), findable)


def _correct(query: object, answer: object) -> bool | None:
    if pd.isna(query) or pd.isna(answer):
        return None
    return bool(query == answer)


def _remarks(feature: NDArray[np.float32], calibration: Calibration | None) -> tuple[str, ...]:
    if calibration is None:
        return ()
    unit = feature.astype(np.float64) / np.linalg.norm(feature.astype(np.float64))
    strangeness = float(calibration.strangeness(unit[None])[0])
    if strangeness <= calibration.limit:
        return ()
    times = strangeness / calibration.limit
    return (
        f"This query looks unlike all tracklets of the calibration ({times:.1f} times as far from their mean"
        " as the farthest of them): do not trust its probabilities.",
    )


def _codes(values: pd.Series) -> Integers:
    return np.asarray(pd.factorize(values)[0], np.int64)
