"""Stage ``tuning``: histories of a search -> the best trial of each variant, by validation identities."""

from sttreid.analysis.trials import search, search_of_each_seed, tuning_content
from sttreid.config import paths
from sttreid.config.params import Ablation
from sttreid.config.study import Study, trial_name
from sttreid.report import render
from sttreid.report.study_pages import tuning_page
from sttreid.runtime.files import write_json, write_text
from sttreid.stages.command import run
from sttreid.stages.inputs import history


def main(seeds: list[int], ablation: Ablation, study: Study) -> None:
    """No test split is read. To use a choice, enter it into a study's params.yaml."""
    histories = {
        (variant, trial): [history("ablation", seed, trial_name(variant, trial)) for seed in seeds]
        for variant in study.variants
        for trial in study.trials
    }
    table = search(histories, ablation.min_train_rank1)
    of_seeds = dict(zip(seeds, search_of_each_seed(histories, ablation.min_train_rank1), strict=True))
    page = tuning_page(table, of_seeds, ablation.source, ablation.min_train_rank1)
    write_json(paths.publication() / "tuning.json", tuning_content(table, of_seeds))
    write_text(paths.publication() / "tuning.md", render.markdown(page))


if __name__ == "__main__":
    run(main)
