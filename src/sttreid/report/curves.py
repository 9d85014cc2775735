"""Accuracy against the number of identities that were learnt: learning curves, what synthetic data pays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sttreid.config.claims import Contrast
from sttreid.config.params import Ablation
from sttreid.report.arms import Study
from sttreid.report.effects import Effect, Quantity, weighted
from sttreid.report.summary import DIGITS
from sttreid.runtime.errors import InputError

RATE: Final = "rank1"
TRAINING, VALIDATION, GAP = "training", "validation", "gap"
IN_DOMAIN, CROSS_DOMAIN, DIRECT = "in_domain", "cross_domain", "direct_transfer"
SETTINGS: Final = (TRAINING, VALIDATION, IN_DOMAIN, GAP, CROSS_DOMAIN, DIRECT)
PRETRAIN, FINETUNE = "pretrain", "finetune"  # whose identities are counted
SLOPE: Final = "a doubling"

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """One variant, trained on more and more identities.

    Attributes:
        name: of the variant.
        arms: of the study, one a point.
        identities: that each learnt, ascending, at least two.
    """

    name: str
    arms: Sequence[str]
    identities: Sequence[int]

    @property
    def slope(self) -> Doubles:
        """[points] weights whose sum with a quantity is its least-squares slope a doubling of identities."""
        centred = np.log2(self.identities) - np.log2(self.identities).mean()
        weights: Doubles = centred / (centred**2).sum()
        return weights


def counted(ablation: Ablation) -> str:
    """Whose identities the trials of a study count, pretrain or finetune.

    Raises:
        InputError: there are fewer than two trials; a trial names anything but the identities of one
            training, the same for all, or as many as another; a variant has no such training.
    """
    numbers: dict[int, str] = {}
    side = ""
    for name, trial in ablation.trials.items():
        place = f"params.yaml: ablation.trials.{name}"
        named = [one for one in (PRETRAIN, FINETUNE) if trial == {one: {"identities": _number(trial, one)}}]
        side = side or (named[0] if named else "")
        if named != [side]:
            rule = (
                "a trial must name the identities of one training alone, pretrain or finetune as the others"
            )
            raise InputError(f"{place}: {rule}, got {dict(trial)}")
        number = _number(trial, side)
        if number in numbers:
            raise InputError(f"{place}: must name other identities than {numbers[number]}, got {number}")
        numbers[number] = name
    if len(numbers) < 2:
        raise InputError(f"params.yaml: ablation.trials: a curve has at least 2 points, got {len(numbers)}")
    for name, overrides in ablation.variants.items():
        if side == PRETRAIN and overrides.get(PRETRAIN, {}).get("steps") == 0:
            raise InputError(f"params.yaml: ablation.variants.{name}: must be pre-trained, got 0 steps")
    return side


def _number(trial: Mapping[str, Any], side: str) -> int:
    found = trial.get(side)
    return int(found["identities"]) if isinstance(found, Mapping) and "identities" in found else -1


def measured(found: Study, arm: str, setting: str) -> Quantity | None:
    """A quantity of ``SETTINGS``, rank-1 (0 to 1), of an arm; None if it was not measured."""
    if setting == TRAINING:
        return found.fit(arm)
    if setting == VALIDATION:
        looks = [
            run.history["validation_rank1"].dropna() for run in found.arms[arm] if run.history is not None
        ]
        return Quantity(np.array([look.iloc[-1] for look in looks], float))
    if setting == GAP:
        return found.gap(arm) if found.own else None
    tested = f"{arm}-pretrained" if setting == DIRECT else arm
    targets = {IN_DOMAIN: found.own, CROSS_DOMAIN: found.others, DIRECT: found.targets}[setting]
    return found.accuracy(tested, targets, RATE) if targets and tested in found.arms else None


def total(terms: Sequence[tuple[float, Quantity | None]]) -> Effect | None:
    """The effect of a weighted sum of quantities; None if one was not measured."""
    known = [(weight, one) for weight, one in terms if one is not None]
    return weighted(known).effect() if len(known) == len(terms) else None


def levels(found: Study, curves: Sequence[Curve]) -> pd.DataFrame:
    """Every point: arm, identities, setting, value, low, high (fractions; NaN: nothing varied)."""
    rows = []
    for curve in curves:
        for arm, identities in zip(curve.arms, curve.identities, strict=True):
            for setting in SETTINGS:
                if (one := total([(1.0, measured(found, arm, setting))])) is not None:
                    place = {"arm": curve.name, "identities": identities, "setting": setting}
                    least = -1.0 if setting == GAP else 0.0
                    ends = {"low": max(least, one.low), "high": min(1.0, one.high)}
                    if one.low == one.high:  # nothing varied, so nothing is known of an interval
                        ends = {"low": np.nan, "high": np.nan}
                    rows.append(place | {"value": one.value, **ends})
    return pd.DataFrame(rows)


def fitted(found: Study, curves: Sequence[Curve]) -> dict[tuple[str, int], bool]:
    """(variant, identities) -> whether every seed fits its training identities as the study asks."""
    return {
        (curve.name, identities): (found.lowest_fit(arm) or 0.0) >= found.fitted
        for curve in curves
        for arm, identities in zip(curve.arms, curve.identities, strict=True)
    }


def slopes(found: Study, curves: Sequence[Curve]) -> list[tuple[str, str, Effect]]:
    """(arm, setting, gain a doubling of the identities) of every curve."""
    rows = []
    for curve in curves:
        for setting in SETTINGS:
            terms = [
                (weight, measured(found, arm, setting))
                for arm, weight in zip(curve.arms, curve.slope.tolist(), strict=True)
            ]
            if (one := total(terms)) is not None:
                rows.append((curve.name, setting, one))
    return rows


def differences(
    found: Study, curves: Sequence[Curve], contrasts: Mapping[str, Contrast]
) -> list[tuple[str, str, str, Effect]]:
    """(contrast, identities or ``SLOPE``, setting, first arm less second on the same queries)."""
    named, rows = {curve.name: curve for curve in curves}, []
    for name, contrast in contrasts.items():
        if not {contrast.ours, contrast.theirs} <= set(named):
            continue
        ours, theirs = named[contrast.ours], named[contrast.theirs]
        places = dict(zip(map(str, ours.identities), np.eye(len(ours.arms)), strict=True))
        for setting in SETTINGS:
            for place, weights in {**places, SLOPE: ours.slope}.items():
                terms = [
                    (sign * weight, measured(found, arm, setting))
                    for curve, sign in ((ours, 1), (theirs, -1))
                    for arm, weight in zip(curve.arms, weights.tolist(), strict=True)
                    if weight
                ]
                if (one := total(terms)) is not None:
                    rows.append((name, place, setting, one))
    return rows


def content(found: Study, curves: Sequence[Curve]) -> dict[str, Any]:
    """Content of ``curves.json``: variant -> quantity -> number of identities -> value, low, high; slopes."""
    numbers: dict[str, Any] = {}
    for row in levels(found, curves).to_dict("records"):
        place = numbers.setdefault(row["arm"], {}).setdefault(row["setting"], {})
        ends = {name: row[name] for name in ("value", "low", "high") if not np.isnan(row[name])}
        place[str(row["identities"])] = {name: _rounded(value) for name, value in ends.items()}
    for arm, setting, one in slopes(found, curves):
        ends = {"value": one.value}
        tested = {} if one.low == one.high else {"low": one.low, "high": one.high}
        tested |= {} if one.p is None else {"p": one.p}
        numbers[arm][setting][SLOPE] = {name: _rounded(value) for name, value in (ends | tested).items()}
    return {"seeds": len(found.seeds), "curves": numbers}


def _rounded(value: float) -> float:
    return round(value, DIGITS) + 0.0
