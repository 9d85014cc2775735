"""Effects of few seeds: against textbook tests, and how often a null effect is called significant."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sttreid.analysis import uncertainty
from sttreid.analysis.effects import (
    Effect,
    Quantity,
    difference,
    holm,
    identity_variance,
    mean_over_datasets,
    t_test,
    weighted_sum,
)
from sttreid.analysis.uncertainty import Sample, resampled, sample
from sttreid.runtime.errors import InputError


def crossed(rng, seeds=5, identities=60, seed_sd=0.02, identity_sd=0.08, noise=0.1, gain=0.0):
    """Two variants, three queries per identity; their difference varies with seed, identity and both."""
    gains = rng.normal(0, seed_sd, (seeds, 1)) + rng.normal(0, identity_sd, (1, identities))
    gains = gain + gains + rng.normal(0, noise, (seeds, identities))
    base = template(identities)
    theirs = replace(base, sums=np.full((seeds, identities), 1.5))
    return replace(base, sums=3 * (0.5 + gains)), theirs


def paired(ours, theirs, resamples=1000):
    return difference(mean_over_datasets(ours), mean_over_datasets(theirs)).effect(resamples)


def by_seed(samples):
    return mean_over_datasets(samples).seeds


@cache
def template(identities) -> Sample:
    identity = np.repeat(np.arange(identities), 3)
    queries = {"query": np.arange(len(identity)), "identity": identity, "first_hit": 1, "ap": 0.5, "inp": 0.5}
    return sample("here", [pd.DataFrame(queries)], "mAP")


def test_without_people_it_is_the_paired_t_test():
    ours, theirs = np.random.default_rng(0).normal(0.5, 0.1, (2, 5))
    result, oracle = t_test(ours - theirs), stats.ttest_rel(ours, theirs)
    assert result.p == pytest.approx(oracle.pvalue)
    assert (result.low, result.high) == pytest.approx(tuple(oracle.confidence_interval(0.95)))
    assert result.value == pytest.approx(ours.mean() - theirs.mean())


def test_with_equal_seeds_it_is_the_t_test_over_identity_variance():
    ours, theirs = crossed(np.random.default_rng(1), seeds=3, seed_sd=0, noise=0)
    result = paired([ours], [theirs], resamples=4000)
    oracle = stats.ttest_1samp((ours.sums - theirs.sums)[0] / 3, 0)
    assert result.p == pytest.approx(oracle.pvalue, abs=0.03)
    low, high = oracle.confidence_interval(0.95)
    assert (result.low, result.high) == pytest.approx((low, high), abs=0.002)


@pytest.mark.parametrize(
    ("seed_sd", "identity_sd", "noise"),
    [(0.05, 0.0, 0.05), (0.0, 0.2, 0.05), (0.03, 0.15, 0.1), (0.0, 0.0, 0.2)],
)
def test_false_positives_keep_to_the_level_with_five_seeds(seed_sd, identity_sd, noise):
    """Seeds decide, identities decide, both, neither. 500 trials: three standard errors above 5 % are 8 %."""
    rng = np.random.default_rng(2)
    trials = [
        paired([ours], [theirs], resamples=200)
        for ours, theirs in (crossed(rng, 5, 60, seed_sd, identity_sd, noise) for _ in range(500))
    ]
    assert np.mean([result.p < 0.05 for result in trials]) < 0.08
    assert np.mean([result.low <= 0 <= result.high for result in trials]) > 0.92


def test_the_hierarchical_bootstrap_alone_gives_too_many_false_positives():
    """The reason for this module: where the seeds decide, its p is below 0.05 far more often than 5 %."""
    rng = np.random.default_rng(3)
    positives = [
        uncertainty.difference([ours], [theirs], resamples=200).p < 0.05
        for ours, theirs in (crossed(rng, 5, 60, 0.05, 0.0, 0.02) for _ in range(300))
    ]
    assert np.mean(positives) > 0.1


def test_a_clear_gain_is_found_with_five_seeds():
    rng = np.random.default_rng(4)
    result = [paired(*([one] for one in crossed(rng, gain=0.1)), resamples=200).p for _ in range(100)]
    assert np.mean([p < 0.05 for p in result]) > 0.9


def test_a_detectable_effect_is_found_in_four_of_five_studies():
    """Studies of five values: the standard error has 4 degrees of freedom, as where the seeds decide."""
    rng = np.random.default_rng(9)
    size = np.mean([t_test(rng.normal(0, 1, 5)).detectable() for _ in range(1000)])
    expected = size / 0.94  # the mean of an estimate of a standard deviation with 5 values
    found = [t_test(rng.normal(expected, 1, 5)).p < 0.05 for _ in range(1000)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.04)


def test_without_a_test_nothing_is_detectable():
    assert t_test(np.array([0.3])).detectable() is None
    assert t_test(np.array([0.1, 0.1])).detectable() is None


def test_one_seed_has_an_interval_over_people_and_no_test():
    ours, theirs = crossed(np.random.default_rng(5), seeds=1)
    result = paired([ours], [theirs])
    assert result.p is None
    assert result.low < result.value < result.high
    assert result.seeds == 1


def test_data_sets_count_alike():
    rng = np.random.default_rng(6)
    one, other = crossed(rng, identities=20, gain=0.1), crossed(rng, identities=80)
    pairs = [[replace(side, dataset=name) for side in pair] for pair, name in ((one, "a"), (other, "b"))]
    result = paired([pairs[0][0], pairs[1][0]], [pairs[0][1], pairs[1][1]])
    alone = [paired([ours], [theirs]).value for ours, theirs in pairs]
    assert result.value == pytest.approx(np.mean(alone))


def combined(parts):
    return weighted_sum([(weight, mean_over_datasets(samples)) for weight, samples in parts]).effect()


def test_a_weighted_sum_is_tested_as_one():
    """Of two data sets: their identities differ, so variances add; their seeds are the same."""
    rng = np.random.default_rng(8)
    one, other = (
        [replace(side, dataset=name) for side in crossed(rng, identities=40, gain=0.1)] for name in ("a", "b")
    )
    parts = [(0.5, one[:1]), (-0.5, one[1:]), (-2.0, other[:1]), (2.0, other[1:])]
    result = combined(parts)
    differences = 0.5 * (by_seed(one[:1]) - by_seed(one[1:])) - 2 * (by_seed(other[:1]) - by_seed(other[1:]))
    assert result.value == pytest.approx(differences.mean())
    variance, freedom = identity_variance(parts)
    apart = [identity_variance([(1, side[:1]), (-1, side[1:])])[0] for side in (one, other)]
    assert variance == pytest.approx(0.25 * apart[0] + 4 * apart[1], rel=0.15)
    squares = [(factor * one) ** 2 / 39 for factor, one in zip((0.25, 4), apart, strict=True)]
    assert freedom == pytest.approx((0.25 * apart[0] + 4 * apart[1]) ** 2 / sum(squares), abs=2)
    assert result.low == pytest.approx(t_test(differences, variance, freedom).low)
    assert combined([(1, one[:1]), (-1, one[1:])]) == paired(one[:1], one[1:])


def test_a_sum_of_sums_is_the_sum():
    """What involves no identities has no variance over them, and weights multiply."""
    ours, theirs = (mean_over_datasets([side]) for side in crossed(np.random.default_rng(12), identities=30))
    gaps = [weighted_sum([(1, Quantity(np.linspace(0.9, 1.0, 5))), (-1, side)]) for side in (ours, theirs)]
    result = weighted_sum([(2, gaps[1]), (-2, gaps[0])])
    straight = weighted_sum([(2, ours), (-2, theirs)])
    np.testing.assert_allclose(result.seeds, straight.seeds)
    assert identity_variance(result.terms) == pytest.approx(identity_variance(straight.terms))
    assert result.mean == pytest.approx(result.effect().value)


def test_the_people_of_a_data_set_are_drawn_alike_for_both_arms():
    """A gain that is the same for everybody does not depend on who is tested."""
    ours, _ = crossed(np.random.default_rng(9), identities=30)
    easier = replace(ours, sums=ours.sums + 0.3)
    alone = identity_variance([(1, [ours])])[0]
    assert identity_variance([(1, [easier]), (-1, [ours])])[0] < 1e-20 < 1e-5 < alone


def test_the_variance_over_people_is_that_of_a_naive_bootstrap():
    ours, theirs = crossed(np.random.default_rng(10), identities=25)
    gains = (ours.sums - theirs.sums).mean(axis=0) / 3
    rng = np.random.default_rng(0)
    draws = [gains[rng.integers(0, 25, 25)].mean() for _ in range(20000)]
    variance, freedom = identity_variance([(1, [ours]), (-1, [theirs])], resamples=20000)
    assert variance == pytest.approx(np.var(draws) * 25 / 24, rel=0.05)
    assert variance == pytest.approx(gains.var(ddof=1) / 25, rel=0.05)
    assert freedom == 24


def test_a_data_set_of_few_people_does_not_spoil_the_others():
    """Each has its own degrees of freedom, and counts by its part in the variance."""
    rng = np.random.default_rng(11)
    large, small = (
        [replace(side, dataset=name) for side in crossed(rng, identities=count, noise=0.02)]
        for name, count in (("a", 200), ("b", 4))
    )
    small = [replace(small[0], sums=small[1].sums + 0.001 * np.arange(4)), small[1]]
    both = identity_variance([(1, [large[0], small[0]]), (-1, [large[1], small[1]])])
    assert both[1] > 100


@pytest.mark.parametrize("seeds", [1, 5])
def test_one_identity_is_not_tested(seeds):
    """Its variance is not known; the seeds alone would call any gain of this person significant."""
    rng = np.random.default_rng(12)
    ours, theirs = crossed(rng, seeds=seeds, identities=1, gain=0.3)
    with pytest.raises(InputError, match=r"here: .* at least 2 .* got 1"):
        paired([ours], [theirs])
    large = [replace(side, dataset="large") for side in crossed(rng, seeds=seeds)]
    with pytest.raises(InputError, match=r"here: .* at least 2 .* got 1"):
        paired([large[0], ours], [large[1], theirs])


def test_unlike_people_are_no_pair():
    ours, theirs = crossed(np.random.default_rng(12), identities=10)
    other = replace(theirs, identities=theirs.identities + 1)
    with pytest.raises(InputError, match="here: a paired comparison needs the same queries"):
        paired([ours], [other])


def test_no_spread_and_no_seed():
    assert t_test(np.array([0.1, 0.1])) == Effect(0.1, 0.1, 0.1, None, 2)
    with pytest.raises(InputError, match="at least 1 seed, got 0"):
        t_test(np.array([]))


def test_resampling_people_leaves_the_seeds_alone():
    ours, _ = crossed(np.random.default_rng(7), identity_sd=0, noise=0)
    mean = replace(ours, sums=ours.sums.mean(axis=0, keepdims=True))
    assert resampled([mean], 50, 0).std() == pytest.approx(0, abs=1e-12)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_holm_rejects_what_its_steps_reject():
    """The procedure as Holm tells it, step by step, against adjusted p-values."""
    rng = np.random.default_rng(8)
    for _ in range(50):
        values = rng.uniform(0, 0.1, 6)
        left, rejected = sorted(range(6), key=lambda i: values[i]), set()
        while left and values[left[0]] * len(left) <= 0.05:
            rejected.add(left.pop(0))
        assert {i for i, p in enumerate(holm(values)) if p <= 0.05} == rejected
