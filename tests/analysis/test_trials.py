"""Learning curves against numpy's least squares, intervals against their parts; the choice among trials."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sttreid.analysis.effects import difference
from sttreid.analysis.trials import (
    DOUBLING,
    Curve,
    curve_effects,
    curves_content,
    levels,
    quantity,
    search,
    search_of_each_seed,
    settings,
    tuning_content,
)
from sttreid.config.claims import Contrast
from tests.analysis.studies import TARGETS, TWO_PROTOCOLS, history, of_runs, runs, trained

NUMBERS = (15, 30, 60)
RATES = {"new": (0.3, 0.5, 0.6), "old": (0.2, 0.3, 0.6)}
CURVES = [Curve(name, [f"{name}-{n}" for n in NUMBERS], NUMBERS) for name in RATES]
CONTRASTS = {
    "a": Contrast("RQ2", "new", "old", confirmatory=False),
    "b": Contrast("RQ1", "new", "cnn", confirmatory=False),
}
SETTINGS = ("training", "validation", "in_domain", "gap", "cross_domain")


@pytest.fixture(scope="module")
def study():
    """Two variants, three numbers of identities; one variant is also tested before its training."""
    every = []
    for name, rates in RATES.items():
        for number, rate in zip(NUMBERS, rates, strict=True):
            own = [
                trained(run, 1 - run.seed / 50, validation=[0.1, rate / 2 + run.seed / 100])
                for run in runs(f"{name}-{number}", rate)
            ]
            every += own
            if name == "new":
                every += [
                    replace(run, variant=f"{run.variant}-pretrained", train_rank1=None, history=None)
                    for run in own
                ]
    return of_runs(every)


@pytest.fixture(scope="module")
def effects(study):
    return curve_effects(study, CURVES, CONTRASTS)


def rank1(study, variant, targets):
    """[S] the mean over targets of the share of queries matched at rank 1."""
    rows = []
    for run in study.variants[variant]:
        tables = [run.queries[target].dropna(subset=["ap"]) for target in targets]
        rows.append(np.mean([(table["first_hit"] == 1).mean() for table in tables]))
    return np.array(rows)


def test_quantities_are_those_of_the_runs(study):
    home, away = rank1(study, "new-30", ["home"]), rank1(study, "new-30", ["away"])
    fit = np.array([1, 0.98, 0.96])
    expected = {
        "training": fit,
        "validation": 0.25 + np.arange(3) / 100,
        "in_domain": home,
        "cross_domain": away,
        "gap": fit - home,
        "direct_transfer": rank1(study, "new-30", TARGETS),
    }
    for setting, values in expected.items():
        np.testing.assert_allclose(quantity(study, "new-30", setting).seeds, values, atol=1e-12)
    assert quantity(study, "old-30", "direct_transfer") is None


def test_a_slope_is_numpy_s_least_squares_over_doublings(study, effects):
    slopes = {
        (name, s): effect for (name, key, s), effect in effects.items() if key == DOUBLING and name in RATES
    }
    assert set(slopes) == {("new", "direct_transfer"), *((name, s) for name in RATES for s in SETTINGS)}
    for (variant, setting), effect in slopes.items():
        values = np.array([quantity(study, f"{variant}-{n}", setting).seeds for n in NUMBERS])
        fitted = np.polyfit(np.log2(NUMBERS), values, 1)[0]
        assert effect.value == pytest.approx(fitted.mean(), abs=1e-12)
    assert slopes["new", "in_domain"].p < 0.05


def test_a_quantity_without_test_identities_is_a_t_test_over_seeds(effects):
    row = (
        levels(effects, CURVES).set_index(["variant", "identities", "setting"]).loc[("new", 30, "validation")]
    )
    assert row["value"] == pytest.approx(0.26)
    assert row["high"] - row["value"] == pytest.approx(4.3026527 * 0.01 / 3**0.5)


def test_differences_are_paired_point_by_point(study, effects):
    differences = {key: effect for key, effect in effects.items() if key[0] not in RATES}
    assert set(differences) == {("a", key, s) for key in ("15", "30", "60", DOUBLING) for s in SETTINGS}
    sides = [study.accuracy(f"{name}-15", ["away"], "rank1") for name in ("new", "old")]
    assert effects["a", "15", "cross_domain"] == difference(*sides).effect()
    both = [effects[name, DOUBLING, "gap"].value for name in ("new", "old")]
    assert effects["a", DOUBLING, "gap"].value == pytest.approx(both[0] - both[1])


def test_the_content_has_points_and_slopes(study, effects):
    numbers = curves_content(study, effects, CURVES)
    assert numbers["seeds"] == 3
    cell = numbers["curves"]["old"]["in_domain"]
    assert set(cell) == {"15", "30", "60", DOUBLING}
    assert cell["60"]["value"] == pytest.approx(rank1(study, "old-60", ["home"]).mean(), abs=6e-7)
    assert set(cell[DOUBLING]) == {"value", "low", "high", "p"}


def test_no_interval_leaves_the_range_of_a_rate_and_no_spread_has_none(study):
    every = [run for group in study.variants.values() for run in group]
    fits = [
        replace(run, train_rank1=0.1 + 0.4 * run.seed if run.history is not None else None) for run in every
    ]
    table = levels(curve_effects(of_runs(fits), CURVES, {}), CURVES).set_index(
        ["variant", "identities", "setting"]
    )
    assert table.loc[("new", 30, "training")][["low", "high"]].tolist() == [0.0, 1.0]
    same = [replace(run, train_rank1=1.0 if run.history is not None else None) for run in every]
    effects = curve_effects(of_runs(same), CURVES, {})
    table = levels(effects, CURVES).set_index(["variant", "identities", "setting"])
    assert table.loc[("new", 30, "training")][["low", "high"]].isna().all()
    assert "low" not in curves_content(of_runs(same), effects, CURVES)["curves"]["new"]["training"]["30"]


def test_curves_have_a_mean_for_each_protocol(study):
    every = [run for group in study.variants.values() for run in group]
    mixed = of_runs(every, protocols=TWO_PROTOCOLS)
    assert list(settings(mixed)) == [*SETTINGS, "direct_transfer embedded", "direct_transfer market"]
    numbers = curves_content(mixed, curve_effects(mixed, CURVES, CONTRASTS), CURVES)["curves"]["new"]
    for protocol, target in (("embedded", "home"), ("market", "away")):
        expected = rank1(mixed, "new-30-pretrained", [target]).mean()
        assert numbers[f"direct_transfer {protocol}"]["30"]["value"] == pytest.approx(expected, abs=1e-4)
    assert "direct_transfer" not in numbers
    assert numbers["cross_domain"]["30"]["value"] == pytest.approx(
        rank1(mixed, "new-30", ["away"]).mean(), abs=1e-4
    )


def histories(**variants):
    """variant -> trial -> (training, validation) rank-1 of each seed."""
    return {
        (variant, trial): [history([0.01, validation]).assign(train_rank1=fit) for fit, validation in seeds]
        for variant, trials in variants.items()
        for trial, seeds in trials.items()
    }


TRIALS = histories(
    first={"slow": [(0.95, 0.3), (0.97, 0.4)], "fast": [(0.99, 0.5), (0.91, 0.4)]},
    second={"slow": [(0.95, 0.3), (0.95, 0.3)], "fast": [(0.99, 0.6), (0.85, 0.6)]},
    third={"slow": [(0.5, 0.2), (0.5, 0.2)], "fast": [(0.6, 0.2), (0.6, 0.2)]},
)


def test_the_best_on_validation_identities_of_the_trials_that_fit_is_chosen():
    table = search(TRIALS, 0.9)
    assert table[table["chosen"]].set_index("variant")["trial"].to_dict() == {
        "first": "fast",
        "second": "slow",
        "third": "slow",
    }
    assert list(table["variant"].unique()) == ["first", "second", "third"]


def test_the_content_of_a_search_has_every_trial_and_the_choice():
    alone = dict(zip((3, 8), search_of_each_seed(TRIALS, 0.9), strict=True))
    got = tuning_content(search(TRIALS, 0.9), alone)
    assert got["seeds"] == 2
    assert got["variants"]["first"] == {
        "slow": {"validation_rank1": 0.35, "train_rank1": 0.95},
        "fast": {"validation_rank1": 0.45, "train_rank1": 0.91},
        "chosen": "fast",
    }
    choices = {
        seed: [trials["chosen"] for trials in found.values()] for seed, found in got["of_seeds"].items()
    }
    assert choices == {"3": ["fast", "fast", "slow"], "8": ["slow", "slow", "slow"]}
    assert got["of_seeds"]["8"]["second"]["fast"] == {"validation_rank1": 0.6, "train_rank1": 0.85}


def test_a_search_with_one_seed_has_no_table_of_seeds():
    one = {key: seeds[:1] for key, seeds in TRIALS.items()}
    (alone,) = search_of_each_seed(one, 0.9)
    assert "of_seeds" not in tuning_content(search(one, 0.9), {3: alone})
    pd.testing.assert_frame_equal(alone, search(one, 0.9))
