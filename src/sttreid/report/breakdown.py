"""In-domain accuracy apart by what makes a query hard: how much of the person is seen, and for how long."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from sttreid.analysis.uncertainty import interval, sample
from sttreid.report.tables import bracket, markdown

PARTS = 3  # as many queries in each, as far as equal values allow
TOLD = {"visibility": "visible, share of the person", "length": "frames"}


def breakdown_table(queries: pd.DataFrame, targets: Sequence[str]) -> str:
    """One row a third of the queries, by visibility and by length: rank-1 and numbers.

    Args:
        queries: per-query results as for :func:`sttreid.report.evidence.evidence`, with the columns length
            and visibility; each target's own model is looked at. What no data set knows is left out.
        targets: data sets, one column each: rank-1 with its interval, queries and people.
    """
    own = queries[(queries["source"] == queries["target"]) & queries["ap"].notna()]
    rows = []
    for column, told in TOLD.items():
        values = own[column].dropna()
        if values.empty:
            continue
        edges = np.unique(np.quantile(values, np.linspace(0, 1, PARTS + 1))).tolist()
        for low, high in pairwise(edges):
            upper = own[column] <= high if high == edges[-1] else own[column] < high
            chosen = own[(own[column] >= low) & upper]
            cells = [_cell(chosen[chosen["target"] == target], target) for target in targets]
            rows.append([f"{told}: {low:.3g} to {high:.3g}", *cells])
    return markdown(["queries", *(f"{target}, R-1 (queries; people)" for target in targets)], rows)


def _cell(rows: pd.DataFrame, target: str) -> str:
    tables = [group for _, group in rows.groupby("seed")]
    if not tables:
        return "- (0; 0)"
    one = sample(target, tables, "rank1")
    return f"{bracket(interval([one]))} ({len(tables[0])}; {len(one.identities)})"
