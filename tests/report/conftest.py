"""Results as the stages write them, with numbers that can be checked by head, and the queries behind them."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from sttreid.report.evidence import evidence
from sttreid.report.summary import arms, matrix
from sttreid.retrieval.protocol import Protocol

TARGETS = ["campus", "winter", "station"]
QUERIES = {"campus": 100, "winter": 200, "station": 300}  # so that all rates are whole numbers of queries
EACH = 5  # queries of an identity
PROTOCOL = asdict(
    Protocol(
        name="embedded",
        source="Made for these tests.",
        gallery="all",
        excluded="same identity and camera",
        average_precision="step",
        unmatched="drop",
        ties="pessimistic",
    )
)


def numbers(rank1, target):
    """One cell: mAP is half of rank-1, counts depend on the target alone."""
    place = TARGETS.index(target)
    rates = {
        "rank1": rank1,
        "rank5": rank1,
        "rank10": 1.0,
        "rank20": 1.0,
        "mAP": rank1 / 2,
        "mINP": rank1 / 4,
    }
    counts = {
        "queries": QUERIES[target],
        "unmatched": place,
        "gallery": 120 + 2 * place,
        "distractors": 20 + place,
        "left_out": 3 * place,
        "junk": 5 * place,
    }
    return {**rates, **counts}


def result(seed):
    """Rank-1 of seed 0: 0.5 in-domain, 0.3 cross-domain, 0.2 direct; a seed adds 0.1 to what is trained."""
    gain = seed / 10
    sources = {s: {t: numbers((0.5 if s == t else 0.3) + gain, t) for t in TARGETS} for s in TARGETS}
    sources["unreal"] = {t: numbers(0.2 + gain, t) for t in TARGETS}
    sources["untrained"] = {t: numbers(0.04, t) for t in TARGETS}
    sources["histogram"] = {t: numbers(0.25, t) for t in TARGETS}
    sources["equalised"] = {t: numbers(0.5, t) for t in TARGETS}
    return {"protocol": {target: dict(PROTOCOL) for target in TARGETS}, "seed": seed, "sources": sources}


def cell(variant, seed, train, rank1=0.4):
    """One ablation cell; cross-domain rank-1 is 0.1 and 0.2 lower."""
    targets = {target: numbers(rank1 - 0.1 * place, target) for place, target in enumerate(TARGETS)}
    looks = {"train_rank1": train, "validation_rank1": train / 2, "pretrain_steps": 900, "steps": 1500}
    return {
        "variant": variant,
        "seed": seed,
        "source": "campus",
        "reuses": False,
        "composition": f"ST + TT, {variant}",
        "protocol": {target: dict(PROTOCOL) for target in TARGETS},
        "targets": targets,
        **looks,
    }


def per_query(content, target, **place):
    """The queries behind one cell: the first ones are matched at rank 1, the others at rank 7.

    All have the average precision of the mean, so that only seeds spread the mAP. Those that nothing matches
    come last. Later queries are seen less and for longer.
    """
    counted, unmatched = content["queries"], content["unmatched"]
    query = np.arange(counted + unmatched)
    there = query < counted
    return pd.DataFrame(
        {
            "query": query,
            "identity": 10 + query // EACH,
            "first_hit": np.where(there, np.where(query < round(content["rank1"] * counted), 1, 7), 0),
            "ap": np.where(there, content["mAP"], np.nan),
            "inp": np.where(there, content["mINP"], np.nan),
            "length": 10 + query // EACH,
            "visibility": 1 - query / len(query),
            "target": target,
            **place,
        }
    )


@pytest.fixture
def asked():
    """Cross-domain results -> their per-query results."""

    def frame(results):
        rows = [
            per_query(content, target, source=source, seed=one["seed"])
            for one in results
            for source, targets in one["sources"].items()
            for target, content in targets.items()
        ]
        return pd.concat(rows, ignore_index=True)

    return frame


@pytest.fixture
def tried():
    """Ablation cells -> their per-query results."""

    def frame(cells):
        rows = [
            per_query(content, target, variant=one["variant"], seed=one["seed"])
            for one in cells
            for target, content in one["targets"].items()
        ]
        return pd.concat(rows, ignore_index=True)

    return frame


@pytest.fixture
def cross(asked):
    """Cross-domain results -> their long table and the evidence behind it."""

    def both(results, targets=TARGETS):
        table = matrix(results, targets, "unreal")
        return table, evidence(asked(results), "source", table)

    return both


@pytest.fixture
def ablated(tried):
    """Ablation cells -> their long table and the evidence behind it."""

    def both(cells):
        table = arms(cells)
        return table, evidence(tried(cells), "variant", table)

    return both


@pytest.fixture
def results():
    """Two seeds."""
    return [result(0), result(1)]


@pytest.fixture
def cells():
    """Two variants of two seeds; the second variant does not fit its training identities with seed 1."""
    return [
        cell("vanilla", 0, 0.96),
        cell("vanilla", 1, 0.98, 0.5),
        cell("spatial", 0, 0.97),
        cell("spatial", 1, 0.31, 0.3),
    ]


@pytest.fixture
def domains():
    """How far apart the data sets are; each pair stands once."""
    return {
        "accuracy": {
            "campus": {"winter": 0.9, "station": 0.6, "unreal": 0.75},
            "winter": {"station": 0.7, "unreal": 0.8},
            "station": {"unreal": 0.65},
        },
        "standard_error": {
            "campus": {"winter": 0.01, "station": 0.06, "unreal": 0.05},
            "winter": {"station": 0.04, "unreal": 0.03},
            "station": {"unreal": 0.02},
        },
    }
