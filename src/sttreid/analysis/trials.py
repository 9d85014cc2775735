"""Studies whose variants differ by trials: learning curves over identities, and the choice of learning
rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from sttreid.analysis.effects import Effect, Quantity, rounded, rounded_numbers, weighted_sum
from sttreid.analysis.settings import setting_of
from sttreid.analysis.study_runs import CROSS_DOMAIN, DIRECT_TRANSFER, IN_DOMAIN, PRETRAINED, StudyRuns
from sttreid.analysis.uncertainty import Doubles
from sttreid.config.claims import Contrast

TRAINING, VALIDATION, GAP = "training", "validation", "gap"
SETTINGS: Final = (TRAINING, VALIDATION, IN_DOMAIN, GAP, CROSS_DOMAIN, DIRECT_TRANSFER)
DOUBLING: Final = "doubling"  # key of a slope among the numbers of identities


@dataclass(frozen=True)
class Curve:
    """One variant, trained on increasing numbers of identities.

    Attributes:
        variant: its name.
        points: names of its variants in the study, one for each number of identities.
        identities: numbers of training identities of the points, ascending, at least two.
    """

    variant: str
    points: Sequence[str]
    identities: Sequence[int]

    @property
    def slope(self) -> Doubles:
        """[points] weights of a least-squares slope per doubling of the identities."""
        centred = np.log2(self.identities) - np.log2(self.identities).mean()
        weights: Doubles = centred / (centred**2).sum()
        return weights


def settings(study: StudyRuns) -> dict[str, list[str]]:
    """``SETTINGS``, one for each protocol of its targets -> these targets; empty where none is tested."""
    tested = {IN_DOMAIN: study.in_domain, CROSS_DOMAIN: study.cross_domain, DIRECT_TRANSFER: study.targets}
    found: dict[str, list[str]] = {}
    for setting in SETTINGS:
        found |= study.means(setting, tested.get(setting, [])) or {setting: []}
    return found


def quantity(study: StudyRuns, variant: str, setting: str) -> Quantity | None:
    """Rank-1 (0 to 1), or the gap, of a variant in one of :func:`settings`; None if it was not measured."""
    if setting == TRAINING:
        return study.train_rank1(variant)
    if setting == VALIDATION:
        return study.validation_rank1(variant)
    if setting == GAP:
        return study.train_test_gap(variant) if study.in_domain else None
    targets = settings(study)[setting]
    tested = f"{variant}-{PRETRAINED}" if setting_of(setting) == DIRECT_TRANSFER else variant
    return study.accuracy(tested, targets, "rank1") if targets and tested in study.variants else None


def curve_effects(
    study: StudyRuns, curves: Sequence[Curve], contrasts: Mapping[str, Contrast]
) -> dict[tuple[str, str, str], Effect]:
    """Rank-1 and gaps of all points, their slopes, and the paired differences of variants.

    Returns:
        (variant, or name of a contrast of two of them; number of identities, or ``DOUBLING`` for the gain per
        doubling; one of :func:`settings`) -> value, or ours minus theirs on the same queries.
    """
    terms: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for curve in curves:
        points = dict(zip(map(str, curve.identities), np.eye(len(curve.points)), strict=True))
        for key, weights in {**points, DOUBLING: curve.slope}.items():
            weighted = zip(weights.tolist(), curve.points, strict=True)
            terms[curve.variant, key] = [(weight, point) for weight, point in weighted if weight]
    keys = [*map(str, curves[0].identities), DOUBLING]
    for name, contrast in contrasts.items():
        if {(contrast.ours, DOUBLING), (contrast.theirs, DOUBLING)} <= set(terms):
            for key in keys:
                theirs = [(-weight, point) for weight, point in terms[contrast.theirs, key]]
                terms[name, key] = terms[contrast.ours, key] + theirs
    effects = {}
    for (name, key), weighted_points in terms.items():
        for setting in settings(study):
            measured = [(weight, quantity(study, point, setting)) for weight, point in weighted_points]
            summands = [(weight, each) for weight, each in measured if each is not None]
            if len(summands) == len(measured):
                effects[name, key, setting] = weighted_sum(summands).effect()
    return effects


def levels(effects: Mapping[tuple[str, str, str], Effect], curves: Sequence[Curve]) -> pd.DataFrame:
    """The points of :func:`curve_effects`: variant, identities, setting, value, low, high (fractions).

    Intervals are cut to the range of the quantity; they are NaN where nothing varies.
    """
    rows, variants = [], {curve.variant for curve in curves}
    for (variant, key, setting), effect in effects.items():
        if variant in variants and key != DOUBLING:
            low, high = max(-1.0 if setting == GAP else 0.0, effect.low), min(1.0, effect.high)
            ends = (np.nan, np.nan) if effect.low == effect.high else (low, high)
            rows.append((variant, int(key), setting, effect.value, *ends))
    return pd.DataFrame(rows, columns=["variant", "identities", "setting", "value", "low", "high"])


def curves_content(
    study: StudyRuns, effects: Mapping[tuple[str, str, str], Effect], curves: Sequence[Curve]
) -> dict[str, Any]:
    """Content of ``curves.json``: variant -> setting -> number of identities, or doubling -> value, low,
    high."""
    numbers: dict[str, dict[str, dict[str, dict[str, float]]]] = {curve.variant: {} for curve in curves}
    for variant, identities, setting, *values in levels(effects, curves).itertuples(index=False):
        ends = dict(zip(("value", "low", "high"), values, strict=True))
        point = {name: rounded(value) for name, value in ends.items() if not np.isnan(value)}
        numbers[variant].setdefault(setting, {})[str(identities)] = point
    for (variant, key, setting), effect in effects.items():
        if variant in numbers and key == DOUBLING:
            spread = {} if effect.low == effect.high else {"low": effect.low, "high": effect.high}
            values = {"value": effect.value} | spread | {"p": effect.p}
            numbers[variant][setting][DOUBLING] = rounded_numbers(values)
    return {"seeds": len(study.seeds), "curves": numbers}


def search(
    histories: Mapping[tuple[str, str], Sequence[pd.DataFrame]], min_train_rank1: float
) -> pd.DataFrame:
    """The trials of a search, and the best of each variant on validation identities.

    Args:
        histories: (variant, trial) -> training history of each seed, with train_rank1 and validation_rank1.
        min_train_rank1: rank-1 on training identities (0 to 1) that a trial must reach with every seed.

    Returns:
        variant, trial, validation_rank1 (mean over seeds), train_rank1 (the lowest), fits, and chosen: of the
        trials that fit, or of all if none does, the best on validation identities; among equals the first.
    """
    rows = []
    for (variant, trial), seeds in histories.items():
        last = pd.DataFrame([each[["validation_rank1", "train_rank1"]].dropna().iloc[-1] for each in seeds])
        validation, training = float(last["validation_rank1"].mean()), float(last["train_rank1"].min())
        rows.append((variant, trial, validation, training, training >= min_train_rank1))
    table = pd.DataFrame(rows, columns=["variant", "trial", "validation_rank1", "train_rank1", "fits"])
    ranked = table.sort_values(["fits", "validation_rank1"], ascending=False, kind="stable")
    return table.assign(chosen=table.index.isin(ranked.groupby("variant").head(1).index))


def search_of_each_seed(
    histories: Mapping[tuple[str, str], Sequence[pd.DataFrame]], min_train_rank1: float
) -> list[pd.DataFrame]:
    """What the search would have found with one seed alone: :func:`search`, for each seed."""
    return [
        search({key: [each] for key, each in zip(histories, of_seed, strict=True)}, min_train_rank1)
        for of_seed in zip(*histories.values(), strict=True)
    ]


def tuning_content(table: pd.DataFrame, of_seeds: Mapping[int, pd.DataFrame]) -> dict[str, Any]:
    """Content of ``tuning.json``: variant -> trial -> accuracies, and the chosen trial.

    Args:
        table: of :func:`search`.
        of_seeds: seed -> what the search finds with it alone. With several, the trials have the validation
            rank-1 of each seed, and the variants the choice of each.
    """
    content: dict[str, Any] = {"seeds": len(of_seeds), "variants": _trials(table)}
    if len(of_seeds) > 1:
        content["of_seeds"] = {str(seed): _trials(found) for seed, found in of_seeds.items()}
    return content


def _trials(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    variants: dict[str, dict[str, Any]] = {}
    for row in table.to_dict("records"):
        trials = variants.setdefault(row["variant"], {})
        trials[row["trial"]] = {name: rounded(row[name]) for name in ("validation_rank1", "train_rank1")}
        if row["chosen"]:
            trials["chosen"] = row["trial"]
    return variants
