"""Intervals against a bootstrap written down from its definition, and against simulated truth."""

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sttreid.analysis.uncertainty import Difference, Sample, difference, draws, interval, resampled, sample
from sttreid.runtime.errors import InputError


def queries_of(rng, identities, each=4, clustered=0.3, level=0.5, name="ap"):
    """Queries of identities of whom each is as hard in all their queries, with a little noise a query."""
    hard = np.repeat(rng.normal(0, clustered, identities), each)
    values = level + hard + rng.normal(0, 0.05, identities * each)
    query = np.arange(identities * each)
    table = pd.DataFrame({"query": query, "identity": 7 + 3 * (query // each), "first_hit": 1, "inp": 0.5})
    return table.assign(**{"ap": 0.5, name: values})


def uneven(rng, identities, seeds):
    """One table a seed of the same identities, with 1 to 5 queries each."""
    identity = np.repeat(np.arange(identities), rng.integers(1, 6, identities))
    tables = []
    for seed in range(seeds):
        hit = rng.integers(1, 30, len(identity))
        values = rng.random(len(identity)) * 0.4 + 0.02 * identity + 0.05 * seed
        tables.append(
            pd.DataFrame(
                {
                    "query": np.arange(len(identity)),
                    "identity": identity,
                    "first_hit": hit,
                    "ap": values,
                    "inp": values / 2,
                }
            )
        )
    return tables


def naive(places, resamples, rng, column="ap"):
    """Draw seeds and, in each data set, identities, with all their queries, one by one."""
    groups = [
        [{k: g[column].to_numpy() for k, g in table.groupby("identity")} for table in tables]
        for tables in places.values()
    ]
    means = []
    for _ in range(resamples):
        seeds = rng.choice(len(groups[0]), len(groups[0]))
        total = 0.0
        for tables in groups:
            names = list(tables[0])
            identities = rng.choice(names, len(names))
            scores = [np.concatenate([tables[seed][who] for who in identities]).mean() for seed in seeds]
            total += np.mean(scores) / len(groups)
        means.append(total)
    return np.array(means)


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_draws_are_those_of_the_definition(seeds):
    rng = np.random.default_rng(3)
    places = {"campus": uneven(rng, 20, seeds), "winter": uneven(rng, 35, seeds)}
    slow = naive(places, 3000, rng)
    fast = resampled([sample(name, tables, "mAP") for name, tables in places.items()], 20_000, 1)
    assert fast.mean() == pytest.approx(slow.mean(), abs=4 * slow.std() / 3000**0.5)
    assert fast.std() == pytest.approx(slow.std(), rel=4 / 6000**0.5)
    for level in (0.025, 0.25, 0.5, 0.75, 0.975):
        below = (slow <= np.quantile(fast, level)).mean()
        assert below == pytest.approx(level, abs=4 * (level * (1 - level) / 3000) ** 0.5 + 2e-4)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("rank1", 1 / 5),
        ("rank5", 2 / 5),
        ("rank10", 3 / 5),
        ("rank20", 4 / 5),
        ("mAP", 0.3),
        ("mINP", 0.2),
    ],
)
def test_a_metric_is_the_mean_over_the_queries_that_count(metric, expected):
    table = pd.DataFrame(
        {
            "query": range(6),
            "identity": [1, 1, 2, 3, 3, 4],
            "first_hit": [1, 5, 6, 20, 0, 0],  # the fifth is not matched but counts, the last does not
            "ap": [0.5, 0.5, 0.25, 0.25, 0.0, np.nan],
            "inp": [0.5, 0.25, 0.125, 0.125, 0.0, np.nan],
        }
    )
    one = sample("campus", [table], metric)
    assert interval([one]).value == one.value == pytest.approx(expected)
    assert one.counts.tolist() == [2, 1, 2]
    assert one.identities.tolist() == [1, 2, 3]


def test_data_sets_count_alike_whatever_their_queries():
    rng = np.random.default_rng(0)
    few, many = sample("a", uneven(rng, 5, 2), "mAP"), sample("b", uneven(rng, 60, 2), "mAP")
    assert interval([few, many]).value == pytest.approx((few.value + many.value) / 2)


def ends_of(table, place="campus", seed=0):
    return interval([sample(place, [table], "mAP")], resamples=300, seed=seed)


def test_95_per_cent_of_the_intervals_hold_the_truth_and_less_if_queries_were_independent():
    rng = np.random.default_rng(11)
    held, naively = [], []
    for trial in range(200):
        table = queries_of(rng, 60)
        one = ends_of(table, seed=trial)
        alone = ends_of(table.assign(identity=table["query"]), seed=trial)
        held.append(one.low <= 0.5 <= one.high)
        naively.append(alone.low <= 0.5 <= alone.high)
    assert 0.89 <= np.mean(held) <= 0.98
    assert np.mean(naively) < 0.80  # four queries of a identity are about as good as one: half as wide


def test_the_width_is_that_of_the_means_of_identities():
    table = queries_of(np.random.default_rng(2), 200)
    one = interval([sample("campus", [table], "mAP")], resamples=4000)
    error = table.groupby("identity")["ap"].mean().std(ddof=0) / 200**0.5
    assert one.high - one.low == pytest.approx(2 * 1.96 * error, rel=0.08)


def test_seeds_that_differ_widen_an_interval():
    tables = uneven(np.random.default_rng(4), 40, 1) * 3
    same = interval([sample("a", tables, "mAP")])
    apart = [table.assign(ap=table["ap"] + 0.2 * seed) for seed, table in enumerate(tables)]
    wide = interval([sample("a", apart, "mAP")])
    assert wide.high - wide.low > 2 * (same.high - same.low)
    once = interval([sample("a", tables[:1], "mAP")])
    assert (same.low, same.high) == pytest.approx((once.low, once.high))  # three times the same says no more


def test_a_paired_difference_is_narrower_than_one_of_independent_identities():
    rng = np.random.default_rng(5)
    base = queries_of(rng, 80)
    better = base.assign(ap=base["ap"] + 0.03 + rng.normal(0, 0.02, len(base)))
    ours, theirs = ([sample("campus", [table], "mAP")] for table in (better, base))
    paired = difference(ours, theirs)
    apart = resampled(ours, 1000, 0) - resampled(theirs, 1000, 1)
    low, high = np.quantile(apart, [0.025, 0.975])
    assert paired.high - paired.low < 0.2 * (high - low)
    assert paired.value == pytest.approx(better["ap"].mean() - base["ap"].mean())
    assert 0 < paired.low < paired.value < paired.high
    assert paired.p == pytest.approx(2 / 1001)


def test_a_difference_turned_round_changes_its_sign_alone():
    rng = np.random.default_rng(6)
    one, other = ([sample("a", [queries_of(rng, 40)], "mAP")] for _ in range(2))
    forth, back = difference(one, other), difference(other, one)
    assert (back.value, back.low, back.high) == pytest.approx((-forth.value, -forth.high, -forth.low))
    assert back.p == forth.p


def test_the_p_value_is_uniform_where_nothing_differs():
    rng = np.random.default_rng(7)
    results = []
    for trial in range(250):
        base = queries_of(rng, 50)
        hard = np.repeat(rng.normal(0, 0.1, (2, 50)), 4, axis=1)
        sides = [[sample("a", [base.assign(ap=base["ap"] + shift)], "mAP")] for shift in hard]
        results.append(difference(*sides, resamples=200, seed=trial).p)
    for level in (0.05, 0.2, 0.5, 0.8):
        assert np.mean(np.array(results) <= level) == pytest.approx(level, abs=0.08)
    assert np.mean(np.array(results) <= 0.05) < 0.1


def test_equal_models_do_not_differ():
    one = [sample("a", [queries_of(np.random.default_rng(0), 20)], "mAP")]
    results = difference(one, one)
    assert (results.value, results.low, results.high, results.p) == (0.0, 0.0, 0.0, 1.0)


def test_the_p_value_is_that_of_exact_arithmetic():
    rng = np.random.default_rng(1)
    for _ in range(30):  # hits are whole numbers, so sums of differences are exact
        people, seeds = int(rng.integers(5, 40)), int(rng.choice([3, 5]))
        counts = rng.integers(1, 5, people)
        ours = rng.binomial(counts, 0.6, (seeds, people))
        theirs = ours.copy()
        theirs[:, :2] = rng.integers(0, counts[:2] + 1, (seeds, 2))
        sides = (
            [Sample("a", "rank1", sums.astype(float), counts.astype(float), np.arange(people))]
            for sums in (ours, theirs)
        )
        drawn = draws(1000, people, 0, "a").astype(int) @ (ours - theirs).T
        exact = (drawn * draws(1000, seeds, 0).astype(int)).sum(axis=1)
        tail = min((exact <= 0).sum(), (exact >= 0).sum()) + 1
        assert difference(*sides).p == pytest.approx(min(1, 2 * tail / 1001))


def test_equal_arguments_give_equal_draws_and_others_others():
    one = [sample("a", [queries_of(np.random.default_rng(0), 30)], "mAP")]
    other = [sample("b", [queries_of(np.random.default_rng(0), 30)], "mAP")]
    assert interval(one) == interval(one)
    assert interval(one) != interval(one, seed=1)
    assert interval(one) != interval(other)  # identities of two data sets are drawn apart


def identities_of_one_query(values, place="a"):
    """A sample with one table a seed, in which every identity has one query; values [S, C]."""
    query = np.arange(len(values[0]))
    plain = pd.DataFrame({"query": query, "identity": query, "first_hit": 1, "inp": 0.5})
    return sample(place, [plain.assign(ap=one) for one in values], "mAP")


def test_the_seeds_follow_the_seed_of_the_draws():
    one = identities_of_one_query([[0.1], [0.5], [0.9]])  # one identity: seeds alone are drawn
    first, again, other = (resampled([one], 200, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    uneven = identities_of_one_query(np.random.default_rng(0).random((6, 9)))
    assert interval([uneven], seed=3) == interval([uneven], seed=3)
    assert interval([uneven], seed=3) != interval([uneven], seed=4)


def test_data_sets_share_the_draw_of_the_seeds():
    up = identities_of_one_query([[0.6], [0.5], [0.4]])
    down = identities_of_one_query([[0.4], [0.5], [0.6]], "b")  # takes away what a seed adds there
    np.testing.assert_allclose(resampled([up, down], 500, 0), 0.5, atol=1e-12)
    assert resampled([up], 500, 0).std() > 0.01


def test_draws_that_calls_share_cannot_be_changed():
    one = identities_of_one_query([[0.1, 0.2], [0.5, 0.9]])
    before = resampled([one], 50, 0)
    for drawn in (draws(50, 2, 0), draws(50, 2, 0, "campus")):
        with pytest.raises(ValueError, match="read-only"):
            drawn[0] = 0
    before[:] = 7  # one's own
    assert resampled([one], 50, 0).max() < 1


@pytest.mark.parametrize(("name", "value", "least"), [("resamples", 0, 1), ("seed", -1, 0)])
def test_an_argument_that_is_too_small_is_refused(name, value, least):
    one = identities_of_one_query([[0.1, 0.2]])
    rule = f"{name} must be at least {least}, got {value}"
    with pytest.raises(InputError, match=rule):
        interval([one], **{name: value})
    with pytest.raises(InputError, match=rule):
        difference([one], [one], **{name: value})
    assert interval([one], resamples=1, seed=0).low <= one.value + 0.06


@pytest.mark.parametrize(("seeds", "share"), [(2, 0.5), (3, 0.25), (5, 0.16), (10, 0.1)])
def test_few_seeds_call_too_many_equal_models_different_as_the_docstring_says(seeds, share):
    rng = np.random.default_rng(seeds)
    nothing, results = identities_of_one_query(np.zeros((seeds, 2))), []
    for _ in range(400):
        shifted = np.tile(rng.normal(0, 0.1, (seeds, 1)), 2)
        results.append(difference([replace(nothing, sums=shifted)], [nothing], resamples=300))
    assert np.mean([each.direction != "not significant" for each in results]) == pytest.approx(
        share, abs=0.075
    )


@pytest.mark.parametrize(("identities", "share"), [(5, 0.16), (10, 0.11), (30, 0.07)])
def test_few_identities_call_too_many_equal_models_different_as_the_docstring_says(identities, share):
    rng = np.random.default_rng(identities)
    nothing, results = identities_of_one_query(np.zeros((1, identities))), []
    for seed in range(400):
        other = rng.normal(0, 0.1, (1, identities))
        results.append(difference([replace(nothing, sums=other)], [nothing], resamples=300, seed=seed))
    assert np.mean([each.direction != "not significant" for each in results]) == pytest.approx(
        share, abs=0.05
    )


@pytest.mark.parametrize(
    ("low", "high", "direction"),
    [(0.1, 0.3, "above"), (-0.3, -0.1, "below"), (-0.1, 0.2, "not significant"), (0, 0.2, "not significant")],
)
def test_a_difference_is_significant_where_the_interval_excludes_zero(low, high, direction):
    assert Difference(0.1, low, high, 0.5).direction == direction


def test_the_order_of_the_queries_changes_nothing():
    rng = np.random.default_rng(1)
    tables = uneven(rng, 30, 2)
    mixed = [table.sample(frac=1, random_state=k) for k, table in enumerate(tables)]
    assert interval([sample("a", mixed, "rank5")]) == interval([sample("a", tables, "rank5")])


@pytest.mark.parametrize("seeds", [1, 3])
def test_one_identity_says_nothing_about_others(seeds):
    """All of its resamples are equal, which is no certainty."""
    rng = np.random.default_rng(0)
    many = uneven(rng, 30, seeds)
    better, worse = ([table.assign(ap=ap) for table in many] for ap in (0.9, 0.1))
    alone = [[table[table["identity"] == 3] for table in tables] for tables in (better, worse)]
    one, other = (sample("a", tables, "mAP") for tables in alone)
    whole = [sample("b", tables, "mAP") for tables in (better, worse)]
    for ours, theirs in (([one], [other]), ([whole[0], one], [whole[1], other])):
        found = interval(ours)
        assert (found.value, found.low, found.high) == (pytest.approx(0.9), 0, 1)
        gain = difference(ours, theirs)
        assert (gain.value, gain.low, gain.high, gain.p) == (pytest.approx(0.8), -1, 1, 1)
        assert gain.direction == "not significant"
    assert difference(whole[:1], whole[1:]).direction == "above"


def test_what_cannot_be_reduced_is_refused():
    tables = uneven(np.random.default_rng(0), 10, 2)
    with pytest.raises(InputError, match=r"the metric must be one of rank1, .* got 'accuracy'"):
        sample("campus", tables, "accuracy")
    with pytest.raises(InputError, match="campus: there must be at least 1 query that counts, got 0"):
        sample("campus", [], "mAP")
    with pytest.raises(InputError, match="campus: there must be at least 1 query that counts, got 0"):
        sample("campus", [tables[0].assign(ap=np.nan)], "mAP")
    rule = f"campus: all seeds must have the same {len(tables[0])} queries"
    for other in (
        tables[1].iloc[1:],
        tables[1].assign(identity=tables[1]["identity"] + 1),
        tables[1].assign(query=tables[1]["query"] + 1),
    ):
        with pytest.raises(InputError, match=rule):
            sample("campus", [tables[0], other], "mAP")


def test_samples_that_do_not_belong_together_are_refused():
    tables = uneven(np.random.default_rng(0), 10, 2)
    both, single = sample("a", tables, "mAP"), sample("b", tables[:1], "mAP")
    with pytest.raises(InputError, match=r"the same number of seeds, got \[1, 2\] seeds"):
        interval([both, single])
    with pytest.raises(InputError, match=r"there must be samples, .*, got \[\] seeds"):
        interval([])
    with pytest.raises(InputError, match=r"there must be samples, .*, got \[\] seeds"):
        difference([], [])


def test_unlike_metrics_are_neither_averaged_nor_compared():
    tables = uneven(np.random.default_rng(0), 10, 1)
    ours, theirs = sample("a", tables, "mAP"), sample("a", tables, "rank1")
    assert (ours.metric, theirs.metric) == ("mAP", "rank1")
    with pytest.raises(InputError, match="a: a paired comparison needs one metric, got mAP and rank1"):
        difference([ours], [theirs])
    with pytest.raises(InputError, match="all samples must be of one metric, got mAP and rank1"):
        interval([ours, sample("b", tables, "rank1")])


def test_one_data_set_must_have_the_same_identities_in_all_samples():
    # as many identities, but not the same: once drawn as if they were
    tables = uneven(np.random.default_rng(0), 10, 1)
    others = [tables[0].assign(identity=tables[0]["identity"] + 4)]
    rule = "a: all samples of a data set must have the same identities, got 10 and 10, of which 6 are shared"
    with pytest.raises(InputError, match=rule):
        interval([sample("a", tables, "mAP"), sample("a", others, "mAP")])
    alike = interval([sample("a", tables, "mAP"), sample("b", others, "mAP")])
    assert alike.value == pytest.approx(sample("a", tables, "mAP").value)


def test_two_models_of_the_same_identities_are_drawn_alike():
    tables = uneven(np.random.default_rng(0), 10, 2)
    raised = [table.assign(ap=table["ap"] + 0.125) for table in tables]
    ours, theirs = (sample("a", some, "mAP") for some in (raised, tables))
    np.testing.assert_allclose(resampled([ours], 50, 0) - resampled([theirs], 50, 0), 0.125, atol=1e-12)
    both = resampled([ours, theirs], 50, 0)
    np.testing.assert_allclose(both, resampled([theirs], 50, 0) + 0.0625, atol=1e-12)


@pytest.mark.parametrize(
    ("sums", "counts"),
    [(np.ones((2, 3)), np.ones(2)), (np.ones((2, 2)), np.ones(3)), (np.ones((0, 3)), np.ones(3))],
)
def test_a_sample_whose_lengths_differ_is_refused(sums, counts):
    rule = r"a: sums \[S >= 1, C\] and counts \[C\] must be of the 3 identities, got"
    with pytest.raises(InputError, match=rule):
        Sample("a", "mAP", sums, counts, np.arange(3))


def test_only_the_same_queries_are_compared():
    tables = uneven(np.random.default_rng(0), 10, 1)
    one = sample("a", tables, "mAP")
    others = (
        sample("b", tables, "mAP"),
        sample("a", [tables[0].iloc[1:]], "mAP"),
        sample("a", [tables[0].assign(identity=tables[0]["identity"] + 1)], "mAP"),
    )
    for other in others:
        with pytest.raises(InputError, match="a: a paired comparison needs the same queries, got"):
            difference([one], [other])
    twice = sample("a", [tables[0], tables[0]], "mAP")
    with pytest.raises(
        InputError, match="a: a paired comparison needs the same number of seeds, got 1 and 2"
    ):
        difference([one], [twice])
    with pytest.raises(InputError, match="needs the same data sets, got 2 of ours, 1 of theirs"):
        difference([one, one], [one])


def test_1000_resamples_of_mars_take_no_time():
    rng = np.random.default_rng(0)
    identity = np.concatenate([np.arange(626), rng.integers(0, 626, 1980 - 626)])
    table = pd.DataFrame({"query": np.arange(1980), "identity": identity, "first_hit": 1, "inp": 0.5})
    start = time.process_time()
    results = interval([sample("mars", [table.assign(ap=rng.random(1980))], "mAP")], resamples=1000)
    assert time.process_time() - start < 5  # a tenth of a second where nothing else runs
    assert results.low < 0.5 < results.high


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("query", 1, "mars: each query must be in a table once, got query 1 again"),
        ("ap", np.inf, "mars: mAP of query 0 must be finite, got inf"),
    ],
)
def test_tables_that_cannot_be_averaged_are_refused(column, value, words):
    table = pd.DataFrame({"query": [0, 1], "identity": [0, 0], "first_hit": [1, 2], "ap": 0.5, "inp": 0.5})
    table.loc[0, column] = value
    with pytest.raises(InputError, match=words):
        sample("mars", [table], "mAP")
