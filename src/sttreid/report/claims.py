"""All arms and seeds -> the paper's questions: effects, intervals, corrected tests and verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sttreid.analysis.uncertainty import difference
from sttreid.config.claims import Claims, Contrast
from sttreid.report.arms import Study, between_looks, reached
from sttreid.report.effects import Effect, Quantity, effect, holm, weighted
from sttreid.report.questions import QUESTIONS

MEASURES = ("rank1", "mAP")
JUDGED = "rank1"  # of the measures: a question's answer; each measure is a family of tests of its own
GAP, STEPS, ALL_STEPS = "gap", "steps", "all_steps"
IN_DOMAIN, CROSS_DOMAIN, DIRECT = "in_domain", "cross_domain", "direct_transfer"
ACROSS = "cross_domain_more"  # how much larger the effect is across domains than in-domain
SUPPORTED, REFUTED, OPEN, UNJUDGED = "supported", "not supported", "inconclusive", "not judged"
DIGITS = 4


@dataclass(frozen=True)
class Finding:
    """One contrast, in one setting, by one measure.

    Attributes:
        name: of the contrast.
        contrast: what is compared.
        setting: in_domain, cross_domain, direct_transfer, or cross_domain_more: effect against effect.
        measure: rank1, mAP, gap (of rank-1 between training and test), steps or all_steps.
        ours: mean of the first arm; of cross_domain_more the cross-domain effect.
        theirs: mean of the second one; of cross_domain_more the in-domain effect.
        effect: how much better ours is: more accuracy, a smaller gap, fewer steps; None if one was not run.
        bootstrap: ends of the hierarchical bootstrap's interval, which few seeds make too short.
        adjusted: p after Holm's correction over the judged findings of the measure.
        verdict: supported, not supported, inconclusive or not judged.
        reason: of a verdict that the numbers alone do not give.
    """

    name: str
    contrast: Contrast
    setting: str
    measure: str
    ours: float | None = None
    theirs: float | None = None
    effect: Effect | None = None
    bootstrap: tuple[float, float] | None = None
    adjusted: float | None = None
    verdict: str = OPEN
    reason: str = ""


def findings(found: Study, claims: Claims) -> list[Finding]:
    """Every contrast in every setting by every measure, with verdicts, in the order of the parameters."""
    places = [
        (name, contrast, setting, measure)
        for name, contrast in claims.contrasts.items()
        for setting in _settings(found, contrast)
        for measure in _measures(contrast, setting)
    ]
    measured = [_measure(found, claims, *place) for place in places]
    corrected: dict[tuple[str, str, str], float] = {}
    for measure in (*MEASURES, GAP, STEPS, ALL_STEPS):
        family = {
            _key(one): one.effect.p
            for one in measured
            if one.measure == measure and one.contrast.judged and one.effect and one.effect.p is not None
        }
        corrected |= dict(zip(family, holm(list(family.values())), strict=True))
    return [_judged(replace(one, adjusted=corrected.get(_key(one))), found, claims) for one in measured]


def answers(found: Sequence[Finding]) -> dict[str, dict[str, str]]:
    """Question -> setting -> verdict, by rank-1: supported if every judged contrast is, and only then.

    One contrast that is not supported is enough for "not supported": a claim of two parts needs both.
    """
    answer: dict[str, dict[str, str]] = {}
    for one in found:
        if one.measure == JUDGED and one.contrast.judged:
            before = answer.setdefault(one.contrast.question, {}).get(one.setting, SUPPORTED)
            answer[one.contrast.question][one.setting] = _worse(before, one.verdict)
    return answer


def content(
    protocol: Mapping[str, str], found: Study, judged: Sequence[Finding], claims: Claims
) -> dict[str, Any]:
    """Content of ``claims.json``: fractions; effects are positive where ours is better."""
    answer = answers(judged)
    questions = {
        name: {"paper": question.number, "read_in": question.source, "verdict": answer.get(name, {})}
        for name, question in QUESTIONS.items()
    }
    contrasts: dict[str, Any] = {}
    for one in judged:
        place = contrasts.setdefault(one.name, {"question": one.contrast.question})
        place.setdefault(one.setting, {})[one.measure] = _numbers(one)
    arms = {
        name: {
            "pretrain_steps": runs[0].pretrain_steps,
            "steps": runs[0].steps,
            **({} if (fit := found.lowest_fit(name)) is None else {"lowest_train_rank1": _rounded(fit)}),
        }
        for name, runs in found.arms.items()
    }
    counts = {"seeds": len(found.seeds), "seeds_needed": claims.seeds_needed}
    return {"protocol": protocol, "source": found.source, **counts, "questions": questions} | {
        "contrasts": contrasts,
        "arms": arms,
    }


def table(judged: Sequence[Finding]) -> pd.DataFrame:
    """One row a finding that was measured, for plots: question, contrast, setting, measure, numbers."""
    rows = [
        {
            "question": one.contrast.question,
            "contrast": one.name,
            "setting": one.setting,
            "measure": one.measure,
        }
        | _numbers(one)
        for one in judged
        if one.effect is not None
    ]
    return pd.DataFrame(rows)


def curves(found: Study, claims: Claims) -> pd.DataFrame:
    """Rank-1 on validation identities while training, mean over seeds: step and a column an arm.

    The arms are those whose steps are counted; there is a row for every step at which one was looked at.
    """
    named = [
        arm
        for contrast in claims.contrasts.values()
        if QUESTIONS[contrast.question].speed
        for arm in (contrast.ours, contrast.theirs)
    ]
    means = {}
    for arm in dict.fromkeys(named):
        histories = [run.history for run in found.arms.get(arm, ()) if run.history is not None]
        if histories:
            looks = pd.concat(histories).dropna(subset=["validation_rank1"])
            means[arm] = looks.groupby("step")["validation_rank1"].mean()
    return pd.DataFrame(means).rename_axis("step").reset_index()


def _settings(found: Study, contrast: Contrast) -> dict[str, list[str]]:
    """Setting -> the data sets that it is tested on."""
    if any(run.steps == 0 for arm in (contrast.ours, contrast.theirs) for run in found.arms.get(arm, ())):
        return {DIRECT: list(found.targets)}
    both = QUESTIONS[contrast.question].across and found.own and found.others
    places = {IN_DOMAIN: found.own, CROSS_DOMAIN: found.others, ACROSS: list(found.targets) if both else []}
    return {name: some for name, some in places.items() if some}


def _measures(contrast: Contrast, setting: str) -> list[str]:
    question = QUESTIONS[contrast.question]
    more = [GAP] if question.gap and setting == IN_DOMAIN else []
    return [*MEASURES, *more, *([STEPS, ALL_STEPS] if question.speed and setting == IN_DOMAIN else [])]


def _measure(
    found: Study, claims: Claims, name: str, contrast: Contrast, setting: str, measure: str
) -> Finding:
    """What was found, not yet judged."""
    one = Finding(name, contrast, setting, measure)
    missing = [arm for arm in (contrast.ours, contrast.theirs) if arm not in found.arms]
    if missing:
        return replace(one, reason=f"{' and '.join(missing)} not run")
    if measure in (STEPS, ALL_STEPS):
        return _speed(found, claims.reached, one)
    ours, theirs = _sides(found, one)
    sign = -1 if measure == GAP else 1  # a smaller gap is the better one
    better = weighted([(sign, ours), (-sign, theirs)]).effect()
    one = replace(one, ours=ours.mean, theirs=theirs.mean, effect=better)
    if measure == GAP or setting == ACROSS:
        return one
    targets = _settings(found, contrast)[setting]
    samples = [found.samples(arm, targets, measure) for arm in (contrast.ours, contrast.theirs)]
    drawn = difference(samples[0], samples[1])
    return replace(one, bootstrap=(drawn.low, drawn.high))


def _sides(found: Study, one: Finding) -> tuple[Quantity, Quantity]:
    """What is compared: of each arm its accuracy or gap; or the cross-domain effect and the in-domain one."""
    contrast, places = one.contrast, _settings(found, one.contrast)
    if one.measure == GAP:
        return found.gap(contrast.ours), found.gap(contrast.theirs)
    if one.setting == ACROSS:
        own, others = places[IN_DOMAIN], places[CROSS_DOMAIN]
        return _gain(found, contrast, others, one.measure), _gain(found, contrast, own, one.measure)
    targets, measure = places[one.setting], one.measure
    return found.accuracy(contrast.ours, targets, measure), found.accuracy(contrast.theirs, targets, measure)


def _gain(found: Study, contrast: Contrast, targets: Sequence[str], measure: str) -> Quantity:
    sides = found.accuracy(contrast.ours, targets, measure), found.accuracy(contrast.theirs, targets, measure)
    return weighted([(1, sides[0]), (-1, sides[1])])


def _speed(found: Study, level: float, one: Finding) -> Finding:
    """How many steps fewer ours takes to the level; without the synthetic ones, or with them."""
    names = one.contrast.ours, one.contrast.theirs
    histories = [[run.history for run in found.arms[arm] if run.history is not None] for arm in names]
    ends = [[reached(history, level) for history in side] for side in histories]
    before = [found.arms[arm][0].pretrain_steps if one.measure == ALL_STEPS else 0 for arm in names]
    steps = [np.array([step for step, _ in side]) + start for side, start in zip(ends, before, strict=True)]
    differences = (steps[1] - steps[0]).astype(float)
    blurred = sum(between_looks(side[0]) ** 2 for side in histories) / 12 / len(differences)
    never = [
        f"{arm} in {n}" for arm, side in zip(names, ends, strict=True) if (n := sum(not ok for _, ok in side))
    ]
    told = f"{100 * level:.0f} % not reached by {' and '.join(never)} seeds: their last step counts"
    return replace(
        one,
        ours=float(steps[0].mean()),
        theirs=float(steps[1].mean()),
        effect=effect(differences, blurred, max(1, len(differences) - 1)),
        reason=told if never else "",
    )


def _judged(one: Finding, found: Study, claims: Claims) -> Finding:
    """A verdict, by the rules of the parameters."""
    if not one.contrast.judged:
        return replace(one, verdict=UNJUDGED, reason=one.reason or "other data or another number of steps")
    if one.effect is None:
        return one
    if stop := _stop(one, found, claims):
        return replace(one, reason="; ".join(filter(None, (stop, one.reason))))
    if one.adjusted is not None and one.adjusted < claims.alpha:
        verdict = SUPPORTED if one.effect.value > 0 else REFUTED
        never = (
            f"by {one.contrast.ours} " in one.reason
        )  # then its steps are too few, and ours looks too good
        return replace(one, verdict=OPEN if verdict == SUPPORTED and never else verdict)
    relevant = 0.0 if one.measure in (STEPS, ALL_STEPS) else claims.relevant
    return replace(one, verdict=REFUTED if one.effect.high < relevant else OPEN)


def _stop(one: Finding, found: Study, claims: Claims) -> str:
    """Why no verdict may be given, whatever the numbers say; empty if one may."""
    if len(found.seeds) < claims.seeds_needed:
        return f"{len(found.seeds)} of {claims.seeds_needed} seeds"
    fits = {arm: found.lowest_fit(arm) for arm in (one.contrast.ours, one.contrast.theirs)}
    under = [
        f"{arm} fits only {100 * fit:.1f} %"
        for arm, fit in fits.items()
        if fit is not None and fit < found.fitted
    ]
    return f"{' and '.join(under)} of the training identities" if under else ""


def _worse(one: str, other: str) -> str:
    return next(verdict for verdict in (REFUTED, OPEN, SUPPORTED) if verdict in (one, other))


def _key(one: Finding) -> tuple[str, str, str]:
    return one.name, one.setting, one.measure


def _numbers(one: Finding) -> dict[str, Any]:
    """As JSON: what is not known is left out."""
    numbers: dict[str, float | None] = {"ours": one.ours, "theirs": one.theirs, "p_holm": one.adjusted}
    if one.effect is not None:
        numbers |= {
            "effect": one.effect.value,
            "low": one.effect.low,
            "high": one.effect.high,
            "p": one.effect.p,
        }
    if one.bootstrap is not None:
        numbers |= {"bootstrap_low": one.bootstrap[0], "bootstrap_high": one.bootstrap[1]}
    known = {name: _rounded(value) for name, value in numbers.items() if value is not None}
    return known | {"verdict": one.verdict} | ({"reason": one.reason} if one.reason else {})


def _rounded(value: float) -> float:
    return round(value, DIGITS) + 0.0  # without the sign of a zero
