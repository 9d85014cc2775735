"""Queries that do not belong to the means are refused; models are compared on the same people and seeds."""

import pandas as pd
import pytest

from sttreid.analysis.uncertainty import difference, interval, sample
from sttreid.report.evidence import cells_of, evidence
from sttreid.report.summary import arms, matrix
from sttreid.runtime.errors import InputError

TARGETS = ["campus", "winter", "station"]


def test_the_cells_of_a_setting_come_once_and_in_order(results, cells):
    table = matrix(results, TARGETS, "unreal")
    assert cells_of(table, "in_domain", "source") == [(target, target) for target in TARGETS]
    assert cells_of(table, "direct_transfer", "source") == [("unreal", target) for target in TARGETS]
    assert len(cells_of(table, "cross_domain", "source")) == 6
    assert cells_of(arms(cells), "in_domain", "variant") == [("vanilla", "campus"), ("spatial", "campus")]
    assert cells_of(table, "none", "source") == []


def test_an_interval_is_that_of_the_queries_of_all_seeds(results, asked, cross):
    queries, (_, known) = asked(results), cross(results)
    samples = []
    for target in ("winter", "station"):
        rows = queries[(queries["source"] == "campus") & (queries["target"] == target)]
        samples.append(sample(target, [rows[rows["seed"] == seed] for seed in (0, 1)], "rank1"))
    expected = interval(samples)
    assert known.interval([("campus", "winter"), ("campus", "station")], "rank1") == expected
    assert expected.low < expected.value < expected.high
    assert expected.value == pytest.approx(0.35)


def test_a_difference_is_paired_by_people_and_seeds(results, asked, cross):
    queries, (_, known) = asked(results), cross(results)
    chosen = queries[queries["target"] == "winter"]
    sides = [
        [sample("winter", [rows for _, rows in chosen[chosen["source"] == name].groupby("seed")], "mAP")]
        for name in ("winter", "campus")
    ]
    found = known.difference([("winter", "winter")], [("campus", "winter")], "mAP")
    assert found == difference(*sides)
    assert (found.low, found.high) == pytest.approx((0.1, 0.1))  # each seed adds the same to both


def test_seeds_are_paired_whatever_their_order(cells, tried):
    cells[2:] = cells[:1:-1]
    table = arms(cells)
    assert table[table["variant"] == "spatial"]["seed"].iloc[0] == 1
    known = evidence(tried(cells), "variant", table)
    found = known.difference([("vanilla", "campus")], [("spatial", "campus")], "mAP")
    assert (found.value, found.low, found.high) == pytest.approx(
        (0.05, 0.0, 0.1)
    )  # 0.2 - 0.2 and 0.25 - 0.15


def test_means_of_another_run_are_refused(results, asked):
    queries = asked(results)
    results[1]["sources"]["winter"]["station"]["mAP"] += 0.001
    rule = r"the mean mAP of winter on station must be 0\.1755\d*, as the results say, got 0\.17\d*"
    with pytest.raises(InputError, match=f"per-query results: {rule}"):
        evidence(queries, "source", matrix(results, TARGETS, "unreal"))


def test_a_changed_query_is_refused(results, asked):
    queries = asked(results)
    row = queries[(queries["source"] == "unreal") & (queries["first_hit"] == 1)].index[0]
    queries.loc[row, "first_hit"] = 2
    with pytest.raises(InputError, match="the mean rank1 of unreal on campus must be"):
        evidence(queries, "source", matrix(results, TARGETS, "unreal"))


def test_missing_queries_are_refused_with_their_cell(results, asked):
    queries = asked(results)
    gone = (queries["source"] == "winter") & (queries["target"] == "station") & (queries["seed"] == 1)
    with pytest.raises(
        InputError, match="per-query results: those of winter on station with seed 1 are missing"
    ):
        evidence(queries[~gone], "source", matrix(results, TARGETS, "unreal"))


def test_other_people_with_another_seed_are_refused(results, asked):
    queries = asked(results)
    chosen = (queries["target"] == "station") & (queries["seed"] == 1)
    queries["identity"] = queries["identity"].where(~chosen, queries["identity"] + 1)
    with pytest.raises(InputError, match="station: all seeds must have the same 300 queries"):
        evidence(queries, "source", matrix(results, TARGETS, "unreal"))


def test_a_cell_that_nobody_knows_is_refused(cross, results):
    _, known = cross(results)
    with pytest.raises(InputError, match="per-query results: those of full on winter are missing"):
        known.interval([("campus", "winter"), ("full", "winter")], "rank1")
    with pytest.raises(InputError, match="per-query results: those of full on winter are missing"):
        known.difference([("campus", "winter")], [("full", "winter")], "rank1")


def test_the_order_of_the_queries_changes_nothing(results, asked, cross):
    table, known = cross(results)
    mixed = evidence(asked(results).sample(frac=1, random_state=0), "source", table)
    cells = [("campus", target) for target in TARGETS]
    assert mixed.interval(cells, "rank1") == known.interval(cells, "rank1")


def test_what_the_table_does_not_name_is_not_looked_at(results, asked):
    queries = asked(results)
    other = queries.assign(source="former", ap=0.99)
    table = matrix(results, TARGETS, "unreal")
    known = evidence(pd.concat([queries, other], ignore_index=True), "source", table)
    assert {cell[0] for cell, _ in known.samples} == set(table["source"])
