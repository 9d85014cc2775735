"""Claims of variants whose numbers are known: effects, corrections and every way to a verdict."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sttreid.analysis.claims import answers, content, convergence, findings, steps_to, subgroup_effects, table
from sttreid.analysis.effects import difference, identity_variance, mean_over_datasets
from sttreid.analysis.study_runs import Run, study
from sttreid.config.claims import Claims, Contrast
from tests.analysis.studies import of_runs
from tests.analysis.studies import runs as small_runs

IDENTITIES, QUERIES = 80, 4
TARGETS = ["home", "away", "abroad"]
HOME, AWAY = ["home"], ["away", "abroad"]
RULES = {"min_seeds": 3, "alpha": 0.05, "min_effect": 0.02, "target_rank1": 0.4}


def queries(rate, seed, variant):
    """About a share ``rate`` is matched at rank 1; the same queries are hard for all variants."""
    tables = {}
    for index, target in enumerate(TARGETS):
        difficulty = np.random.default_rng(index).random(IDENTITIES * QUERIES)
        noise = np.random.default_rng([seed, index, *variant.encode()]).normal(0, 0.02, IDENTITIES * QUERIES)
        hit = difficulty + noise < rate
        query = np.arange(IDENTITIES * QUERIES)
        columns = {"query": query, "identity": query // QUERIES, "first_hit": np.where(hit, 1, 7)}
        tables[target] = pd.DataFrame({**columns, "ap": np.where(hit, 1.0, 1 / 7), "inp": 0.5})
    return tables


def curve(steps, reached_at):
    """Evaluated every 10 steps; rank-1 is 0.5 from one step on."""
    step = np.arange(1, steps + 1)
    values = np.where(step >= reached_at, 0.5, 0.1)
    return pd.DataFrame({"step": step, "validation_rank1": np.where(step % 10 == 0, values, np.nan)})


def runs(variant, rate, seeds=3, fit=0.95, steps=100, reached_at=50, pretrain=0):
    return [
        Run(variant, seed, pretrain, steps, fit, queries(rate, seed, variant), curve(steps, reached_at))
        for seed in range(seeds)
    ]


def analysed(variants, *contrasts, protocols=None, **rules):
    named = {f"{c[1]}-{c[2]}": Contrast(c[0], c[1], c[2], confirmatory=len(c) < 4) for c in contrasts}
    claims = Claims(**(RULES | rules), contrasts=named)
    runs = [run for variant in variants for run in variant]
    one = study(runs, "home", TARGETS, 0.9, protocols or dict.fromkeys(TARGETS, "embedded"))
    return one, claims, findings(one, claims)


def by(results, setting="in_domain", measure="rank1"):
    return next(each for each in results if (each.setting, each.measure) == (setting, measure))


def test_a_clear_gain_is_supported_in_both_settings():
    _, _, results = analysed([runs("new", 0.7), runs("old", 0.5)], ("RQ3", "new", "old"))
    assert [(each.setting, each.measure) for each in results] == [
        (setting, measure) for setting in ("in_domain", "cross_domain") for measure in ("rank1", "mAP")
    ]
    assert {each.verdict for each in results} == {"supported"}
    one = by(results)
    assert one.effect.value == pytest.approx(one.ours - one.theirs)
    assert one.effect.low < 0.2 < one.effect.high
    assert one.bootstrap.low < one.effect.value < one.bootstrap.high
    assert answers(results) == {"RQ3": {"in_domain": "supported", "cross_domain": "supported"}}


def elsewhere(variant, home, away):
    """One rate on the source, another one on the other targets."""
    return [
        replace(inside, queries={**outside.queries, "home": inside.queries["home"]})
        for inside, outside in zip(runs(variant, home), runs(variant, away), strict=True)
    ]


def test_a_claim_of_more_across_domains_compares_the_two_effects():
    """Only RQ1 claims it; the effects have different identities, so their variances add up."""
    variants = [elsewhere("new", 0.55, 0.8), elsewhere("old", 0.5, 0.5)]
    one, _, results = analysed(variants, ("RQ1", "new", "old"))
    more = by(results, "cross_minus_in_domain")
    effects = by(results, "cross_domain").effect, by(results).effect
    assert (more.ours, more.theirs) == pytest.approx([effect.value for effect in effects])
    assert more.effect.value == pytest.approx(effects[0].value - effects[1].value)
    pairs = [[one.samples(arm, where, "rank1") for arm in ("new", "old")] for where in (HOME, AWAY)]
    gains = [mean_over_datasets(ours).seeds - mean_over_datasets(theirs).seeds for ours, theirs in pairs]
    apart = sum(identity_variance([(1, ours), (-1, theirs)])[0] for ours, theirs in pairs)
    gaps = gains[1] - gains[0]
    seeds = gaps.var(ddof=1) / 3
    freedom = (seeds + apart) ** 2 / (seeds**2 / 2 + apart**2 / (IDENTITIES - 1))
    reach = stats.t(freedom).ppf(0.975) * (seeds + apart) ** 0.5
    assert more.effect.high - more.effect.value == pytest.approx(reach, rel=0.05)
    assert more.verdict == "supported"
    assert answers(results)["RQ1"]["cross_minus_in_domain"] == "supported"
    _, _, results = analysed([runs("new", 0.7), runs("old", 0.5)], ("RQ1", "new", "old"))
    assert by(results, "cross_minus_in_domain").verdict != "supported"


def test_a_clear_loss_and_a_gain_that_surely_does_not_matter_are_not_supported():
    _, _, results = analysed([runs("new", 0.5), runs("old", 0.7)], ("RQ3", "new", "old"))
    assert {each.verdict for each in results} == {"not supported"}
    _, _, results = analysed([runs("new", 0.6), runs("old", 0.6)], ("RQ3", "new", "old"), min_effect=0.2)
    assert {each.verdict for each in results} == {"not supported"}


def test_a_gain_that_may_or_may_not_matter_is_inconclusive():
    _, _, results = analysed([runs("new", 0.6), runs("old", 0.6)], ("RQ3", "new", "old"), min_effect=0.0001)
    assert by(results).verdict == "inconclusive"


def test_too_few_seeds_end_inconclusive_whatever_the_numbers_say():
    _, _, results = analysed([runs("new", 0.9), runs("old", 0.2)], ("RQ3", "new", "old"), min_seeds=4)
    assert {(each.verdict, each.reasons.few_seeds) for each in results} == {("inconclusive", True)}


def test_one_seed_gives_effects_over_identities_without_a_test():
    _, _, results = analysed([runs("new", 0.9, 1), runs("old", 0.2, 1)], ("RQ1", "new", "old"))
    assert all(each.effect.p is None and each.p_holm is None for each in results)
    assert {each.verdict for each in results} == {"inconclusive"}


def test_an_underfit_variant_gives_no_verdict():
    _, _, results = analysed([runs("new", 0.9), runs("old", 0.2, fit=0.804)], ("RQ3", "new", "old"))
    assert by(results).verdict == "inconclusive"
    assert by(results).reasons.underfit == {"old"}


def test_a_variant_that_was_not_run_is_a_reason():
    one, claims, results = analysed([runs("new", 0.9)], ("RQ1", "new", "lost"))
    assert {(each.verdict, each.reasons.missing, each.effect) for each in results} == {
        ("inconclusive", frozenset({"lost"}), None)
    }
    numbers = content(one, results, claims)["contrasts"]["new-lost"]["in_domain"]["rank1"]
    assert numbers == {"verdict": "inconclusive", "reasons": {"missing": ["lost"]}}
    assert table(results).empty


def test_an_exploratory_contrast_has_effects_and_no_verdict():
    _, _, results = analysed([runs("new", 0.9), runs("old", 0.2)], ("RQ1", "new", "old", False))
    assert {each.verdict for each in results} == {"exploratory"}
    assert all(each.p_holm is None for each in results)
    assert answers(results) == {}


def test_holm_is_over_the_confirmatory_findings_of_a_measure():
    variants = [runs("a", 0.66), runs("b", 0.6), runs("c", 0.6)]
    _, _, results = analysed(variants, ("RQ3", "a", "b"), ("RQ3", "b", "c"), ("RQ3", "a", "c", False))
    for measure in ("rank1", "mAP"):
        family = sorted(
            (each.effect.p, each.p_holm)
            for each in results
            if each.measure == measure and each.contrast.confirmatory
        )
        assert len(family) == 4
        assert family[0][1] == pytest.approx(min(1, 4 * family[0][0]))
        assert all(adjusted >= p for p, adjusted in family)


def test_a_question_is_only_supported_if_every_part_is():
    variants = [runs("a", 0.8), runs("b", 0.5), runs("c", 0.9), runs("same", 0.8)]
    _, _, results = analysed(variants, ("RQ1", "a", "b"), ("RQ1", "a", "c"))
    assert answers(results)["RQ1"]["in_domain"] == "not supported"
    _, _, results = analysed(variants, ("RQ1", "a", "b"), ("RQ1", "a", "same"), min_effect=0)
    assert answers(results)["RQ1"]["in_domain"] == "inconclusive"


def test_the_gap_is_that_of_training_and_test():
    variants = [runs("new", 0.6, fit=0.95), runs("old", 0.6, fit=0.99)]
    one = by(analysed(variants, ("RQ2", "new", "old"))[2], measure="gap")
    assert one.ours == pytest.approx(0.95 - 0.6, abs=0.1)
    assert one.effect.value == pytest.approx(one.theirs - one.ours)
    assert 0.01 < one.effect.value < 0.07


def test_steps_are_counted_with_and_without_the_synthetic_ones():
    variants = [runs("new", 0.7, reached_at=20, pretrain=100), runs("old", 0.5, reached_at=60)]
    _, _, results = analysed(variants, ("RQ4", "new", "old"))
    one = by(results, measure="steps")
    assert (one.ours, one.theirs, one.effect.value, one.verdict) == (20, 60, 40, "supported")
    assert one.effect.low < 40 < one.effect.high  # a step is known no better than the evaluations are apart
    assert by(results, measure="total_steps").effect.value == -60
    assert by(results, measure="total_steps").verdict == "not supported"


def test_a_target_that_ours_never_reaches_supports_nothing():
    variants = [runs("new", 0.7, steps=50, reached_at=99), runs("old", 0.5, reached_at=999)]
    one = by(analysed(variants, ("RQ4", "new", "old"))[2], measure="steps")
    assert one.p_holm < 0.05
    assert one.effect.value > 0
    assert one.verdict == "inconclusive"
    assert one.reasons.never_reached == {"new", "old"}


def test_a_target_that_theirs_never_reaches_refutes_nothing():
    """Theirs stops after 50 steps without it: it may need more than the 90 of ours."""
    variants = [runs("new", 0.7, reached_at=90), runs("old", 0.5, steps=50, reached_at=999)]
    one = by(analysed(variants, ("RQ4", "new", "old"))[2], measure="steps")
    assert one.p_holm < 0.05
    assert one.effect.value < 0
    assert (one.verdict, one.reasons.never_reached) == ("inconclusive", {"old"})


def test_direct_transfer_is_tested_on_all_targets():
    before = [
        [Run(name, seed, 0, 0, None, queries(rate, seed, name), None) for seed in range(3)]
        for name, rate in (("new-pretrained", 0.6), ("new-untrained", 0.1))
    ]
    _, _, results = analysed([runs("new", 0.7), *before], ("RQ4", "new-pretrained", "new-untrained"))
    assert {r.setting for r in results} == {"direct_transfer"}
    assert {r.measure for r in results} == {"rank1", "mAP"}
    assert by(results, "direct_transfer").verdict == "supported"


def test_the_content_has_effects_verdicts_and_what_the_paper_reports():
    one, claims, results = analysed([runs("new", 0.7), runs("old", 0.5)], ("RQ4", "new", "old"))
    got = content(one, results, claims)
    assert (got["seeds"], got["min_seeds"], got["source"]) == (3, 3, "home")
    numbers = got["contrasts"]["new-old"]["in_domain"]["rank1"]
    assert numbers["verdict"] == "supported"
    assert numbers["low"] < numbers["effect"] < numbers["high"]
    assert numbers["high"] - numbers["effect"] < numbers["detectable"] < numbers["high"] - numbers["low"]
    effect = by(results).effect
    assert numbers["effect"] == pytest.approx(effect.value, abs=6e-7)
    assert numbers["p"] == pytest.approx(effect.p, rel=1e-3)  # also where it is far below 0.0001
    assert numbers["p"] < 1e-4
    assert got["questions"]["RQ4"]["verdict"]["in_domain"] == "supported"
    assert "+3.9" in got["questions"]["RQ3"]["paper"]
    assert got["variants"]["new"] == {"pretrain_steps": 0, "steps": 100, "lowest_train_rank1": 0.95}
    assert len(table(results)) == len(results)


def test_convergence_is_the_mean_over_seeds_of_the_variants_whose_steps_are_compared():
    variants = [runs("new", 0.7, reached_at=20), runs("old", 0.5, reached_at=60), runs("other", 0.5)]
    one, claims, _ = analysed(variants, ("RQ4", "new", "old"), ("RQ3", "new", "other"))
    frame = convergence(one, claims)
    assert list(frame.columns) == ["step", "new", "old"]
    assert list(frame["step"]) == list(range(10, 101, 10))
    assert list(frame["new"][:3]) == pytest.approx([0.1, 0.5, 0.5])


def test_when_a_rank1_is_reached():
    for reached_at, expected in ((30, (30, True)), (999, (100, False))):
        measured = curve(100, reached_at).set_index("step")["validation_rank1"].dropna()
        assert steps_to(measured, 100, 0.4) == expected


def test_subgroup_effects_are_of_confirmatory_contrasts_that_were_run():
    study = of_runs([*small_runs("new", 0.7), *small_runs("old", 0.4)])
    contrasts = {
        "first": Contrast("RQ1", "new", "old", confirmatory=True),
        "same": Contrast("RQ4", "new", "old", confirmatory=True),
        "lost": Contrast("RQ1", "new", "lost", confirmatory=True),
        "exploratory": Contrast("RQ1", "old", "new", confirmatory=False),
    }
    effects = subgroup_effects(study, Claims(**RULES, contrasts=contrasts))
    assert [group for group, _, _ in effects] == study.subgroups()
    assert {contrast for _, contrast, _ in effects} == {contrasts["first"]}
    group, _, effect = effects[0]
    restricted = study.restricted(group)
    sides = [restricted.accuracy(name, restricted.targets, "rank1") for name in ("new", "old")]
    assert effect == difference(*sides).effect()


def test_a_mean_never_mixes_protocols():
    """Each protocol has its effect; the effects across domains and in-domain are compared in the source's."""
    protocols = {"home": "embedded", "away": "market", "abroad": "embedded"}
    variants = [runs("new", 0.7), runs("old", 0.5), runs("new-pretrained", 0.3, steps=0)]
    contrasts = [("RQ1", "new", "old"), ("RQ4", "new", "new-pretrained")]
    one, claims, results = analysed(variants, *contrasts, protocols=protocols)
    found = {(each.name, each.setting) for each in results}
    assert found == {
        ("new-old", "in_domain"),
        ("new-old", "cross_domain market"),
        ("new-old", "cross_domain embedded"),
        ("new-old", "cross_minus_in_domain"),
        ("new-new-pretrained", "direct_transfer embedded"),
        ("new-new-pretrained", "direct_transfer market"),
    }
    for setting, target in (("cross_domain market", "away"), ("cross_domain embedded", "abroad")):
        assert by(results, setting).ours == pytest.approx(one.accuracy("new", [target], "rank1").mean)
    more = by(results, "cross_minus_in_domain")
    assert more.ours == pytest.approx(by(results, "cross_domain embedded").effect.value)
    numbers = content(one, results, claims)
    assert numbers["questions"]["RQ1"]["verdict"].keys() == {name for key, name in found if key == "new-old"}
    groups = subgroup_effects(one, claims)
    assert all(len({protocols[target] for target in group.ranges}) == 1 for group, *_ in groups)

    variants = [runs("new", 0.7), runs("old", 0.5)]
    protocols = {"home": "embedded", "away": "market", "abroad": "market"}
    _, _, results = analysed(variants, ("RQ1", "new", "old"), protocols=protocols)
    assert {each.setting for each in results} == {"in_domain", "cross_domain"}
