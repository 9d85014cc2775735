"""Cross-domain scores -> the few numbers of ``metrics/summary.json``, one line of a table of DVC.

DVC's tables put every metric into a column, before the parameters that an experiment changes. In a terminal
of 120 columns five metrics leave room for one or two of these; further numbers are in
``metrics/cross_domain.json``.
"""

from collections.abc import Mapping
from typing import Final

import pandas as pd

from sttreid.analysis.results import DIGITS, Scores

SHORT: Final = {"in_domain": "in", "cross_domain": "cross", "direct_transfer": "direct"}
NUMBERS: Final = (
    ("rank1", "in_domain"),
    ("rank1", "cross_domain"),
    ("rank1", "direct_transfer"),
    ("mAP", "in_domain"),
)
OF_EACH: Final = (("rank1", "in_domain"), ("rank1", "direct_transfer"))  # of each of several protocols
SPREAD: Final = ("rank1", "in_domain")  # has a standard deviation over seeds

Summary = Mapping[str, float | Mapping[str, float]]


def summary(scores: Scores) -> Summary:
    """Means over cells and seeds, fractions; with several seeds also a standard deviation over seeds.

    Returns:
        ``rank1_in``, ``rank1_cross``, ``rank1_direct``, ``mAP_in``, and with several seeds ``rank1_in_sd``. A
        mean never mixes protocols: if the targets have several, protocol -> ``rank1_in`` and
        ``rank1_direct``.
    """
    parts = scores.by_protocol()
    if len(parts) > 1:
        return {name: _numbers(part.table, OF_EACH) for name, part in parts.items()}
    numbers = _numbers(scores.table, NUMBERS)
    metric, setting = SPREAD
    if len(scores.seeds) > 1 and setting in scores.settings:
        rows = scores.table[scores.table["setting"] == setting]
        deviation = float(rows.groupby("seed")[metric].mean().std(ddof=1))
        numbers[f"{metric}_{SHORT[setting]}_sd"] = round(deviation, DIGITS)
    return numbers


def _numbers(table: pd.DataFrame, shown: tuple[tuple[str, str], ...]) -> dict[str, float]:
    """The means of one protocol; ``table`` as :attr:`Scores.table`."""
    means = table.groupby("setting")[sorted({metric for metric, _ in shown})].mean()
    return {
        f"{metric}_{SHORT[setting]}": round(float(means.loc[setting, metric]), DIGITS)
        for metric, setting in shown
        if setting in means.index
    }
