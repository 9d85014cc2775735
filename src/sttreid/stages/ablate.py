"""Stage ``ablate``: the configuration of one ablation variant -> weights."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sttreid.config import paths
from sttreid.config.conversion import parse
from sttreid.config.params import Model, Schedule
from sttreid.config.variants import Variant
from sttreid.model.network import Network
from sttreid.model.weights import save, transfer
from sttreid.runtime import numerics
from sttreid.runtime.checkpoints import CheckpointFolder
from sttreid.runtime.distributed import ProcessGroup, process_group
from sttreid.runtime.files import read_json, write_text
from sttreid.runtime.launch import launch_torchrun
from sttreid.runtime.progress import history_text
from sttreid.stages.command import record_machine, run
from sttreid.stages.training_run import checkpoints, network_for, train, training_store
from sttreid.training.loop import Recipe


def main(variant: str, seed: int) -> None:
    """Pre-train if the variant does, then train on the source; nothing is tested."""
    path = paths.variant_config(variant, seed)
    config = parse(Variant, read_json(path), str(path))
    launch_torchrun(config.batch.identities)
    device = numerics.prepare(config.compute.threads, config.compute.numerics)
    with process_group(device) as group, checkpoints("ablate", variant, seed) as folder:
        training = _Training(config, folder, group)
        trained = training.network(config.source, config.train)
        if config.pretrain:
            pretrained = training.network(config.synthetic, config.pretrain)
            pretraining = training.run(pretrained.to(device), config.synthetic, config.pretrain)
            transfer(pretrained, trained)
        history = training.run(trained.to(device), config.source, config.train)
        if group.first:
            if config.pretrain:
                files = paths.pretrained(variant, seed), paths.pretraining_history(variant, seed)
                _write(pretrained, config.model, pretraining, *files)
            files = paths.model("ablation", seed, variant), paths.history("ablation", seed, variant)
            _write(trained, config.model, history, *files)
            record_machine("ablate", variant, seed)


@dataclass(frozen=True)
class _Training:
    """The training runs of one variant."""

    config: Variant
    folder: CheckpointFolder
    group: ProcessGroup

    def network(self, dataset: str, schedule: Schedule) -> Network:
        store = training_store(dataset, schedule.identities, self.config.seed)
        return network_for(store, self.config.model, self.config.clip.frames, self.config.seed)

    def run(self, network: Network, dataset: str, schedule: Schedule) -> pd.DataFrame:
        config = self.config
        store = training_store(dataset, schedule.identities, config.seed)
        recipe = Recipe(config.augment, config.batch, config.loss, schedule, config.compute)
        name = f"ablate {config.variant} {config.seed}"
        return train(name, network, store, recipe, config.seed, self.folder, self.group)


def _write(network: Network, model: Model, history: pd.DataFrame, weights: Path, table: Path) -> None:
    save(network, model, weights)
    write_text(table, history_text(history))


if __name__ == "__main__":
    run(main)
