"""Each metric is registered once: name, label, direction, format, and a finite value per query."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from sttreid.retrieval import METRICS
from sttreid.retrieval.metrics import HEADLINE, Metric, counted, metric
from sttreid.runtime.errors import InputError

TABLE = pd.DataFrame(
    {"first_hit": [1, 3, 0, 7], "ap": [1.0, 0.5, np.nan, 0.0], "inp": [1.0, 0.25, np.nan, 0.0]}
)


def test_names_and_labels_are_unique():
    assert len({each.name for each in METRICS}) == len({each.label for each in METRICS}) == len(METRICS)
    assert [metric(each.name) for each in METRICS] == list(METRICS)
    assert set(HEADLINE) < set(METRICS)


def test_an_unknown_metric_is_refused_with_the_names():
    with pytest.raises(InputError, match=r"must be one of rank1, .*mINP, got 'map'"):
        metric("map")


def test_only_queries_with_an_average_precision_count():
    assert counted(TABLE).index.tolist() == [0, 1, 3]


@pytest.mark.parametrize("each", METRICS, ids=lambda each: each.name)
def test_a_metric_is_the_mean_of_one_finite_value_per_query(each: Metric):
    values = each.of_queries(counted(TABLE))
    assert values.dtype == np.float64
    assert values.shape == (3,)
    assert np.isfinite(values).all()
    assert each.mean(TABLE) == values.mean()


def test_values_per_query():
    expected = {
        "rank1": [1, 0, 0],
        "rank5": [1, 1, 0],
        "rank10": [1, 1, 1],
        "mAP": [1, 0.5, 0],
        "mINP": [1, 0.25, 0],
    }
    for name, values in expected.items():
        assert metric(name).of_queries(counted(TABLE)).tolist() == values


def test_values_are_shown_in_the_metrics_format():
    share = metric("mAP")
    assert (share.text(0.5234), share.text(0.5234, 2), share.unit) == ("52.3", "52.34", "%")
    assert [share.text(value) for value in (-0.0002, -0.0, -0.002)] == ["0.0", "0.0", "-0.2"]
    steps = Metric("steps", "steps", share.of_queries, higher_is_better=False, percent=False)
    assert (steps.text(950, 0), steps.unit) == ("950", "")


@pytest.mark.parametrize("name", ["sttreid.retrieval", "sttreid.retrieval.metrics"])
def test_importing_the_evaluator_loads_no_heavy_package(name):
    heavy = {"torch", "decord", "numba", "altair", "dvc", "pydantic", "scipy", "sklearn"}
    code = f"import sys, {name}; print(*sorted({heavy} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout.split() == []
