"""The paper's questions and their answers as one Markdown page."""

from collections.abc import Mapping, Sequence

from sttreid.config.claims import Claims
from sttreid.report.arms import Study
from sttreid.report.claims import (
    ACROSS,
    ALL_STEPS,
    CROSS_DOMAIN,
    DIRECT,
    GAP,
    IN_DOMAIN,
    JUDGED,
    STEPS,
    Finding,
    answers,
)
from sttreid.report.questions import QUESTIONS
from sttreid.report.reasons import reasons
from sttreid.report.tables import NONE, markdown, percent, protocols_phrase

TOLD = {
    "rank1": "R-1",
    "mAP": "mAP",
    GAP: "R-1 gap, training to test",
    STEPS: "steps on the target",
    ALL_STEPS: "steps, synthetic ones counted",
}
SETTINGS = {
    IN_DOMAIN: "in-domain",
    CROSS_DOMAIN: "cross-domain",
    ACROSS: "more across domains",
    DIRECT: "direct transfer",
}


def page(found: Study, judged: Sequence[Finding], claims: Claims, protocol: Mapping[str, str]) -> str:
    """What was asked, the answers, every effect, the arms, and how the verdicts come about."""
    sections = (
        "# The paper's claims",
        _run(found, claims, protocol),
        "## Answers",
        "By rank-1. A claim is supported where every judged comparison below supports it.",
        answer_table(judged),
        "## Effects",
        "Accuracies and gaps in per cent, effects in points (or steps), positive where the first arm is"
        " better: more accuracy, a smaller gap, fewer steps. In brackets the 95 % interval over seeds and"
        f" test people. Where it says {SETTINGS[ACROSS]!r}, first and second are the effects across domains"
        " and in-domain.",
        effect_table(judged),
        "## Arms",
        "Rank-1, in per cent, seed by seed; fit is the lowest rank-1 on the training identities.",
        arm_table(found),
        reasons(found, claims),
        "## How verdicts come about",
        _rules(found, claims),
    )
    return "\n\n".join(sections) + "\n"


def answer_table(judged: Sequence[Finding]) -> str:
    """One row a question: its claim, the paper's number, ours, and the verdict in each setting."""
    answer = answers(judged)
    rows = []
    for name, question in QUESTIONS.items():
        verdicts = [answer.get(name, {}).get(setting, NONE) for setting in SETTINGS]
        ours = [_ours(judged, name, setting) for setting in SETTINGS]
        cells = [NONE if v == NONE else f"{v}: {o}" for v, o in zip(verdicts, ours, strict=True)]
        rows.append([name, question.claim, f"{question.number} ({question.source})", *cells])
    header = ["question", "claim", "the paper, on its data", *SETTINGS.values()]
    return markdown(header, rows, left=len(header))


def effect_table(judged: Sequence[Finding]) -> str:
    """One row a finding."""
    rows = []
    for one in judged:
        values = [_amount(one, value) for value in (one.ours, one.theirs)]
        tests = [one.effect.p if one.effect else None, one.adjusted]
        told = f"{one.verdict} ({one.reason})" if one.reason else one.verdict
        place = [one.contrast.question, _name(one), SETTINGS[one.setting], TOLD[one.measure]]
        rows.append(
            [*place, *values, _effect(one), *(NONE if p is None else f"{p:.3g}" for p in tests), told]
        )
    header = ["question", "comparison", "setting", "measure", "first", "second", "effect", "p", "p (Holm)"]
    return markdown([*header, "verdict"], rows, left=4)


def arm_table(found: Study) -> str:
    """One row an arm: steps, fit, and the rank-1 of each seed in each setting."""
    rows = []
    for name, runs in found.arms.items():
        fit = found.lowest_fit(name)
        before = f"{runs[0].pretrain_steps} + " if runs[0].pretrain_steps else ""
        cells = [f"{before}{runs[0].steps}", NONE if fit is None else percent(fit)]
        own = [target for target in found.targets if target == found.source]
        others = [target for target in found.targets if target != found.source]
        for targets in (own, others):
            rates = found.accuracy(name, targets, JUDGED).seeds.tolist() if targets else []
            cells.append(", ".join(percent(rate) for rate in rates) or NONE)
        rows.append([name, *cells])
    source = f"tested on {found.source}"
    return markdown(["arm", "steps", "fit", source, "tested on the others, mean"], rows)


def _run(found: Study, claims: Claims, protocol: Mapping[str, str]) -> str:
    seeds = ", ".join(str(seed) for seed in found.seeds)
    enough = (
        "."
        if len(found.seeds) >= claims.seeds_needed
        else f": {claims.seeds_needed} are needed for any verdict (docs/experiments.md)."
    )
    return (
        f"Trained on {found.source}, tested on {', '.join(found.targets)}, {protocols_phrase(protocol)}, with"
        f" {len(found.seeds)} of {claims.seeds_needed} seeds ({seeds}){enough} A seed is an"
        " initialisation, an order of batches and a synthetic pre-training of its own; all arms share the"
        " seeds, the data and one kind of start."
    )


def _rules(found: Study, claims: Claims) -> str:
    rules = (
        f"- supported: the effect is positive, and its p after Holm's correction is below {claims.alpha:g};",
        "- not supported: it is negative at that level, or the whole interval lies below"
        f" {100 * claims.relevant:g} points (0 steps), the smallest gain that would matter;",
        f"- inconclusive: anything else, or fewer than {claims.seeds_needed} seeds, or an arm that fits less"
        f" than {percent(found.fitted)} % of its training identities with any seed: it tells nothing;",
        "- not judged: the two arms differ in more than the question asks about.",
    )
    told = (
        "The test is a paired t test in which seeds and test people are both drawn (variances added, Welch"
        " and Satterthwaite's degrees of freedom); each measure is one family for Holm's correction, over all"
        " judged comparisons and settings. Steps are those until a look at the validation identities first"
        f" finds {percent(claims.reached)} % rank-1."
    )
    return "\n".join(rules) + "\n\n" + told


def _ours(judged: Sequence[Finding], question: str, setting: str) -> str:
    """Our effects on a question in a setting, for the table of answers."""
    chosen = [
        one
        for one in judged
        if one.measure == JUDGED
        and one.contrast.judged
        and (one.contrast.question, one.setting) == (question, setting)
    ]
    return "; ".join(f"{_name(one)} {_effect(one)}" for one in chosen)


def _name(one: Finding) -> str:
    return f"{one.contrast.ours} against {one.contrast.theirs}"


def _amount(one: Finding, value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value:.0f}" if one.measure in (STEPS, ALL_STEPS) else percent(value)


def _effect(one: Finding) -> str:
    if one.effect is None:
        return NONE
    value, low, high = (
        _amount(one, number) for number in (one.effect.value, one.effect.low, one.effect.high)
    )
    return f"{'' if value.startswith('-') else '+'}{value} [{low}, {high}]"
