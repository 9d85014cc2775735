"""Per-query results -> intervals of any mean over models and data sets, and of differences between two.

Every interval of a report is drawn with the same people and the same seeds, so that any two may be compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from sttreid.analysis.uncertainty import Difference, Interval, Sample, difference, interval, sample
from sttreid.runtime.errors import InputError

MEASURES = ("mAP", "rank1")
Cell = tuple[str, str]  # a model and the data set that it is tested on


def cells_of(table: pd.DataFrame, setting: str, model: str) -> list[Cell]:
    """The cells of a setting in a long table, as they come; ``model`` names the model's column."""
    rows = table[table["setting"] == setting]
    return [(str(name), str(target)) for name, target in rows[[model, "target"]].drop_duplicates().to_numpy()]


@dataclass(frozen=True, eq=False)
class Evidence:
    """What was found for each query, reduced for resampling; cells are models on data sets."""

    samples: Mapping[tuple[Cell, str], Sample]

    @property
    def people(self) -> int:
        """How many people the data set with the fewest has: as many stand behind its intervals."""
        return min(len(one.identities) for one in self.samples.values())

    def interval(self, cells: Sequence[Cell], measure: str) -> Interval:
        """The mean over some cells.

        Raises:
            InputError: there is no such cell.
        """
        return interval(self._samples(cells, measure))

    def difference(self, ours: Sequence[Cell], theirs: Sequence[Cell], measure: str) -> Difference:
        """The mean over our cells minus that over theirs, of the same data sets in the same order; paired.

        Raises:
            InputError: there is no such cell, or the data sets or their queries differ.
        """
        return difference(self._samples(ours, measure), self._samples(theirs, measure))

    def _samples(self, cells: Sequence[Cell], measure: str) -> list[Sample]:
        for cell in cells:
            if (cell, measure) not in self.samples:
                raise InputError(f"per-query results: those of {cell[0]} on {cell[1]} are missing")
        return [self.samples[cell, measure] for cell in cells]


def evidence(queries: pd.DataFrame, model: str, table: pd.DataFrame) -> Evidence:
    """Reduce per-query results.

    Args:
        queries: one row a query, model, data set and seed: the columns of
            :attr:`sttreid.retrieval.result.Result.per_query`, target, seed and the model's column.
        model: name of the column that says which model was asked, "source" or "variant".
        table: long table of the means (:func:`sttreid.report.summary.matrix` or
            :func:`sttreid.report.summary.arms`) that belong to these queries.

    Raises:
        InputError: a mean is not that of its queries, so that the two are of different runs.
    """
    groups = dict(iter(queries.groupby([model, "target", "seed"])))
    samples: dict[tuple[Cell, str], Sample] = {}
    for (name, target), rows in table.groupby([model, "target"], sort=False):
        seeds = sorted(rows["seed"])  # in one order for all, or two models were paired with other seeds
        missing = [seed for seed in seeds if (name, target, seed) not in groups]
        if missing:
            raise InputError(
                f"per-query results: those of {name} on {target} with seed {missing[0]} are missing"
            )
        tables = [groups[name, target, seed] for seed in seeds]
        for measure in MEASURES:
            one = sample(str(target), tables, measure)
            if not abs(one.value - rows[measure].mean()) <= 1e-9:  # of NaN, too
                rule = f"the mean {measure} of {name} on {target} must be {rows[measure].mean()}"
                raise InputError(f"per-query results: {rule}, as the results say, got {one.value}")
            samples[(str(name), str(target)), measure] = one
    return Evidence(samples)
