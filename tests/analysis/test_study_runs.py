"""Runs from results, quantities of a study, and subgroups of queries against the same computed row by row."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sttreid.analysis.effects import difference, mean_over_datasets
from sttreid.analysis.study_runs import attention_entropy, protocol_names, runs_of
from sttreid.analysis.uncertainty import sample
from sttreid.runtime.errors import InputError
from tests.analysis.studies import TARGETS, TWO_PROTOCOLS, history, of_runs, queries, runs, trained


@pytest.fixture
def study():
    return of_runs([*runs("new", 0.7), *runs("old", 0.4)])


def all_queries(study, variant="new", seed=0):
    return pd.concat(study.variants[variant][seed].queries.values())


def test_a_result_becomes_a_run_for_each_tested_moment():
    moments = {
        name: pd.concat([queries(target, rate, 0) for target in TARGETS])
        for name, rate in (("trained", 0.7), ("pretrained", 0.5), ("untrained", 0.1))
    }
    own, pretrained, untrained = runs_of("full", 3, 100, moments, history([0.2, 0.5]))
    assert (own.variant, own.seed, own.pretrain_steps, own.steps, own.train_rank1) == (
        "full",
        3,
        100,
        20,
        1.0,
    )
    assert (pretrained.variant, pretrained.pretrain_steps, pretrained.steps) == ("full-pretrained", 100, 0)
    assert (untrained.variant, untrained.pretrain_steps, untrained.history) == ("full-untrained", 0, None)
    assert set(own.queries) == set(TARGETS)
    assert [run.variant for run in runs_of("cnn", 0, 0, {"trained": moments["trained"]}, history([1]))] == [
        "cnn"
    ]


@pytest.mark.parametrize("moments", [{}, {"trained": queries("home", 0.5, 0)}])
def test_a_run_needs_results_and_a_history(moments):
    table = history([0.5]) if not moments else history([])
    with pytest.raises(InputError, match="full with seed 3: must have a training history"):
        runs_of("full", 3, 0, moments, table)


def test_variants_must_have_the_same_seeds():
    with pytest.raises(InputError, match=r"old must have the seeds \[0, 1, 2\], as new has, got \[0, 1\]"):
        of_runs([*runs("new", 0.7), *runs("old", 0.5, seeds=2)])
    with pytest.raises(InputError, match="at least 1 variant, got 0"):
        of_runs([])


def test_targets_are_in_domain_or_cross_domain(study):
    assert (study.in_domain, study.cross_domain, study.seeds) == (["home"], ["away"], [0, 1, 2])
    assert study.query_counts == {"home": 86, "away": 86}
    elsewhere = of_runs(runs("new", 0.7), source="another")
    assert (elsewhere.in_domain, elsewhere.cross_domain) == ([], TARGETS)


def test_a_variant_is_underfit_if_one_seed_is():
    fits = [
        trained(run, rank1, validation=[0.5]) for run, rank1 in zip(runs("a", 0.5), (1, 0.9, 1), strict=True)
    ]
    misses = [replace(run, variant="b", train_rank1=0.8 + 0.1 * run.seed) for run in fits]
    study = of_runs([*fits, *misses, *(replace(run, variant="c", train_rank1=None) for run in fits)])
    assert [study.underfit(name) for name in "abc"] == [False, True, False]
    assert [study.lowest_train_rank1(name) for name in "abc"] == [0.9, 0.8, None]


def test_the_gap_is_training_rank1_minus_that_of_the_source_s_test():
    study = of_runs([trained(run, 0.9 + run.seed / 50, validation=[0.2, 0.3]) for run in runs("new", 0.7)])
    tested = [run.queries["home"].dropna(subset=["ap"]) for run in study.variants["new"]]
    rates = np.array([(table["first_hit"] == 1).mean() for table in tested])
    np.testing.assert_allclose(study.train_test_gap("new").seeds, 0.9 + np.arange(3) / 50 - rates)
    np.testing.assert_allclose(study.validation_rank1("new").seeds, 0.3)


def test_measurements_are_those_of_evaluated_steps():
    study = of_runs(
        [trained(run, 1.0, validation=[0.2, 0.3], entropy=[1.2, run.seed]) for run in runs("a", 0.5)]
    )
    entropies = study.measurements("a", "attention_entropy")
    assert [series.to_dict() for series in entropies] == [{10: 1.2, 20: seed} for seed in range(3)]
    assert all(series.empty for series in study.measurements("a", "of another branch"))


def test_thirds_hold_every_counted_query_once(study):
    groups = study.subgroups()
    columns = ("visibility", "length", "viewpoint_change")
    assert [(group.column, group.third) for group in groups] == [
        (column, third) for column in columns for third in ("lowest", "middle", "highest")
    ]
    counted = all_queries(study).dropna(subset=["ap"])
    for column in columns:
        parts = [all_queries(study.restricted(group)) for group in groups if group.column == column]
        held = pd.concat(parts).dropna(subset=["ap"])
        expected = counted.dropna(subset=[column])
        assert sorted(held[["target", "query"]].itertuples(index=False)) == sorted(
            expected[["target", "query"]].itertuples(index=False)
        )
    sizes = [study.restricted(group).query_counts for group in groups if group.column == "viewpoint_change"]
    assert sizes == [{"home": 29}, {"home": 28}, {"home": 29}]


def test_the_span_is_that_of_the_queries(study):
    for group in study.subgroups():
        held = all_queries(study.restricted(group)).dropna(subset=["ap"])[group.column]
        assert group.span == (held.min(), held.max())


def test_equal_values_are_in_one_subgroup(study):
    same = [
        replace(
            run,
            queries={
                name: table.assign(length=5).drop(columns=["visibility", "viewpoint_change"])
                for name, table in run.queries.items()
            },
        )
        for run in study.variants["new"]
    ]
    (group,) = of_runs(same).subgroups()
    assert (group.column, group.third, group.span) == ("length", "middle", (5, 5))
    assert of_runs(same).restricted(group).query_counts == study.query_counts


def test_a_target_with_few_identities_in_a_subgroup_is_left_out(study):
    """Four identities have a viewpoint: an interval would be meaningless."""
    few = []
    for run in study.variants["new"]:
        table = run.queries["home"]
        seen = table["viewpoint_change"].where(table["identity"] < 5)
        few.append(replace(run, queries={**run.queries, "home": table.assign(viewpoint_change=seen)}))
    assert {group.column for group in of_runs(few).subgroups()} == {"visibility", "length"}


def test_rates_of_a_subgroup_are_means_over_seeds_and_its_targets(study):
    for group in study.subgroups():
        restricted = study.restricted(group)
        for variant in ("new", "old"):
            seeds = []
            for run in study.variants[variant]:
                rates = []
                for target, (low, high) in group.ranges.items():
                    hits = [
                        row["first_hit"] == 1
                        for row in run.queries[target].to_dict("records")
                        if not np.isnan(row["ap"]) and low <= row[group.column] <= high
                    ]
                    rates.append(np.mean(hits))
                seeds.append(np.mean(rates))
            accuracy = restricted.accuracy(variant, restricted.targets, "rank1")
            np.testing.assert_allclose(accuracy.seeds, seeds, atol=1e-12)


def test_effects_in_a_subgroup_are_paired_on_its_queries(study):
    group = study.subgroups()[-1]  # viewpoint change, which one target has
    low, high = group.ranges["home"]
    sides = []
    for variant in ("new", "old"):
        tables = [run.queries["home"] for run in study.variants[variant]]
        parts = [table[table["viewpoint_change"].between(low, high)] for table in tables]
        sides.append(mean_over_datasets([sample("home", parts, "rank1")]))
    restricted = study.restricted(group)
    accuracies = (restricted.accuracy(name, restricted.targets, "rank1") for name in ("new", "old"))
    effect = difference(*accuracies).effect()
    assert effect == difference(*sides).effect()
    assert effect.low < effect.value < effect.high


def test_attention_entropy_is_told_at_three_evaluations_of_variants_that_have_it():
    new = [
        trained(
            run,
            1.0,
            validation=[0.2, 0.3, 0.3, 0.4],
            entropy=[1.2 + 0.1 * run.seed, 1.0, 0.9, 0.8 - 0.1 * run.seed],
        )
        for run in runs("new", 0.7)
    ]
    old = [trained(run, 1.0, validation=[0.1, 0.2]) for run in runs("old", 0.4)]
    table = attention_entropy(of_runs([*new, *old]))
    assert list(table["variant"].unique()) == ["new"]
    assert list(table["moment"]) == ["first", "half", "last"]
    assert list(table["step"]) == [10, 20, 40]
    assert list(table["entropy"]) == pytest.approx([1.3, 1.0, 0.7])
    assert table["seeds"].iloc[-1] == pytest.approx([0.8, 0.7, 0.6])


def result(seed=0, name="embedded", queries=86):
    numbers = {target: {"rank1": seed / 10, "queries": queries, "gallery": 90} for target in TARGETS}
    return {
        "seed": seed,
        "protocol": {target: {"name": name, "ties": "pessimistic"} for target in TARGETS},
        "variants": {"new": {"moments": {"trained": numbers, "untrained": numbers}}},
    }


def test_results_of_one_protocol_and_the_same_queries_belong_together():
    cross_domain = {**result(1), "sources": result()["variants"]["new"]["moments"], "variants": {}}
    assert protocol_names([result(), cross_domain], TARGETS) == dict.fromkeys(TARGETS, "embedded")
    with pytest.raises(
        InputError, match=r"results of seed 1: protocol of home must be the same .* got .*'mars'"
    ):
        protocol_names([result(), result(1, name="mars")], TARGETS)
    with pytest.raises(InputError, match=r"results of seed 1: queries of home must be the same .*, got 85"):
        protocol_names([result(), result(1, queries=85)], TARGETS)


def test_subgroups_never_mix_protocols(study):
    every = [run for group in study.variants.values() for run in group]
    mixed = of_runs(every, protocols=TWO_PROTOCOLS)
    groups = mixed.subgroups()
    assert len(groups) == 3 * (1 + 2 * 2)  # "away" has no viewpoints
    for group in groups:
        assert {TWO_PROTOCOLS[target] for target in group.ranges} == {group.protocol}
        assert list(mixed.restricted(group).query_counts) == list(group.ranges)
    assert {group.protocol for group in study.subgroups()} == {None}
