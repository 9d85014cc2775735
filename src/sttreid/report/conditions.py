"""Where arms differ: their rank-1, and the effects between them, by what makes a query hard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from sttreid.contrasts import Contrast
from sttreid.report.arms import Study
from sttreid.report.effects import Effect, by_seed, paired
from sttreid.uncertainty import Sample, sample

PARTS = 3  # as many queries in each, as far as equal values allow
TOLD = {
    "visibility": "visible, share of the box",
    "length": "frames",
    "turn": "turned since the most alike right answer, degrees",
}
RATE = "rank1"


@dataclass(frozen=True)
class Condition:
    """Queries whose value in a column of the per-query results lies from low up to high.

    Attributes:
        column: one of ``TOLD``.
        low: the smallest value.
        high: the largest one; it belongs to the next part unless this is the last.
        last: whether this is the last part.
    """

    column: str
    low: float
    high: float
    last: bool

    @property
    def told(self) -> str:
        """What is asked of a query, in words."""
        return f"{TOLD[self.column]}: {self.low:.3g} to {self.high:.3g}"

    def of(self, queries: pd.DataFrame) -> pd.DataFrame:
        """The queries that meet it."""
        values = queries[self.column]
        return queries[(values >= self.low) & ((values <= self.high) if self.last else (values < self.high))]


def conditions(found: Study) -> list[Condition]:
    """Thirds of the queries of all targets by each column that is known of some of them."""
    queries = next(iter(found.arms.values()))[0].queries
    counted, parts = queries[queries["ap"].notna()], []
    for column in TOLD:
        values = counted[column].dropna() if column in counted else pd.Series(dtype=float)
        if len(values):
            edges = np.unique(np.quantile(values, np.linspace(0, 1, PARTS + 1))).tolist()
            ends = list(pairwise(edges)) or [(edges[0], edges[0])]
            parts += [Condition(column, low, high, high == edges[-1]) for low, high in ends]
    return parts


def rates(found: Study, arms: Sequence[str]) -> pd.DataFrame:
    """Rank-1 of each arm under each condition, the mean over seeds and the targets that have such queries.

    Returns:
        condition (in words), arm, queries (of all targets), rank1.
    """
    rows = []
    for condition in conditions(found):
        for arm in arms:
            samples = _samples(found, arm, condition)
            queries = int(sum(one.counts.sum() for one in samples))
            place = {"condition": condition.told, "arm": arm, "queries": queries}
            rows.append(place | {RATE: float(by_seed(samples).mean())})
    return pd.DataFrame(rows, columns=["condition", "arm", "queries", RATE])


def effects(found: Study, contrasts: Mapping[str, Contrast]) -> list[tuple[Condition, str, Effect]]:
    """The effect of each contrast whose arms were run, under each condition; no test is corrected for."""
    return [
        (
            condition,
            name,
            paired(_samples(found, one.ours, condition), _samples(found, one.theirs, condition)),
        )
        for condition in conditions(found)
        for name, one in contrasts.items()
        if {one.ours, one.theirs} <= set(found.arms)
    ]


def _samples(found: Study, arm: str, condition: Condition) -> list[Sample]:
    """One a target that has such queries."""
    samples = []
    for target in found.targets:
        tables = [condition.of(run.queries[run.queries["target"] == target]) for run in found.arms[arm]]
        if tables[0]["ap"].notna().any():
            samples.append(sample(target, tables, RATE))
    return samples
