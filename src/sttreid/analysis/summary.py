"""Cross-domain scores -> the few numbers of ``metrics/summary.json``, one line of a table of DVC."""

from collections.abc import Mapping
from typing import Final

import pandas as pd

from sttreid.analysis.results import DIGITS, Scores
from sttreid.retrieval.metrics import HEADLINE

SHORT: Final = {"in_domain": "in", "cross_domain": "cross", "direct_transfer": "direct"}  # fits 120 columns
SPREAD: Final = ("rank1", ("in_domain", "direct_transfer"))  # what has a standard deviation over seeds

Summary = Mapping[str, float | Mapping[str, float]]


def summary(scores: Scores) -> Summary:
    """Means over cells and seeds, fractions; with several seeds also standard deviations over seeds.

    Returns:
        ``METRIC_in``, ``METRIC_cross`` and ``METRIC_direct`` for rank-1 and mAP, at most eight numbers. A
        mean never mixes protocols: if the targets have several, protocol -> its numbers.
    """
    protocols = scores.table["target"].map(scores.protocol_names)
    by_protocol = {str(name): _numbers(rows) for name, rows in scores.table.groupby(protocols, sort=False)}
    return next(iter(by_protocol.values())) if len(by_protocol) == 1 else by_protocol


def _numbers(table: pd.DataFrame) -> dict[str, float]:
    """The numbers of one protocol; ``table`` as :attr:`Scores.table`."""
    settings = {name: rows for name, rows in table.groupby("setting", sort=False) if name in SHORT}
    shown = [name for name in SHORT if name in settings]
    values = {
        f"{metric.name}_{SHORT[name]}": float(settings[name][metric.name].mean())
        for metric in HEADLINE
        for name in shown
    }
    metric, spread = SPREAD
    for name in spread:
        if name in settings and len(set(table["seed"])) > 1:
            seeds = settings[name].groupby("seed")[metric].mean()
            values[f"{metric}_{SHORT[name]}_sd"] = float(seeds.std(ddof=1))
    return {name: round(value, DIGITS) for name, value in values.items()}
