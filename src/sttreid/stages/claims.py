"""Stage ``claims``: all arms and seeds -> claims.json, claims.md and plot tables: the paper's four questions.

In a study it reads the study's own arms; in the default run, whose full arm is the fine-tuned model, also the
cross-domain results.
"""

import itertools
from typing import Any

import pandas as pd

from sttreid import paths
from sttreid.contrasts import Claims
from sttreid.files import read_json, read_table, write_json, write_text
from sttreid.params import Ablation, Simulate, run
from sttreid.report import arms, plots, summary
from sttreid.report import claims as answers
from sttreid.report.arms import Run
from sttreid.report.claims_page import page

BEFORE = ("pretrained", "untrained")  # moments at which a pre-trained arm was tested as well


def main(
    simulate: Simulate, targets: list[str], seeds: list[int], ablation: Ablation, claims: Claims
) -> None:
    """Arms and seeds are named by params, never found by a search: with fewer seeds, those are asked."""
    cells, runs = [], []
    for variant, seed in itertools.product(ablation.variants, seeds):
        cell, own = _cell(variant, seed, ablation.source, simulate.domain)
        cells.append(cell)
        runs += own
    summary.arms(cells)  # refuses results of several protocols or of other data
    study = arms.study(runs, ablation.source, targets, ablation.fitted)
    found = answers.findings(study, claims)
    protocol = summary.names(cells[0]["protocol"])
    content = answers.content(protocol, study, found, claims)
    text = page(study, found, claims, protocol)
    folder = paths.metrics()
    write_json(folder / "claims.json", content)
    write_text(folder / "claims.md", text)
    write_text(folder / "plots" / "claims.tsv", plots.text(answers.table(found)))
    write_text(folder / "plots" / "convergence.tsv", plots.text(answers.curves(study, claims)))


def _cell(variant: str, seed: int, source: str, synthetic: str) -> tuple[dict[str, Any], list[Run]]:
    """One arm with one seed, and its network before its training on the source, where that was tested."""
    cell = read_json(paths.cell_result(variant, seed))
    if cell["reuses"]:
        results = [read_json(paths.cross_result(seed))]
        queries = read_table(paths.cross_queries(seed))
        names = {source: "trained", synthetic: "pretrained", "untrained": "untrained"}
        queries = queries[queries["source"].isin(names)]
        queries = queries.assign(moment=queries["source"].map(names))
        history = pd.read_csv(paths.history(source, seed), sep="\t")
    else:
        results, queries = [], read_table(paths.cell_queries(variant, seed))
        history = pd.read_csv(paths.cell_history(variant, seed), sep="\t")
    cell = summary.complete(cell, history, results)
    asked = dict(iter(queries.groupby("moment")))
    steps, fit = (cell["pretrain_steps"], cell["steps"]), cell["train_rank1"]
    trained = Run(variant, seed, *steps, fit, asked["trained"], history)
    before = {"pretrained": steps[0], "untrained": 0}
    return cell, [
        trained,
        *(Run(f"{variant}-{m}", seed, before[m], 0, None, asked[m], None) for m in BEFORE if m in asked),
    ]


if __name__ == "__main__":
    run(main)
