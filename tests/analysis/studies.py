"""Runs with numbers that can be checked, and the section ``claims`` of their contrasts."""

from dataclasses import replace

import numpy as np
import pandas as pd

from sttreid.analysis.study_runs import Run, study
from sttreid.config.claims import Claims, Contrast

TARGETS = ["home", "away"]
PROTOCOLS = dict.fromkeys(TARGETS, "embedded")
TWO_PROTOCOLS = {"home": "embedded", "away": "market"}
IDENTITIES, QUERIES = 30, 3  # of a target; queries of an identity

CLAIMS = Claims(
    min_seeds=5,
    alpha=0.05,
    min_effect=0.02,
    target_rank1=0.4,
    contrasts={
        "a": Contrast("RQ2", "new", "old", confirmatory=True),
        "b": Contrast("RQ2", "old", "new", confirmatory=False),
        "c": Contrast("RQ4", "new", "old", confirmatory=True),
    },
)


def queries(target, rate, seed):
    """Per-query results; properties are the same for all variants and seeds, "away" has no viewpoints."""
    count = IDENTITIES * QUERIES
    values = np.random.default_rng(TARGETS.index(target))
    properties = {
        "query": np.arange(count),
        "identity": np.arange(count) // QUERIES,
        "visibility": values.random(count),
        "length": values.integers(4, 9, count),
        "viewpoint_change": values.uniform(0, 180, count) if target == "home" else np.nan,
        "target": target,
    }
    hit = np.random.default_rng([seed, int(100 * rate), TARGETS.index(target)]).random(count) < rate
    ap = np.where(hit, 1.0, 0.25)
    ap[:4] = np.nan  # without a match
    first_hit = np.where(np.isnan(ap), 0, np.where(hit, 1, 4))
    return pd.DataFrame({**properties, "first_hit": first_hit, "ap": ap, "inp": ap})


def runs(variant, rate, seeds=3):
    """One run per seed, without a history."""
    tables = [{target: queries(target, rate, seed) for target in TARGETS} for seed in range(seeds)]
    return [Run(variant, seed, 0, 10, 1.0, table, None) for seed, table in enumerate(tables)]


def history(validation, entropy=None):
    """Evaluated at steps 10, 20, ..., nothing in between."""
    measured = pd.DataFrame(
        {
            "step": 10 * (1 + pd.RangeIndex(len(validation))),
            "validation_rank1": validation,
            "train_rank1": 1.0,
            "loss": 1.0,
        }
    )
    if entropy is not None:
        measured["attention_entropy"] = entropy
    between = pd.DataFrame({"step": measured["step"] - 1})
    return pd.concat([measured, between]).sort_values("step", ignore_index=True)


def trained(run, rank1, **columns):
    """The same run with a training: rank-1 on training identities, and a history."""
    return replace(run, train_rank1=rank1, history=history(**columns))


def of_runs(all_runs, source="home", min_train_rank1=0.9, protocols=PROTOCOLS):
    """The study of these runs."""
    return study(all_runs, source, TARGETS, min_train_rank1, protocols)
