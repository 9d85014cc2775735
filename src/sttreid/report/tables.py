"""Scores -> the tables of the report."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import yaml

from sttreid.analysis.open_set import ALL, RATES, Searches, detections, searches
from sttreid.analysis.phrases import bracket, percent, protocols_phrase, seeds_phrase, signed
from sttreid.analysis.results import BASELINES, COUNTS, Content, Scores, VariantResult, drop
from sttreid.analysis.results import Cell as Tested
from sttreid.analysis.uncertainty import Difference, Interval, interval, sample
from sttreid.report.render import TEMPLATES, Cell, Table
from sttreid.retrieval.metrics import HEADLINE, counted
from sttreid.runtime.errors import InputError

NONE = "-"
TEXT = yaml.safe_load((TEMPLATES / "report.yaml").read_text(encoding="utf-8"))
THIRDS = {"visibility": ("visible share", "{:.3g}"), "length": ("frames", "{:,.0f}")}


def rates(scores: Scores, cells: Sequence[Tested]) -> list[str]:
    """The headline metrics of a mean over cells; "-" without cells."""
    if not cells:
        return [NONE] * len(HEADLINE)
    return [bracket(scores.interval(cells, metric.name), metric.text) for metric in HEADLINE]


def gain(effect: Difference) -> Cell:
    """A difference; muted, and in words, where it is not significant."""
    text = signed(effect.value, effect.low, effect.high)
    if effect.direction == "not significant":
        return Cell(f"{text}, not significant", mark="muted")
    return Cell(text)


def gains(scores: Scores, setting: str, ours: str, theirs: str) -> str | Cell:
    """How much one variant's rank-1 is above another's; of each protocol."""
    found = [
        (gain(part.difference(part.cells(setting, ours), part.cells(setting, theirs), "rank1")), suffix)
        for suffix, part in parts(scores)
        if part.cells(setting, ours)
    ]
    if len(found) == 1:
        return found[0][0]
    return "; ".join(f"{cell.text}{suffix}" for cell, suffix in found) or NONE


def scope(scores: Scores, seeds: Sequence[int] | None = None) -> str:
    """What scores are computed from: protocol, seeds and number of queries."""
    queries = ", ".join(f"{number} {target}" for target, number in scores.counts["queries"].items())
    phrase = protocols_phrase(scores.protocol_names).capitalize()
    return f"{phrase}; {seeds_phrase(seeds or scores.seeds)}; queries: {queries}."


def mark(name: str, group: str, mean: Interval, hollow: bool = False) -> dict[str, Any]:
    """A row of :func:`charts.forest`."""
    ends = {"value": mean.value, "low": mean.low, "high": mean.high}
    return {"name": name, "group": group, "hollow": hollow, **ends}


def counts_table(scores: Scores) -> Table:
    """One row for each target."""
    columns = ["queries", "without a match", "gallery", "of these distractors"]
    columns += ["left out by the protocol", "junk removed"]
    rows = [[str(target), *(str(row[name]) for name in COUNTS)] for target, row in scores.counts.iterrows()]
    return Table(["tested on", *columns], rows, "Number of test tracklets")


def cross_domain_table(scores: Scores) -> Table:
    """Models (rows) on targets (columns); in-domain cells are bold."""
    columns = [f"{target} {metric.label}" for target in scores.targets for metric in HEADLINE]
    rows: list[list[str | Cell]] = []
    for model in scores.models:
        cells = [(rate, target) for target in scores.targets for rate in rates(scores, [(model, target)])]
        rows.append([model, *(Cell(rate, bold=model == target) for rate, target in cells)])
    return Table(["trained on", *columns], rows, "Every model on every target, in per cent")


def parts(scores: Scores) -> list[tuple[str, Scores]]:
    """The scores of each protocol, and what its name adds to a row or column; "" with a single protocol."""
    found = scores.by_protocol()
    return [(f" ({name})" if len(found) > 1 else "", part) for name, part in found.items()]


def settings_table(scores: Scores) -> Table:
    """Means over the cells of each setting, and the cross-domain drop; of each protocol."""
    rows = []
    for suffix, part in parts(scores):
        names = TEXT["setting"]
        rows += [[f"{names[name]}{suffix}", *rates(part, part.cells(name))] for name in part.settings]
        if "cross_domain" in part.settings:
            drops = (bracket(drop(part, metric.name), metric.text) for metric in HEADLINE)
            rows.append([f"{names['drop']}{suffix}", *drops])
    columns = ["setting", *(metric.label for metric in HEADLINE)]
    return Table(columns, rows, "Means of the settings, in per cent")


def baselines_table(scores: Scores) -> Table:
    """Gain of each setting over the baselines without training, on the same queries; of each protocol."""
    trained = [name for name in scores.settings if name not in BASELINES]
    rows: list[list[str | Cell]] = []
    for suffix, part in parts(scores):
        cells = [part.cells(name) for name in trained]
        for baseline in BASELINES:
            pairs = [(ours, [(baseline, target) for _, target in ours]) for ours in cells]
            for metric in HEADLINE:
                gains = [
                    gain(part.difference(ours, theirs, metric.name)) if ours else NONE
                    for ours, theirs in pairs
                ]
                level = part.interval(part.cells(baseline), metric.name)
                rows.append([f"{baseline}{suffix}", metric.label, percent(level.value), *gains])
    columns = ["baseline", "metric", "baseline, %", *(f"gain, {name.replace('_', '-')}" for name in trained)]
    return Table(columns, rows, "Gain over baselines, in points", left=2)


def open_set_table(scores: Scores) -> Table:
    """Who is found among strangers: each target's own model, then the settings' means of each protocol."""
    rates = (ALL, *RATES)
    by_cell = {cell: _searches(scores, cell) for name in scores.settings for cell in scores.cells(name)}
    rows = {f"{target}, own model": [(target, target)] for target in scores.targets}
    rows |= {
        f"mean, {name.replace('_', '-')}{suffix}": part.cells(name)
        for suffix, part in parts(scores)
        for name in part.settings
    }
    lines: list[list[str | Cell]] = []
    for name, cells in rows.items():
        found = [each for cell in cells if (each := by_cell.get(cell)) is not None]
        complete = cells and len(found) == len(cells)
        shown = map(bracket, detections(found, rates)) if complete else [NONE] * len(rates)
        lines.append([name, *shown])
    columns = [
        "model",
        "rank-1, half of the people",
        *(f"DIR at FAR {100 * rate:g} %" for rate in RATES),
    ]
    return Table(columns, lines, "People found among strangers, in per cent")


def shift_table(scores: Scores, domains: Content) -> Table:
    """How well crops of two data sets are separated, and the cross-domain drop between them.

    Args:
        scores: of the cross-domain results.
        domains: content of ``metrics/domains.json``, which has each pair once, in any order.

    Raises:
        InputError: a pair is missing.
    """
    rows: list[list[str | Cell]] = []
    for setting in ("cross_domain", "direct_transfer"):
        for source, target in scores.cells(setting):
            separability = (_of_pair(domains, key, source, target) for key in ("accuracy", "standard_error"))
            cells = [(target, target), (source, target)]
            ranks = [bracket(scores.interval([cell], "rank1")) for cell in cells]
            lost = gain(drop(scores, "rank1", cells[1:]))
            rows.append([source, target, " ± ".join(map(percent, separability)), *ranks, lost])
    columns = ["trained on", "tested on", "separable"]
    columns += ["own model rank-1", "this model rank-1", "drop, points"]
    return Table(columns, rows, "Domain shift and cross-domain drop, in per cent", left=2)


def difficulty_table(scores: Scores) -> Table:
    """Rank-1 of the model of each target for thirds of the queries, by visibility and by length."""
    rows, queries = [], counted(scores.queries)
    in_domain = queries[queries["model"] == queries["target"]]
    for column, (name, text) in THIRDS.items():
        if column not in in_domain:  # a result need not have it
            continue
        values = in_domain[column].dropna()
        edges = np.unique(np.quantile(values, np.linspace(0, 1, 4))).tolist() if len(values) else []
        for low, high in pairwise(edges):
            upper = in_domain[column] <= high if high == edges[-1] else in_domain[column] < high
            third = in_domain[(in_domain[column] >= low) & upper]
            cells = [_third(third[third["target"] == target], target) for target in scores.targets]
            if len(third):  # few values leave gaps between the thirds
                ends = third[column].min(), third[column].max()  # no value is in two rows
                rows.append([f"{name} {' to '.join(map(text.format, ends))}", *cells])
    columns = ["queries", *(f"{target} rank-1 (queries; identities)" for target in scores.targets)]
    return Table(columns, rows, "Rank-1 by visibility and length, in per cent")


def ablation_table(scores: Scores, variants: Sequence[VariantResult]) -> Table:
    """One row for each variant; a second protocol of a setting has columns of its own."""
    settings = [
        (f"{name.replace('_', '-')}{suffix}", name, part)
        for name in ("in_domain", "cross_domain")
        for suffix, part in parts(scores)
        if name in part.settings
    ]
    rows: list[list[str | Cell]] = []
    for made in variants:
        fit = Cell(f"no: fits {percent(made.lowest_train_rank1)} % of its training identities", mark="bad")
        steps = f"{made.pretrain_steps} + {made.steps}" if made.pretrain_steps else str(made.steps)
        words = [made.name, " + ".join(made.composition), "yes" if made.comparable else fit, steps]
        trained = map(percent, (made.train_rank1, made.validation_rank1))
        cells = [rate for _, name, part in settings for rate in rates(part, part.cells(name, made.name))]
        rows.append([*words, *trained, *cells])
    columns = ["variant", "made of", "comparable", "steps", "training rank-1", "validation rank-1"]
    columns += [f"{title} {metric.label}" for title, *_ in settings for metric in HEADLINE]
    return Table(columns, rows, "The ablation, in per cent", left=3)


def _searches(scores: Scores, cell: Tested) -> Searches | None:
    model, target = cell
    rows = scores.queries[(scores.queries["model"] == model) & (scores.queries["target"] == target)]
    return searches(target, [rows[rows["seed"] == seed] for seed in scores.seeds])


def _of_pair(domains: Content, key: str, *pair: str) -> float:
    for first, second in (pair, pair[::-1]):
        if second in domains[key].get(first, {}):
            return float(domains[key][first][second])
    raise InputError(f"metrics/domains.json: the {key} of {' and '.join(pair)} is missing")


def _third(rows: pd.DataFrame, target: str) -> str:
    tables = [table for _, table in rows.groupby("seed")]
    if not tables:
        return "- (0; 0)"
    reduced = sample(target, tables, "rank1")
    return f"{bracket(interval([reduced]))} ({len(tables[0])}; {len(reduced.identities)})"
