"""Stage ``configs``: params -> one resolved configuration file for each ablation cell.

A cell depends on its own file, so it re-runs only when its effective configuration changes.
"""

from sttreid import paths
from sttreid.cells import Settings, resolve, variants
from sttreid.conversion import dump
from sttreid.datasets import Dataset
from sttreid.files import write_json
from sttreid.params import (
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
