"""Plot tables: columns, means, and curves that keep their shape."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sttreid.report import plots
from sttreid.report.summary import RATES, SETTINGS, arms, matrix

TARGETS = ["campus", "winter", "station"]


def test_the_cross_domain_table_has_one_row_a_cell(results):
    table = plots.cross_domain(matrix(results, TARGETS, "unreal"))
    assert list(table.columns) == ["source", "target", *RATES]
    assert len(table) == 21
    cell = table[(table["source"] == "winter") & (table["target"] == "campus")]
    assert cell[["rank1", "mAP"]].to_numpy().tolist() == [[0.35, 0.175]]


def test_the_cmc_has_a_row_a_rank_and_a_column_a_setting(results, asked):
    curve = plots.cmc(asked(results), matrix(results, TARGETS, "unreal"))
    assert list(curve.columns) == ["rank", *SETTINGS]
    assert curve["rank"].tolist() == list(range(1, 21))
    at_first = {"in_domain": 0.55, "cross_domain": 0.35, "direct_transfer": 0.25, "untrained": 0.04}
    for setting, share in at_first.items():
        expected = [share] * 6 + [1.0] * 14  # all others are matched at rank 7
        assert curve[setting].tolist() == pytest.approx(expected)


def test_the_cmc_is_the_mean_over_cells_of_shares_counted_one_by_one(results, asked):
    queries = asked(results)
    rng = np.random.default_rng(0)
    hits = rng.integers(0, 40, len(queries))  # 0: no match, and some beyond the curve
    queries["first_hit"] = np.where(queries["ap"].notna(), hits, 0)
    curve = plots.cmc(queries, matrix(results, TARGETS, "unreal"))
    for rank in (1, 2, 13, 20):
        shares = []
        for source in TARGETS:
            for target in set(TARGETS) - {source}:
                rows = queries[(queries["source"] == source) & (queries["target"] == target)]
                first = [hit for hit, ap in zip(rows["first_hit"], rows["ap"], strict=True) if ap == ap]
                shares.append(sum(1 <= hit <= rank for hit in first) / len(first))
        assert curve["cross_domain"][rank - 1] == pytest.approx(np.mean(shares), abs=1e-12)


def test_a_query_that_nothing_matches_but_counts_lowers_the_whole_cmc(results, asked):
    queries = asked(results[:1])
    queries["ap"] = queries["ap"].fillna(0.0)  # as a protocol with unmatched queries that score 0
    curve = plots.cmc(queries, matrix(results[:1], TARGETS, "unreal"))
    assert curve["in_domain"].iloc[-1] == pytest.approx((1 + 200 / 201 + 300 / 302) / 3)


def test_a_setting_without_cells_has_no_curve(results, asked):
    curve = plots.cmc(asked(results), matrix(results, ["winter"], "unreal"))
    assert "cross_domain" not in curve
    assert curve["in_domain"][0] == pytest.approx(0.55)


def test_the_ablation_table_has_one_row_a_variant_and_setting(cells):
    table = plots.ablation(arms(cells))
    assert list(table.columns) == ["variant", "setting", *RATES]
    assert table[["variant", "setting", "rank1", "mAP"]].round(9).to_numpy().tolist() == [
        ["vanilla", "in_domain", 0.45, 0.225],
        ["vanilla", "cross_domain", 0.3, 0.15],
        ["spatial", "in_domain", 0.35, 0.175],
        ["spatial", "cross_domain", 0.2, 0.1],
    ]


def history(steps):
    """A loss that falls by 1 a step, and a look at every 100th step and at the last."""
    step = np.arange(1, steps + 1)
    looked = np.where((step % 100 == 0) | (step == steps), step / steps, np.nan)
    return pd.DataFrame({"step": step, "loss": 1e5 - step, "train_rank1": looked})


@settings(deadline=None)
@given(st.integers(1, 1500))
def test_a_curve_has_at_most_200_rows_and_ends_at_the_last_step(steps):
    curve = plots.history_curve(history(steps))
    assert len(curve) == min(200, steps)
    assert curve["step"].iloc[-1] == steps
    assert curve["step"].is_monotonic_increasing
    assert curve["train_rank1"].iloc[-1] > 0.995  # two looks may fall into the last group


def test_a_short_history_stays_as_it_is():
    pd.testing.assert_frame_equal(plots.history_curve(history(150)), history(150), check_dtype=False)


def test_neighbouring_steps_are_averaged_and_gaps_are_kept():
    curve = plots.history_curve(history(1000))
    assert curve["loss"].iloc[0] == 1e5 - 3  # mean of the steps 1 to 5
    assert curve["step"].iloc[0] == 5
    assert curve["train_rank1"].notna().sum() == 10
    assert curve["train_rank1"].dropna().tolist() == pytest.approx([k / 10 for k in range(1, 11)])


def test_an_empty_history_gives_an_empty_curve():
    curve = plots.history_curve(history(10).iloc[:0])
    assert curve.empty
    assert list(curve.columns) == ["step", "loss", "train_rank1"]


def test_numbers_have_six_digits():
    table = pd.DataFrame({"step": [1, 2], "loss": [1 / 3, 2e-7 / 3]})
    assert plots.history_curve(table)["loss"].tolist() == [0.333333, 6.66667e-08]


def test_text_is_tab_separated_and_reads_back():
    table = plots.history_curve(history(250))
    written = plots.text(table)
    assert written.startswith("step\tloss\ttrain_rank1\n")
    assert "\r" not in written
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(written), sep="\t"), table)


def test_the_wide_table_has_one_row_a_variant_for_one_bar(cells):
    long = plots.ablation(arms(cells))
    table = plots.wide(long)
    assert table["variant"].tolist() == ["vanilla", "spatial"]
    for _, row in long.iterrows():
        values = table.loc[table["variant"] == row["variant"], f"mINP_{row['setting']}"]
        assert values.tolist() == [row["mINP"]]
