"""Ranking -> result: the per-query table, the cumulative matching characteristic and all metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sttreid.retrieval.labels import Candidates, Labels, Mask
from sttreid.retrieval.metrics import METRICS, counted
from sttreid.retrieval.protocol import Protocol
from sttreid.retrieval.ranking import Ranking
from sttreid.runtime.errors import InputError

CMC_RANKS: Final = 20
COUNTS: Final = ("queries", "unmatched", "gallery", "distractors", "left_out", "junk")
UNMATCHED: Final = {"drop": "left out of all means", "zero": "scored 0"}


@dataclass(frozen=True)
class Result:
    """Result of an evaluation. Rates are fractions from 0 to 1, and all means are over the same queries.

    Attributes:
        protocol: the protocol.
        metrics: name -> value of each of :data:`sttreid.retrieval.metrics.METRICS`.
        cmc: share of the queries with a match at rank 1, 2, ... 20 or before; a rank beyond the end of a
            small gallery means the whole gallery.
        queries: number of queries that count: the denominator of all means.
        unmatched: number of queries without a match; the protocol says whether they count.
        gallery: number of ranked gallery tracklets, before exclusions of single queries.
        distractors: how many of these are distractors.
        left_out: number of gallery tracklets that the protocol removes for all queries.
        junk: number of junk tracklets in the gallery.
        tie: distances that differ by no more than this are tied.
        per_query: one row per query, unmatched ones included: query (its row), identity, camera, matches,
            wrong (number of negatives), first_hit (rank of the first match, 0 without one), ap and inp (NaN
            where the query does not count), best_match and best_wrong (gallery rows of the nearest match and
            of the nearest negative, -1 for none), best_match_distance and best_wrong_distance.
    """

    protocol: Protocol
    metrics: Mapping[str, float]
    cmc: tuple[float, ...]
    queries: int
    unmatched: int
    gallery: int
    distractors: int
    left_out: int
    junk: int
    tie: float
    per_query: pd.DataFrame = field(repr=False, compare=False)

    @property
    def rank1(self) -> float:
        """Share of the queries whose nearest gallery entry is a match."""
        return self.metrics["rank1"]

    @property
    def mAP(self) -> float:  # noqa: N802 - the metric's name
        """Mean of the queries' average precisions."""
        return self.metrics["mAP"]

    @property
    def mINP(self) -> float:  # noqa: N802
        """Mean of (number of matches / rank of the last match)."""
        return self.metrics["mINP"]

    def numbers(self) -> dict[str, float | int]:
        """The metrics and counts, for a results file."""
        return {**self.metrics, **{name: getattr(self, name) for name in COUNTS}}

    def __str__(self) -> str:
        """Two lines: the metrics, and everything that they depend on."""
        values = ", ".join(f"{each.label} {each.text(self.metrics[each.name], 2)}" for each in METRICS)
        protocol = self.protocol
        return (
            f"{values}\n"
            f"protocol {protocol.name}: {self.queries} queries counted, {self.unmatched} without a match"
            f" {UNMATCHED[protocol.unmatched]}; gallery {self.gallery} ({protocol.gallery}), of these"
            f" {self.distractors} distractors; {self.left_out} left out by the protocol, {self.junk} junk"
            f" removed; {protocol.average_precision} average precision; excluded: {protocol.excluded}; ties"
            f" within {self.tie:g}: {protocol.ties}"
        )


def score(ranking: Ranking, candidates: Candidates, query: Labels, protocol: Protocol, tie: float) -> Result:
    """Turn a ranking into the metrics.

    Raises:
        InputError: no query has a match.
    """
    table = _per_query(ranking, candidates, query, protocol)
    matched = int((table["matches"] > 0).sum())
    if not matched:
        raise InputError(
            f"protocol {protocol.name}: none of the {len(table)} queries has a match in another camera"
        )
    first = counted(table)["first_hit"].to_numpy()
    hits = np.bincount(first.clip(max=CMC_RANKS + 1), minlength=CMC_RANKS + 2)[1 : CMC_RANKS + 1]
    return Result(
        protocol=protocol,
        metrics={metric.name: metric.mean(table) for metric in METRICS},
        cmc=tuple((hits.cumsum() / len(first)).tolist()),
        queries=len(first),
        unmatched=len(table) - matched,
        gallery=len(candidates.rows),
        distractors=candidates.distractors,
        left_out=candidates.left_out,
        junk=candidates.junk,
        tie=tie,
        per_query=table,
    )


def _per_query(ranking: Ranking, candidates: Candidates, query: Labels, protocol: Protocol) -> pd.DataFrame:
    matches = candidates.matches
    ends = np.cumsum(matches)
    number = np.arange(len(ranking.above)) - (ends - matches)[ranking.query] + 1  # 1, 2, ... in each query
    rank = ranking.above + number
    precision = number / rank
    if protocol.average_precision == "trapezoid":  # the mean with the precision one rank earlier
        earlier = np.where(rank > 1, (number - 1) / np.maximum(rank - 1, 1), 1.0)
        precision = (earlier + precision) / 2
    matched = matches > 0
    first, last = (ends - matches)[matched], ends[matched] - 1
    unmatched = np.nan if protocol.unmatched == "drop" else 0.0
    ap = np.bincount(ranking.query, precision, len(matches))[matched] / matches[matched]
    columns = {
        "query": np.arange(len(matches)),
        "identity": query.identity,
        "camera": query.camera,
        "matches": matches,
        "wrong": candidates.negatives,
        "first_hit": _filled(matched, rank[first], 0),
        "ap": _filled(matched, ap, unmatched),
        "inp": _filled(matched, matches[matched] / rank[last], unmatched),
        "best_match": _filled(matched, ranking.match[first], -1),
        "best_match_distance": _filled(matched, ranking.distance[first], np.nan),
        "best_wrong": ranking.best_wrong,
        "best_wrong_distance": ranking.best_wrong_distance,
    }
    return pd.DataFrame(columns)


def _filled(where: Mask, values: NDArray[np.generic], otherwise: float) -> NDArray[np.generic]:
    """[N] the values, in their order, where the mask is true; ``otherwise`` elsewhere."""
    out = np.full(len(where), otherwise, dtype=values.dtype)
    out[where] = values
    return out
