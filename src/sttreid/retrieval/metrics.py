"""The metrics: each is registered here once, with its name, label, direction and format.

A metric is the mean of one value per query, over the queries that count. Evaluation, confidence intervals,
reports and charts read :data:`METRICS`; to add a metric, write a function from the per-query table to one
value per query and add an entry.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sttreid.runtime.errors import InputError


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: its key in results, tables and params.yaml.
        label: its name in a sentence, a table header or a chart.
        of_queries: per-query table of Q queries that count (:func:`counted`) -> finite values [Q].
        higher_is_better: its direction.
        percent: whether it is a fraction that is shown in per cent.
        headline: whether the report's main tables and charts show it, with a confidence interval.
    """

    name: str
    label: str
    of_queries: Callable[[pd.DataFrame], NDArray[np.float64]]
    higher_is_better: bool = True
    percent: bool = True
    headline: bool = False

    def mean(self, queries: pd.DataFrame) -> float:
        """The metric: the mean over the queries that count, of a per-query table that may hold others."""
        return float(self.of_queries(counted(queries)).mean())

    def text(self, value: float, decimals: int = 1) -> str:
        """A value as it is shown, in per cent (without the sign) if the metric is: 0.523 -> "52.3".

        What rounds to zero has no minus.
        """
        return f"{round(100 * value if self.percent else value, decimals) + 0.0:.{decimals}f}"

    @property
    def unit(self) -> str:
        """The unit of :meth:`text`: "%" or ""."""
        return "%" if self.percent else ""


def counted(queries: pd.DataFrame) -> pd.DataFrame:
    """The rows of a per-query table that count: a query that the protocol leaves out has no AP (NaN)."""
    return queries[queries["ap"].notna()]


def _hits(queries: pd.DataFrame, rank: int) -> NDArray[np.float64]:
    """[Q] 1 where a match is among the first ``rank`` gallery entries, otherwise 0."""
    first = queries["first_hit"].to_numpy()
    return np.asarray((first > 0) & (first <= rank), np.float64)


def _column(queries: pd.DataFrame, name: str) -> NDArray[np.float64]:
    return np.asarray(queries[name], np.float64)


METRICS: Final[tuple[Metric, ...]] = (
    Metric("rank1", "rank-1", partial(_hits, rank=1), headline=True),
    Metric("rank5", "rank-5", partial(_hits, rank=5)),
    Metric("rank10", "rank-10", partial(_hits, rank=10)),
    Metric("rank20", "rank-20", partial(_hits, rank=20)),
    Metric("mAP", "mAP", partial(_column, name="ap"), headline=True),
    # mean inverse negative penalty: Ye et al., 2022, arXiv 2001.04193, section 4.1
    Metric("mINP", "mINP", partial(_column, name="inp")),
)
HEADLINE: Final = tuple(metric for metric in METRICS if metric.headline)


def metric(name: str) -> Metric:
    """The metric of that name.

    Raises:
        InputError: there is none; the message lists the names.
    """
    for candidate in METRICS:
        if candidate.name == name:
            return candidate
    names = ", ".join(candidate.name for candidate in METRICS)
    raise InputError(f"the metric must be one of {names}, got {name!r}")
