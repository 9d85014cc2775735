"""The trials of a study: every variant under each, and in a study of claims every contrast."""

from pathlib import Path
from typing import Any

import pytest

from sttreid.config.conversion import read_yaml
from sttreid.config.params import build
from sttreid.config.study import Study, counted_schedule
from sttreid.config.trials import with_trials
from sttreid.config.variants import merge, resolve
from sttreid.runtime.errors import InputError
from tests.tiny import CLAIMS, ROOT

PATH = Path("params.yaml")
TRIALS = {"ours": {}, "alpha": {"loss": {"entropy_threshold": 0.5}}, "margin": {"loss": {"margin": 0.1}}}


def contrast(ours: str, theirs: str) -> dict[str, Any]:
    return {"question": "RQ1", "ours": ours, "theirs": theirs, "confirmatory": False}


@pytest.fixture
def parameters() -> dict[str, Any]:
    contrasts = {"a": contrast("constrained", "cnn"), "b": contrast("constrained", "vanilla")}
    overrides = {
        "claims": {**CLAIMS, "contrasts": contrasts},
        "loss": {"entropy": 0.2},
        "ablation": {
            "variants": {
                "constrained": {"model": {"gt": False}, "pretrain": None},
                "vanilla": {"model": {"gt": False}, "loss": {"entropy": 0.0}, "pretrain": None},
                "cnn": {"model": {"stt": False, "gt": False}, "pretrain": None},
            }
        },
    }
    content = merge(read_yaml(ROOT / "tests" / "tiny.yaml"), overrides)
    ablation = {**content["ablation"], **overrides["ablation"], "reference": None}
    return {**content, "claims": overrides["claims"], "ablation": ablation, "study": {"analysis": "claims"}}


def study(trials: dict[str, Any], analysis: Any = "claims") -> Study:
    return Study(analysis, trials, ["constrained", "vanilla", "cnn"])


def sides(parameters: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {name: (each["ours"], each["theirs"]) for name, each in parameters["claims"]["contrasts"].items()}


def test_a_contrast_is_made_under_each_trial_with_the_variants_of_that_trial(parameters):
    made = sides(with_trials(parameters, study(TRIALS), PATH))
    assert made["b-ours"] == ("constrained-ours", "vanilla-ours")
    assert made["b-margin"] == ("constrained-margin", "vanilla-margin")
    assert len(made) == len(TRIALS) * 2


def test_a_variant_that_a_trial_does_not_change_is_trained_once(parameters):
    changed = with_trials(parameters, study(TRIALS), PATH)
    variants = changed["ablation"]["variants"]
    assert {"constrained-alpha", "cnn-margin"} <= set(variants)
    assert not {"vanilla-alpha", "cnn-alpha"} & set(variants)
    assert sides(changed)["a-alpha"] == ("constrained-alpha", "cnn-ours")
    params = build(changed, PATH)
    configured = [resolve(params, name, 0) for name in params.ablation.variants]
    assert len({str(each).split("seed=", 1)[1] for each in configured}) == len(configured)


def test_a_contrast_of_two_variants_that_a_trial_does_not_change_is_made_once(parameters):
    parameters["claims"]["contrasts"] = {"c": contrast("vanilla", "cnn")}
    assert set(sides(with_trials(parameters, study(TRIALS), PATH))) == {"c-ours", "c-margin"}


def test_questions_about_one_pair_of_variants_keep_their_contrasts(parameters):
    pair = contrast("constrained", "vanilla")
    parameters["claims"]["contrasts"] = {"a": pair, "b": {**pair, "question": "RQ2", "confirmatory": True}}
    made = with_trials(parameters, study(TRIALS), PATH)["claims"]["contrasts"]
    asked = [(each["question"], each["confirmatory"]) for each in made.values()]
    assert sorted(asked) == sorted([("RQ1", False), ("RQ2", True)] * len(TRIALS))


@pytest.mark.parametrize("analysis", ["tuning", "claims"])
def test_a_trial_pre_trains_no_variant_that_has_no_pre_training(parameters, analysis):
    """Merged with an empty section, its learning rate would bring the default's pre-training."""
    trials = {"ours": {}, "slow": {"pretrain": {"lr": 0.001}, "finetune": {"lr": 0.001}}}
    params = build(with_trials(parameters, study(trials, analysis), PATH), PATH)
    assert resolve(params, "vanilla-slow", 0).pretrain is None
    assert resolve(params, "vanilla-slow", 0).train.lr == 0.001


def test_points_of_synthetic_identities_need_variants_with_pre_training(parameters):
    trials = {"few": {"pretrain": {"identities": 12}}, "all": {"pretrain": {"identities": None}}}
    curves = study(trials, "curves")
    made = with_trials(parameters, curves, PATH)["ablation"]["variants"]
    with pytest.raises(InputError, match=r"constrained-few: must be pre-trained .*, got null"):
        counted_schedule(curves, made)


def test_a_network_before_its_training_is_that_of_the_trial(parameters):
    parameters["ablation"]["variants"]["constrained"]["pretrain"] = {"steps": 3}
    parameters["claims"]["contrasts"] = {"t": contrast("constrained-pretrained", "constrained-untrained")}
    made = sides(with_trials(parameters, study(TRIALS), PATH))
    assert made["t-margin"] == ("constrained-margin-pretrained", "constrained-margin-untrained")


def test_contrasts_of_a_curve_and_of_a_study_without_trials_stay(parameters):
    for each in (study(TRIALS, "curves"), study({})):
        assert with_trials(parameters, each, PATH)["claims"] == parameters["claims"]
    assert with_trials(parameters, study({}), PATH) == parameters
