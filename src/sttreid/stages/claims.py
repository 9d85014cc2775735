"""Stage ``claims``: all arms and seeds -> claims.json, claims.md, a page and plot tables: the four questions.

In a study it reads the study's own arms; in the default run, whose full arm is the fine-tuned model, also the
cross-domain results. Of rendered sets it also reads from which side people are seen.
"""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from sttreid.config import paths
from sttreid.config.claims import Claims
from sttreid.config.params import Ablation, Simulate
from sttreid.report import arms, plots, summary
from sttreid.report import claims as answers
from sttreid.report.arms import Run
from sttreid.report.claims_page import page
from sttreid.report.claims_site import site
from sttreid.runtime.files import read_json, read_table, write_json, write_text
from sttreid.stages.command import run


def main(
    simulate: Simulate,
    targets: list[str],
    seeds: list[int],
    ablation: Ablation,
    claims: Claims,
) -> None:
    """Arms and seeds are named by params, never found by a search: with fewer seeds, those are asked."""
    cells, runs = [], []
    turned = {target: read_table(paths.views(target)).set_index("tracklet")["turn"] for target in targets}
    for variant, seed in itertools.product(ablation.variants, seeds):
        cell, own = _cell(variant, seed, ablation.source, simulate.domain)
        cells.append(cell)
        runs += [replace(one, queries=_with_turns(one.queries, turned)) for one in own]
    summary.arms(cells)  # refuses results of several protocols or of other data
    study = arms.study(runs, ablation.source, targets, ablation.fitted)
    found = answers.findings(study, claims)
    protocol = summary.names(cells[0]["protocol"])
    content = answers.content(protocol, study, found, claims)
    text = page(study, found, claims, protocol)
    whole = site(text, study, found, claims, protocol)
    folder = paths.metrics()
    write_json(folder / "claims.json", content)
    write_text(folder / "claims.md", text)
    write_text(folder / "report" / "claims.html", whole)
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
    return cell, arms.runs_of(cell, queries, history)


def _with_turns(queries: pd.DataFrame, turned: Mapping[str, "pd.Series[float]"]) -> pd.DataFrame:
    parts = [rows["query"].map(turned[str(target)]) for target, rows in queries.groupby("target", sort=False)]
    return queries.assign(turn=pd.concat(parts))


if __name__ == "__main__":
    run(main)
