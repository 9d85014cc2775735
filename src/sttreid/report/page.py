"""The report as one Markdown page."""

from collections.abc import Sequence

import pandas as pd

from sttreid.report.summary import Content, arms, matrix, shifts
from sttreid.report.tables import (
    ablation_table,
    against_baselines,
    counts_table,
    cross_domain_table,
    means_table,
    paper_table,
    percent,
    queries_sentence,
    seeds_sentence,
    shift_table,
)


def report(
    results: Sequence[Content],
    cells: Sequence[Content],
    targets: Sequence[str],
    synthetic: str,
    fitted: float,
    domains: Content,
) -> str:
    """What was run, how it was scored, the tables, and what may be concluded from them.

    Args:
        results: cross-domain results, as for :func:`sttreid.report.summary.matrix`.
        cells: ablation results, as for :func:`sttreid.report.summary.arms`.
        targets: data sets that are tested on.
        synthetic: data set of the pre-training.
        fitted: rank-1 on its training identities (0 to 1) that a variant must reach to be comparable.
        domains: how far apart the data sets are, as for :func:`sttreid.report.summary.shifts`.

    Raises:
        InputError: results are missing or do not belong together.
    """
    table = matrix(results, targets, synthetic)
    sections = (
        "# Results",
        _run(table, targets, synthetic),
        _protocol(results[0]["protocol"], table),
        _cross_domain(table, targets, synthetic),
        _shift(table, domains),
        _ablation(cells, fitted),
        _paper(),
    )
    return "\n\n".join(sections) + "\n"


def _run(table: pd.DataFrame, targets: Sequence[str], synthetic: str) -> str:
    seeds = [str(seed) for seed in table["seed"].unique()]
    named = f"seed {seeds[0]}" if len(seeds) == 1 else f"the seeds {', '.join(seeds)}"
    return (
        f"Pre-trained on {synthetic}, fine-tuned on each of {', '.join(targets)}, tested on all of them, with"
        f" {named}. All people and cameras are rendered: the figures compare settings of this repository with"
        " each other and say nothing about accuracy on footage of real people."
        f" {seeds_sentence(len(seeds))}"
    )


def _protocol(words: Content, table: pd.DataFrame) -> str:
    unmatched = {"drop": "are left out and counted", "zero": "score 0"}[words["unmatched"]]
    rules = (
        f"- queries: all tracklets of {words['queries']}; gallery: all tracklets of {words['gallery']}",
        f"- a query never meets the tracklets of the {words['excluded']}, itself included",
        f"- average precision: {words['average_precision']}; queries without a match {unmatched}",
        f"- ties: {words['ties']}, a wrong answer ranks before a right one at the same distance",
    )
    noise = queries_sentence(int(table["queries"].min()))
    parts = (f"## Protocol: {words['name']}", words["source"], "\n".join(rules), counts_table(table), noise)
    return "\n\n".join(parts)


def _cross_domain(table: pd.DataFrame, targets: Sequence[str], synthetic: str) -> str:
    lines = "\n".join(f"- {sentence}" for sentence in against_baselines(table))
    parts = (
        "## Cross-domain",
        "Per cent. In-domain cells, tested on unseen people of the training set, are bold.",
        cross_domain_table(table, targets),
        "Means over the cells of each setting:",
        means_table(table, synthetic),
        "Trained models against what needs no training, by these means:",
        lines,
    )
    return "\n\n".join(parts)


def _shift(table: pd.DataFrame, domains: Content) -> str:
    told = (
        "Told apart: how well a small classifier (logistic regression on the colours of six stripes, the"
        " contrast and the sharpness of a single crop) says which of the two data sets a crop comes from, in"
        " per cent of crops of cameras that it has not seen, ± the standard error over the cameras; 50 is a"
        " guess, and with less an unseen camera looks more like the other data set than like its own. Beside"
        " it what the step costs: rank-1 on the target of the target's own model, of this model, and the"
        " difference."
    )
    return "\n\n".join(("## How far apart the domains are", told, shift_table(shifts(table, domains))))


def _ablation(cells: Sequence[Content], fitted: float) -> str:
    table = arms(cells)
    source = cells[0]["source"]
    reused = sorted({str(cell["variant"]) for cell in cells if cell["reuses"]})
    told = (
        f"Per cent. Every variant is trained on {source} and tested on unseen people of all targets. One"
        f" is comparable only if its rank-1 on the training identities reaches {percent(fitted)} % with each"
        " seed: an arm that has not fitted them says nothing about over-fitting. Steps before a plus were"
        " trained on the synthetic set: an arm with them was also trained for longer, so what it gains over"
        " the others is not the gain of synthetic data alone."
        f" {seeds_sentence(table['seed'].nunique())}"
    )
    parts = ["## Ablation", told, ablation_table(table, fitted)]
    if reused:
        names = ", ".join(reused)
        parts.append(f"The fine-tuned model of {source}, trained once for both tables, stands for {names}.")
    return "\n\n".join(parts)


def _paper() -> str:
    told = (
        "The Spatiotemporal Transformer paper (arXiv 2103.16469) was tested on videos of real people, with a"
        " full ResNet-50. Its figures stand here for their direction, not to be compared with those above:"
        " data, network size and protocol all differ."
    )
    return "\n\n".join(("## What the paper reports, on other data", told, paper_table()))
