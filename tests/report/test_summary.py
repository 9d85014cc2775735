"""Means that can be checked by head, and the refusal of results that do not belong together."""

import copy

import pandas as pd
import pytest

from sttreid.report.summary import ablation, arms, complete, cross_domain, matrix, names, shifts
from sttreid.runtime.errors import InputError

TARGETS = ["campus", "winter", "station"]
NAMES = dict.fromkeys(TARGETS, "embedded")


def test_the_matrix_has_every_seed_source_and_target_with_its_setting(results):
    table = matrix(results, TARGETS, "unreal")
    assert len(table) == 2 * 7 * 3
    assert list(table["source"].unique()) == [*TARGETS, "unreal", "untrained", "histogram", "equalised"]
    counted = table.groupby("setting").size().to_dict()
    expected = {
        "in_domain": 6,
        "cross_domain": 12,
        "direct_transfer": 6,
        "untrained": 6,
        "histogram": 6,
        "equalised": 6,
    }
    assert counted == expected
    assert (
        table[table["setting"] == "in_domain"]["source"] == table[table["setting"] == "in_domain"]["target"]
    ).all()


def test_cross_domain_metrics_are_means_over_seeds_and_cells(results, cross):
    content = cross_domain(NAMES, *cross(results))
    settings = {"in_domain": 0.55, "cross_domain": 0.35, "direct_transfer": 0.25, "untrained": 0.04}
    assert {name: content["rank1"][name] for name in settings} == pytest.approx(settings)
    assert content["rank1"]["histogram"] == 0.25
    assert content["rank1"]["winter"] == {"campus": 0.35, "winter": 0.55, "station": 0.35}
    assert content["mAP"]["unreal"] == {"campus": 0.125, "winter": 0.125, "station": 0.125}
    assert set(content["mAP"]) == {*settings, "histogram", "equalised", *TARGETS, "unreal"}


def test_cross_domain_metrics_have_the_interval_of_every_setting(results, cross):
    table, known = cross(results)
    content = cross_domain(NAMES, table, known)
    assert content["interval"]["mAP"] == {
        "in_domain": {"low": 0.25, "high": 0.3},  # every query has the mean: only the seeds spread
        "cross_domain": {"low": 0.15, "high": 0.2},
        "direct_transfer": {"low": 0.1, "high": 0.15},
        "untrained": {"low": 0.02, "high": 0.02},
        "histogram": {"low": 0.125, "high": 0.125},
        "equalised": {"low": 0.25, "high": 0.25},
    }
    assert set(content["interval"]["rank1"]) == set(content["interval"]["mAP"])
    for setting, ends in content["interval"]["rank1"].items():
        assert ends["low"] < content["rank1"][setting] < ends["high"]
    expected = known.interval([(target, target) for target in TARGETS], "rank1")
    assert content["interval"]["rank1"]["in_domain"] == {
        "low": round(expected.low, 4),
        "high": round(expected.high, 4),
    }


def test_cross_domain_metrics_name_protocol_seeds_and_counts(results, cross):
    content = cross_domain(NAMES, *cross(results))
    assert (content["protocol"], content["seeds"]) == (NAMES, 2)
    assert content["queries"] == {"campus": 100, "winter": 200, "station": 300}
    assert content["unmatched"] == {"campus": 0, "winter": 1, "station": 2}
    assert content["gallery"] == {"campus": 120, "winter": 122, "station": 124}
    assert content["distractors"] == {"campus": 20, "winter": 21, "station": 22}
    assert content["left_out"] == {"campus": 0, "winter": 3, "station": 6}
    assert content["junk"] == {"campus": 0, "winter": 5, "station": 10}


def test_shifts_are_drops_from_the_targets_own_model(results, domains):
    table = shifts(matrix(results, TARGETS, "unreal"), domains)
    pairs = [(s, t) for s in (*TARGETS, "unreal") for t in TARGETS if s != t]
    assert list(zip(table["seed"], table["source"], table["target"], strict=True)) == [
        (seed, *pair) for seed in (0, 1) for pair in pairs
    ]
    for _, row in table.iterrows():
        sources = results[row["seed"]]["sources"]
        own = sources[row["target"]][row["target"]]["rank1"]
        other = sources[row["source"]][row["target"]]["rank1"]
        assert row[["own", "rank1", "drop"]].tolist() == pytest.approx([own, other, own - other])
    chosen = table[(table["source"] == "station") & (table["target"] == "campus")]
    assert chosen[["accuracy", "standard_error"]].to_numpy().tolist() == [[0.6, 0.06]] * 2


def test_the_order_of_a_pair_does_not_matter(results, domains):
    table = matrix(results, TARGETS, "unreal")
    expected = shifts(table, domains)
    for name in ("accuracy", "standard_error"):
        domains[name]["unreal"] = {t: domains[name][t].pop("unreal") for t in TARGETS}
    pd.testing.assert_frame_equal(shifts(table, domains), expected)


def test_metrics_have_four_digits(results, cross):
    for target in TARGETS:
        results[0]["sources"]["unreal"][target]["mAP"] = 0.123456
    content = cross_domain(NAMES, *cross(results[:1]))
    assert content["mAP"]["unreal"]["winter"] == content["mAP"]["direct_transfer"] == 0.1235
    assert content["interval"]["mAP"]["direct_transfer"] == {"low": 0.1235, "high": 0.1235}


def test_one_target_alone_has_no_cross_domain_setting(results, cross):
    content = cross_domain(NAMES, *cross(results, ["winter"]))
    assert "cross_domain" not in {*content["rank1"], *content["interval"]["rank1"]}
    assert content["rank1"]["winter"] == {"winter": 0.55}


def test_the_order_of_the_seeds_changes_nothing(results, cross):
    results[1]["sources"]["unreal"]["campus"]["rank1"] = 0.6
    assert cross_domain(NAMES, *cross(results[::-1])) == cross_domain(NAMES, *cross(results))


def test_a_missing_cell_is_refused_with_its_place(results):
    del results[1]["sources"]["winter"]["station"]
    with pytest.raises(InputError, match="result of seed 1: the cell winter -> station is missing"):
        matrix(results, TARGETS, "unreal")
    del results[0]["sources"]["histogram"]
    with pytest.raises(InputError, match="result of seed 0: the cell histogram -> campus is missing"):
        matrix(results, TARGETS, "unreal")


def test_results_of_different_protocols_are_refused(results):
    results[1]["protocol"]["winter"]["unmatched"] = "zero"
    with pytest.raises(InputError, match="result of seed 1: the protocol must be that of seed 0"):
        matrix(results, TARGETS, "unreal")


def test_results_of_different_data_are_refused(results):
    results[1]["sources"]["unreal"]["winter"]["queries"] = 99
    with pytest.raises(InputError, match=r"queries of winter must be the same in all cells, got \[99, 200\]"):
        matrix(results, TARGETS, "unreal")


def test_no_result_and_a_repeated_seed_are_refused(results, cells):
    with pytest.raises(InputError, match="cross-domain results: there must be at least one"):
        matrix([], TARGETS, "unreal")
    with pytest.raises(InputError, match=r"every seed must come once, got the seeds \[0, 0\]"):
        matrix([results[0], results[0]], TARGETS, "unreal")
    with pytest.raises(InputError, match="ablation results: there must be at least one"):
        arms([])
    with pytest.raises(
        InputError, match=r"ablation results: every seed must come once, got the seeds \[0, 0\]"
    ):
        arms([cells[0], cells[0]])


def test_ablation_metrics_are_means_over_seeds_and_the_other_targets(cells, ablated):
    table, known = ablated(cells)
    content = ablation(NAMES, table, known, 0.95)
    interval = content["vanilla"].pop("interval")
    assert content["vanilla"] == {
        "rank1_in_domain": 0.45,
        "rank1_cross_domain": 0.3,
        "mAP_in_domain": 0.225,
        "mAP_cross_domain": 0.15,
        "train_rank1": 0.97,
        "validation_rank1": 0.485,
        "comparable": 1,
    }
    assert (content["protocol"], content["seeds"], content["queries"]["station"]) == (NAMES, 2, 300)
    assert set(interval) == {f"{m}_{s}" for m in ("mAP", "rank1") for s in ("in_domain", "cross_domain")}
    assert interval["mAP_in_domain"] == {"low": 0.2, "high": 0.25}
    assert interval["mAP_cross_domain"] == {"low": 0.125, "high": 0.175}
    ends = known.interval([("vanilla", "winter"), ("vanilla", "station")], "rank1")
    assert interval["rank1_cross_domain"] == {"low": round(ends.low, 4), "high": round(ends.high, 4)}


@pytest.mark.parametrize(
    ("fitted", "expected"), [(0.31, [1, 1]), (0.32, [1, 0]), (0.96, [1, 0]), (0.97, [0, 0])]
)
def test_a_variant_is_comparable_if_it_fits_with_every_seed(cells, ablated, fitted, expected):
    content = ablation(NAMES, *ablated(cells), fitted)
    assert [content[variant]["comparable"] for variant in ("vanilla", "spatial")] == expected


def test_variants_of_different_seeds_are_refused(cells):
    with pytest.raises(InputError, match=r"spatial must have the seeds \[0, 1\], as vanilla has, got \[0\]"):
        arms(cells[:3])


def test_ablation_cells_of_different_data_are_refused(cells):
    cells[2]["targets"]["campus"]["gallery"] = 7
    with pytest.raises(InputError, match=r"gallery of campus must be the same in all cells, got \[7, 120\]"):
        arms(cells)


def test_a_cell_is_completed_from_its_history(cells, results):
    looks = {"train_rank1": [0.2, None, 0.7, None], "validation_rank1": [0.1, None, 0.4, None]}
    history = pd.DataFrame({"step": [1, 2, 3, 4], **looks})
    bare = {key: cells[0][key] for key in ("variant", "seed", "source", "reuses", "targets")}
    content = complete(bare, history, results)
    assert content == {**bare, "steps": 4, "train_rank1": 0.7, "validation_rank1": 0.4}


def test_a_cell_that_reuses_a_model_gets_its_row_of_the_matrix(cells, results):
    bare = {"variant": "full", "seed": 1, "source": "winter", "reuses": True}
    before = copy.deepcopy(bare)
    history = pd.DataFrame({"step": [9], "train_rank1": [1.0], "validation_rank1": [0.5]})
    assert complete(bare, history, results)["targets"] == results[1]["sources"]["winter"]
    assert bare == before
    with pytest.raises(InputError, match="ablation result full of seed 1: reuses a model, but no"):
        complete(bare, history, results[:1])


def test_an_empty_history_is_refused(cells, results):
    with pytest.raises(InputError, match="vanilla of seed 0: its training history must have at least 1 row"):
        complete(cells[0], pd.DataFrame({"step": []}), results)


def test_every_target_has_its_protocols_name(results):
    results[0]["protocol"]["winter"]["name"] = "duke-official"
    assert names(results[0]["protocol"]) == NAMES | {"winter": "duke-official"}


def test_cells_of_two_protocols_are_not_mixed(cells):
    cells[2]["protocol"]["campus"]["average_precision"] = "trapezoid"
    with pytest.raises(InputError, match="the protocol must be that of vanilla"):
        arms(cells)
