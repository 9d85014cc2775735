"""Thirds of the queries, counted one by one."""

import numpy as np
import pytest

from sttreid.analysis.uncertainty import interval, sample
from sttreid.report.breakdown import breakdown_table
from sttreid.report.tables import bracket

TARGETS = ["campus", "winter", "station"]


def rows(text):
    """The lines of a pipe table as lists, header first, its rule left out."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return [lines[0], *lines[2:]]


def counts(line):
    """The numbers of queries."""
    return [int(cell.rsplit("(", 1)[1].split(";")[0]) for cell in line[1:]]


@pytest.fixture
def queries(results, asked):
    """Two seeds; lengths and visibilities without order, the same with every seed and model."""
    table = asked(results)
    rng = np.random.default_rng(5)
    for target, size in (("campus", 100), ("winter", 201), ("station", 302)):
        length, seen = rng.integers(10, 400, size), rng.random(size)
        here = table["target"] == target
        at = table.loc[here, "query"].to_numpy()
        table.loc[here, "length"] = length[at]
        table.loc[here, "visibility"] = seen[at]
    return table


def test_every_third_holds_its_own_queries(queries):
    header, *lines = rows(breakdown_table(queries, TARGETS))
    assert header == ["queries", *(f"{target}, R-1 (queries; people)" for target in TARGETS)]
    assert [line[0].split(":")[0] for line in lines] == ["visible, share of the person"] * 3 + ["frames"] * 3
    counted = queries[(queries["source"] == queries["target"]) & (queries["first_hit"] > 0)]
    for column, part in (("visibility", lines[:3]), ("length", lines[3:])):
        once = counted[counted["seed"] == 0]
        third, second = np.quantile(once[column], [1 / 3, 2 / 3])
        for line, low, high in zip(part, (-1, third, second), (third, second, 1e9), strict=True):
            here = (once[column] >= low) & (once[column] < high)
            assert counts(line) == [int((here & (once["target"] == target)).sum()) for target in TARGETS]
        assert sum(sum(counts(line)) for line in part) == 600  # every query that counts, once
        assert [sum(counts(line)) for line in part] == pytest.approx([200] * 3, abs=4)


def test_a_cell_is_the_rank1_of_its_queries_with_their_interval(queries):
    line = rows(breakdown_table(queries, TARGETS))[2]
    low, high = (float(end) for end in line[0].split(": ")[1].split(" to "))
    chosen = queries[
        (queries["source"] == "winter") & (queries["target"] == "winter") & queries["ap"].notna()
    ]
    chosen = chosen[chosen["visibility"].between(low - 5e-4, high + 5e-4)]
    tables = [chosen[chosen["seed"] == seed] for seed in (0, 1)]
    found = interval([sample("winter", tables, "rank1")])
    assert line[2] == f"{bracket(found)} ({len(tables[0])}; {tables[0]['identity'].nunique()})"
    by_hand = np.mean([(table["first_hit"] == 1).mean() for table in tables])
    assert found.value == pytest.approx(by_hand)


def test_other_models_play_no_part(queries):
    own = queries[queries["source"] == queries["target"]]
    assert breakdown_table(own, TARGETS) == breakdown_table(queries, TARGETS)


def test_what_one_data_set_does_not_know_is_left_out_there(queries):
    queries.loc[queries["target"] == "winter", "visibility"] = np.nan
    _, *lines = rows(breakdown_table(queries, TARGETS))
    assert [line[2] for line in lines[:3]] == ["- (0; 0)"] * 3
    assert sum(counts(line)[1] for line in lines[3:]) == 200


def test_what_no_data_set_knows_has_no_rows(queries):
    queries["visibility"] = np.nan
    _, *lines = rows(breakdown_table(queries, TARGETS))
    assert [line[0].split(":")[0] for line in lines] == ["frames"] * 3


def test_equal_values_stay_together(queries):
    queries["visibility"] = queries["visibility"].clip(lower=0.5)  # half of them are equal
    _, *lines = rows(breakdown_table(queries, TARGETS))
    parts = [line for line in lines if line[0].startswith("visible")]
    own = queries[(queries["source"] == queries["target"]) & (queries["seed"] == 0) & queries["ap"].notna()]
    edge = np.quantile(own["visibility"], 2 / 3)
    assert len(parts) == 2
    assert sum(counts(parts[0])) == int((own["visibility"] < edge).sum())
    assert sum(sum(counts(line)) for line in parts) == 600


def test_a_query_at_an_edge_stands_in_the_upper_part_alone(queries):
    queries["length"] = 10 + queries["query"] % 4  # the edges are 11 and 12
    _, *lines = rows(breakdown_table(queries, TARGETS))
    parts = [line for line in lines if line[0].startswith("frames")]
    assert [line[0] for line in parts] == ["frames: 10 to 11", "frames: 11 to 12", "frames: 12 to 13"]
    assert [sum(counts(line)) for line in parts] == [150, 150, 300]
