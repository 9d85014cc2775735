"""Stage ``report``: all results -> metrics/ablation.json, plot tables, the figure and metrics/report.md."""

import pandas as pd

from sttreid import paths
from sttreid.files import read_json, write_json, write_text
from sttreid.params import Ablation, Simulate, run
from sttreid.report import plots, summary
from sttreid.report.figure import figure
from sttreid.report.page import report


def main(simulate: Simulate, targets: list[str], seeds: list[int], ablation: Ablation) -> None:
    """Cells and seeds are named by params, never found by a search: leftovers of older runs are not read."""
    results = [read_json(paths.cross_result(seed)) for seed in seeds]
    histories = {
        f"{name}-{seed}": pd.read_csv(paths.history(name, seed), sep="\t")
        for name in (simulate.domain, *targets)
        for seed in seeds
    }
    cells = []
    for variant in ablation.variants:
        for seed in seeds:
            cell = read_json(paths.cell_result(variant, seed))
            name = f"{ablation.source}-{seed}" if cell["reuses"] else f"ablation-{variant}-{seed}"
            if name not in histories:
                histories[name] = pd.read_csv(paths.cell_history(variant, seed), sep="\t")
            cells.append(summary.complete(cell, histories[name], results))
    domains = read_json(paths.METRICS / "domains.json")
    everything = (results, cells, targets, simulate.domain, ablation.fitted)
    page, picture = report(*everything, domains), figure(*everything)
    content = summary.ablation(cells, ablation.fitted)
    bars = plots.ablation(cells)
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


if __name__ == "__main__":
    run(main)
