"""Rates and effects by what makes a query hard, against the same computed row by row."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sttreid.analysis.uncertainty import sample
from sttreid.config.claims import Contrast
from sttreid.report.arms import study
from sttreid.report.conditions import conditions, effects, rates
from sttreid.report.effects import paired
from tests.report.studies import TARGETS, runs


@pytest.fixture
def found():
    return study([*runs("new", 0.7), *runs("old", 0.4)], "here", TARGETS, 0.9)


def of(part, queries):
    """The queries of all targets that meet a condition."""
    return pd.concat([part.of(target, queries[queries["target"] == target]) for target in part.spans])


def test_thirds_hold_every_counted_query_once(found):
    parts, queries = conditions(found), found.arms["new"][0].queries
    assert [part.column for part in parts] == ["visibility"] * 3 + ["length"] * 3 + ["turn"] * 3
    assert [part.third for part in parts] == ["lowest", "middle", "highest"] * 3
    counted = queries[queries["ap"].notna()]
    for column in ("visibility", "length", "turn"):
        held = pd.concat([of(part, counted) for part in parts if part.column == column])
        known = counted.dropna(subset=[column])
        assert sorted(held[["target", "query"]].itertuples(index=False)) == sorted(
            known[["target", "query"]].itertuples(index=False)
        )
    thirds = [len(of(part, counted[counted["target"] == "here"])) for part in parts if part.column == "turn"]
    assert thirds == [29, 28, 29]  # of 86


def test_a_part_says_the_values_that_it_holds(found):
    counted = found.arms["new"][0].queries.dropna(subset=["ap"])
    for part in conditions(found):
        held = of(part, counted)[part.column]
        low, high = (f"{end:.{2 if part.column == 'visibility' else 0}f}" for end in (held.min(), held.max()))
        assert part.told.endswith(f"{part.third} third of each target ({low} to {high})")


def test_equal_values_are_one_part(found):
    columns = ["visibility", "turn"]
    same = [
        replace(run, queries=run.queries.assign(length=5).drop(columns=columns)) for run in found.arms["new"]
    ]
    (part,) = conditions(study(same, "here", TARGETS, 0.9))
    assert part.told == "frames: middle third of each target (5 to 5)"
    assert len(of(part, same[0].queries)) == len(same[0].queries)


def test_a_target_with_few_people_under_a_condition_is_left_out(found):
    """Four people's queries have a side; with so few an interval would say nothing."""
    arms = [
        replace(run, queries=run.queries.assign(turn=run.queries["turn"].where(run.queries["identity"] < 5)))
        for run in found.arms["new"]
    ]
    known = {part.column for part in conditions(study(arms, "here", TARGETS, 0.9))}
    assert known == {"visibility", "length"}


def test_rates_are_means_over_targets_that_have_such_queries_and_over_seeds(found):
    table = rates(found, ["new", "old"]).set_index(["condition", "arm"])
    for part in conditions(found):
        for arm in ("new", "old"):
            seeds, number = [], 0
            for run in found.arms[arm]:
                of_targets = []
                for target, (low, high) in part.spans.items():
                    hits = [
                        row["first_hit"] == 1
                        for row in run.queries[run.queries["target"] == target].to_dict("records")
                        if not np.isnan(row["ap"]) and low <= row[part.column] <= high
                    ]
                    of_targets.append(np.mean(hits))
                    number += len(hits)
                seeds.append(np.mean(of_targets))
            assert table.loc[(part.told, arm), "rank1"] == pytest.approx(np.mean(seeds), abs=1e-12)
            assert table.loc[(part.told, arm), "queries"] == number / 3


def test_effects_are_paired_on_the_queries_of_the_condition(found):
    contrast = {"a": Contrast("RQ1", "new", "old", True), "b": Contrast("RQ1", "new", "lost", True)}
    results = effects(found, contrast)
    assert [(part, name) for part, name, _ in results] == [(part, "a") for part in conditions(found)]
    part, _, effect = results[-1]  # orientation, which one target knows
    sides = []
    for arm in ("new", "old"):
        tables = [part.of("here", run.queries[run.queries["target"] == "here"]) for run in found.arms[arm]]
        sides.append([sample("here", tables, "rank1")])
    assert effect == paired(*sides)
    assert effect.low < effect.value < effect.high
