"""Plot tables: columns, means, and curves that keep their shape."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sttreid.report import plots
from sttreid.report.summary import RATES

TARGETS = ["campus", "winter", "station"]


def test_the_cross_domain_table_has_one_row_a_cell(results):
    table = plots.cross_domain(results, TARGETS, "unreal")
    assert list(table.columns) == ["source", "target", *RATES]
    assert len(table) == 21
    cell = table[(table["source"] == "winter") & (table["target"] == "campus")]
    assert cell[["rank1", "mAP"]].to_numpy().tolist() == [[0.35, 0.175]]


def test_the_ablation_table_has_one_row_a_variant_and_setting(cells):
    table = plots.ablation(cells)
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
    long = plots.ablation(cells)
    table = plots.wide(long)
    assert table["variant"].tolist() == ["vanilla", "spatial"]
    for _, row in long.iterrows():
        values = table.loc[table["variant"] == row["variant"], f"mINP_{row['setting']}"]
        assert values.tolist() == [row["mINP"]]
