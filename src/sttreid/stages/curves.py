"""Stage ``curves``: results of variants with more or fewer identities -> learning curves, page."""

from dataclasses import replace

from sttreid.analysis.result_files import read_accuracies
from sttreid.analysis.results import tsv
from sttreid.analysis.study_runs import study as group
from sttreid.analysis.trials import Curve, curve_effects, curves_content, levels
from sttreid.config import paths
from sttreid.config.claims import Claims
from sttreid.config.params import Ablation, Simulate
from sttreid.config.study import Study, counted_schedule, identities_of, trial_name
from sttreid.report import render
from sttreid.report.study_pages import curves_page
from sttreid.runtime.files import write_json, write_text
from sttreid.stages.command import run
from sttreid.stages.inputs import ablation_runs
from sttreid.tracklets.store import open_store


def main(
    simulate: Simulate,
    targets: list[str],
    seeds: list[int],
    ablation: Ablation,
    claims: Claims,
    study: Study,
) -> None:
    """Trials set the number of identities; null means all of the training split."""
    schedule = counted_schedule(study, ablation.variants)
    store = open_store(paths.tracklets(simulate.domain if schedule == "pretrain" else ablation.source))
    identities = identities_of(study, schedule, int(store.of_split("train")["identity"].nunique()))
    trials = sorted(identities, key=lambda trial: identities[trial])
    curves = [
        Curve(variant, [trial_name(variant, trial) for trial in trials], sorted(identities.values()))
        for variant in study.variants
    ]
    runs, protocols = ablation_runs(ablation, simulate.domain, targets, seeds)
    if schedule == "finetune":  # the training rank-1 of a history is measured among all identities of its run
        shared = {
            seed: read_accuracies(paths.training_accuracies(seed), [*ablation.variants]) for seed in seeds
        }
        runs = [
            each if each.history is None else replace(each, train_rank1=shared[each.seed][each.variant])
            for each in runs
        ]
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


if __name__ == "__main__":
    run(main)
