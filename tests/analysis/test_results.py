"""Scores hold every model, target and seed, and refuse results that do not belong together."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sttreid.analysis import results
from sttreid.retrieval.metrics import METRICS
from sttreid.runtime.errors import InputError
from tests.analysis.contents import (
    MADE,
    PROTOCOL,
    TARGETS,
    ablated,
    ablation,
    ablation_content,
    cross_domain,
    cross_domain_content,
    cross_domain_queries,
    history,
)

NAMES = [metric.name for metric in METRICS]


@pytest.fixture
def contents():
    """Cross-domain results of two seeds."""
    return [cross_domain_content(0), cross_domain_content(1)]


def test_every_model_target_and_seed_has_its_setting(contents):
    scores = cross_domain(contents)
    assert scores.models == [*TARGETS, "unreal", "untrained", "histogram", "equalised"]
    assert (scores.targets, scores.seeds, scores.settings) == (TARGETS, [0, 1], list(results.SETTINGS))
    counts = scores.table.groupby("setting").size()
    assert (counts["in_domain"], counts["cross_domain"], counts["direct_transfer"]) == (6, 12, 6)
    assert scores.cells("in_domain") == [(target, target) for target in TARGETS]
    assert scores.cells("cross_domain", "campus") == [("campus", "winter"), ("campus", "station")]
    assert scores.identities == 20


def test_one_target_has_no_cross_domain_setting(contents):
    assert "cross_domain" not in cross_domain(contents, ["winter"]).settings


def test_a_mean_weighs_cells_and_seeds_alike(contents):
    scores = cross_domain(contents)
    mean = scores.interval(scores.cells("in_domain"), "mAP")
    assert (mean.value, mean.low, mean.high) == pytest.approx((0.275, 0.25, 0.3))  # only seeds differ
    rank1 = scores.interval(scores.cells("in_domain"), "rank1")
    assert rank1.value == pytest.approx(0.55)
    assert rank1.low < 0.55 < rank1.high


def test_a_difference_is_paired(contents):
    scores = cross_domain(contents)
    gain = scores.difference([("campus", "winter")], [("unreal", "winter")], "mAP")
    assert (gain.value, gain.low, gain.high) == pytest.approx((0.05, 0.05, 0.05))  # the same with each seed


def test_the_reference_is_the_model_of_the_source(contents):
    cross = cross_domain(contents)
    scores = ablation([ablation_content(0), ablation_content(1)], cross)
    assert scores.models == ["vanilla", "spatial", "full"]
    assert scores.settings == ["in_domain", "cross_domain"]
    for setting in scores.settings:
        cells = scores.cells(setting, "full")
        expected = cross.interval([("campus", target) for _, target in cells], "rank1")
        assert scores.interval(cells, "rank1") == expected
    assert "full" not in ablation([ablation_content(0)], cross_domain(contents[:1]), None).models


def test_a_missing_cell_is_named(contents):
    del contents[1]["sources"]["winter"]["campus"]
    with pytest.raises(InputError, match="seed 1: winter on campus is missing"):
        cross_domain(contents)


def test_a_missing_variant_is_named(contents):
    content = ablation_content(0)
    del content["variants"]["vanilla"]["moments"]["trained"]["winter"]
    with pytest.raises(InputError, match="vanilla on winter is missing"):
        ablation([content], cross_domain(contents[:1]))


def test_missing_queries_are_named(contents):
    queries = cross_domain_queries(contents)
    gone = (queries["source"] == "campus") & (queries["target"] == "winter") & (queries["seed"] == 1)
    with pytest.raises(InputError, match="campus on winter with seed 1 are missing"):
        results.cross_domain(contents, queries[~gone], TARGETS, "unreal")


def test_another_protocol_is_refused(contents):
    contents[1]["protocol"]["winter"] = PROTOCOL | {"name": "market"}
    with pytest.raises(InputError, match=r"seed 1.*protocol.*market"):
        cross_domain(contents)
    content = ablation_content(0)
    content["protocol"]["winter"] = PROTOCOL | {"name": "market"}
    with pytest.raises(InputError, match=r"ablation.*seed 0.*protocol.*market"):
        ablation([content], cross_domain(contents[:1]))


def test_other_counts_are_refused(contents):
    contents[1]["sources"]["campus"]["winter"]["gallery"] = 7
    with pytest.raises(InputError, match=r"gallery of winter .* \[7, 122\]"):
        cross_domain(contents)


@pytest.mark.parametrize("value", [0.123, np.nan])
def test_a_mean_that_its_queries_do_not_have_is_refused(contents, value):
    queries = cross_domain_queries(contents)
    contents[0]["sources"]["campus"]["winter"]["mAP"] = value
    with pytest.raises(InputError, match="mAP of campus on winter"):
        results.cross_domain(contents, queries, TARGETS, "unreal")


def test_a_variant_is_comparable_if_it_fits_with_every_seed():
    variant = results.variant("a", MADE, [history(0.96), history(0.95)], 0.95)
    assert variant.comparable
    assert variant.train_rank1 == pytest.approx(0.955)
    assert variant.validation_rank1 == pytest.approx(0.4775)
    variant = results.variant("a", MADE, [history(0.96), history(0.94)], 0.95)
    assert not variant.comparable
    assert variant.lowest_train_rank1 == 0.94


def test_a_history_without_validation_is_refused():
    with pytest.raises(InputError, match="training history of a"):
        results.variant("a", MADE, [history().head(3)], 0.5)


def test_the_matrix_has_a_row_for_each_model_and_target(contents):
    table = results.matrix(cross_domain(contents))
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
    curve = results.cmc(scores.__class__(**{**vars(scores), "queries": queries}))
    assert list(curve.columns) == ["rank", *results.SETTINGS]
    assert curve["rank"].tolist() == list(range(1, 21))
    for rank in (1, 13, 20):
        shares = []
        for source, target in scores.cells("cross_domain"):
            rows = queries[(queries["model"] == source) & (queries["target"] == target)]
            first = [hit for hit, ap in zip(rows["first_hit"], rows["ap"], strict=True) if ap == ap]
            shares.append(sum(1 <= hit <= rank for hit in first) / len(first))
        assert curve["cross_domain"][rank - 1] == pytest.approx(np.mean(shares), abs=1e-12)


def test_the_variants_have_a_column_for_each_metric_and_setting(contents):
    table = results.variant_means(ablated(contents)[0])
    assert table["variant"].tolist() == ["vanilla", "spatial", "full"]
    assert set(table.columns) == {
        "variant",
        *(f"{n}_{s}" for n in NAMES for s in ("in_domain", "cross_domain")),
    }
    assert table["rank1_in_domain"].tolist() == pytest.approx([0.45, 0.3, 0.55])


def of_two_protocols():
    """Cross-domain results of one seed; winter follows another protocol, and its rank-1 is 0.1 higher."""
    content = cross_domain_content(0)
    content["protocol"]["winter"] = PROTOCOL | {"name": "market"}
    for source in content["sources"].values():
        source["winter"]["rank1"] += 0.1  # a whole number of its queries
    return content


def test_the_scores_of_a_protocol_are_those_of_its_targets(contents):
    scores = cross_domain([of_two_protocols()])
    parts = scores.by_protocol()
    assert {name: part.targets for name, part in parts.items()} == {
        "embedded": ["campus", "station"],
        "market": ["winter"],
    }
    market = parts["market"]
    assert market.cells("in_domain") == [("winter", "winter")]
    assert market.cells("cross_domain") == [("campus", "winter"), ("station", "winter")]
    assert market.interval(market.cells("in_domain"), "rank1").value == pytest.approx(0.6)
    assert set(market.queries["target"]) == {"winter"}
    (single,) = cross_domain(contents).by_protocol().values()
    assert single.targets == TARGETS


def test_plot_tables_have_columns_for_each_protocol():
    scores = cross_domain([of_two_protocols()])
    curve = results.cmc(scores)
    assert curve["in_domain"][0] == pytest.approx(0.5)
    assert curve["in_domain market"][0] == pytest.approx(0.6)
    content = ablation_content(0)
    content["protocol"]["winter"] = PROTOCOL | {"name": "market"}
    table = results.variant_means(ablation([content], scores)).set_index("variant")
    assert table.loc["vanilla", "rank1_in_domain"] == pytest.approx(0.4)
    assert table.loc["vanilla", "rank1_cross_domain"] == pytest.approx(0.2)  # station
    assert table.loc["vanilla", "rank1_cross_domain market"] == pytest.approx(0.3)  # winter
    assert "rank1_in_domain market" not in table


def long_history(steps):
    step = np.arange(1, steps + 1)
    measured = np.where((step % 100 == 0) | (step == steps), step / steps, np.nan)
    return pd.DataFrame({"step": step, "loss": 1e5 - step, "train_rank1": measured})


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 1500))
def test_a_curve_has_at_most_200_rows_and_ends_at_the_last_step(steps):
    curve = results.training_curve(long_history(steps))
    assert len(curve) == min(200, steps)
    assert curve["step"].iloc[-1] == steps
    assert curve["train_rank1"].iloc[-1] > 0.995
    if steps <= 200:
        pd.testing.assert_frame_equal(curve, long_history(steps), check_dtype=False)


def test_neighbouring_steps_are_averaged_and_gaps_are_kept():
    curve = results.training_curve(long_history(1000))
    assert curve["loss"].iloc[0] == 1e5 - 3  # mean of the steps 1 to 5
    assert curve["train_rank1"].notna().sum() == 10


def test_a_plot_table_reads_back():
    table = pd.DataFrame({"name": ["a", "b"], "value": [1 / 3, np.nan]})
    text = results.tsv(table)
    assert text == "name\tvalue\na\t0.333333\nb\t\n"
    assert pd.read_csv(io.StringIO(text), sep="\t")["value"].isna().tolist() == [False, True]
