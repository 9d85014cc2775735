"""What lies behind the answers: how well arms fit, where they attend, and which queries tell them apart."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from sttreid.config.claims import Claims, Contrast
from sttreid.report.arms import Run, Study
from sttreid.report.conditions import RATE, conditions, effects, rates
from sttreid.report.tables import NONE, gained, markdown, percent

ENTROPY = "attention_entropy"
MOMENTS = (0.0, 0.5, 1.0)  # shares of the steps, at whose nearest looks attention is told


def reasons(found: Study, claims: Claims) -> str:
    """Markdown sections, of what is known; arms that were not trained on the source are left out."""
    arms = [name for name, runs in found.arms.items() if runs[0].history is not None]
    parts = [
        "## Over-fitting",
        f"Rank-1 in per cent, means over seeds: on the {found.source} identities that were learnt, on its"
        " validation identities, on its test, and the first minus the last. The three are tests of other"
        " sizes: a gap compares with another arm's, not with none.",
        fitting_table(found, arms),
    ]
    if rows := entropies(found, arms):
        parts += [
            "## Attention while training",
            "Entropy of the temporal token's weights on validation clips, in nats, means over seeds, at the"
            " first look, at that nearest to half of the steps and at the end (in brackets the step), and at"
            " the end seed by seed: 0 where one token gets all attention, ln(1 + T) where the T frames and"
            " the token itself share it evenly.",
            markdown(["arm", "first", "half way", "end", "end, seed by seed"], rows),
        ]
    if conditions(found):
        parts += [
            "## Which queries",
            "Rank-1 in per cent, means over seeds and all targets, for thirds of each target's queries (as"
            " far as equal values allow).",
            rates_table(found, arms),
            "Effects in points, all targets, with 95 % intervals over seeds and test people. They are not"
            " corrected for their number: they say where to look, and decide nothing.",
            effects_table(found, {n: c for n, c in claims.contrasts.items() if c.judged}),
        ]
    return "\n\n".join(parts)


def fitting_table(found: Study, arms: Sequence[str]) -> str:
    """One row an arm: rank-1 on training, validation and test identities, and the gap."""
    rows = []
    for arm in arms:
        runs = found.arms[arm]
        seen = found.fit(arm).mean
        held = float(np.mean([_looks(run, "validation_rank1").iloc[-1] for run in runs]))
        cells = [percent(seen), percent(held)]
        if found.own:
            cells += [percent(found.accuracy(arm, found.own, RATE).mean), percent(found.gap(arm).mean)]
        else:
            cells += [NONE, NONE]
        rows.append([arm, *cells])
    return markdown(["arm", "training", "validation", f"test of {found.source}", "gap"], rows)


def entropies(found: Study, arms: Sequence[str]) -> list[list[str]]:
    """A row for each arm with a temporal token: attention entropy at three looks, and each seed's last."""
    rows = []
    for arm in arms:
        looks = [_looks(run, ENTROPY) for run in found.arms[arm]]
        if all(map(len, looks)):
            mean = pd.concat(looks).groupby(level=0).mean()
            steps = mean.index.to_numpy()
            chosen = [steps[np.abs(steps - share * steps[-1]).argmin()] for share in MOMENTS]
            ends = ", ".join(f"{own.iloc[-1]:.2f}" for own in looks)
            rows.append([arm, *(f"{mean[step]:.3f} ({step})" for step in chosen), ends])
    return rows


def rates_table(found: Study, arms: Sequence[str]) -> str:
    """One row a third of the queries, one column an arm."""
    rows = [
        [f"{told} ({own['queries'].iloc[0]})", *(percent(rate) for rate in own[RATE])]
        for told, own in rates(found, arms).groupby("condition", sort=False)
    ]
    return markdown(["queries (how many)", *arms], rows)


def effects_table(found: Study, contrasts: Mapping[str, Contrast]) -> str:
    """One row a third of the queries, one column a contrast."""
    rows: dict[str, dict[str, str]] = {}
    for condition, name, effect in effects(found, contrasts):
        rows.setdefault(condition.told, {})[name] = gained(effect.value, effect.low, effect.high)
    known = list(next(iter(rows.values()), {}))
    header = [f"{contrasts[name].ours} against {contrasts[name].theirs}" for name in known]
    return markdown(["queries", *header], [[told, *cells.values()] for told, cells in rows.items()])


def _looks(run: Run, column: str) -> "pd.Series[float]":
    """Step -> what was measured then, in order; nothing if it never was."""
    history = run.history
    if history is None or column not in history:
        return pd.Series(dtype=float)
    return history.set_index("step")[column].dropna()
