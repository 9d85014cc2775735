"""Queries -> the nearest tracklets of a gallery: exact, in bounded memory.

Similarities are computed in single precision, block by block, as the evaluator computes them. What is within
the rounding error of the last place is kept, and double precision decides the order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sttreid.config.params import Rerank
from sttreid.retrieval.counting import rounding_bound
from sttreid.retrieval.features import FeatureRows, Singles, cosines
from sttreid.retrieval.rerank import rerank as rerank_features
from sttreid.runtime.errors import InputError
from sttreid.search.answers import Answer, Answers
from sttreid.search.calibration import Calibration
from sttreid.search.gallery import Gallery

QUERIES: Final = 256  # queries, and ...
TILE: Final = 4096  # ... gallery tracklets whose similarities are computed at once
K: Final = 10

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Nearest = tuple[Integers, Integers, Floats]  # query, row and distance of each answer, in order


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
) -> tuple[Answers, ...]:
    """The nearest tracklets of a gallery for each query.

    Args:
        query: rows of the gallery, names of its tracklets (VIDEO:TRACK), queries from outside, or embeddings
            [D'] or [Q, D']; None: every tracklet of the gallery.
        gallery: is searched; a query is never its own answer.
        k: number of answers, fewer where the gallery has fewer.
        cross_camera_only: leave out tracklets of the query's own camera.
        rerank: settings of k-reciprocal re-ranking, which decides the order only; None: none.
        calibration: gives probabilities; None: that of the gallery, if it has one.

    Returns:
        The answers to each query, in the order of the queries; a track of several tracklets has several.

    Raises:
        InputError: the gallery is empty, a query is unknown or not finite, or k is below 1; the calibration
            is of another model.
    """
    if k < 1:
        raise InputError(f"the number of answers must be at least 1, got {k}")
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
    if rerank is None:
        owner, row, distance = nearest(features, gallery.embeddings, limits, k)
    else:
        owner, row, distance = _reranked(features, gallery.embeddings, limits, k, rerank)
    ends = np.searchsorted(owner, np.arange(len(queries) + 1))
    return tuple(
        _answers(one, features[number], gallery, calibration, row[first:last], distance[first:last])
        for number, (one, first, last) in enumerate(zip(queries, ends[:-1], ends[1:], strict=True))
    )


@dataclass(frozen=True, eq=False)
class Limits:
    """Which gallery rows may answer a query.

    Attributes:
        rows: [Q] the query's own row of the gallery, which never answers; -1 where it has none.
        cameras: [G] numbers of the gallery's cameras.
        excluded: [Q] number of the camera that may not answer either; None: all may.
    """

    rows: Integers
    cameras: Integers
    excluded: Integers | None = None

    def mask(self, tile: NDArray[np.floating], queries: slice, columns: slice, value: float) -> None:
        """Overwrite what may not answer in the values of a block of queries and columns."""
        rows = self.rows[queries] - columns.start
        lines = np.flatnonzero((rows >= 0) & (rows < columns.stop - columns.start))
        tile[lines, rows[lines]] = value
        if self.excluded is not None:
            tile[self.excluded[queries, None] == self.cameras[None, columns]] = value


def nearest(features: NDArray[np.floating], embeddings: Singles, limits: Limits, k: int) -> Nearest:
    """The k nearest rows of each query by cosine distance; at equal distances the earlier row is first.

    Memory: a block of queries and tracklets, their similarities, and few more candidates than k per query.
    """
    gallery = FeatureRows("gallery", embeddings, np.arange(len(embeddings)))
    queries = FeatureRows("query", features, np.arange(len(features)))
    parts = []
    for start in range(0, len(features), QUERIES):
        block = slice(start, min(start + QUERIES, len(features)))
        owner, column = _candidates(queries, gallery, block, limits, k)
        distance = 1 - cosines(queries, gallery, owner, column)
        order = np.lexsort((column, distance, owner))
        owner, column, distance = owner[order], column[order], distance[order]
        kept = _place(owner) < k
        parts.append((owner[kept], column[kept], distance[kept]))
    owners, columns, distances = (np.concatenate(part) for part in zip(*parts, strict=True))
    return owners, columns, distances


def _candidates(
    queries: FeatureRows, gallery: FeatureRows, block: slice, limits: Limits, k: int
) -> tuple[Integers, Integers]:
    """Queries of a block and gallery rows, among them the k nearest of each query whatever the rounding."""
    bound = 2 * rounding_bound(queries.width)
    units = queries.unit32(np.arange(block.start, block.stop))
    owner, column = np.zeros(0, np.int64), np.zeros(0, np.int64)
    similarity = np.zeros(0, np.float32)
    least = np.full(len(units), -np.inf)
    for start in range(0, len(gallery.rows), TILE):
        columns = slice(start, min(start + TILE, len(gallery.rows)))
        tile = units @ gallery.unit32(np.arange(columns.start, columns.stop)).T
        limits.mask(tile, block, columns, -np.inf)
        if tile.shape[1] > k:  # a tile by itself limits what can be among the k nearest
            kth = np.partition(tile, -k, axis=1)[:, -k].astype(np.float64)
            least = np.maximum(least, kth - bound)
        line, offset = np.nonzero((tile >= least[:, None]) & (tile > -np.inf))
        owner = np.concatenate([owner, line])
        column = np.concatenate([column, offset + start])
        similarity = np.concatenate([similarity, tile[line, offset]])
        order = np.lexsort((-similarity, owner))
        owner, column, similarity = owner[order], column[order], similarity[order]
        last = np.flatnonzero(_place(owner) == k - 1)
        least[owner[last]] = np.maximum(least[owner[last]], similarity[last] - bound)
        kept = similarity >= least[owner]
        owner, column, similarity = owner[kept], column[kept], similarity[kept]
    return owner + block.start, column


def _place(owner: Integers) -> Integers:
    """The place of each entry among those of its owner, from 0; owners ascend."""
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    return np.arange(len(owner)) - np.repeat(starts, np.diff(starts, append=len(owner)))


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
    return owner, column, 1 - cosines(queries, gallery, owner, column)


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
    rows: Integers,
    distances: Floats,
) -> Answers:
    identities = gallery.tracklets["identity"]
    own = identities.iloc[query] if isinstance(query, int) else None
    probability = [None] * len(rows) if calibration is None else calibration.probability(distances).tolist()
    answers = tuple(
        Answer(rank, row, distance, chance, _correct(own, identities.iloc[row]))
        for rank, (row, distance, chance) in enumerate(
            zip(rows.tolist(), distances.tolist(), probability, strict=True), 1
        )
    )
    here = None
    if calibration is not None:
        here = bool(len(distances)) and bool(distances.min() <= calibration.threshold)
    name, strip = (query, gallery.strip(query)) if isinstance(query, int) else (query.name, query.strip)
    return Answers(name, strip, answers, here, _remarks(feature, calibration))


def _correct(query: object, answer: object) -> bool | None:
    if pd.isna(query) or pd.isna(answer):
        return None
    return bool(query == answer)


def _remarks(feature: NDArray[np.float32], calibration: Calibration | None) -> tuple[str, ...]:
    if calibration is None:
        return ()
    strangeness = float(calibration.strangeness(feature[None])[0])
    if strangeness <= calibration.limit:
        return ()
    times = strangeness / calibration.limit
    return (
        f"This query looks unlike all tracklets of the calibration ({times:.1f} times as far from their mean"
        " as the farthest of them): do not trust its probabilities.",
    )


def _codes(values: pd.Series) -> Integers:
    return np.asarray(pd.factorize(values)[0], np.int64)
