"""Tables and metrics files show means that can be checked by hand."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sttreid.analysis.uncertainty import Difference, Interval
from sttreid.report import tables
from sttreid.report.render import Cell
from sttreid.report.results import SETTINGS
from sttreid.retrieval.metrics import HEADLINE, METRICS
from sttreid.runtime.errors import InputError
from tests.report.conftest import TARGETS, cross_domain, cross_domain_queries, numbers

NAMES = [metric.name for metric in METRICS]


def texts(row):
    return [cell.text if isinstance(cell, Cell) else cell for cell in row]


def test_numbers_have_one_decimal_and_no_negative_zero():
    assert [tables.percent(share) for share in (0, 0.5, 0.12345, 1)] == ["0.0", "50.0", "12.3", "100.0"]
    assert [tables.percent(share) for share in (-1e-17, -0.0004, -0.0006)] == ["0.0", "0.0", "-0.1"]
    assert tables.bracket(Interval(0.5, 0.4321, 0.6)) == "50.0 [43.2, 60.0]"
    assert tables.signed(0.02, 0.01, 0.03) == "+2.0 [1.0, 3.0]"
    assert tables.signed(-0.02, -0.02, -0.02) == "-2.0"


def test_a_gain_says_whether_it_is_significant():
    assert tables.gain(Difference(0.1, 0.05, 0.15, 0.01)) == Cell("+10.0 [5.0, 15.0]")
    assert tables.gain(Difference(0.1, -0.05, 0.25, 0.4)).mark == "muted"


def test_phrases_name_seeds_and_protocols():
    assert (tables.seeds_phrase([0]), tables.seeds_phrase([0, 1])) == ("seed 0", "seeds 0, 1")
    assert tables.protocols_phrase({"a": "market", "b": "market"}) == "protocol market"
    assert "market of a, mars-official of b" in tables.protocols_phrase({"a": "market", "b": "mars-official"})


def test_cross_domain_metrics_are_means_over_cells_and_seeds(contents):
    content = tables.cross_domain_metrics(cross_domain(contents))
    expected = {"in_domain": 0.55, "cross_domain": 0.35, "direct_transfer": 0.25, "untrained": 0.04}
    expected |= {"histogram": 0.25, "equalised": 0.5, "cross_domain_drop": 0.2}
    assert {name: content["rank1"][name] for name in expected} == expected
    assert content["rank1"]["winter"] == {"campus": 0.35, "winter": 0.55, "station": 0.35}
    assert set(content["mAP"]) == {*expected, *TARGETS, "unreal"}
    assert content["interval"]["mAP"]["in_domain"] == {"low": 0.25, "high": 0.3}
    assert set(content["interval"]) == {metric.name for metric in HEADLINE}
    assert (content["seeds"], content["protocol"]) == (2, dict.fromkeys(TARGETS, "embedded"))
    assert content["queries"] == {"campus": 100, "winter": 200, "station": 300}
    assert content["junk"] == {"campus": 0, "winter": 5, "station": 10}


def test_one_target_has_no_drop(contents):
    content = tables.cross_domain_metrics(cross_domain(contents, ["winter"]))
    assert "cross_domain" not in content["rank1"]
    assert "cross_domain_drop" not in content["rank1"]


def test_ablation_metrics_have_an_entry_for_each_variant(results):
    content = tables.ablation_metrics(results.ablation, results.variants)
    assert content["vanilla"]["rank1_in_domain"] == 0.45
    assert content["vanilla"]["mAP_cross_domain"] == 0.15
    assert content["vanilla"]["interval"]["mAP_in_domain"] == {"low": 0.2, "high": 0.25}
    assert (content["vanilla"]["comparable"], content["spatial"]["comparable"]) == (1, 0)
    assert content["full"]["rank1_in_domain"] == 0.55
    assert content["full"]["train_rank1"] == 0.96


def test_the_matrix_has_a_row_for_each_model_and_target(contents):
    table = tables.matrix(cross_domain(contents))
    assert list(table.columns) == ["source", "target", *NAMES]
    assert len(table) == 21
    cell = table[(table["source"] == "winter") & (table["target"] == "campus")]
    assert cell[["rank1", "mAP"]].to_numpy().tolist() == [[0.35, 0.175]]


def test_the_cmc_is_the_mean_over_cells_of_shares_counted_one_by_one(contents):
    queries = cross_domain_queries(contents)
    scores = cross_domain(contents)
    hits = np.random.default_rng(0).integers(0, 40, len(queries))  # 0: no match; some beyond the curve
    queries = queries.rename(columns={"source": "model"})
    queries["first_hit"] = np.where(queries["ap"].notna(), hits, 0)
    curve = tables.cmc(scores.__class__(**{**vars(scores), "queries": queries}))
    assert list(curve.columns) == ["rank", *SETTINGS]
    assert curve["rank"].tolist() == list(range(1, 21))
    for rank in (1, 13, 20):
        shares = []
        for source, target in scores.cells("cross_domain"):
            rows = queries[(queries["model"] == source) & (queries["target"] == target)]
            first = [hit for hit, ap in zip(rows["first_hit"], rows["ap"], strict=True) if ap == ap]
            shares.append(sum(1 <= hit <= rank for hit in first) / len(first))
        assert curve["cross_domain"][rank - 1] == pytest.approx(np.mean(shares), abs=1e-12)


def test_the_variants_have_a_column_for_each_metric_and_setting(results):
    table = tables.variant_means(results.ablation)
    assert table["variant"].tolist() == ["vanilla", "spatial", "full"]
    assert set(table.columns) == {
        "variant",
        *(f"{n}_{s}" for n in NAMES for s in ("in_domain", "cross_domain")),
    }
    assert table["rank1_in_domain"].tolist() == pytest.approx([0.45, 0.3, 0.55])


def history(steps):
    step = np.arange(1, steps + 1)
    measured = np.where((step % 100 == 0) | (step == steps), step / steps, np.nan)
    return pd.DataFrame({"step": step, "loss": 1e5 - step, "train_rank1": measured})


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 1500))
def test_a_curve_has_at_most_200_rows_and_ends_at_the_last_step(steps):
    curve = tables.training_curve(history(steps))
    assert len(curve) == min(200, steps)
    assert curve["step"].iloc[-1] == steps
    assert curve["train_rank1"].iloc[-1] > 0.995
    if steps <= 200:
        pd.testing.assert_frame_equal(curve, history(steps), check_dtype=False)


def test_neighbouring_steps_are_averaged_and_gaps_are_kept():
    curve = tables.training_curve(history(1000))
    assert curve["loss"].iloc[0] == 1e5 - 3  # mean of the steps 1 to 5
    assert curve["train_rank1"].notna().sum() == 10


def test_a_plot_table_reads_back():
    table = pd.DataFrame({"name": ["a", "b"], "value": [1 / 3, np.nan]})
    text = tables.tsv(table)
    assert text == "name\tvalue\na\t0.333333\nb\t\n"
    assert pd.read_csv(io.StringIO(text), sep="\t")["value"].isna().tolist() == [False, True]


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


def test_the_shift_has_a_row_for_each_model_and_other_target(contents, domains):
    scores = cross_domain(contents)
    rows = tables.shift_table(scores, domains).rows
    assert [tuple(row[:2]) for row in rows] == [
        (source, target) for source in (*TARGETS, "unreal") for target in TARGETS if source != target
    ]
    assert rows[0][2] == "90.0 ± 1.0"
    assert rows[0][3] == tables.bracket(scores.interval([("winter", "winter")], "rank1"))
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


def test_unknown_visibility_makes_no_thirds(contents):
    queries = cross_domain_queries(contents).assign(visibility=np.nan, model=lambda table: table["source"])
    scores = cross_domain(contents)
    table = tables.difficulty_table(scores.__class__(**{**vars(scores), "queries": queries}))
    assert all(row[0].startswith("frames") for row in table.rows)


def test_a_variant_that_is_underfit_is_marked(results):
    table = tables.ablation_table(results.ablation, results.variants)
    vanilla, spatial, full = table.rows
    assert texts(vanilla)[2] == "yes"
    assert spatial[2].mark == "bad"
    assert "31.0 %" in spatial[2].text
    assert (texts(vanilla)[3], texts(full)[3]) == ("10", "900 + 10")
    column = table.columns.index("in-domain mAP")
    assert vanilla[column] == "22.5 [20.0, 25.0]"
