"""Stage ``curves``: arms that learnt more or fewer identities -> curves.json, curves.md, page, plot table."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from sttreid.config import paths
from sttreid.config.claims import Claims
from sttreid.config.params import Ablation, Compute, Simulate
from sttreid.config.variants import trial_name
from sttreid.embedding import embed_tracklets
from sttreid.model.weights import restore
from sttreid.report import arms, plots, summary
from sttreid.report.curves import FINETUNE, PRETRAIN, Curve, content, counted, levels
from sttreid.report.curves_page import Told, page, site
from sttreid.runtime import numerics
from sttreid.runtime.files import read_json, read_table, write_json, write_text
from sttreid.stages.command import run
from sttreid.tracklets.store import Store, open_store
from sttreid.tracklets.subset import training_subset
from sttreid.training.validation import rank1


def main(
    simulate: Simulate,
    targets: list[str],
    seeds: list[int],
    compute: Compute,
    ablation: Ablation,
    claims: Claims,
) -> None:
    """Trials say how many identities; 0 of them are all that the training split holds."""
    side = counted(ablation)
    store = open_store(paths.tracklets(simulate.domain if side == PRETRAIN else ablation.source))
    known = int(store.of_split("train")["identity"].nunique())
    numbers = {name: int(trial[side]["identities"]) or known for name, trial in ablation.trials.items()}
    order = sorted(numbers, key=lambda trial: numbers[trial])
    named = {variant: [trial_name(variant, trial) for trial in order] for variant in ablation.variants}
    curves = [Curve(variant, own, [numbers[trial] for trial in order]) for variant, own in named.items()]
    cells, runs = [], []
    numerics.prepare(compute.threads)
    for name, seed in itertools.product(itertools.chain(*named.values()), seeds):
        history = pd.read_csv(paths.cell_history(name, seed), sep="\t")
        cells.append(summary.complete(read_json(paths.cell_result(name, seed)), history, []))
        own = arms.runs_of(cells[-1], read_table(paths.cell_queries(name, seed)), history)
        if side == FINETUNE:  # the rank-1 of the history is among other numbers of identities at each point
            own[0] = replace(own[0], train_rank1=_fit(name, seed, store, min(numbers.values()), compute))
        runs += own
    summary.arms(cells)  # refuses results of several protocols or of other data
    study = arms.study(runs, ablation.source, targets, ablation.fitted)
    told = Told(study, curves, claims.contrasts, side, summary.names(cells[0]["protocol"]))
    text, whole, folder = page(told), site(told), paths.metrics()
    write_json(folder / "curves.json", content(study, curves))
    write_text(folder / "curves.md", text)
    write_text(folder / "report" / "curves.html", whole)
    write_text(folder / "plots" / "curves.tsv", plots.text(levels(study, curves)))


def _fit(name: str, seed: int, store: Store, fewest: int, compute: Compute) -> float:
    """Rank-1 among the identities that every point of a seed has learnt: one test for all of them."""
    own = training_subset(store, fewest, seed).of_split("train")
    features = embed_tracklets(restore(paths.cell_model(name, seed)), store, own, compute.embed_batch)
    identities, cameras = torch.tensor(own[["identity", "camera"]].to_numpy(np.int64)).unbind(1)
    return rank1(features, identities, cameras)


if __name__ == "__main__":
    run(main)
