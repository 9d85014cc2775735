"""Section ``study`` of an experiment: its analysis, and the trials of its variants."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from sttreid.runtime.errors import InputError

CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
Counted = Literal["pretrain", "finetune"]  # the training whose identities a learning curve varies
BESIDE: Final = "beside"  # folder of a run: what other studies have published, as below artifacts
DEFAULT_HOME: Final = "../../.."  # the default run, from experiments/NAME/run
SCHEDULES: tuple[Counted, ...] = ("pretrain", "finetune")
POINT: Final = {"identities", "steps", "eval_every"}  # what a point of a learning curve may set


@dataclass(frozen=True, config=CONFIG)
class Beside:
    """Variants of another study that this one compares with its own, from what the other has published.

    Attributes:
        study: its name; its newest publication is read.
        variants: of that study, by their names there.
    """

    study: Name
    variants: Annotated[list[Name], Field(min_length=1)]


@dataclass(frozen=True, config=CONFIG)
class Study:
    """One experiment of several variants and seeds.

    Attributes:
        analysis: the last stage, which computes statistics from the results. ``seeds`` trains the models of
            the default run and no variant; ``sets`` renders and decodes sets for other studies and trains
            nothing.
        trials: name -> overrides that are applied to every variant in turn; empty: the variants as they are.
        variants: names of the variants before the trials are applied, in order. With trials,
            ``ablation.variants`` holds each variant with each trial, named by :func:`trial_name`.
        base: study whose sets and sections this one overrides; its own ``claims`` replace those of the base.
            None: params.yaml.
        sets: study with the analysis ``sets`` whose sets it uses; None: those of the default run.
        beside: variants of a published study that take part in this one without being trained again; of the
            analysis ``claims`` alone.
        home: folder with the tracklet stores, from the study's run; it follows from ``sets``.
    """

    analysis: Literal["claims", "curves", "tuning", "seeds", "sets"]
    trials: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    variants: list[Name] = Field(default_factory=list)
    base: Name | None = None
    sets: Name | None = None
    beside: Beside | None = None
    home: str = DEFAULT_HOME


def trial_name(variant: str, trial: str) -> str:
    """Name of a variant with a trial's overrides applied, in ``ablation.variants``."""
    return f"{variant}-{trial}"


def counted_schedule(
    study: Study, variants: Mapping[str, Mapping[str, Any]], path: Path = Path("params.yaml")
) -> Counted:
    """The schedule whose number of identities the trials of a learning curve vary.

    Args:
        study: its trials, each ``{schedule: {"identities": number or None}}``, and in the same schedule
            ``steps`` and ``eval_every`` where more identities need a longer training.
        variants: of the ablation, with the trials applied.
        path: file that errors name.

    Raises:
        InputError: there are fewer than two trials; a trial sets no identities, or overrides anything but
            identities, steps and eval_every of one schedule, which all trials share; two trials have the same
            number of identities; or pre-training identities vary for a variant without pre-training.
    """
    if len(study.trials) < 2:
        raise InputError(f"{path}: study.trials: a curve needs at least 2 points, got {len(study.trials)}")
    first: Counted = next(
        (name for name in SCHEDULES if name in next(iter(study.trials.values()))), "finetune"
    )
    identities: dict[int | None, str] = {}
    for name, trial in study.trials.items():
        key, schedule = f"{path}: study.trials.{name}", trial.get(first)
        keys = set(schedule) if isinstance(schedule, Mapping) else set()
        if set(trial) != {first} or not {"identities"} <= keys <= POINT:
            rule = "a trial must set the identities of one schedule, pretrain or finetune, the same for all"
            rule += ", beside steps and eval_every"
            raise InputError(f"{key}: {rule}, got {trial}")
        number = trial[first]["identities"]
        if number in identities:
            earlier = identities[number]
            raise InputError(f"{key}: identities must differ from those of {earlier}, got {number}")
        identities[number] = name
    for variant in study.variants:
        for full_name in (trial_name(variant, name) for name in study.trials):
            overrides = variants.get(full_name, {})
            if first == "pretrain" and "pretrain" in overrides and overrides["pretrain"] is None:
                key = f"{path}: ablation.variants.{full_name}"
                raise InputError(f"{key}: must be pre-trained where its identities are varied, got null")
    return first


def identities_of(study: Study, schedule: Counted, available: int) -> dict[str, int]:
    """Trial -> its number of training identities.

    Args:
        study: a learning curve; null stands for all identities.
        schedule: whose identities its trials set.
        available: identities of the training split.

    Raises:
        InputError: two trials have the same number, because one of them names that of the whole split.
    """
    names: dict[int, str] = {}
    for name, trial in study.trials.items():
        number = trial[schedule]["identities"] or available
        if number in names:
            rule = f"identities must differ from those of {names[number]}"
            raise InputError(f"params.yaml: study.trials.{name}: {rule}, got {number} of {available}")
        names[number] = name
    return {name: number for number, name in names.items()}
