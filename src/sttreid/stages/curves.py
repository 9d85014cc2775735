"""Stage ``curves``: arms that learnt more or fewer identities -> curves.json, curves.md, page, plot table."""

import itertools

import pandas as pd

from sttreid import paths
from sttreid.cells import trial_name
from sttreid.contrasts import Claims
from sttreid.data.store import open_store
from sttreid.files import read_json, read_table, write_json, write_text
from sttreid.params import Ablation, Simulate, run
from sttreid.report import arms, plots, summary
from sttreid.report.curves import Curve, content, counted, levels
from sttreid.report.curves_page import Told, page, site


def main(
    simulate: Simulate, targets: list[str], seeds: list[int], ablation: Ablation, claims: Claims
) -> None:
    """Trials say how many identities; 0 of them are all that the training split holds."""
    side, numbers = counted(ablation.trials)
    learnt = simulate.domain if side == "pretrain" else ablation.source
    known = int(open_store(paths.tracklets(learnt)).of_split("train")["identity"].nunique())
    order = sorted(numbers, key=lambda trial: numbers[trial] or known)
    identities = [numbers[trial] or known for trial in order]
    named = {variant: [trial_name(variant, trial) for trial in order] for variant in ablation.variants}
    cells, runs = [], []
    for name, seed in itertools.product(itertools.chain(*named.values()), seeds):
        history = pd.read_csv(paths.cell_history(name, seed), sep="\t")
        cells.append(summary.complete(read_json(paths.cell_result(name, seed)), history, []))
        runs += arms.runs_of(cells[-1], read_table(paths.cell_queries(name, seed)), history)
    summary.arms(cells)  # refuses results of several protocols or of other data
    study = arms.study(runs, ablation.source, targets, ablation.fitted)
    curves = [Curve(variant, own, identities) for variant, own in named.items()]
    told = Told(study, curves, claims.contrasts, side, summary.names(cells[0]["protocol"]))
    text, whole, folder = page(told), site(told), paths.metrics()
    write_json(folder / "curves.json", content(study, curves))
    write_text(folder / "curves.md", text)
    write_text(folder / "report" / "curves.html", whole)
    write_text(folder / "plots" / "curves.tsv", plots.text(levels(study, curves)))


if __name__ == "__main__":
    run(main)
