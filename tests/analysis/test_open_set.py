"""DIR at a rate of false alarms, against loops, and how wide its interval is."""

import numpy as np
import pandas as pd
import pytest

from sttreid.analysis.open_set import ALL, COLUMNS, RATES, Searches, detection, searches
from sttreid.analysis.uncertainty import draws
from sttreid.runtime.errors import InputError


def table(people=40, per_person=3, seed=0, gap=1.0):
    rng = np.random.default_rng(seed)
    count = people * per_person
    return pd.DataFrame(
        {
            "query": rng.permutation(count),
            "identity": np.repeat(np.arange(people), per_person),
            "stranger_distance": gap + rng.random(count),
            "there_distance": 2 * rng.random(count),
            "there_correct": rng.random(count) < 0.8,
        }
    )


def naive(rows, rate):
    """The largest threshold among the strangers' distances that allows no more alarms."""
    best = 0.0
    for limit in [*rows["stranger_distance"], np.inf]:
        if (rows["stranger_distance"] < limit).mean() <= rate + 1e-12:
            best = max(best, (rows["there_correct"] & (rows["there_distance"] < limit)).mean())
    return best


@pytest.mark.parametrize("rate", [*RATES, 0.5])
def test_detection_against_a_loop_over_thresholds(rate):
    rows = table()
    found = searches("a", [rows])
    assert detection([found], rate).value == pytest.approx(naive(rows, rate))
    assert 0 < naive(rows, rate) < rows["there_correct"].mean()


def test_resamples_are_those_of_copied_people():
    rows = table(people=6)
    found = searches("a", [rows])
    values = []
    for counts in draws(20, 6, 3, "a").astype(int):
        copies = [rows[rows["identity"] == person] for person in range(6) for _ in range(counts[person])]
        values.append(naive(pd.concat(copies), 0.1))
    interval = detection([found], 0.1, 20, 3)
    assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))


def test_detection_rises_with_the_rate_up_to_rank1():
    rows = table()
    values = [detection([searches("a", [rows])], rate).value for rate in (*RATES, ALL)]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(rows["there_correct"].mean())


def test_people_who_are_well_apart_are_all_found():
    rows = table(gap=3.0).assign(there_correct=True)
    interval = detection([searches("a", [rows])], 0.01)
    assert (interval.value, interval.low, interval.high) == (1, 1, 1)


def test_means_over_data_sets_and_seeds():
    tables = [table(seed=seed).assign(query=np.arange(120)) for seed in range(4)]
    ones = [detection([searches("a", [each])], 0.1).value for each in tables]
    pair = searches("a", tables[:2]), searches("b", tables[2:])
    assert detection(pair, 0.1).value == pytest.approx(np.mean(ones))


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    rng, truth, inside = np.random.default_rng(5), 0.5, 0
    for _ in range(100):  # strangers far away; half of the others are found
        found = rng.random(80) < truth
        one = Searches("a", 80, np.arange(80), np.full((1, 80), 2.0), np.where(found, 0.5, np.inf)[None])
        interval = detection([one], 0.1, 200)
        inside += interval.low <= truth <= interval.high
    assert 88 <= inside < 100


def test_one_identity_says_nothing_about_others():
    found = detection([searches("a", [table(people=1)]), searches("b", [table()])], ALL)
    assert (found.low, found.high) == (0, 1)


def test_without_searches_there_is_nothing():
    assert searches("a", [table().assign(stranger_distance=np.nan)]) is None
    assert searches("a", []) is None
    for column in COLUMNS:
        assert searches("a", [table().drop(columns=column)]) is None


def test_seeds_with_other_queries_are_refused():
    with pytest.raises(InputError, match=r"a: .*120 queries"):
        searches("a", [table(), table().iloc[:-1]])
