"""All variants and seeds -> the paper's claims: effects, confidence intervals, corrected tests, verdicts."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final

import numpy as np
import pandas as pd

from sttreid.analysis import uncertainty
from sttreid.analysis.effects import Effect, difference, holm, mean_over_datasets, rounded_numbers, t_test
from sttreid.analysis.study_runs import CROSS_DOMAIN, DIRECT_TRANSFER, IN_DOMAIN, StudyRuns, Subgroup
from sttreid.analysis.uncertainty import Interval
from sttreid.config.claims import Claims, Contrast
from sttreid.retrieval.metrics import HEADLINE, metric

INTERACTION: Final = (
    "cross_minus_in_domain"  # the setting that compares the effect across domains and in-domain
)
GAP, STEPS, TOTAL_STEPS = "gap", "steps", "total_steps"  # measured in addition to the metrics
PRIMARY: Final = "rank1"  # the metric that decides a question


class Verdict(StrEnum):
    """The verdict on a contrast or a question, the strongest objection first."""

    NOT_SUPPORTED = "not supported"
    INCONCLUSIVE = "inconclusive"
    SUPPORTED = "supported"
    EXPLORATORY = "exploratory"  # no verdict: the variants differ in more than the question is about


@dataclass(frozen=True)
class Question:
    """One of the paper's research questions (arXiv 2103.16469).

    Attributes:
        text: the question.
        paper: what the paper reports on its data, and the source of that information.
        extra: what is compared in addition to the metrics: gap, steps and total_steps in-domain, or the
            difference of the effects, cross_minus_in_domain.
    """

    text: str
    paper: tuple[str, str]
    extra: tuple[str, ...] = ()


QUESTIONS: Final = {
    "RQ1": Question(
        "Do constrained transformers with the global branch beat the CNN and the vanilla transformer, most of"
        " all across domains?",
        (
            "MARS 86.3 mAP / 88.7 R-1, LS-VID 78.0 / 87.5, iLIDS-VID R-1 87.5; baselines not known",
            "tables of TF-CLIP and CLIMB-ReID",
        ),
        (INTERACTION,),
    ),
    "RQ2": Question(
        "Do the constraints on attention reduce over-fitting?",
        ("spatial constraint, MARS → DukeMTMC-VideoReID: R-1 50.6 → 60.5", "a summary of the paper"),
        (GAP,),
    ),
    "RQ3": Question(
        "Does the global branch complement the spatial and temporal transformers?",
        ("DukeMTMC-VideoReID: R-1 about +3.9", "a summary of the paper"),
    ),
    "RQ4": Question(
        "Does synthetic pre-training improve initialisation and generalisation?",
        ("direct transfer gains on all three sets; numbers not known", "a summary of the paper"),
        (STEPS, TOTAL_STEPS),
    ),
}


@dataclass(frozen=True)
class Reasons:
    """Limits of a verdict in addition to the numbers.

    Attributes:
        missing: variants of the contrast that were not run.
        few_seeds: there are fewer seeds than ``claims.min_seeds``.
        underfit: variants that do not fit their training identities.
        never_reached: variants that miss the target rank-1 with some seed, so that their last step counts.
    """

    missing: frozenset[str] = frozenset()
    few_seeds: bool = False
    underfit: frozenset[str] = frozenset()
    never_reached: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Finding:
    """One contrast in one setting, measured in one way.

    Attributes:
        name: of the contrast.
        contrast: what is compared.
        setting: in_domain, cross_domain, direct_transfer, or cross_minus_in_domain: effect against effect; of
            each protocol (:mod:`sttreid.analysis.settings`).
        measure: a metric, gap (rank-1 on training minus test identities), steps or total_steps.
        ours: mean of our variant; of cross_minus_in_domain the cross-domain effect.
        theirs: mean of their variant; of cross_minus_in_domain the in-domain effect.
        effect: how much better ours is (more accuracy, a smaller gap, fewer steps); None if it was not run.
        bootstrap: interval of the hierarchical bootstrap, which is too narrow with few seeds.
        p_holm: p-value after Holm's correction over the confirmatory findings of the measure.
        reasons: limits of the verdict in addition to the numbers.
        verdict: by the rules of the section ``claims``.
    """

    name: str
    contrast: Contrast
    setting: str
    measure: str
    ours: float | None = None
    theirs: float | None = None
    effect: Effect | None = None
    bootstrap: Interval | None = None
    p_holm: float | None = None
    reasons: Reasons = Reasons()
    verdict: Verdict = Verdict.INCONCLUSIVE

    def numbers(self) -> dict[str, Any]:
        """As JSON, without missing values."""
        values = {"ours": self.ours, "theirs": self.theirs, "p_holm": self.p_holm}
        if self.effect is not None:
            values |= {"effect": self.effect.value, "p": self.effect.p}
            values |= {"low": self.effect.low, "high": self.effect.high}
            values |= {"detectable": self.effect.detectable()}
        if self.bootstrap is not None:
            values |= {"bootstrap_low": self.bootstrap.low, "bootstrap_high": self.bootstrap.high}
        return rounded_numbers(values) | {"verdict": str(self.verdict)}


def findings(study: StudyRuns, claims: Claims) -> list[Finding]:
    """Every contrast in every setting and measure, in the order of the parameters."""
    measured = [
        _measured(study, claims, Finding(name, contrast, setting, measure))
        for name, contrast in claims.contrasts.items()
        for setting in _settings(study, contrast)
        for measure in _measures(contrast, setting)
    ]
    corrected: dict[int, float] = {}
    for measure in dict.fromkeys(each.measure for each in measured):
        family = {
            index: each.effect.p
            for index, each in enumerate(measured)
            if each.measure == measure
            and each.effect
            and each.effect.p is not None
            and each.contrast.confirmatory
        }
        corrected |= zip(family, holm(list(family.values())), strict=True)
    return [
        _judged(replace(each, p_holm=corrected.get(index)), study, claims)
        for index, each in enumerate(measured)
    ]


def answers(results: Sequence[Finding]) -> dict[str, dict[str, Verdict]]:
    """Question -> setting -> the strongest objection among its confirmatory contrasts, by rank-1.

    A question is supported only if all its contrasts are; one that is not supported makes it "not supported".
    """
    verdicts: dict[str, dict[str, Verdict]] = {}
    for each in results:
        if each.measure == PRIMARY and each.contrast.confirmatory:
            settings = verdicts.setdefault(each.contrast.question, {})
            both = each.verdict, settings.get(each.setting, each.verdict)
            settings[each.setting] = min(both, key=list(Verdict).index)
    return verdicts


def content(study: StudyRuns, results: Sequence[Finding], claims: Claims) -> dict[str, Any]:
    """Content of ``claims.json``: fractions; effects are positive where ours is better."""
    verdicts = answers(results)
    contrasts: dict[str, Any] = {}
    for each in results:
        measures = contrasts.setdefault(each.name, asdict(each.contrast)).setdefault(each.setting, {})
        reasons = {name: value for name, value in asdict(each.reasons).items() if value}
        reasons = {name: value if value is True else sorted(value) for name, value in reasons.items()}
        measures[each.measure] = each.numbers() | ({"reasons": reasons} if reasons else {})
    variants: dict[str, dict[str, float]] = {}
    for name, runs in study.variants.items():
        variants[name] = {"pretrain_steps": runs[0].pretrain_steps, "steps": runs[0].steps}
        variants[name] |= rounded_numbers({"lowest_train_rank1": study.lowest_train_rank1(name)})
    return {
        "protocol": study.protocols,
        "source": study.source,
        **({"trained_on": study.trained_on} if study.trained_on else {}),
        "seeds": len(study.seeds),
        "min_seeds": claims.min_seeds,
        "questions": {
            name: {"paper": each.paper[0], "read_in": each.paper[1], "verdict": verdicts.get(name, {})}
            for name, each in QUESTIONS.items()
        },
        "contrasts": contrasts,
        "variants": variants,
    }


def table(results: Sequence[Finding]) -> pd.DataFrame:
    """One row for each finding with an effect: question, contrast, setting, measure and its numbers."""
    rows = [
        {"question": each.contrast.question, "contrast": each.name, "setting": each.setting}
        | {"measure": each.measure, **each.numbers()}
        for each in results
        if each.effect is not None
    ]
    return pd.DataFrame(rows)


def convergence(study: StudyRuns, claims: Claims) -> pd.DataFrame:
    """Rank-1 on validation identities in training, mean over seeds, of the variants whose steps are compared.

    Returns:
        step, and a column for each variant; a row for each step at which one of them was evaluated.
    """
    contrasts = [each for each in claims.contrasts.values() if STEPS in QUESTIONS[each.question].extra]
    means = {}
    for variant in dict.fromkeys(name for each in contrasts for name in (each.ours, each.theirs)):
        if variant in study.trained():
            measured = pd.concat(study.measurements(variant, "validation_rank1"))
            means[variant] = measured.groupby(level=0).mean()
    return pd.DataFrame(means).rename_axis("step").reset_index()


def subgroup_effects(study: StudyRuns, claims: Claims) -> list[tuple[Subgroup, Contrast, Effect]]:
    """Rank-1 effect of each confirmatory contrast in each subgroup of queries; no test is corrected."""
    contrasts = {
        (each.ours, each.theirs): each
        for each in reversed(claims.contrasts.values())  # of questions about the same variants, the first
        if each.confirmatory and {each.ours, each.theirs} <= set(study.variants)
    }
    effects = []
    for group in study.subgroups():
        restricted = study.restricted(group)
        for pair, contrast in reversed(contrasts.items()):
            ours, theirs = (restricted.accuracy(name, restricted.targets, PRIMARY) for name in pair)
            effects.append((group, contrast, difference(ours, theirs).effect()))
    return effects


def steps_to(measured: "pd.Series[float]", last: int, level: float) -> tuple[int, bool]:
    """The first evaluated step with this rank-1 or more, and True; without one the last step, and False.

    Args:
        measured: step -> rank-1 on validation identities.
        last: step of the training.
        level: 0 to 1.
    """
    reached = measured.index[measured >= level]
    return (last, False) if reached.empty else (int(reached[0]), True)


def _settings(study: StudyRuns, contrast: Contrast) -> dict[str, list[str]]:
    """Setting -> the targets that it is tested on, or whose effect is compared with the source's.

    Only effects of one protocol are compared.
    """
    runs = [run for name in (contrast.ours, contrast.theirs) for run in study.variants.get(name, ())]
    if any(run.steps == 0 for run in runs):
        return study.means(DIRECT_TRANSFER, study.targets)
    settings = study.means(IN_DOMAIN, study.in_domain) | study.means(CROSS_DOMAIN, study.cross_domain)
    if INTERACTION in QUESTIONS[contrast.question].extra and study.in_domain:
        protocol = study.protocols[study.source]
        alike = [target for target in study.cross_domain if study.protocols[target] == protocol]
        settings |= study.means(INTERACTION, alike)
    return settings


def _measures(contrast: Contrast, setting: str) -> list[str]:
    extra = [name for name in QUESTIONS[contrast.question].extra if name != INTERACTION]
    return [each.name for each in HEADLINE] + (extra if setting == IN_DOMAIN else [])


def _measured(study: StudyRuns, claims: Claims, finding: Finding) -> Finding:
    """With values, effect and limits."""
    names = finding.contrast.ours, finding.contrast.theirs
    if missing := frozenset(names) - set(study.variants):
        return replace(finding, reasons=Reasons(missing=missing))
    if finding.measure in (STEPS, TOTAL_STEPS):
        return _with_steps(study, claims.target_rank1, finding)
    targets = _settings(study, finding.contrast)[finding.setting]
    if finding.measure == GAP:
        ours, theirs = (study.train_test_gap(name) for name in names)
    elif finding.setting == INTERACTION:
        ours, theirs = (
            difference(*(study.accuracy(name, each, finding.measure) for name in names))
            for each in (targets, study.in_domain)
        )
    else:
        samples, others = (study.samples(name, targets, finding.measure) for name in names)
        ours, theirs = mean_over_datasets(samples), mean_over_datasets(others)
        finding = replace(finding, bootstrap=uncertainty.difference(samples, others))
    higher = finding.measure != GAP and metric(finding.measure).higher_is_better
    better = difference(ours, theirs) if higher else difference(theirs, ours)
    return replace(finding, ours=ours.mean, theirs=theirs.mean, effect=better.effect())


def _with_steps(study: StudyRuns, level: float, finding: Finding) -> Finding:
    """How many fewer steps ours takes to a validation rank-1, without or with those of pre-training.

    The interval between evaluations limits the resolution of a step: a twelfth of its square is added to the
    variance.
    """
    steps, never, variance = [], set(), 0.0
    for name in (finding.contrast.ours, finding.contrast.theirs):
        measured, runs = study.measurements(name, "validation_rank1"), study.variants[name]
        ends = [steps_to(values, run.steps, level) for values, run in zip(measured, runs, strict=True)]
        start = runs[0].pretrain_steps if finding.measure == TOTAL_STEPS else 0
        steps.append(np.array([start + step for step, _ in ends], float))
        never |= set() if all(reached for _, reached in ends) else {name}
        variance += (runs[0].steps / len(measured[0])) ** 2 / 12 / len(runs)
    return replace(
        finding,
        ours=float(steps[0].mean()),
        theirs=float(steps[1].mean()),
        effect=t_test(steps[1] - steps[0], variance, max(1, len(steps[0]) - 1)),
        reasons=Reasons(never_reached=frozenset(never)),
    )


def _judged(finding: Finding, study: StudyRuns, claims: Claims) -> Finding:
    """With the verdict."""
    contrast, effect = finding.contrast, finding.effect
    if not contrast.confirmatory:
        return replace(finding, verdict=Verdict.EXPLORATORY)
    if effect is None:
        return finding
    underfit = frozenset(name for name in (contrast.ours, contrast.theirs) if study.underfit(name))
    few_seeds = len(study.seeds) < claims.min_seeds
    reasons = replace(finding.reasons, few_seeds=few_seeds, underfit=underfit)
    min_effect = 0.0 if finding.measure in (STEPS, TOTAL_STEPS) else claims.min_effect
    verdict = Verdict.INCONCLUSIVE
    if not (few_seeds or underfit):
        significant = finding.p_holm is not None and finding.p_holm < claims.alpha
        if significant and effect.value > 0:
            # if ours never reaches the target, its steps are counted too low, so it looks better than it is
            verdict = Verdict.INCONCLUSIVE if contrast.ours in reasons.never_reached else Verdict.SUPPORTED
        elif significant or effect.high < min_effect:  # likewise if theirs never does
            verdict = (
                Verdict.INCONCLUSIVE if contrast.theirs in reasons.never_reached else Verdict.NOT_SUPPORTED
            )
    return replace(finding, reasons=reasons, verdict=verdict)
