"""Curves against numpy's own least squares, intervals against their parts, and the pages that tell them."""

from dataclasses import replace

import numpy as np
import pytest

from sttreid.config.claims import Contrast
from sttreid.config.params import load
from sttreid.report.arms import study
from sttreid.report.curves import SLOPE, Curve, content, counted, differences, levels, measured, slopes
from sttreid.report.curves_page import Told, page, site
from sttreid.report.effects import by_seed, paired
from sttreid.runtime.errors import InputError
from tests.report.studies import PROTOCOL, TARGETS, history, runs
from tests.report.test_site import Page
from tests.tiny import ROOT

IDENTITIES = (15, 30, 60)
RATES = {"new": (0.3, 0.5, 0.6), "old": (0.2, 0.3, 0.6)}
CURVES = [Curve(name, [f"{name}-{n}" for n in IDENTITIES], IDENTITIES) for name in RATES]
CONTRASTS = {"a": Contrast("RQ2", "new", "old", False), "b": Contrast("RQ1", "new", "cnn", False)}


@pytest.fixture(scope="module")
def found():
    arms = []
    for name, rates in RATES.items():
        for n, rate in zip(IDENTITIES, rates, strict=True):
            own = [
                replace(run, train_rank1=1 - run.seed / 50, history=history([0.1, rate / 2 + run.seed / 100]))
                for run in runs(f"{name}-{n}", rate)
            ]
            arms += own
            if name == "new":
                arms += [
                    replace(run, arm=f"{run.arm}-pretrained", train_rank1=None, history=None) for run in own
                ]
    return study(arms, "here", TARGETS, 0.9)


@pytest.fixture(scope="module")
def told(found):
    return Told(found, CURVES, CONTRASTS, "finetune", PROTOCOL)


def rank1(found, arm, targets):
    """[S] the mean over targets of the share of queries matched at rank 1."""
    rows = []
    for run in found.arms[arm]:
        tables = [run.queries[(run.queries["target"] == t) & run.queries["ap"].notna()] for t in targets]
        rows.append(np.mean([(table["first_hit"] == 1).mean() for table in tables]))
    return np.array(rows)


def test_quantities_are_those_of_the_runs(found):
    here, there = rank1(found, "new-30", ["here"]), rank1(found, "new-30", ["there"])
    seen = np.array([1, 0.98, 0.96])
    expected = {
        "training": seen,
        "validation": 0.25 + np.arange(3) / 100,
        "in_domain": here,
        "cross_domain": there,
        "gap": seen - here,
        "direct_transfer": rank1(found, "new-30", TARGETS),
    }
    for setting, values in expected.items():
        np.testing.assert_allclose(measured(found, "new-30", setting).seeds, values, atol=1e-12)
    assert measured(found, "old-30", "direct_transfer") is None


def test_a_slope_is_numpy_s_least_squares_over_doublings(found):
    results = {(arm, setting): effect for arm, setting, effect in slopes(found, CURVES)}
    assert set(results) == {
        *(
            ("new", s)
            for s in ("training", "validation", "in_domain", "gap", "cross_domain", "direct_transfer")
        ),
        *(("old", s) for s in ("training", "validation", "in_domain", "gap", "cross_domain")),
    }
    for (arm, setting), effect in results.items():
        values = np.array([measured(found, f"{arm}-{n}", setting).seeds for n in IDENTITIES])
        fitted = np.polyfit(np.log2(IDENTITIES), values, 1)[0]
        assert effect.value == pytest.approx(fitted.mean(), abs=1e-12)
    assert results["new", "in_domain"].p < 0.05


def test_what_hangs_on_no_people_is_a_t_test_over_seeds(found):
    table = levels(found, CURVES).set_index(["arm", "identities", "setting"])
    row = table.loc[("new", 30, "validation")]
    assert row["value"] == pytest.approx(0.26)
    assert row["high"] - row["value"] == pytest.approx(4.3026527 * 0.01 / 3**0.5)


def test_differences_are_paired_point_by_point(found):
    rows = {(place, setting): effect for _, place, setting, effect in differences(found, CURVES, CONTRASTS)}
    assert {place for place, _ in rows} == {"15", "30", "60", SLOPE}
    assert "direct_transfer" not in {setting for _, setting in rows}
    one = paired(found.samples("new-15", ["there"], "rank1"), found.samples("old-15", ["there"], "rank1"))
    got = rows["15", "cross_domain"]
    assert (got.value, got.low, got.p) == pytest.approx((one.value, one.low, one.p))
    own = {(arm, setting): effect for arm, setting, effect in slopes(found, CURVES)}
    both = [own[arm, "gap"].value for arm in ("new", "old")]
    assert rows[SLOPE, "gap"].value == pytest.approx(both[0] - both[1])


def test_the_content_is_rounded_and_names_slopes(found):
    numbers = content(found, CURVES)
    assert numbers["seeds"] == 3
    cell = numbers["curves"]["old"]["in_domain"]
    assert set(cell) == {"15", "30", "60", SLOPE}
    mean = by_seed(found.samples("old-60", ["here"], "rank1")).mean()
    assert cell["60"]["value"] == round(mean, 4)
    assert set(cell[SLOPE]) == {"value", "low", "high", "p"}


def ablation(trials, **variants):
    return replace(load(ROOT / "params.yaml").ablation, trials=trials, variants=variants or {"full": {}})


def test_trials_say_whose_identities_are_counted():
    few = {"pretrain": {"identities": 12}}
    trials = {"few": few, "all": {"pretrain": {"identities": 0}}}
    assert counted(ablation(trials)) == "pretrain"
    assert counted(
        ablation({"few": {"finetune": {"identities": 3}}, "all": {"finetune": {"identities": 0}}})
    ) == ("finetune")
    for wrong in (
        {"finetune": {"identities": 3}},
        {"pretrain": {"lr": 3}},
        {"pretrain": {"identities": 3, "steps": 500}},
        {"pretrain": {"identities": 3}, "loss": {"entropy": 0}},
        {},
    ):
        with pytest.raises(InputError, match=r"trials\.all: a trial must name the identities"):
            counted(ablation({**trials, "all": wrong}))
    with pytest.raises(InputError, match=r"trials\.all: must name other identities than few, got 12"):
        counted(ablation({**trials, "all": few}))
    with pytest.raises(InputError, match="at least 2 points, got 1"):
        counted(ablation({"few": few}))
    with pytest.raises(InputError, match=r"variants\.cnn: must be pre-trained, got 0 steps"):
        counted(ablation(trials, cnn={"pretrain": {"steps": 0}}))


@pytest.mark.parametrize("study_", ["curves", "scaling"])
def test_the_studies_trials_are_points(study_, monkeypatch):
    monkeypatch.chdir(ROOT / "experiments" / study_)
    monkeypatch.setenv("STTREID_HOME", "../..")
    assert counted(load().ablation) == {"curves": "finetune", "scaling": "pretrain"}[study_]


def test_where_nothing_varies_no_interval_is_claimed(found):
    alone = study(
        [run for runs in found.arms.values() for run in runs if run.seed == 0], "here", TARGETS, 0.9
    )
    table = levels(alone, CURVES).set_index(["arm", "identities", "setting"])
    assert table.loc[("new", 30, "validation")][["low", "high"]].isna().all()
    assert table.loc[("new", 30, "in_domain")].notna().all()
    assert "low" not in content(alone, CURVES)["curves"]["new"]["training"]["30"]
    text = page(Told(alone, CURVES, CONTRASTS, "finetune", PROTOCOL))
    assert "| new | 30 | 100.0 | 25.0 |" in text


def test_a_point_that_has_not_fitted_is_marked(found):
    arms = [
        replace(run, train_rank1=0.5) if (run.arm, run.seed) == ("old-15", 2) else run
        for runs in found.arms.values()
        for run in runs
    ]
    text = page(Told(study(arms, "here", TARGETS, 0.9), CURVES, {}, "finetune", PROTOCOL))
    marked = [line.split("|")[1:3] for line in text.splitlines() if line.startswith("|") and "*" in line]
    assert marked == [[" old ", " 15* "]]


def test_no_interval_of_a_rate_leaves_its_range(found):
    arms = [
        replace(run, train_rank1=0.1 + 0.4 * run.seed if run.history is not None else None)
        for runs in found.arms.values()
        for run in runs
    ]
    table = levels(study(arms, "here", TARGETS, 0.0), CURVES).set_index(["arm", "identities", "setting"])
    assert table.loc[("new", 30, "training")][["low", "high"]].tolist() == [0.0, 1.0]


def test_the_page_has_a_row_a_point_a_slope_and_a_difference(told):
    text = page(told)
    assert sum(line.startswith("| new | ") for line in text.splitlines()) == 4
    assert sum(line.startswith("| new against old | ") for line in text.splitlines()) == 4
    assert "cnn" not in text
    assert "seeds 0, 1, 2" in text
    alone = replace(told, contrasts={})
    assert "## Differences" not in page(alone)


def test_the_html_page_has_a_chart_a_quantity_and_asks_for_nothing(told):
    text = site(told)
    assert text == site(told)
    parsed = Page(text)
    charts = [one for one in parsed.of("svg") if one.get("role") == "img"]
    assert len(charts) == 6
    assert text.count("Protocol embedded; seeds 0, 1, 2; queries: 86 here, 86 there.") == 4
    assert all("new, 15: " in one["aria-label"] for one in charts)
    assert not parsed.of("script")
    assert "NaN" not in text
