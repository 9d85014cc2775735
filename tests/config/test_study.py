"""Which schedule the trials of a learning curve vary, and what is no learning curve."""

import pytest

from sttreid.config.study import Study, counted_schedule, identities_of, trial_name
from sttreid.runtime.errors import InputError

FEW = {"pretrain": {"identities": 12}}


def study(trials):
    return Study("curves", trials, ["full"])


@pytest.mark.parametrize("schedule", ["pretrain", "finetune"])
def test_trials_vary_the_identities_of_one_schedule(schedule):
    trials = {"few": {schedule: {"identities": 3}}, "all": {schedule: {"identities": None}}}
    assert counted_schedule(study(trials), {"full-few": {}, "full-all": {}}) == schedule


def test_points_with_more_identities_may_train_longer():
    trials = {
        "few": {"finetune": {"identities": 3, "steps": 10, "eval_every": 5}},
        "all": {"finetune": {"identities": None}},
    }
    assert counted_schedule(study(trials), {}) == "finetune"


@pytest.mark.parametrize(
    "other",
    [
        {"finetune": {"identities": 3}},
        {"pretrain": {"lr": 3}},
        {"pretrain": {"identities": 3, "lr": 0.1}},
        {"pretrain": {"steps": 500}},
        {"pretrain": {"identities": 3}, "loss": {"entropy": 0}},
        {"pretrain": None},
        {},
    ],
)
def test_a_trial_of_anything_else_is_refused(other):
    with pytest.raises(
        InputError, match=r"study\.trials\.all: a trial must set the identities of one schedule"
    ):
        counted_schedule(study({"few": FEW, "all": other}), {})


def test_points_must_be_two_and_different():
    with pytest.raises(InputError, match=r"trials\.all: identities must differ from those of few, got 12"):
        counted_schedule(study({"few": FEW, "all": FEW}), {})
    with pytest.raises(InputError, match="at least 2 points, got 1"):
        counted_schedule(study({"few": FEW}), {})


def test_synthetic_identities_are_varied_only_where_there_is_pre_training():
    trials = {"few": FEW, "all": {"pretrain": {"identities": None}}}
    variants = {trial_name("full", name): {"pretrain": None} for name in trials}
    with pytest.raises(InputError, match=r"ablation\.variants\.full-few: must be pre-trained .*, got null"):
        counted_schedule(study(trials), variants)


def points(**identities: int | None) -> Study:
    return Study("curves", {name: {"finetune": {"identities": each}} for name, each in identities.items()})


def test_null_stands_for_all_identities() -> None:
    assert identities_of(points(all=None, few=15), "finetune", 60) == {"all": 60, "few": 15}


def test_a_point_that_names_the_number_of_all_identities_is_no_second_point() -> None:
    """One of the two would be missing in the results."""
    with pytest.raises(InputError, match=r"study\.trials\.all: .* those of whole, got 60 of 60"):
        identities_of(points(few=15, whole=60, all=None), "finetune", 60)
