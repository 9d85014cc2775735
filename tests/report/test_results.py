"""Scores hold every model, target and seed, and refuse results that do not belong together."""

import numpy as np
import pytest

from sttreid.report import results
from sttreid.runtime.errors import InputError
from tests.report.conftest import (
    PROTOCOL,
    TARGETS,
    ablation,
    ablation_content,
    cross_domain,
    cross_domain_queries,
    history,
)


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


MADE = {"composition": ["ST + TT"], "pretrain_steps": 900, "steps": 10}


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
