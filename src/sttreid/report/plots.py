"""Results and histories -> the small tables that ``dvc plots`` draws."""

import numpy as np
import pandas as pd

from sttreid.report.evidence import cells_of
from sttreid.report.summary import RATES, settings

CMC = 20  # ranks
ROWS = 200  # of a curve; more can neither be seen in a plot nor read in a diff


def cross_domain(table: pd.DataFrame) -> pd.DataFrame:
    """source, target and all rates: means over seeds, from :func:`sttreid.report.summary.matrix`."""
    return table.groupby(["source", "target"], sort=False)[list(RATES)].mean().reset_index()


def cmc(queries: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Cumulative matching characteristic: a row a rank, a column a setting.

    Args:
        queries: per-query results, as for :func:`sttreid.report.evidence.evidence`.
        table: of :func:`sttreid.report.summary.matrix`.

    Returns:
        rank (1 to 20) and, for each setting, the share of queries matched at that rank or before: the mean
        over its cells and seeds.
    """
    counted = queries[queries["ap"].notna()].groupby(["source", "target"])
    first = {key: group["first_hit"].to_numpy() for key, group in counted}
    ranks = np.arange(1, CMC + 1)
    hits = {cell: ((found > 0) & (found <= ranks[:, None])).mean(axis=1) for cell, found in first.items()}
    curves = {
        str(setting): np.mean([hits[cell] for cell in cells_of(table, setting, "source")], axis=0)
        for setting in table["setting"].unique()
    }
    return pd.DataFrame({"rank": ranks, **curves})


def ablation(table: pd.DataFrame) -> pd.DataFrame:
    """variant, setting and all rates: means over seeds and targets, from :func:`summary.arms`."""
    return settings(table, ["variant"])[list(RATES)].reset_index()


def wide(table: pd.DataFrame) -> pd.DataFrame:
    """One row a variant, columns <rate>_<setting>, because ``dvc plots`` draws one bar a row.

    Args:
        table: of :func:`ablation`.
    """
    columns = table.pivot(index="variant", columns="setting", values=list(RATES))  # noqa: PD010 - no aggregation
    columns.columns = [f"{rate}_{setting}" for rate, setting in columns.columns]
    return columns.loc[table["variant"].unique()].reset_index()


def history_curve(history: pd.DataFrame) -> pd.DataFrame:
    """A training history of any length in at most 200 rows.

    Neighbouring steps are averaged, which also calms the curve; accuracies, measured now and then, keep their
    gaps.

    Args:
        history: one row a step, ``step`` ascending; other columns are numbers, empty where nothing was
            measured.

    Returns:
        The same columns; ``step`` is the last of its group, all else the group's mean of what was measured,
        with six significant digits.
    """
    groups = np.arange(len(history)) * min(ROWS, len(history)) // max(len(history), 1)
    means = history.drop(columns="step").groupby(groups).mean()
    rounded = means.map(lambda value: float(f"{value:.6g}"))
    rounded.insert(0, "step", history["step"].groupby(groups).last())
    return rounded.reset_index(drop=True)


def text(table: pd.DataFrame) -> str:
    """Tab-separated text with a header, six significant digits, empty where there is no value."""
    return str(table.to_csv(sep="\t", index=False, float_format="%.6g", lineterminator="\n"))
