"""Stage ``report``: all results -> metrics/ablation.json, plot tables, the figure and metrics/report.md."""

import pandas as pd

from sttreid import paths
from sttreid.files import read_json, write_json, write_text
from sttreid.params import Ablation, Simulate, run
from sttreid.report import page, plots, summary
from sttreid.report.collect import complete
from sttreid.report.figure import figure


def main(simulate: Simulate, targets: list[str], seeds: list[int], ablation: Ablation) -> None:
    """Cells and seeds are named by params, never found by a search: leftovers of older runs are not read."""
    results = {seed: read_json(paths.cross_result(seed)) for seed in seeds}
    histories = {
        **{f"{s}-{seed}": paths.history(s, seed) for s in (simulate.domain, *targets) for seed in seeds},
        **{f"ablation-{v}-{seed}": paths.cell_history(v, seed) for v in ablation.variants for seed in seeds},
    }
    curves = {name: pd.read_csv(path, sep="\t") for name, path in histories.items() if path.stat().st_size}
    cells = [
        complete(read_json(paths.cell_result(v, seed)), results[seed], curves[f"{ablation.source}-{seed}"])
        for v in ablation.variants
        for seed in seeds
    ]
    rows = list(results.values())
    text = page.report(rows, cells, targets, simulate.domain, ablation.fitted)
    content = summary.ablation(cells, rows[0]["protocol"]["name"], ablation.fitted)
    cross = plots.cross_domain_plot(summary.matrix(rows, targets, simulate.domain))
    bars = plots.ablation_plot(summary.arms(cells))
    doubtful = [v for v in ablation.variants if not content[v]["comparable"]]
    write_json(paths.METRICS / "ablation.json", content)
    write_text(paths.METRICS / "plots" / "ablation.tsv", plots.tsv(bars))
    for name, history in curves.items():
        curve = plots.tsv(plots.history_curve(history))
        write_text(paths.METRICS / "plots" / "training" / f"{name}.tsv", curve)
    write_text(paths.METRICS / "results.svg", figure(cross, bars, doubtful))
    write_text(paths.METRICS / "report.md", text)


if __name__ == "__main__":
    run(main)
