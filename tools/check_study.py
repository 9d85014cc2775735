"""Refuse a study that could give no answer, before it trains for hours: `python tools/check_study.py NAME`.

Stages check what they read when they run, and the last ones run last. Here a study's arms, trials and
comparisons are looked at together, as tools/study.sh does before the first arm.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import yaml

from sttreid.config.conversion import hint
from sttreid.config.params import PARAMS, Params, load
from sttreid.config.variants import Cell, Settings, resolve, variants
from sttreid.report.curves import counted
from sttreid.runtime.errors import InputError

HOME = "STTREID_HOME"  # where stages of a study find the default run
STUDIES = Path("experiments")
PARTS = ("pretrained", "untrained")  # of an arm's training: its network before that on the source
Side = tuple[str, int]  # of a comparison: the part, "" for the whole training, and its steps


def check(folder: Path, told: Path | None = None) -> list[str]:
    """What should be known before a study runs; called in the repository's root.

    Args:
        folder: of the study.
        told: where errors say that it lies.

    Returns:
        Sentences of what is allowed and yet seldom meant.

    Raises:
        InputError: a value breaks its field's rule, in the study or in the repository's own params.yaml; an
            arm's overrides do; the points of a curve are none; a judged comparison is one of unequal
            trainings; an arm is compared with itself.
    """
    stages = _stages(folder)
    os.environ.pop(HOME, None)
    load(PARAMS)  # first, so that its own errors name it
    os.environ[HOME] = str(Path.cwd())  # for the sections that a study does not have of its own
    path, place = folder / PARAMS, (told or folder) / PARAMS
    try:
        params = load(path)
        notes = _looked_at(params, stages)
    except InputError as error:
        words = str(error)
        for found in (str(path), PARAMS.name):  # what is no file's own rule names the file without its folder
            if words.startswith(f"{found}:"):
                raise InputError(f"{place}{words.removeprefix(found)}") from error
        raise
    return [f"note: {place}: {note}" for note in notes]


def known() -> list[str]:
    """The names of all studies."""
    if not STUDIES.is_dir():
        raise InputError(f"{Path.cwd()}: is not the repository's root, there is no {STUDIES} in it")
    return sorted(path.parent.name for path in STUDIES.glob("*/dvc.yaml"))


def named(name: str) -> Path:
    """A study's folder.

    Raises:
        InputError: there is none of that name.
    """
    if name not in known():
        near = hint(name, known())
        raise InputError(f"{STUDIES / name}: no such study, there are {', '.join(known())}{near}")
    return STUDIES / name


def _stages(folder: Path) -> list[str]:
    path = folder / "dvc.yaml"
    try:
        content = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error
    found = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(found, dict):
        raise InputError(f"{path}: has no stages")
    return list(found)


def _looked_at(params: Params, stages: Sequence[str]) -> list[str]:
    """Notes of what the last stages of a study are going to find."""
    arms = _arms(params)
    if "curves" in stages:
        counted(params.ablation)
        return _compared(params, arms)
    if "claims" not in stages:
        return []
    if params.ablation.trials:
        raise InputError(f"{PARAMS.name}: ablation.trials must be empty where the stage claims compares arms")
    return _compared(params, arms) + _seeds(params)


def _arms(params: Params) -> dict[str, Cell]:
    """Every arm's configuration, with the first trial where there are several."""
    own = Settings(*(getattr(params, field.name) for field in fields(Settings)))
    targets = {name: params.datasets[name] for name in params.targets}
    if not params.ablation.variants:
        raise InputError(f"{PARAMS.name}: ablation.variants: must name at least one arm")
    rows = {
        name: resolve(own, params.ablation, name, 0, params.simulate.domain, targets)
        for name in variants(params.ablation)
    }
    first = [f"-{trial}" for trial in params.ablation.trials][:1] or [""]
    return {name: rows[name + first[0]] for name in params.ablation.variants}


def _compared(params: Params, arms: dict[str, Cell]) -> list[str]:
    """Notes of comparisons without an arm; a judged one compares equally long trainings of two arms."""
    notes = []
    for name, contrast in params.claims.contrasts.items():
        rule = f"claims.contrasts.{name}"
        found = [_side(arms, arm) for arm in (contrast.ours, contrast.theirs)]
        sides = [side for side in found if not isinstance(side, str)]
        missing = [side for side in found if isinstance(side, str)]
        notes += [f"{rule}: {side}, so nothing is compared" for side in missing]
        if contrast.ours == contrast.theirs:
            raise InputError(f"{PARAMS.name}: {rule}: must compare two arms, got {contrast.ours} twice")
        if contrast.judged and len(sides) == 2 and not _alike(*sides):
            steps = f"{contrast.ours} {sides[0][1]}, {contrast.theirs} {sides[1][1]}"
            raise InputError(
                f"{PARAMS.name}: {rule}: both arms of a judged comparison must train for as many steps, "
                f"and on the source or neither (or set judged: false), got {steps}"
            )
    return notes


def _alike(one: Side, other: Side) -> bool:
    """What synthetic data alone have taught may also be compared with a network that has learnt nothing."""
    return one == other or {one[0], other[0]} == set(PARTS)


def _side(arms: Mapping[str, Cell], arm: str) -> Side | str:
    """Which part of a training is tested, and after how many steps; or why there is none."""
    whole, _, part = arm.rpartition("-")
    if arm in arms:
        before = arms[arm].pretrain
        return "", arms[arm].train.steps + (before.steps if before else 0)
    if part not in PARTS or whole not in arms:
        return f"there is no arm {arm}{hint(arm, list(arms))}"
    first = arms[whole].pretrain
    if first is None:
        return f"{whole} has no synthetic pre-training"
    return part, first.steps if part == "pretrained" else 0


def _seeds(params: Params) -> list[str]:
    """A note where there is no verdict, or every one is void."""
    claims, seeds = params.claims, len(params.seeds)
    if not claims.contrasts:
        return ["claims.contrasts: is empty, so nothing is compared"]
    if seeds >= claims.seeds_needed or not any(contrast.judged for contrast in claims.contrasts.values()):
        return []
    few = f"{seeds} seeds are fewer than claims.seeds_needed, {claims.seeds_needed}"
    return [f'{few}: every verdict is going to be "inconclusive"']


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tools/check_study.py NAME")
    try:
        for line in check(named(sys.argv[1])):
            print(line)
    except InputError as error:
        sys.exit(f"error: {error}")
