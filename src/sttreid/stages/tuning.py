"""Stage ``tuning``: a search's trials -> tuning.json and tuning.md, by accuracy on validation identities."""

import pandas as pd

from sttreid.config import paths
from sttreid.config.params import Ablation
from sttreid.config.variants import trial_name
from sttreid.report import summary, tuning
from sttreid.runtime.files import read_json, write_json, write_text
from sttreid.stages.command import run


def main(seeds: list[int], ablation: Ablation) -> None:
    """Choose a trial for each arm; putting it into a study's parameters is left to people."""
    cells = {
        (arm, trial): [_cell(trial_name(arm, trial), seed) for seed in seeds]
        for arm in ablation.variants
        for trial in ablation.trials
    }
    table = tuning.trials(cells, ablation.fitted)
    write_json(paths.metrics() / "tuning.json", tuning.content(table, len(seeds)))
    write_text(paths.metrics() / "tuning.md", tuning.page(table, ablation.source, seeds, ablation.fitted))


def _cell(name: str, seed: int) -> summary.Content:
    history = pd.read_csv(paths.cell_history(name, seed), sep="\t")
    return summary.complete(read_json(paths.cell_result(name, seed)), history, [])


if __name__ == "__main__":
    run(main)
