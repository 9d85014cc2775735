"""Stage ``curves``: results of variants with more or fewer identities -> learning curves, page."""

from dataclasses import replace

import numpy as np
import torch

from sttreid.analysis.results import tsv
from sttreid.analysis.study_runs import Run
from sttreid.analysis.study_runs import study as group
from sttreid.analysis.trials import Curve, curve_effects, curves_content, levels
from sttreid.config import paths
from sttreid.config.claims import Claims
from sttreid.config.params import PARAMS, Ablation, Compute, Simulate
from sttreid.config.study import Counted, Study, counted_schedule, trial_name
from sttreid.embedding import embed_tracklets
from sttreid.model.weights import restore
from sttreid.report import render
from sttreid.report.study_pages import curves_page
from sttreid.runtime import numerics
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import write_json, write_text
from sttreid.stages.command import run
from sttreid.stages.inputs import ablation_runs
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
    study: Study,
) -> None:
    """Trials set the number of identities; null means all of the training split."""
    schedule = counted_schedule(study, ablation.variants)
    store = open_store(paths.tracklets(simulate.domain if schedule == "pretrain" else ablation.source))
    available = int(store.of_split("train")["identity"].nunique())
    identities = identities_of(study, schedule, available)
    trials = sorted(identities, key=lambda trial: identities[trial])
    curves = [
        Curve(variant, [trial_name(variant, trial) for trial in trials], sorted(identities.values()))
        for variant in study.variants
    ]
    runs, protocols = ablation_runs(ablation, simulate.domain, targets, seeds)
    if schedule == "finetune":  # the training rank-1 of a history is measured among all identities of its run
        numerics.prepare(compute.threads, compute.numerics)
        fewest = min(identities.values())
        runs = [_with_common_test(each, store, fewest, compute) for each in runs]
    trained_on = ablation.source if ablation.in_domain else ""
    rules = ablation.home_target, targets, ablation.min_train_rank1, protocols
    results = group(runs, *rules, trained_on)
    effects = curve_effects(results, curves, claims.contrasts)
    page = curves_page(results, curves, effects, claims.contrasts, schedule)
    folder = paths.publication()
    write_json(folder / "curves.json", curves_content(results, effects, curves))
    write_text(folder / "curves.md", render.markdown(page))
    write_text(folder / "report" / "curves.html", render.html(page))
    write_text(folder / "plots" / "curves.tsv", tsv(levels(effects, curves)))


def identities_of(study: Study, schedule: Counted, available: int) -> dict[str, int]:
    """Trial -> its number of training identities.

    Args:
        study: a learning curve; null stands for all identities.
        schedule: whose identities its trials set.
        available: identities of the training split.

    Raises:
        InputError: two trials have the same number, because one of them names that of the whole split.
    """
    names: dict[int, str] = {}
    for name, trial in study.trials.items():
        number = trial[schedule]["identities"] or available
        if number in names:
            rule = f"identities must differ from those of {names[number]}"
            raise InputError(f"{PARAMS}: study.trials.{name}: {rule}, got {number} of {available}")
        names[number] = name
    return {name: number for number, name in names.items()}


def _with_common_test(each: Run, store: Store, fewest: int, compute: Compute) -> Run:
    """Training rank-1 among the identities that all points of a seed learned from."""
    if each.history is None:
        return each
    tracklets = training_subset(store, fewest, each.seed).of_split("train")
    network = restore(paths.model("ablation", each.seed, each.variant))
    features = embed_tracklets(network, store, tracklets, compute.embed_batch)
    identities, cameras = torch.tensor(tracklets[["identity", "camera"]].to_numpy(np.int64)).unbind(1)
    return replace(each, train_rank1=rank1(features, identities, cameras))


if __name__ == "__main__":
    run(main)
