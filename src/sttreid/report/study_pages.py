"""Statistics of a study -> its pages: claims, learning curves, tuning."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import pandas as pd
import yaml

from sttreid.analysis import trials
from sttreid.analysis.claims import Finding, Verdict, content, convergence, subgroup_effects
from sttreid.analysis.effects import Effect
from sttreid.analysis.study import Study, Subgroup, attention_entropy
from sttreid.analysis.trials import DOUBLING, Curve
from sttreid.config.claims import Claims, Contrast
from sttreid.report import charts
from sttreid.report.page import MARKS, claims_table, training_figures
from sttreid.report.render import TEMPLATES, Block, Bullets, Cell, Figure, Page, Section, Table
from sttreid.report.tables import NONE, percent, protocols_phrase, seeds_phrase, signed
from sttreid.retrieval.metrics import HEADLINE

TEXT: Final = yaml.safe_load((TEMPLATES / "study.yaml").read_text(encoding="utf-8"))
LABELS: Final = {each.name: each.label for each in HEADLINE} | TEXT["measures"]
WHOSE: Final = {"pretrain": "synthetic", "finetune": "source"}


def claims_page(study: Study, results: Sequence[Finding], claims: Claims) -> Page:
    """Verdicts, every effect, the variants, what explains the verdicts, and their rules."""
    lead = [_run(study)]
    if len(study.seeds) < claims.min_seeds:
        lead.append(TEXT["few_seeds"].format(min_seeds=claims.min_seeds))
    interaction = TEXT["settings"]["cross_minus_in_domain"]
    columns = ["question", "contrast", "setting", "measure", "first", "second", "effect", "p", "p (Holm)"]
    effects = Table([*columns, "verdict"], [_finding(each) for each in results], "Every effect", left=4)
    numbers = {"alpha": f"{claims.alpha:g}", "min_effect": f"{100 * claims.min_effect:g}"}
    numbers |= {"min_seeds": str(claims.min_seeds), "fit": percent(study.min_train_rank1)}
    numbers |= {"target": percent(claims.target_rank1)}
    rules = Bullets([rule.format(**numbers) for rule in TEXT["rules"]])
    sections = [
        Section("Verdicts", [TEXT["verdicts"], claims_table(content(study, results, claims))]),
        Section(
            "Effects",
            [TEXT["effects"].format(interaction=interaction), effects, *_forests(study, results)],
        ),
        Section("Variants", [_variants(study), *_convergence(study, claims)]),
        _over_fitting(study),
        *_attention(study),
        *_subgroups(study, claims),
        Section("Rules of the verdicts", [rules, TEXT["test"].format(**numbers)]),
    ]
    return Page(TEXT["claims_title"], lead, sections)


def curves_page(
    study: Study, curves: Sequence[Curve], contrasts: Mapping[str, Contrast], schedule: str
) -> Page:
    """Every point, slopes and differences; ``schedule`` is the one whose identities are varied."""
    levels, whose = trials.levels(study, curves), WHOSE[schedule]
    quantities = [TEXT["quantities"][name] for name in trials.SETTINGS]
    points = []
    for curve in curves:
        for point, identities in zip(curve.points, curve.identities, strict=True):
            rows = levels[(levels["variant"] == curve.variant) & (levels["identities"] == identities)]
            cells = {row["setting"]: _level(row) for row in rows.to_dict("records")}
            mark = "*" if study.underfit(point) else ""
            points.append([curve.variant, f"{identities}{mark}", *_by_setting(cells)])
    fit = TEXT[schedule], TEXT["underfit"].format(fit=percent(study.min_train_rank1))
    figures = []
    for setting, rows in levels.groupby("setting", sort=False):
        tested = setting not in (trials.TRAINING, trials.VALIDATION)
        table = rows.rename(columns={"variant": "name"})
        axes = "identities", "rank-1"
        chart = charts.lines(table, "identities", "value", axes, percent=True, points=True, log=True)
        title, caption = f"Rank-1: {TEXT['quantities'][setting]}", TEXT["growth"].format(whose=whose)
        figures.append(Figure(title, chart, caption, _scope(study, tested)))
    slopes = _pivot(trials.slopes(study, curves))
    sections = [
        Section(
            "Points",
            [
                *fit,
                Table(["variant", "identities", *quantities], points, "Rank-1 of every point", left=2),
                *figures,
            ],
        ),
        Section("Slopes", [TEXT["slopes"], Table(["variant", *quantities], slopes, "Gain per doubling")]),
    ]
    if effects := trials.differences(study, curves, contrasts):
        names = {name: f"{each.ours} against {each.theirs}" for name, each in contrasts.items()}
        named = {(names[name], *key): effect for (name, *key), effect in effects.items()}
        table = Table(
            ["contrast", "identities", *quantities], _pivot(named), "Differences of variants", left=2
        )
        sections.append(Section("Differences", [TEXT["differences"], table]))
    return Page(TEXT["curves_title"], [_run(study), TEXT["curves_run"].format(whose=whose)], sections)


def tuning_page(table: pd.DataFrame, source: str, seeds: Sequence[int], min_train_rank1: float) -> Page:
    """The trials of :func:`sttreid.analysis.trials.search`, a row for each variant."""
    rows: list[list[str | Cell]] = []
    for variant, group in table.groupby("variant", sort=False):
        cells = [
            Cell(f"{percent(row['validation_rank1'])} / {percent(row['train_rank1'])}", bold=row["chosen"])
            for row in group.to_dict("records")
        ]
        rows.append([str(variant), *cells])
    fit = percent(min_train_rank1)
    lead = TEXT["tuning"].format(source=source, seeds=seeds_phrase(seeds), fit=fit)
    return Page(
        TEXT["tuning_title"],
        [lead, Table(["variant", *table["trial"].unique()], rows, "Rank-1 of every trial")],
        [],
    )


def _run(study: Study) -> str:
    named = {"source": study.source, "targets": ", ".join(study.targets), "seeds": seeds_phrase(study.seeds)}
    return str(TEXT["run"].format(protocols=protocols_phrase(study.protocols), **named))


def _scope(study: Study, tested: bool = True) -> str:
    """Protocol, seeds and queries of a figure."""
    if not tested:
        return f"No test queries; {seeds_phrase(study.seeds)}."
    queries = ", ".join(f"{count} {target}" for target, count in study.query_counts.items())
    protocols = protocols_phrase(study.protocols).capitalize()
    return f"{protocols}; {seeds_phrase(study.seeds)}; queries: {queries}."


def _finding(each: Finding) -> list[str | Cell]:
    steps = each.measure in ("steps", "total_steps")
    values = [
        NONE if value is None else f"{value:.0f}" if steps else percent(value)
        for value in (each.ours, each.theirs)
    ]
    effect, p = each.effect, None
    if effect is not None:
        values.append(
            f"{effect.value:+.0f} [{effect.low:.0f}, {effect.high:.0f}]" if steps else _signed(effect)
        )
        p = effect.p
    else:
        values.append(NONE)
    reasons = [
        TEXT["reasons"][name].format(names=", ".join(sorted(value)) if isinstance(value, frozenset) else "")
        for name, value in asdict(each.reasons).items()
        if value
    ]
    verdict = f"{each.verdict} ({'; '.join(reasons)})" if reasons else str(each.verdict)
    names = [each.contrast.question, _contrast(each.contrast), TEXT["settings"][each.setting]]
    tests = [NONE if number is None else f"{number:.3g}" for number in (p, each.p_holm)]
    return [*names, LABELS[each.measure], *values, *tests, Cell(verdict, mark=MARKS.get(each.verdict, ""))]


def _forests(study: Study, results: Sequence[Finding]) -> list[Figure]:
    figures = []
    for metric in HEADLINE:
        marks = [
            _mark(each.contrast, TEXT["settings"][each.setting], each.effect)
            | {"hollow": each.verdict == Verdict.NOT_COMPARABLE}
            for each in results
            if each.measure == metric.name and each.effect is not None
        ]
        if marks:
            chart = charts.forest(pd.DataFrame(marks), "effect", reference=0.0)
            figures.append(Figure(f"Effects on {metric.label}", chart, TEXT["forest"], _scope(study)))
    return figures


def _variants(study: Study) -> Table:
    rows = []
    for name, runs in study.variants.items():
        lowest = study.lowest_train_rank1(name)
        steps = (
            f"{runs[0].pretrain_steps} + {runs[0].steps}" if runs[0].pretrain_steps else str(runs[0].steps)
        )
        cells = [name, steps, NONE if lowest is None else percent(lowest)]
        for targets in (study.in_domain, study.cross_domain):
            rates = study.accuracy(name, targets, "rank1").seeds.tolist() if targets else []
            cells.append(", ".join(map(percent, rates)) or NONE)
        rows.append(cells)
    rates = [f"{TEXT['settings'][name]} rank-1 of each seed" for name in ("in_domain", "cross_domain")]
    columns = ["variant", "steps", "lowest rank-1 on training identities", *rates]
    return Table(columns, rows, "Variants, rank-1 in per cent")


def _convergence(study: Study, claims: Claims) -> list[Figure]:
    table = convergence(study, claims)
    if len(table.columns) == 1:
        return []
    long = table.melt("step", var_name="name", value_name="rank1").dropna()
    chart = charts.lines(long, "step", "rank1", ("step on the source", "rank-1"), percent=True, points=True)
    rows = [[str(step), *map(_percent, values)] for step, *values in table.itertuples(index=False)]
    caption = TEXT["convergence"].format(target=percent(claims.target_rank1))
    data = Table([str(name) for name in table.columns], rows, "Rank-1 by step")
    return [Figure("Rank-1 on validation identities", chart, caption, _scope(study, False), data)]


def _over_fitting(study: Study) -> Section:
    """How well variants know training, validation and test identities; their training curves."""
    rows = []
    for name in study.trained():
        rates = [study.train_rank1(name), study.validation_rank1(name)]
        if study.in_domain:
            rates += [study.accuracy(name, study.in_domain, "rank1"), study.train_test_gap(name)]
        cells = [percent(rate.mean) for rate in rates]
        rows.append([name, *cells, *[NONE] * (4 - len(cells))])
    columns = ["variant", "training", "validation", f"test of {study.source}", "gap"]
    histories = {
        name: [run.history for run in study.variants[name] if run.history is not None]
        for name in study.trained()
    }
    figures = training_figures(histories, "means over seeds", _scope(study, False))
    table = Table(columns, rows, "Rank-1 by split")
    return Section("Over-fitting", [TEXT["fit"].format(source=study.source), table, *figures])


def _attention(study: Study) -> list[Section]:
    rows = []
    for variant, moments in attention_entropy(study).groupby("variant", sort=False):
        cells = [f"{each.entropy:.3f} ({each.step})" for each in moments.itertuples()]
        seeds = ", ".join(f"{value:.2f}" for value in moments["seeds"].iloc[-1])
        rows.append([str(variant), *cells, seeds])
    columns = ["variant", "first", "half of the steps", "last", "last, each seed"]
    table = Table(columns, rows, "Attention entropy, nats (step)")
    return [Section("Attention entropy in training", [TEXT["entropy"], table])] if rows else []


def _subgroups(study: Study, claims: Claims) -> list[Section]:
    """Rank-1 and effects by thirds of the queries."""
    names, rates = study.trained(), []
    for group in study.subgroups():
        restricted = study.restricted(group)
        cells = [percent(restricted.accuracy(name, restricted.targets, "rank1").mean) for name in names]
        rates.append([_group(group), str(sum(restricted.query_counts.values())), *cells])
    if not rates:
        return []
    effects: dict[tuple[str, str], Effect] = {}
    marks: dict[str, list[dict[str, Any]]] = {}
    for group, contrast, effect in subgroup_effects(study, claims):
        effects[_group(group), _contrast(contrast)] = effect
        marks.setdefault(group.column, []).append(_mark(contrast, _group(group), effect))
    columns = list(dict.fromkeys(name for _, name in effects))
    rows = [
        [group, *(_signed(effects[group, name]) for name in columns)]
        for group in dict.fromkeys(group for group, _ in effects)
    ]
    blocks: list[Block] = [
        TEXT["subgroups"],
        Table(["queries", "number", *names], rates, "Rank-1 by subgroup"),
    ]
    if rows:
        blocks += [TEXT["subgroup_effects"], Table(["queries", *columns], rows, "Effects by subgroup")]
    for column, each in marks.items():
        chart = charts.forest(pd.DataFrame(each), "effect on rank-1", reference=0.0)
        title = f"Effects by {TEXT['properties'][column]}"
        blocks.append(Figure(title, chart, TEXT["subgroup_effects"], _scope(study)))
    return [Section("Subgroups of queries", blocks)]


def _group(group: Subgroup) -> str:
    low, high = (f"{end:.2f}" if group.column == "visibility" else f"{end:,.0f}" for end in group.span)
    return f"{TEXT['properties'][group.column]}: {group.third} third ({low} to {high})"


def _contrast(contrast: Contrast) -> str:
    return f"{contrast.ours} against {contrast.theirs}"


def _mark(contrast: Contrast, group: str, effect: Effect) -> dict[str, Any]:
    ends = {"value": effect.value, "low": effect.low, "high": effect.high}
    return {"name": f"{contrast.ours} / {contrast.theirs}", "group": group, "hollow": False, **ends}


def _pivot(effects: Mapping[Any, Effect]) -> list[list[str]]:
    """(names of a row, setting) -> effect, as rows with a cell for each setting."""
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for (*names, setting), effect in effects.items():
        tested = "" if effect.p is None else f", p {effect.p:.2g}"
        label = tuple("per doubling" if name == DOUBLING else name for name in names)
        rows.setdefault(label, {})[setting] = f"{_signed(effect)}{tested}"
    return [[*names, *_by_setting(cells)] for names, cells in rows.items()]


def _by_setting(cells: Mapping[str, str]) -> list[str]:
    return [cells.get(setting, NONE) for setting in trials.SETTINGS]


def _level(row: Mapping[str, Any]) -> str:
    ends = f" [{percent(row['low'])}, {percent(row['high'])}]" if row["low"] == row["low"] else ""
    return f"{percent(row['value'])}{ends}"


def _signed(effect: Effect) -> str:
    return signed(effect.value, effect.low, effect.high)


def _percent(value: float) -> str:
    return NONE if pd.isna(value) else percent(value)
