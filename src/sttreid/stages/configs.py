"""Stage ``configs``: params -> one resolved configuration file for each ablation cell.

A cell depends on its own file, so it re-runs only when its effective configuration changes.
"""

from sttreid.config import paths
from sttreid.config.conversion import dump
from sttreid.config.datasets import Dataset
from sttreid.config.params import (
    Ablation,
    Augment,
    Batch,
    Clip,
    Compute,
    Evaluate,
    Finetune,
    Loss,
    Model,
    Pretrain,
    Simulate,
    run,
)
from sttreid.config.variants import Settings, resolve, variants
from sttreid.runtime.files import write_json


def main(
    simulate: Simulate,
    targets: list[str],
    seeds: list[int],
    clip: Clip,
    augment: Augment,
    batch: Batch,
    model: Model,
    loss: Loss,
    pretrain: Pretrain,
    finetune: Finetune,
    evaluate: Evaluate,
    compute: Compute,
    ablation: Ablation,
    datasets: dict[str, Dataset],
) -> None:
    """Resolve all cells before writing the first one: one bad override leaves the last good files."""
    settings = Settings(clip, augment, batch, model, loss, pretrain, finetune, evaluate, compute)
    tested = {target: datasets[target] for target in targets}
    cells = [
        resolve(settings, ablation, variant, seed, simulate.domain, tested)
        for variant in variants(ablation)
        for seed in seeds
    ]
    for cell in cells:
        write_json(paths.cell_config(cell.variant, cell.seed), dump(cell))


if __name__ == "__main__":
    run(main)
