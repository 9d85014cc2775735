"""Rates and effects by what makes a query hard, against the same computed row by row."""

import numpy as np
import pytest

from sttreid.contrasts import Contrast
from sttreid.report.arms import Run, study
from sttreid.report.conditions import conditions, effects, rates
from sttreid.report.effects import paired
from sttreid.uncertainty import sample
from tests.report.studies import TARGETS, runs


@pytest.fixture
def found():
    return study([*runs("new", 0.7), *runs("old", 0.4)], "here", TARGETS, 0.9)


def test_thirds_hold_every_counted_query_once(found):
    parts, queries = conditions(found), found.arms["new"][0].queries
    assert [part.column for part in parts] == ["visibility"] * 3 + ["length"] * 3 + ["turn"] * 3
    counted = queries[queries["ap"].notna()]
    for column in ("visibility", "length", "turn"):
        held = [part.of(counted) for part in parts if part.column == column]
        assert sum(map(len, held)) == counted[column].notna().sum()
        assert max(part["query"].size for part in held) < counted[column].notna().sum()


def test_equal_values_are_one_part(found):
    same = [
        Run(
            run.arm,
            run.seed,
            0,
            10,
            1.0,
            run.queries.assign(length=5).drop(columns=["visibility", "turn"]),
            None,
        )
        for run in found.arms["new"]
    ]
    (part,) = conditions(study(same, "here", TARGETS, 0.9))
    assert part.told == "frames: 5 to 5"
    assert len(part.of(same[0].queries)) == len(same[0].queries)


def test_rates_are_means_over_targets_that_have_such_queries_and_over_seeds(found):
    table = rates(found, ["new", "old"]).set_index(["condition", "arm"])
    for part in conditions(found):
        for arm in ("new", "old"):
            seeds, number = [], 0
            for run in found.arms[arm]:
                of_targets = []
                for target in TARGETS:
                    hits = []
                    for row in run.queries[run.queries["target"] == target].to_dict("records"):
                        value, top = row[part.column], part.high if part.last else np.nextafter(part.high, 0)
                        if not np.isnan(row["ap"]) and part.low <= value <= top:
                            hits.append(row["first_hit"] == 1)
                    if hits:
                        of_targets.append(np.mean(hits))
                        number += len(hits)
                seeds.append(np.mean(of_targets))
            assert table.loc[(part.told, arm), "rank1"] == pytest.approx(np.mean(seeds), abs=1e-12)
            assert table.loc[(part.told, arm), "queries"] == number / 3


def test_effects_are_paired_on_the_queries_of_the_condition(found):
    contrast = {"a": Contrast("RQ1", "new", "old", True), "b": Contrast("RQ1", "new", "lost", True)}
    results = effects(found, contrast)
    assert [(part.told, name) for part, name, _ in results] == [
        (part.told, "a") for part in conditions(found)
    ]
    part, _, effect = results[-1]  # orientation, which one target knows
    sides = []
    for arm in ("new", "old"):
        tables = [part.of(run.queries[run.queries["target"] == "here"]) for run in found.arms[arm]]
        sides.append([sample("here", tables, "rank1")])
    assert effect == paired(*sides)
    assert effect.low < effect.value < effect.high
