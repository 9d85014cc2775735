"""Stage ``report``: all results -> metrics/ablation.json, plot tables, figures, report.md and the page."""

import itertools

import pandas as pd

from sttreid.config import paths
from sttreid.config.params import Ablation, Picture, Simulate
from sttreid.report import plots, summary
from sttreid.report.evidence import evidence
from sttreid.report.figure import figure
from sttreid.report.films import Pictures
from sttreid.report.page import Findings, report
from sttreid.report.poster import poster
from sttreid.report.site import site
from sttreid.runtime.files import read_json, read_table, write_bytes, write_json, write_text
from sttreid.stages.command import run

TABLES = ("frames", "patches", "lists", "maps", "strips")


def main(
    simulate: Simulate, targets: list[str], seeds: list[int], ablation: Ablation, picture: Picture
) -> None:
    """Cells and seeds are named by params, never found by a search: leftovers of older runs are not read."""
    results = [read_json(paths.cross_result(seed)) for seed in seeds]
    queries = pd.concat([read_table(paths.cross_queries(seed)) for seed in seeds], ignore_index=True)
    histories = {
        f"{name}-{seed}": pd.read_csv(paths.history(name, seed), sep="\t")
        for name in (simulate.domain, *targets)
        for seed in seeds
    }
    cells, asked = [], []
    for variant, seed in itertools.product(ablation.variants, seeds):
        cell, own = read_json(paths.cell_result(variant, seed)), read_table(paths.cell_queries(variant, seed))
        name = f"ablation-{variant}-{seed}"
        if cell["reuses"]:
            name = f"{ablation.source}-{seed}"
            own = queries[(queries["source"] == ablation.source) & (queries["seed"] == seed)]
        else:
            own = own[own["moment"] == "trained"]
            histories.setdefault(name, pd.read_csv(paths.cell_history(variant, seed), sep="\t"))
        cells.append(summary.complete(cell, histories[name], results))
        asked.append(own.assign(variant=variant))
    cross, arms = summary.matrix(results, targets, simulate.domain), summary.arms(cells)
    found = Findings(
        protocol=results[0]["protocol"],
        targets=targets,
        synthetic=simulate.domain,
        cross=cross,
        cross_queries=queries,
        cross_known=evidence(queries, "source", cross),
        arms=arms,
        arms_known=evidence(pd.concat(asked, ignore_index=True), "variant", arms),
        source=ablation.source,
        reused=sorted({cell["variant"] for cell in cells if cell["reuses"]}),
        fitted=ablation.fitted,
        domains=read_json(paths.METRICS / "domains.json"),
    )
    tables = {name: read_table(paths.picture(name)) for name in TABLES}
    claims = (paths.METRICS / "claims.md").read_text(encoding="utf-8")
    _write(found, histories, Pictures(picture.left, picture.right, **tables), claims)


def _write(found: Findings, histories: dict[str, pd.DataFrame], pictures: Pictures, claims: str) -> None:
    """All files are computed before the first is written: a failure leaves the last good ones together."""
    content = summary.ablation(summary.names(found.protocol), found.arms, found.arms_known, found.fitted)
    picture, page = figure(found.cross, found.arms, found.targets, found.fitted), report(found)
    bars, whole = plots.ablation(found.arms), site(found, histories, pictures, claims)
    attention = poster(pictures)
    write_json(paths.METRICS / "ablation.json", content)
    write_text(paths.METRICS / "plots" / "ablation.tsv", plots.text(plots.wide(bars)))
    folder = paths.METRICS / "plots" / "training"
    for name, history in histories.items():
        write_text(folder / f"{name}.tsv", plots.text(plots.history_curve(history)))
    for path in folder.iterdir():  # DVC leaves this folder alone, so curves of former cells would stay
        if path.stem not in histories:
            path.unlink()
    write_text(paths.METRICS / "results.svg", picture)
    write_text(paths.METRICS / "report.md", page)
    write_bytes(paths.METRICS / "attention.jpg", attention)
    write_text(paths.METRICS / "report" / "index.html", whole)


if __name__ == "__main__":
    run(main)
