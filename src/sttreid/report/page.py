"""The report as one Markdown page."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from sttreid.analysis.uncertainty import ENOUGH_PEOPLE, ENOUGH_SEEDS
from sttreid.report.breakdown import breakdown_table
from sttreid.report.evidence import Evidence
from sttreid.report.summary import Content, shifts
from sttreid.report.tables import (
    ablation_table,
    against_baselines,
    counts_table,
    cross_domain_table,
    means_table,
    paper_table,
    percent,
    seeds_sentence,
    shift_table,
)


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything that a report tells.

    Attributes:
        protocol: what the results of each target follow, as in the results files.
        targets: data sets that are tested on.
        synthetic: data set of the pre-training.
        cross: table of :func:`sttreid.report.summary.matrix`.
        cross_queries: the per-query results behind it, and ...
        cross_known: ... the same as evidence.
        arms: table of :func:`sttreid.report.summary.arms`.
        arms_known: the evidence behind it.
        source: what the ablation is trained on.
        reused: variants for which the fine-tuned model stands.
        fitted: rank-1 on its training identities (0 to 1) that a variant must reach to be comparable.
        domains: how far apart the data sets are, as for :func:`sttreid.report.summary.shifts`.
    """

    protocol: Content
    targets: Sequence[str]
    synthetic: str
    cross: pd.DataFrame
    cross_queries: pd.DataFrame
    cross_known: Evidence
    arms: pd.DataFrame
    arms_known: Evidence
    source: str
    reused: Sequence[str]
    fitted: float
    domains: Content


def report(found: Findings) -> str:
    """What was run, how it was scored, the tables, and what may be concluded from them."""
    sections = (
        "# Results",
        _run(found),
        _protocol(found),
        _cross_domain(found),
        _breakdown(found),
        _shift(found),
        _ablation(found),
        _paper(),
    )
    return "\n\n".join(sections) + "\n"


def _run(found: Findings) -> str:
    seeds = [str(seed) for seed in found.cross["seed"].unique()]
    named = f"seed {seeds[0]}" if len(seeds) == 1 else f"the seeds {', '.join(seeds)}"
    ours = all(rules["name"].startswith("embedded") for rules in found.protocol.values())
    rendered = (  # true of the sets that this protocol is for
        " All people and cameras are rendered: the figures compare settings of this repository with each"
        " other and say nothing about accuracy on footage of real people."
    )
    return (
        f"Pre-trained on {found.synthetic}, fine-tuned on each of {', '.join(found.targets)}, tested on all"
        f" of them, with {named}.{rendered if ours else ''}"
        f" {seeds_sentence(len(seeds), found.cross_known.people)}"
    )


def _protocol(found: Findings) -> str:
    """One section a protocol, and the counts of all targets."""
    named: dict[str, list[str]] = {}
    for target in found.targets:
        named.setdefault(found.protocol[target]["name"], []).append(target)
    sections = [
        _rules(found.protocol[own[0]], f" of {', '.join(own)}" if len(named) > 1 else "")
        for own in named.values()
    ]
    if len(named) > 1:
        sections.append("Means over several targets mix these protocols.")
    return "\n\n".join((*sections, counts_table(found.cross)))


def _rules(words: Content, whose: str) -> str:
    unmatched = {"drop": "are left out and counted", "zero": "score 0"}[words["unmatched"]]
    rules = (
        f"- gallery: {words['gallery']}; junk never answers",
        f"- a query never meets the tracklets of the {words['excluded']}, itself included",
        f"- average precision: {words['average_precision']}; queries without a match {unmatched}; all"
        " measures are means over the same queries",
        f"- ties: {words['ties']}, a wrong answer ranks before a right one at the same distance",
    )
    return "\n\n".join((f"## Protocol{whose}: {words['name']}", words["source"], "\n".join(rules)))


def _cross_domain(found: Findings) -> str:
    table, known = found.cross, found.cross_known
    parts = (
        "## Cross-domain",
        "Per cent. In-domain cells, tested on unseen people of the training set, are bold.",
        cross_domain_table(table, known, found.targets),
        "Means over the cells of each setting:",
        means_table(table, known, found.synthetic),
        "Trained models against what needs no training: gain in mAP on the same queries, by these means"
        " (each interval by itself; that all of them hold together is less certain).",
        "\n".join(f"- {sentence}" for sentence in against_baselines(table, known)),
    )
    return "\n\n".join(parts)


def _breakdown(found: Findings) -> str:
    told = (
        "Rank-1 of each target's own model, in per cent, for queries of which more or less is seen (the mean"
        " visibility of their boxes) and for shorter and longer tracklets, a third of all queries each as far"
        f" as equal values allow; in parentheses their number and that of their people: with fewer than"
        f" {ENOUGH_PEOPLE} people, or {ENOUGH_SEEDS} seeds, an interval is too narrow."
    )
    table = breakdown_table(found.cross_queries, found.targets)
    return "\n\n".join(("## What makes a query hard", told, table))


def _shift(found: Findings) -> str:
    told = (
        "Told apart: how well a small classifier (logistic regression on the colours of six stripes, the"
        " contrast and the sharpness of a single crop) says which of the two data sets a crop comes from, in"
        " per cent of crops of cameras that it has not seen, ± the standard error over the cameras; 50 is a"
        " guess, and with less an unseen camera looks more like the other data set than like its own. Beside"
        " it what the step costs: rank-1 on the target of the target's own model, of this model, and the"
        " difference on the same queries, which is not told apart from none where its interval holds 0."
    )
    table = shift_table(shifts(found.cross, found.domains), found.cross_known)
    return "\n\n".join(("## How far apart the domains are", told, table))


def _ablation(found: Findings) -> str:
    told = (
        f"Per cent. Every variant is trained on {found.source} and tested on unseen people of all targets."
        f" One is comparable only if its rank-1 on the training identities reaches {percent(found.fitted)} %"
        " with each seed: an arm that has not fitted them says nothing about over-fitting. Steps before a"
        " plus were trained on the synthetic set: an arm with them was also trained for longer, so what it"
        " gains over the others is not the gain of synthetic data alone."
        f" {seeds_sentence(found.arms['seed'].nunique(), found.arms_known.people)}"
    )
    parts = ["## Ablation", told, ablation_table(found.arms, found.arms_known, found.fitted)]
    if found.reused:
        names = ", ".join(found.reused)
        parts.append(
            f"The fine-tuned model of {found.source}, trained once for both tables, stands for {names}."
        )
    return "\n\n".join(parts)


def _paper() -> str:
    told = (
        "The Spatiotemporal Transformer paper (arXiv 2103.16469) was tested on videos of real people, with a"
        " full ResNet-50. Its figures stand here for their direction, not to be compared with those above:"
        " data, network size and protocol all differ."
    )
    return "\n\n".join(("## What the paper reports, on other data", told, paper_table()))
