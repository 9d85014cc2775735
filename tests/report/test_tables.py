"""Tables and metrics files show means that can be checked by hand."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from sttreid.analysis.phrases import bracket
from sttreid.analysis.results import SETTINGS, VariantResult
from sttreid.analysis.uncertainty import Difference
from sttreid.report import tables
from sttreid.report.render import Cell
from sttreid.retrieval.metrics import HEADLINE, METRICS
from sttreid.runtime.errors import InputError
from tests.analysis.contents import (
    TARGETS,
    ablation,
    ablation_content,
    cross_domain,
    cross_domain_content,
    cross_domain_queries,
    numbers,
)

NAMES = [metric.name for metric in METRICS]


def texts(row):
    return [cell.text if isinstance(cell, Cell) else cell for cell in row]


def test_a_gain_says_whether_it_is_significant():
    assert tables.gain(Difference(0.1, 0.05, 0.15, 0.01)) == Cell("+10.0 [5.0, 15.0]")
    assert tables.gain(Difference(0.1, -0.05, 0.25, 0.4)).mark == "muted"


def test_in_domain_cells_are_bold(contents):
    table = tables.cross_domain_table(cross_domain(contents))
    first = table.rows[0]
    assert first[0] == "campus"
    assert [cell.bold for cell in first[1:]] == [True] * len(HEADLINE) + [False] * (4 * len(HEADLINE) // 2)
    column = table.columns.index("winter mAP")
    assert first[column].text == "17.5 [15.0, 20.0]"


def test_settings_end_with_the_drop(contents):
    rows = tables.settings_table(cross_domain(contents)).rows
    assert len(rows) == len(SETTINGS) + 1
    assert rows[-1][1 + [m.name for m in HEADLINE].index("mAP")] == "10.0 [10.0, 10.0]"


def test_baselines_are_compared_on_the_same_queries(contents):
    table = tables.baselines_table(cross_domain(contents))
    rows = {tuple(row[:2]): texts(row[2:]) for row in table.rows}
    assert rows["untrained", "mAP"] == [
        "2.0",
        "+25.5 [23.0, 28.0]",
        "+15.5 [13.0, 18.0]",
        "+10.5 [8.0, 13.0]",
    ]
    assert rows["histogram", "mAP"][-1] == "+0.0 [-2.5, 2.5], not significant"


def test_the_counts_are_those_of_the_results(contents):
    rows = tables.counts_table(cross_domain(contents)).rows
    assert rows[1] == ["winter", "200", "1", "122", "21", "3", "5"]


def test_strangers_leave_what_is_nearer_than_their_first_answers(contents):
    table = tables.open_set_table(cross_domain(contents))
    rows = {row[0]: [cell.split(" ")[0] for cell in row[1:]] for row in table.rows}
    assert [column for column in table.columns if "FAR" in column] == [
        "DIR at FAR 1 %",
        "DIR at FAR 5 %",
        "DIR at FAR 10 %",
    ]
    for target in TARGETS:  # rank-1 is 0.5 and 0.6; four in a hundred strangers are near
        assert rows[f"{target}, own model"] == ["55.0", "0.0", "55.0", "55.0"]
    assert rows["mean, cross-domain"] == ["35.0", "0.0", "35.0", "35.0"]
    assert len(rows) == len(TARGETS) + len(SETTINGS)


def test_without_strangers_the_table_has_no_numbers(contents):
    scores = cross_domain(contents)
    for queries in (
        scores.queries.assign(stranger_distance=np.nan),
        scores.queries.drop(columns="there_correct"),
    ):
        rows = tables.open_set_table(replace(scores, queries=queries)).rows
        assert {cell for row in rows for cell in row[1:]} == {tables.NONE}


def test_the_shift_has_a_row_for_each_model_and_other_target(contents, domains):
    scores = cross_domain(contents)
    rows = tables.shift_table(scores, domains).rows
    assert [tuple(row[:2]) for row in rows] == [
        (source, target) for source in (*TARGETS, "unreal") for target in TARGETS if source != target
    ]
    assert rows[0][2] == "90.0 ± 1.0"
    assert rows[0][3] == bracket(scores.interval([("winter", "winter")], "rank1"))
    assert texts(rows[0])[5].startswith("+20.0 [")
    for name in ("accuracy", "standard_error"):  # each pair once, in any order
        domains[name]["unreal"] = {target: domains[name][target].pop("unreal") for target in TARGETS}
    assert tables.shift_table(scores, domains).rows == rows


def test_a_missing_pair_is_named(contents, domains):
    del domains["accuracy"]["campus"]["winter"]
    with pytest.raises(InputError, match=r"domains\.json.*accuracy.*campus and winter"):
        tables.shift_table(cross_domain(contents), domains)


def test_a_drop_within_its_interval_is_not_significant(contents, domains):
    contents[0]["sources"]["campus"]["winter"] = numbers(0.52, "winter")  # its own model: 0.5
    contents[1]["sources"]["campus"]["winter"] = numbers(0.58, "winter")  # and 0.6
    rows = tables.shift_table(cross_domain(contents), domains).rows
    assert (rows[0][-1].mark, rows[1][-1].mark) == ("muted", "")


def test_thirds_of_the_queries_have_their_own_rank1(contents):
    scores = cross_domain(contents)
    rows = tables.difficulty_table(scores).rows
    assert len(rows) == 6
    seen = [row for row in rows if row[0].startswith("visible share")]
    counted = sum(int(row[1].split("(")[1].split(";")[0]) for row in seen)
    assert counted == 100
    assert seen[-1][1].startswith("100.0 [")  # the first queries are the visible ones, matched at rank 1
    assert seen[0][1].startswith("0.0 [")


def test_no_value_is_in_the_names_of_two_thirds(contents):
    queries = cross_domain_queries(contents).assign(model=lambda table: table["source"])
    number = queries.groupby(["model", "target", "seed"]).cumcount()
    queries = queries.assign(length=990 + number % 40, visibility=np.nan)
    scores = cross_domain(contents)
    rows = tables.difficulty_table(scores.__class__(**{**vars(scores), "queries": queries})).rows
    ends = [[int(end.replace(",", "")) for end in row[0].split()[1::2]] for row in rows]
    assert len(ends) == 3
    assert all(before[1] < after[0] for before, after in pairwise(ends))
    assert ends[-1][1] == queries["length"].max() > 999


def test_thirds_without_a_query_are_left_out(contents):
    queries = cross_domain_queries(contents).assign(model=lambda table: table["source"], visibility=np.nan)
    scores = cross_domain(contents)
    two = queries.assign(length=np.where(queries["query"] % 5 == 0, 4, 8))
    rows = tables.difficulty_table(scores.__class__(**{**vars(scores), "queries": two})).rows
    assert not [cell for row in rows for cell in row if "nan" in cell]


def test_unknown_visibility_makes_no_thirds(contents):
    queries = cross_domain_queries(contents).assign(visibility=np.nan, model=lambda table: table["source"])
    scores = cross_domain(contents)
    table = tables.difficulty_table(scores.__class__(**{**vars(scores), "queries": queries}))
    assert all(row[0].startswith("frames") for row in table.rows)
    without = scores.__class__(**{**vars(scores), "queries": queries.drop(columns="visibility")})
    assert tables.difficulty_table(without).rows == table.rows


def test_a_variant_that_is_underfit_is_marked(results):
    table = tables.ablation_table(results.ablation, results.variants)
    vanilla, spatial, full = table.rows
    assert texts(vanilla)[2] == "yes"
    assert spatial[2].mark == "bad"
    assert "31.0 %" in spatial[2].text
    assert (texts(vanilla)[3], texts(full)[3]) == ("10", "900 + 10")
    column = table.columns.index("in-domain mAP")
    assert vanilla[column] == "22.5 [20.0, 25.0]"


@pytest.fixture
def two_protocols():
    """One seed; winter follows another protocol, and its mAP is 0.1 higher; and the ablation's scores."""
    first, variants = cross_domain_content(0), ablation_content(0)
    for content in (first, variants):
        content["protocol"]["winter"] = content["protocol"]["winter"] | {"name": "market"}
    for source in first["sources"].values():
        source["winter"]["mAP"] += 0.1
    scores = cross_domain([first])
    return scores, ablation([variants], scores, None)


def test_each_protocol_has_rows_of_its_own(two_protocols):
    scores, _ = two_protocols
    place = 1 + [metric.name for metric in HEADLINE].index("mAP")
    rows = {row[0]: row[place] for row in tables.settings_table(scores).rows}
    assert len(rows) == 2 * (len(SETTINGS) + 1)
    name = tables.TEXT["setting"]["in_domain"]
    assert rows[f"{name} (embedded)"].startswith("25.0 ")
    assert rows[f"{name} (market)"].startswith("35.0 ")
    gains = {tuple(row[:3]) for row in tables.baselines_table(scores).rows}
    assert {("untrained (embedded)", "mAP", "2.0"), ("untrained (market)", "mAP", "12.0")} <= gains


def test_a_mean_over_strangers_is_of_one_protocol(two_protocols):
    scores, _ = two_protocols
    winter = (scores.queries["target"] == "winter") & (scores.queries["model"] != "winter")
    queries = scores.queries.assign(there_correct=scores.queries["there_correct"] & ~winter)
    rows = {row[0]: row[1:] for row in tables.open_set_table(replace(scores, queries=queries)).rows}
    means = {name for name in rows if name.startswith("mean")}
    assert len(means) == 2 * len(SETTINGS)
    assert rows["mean, cross-domain (embedded)"][0].startswith("30.0 ")
    assert rows["mean, cross-domain (market)"][0].startswith("0.0 ")


def test_a_variant_has_columns_for_each_protocol(two_protocols):
    _, scores = two_protocols
    made = VariantResult("vanilla", ["ST + TT"], 0, 10, 0.9, 0.5, 0.9, True)
    table = tables.ablation_table(scores, [made])
    row = dict(zip(table.columns, texts(table.rows[0]), strict=True))
    assert row["cross-domain (embedded) rank-1"].startswith("20.0 ")  # station
    assert row["cross-domain (market) rank-1"].startswith("30.0 ")  # winter
    assert row["in-domain (embedded) rank-1"].startswith("40.0 ")
    assert "in-domain (market) rank-1" not in row


def test_a_gain_over_two_protocols_names_both(two_protocols):
    _, scores = two_protocols
    text = tables.gains(scores, "cross_domain", "vanilla", "spatial")
    assert {"(embedded)", "(market)"} <= set(text.replace(";", "").split())
    assert isinstance(tables.gains(scores, "in_domain", "vanilla", "spatial"), Cell)
    assert tables.gains(scores, "direct_transfer", "vanilla", "spatial") == tables.NONE
