"""A difference of one seed each against the published spread, of several seeds against the report's test."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from sttreid.analysis import effects, uncertainty
from sttreid.analysis.verdicts import Judge, Verdict, power, seeds_to_detect
from tests.analysis import contents
from tests.analysis.outcomes import default_results, publication, variants_results


def scores(gains):
    return contents.cross_domain(default_results(gains).contents)


def rows(a, b, published, paired=True):
    """(setting, metric) -> its row, of two default runs."""
    found = Judge(published, 0.02, paired).rows(scores(a), scores(b))
    return {(row.setting, row.metric): row for row in found}


def test_a_row_has_the_difference_with_a_paired_interval_over_identities() -> None:
    found = rows({0: 0.0}, {0: 0.05}, publication(0.02))
    assert {setting for setting, _ in found} == {"in_domain", "cross_domain", "direct_transfer"}
    row = found["in_domain", "rank1"]
    assert (row.a, row.b) == (pytest.approx(0.5), pytest.approx(0.55))
    theirs, ours = scores({0: 0.0}), scores({0: 0.05})
    cells = theirs.cells("in_domain")
    expected = uncertainty.difference(
        [ours.samples[cell, "rank1"] for cell in cells], [theirs.samples[cell, "rank1"] for cell in cells]
    )
    assert (row.low, row.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert row.p is None


def test_a_difference_of_one_seed_each_is_within_the_margin_of_two_seeds() -> None:
    """95 % of the differences of two runs lie within t(0.975, n - 1) * sqrt(2) * sd of n published seeds."""
    margin = stats.t.ppf(0.975, 4) * 2**0.5 * 0.02
    found = rows({0: 0.0}, {1: 0.07}, publication(0.02))["in_domain", "rank1"]
    assert found.margin == pytest.approx(margin)
    assert found.sd == pytest.approx(0.02)
    assert 0.07 < margin < 0.08
    assert found.verdict is Verdict.WITHIN
    assert rows({0: 0.0}, {1: 0.08}, publication(0.02))["in_domain", "rank1"].verdict is Verdict.OUTSIDE
    assert rows({0: 0.08}, {1: 0.0}, publication(0.02))["in_domain", "rank1"].verdict is Verdict.OUTSIDE


def test_the_margin_covers_the_differences_of_chance_alone() -> None:
    """Given the spread of five seeds, two further normally distributed seeds differ by more in 5 %."""
    rng = np.random.default_rng(0)
    published, pairs = rng.normal(size=(20_000, 5)), rng.normal(size=(20_000, 2))
    margins = stats.t.ppf(0.975, 4) * 2**0.5 * published.std(axis=1, ddof=1)
    outside = np.abs(pairs[:, 1] - pairs[:, 0]) > margins
    assert 0.04 < outside.mean() < 0.06


def test_more_seeds_of_one_run_narrow_the_margin() -> None:
    one = rows({0: 0.0}, {0: 0.05}, publication(0.02))["in_domain", "rank1"]
    four = rows(dict.fromkeys(range(4), 0.0), {0: 0.05}, publication(0.02))["in_domain", "rank1"]
    assert four.margin == pytest.approx(one.margin * (1.25 / 2) ** 0.5)
    assert four.low is not None


def test_equal_results_are_told_apart_from_small_differences() -> None:
    found = rows({0: 0.0}, {1: 0.0}, publication(0.02))
    assert {row.verdict for row in found.values()} == {Verdict.IDENTICAL}
    assert {(row.low, row.high) for row in found.values()} == {(0.0, 0.0)}


@pytest.mark.parametrize("published", [None, publication(0.02, targets=["campus", "winter"])])
def test_without_the_spread_of_these_targets_there_is_no_verdict(published) -> None:
    row = rows({0: 0.0}, {0: 0.05}, published)["in_domain", "rank1"]
    assert (row.verdict, row.sd, row.margin, row.seeds_needed) == (Verdict.UNKNOWN, None, None, None)
    assert row.low is not None


@pytest.mark.parametrize("sides", [(0, 1), (1,)])
@pytest.mark.parametrize("variant", [None, "vanilla"])
def test_the_spread_of_another_protocol_is_not_used(variant, sides) -> None:
    """Re-ranking changes what another seed does; a comparison with plain results is forced."""
    runs = [default_results({0: 0.0}).contents, default_results({0: 0.05}).contents]
    for side in sides:
        for target in contents.TARGETS:
            runs[side][0]["protocol"][target] = contents.PROTOCOL | {"name": "embedded-reranked"}
    found = [contents.cross_domain(each) for each in runs]
    if variant:
        made = [variants_results({0: gain}).contents for gain in (0.0, 0.05)]
        for content, run in zip(made, runs, strict=True):
            content[0]["protocol"] = run[0]["protocol"]
        found = [contents.ablation(own, cross, None) for own, cross in zip(made, found, strict=True)]
    row = next(Judge(publication(0.02), 0.02).rows(*found, variant, "campus"))
    assert (row.verdict, row.sd) == (Verdict.UNKNOWN, None)


def test_queries_that_differ_are_not_paired() -> None:
    row = rows({0: 0.0}, {0: 0.05}, publication(0.02), paired=False)["in_domain", "rank1"]
    assert (row.low, row.high) == (None, None)
    assert row.difference == pytest.approx(0.05)
    assert row.verdict is Verdict.WITHIN


def test_several_seeds_of_both_are_tested_as_in_the_report() -> None:
    a, b = {0: 0.0, 1: 0.02, 2: 0.04}, {0: 0.01, 1: 0.05, 2: 0.03}
    row = rows(a, b, None)["in_domain", "rank1"]
    theirs, ours = scores(a), scores(b)
    cells = theirs.cells("in_domain")
    means = [
        effects.mean_over_datasets([each.samples[cell, "rank1"] for cell in cells]) for each in (ours, theirs)
    ]
    expected = effects.difference(*means).effect()
    assert (row.low, row.high, row.p) == (expected.low, expected.high, expected.p)
    assert row.verdict is Verdict.NOT_DIFFERENT
    assert row.seeds_needed is not None
    far = rows(a, {seed: gain + 0.3 for seed, gain in b.items()}, None)["in_domain", "rank1"]
    assert far.verdict is Verdict.DIFFERENT
    assert far.seeds_needed is None


def test_equal_seeds_are_paired_in_any_order() -> None:
    same = rows({0: 0.0, 1: 0.05}, {1: 0.05, 0: 0.0}, None)["in_domain", "rank1"]
    assert same.verdict is Verdict.IDENTICAL
    better = rows({0: 0.0, 1: 0.05, 2: 0.01}, {2: 0.03, 0: 0.02, 1: 0.07}, None)["in_domain", "rank1"]
    ordered = rows({0: 0.0, 1: 0.05, 2: 0.01}, {0: 0.02, 1: 0.07, 2: 0.03}, None)["in_domain", "rank1"]
    assert better == ordered


def test_a_variant_has_the_spread_of_the_default_runs_model_of_its_source() -> None:
    default = scores({0: 0.0})
    theirs, ours = (
        contents.ablation(variants_results({0: gain}).contents, default, None) for gain in (0.0, 0.05)
    )
    found = {
        (row.setting, row.metric): row
        for row in Judge(publication(0.02), 0.02).rows(theirs, ours, "vanilla", "campus")
    }
    assert found["in_domain", "rank1"].difference == pytest.approx(0.05)
    assert found["cross_domain", "rank1"].sd == pytest.approx(0.02)  # all cells have the same seeds
    assert ("direct_transfer", "rank1") not in found
    elsewhere = Judge(publication(0.02), 0.02).rows(theirs, ours, "vanilla", "nowhere")
    assert {row.sd for row in elsewhere} == {None}


@pytest.mark.parametrize(("difference", "sd"), [(0.03, 0.02), (0.02, 0.02), (0.02, 0.04), (0.2, 0.01)])
def test_the_number_of_seeds_is_the_smallest_that_detects_the_difference(difference, sd) -> None:
    count = seeds_to_detect(difference, sd)
    assert power(difference / sd, count) >= 0.8
    assert count == 2 or power(difference / sd, count - 1) < 0.8
    assert seeds_to_detect(-difference, sd) == count


def test_the_power_is_that_of_simulated_studies() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 20_000, 6))
    p = stats.ttest_ind(a, b + 1.5, axis=1).pvalue
    assert power(1.5, 6) == pytest.approx((p < 0.05).mean(), abs=0.01)


def test_without_any_spread_two_seeds_detect_everything() -> None:
    assert seeds_to_detect(0.02, 0.0) == 2


def test_the_difference_to_detect_is_at_least_the_one_that_matters() -> None:
    small = rows({0: 0.0}, {0: 0.01}, publication(0.04))["in_domain", "rank1"]
    large = rows({0: 0.0}, {0: 0.05}, publication(0.04))["in_domain", "rank1"]
    assert (small.detectable, large.detectable) == (pytest.approx(0.02), pytest.approx(0.05))
    assert small.seeds_needed > large.seeds_needed


def test_no_number_of_seeds_detects_nothing() -> None:
    """Two runs may have the same rank-1 with other answers, and no difference may be too small to matter."""
    a, b = scores({0: 0.0}), scores({0: 0.0})
    for key, sample in b.samples.items():
        b.samples[key] = replace(sample, sums=sample.sums[:, ::-1])
    row = next(Judge(publication(0.02), 0.0).rows(a, b))
    assert (row.verdict, row.difference) == (Verdict.WITHIN, 0)
    assert (row.detectable, row.seeds_needed) == (None, None)
