"""Ranking -> result: cumulative matching characteristic and the means of all metrics."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sttreid.retrieval.labels import Labels, Pairs
from sttreid.retrieval.protocol import Protocol
from sttreid.retrieval.ranks import Ranks
from sttreid.runtime.errors import InputError

CMC = 20  # ranks of the curve
TOLD = {"drop": "left out of all means", "zero": "scored 0"}


@dataclass(frozen=True)
class Result:
    """One evaluation. Rates are fractions between 0 and 1, all means over the same queries.

    Attributes:
        protocol: what was followed.
        cmc: share of the queries with a match at rank 1, 2, ... 20 or before; a rank past the end of a small
            gallery asks about the whole gallery.
        mAP: mean of the average precisions.
        mINP: mean of matches / rank of the last match (Ye et al., 2022, arXiv 2001.04193, section 4.1).
        queries: how many queries count: the one denominator.
        unmatched: how many queries nothing in the gallery matches; the protocol says what becomes of them.
        gallery: how many tracklets answer, before anything is excluded for a single query.
        distractors: how many of these belong to people whom no query asks for.
        left_out: how many tracklets of the gallery the protocol takes away from everybody.
        junk: how many junk tracklets were removed.
        tie: distances that differ by no more than this were a tie.
        per_query: one row a query, unmatched ones included: query (its row), identity, camera, matches, wrong
            (wrong answers it meets), first_hit (rank of the first match, 0 without one), ap and inp (NaN
            where the query is left out), best_match and best_wrong (rows of the gallery, -1 for none), and
            the distances of both.
    """

    protocol: Protocol
    cmc: tuple[float, ...]
    mAP: float  # noqa: N815 - the measure's own name
    mINP: float  # noqa: N815
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
        """Share of the queries whose nearest answer is right."""
        return self.cmc[0]

    def numbers(self) -> dict[str, float | int]:
        """The measures and counts, for a results file."""
        rates = {f"rank{k}": self.cmc[k - 1] for k in (1, 5, 10, 20)}
        counts = ("queries", "unmatched", "gallery", "distractors", "left_out", "junk")
        return rates | {name: getattr(self, name) for name in ("mAP", "mINP", *counts)}

    def __str__(self) -> str:
        """Measures in per cent, and everything that they depend on."""
        rates = ", ".join(f"rank-{k} {100 * self.cmc[k - 1]:.2f}" for k in (1, 5, 10, 20))
        rule = self.protocol
        counted = f"{self.unmatched} without a match {TOLD[rule.unmatched]}"
        return (
            f"mAP {100 * self.mAP:.2f}, {rates}, mINP {100 * self.mINP:.2f}\n"
            f"protocol {rule.name}: {self.queries} queries counted, {counted}; gallery {self.gallery}"
            f" ({rule.gallery}), of these {self.distractors} distractors; {self.left_out} left out by the"
            f" protocol, {self.junk} junk removed; {rule.average_precision} average precision; excluded:"
            f" {rule.excluded}; ties within {self.tie:g}: {rule.ties}"
        )


def score(ranks: Ranks, pairs: Pairs, query: Labels, protocol: Protocol, tie: float) -> Result:
    """Turn ranks into measures.

    Raises:
        InputError: no query has a match.
    """
    table = _per_query(ranks, pairs, query, protocol)
    matched = table["matches"] > 0
    if not matched.any():
        raise InputError(
            f"protocol {protocol.name}: none of the {len(table)} queries has a match in another camera"
        )
    counted = table[matched] if protocol.unmatched == "drop" else table
    first = counted["first_hit"].to_numpy()
    curve = np.bincount(first[first > 0].clip(max=CMC + 1), minlength=CMC + 2)[1 : CMC + 1].cumsum()
    return Result(
        protocol=protocol,
        cmc=tuple((curve / len(counted)).tolist()),
        mAP=float(counted["ap"].mean()),
        mINP=float(counted["inp"].mean()),
        queries=len(counted),
        unmatched=int((~matched).sum()),
        gallery=len(pairs.answers),
        distractors=pairs.distractors,
        left_out=pairs.left_out,
        junk=pairs.junk,
        tie=tie,
        per_query=table,
    )


def _per_query(ranks: Ranks, pairs: Pairs, query: Labels, protocol: Protocol) -> pd.DataFrame:
    matches = pairs.matches
    ends = np.cumsum(matches)
    hit = np.arange(len(ranks.ahead)) - (ends - matches)[ranks.match_query] + 1  # 1, 2, ... within each query
    place = ranks.ahead + hit
    precision = hit / place
    if protocol.average_precision == "trapezoid":
        before = np.where(place > 1, (hit - 1) / np.maximum(place - 1, 1), 1.0)  # precision one rank earlier
        precision = (before + precision) / 2
    some = matches > 0
    head, tail = (ends - matches)[some], ends[some] - 1
    none = np.nan if protocol.unmatched == "drop" else 0.0
    ap = _filled(some, np.bincount(ranks.match_query, precision, len(matches))[some] / matches[some], none)
    columns = {
        "query": np.arange(len(matches)),
        "identity": query.identity,
        "camera": query.camera,
        "matches": matches,
        "wrong": pairs.wrong,
        "first_hit": _filled(some, place[head], 0),
        "ap": ap,
        "inp": _filled(some, matches[some] / place[tail], none),
        "best_match": _filled(some, ranks.match[head], -1),
        "best_match_distance": _filled(some, ranks.match_distance[head], np.nan),
        "best_wrong": ranks.best_wrong,
        "best_wrong_distance": ranks.best_wrong_distance,
    }
    return pd.DataFrame(columns)


def _filled(where: np.ndarray, values: np.ndarray, otherwise: float) -> np.ndarray:
    """An array with values where there are some."""
    out = np.full(len(where), otherwise, dtype=values.dtype)
    out[where] = values
    return out
