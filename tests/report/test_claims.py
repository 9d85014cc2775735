"""The paper's questions on arms whose numbers are known: effects, corrections and every way to a verdict."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sttreid.config.claims import Claims, Contrast
from sttreid.report.arms import Run, between_looks, reached, study
from sttreid.report.claims import answers, content, curves, findings, table
from sttreid.report.claims_page import page
from sttreid.report.effects import by_seed, people
from sttreid.runtime.errors import InputError

PEOPLE, EACH = 80, 4
TARGETS = ["here", "there", "yonder"]
HOME, AWAY = ["here"], ["there", "yonder"]
PROTOCOL = dict.fromkeys(TARGETS, "embedded")
RULES = {"seeds_needed": 3, "alpha": 0.05, "relevant": 0.02, "reached": 0.4}


def asked(rate, seed, arm):
    """Queries of which about a share ``rate`` is matched at rank 1; the same people are hard for all arms."""
    rows = []
    for place, target in enumerate(TARGETS):
        hard = np.random.default_rng(place).random(PEOPLE * EACH)
        noise = np.random.default_rng([seed, place, *arm.encode()]).normal(0, 0.02, PEOPLE * EACH)
        hit = hard + noise < rate
        query = np.arange(PEOPLE * EACH)
        found = {
            "query": query,
            "identity": query // EACH,
            "first_hit": np.where(hit, 1, 7),
            "target": target,
        }
        rows.append(pd.DataFrame({**found, "ap": np.where(hit, 1.0, 1 / 7), "inp": 0.5}))
    return pd.concat(rows, ignore_index=True)


def curve(steps, level_at):
    """Looks every 10 steps; 0.5 from one step on."""
    step = np.arange(1, steps + 1)
    looked = step % 10 == 0
    return pd.DataFrame(
        {"step": step, "validation_rank1": np.where(looked, np.where(step >= level_at, 0.5, 0.1), np.nan)}
    )


def runs(arm, rate, seeds=3, fit=0.95, steps=100, level_at=50, pretrain=0):
    return [
        Run(
            arm, seed, pretrain, steps, fit, asked(rate, seed, arm), curve(steps, level_at) if steps else None
        )
        for seed in range(seeds)
    ]


def found(arms, *contrasts, **rules):
    named = {f"{c[1]}-{c[2]}": Contrast(c[0], c[1], c[2], judged=len(c) < 4) for c in contrasts}
    claims = Claims(**(RULES | rules), contrasts=named)
    one = study([run for arm in arms for run in arm], "here", TARGETS, 0.9)
    return one, claims, findings(one, claims)


def by(results, setting="in_domain", measure="rank1"):
    return next(one for one in results if (one.setting, one.measure) == (setting, measure))


def test_a_clear_gain_is_supported_in_both_settings():
    _, _, results = found([runs("new", 0.7), runs("old", 0.5)], ("RQ3", "new", "old"))
    assert [(one.setting, one.measure) for one in results] == [
        (setting, measure) for setting in ("in_domain", "cross_domain") for measure in ("rank1", "mAP")
    ]
    assert {one.verdict for one in results} == {"supported"}
    one = by(results)
    assert one.effect.value == pytest.approx(one.ours - one.theirs)
    assert one.effect.low < 0.2 < one.effect.high
    assert one.bootstrap[0] < one.effect.value < one.bootstrap[1]
    assert answers(results) == {"RQ3": {"in_domain": "supported", "cross_domain": "supported"}}


def elsewhere(arm, home, away):
    """One rate on the source, another one on the other data sets."""
    here, there = runs(arm, home), runs(arm, away)
    tables = [
        pd.concat(
            [one.queries[one.queries["target"] == "here"], other.queries[other.queries["target"] != "here"]]
        )
        for one, other in zip(here, there, strict=True)
    ]
    return [replace(one, queries=table) for one, table in zip(here, tables, strict=True)]


def test_a_claim_of_more_across_domains_compares_the_two_effects():
    """Only RQ1 claims it; each effect has people of its own, so their variances add up."""
    arms = [elsewhere("new", 0.55, 0.8), elsewhere("old", 0.5, 0.5)]
    one, _, results = found(arms, ("RQ1", "new", "old"))
    more = by(results, "cross_domain_more")
    effects = by(results, "cross_domain").effect, by(results).effect
    assert (more.ours, more.theirs) == pytest.approx([effect.value for effect in effects])
    assert more.effect.value == pytest.approx(effects[0].value - effects[1].value)
    pairs = [[one.samples(arm, where, "rank1") for arm in ("new", "old")] for where in (HOME, AWAY)]
    gains = [by_seed(ours) - by_seed(theirs) for ours, theirs in pairs]
    apart = sum(people([(1, ours), (-1, theirs)])[0] for ours, theirs in pairs)
    gaps = gains[1] - gains[0]
    seeds = gaps.var(ddof=1) / 3
    freedom = (seeds + apart) ** 2 / (seeds**2 / 2 + apart**2 / (PEOPLE - 1))
    reach = stats.t(freedom).ppf(0.975) * (seeds + apart) ** 0.5
    assert more.effect.high - more.effect.value == pytest.approx(reach, rel=0.05)
    assert more.verdict == "supported"
    assert answers(results)["RQ1"]["cross_domain_more"] == "supported"
    _, _, results = found([runs("new", 0.7), runs("old", 0.5)], ("RQ1", "new", "old"))
    assert by(results, "cross_domain_more").verdict != "supported"


def test_a_clear_loss_and_a_gain_that_surely_does_not_matter_are_not_supported():
    _, _, results = found([runs("new", 0.5), runs("old", 0.7)], ("RQ3", "new", "old"))
    assert {one.verdict for one in results} == {"not supported"}
    _, _, results = found([runs("new", 0.6), runs("old", 0.6)], ("RQ3", "new", "old"), relevant=0.2)
    assert {one.verdict for one in results} == {"not supported"}


def test_a_gain_that_may_or_may_not_matter_is_inconclusive():
    _, _, results = found([runs("new", 0.6), runs("old", 0.6)], ("RQ3", "new", "old"), relevant=0.0001)
    assert by(results).verdict == "inconclusive"


def test_too_few_seeds_end_inconclusive_whatever_the_numbers_say():
    _, _, results = found([runs("new", 0.9), runs("old", 0.2)], ("RQ3", "new", "old"), seeds_needed=4)
    assert {(one.verdict, one.reason) for one in results} == {("inconclusive", "3 of 4 seeds")}


def test_one_seed_gives_effects_over_people_without_a_test():
    _, _, results = found([runs("new", 0.9, 1), runs("old", 0.2, 1)], ("RQ1", "new", "old"))
    assert all(one.effect.p is None and one.adjusted is None for one in results)
    assert {one.verdict for one in results} == {"inconclusive"}


def test_an_arm_that_does_not_fit_tells_nothing():
    arms = [runs("new", 0.9), runs("old", 0.2, fit=0.804)]
    _, _, results = found(arms, ("RQ3", "new", "old"))
    assert by(results).verdict == "inconclusive"
    assert by(results).reason == "old fits only 80.4 % of the training identities"


def test_an_arm_that_was_not_run_is_said():
    one, claims, results = found([runs("new", 0.9)], ("RQ1", "new", "lost"))
    assert {(r.verdict, r.reason, r.effect) for r in results} == {("inconclusive", "lost not run", None)}
    assert "lost not run" in page(one, results, claims, PROTOCOL)
    assert table(results).empty


def test_a_contrast_of_several_differences_is_shown_and_not_judged():
    _, _, results = found([runs("new", 0.9), runs("old", 0.2)], ("RQ1", "new", "old", False))
    assert {one.verdict for one in results} == {"not judged"}
    assert all(one.adjusted is None for one in results)
    assert answers(results) == {}


def test_holm_is_over_the_judged_findings_of_a_measure():
    arms = [runs("a", 0.66), runs("b", 0.6), runs("c", 0.6)]
    _, _, results = found(arms, ("RQ3", "a", "b"), ("RQ3", "b", "c"), ("RQ3", "a", "c", False))
    for measure in ("rank1", "mAP"):
        family = sorted(
            (one.effect.p, one.adjusted) for one in results if one.measure == measure and one.contrast.judged
        )
        assert len(family) == 4
        assert family[0][1] == pytest.approx(min(1, 4 * family[0][0]))
        assert all(adjusted >= p for p, adjusted in family)


def test_a_question_is_only_supported_if_every_part_is():
    arms = [runs("a", 0.8), runs("b", 0.5), runs("c", 0.9), runs("same", 0.8)]
    _, _, results = found(arms, ("RQ1", "a", "b"), ("RQ1", "a", "c"))
    assert answers(results)["RQ1"]["in_domain"] == "not supported"
    _, _, results = found(arms, ("RQ1", "a", "b"), ("RQ1", "a", "same"), relevant=0)
    assert answers(results)["RQ1"]["in_domain"] == "inconclusive"


def test_the_gap_is_that_of_training_and_test():
    arms = [runs("new", 0.6, fit=0.95), runs("old", 0.6, fit=0.99)]
    one = by(found(arms, ("RQ2", "new", "old"))[2], measure="gap")
    assert one.ours == pytest.approx(0.95 - 0.6, abs=0.1)
    assert one.effect.value == pytest.approx(one.theirs - one.ours)
    assert 0.01 < one.effect.value < 0.07


def test_steps_are_counted_with_and_without_the_synthetic_ones():
    arms = [runs("new", 0.7, level_at=20, pretrain=100), runs("old", 0.5, level_at=60)]
    _, _, results = found(arms, ("RQ4", "new", "old"))
    one = by(results, measure="steps")
    assert (one.ours, one.theirs, one.effect.value, one.verdict) == (20, 60, 40, "supported")
    assert one.effect.low < 40 < one.effect.high  # a step is known no better than the looks are apart
    assert by(results, measure="all_steps").effect.value == -60
    assert by(results, measure="all_steps").verdict == "not supported"


def test_a_level_that_ours_never_reaches_supports_nothing():
    arms = [runs("new", 0.7, steps=50, level_at=99), runs("old", 0.5, level_at=999)]
    one = by(found(arms, ("RQ4", "new", "old"))[2], measure="steps")
    assert one.verdict == "inconclusive"
    assert one.reason == "40 % not reached by new in 3 and old in 3 seeds: their last step counts"


def test_direct_transfer_is_tested_on_all_targets():
    before = [
        [Run(name, seed, 0, 0, None, asked(rate, seed, name), None) for seed in range(3)]
        for name, rate in (("new-pretrained", 0.6), ("new-untrained", 0.1))
    ]
    one, _, results = found([runs("new", 0.7), *before], ("RQ4", "new-pretrained", "new-untrained"))
    assert {r.setting for r in results} == {"direct_transfer"}
    assert {r.measure for r in results} == {"rank1", "mAP"}
    assert by(results, "direct_transfer").verdict == "supported"
    assert one.lowest_fit("new-pretrained") is None


def test_the_content_is_small_numbers_and_names_the_paper():
    one, claims, results = found([runs("new", 0.7), runs("old", 0.5)], ("RQ4", "new", "old"))
    told = content(PROTOCOL, one, results, claims)
    assert (told["seeds"], told["seeds_needed"], told["source"]) == (3, 3, "here")
    numbers = told["contrasts"]["new-old"]["in_domain"]["rank1"]
    assert numbers["verdict"] == "supported"
    assert numbers["low"] < numbers["effect"] < numbers["high"]
    assert told["questions"]["RQ4"]["verdict"]["in_domain"] == "supported"
    assert "+3.9" in told["questions"]["RQ3"]["paper"]
    assert told["arms"]["new"] == {"pretrain_steps": 0, "steps": 100, "lowest_train_rank1": 0.95}


def test_the_page_has_a_row_for_every_question_effect_and_arm():
    one, claims, results = found([runs("new", 0.7), runs("old", 0.5)], ("RQ3", "new", "old"))
    text = page(one, results, claims, PROTOCOL)
    assert "3 of 3 seeds (0, 1, 2)." in text
    for name in ("RQ1", "RQ2", "RQ3", "RQ4"):
        assert f"| {name} |" in text
    assert text.count("new against old") == 2 + len(results)
    assert "| new | 100 | 95.0 |" in text
    assert len(table(results)) == len(results)


def test_curves_are_means_over_seeds_of_the_arms_whose_steps_are_counted():
    arms = [runs("new", 0.7, level_at=20), runs("old", 0.5, level_at=60), runs("other", 0.5)]
    one, claims, _ = found(arms, ("RQ4", "new", "old"), ("RQ3", "new", "other"))
    frame = curves(one, claims)
    assert list(frame.columns) == ["step", "new", "old"]
    assert list(frame["step"]) == list(range(10, 101, 10))
    assert list(frame["new"][:3]) == pytest.approx([0.1, 0.5, 0.5])


def test_when_a_level_is_reached():
    assert reached(curve(100, 30), 0.4) == (30, True)
    assert reached(curve(100, 999), 0.4) == (100, False)
    assert between_looks(curve(100, 30)) == 10


def test_arms_of_other_seeds_are_refused():
    with pytest.raises(InputError, match=r"old must have the seeds \[0, 1, 2\], as new has, got \[0, 1\]"):
        found([runs("new", 0.7), runs("old", 0.5, seeds=2)], ("RQ3", "new", "old"))
    with pytest.raises(InputError, match="at least one run"):
        study([], "here", TARGETS, 0.9)
