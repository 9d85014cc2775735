"""Refuse a study that could give no answer, before it trains for hours: `python tools/check_study.py NAME`.

Stages check what they read when they run, and the last ones run last. Here a study's arms, trials and
comparisons are looked at together, as tools/study.sh does before the first arm.
"""

import os
import sys
from pathlib import Path

import yaml

from sttreid.cells import Cell, Settings, resolve, variants
from sttreid.conversion import hint
from sttreid.errors import InputError
from sttreid.params import PARAMS, Params, load
from sttreid.report.curves import counted

STUDIES = Path("experiments")
PARTS = ("pretrained", "untrained")  # of an arm's training: its network before that on the source


def check(folder: Path, told: Path | None = None) -> list[str]:
    """What should be known before a study runs; called in the repository's root.

    Args:
        folder: of the study.
        told: where errors say that it lies.

    Returns:
        Sentences of what is allowed and yet seldom meant.

    Raises:
        InputError: a value breaks its field's rule; an arm's overrides do; the points of a curve are none;
            a judged comparison is one of unequal trainings.
    """
    os.environ["STTREID_HOME"] = str(Path.cwd())  # the sections that a study does not have of its own
    path, place = folder / PARAMS, (told or folder) / PARAMS
    stages = yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    try:
        params = load(path)
        arms = _arms(params)
        if "curves" in stages:
            counted(params.ablation)
        notes = _compared(params, arms) + _seeds(params) if "claims" in stages or "curves" in stages else []
    except InputError as error:  # most name the file without its folder
        words = str(error)
        found = str(path) if str(path) in words else PARAMS.name
        raise InputError(words.replace(found, str(place), 1)) from error
    return [f"note: {place}: {note}" for note in notes]


def _arms(params: Params) -> dict[str, Cell]:
    """Every arm's configuration, with the first trial where there are several."""
    own = Settings(
        params.clip,
        params.augment,
        params.batch,
        params.model,
        params.loss,
        params.pretrain,
        params.finetune,
        params.evaluate,
        params.compute,
    )
    targets = {name: params.datasets[name] for name in params.targets}
    rows = {
        name: resolve(own, params.ablation, name, 0, params.simulate.domain, targets)
        for name in variants(params.ablation)
    }
    first = [f"-{trial}" for trial in params.ablation.trials][:1] or [""]
    return {name: rows[name + first[0]] for name in params.ablation.variants}


def _compared(params: Params, arms: dict[str, Cell]) -> list[str]:
    """Notes of comparisons without an arm; a judged one compares equally long trainings."""
    notes = []
    for name, contrast in params.claims.contrasts.items():
        rule = f"claims.contrasts.{name}"
        steps = []
        for arm in (contrast.ours, contrast.theirs):
            whole, _, part = arm.rpartition("-")
            base = whole if part in PARTS and arm not in arms else arm
            if base not in arms:
                notes.append(f"{rule}: there is no arm {arm}{hint(arm, list(arms))}, so nothing is compared")
            elif base == arm:
                steps.append(_steps(arms[base]))
            elif arms[base].pretrain is None:
                notes.append(f"{rule}: {base} has no synthetic pre-training, so nothing is compared")
        if contrast.judged and len(set(steps)) > 1:
            raise InputError(
                f"{PARAMS.name}: {rule}: both arms of a judged comparison must train for as many steps "
                f"(or set judged: false), got {contrast.ours} {steps[0]}, {contrast.theirs} {steps[1]}"
            )
    return notes


def _steps(arm: Cell) -> int:
    return (arm.pretrain.steps if arm.pretrain else 0) + arm.train.steps


def _seeds(params: Params) -> list[str]:
    """A note where every verdict is void."""
    claims, seeds = params.claims, len(params.seeds)
    if seeds >= claims.seeds_needed or not any(contrast.judged for contrast in claims.contrasts.values()):
        return []
    few = f"{seeds} seeds are fewer than claims.seeds_needed, {claims.seeds_needed}"
    return [f'{few}: every verdict is going to be "inconclusive"']


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tools/check_study.py NAME")
    try:
        for line in check(STUDIES / sys.argv[1]):
            print(line)
    except InputError as error:
        sys.exit(f"error: {error}")
