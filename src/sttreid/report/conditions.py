"""Where arms differ: their rank-1, and the effects between them, by what makes a query hard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from sttreid.analysis.uncertainty import Sample, sample
from sttreid.config.claims import Contrast
from sttreid.report.arms import Study
from sttreid.report.effects import Effect, by_seed, paired

THIRDS = ("lowest", "middle", "highest")
TOLD = {
    "visibility": "share of the person that is seen",
    "length": "frames",
    "turn": "least turn to a right answer, degrees",
}
DECIMALS = {"visibility": 2, "length": 0, "turn": 0}
RATE = "rank1"
FEWEST = 5  # people of a target under a condition; with fewer it is left out


@dataclass(frozen=True)
class Condition:
    """A third of each target's queries, by a column of the per-query results; equal values stay together.

    Attributes:
        column: one of ``TOLD``.
        third: one of ``THIRDS``.
        spans: target -> its smallest and largest value; targets without such queries are left out.
    """

    column: str
    third: str
    spans: Mapping[str, tuple[float, float]]

    @property
    def span(self) -> str:
        """The smallest and the largest value of all targets, in words."""
        ends = min(low for low, _ in self.spans.values()), max(high for _, high in self.spans.values())
        return " to ".join(f"{end:,.{DECIMALS[self.column]}f}" for end in ends)

    @property
    def told(self) -> str:
        """Which queries, in words."""
        return f"{TOLD[self.column]}: {self.third} third of each target ({self.span})"

    def of(self, target: str, queries: pd.DataFrame) -> pd.DataFrame:
        """A target's queries that meet it."""
        low, high = self.spans[target]
        return queries[queries[self.column].between(low, high)]


def conditions(found: Study) -> list[Condition]:
    """Thirds of every target's queries by each column that is known of some of them."""
    queries = next(iter(found.arms.values()))[0].queries
    counted, parts = queries[queries["ap"].notna()], []
    for column in TOLD:
        if column not in counted:
            continue
        spans: dict[str, dict[str, tuple[float, float]]] = {}
        for target in found.targets:
            own = counted[counted["target"] == target].dropna(subset=[column])
            for third, rows in own.groupby(_thirds(own[column])):
                if rows["identity"].nunique() >= FEWEST:
                    ends = float(rows[column].min()), float(rows[column].max())
                    spans.setdefault(str(third), {})[target] = ends
        parts += [Condition(column, third, spans[third]) for third in THIRDS if third in spans]
    return parts


def _thirds(values: "pd.Series[float]") -> "pd.Series[str]":
    """Each value's third, by the mean rank of its equals."""
    share = (values.rank() - 0.5) / max(len(values), 1)
    return (len(THIRDS) * share).astype(int).map(dict(enumerate(THIRDS)))


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
    """The effect of each pair of arms that were run, under each condition; no test is corrected for."""
    pairs: dict[tuple[str, str], str] = {}  # two questions may ask about one pair
    for name, one in contrasts.items():
        pairs.setdefault((one.ours, one.theirs), name)
    known = {name: contrasts[name] for pair, name in pairs.items() if set(pair) <= set(found.arms)}
    rows = []
    for condition in conditions(found):
        for name, one in known.items():
            ours, theirs = (_samples(found, arm, condition) for arm in (one.ours, one.theirs))
            rows.append((condition, name, paired(ours, theirs)))
    return rows


def _samples(found: Study, arm: str, condition: Condition) -> list[Sample]:
    """One a target that has such queries."""
    samples = []
    for target in condition.spans:
        own = [run.queries[run.queries["target"] == target] for run in found.arms[arm]]
        samples.append(sample(target, [condition.of(target, table) for table in own], RATE))
    return samples
