"""Arms of a study with numbers that can be checked, their queries, and the page that tells of them."""

from dataclasses import replace

import numpy as np
import pandas as pd

from sttreid.config.claims import Claims, Contrast
from sttreid.report.arms import Run, study
from sttreid.report.claims import findings
from sttreid.report.claims_page import page
from sttreid.report.claims_site import site

TARGETS = ["here", "there"]
PROTOCOL = dict.fromkeys(TARGETS, "embedded")
PEOPLE, EACH = 30, 3


def asked(target, rate, seed):
    """Queries whose values are the same for all arms and seeds; the second set knows no orientation."""
    count = PEOPLE * EACH
    values = np.random.default_rng(TARGETS.index(target))
    own = {
        "query": np.arange(count),
        "identity": np.arange(count) // EACH,
        "visibility": values.random(count),
        "length": values.integers(4, 9, count),
        "turn": values.uniform(0, 180, count) if target == "here" else np.nan,
        "target": target,
    }
    hit = np.random.default_rng([seed, int(100 * rate), TARGETS.index(target)]).random(count) < rate
    ap = np.where(hit, 1.0, 0.25)
    ap[:4] = np.nan  # without a match
    return pd.DataFrame(
        {**own, "first_hit": np.where(np.isnan(ap), -1, np.where(hit, 1, 4)), "ap": ap, "inp": ap}
    )


def runs(arm, rate, seeds=3):
    tables = [pd.concat([asked(target, rate, seed) for target in TARGETS]) for seed in range(seeds)]
    return [Run(arm, seed, 0, 10, 1.0, table, None) for seed, table in enumerate(tables)]


CLAIMS = Claims(
    seeds_needed=5,
    alpha=0.05,
    relevant=0.02,
    reached=0.4,
    contrasts={
        "a": Contrast("RQ2", "new", "old", True),
        "b": Contrast("RQ2", "old", "new", False),
        "c": Contrast("RQ4", "new", "old", True),
    },
)


def history(validation, entropy=None):
    """Looks at steps 10, 20, ..., nothing between."""
    looks = pd.DataFrame(
        {
            "step": 10 * (1 + pd.RangeIndex(len(validation))),
            "validation_rank1": validation,
            "train_rank1": 1.0,
            "loss": 1.0,
        }
    )
    if entropy is not None:
        looks["attention_entropy"] = entropy
    between = pd.DataFrame({"step": looks["step"] - 1})
    return pd.concat([looks, between]).sort_values("step", ignore_index=True)


def pages():
    """The Markdown and the HTML page of two arms, one with a temporal token, of three seeds."""
    looks = history([0.2, 0.5], [1.2, 0.8])
    bare = looks.drop(columns="attention_entropy")
    arms = [
        replace(run, train_rank1=0.95, history=looks if run.arm == "new" else bare)
        for run in (*runs("new", 0.7), *runs("old", 0.4))
    ]
    found = study(arms, "here", TARGETS, 0.9)
    judged = findings(found, CLAIMS)
    text = page(found, judged, CLAIMS, PROTOCOL)
    return text, site(text, found, judged, CLAIMS, PROTOCOL)
