"""Stage ``claims``: results of all variants and seeds -> verdicts on the claims, page, plot tables."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from sttreid.analysis import claims as analysis
from sttreid.analysis.results import tsv
from sttreid.analysis.study_runs import Run, study
from sttreid.config import fingerprint, paths
from sttreid.config.claims import Claims
from sttreid.config.domain import DOMAINS
from sttreid.config.fingerprint import FINGERPRINT
from sttreid.config.params import Params
from sttreid.report import render
from sttreid.report.study_pages import claims_page
from sttreid.runtime.files import read_table, write_json, write_text
from sttreid.stages.command import run
from sttreid.stages.inputs import ablation_runs


def main(params: Params, claims: Claims) -> None:
    """In the default run the reference variant comes from the cross-domain results."""
    simulate, targets, seeds, ablation = params.simulate, params.targets, params.seeds, params.ablation
    beside = params.study.beside if params.study is not None else None
    runs, protocols = ablation_runs(ablation, simulate.domain, targets, seeds, beside)
    views = {target: read_table(paths.views(target)).set_index("tracklet")["turn"] for target in targets}
    runs = [_with_viewpoints(each, views) for each in runs]
    trained_on = ablation.source if ablation.in_domain else ""
    rules = ablation.home_target, targets, ablation.min_train_rank1, protocols
    results = study(runs, *rules, trained_on)
    findings = analysis.findings(results, claims)
    made_by = fingerprint.of_ablation(params, paths.home() / DOMAINS)
    page = claims_page(results, findings, claims, made_by)
    folder, plots = paths.publication(), paths.publication() / "plots"
    content = analysis.content(results, findings, claims)
    write_json(folder / "claims.json", {FINGERPRINT: made_by, **content})
    write_text(folder / "claims.md", render.markdown(page))
    write_text(folder / "report" / "claims.html", render.html(page))
    tables = {
        "claims": analysis.table(findings),
        "convergence": analysis.convergence(results, claims),
    }
    for name, table in tables.items():
        write_text(plots / f"{name}.tsv", tsv(table.assign(**{FINGERPRINT: made_by})))


def _with_viewpoints(each: Run, views: Mapping[str, "pd.Series[float]"]) -> Run:
    """Add the viewpoint change to the nearest match to the queries, where the data set has orientations."""
    queries = {
        target: table.assign(viewpoint_change=table["query"].map(views[target]))
        for target, table in each.queries.items()
    }
    return replace(each, queries=queries)


if __name__ == "__main__":
    run(main)
