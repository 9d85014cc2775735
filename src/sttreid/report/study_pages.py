"""Statistics of a study -> its pages: claims, learning curves, tuning, seeds."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd
import yaml

from sttreid.analysis import trials
from sttreid.analysis.claims import Finding, Verdict, content, subgroup_effects
from sttreid.analysis.effects import Effect
from sttreid.analysis.metrics_files import credit
from sttreid.analysis.phrases import percent, protocols_phrase, seeds_phrase, sided, signed
from sttreid.analysis.settings import setting_of, spelled
from sttreid.analysis.spread import DROP, SeedResults
from sttreid.analysis.study_runs import StudyRuns, Subgroup, attention_entropy
from sttreid.analysis.trials import Curve
from sttreid.config.claims import Claims, Contrast
from sttreid.report import charts
from sttreid.report.page import training_figures
from sttreid.report.render import TEMPLATES, Block, Bullets, Cell, Figure, Page, Section, Table
from sttreid.report.standing import MARKS, claims_table
from sttreid.report.tables import NONE
from sttreid.report.tables import TEXT as REPORT
from sttreid.retrieval.metrics import HEADLINE

TEXT: Final = yaml.safe_load((TEMPLATES / "study.yaml").read_text(encoding="utf-8"))
RULES: Final = (Verdict.SUPPORTED, Verdict.NOT_SUPPORTED, Verdict.INCONCLUSIVE, Verdict.EXPLORATORY)
LABELS: Final = {each.name: each.label for each in HEADLINE} | TEXT["measures"]


def claims_page(study: StudyRuns, results: Sequence[Finding], claims: Claims, fingerprint: str = "") -> Page:
    """Verdicts, every effect, the variants, what explains the verdicts, and their rules.

    Args:
        study: all variants.
        results: what was found.
        claims: rules of the verdicts.
        fingerprint: of the parameters; empty: the page does not name it.
    """
    rules = {
        "alpha": f"{claims.alpha:g}",
        "min_effect": f"{100 * claims.min_effect:g}",
        "min_seeds": claims.min_seeds,
        "fit": percent(study.min_train_rank1),
        "target": percent(claims.target_rank1),
        "interaction": TEXT["settings"]["cross_minus_in_domain"],
    }
    sentences = {name: text.format(**rules) for name, text in TEXT["claims"].items()}
    lead = [_run(study), *([sentences["few_seeds"]] if len(study.seeds) < claims.min_seeds else [])]
    lead += [credit(fingerprint)] if fingerprint else []
    columns = ["question", "contrast", "setting", "measure", "verdict", "first", "second", "effect"]
    effects = Table(
        [*columns, "detectable", "p", "p (Holm)"],
        [_finding(each) for each in results],
        "Every effect",
        left=5,
    )
    sections = [
        Section("Verdicts", [sentences["verdicts"], claims_table(content(study, results, claims))]),
        Section(
            "Effects",
            [sentences["effects"], *_forests(results), effects],
            caption=sentences["forest"],
            scope=_scope(study),
        ),
        Section(
            "Variants and over-fitting",
            [sentences["fit"], _variants(study), *_training(study)],
            caption=REPORT["training"],
            scope=_scope(study, tested=False),
        ),
        *_attention(study, sentences["entropy"]),
        *_subgroups(study, claims, sentences),
        Section("Rules of the verdicts", [Bullets([sentences[each] for each in RULES]), sentences["test"]]),
    ]
    return Page(TEXT["title"]["claims"], lead, sections)


def curves_page(
    study: StudyRuns,
    curves: Sequence[Curve],
    effects: Mapping[tuple[str, str, str], Effect],
    contrasts: Mapping[str, Contrast],
    schedule: str,
) -> Page:
    """Every point, slopes and differences, of :func:`sttreid.analysis.trials.curve_effects`.

    Args:
        study: all variants.
        curves: their points.
        effects: of the points, slopes and differences.
        contrasts: the differences among them.
        schedule: the one whose identities are varied, pretrain or finetune.
    """
    rules = {
        "whose": TEXT["whose"][schedule],
        "fit": percent(study.min_train_rank1),
        "steps": _steps(study, curves, schedule),
    }
    sentences = {name: text.format(**rules) for name, text in TEXT["curves"].items()}
    levels = trials.levels(effects, curves)
    names = {(c.variant, n): p for c in curves for p, n in zip(c.points, c.identities, strict=True)}
    points, figures = {}, []
    for variant, identities, setting, value, low, high in levels.itertuples(index=False):
        mark = "*" if study.underfit(names[variant, identities]) else ""
        ends = "" if pd.isna(low) else f" [{percent(low)}, {percent(high)}]"
        points[variant, f"{identities}{mark}", setting] = f"{percent(value)}{ends}"
    for setting, rows in levels.rename(columns={"variant": "name"}).groupby("setting", sort=False):
        axes = "identities", "rank-1"
        chart = charts.lines(rows, "identities", "value", axes, percent=True, points=True, log=True)
        figures.append(Figure(f"Rank-1: {spelled(str(setting), TEXT['quantities'])}", chart))
    slopes, differences = {}, {}
    for (name, key, setting), effect in effects.items():
        text = f"{_signed(effect)}{'' if effect.p is None else f', p {effect.p:.2g}'}"
        if name in contrasts:
            differences[_contrast(contrasts[name]), key, setting] = text
        elif key == trials.DOUBLING:
            slopes[name, setting] = text
    settings = list(trials.settings(study))
    sections = [
        Section(
            "Points",
            [sentences[schedule], sentences["underfit"], *figures, _pivot(points, settings, "identities")],
            caption=sentences["growth"],
            scope=_scope(study),
        ),
        Section("Slopes", [sentences["slopes"], _pivot(slopes, settings)]),
    ]
    if differences:
        table = _pivot(differences, settings, "identities")
        sections.append(Section("Differences", [sentences["differences"], table]))
    return Page(TEXT["title"]["curves"], [_run(study), sentences["varied"]], sections)


def _steps(study: StudyRuns, curves: Sequence[Curve], schedule: str) -> str:
    """Whether all points are trained for equally many steps, or how many each has."""
    steps = {
        identities: run.pretrain_steps if schedule == "pretrain" else run.steps
        for curve in curves
        for identities, point in zip(curve.identities, curve.points, strict=True)
        for run in study.variants[point]
    }
    text: Mapping[str, str] = TEXT["steps"]
    if len(set(steps.values())) == 1:
        return text["equal"]
    points = [text["point"].format(steps=steps[number], identities=number) for number in sorted(steps)]
    return text["differ"].format(each=", ".join(points))


def tuning_page(
    table: pd.DataFrame, of_seeds: Mapping[int, pd.DataFrame], source: str, min_train_rank1: float
) -> Page:
    """The trials of :func:`sttreid.analysis.trials.search`, a row for each variant.

    With several seeds, a second table has what the search finds with each of them alone (``of_seeds``).
    """
    fit = percent(min_train_rank1)
    lead = TEXT["tuning"].format(source=source, seeds=seeds_phrase(list(of_seeds)), fit=fit)
    columns = ["variant", *table["trial"].unique()]
    blocks: list[Block] = [lead, Table(columns, _trial_rows(table), "Rank-1 of every trial")]
    if len(of_seeds) > 1:
        rows = [[*row, str(seed)] for seed, found in of_seeds.items() for row in _trial_rows(found)]
        blocks.append(Table([*columns, "seed"], rows, "Rank-1 of every trial, with one seed alone"))
    return Page(TEXT["title"]["tuning"], blocks, [])


def _trial_rows(table: pd.DataFrame) -> list[list[str | Cell]]:
    rows: dict[str, list[str | Cell]] = {}
    for row in table.to_dict("records"):
        text = f"{percent(row['validation_rank1'])} / {percent(row['train_rank1'])}"
        rows.setdefault(row["variant"], [row["variant"]]).append(Cell(text, bold=row["chosen"]))
    return list(rows.values())


def seeds_page(results: SeedResults) -> Page:
    """Mean, standard deviation and confidence interval of every number, in one table."""
    rows = []
    for group in (results.numbers, results.baselines):
        for name in next(iter(group.values()), {}):
            row = [spelled(name, TEXT["settings"]).replace("->", " → ")]
            text = sided if setting_of(name) == DROP else percent
            for spread in (group[metric.name][name] for metric in HEADLINE):
                ends = [text(end) for end in (spread.low, spread.high) if end is not None]
                row += [f"{percent(spread.mean)} ± {percent(spread.sd)}", f"[{', '.join(ends)}]"]
            rows.append(row)
    counts = (
        f"{target} {results.queries[target]} ({results.identities[target]})" for target in results.protocol
    )
    phrases = {"protocols": protocols_phrase(results.protocol), "seeds": seeds_phrase(results.seeds)}
    lead = TEXT["seeds"].format(counts=", ".join(counts), **phrases)
    columns = [name for metric in HEADLINE for name in (metric.label, f"{metric.label}, 95 % CI")]
    table = Table(["setting, or source → target", *columns], rows, "Every number, in per cent")
    return Page(TEXT["title"]["seeds"], [lead, table], [])


def _run(study: StudyRuns) -> str:
    named = {"source": study.source, "targets": ", ".join(study.targets), "seeds": seeds_phrase(study.seeds)}
    if study.trained_on:
        named["source"] = TEXT["trained_on"].format(name=study.trained_on, source=study.source)
    return str(TEXT["run"].format(protocols=protocols_phrase(study.protocols), **named))


def _scope(study: StudyRuns, tested: bool = True) -> str:
    """Protocol, seeds and queries of a figure."""
    if not tested:
        return f"No test queries; {seeds_phrase(study.seeds)}."
    queries = ", ".join(f"{count} {target}" for target, count in study.query_counts.items())
    protocols = protocols_phrase(study.protocols).capitalize()
    return f"{protocols}; {seeds_phrase(study.seeds)}; queries: {queries}."


def _finding(each: Finding) -> list[str | Cell]:
    """A row of the table of effects."""
    if each.effect is None:
        numbers = [NONE] * 6
    else:
        effect, steps = each.effect, each.measure in ("steps", "total_steps")
        values = each.ours, each.theirs, effect.detectable()
        shown = [NONE if value is None else f"{value:.0f}" if steps else percent(value) for value in values]
        interval = _signed(effect)
        if steps:
            value, low, high = (round(end) for end in (effect.value, effect.low, effect.high))
            interval = f"{value:+d} [{low}, {high}]"
        tests = (NONE if p is None else f"{p:.3g}" for p in (effect.p, each.p_holm))
        numbers = [*shown[:2], interval, shown[2], *tests]
    reasons = [
        text.format(names=", ".join(sorted(getattr(each.reasons, name))))
        for name, text in TEXT["reasons"].items()  # few seeds are mentioned once, above
        if getattr(each.reasons, name)
    ]
    text = f"{each.verdict} ({'; '.join(reasons)})" if reasons else str(each.verdict)
    verdict = Cell(text, mark=MARKS.get(each.verdict, ""))
    names = [each.contrast.question, _contrast(each.contrast), spelled(each.setting, TEXT["settings"])]
    return [*names, LABELS[each.measure], verdict, *numbers]


def _forests(results: Sequence[Finding]) -> list[Figure]:
    figures = []
    for metric in HEADLINE:
        marks = [
            _mark(each.contrast, spelled(each.setting, TEXT["settings"]), each.effect)
            | {"hollow": each.verdict == Verdict.EXPLORATORY}
            for each in results
            if each.measure == metric.name and each.effect is not None
        ]
        if marks:
            chart = charts.forest(pd.DataFrame(marks), "effect", reference=0.0)
            figures.append(Figure(f"Effects on {metric.label}", chart))
    return figures


def _variants(study: StudyRuns) -> Table:
    """Steps, and rank-1 on training, validation and test identities."""
    rows, tested = [], study.means("in_domain", study.in_domain) or {"in_domain": []}
    tested |= study.means("cross_domain", study.cross_domain) or {"cross_domain": []}
    for name, runs in study.variants.items():
        steps = (
            f"{runs[0].pretrain_steps} + {runs[0].steps}" if runs[0].pretrain_steps else str(runs[0].steps)
        )
        trained = [NONE] * 4
        if (lowest := study.lowest_train_rank1(name)) is not None:
            rates = [study.train_rank1(name).mean, lowest, study.validation_rank1(name).mean]
            trained = [*map(percent, rates), NONE]
            if study.in_domain:
                trained[3] = percent(study.train_test_gap(name).mean)
        rows.append([name, steps, *trained])
        for targets in tested.values():
            rank1 = study.accuracy(name, targets, "rank1").seeds.tolist() if targets else []
            rows[-1].append(", ".join(map(percent, rank1)) or NONE)
    columns = ["variant", "steps", "training", "lowest seed", "validation", "gap, training to test"]
    columns += [f"{spelled(name, TEXT['settings'])} test, each seed" for name in tested]
    return Table(columns, rows, "Rank-1 in per cent")


def _training(study: StudyRuns) -> list[Figure]:
    histories = {
        name: [run.history for run in study.variants[name] if run.history is not None]
        for name in study.trained()
    }
    return training_figures(histories, "means over seeds")


def _attention(study: StudyRuns, text: str) -> list[Section]:
    rows = []
    for variant, moments in attention_entropy(study).groupby("variant", sort=False):
        cells = [f"{each.entropy:.3f} ({each.step})" for each in moments.itertuples()]
        rows.append([str(variant), *cells, ", ".join(f"{each:.2f}" for each in moments["seeds"].iloc[-1])])
    columns = ["variant", "first", "half of the steps", "last", "last, each seed"]
    table = Table(columns, rows, "Attention entropy, nats (step)")
    return [Section("Attention entropy in training", [text, table])] if rows else []


def _subgroups(study: StudyRuns, claims: Claims, sentences: Mapping[str, str]) -> list[Section]:
    """Rank-1 and effects by thirds of the queries."""
    names, rates = study.trained(), []
    for group in study.subgroups():
        restricted = study.restricted(group)
        cells = [percent(restricted.accuracy(name, restricted.targets, "rank1").mean) for name in names]
        rates.append([_group(group), str(sum(restricted.query_counts.values())), *cells])
    effects: dict[str, list[str]] = {}
    marks: dict[str, list[dict[str, Any]]] = {}
    contrasts: dict[str, None] = {}
    for group, contrast, effect in subgroup_effects(study, claims):
        effects.setdefault(_group(group), [_group(group)]).append(_signed(effect))
        marks.setdefault(group.column, []).append(_mark(contrast, _group(group), effect))
        contrasts[_contrast(contrast)] = None
    blocks: list[Block] = [
        sentences["subgroups"],
        Table(["queries", "number", *names], rates, "Rank-1 by subgroup"),
    ]
    if effects:
        table = Table(["queries", *contrasts], list(effects.values()), "Effects by subgroup")
        blocks += [sentences["subgroup_effects"], table]
    for column, each in marks.items():
        chart = charts.forest(pd.DataFrame(each), "effect on rank-1", reference=0.0)
        title = f"Effects by {TEXT['properties'][column]}"
        blocks.append(Figure(title, chart))
    caption = sentences["forest"]
    return [Section("Subgroups of queries", blocks, caption=caption, scope=_scope(study))] if rates else []


def _group(group: Subgroup) -> str:
    low, high = (f"{end:.2f}" if group.column == "visibility" else f"{end:,.0f}" for end in group.span)
    protocol = f", protocol {group.protocol}" if group.protocol else ""
    return f"{TEXT['properties'][group.column]}: {group.third} third ({low} to {high}){protocol}"


def _contrast(contrast: Contrast) -> str:
    return f"{contrast.ours} against {contrast.theirs}"


def _mark(contrast: Contrast, group: str, effect: Effect) -> dict[str, Any]:
    ends = {"value": effect.value, "low": effect.low, "high": effect.high}
    return {"name": f"{contrast.ours} / {contrast.theirs}", "group": group, "hollow": False, **ends}


def _pivot(cells: Mapping[Any, str], settings: Sequence[str], *columns: str) -> Table:
    """(variant or contrast, name of each column, setting) -> text, with a column for each setting."""
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for (*names, setting), text in cells.items():
        rows.setdefault(tuple(names), {})[setting] = text
    header = ["variant", *columns, *(spelled(name, TEXT["quantities"]) for name in settings)]
    body = [[*names, *(row.get(name, NONE) for name in settings)] for names, row in rows.items()]
    return Table(header, body, "Rank-1, in per cent or points", left=1 + len(columns))


def _signed(effect: Effect) -> str:
    return signed(effect.value, effect.low, effect.high)
