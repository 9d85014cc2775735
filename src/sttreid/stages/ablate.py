"""Stage ``ablate``: one ablation cell: train its configuration on the source, test it on every target."""

from collections.abc import Callable, Mapping
from dataclasses import asdict

import pandas as pd
import torch

from sttreid.config import paths
from sttreid.config.conversion import parse
from sttreid.config.params import Schedule, run
from sttreid.config.variants import Cell, composition
from sttreid.model.network import Network
from sttreid.model.weights import initialise, save, transfer
from sttreid.retrieval.accuracy import queries, rules, score_network
from sttreid.retrieval.metrics import Result
from sttreid.runtime import numerics
from sttreid.runtime.checkpoints import CheckpointFolder, checkpoint_folder
from sttreid.runtime.distributed import ProcessGroup, process_group
from sttreid.runtime.files import read_json, write_bytes, write_json, write_table, write_text
from sttreid.runtime.launch import launch_torchrun
from sttreid.runtime.progress import history_text
from sttreid.runtime.supervisor import supervise
from sttreid.tracklets.store import Store, open_store
from sttreid.tracklets.subset import training_subset
from sttreid.training.loop import Recipe, fit

Note = Callable[[str, Network], None]
TRAINED = "trained"  # the last moment at which a network is tested
LOOKS = ("train_rank1", "validation_rank1")


def main(variant: str, seed: int) -> None:
    """Run one cell; for the default configuration, only say that the fine-tuned model stands for it."""
    path = paths.cell_config(variant, seed)
    cell = parse(Cell, read_json(path), str(path))
    result = {
        "variant": variant,
        "seed": seed,
        "source": cell.source,
        "reuses": cell.reuses,
        "composition": composition(cell),
        "pretrain_steps": 0 if cell.pretrain is None else cell.pretrain.steps,
        "protocol": {target: asdict(rules(settings)) for target, settings in cell.evaluate.items()},
    }
    text, table = "", pd.DataFrame()
    stores = {} if cell.reuses else {target: open_store(paths.tracklets(target)) for target in cell.targets}
    moments: dict[str, dict[str, Result]] = {}

    def note(moment: str, network: Network) -> None:
        moments[moment] = {
            target: score_network(network, store, cell.compute, cell.evaluate[target])
            for target, store in stores.items()
        }

    with checkpoint_folder(paths.scratch(f"ablate-{variant}-{seed}")) as folder:
        if not cell.reuses:
            launch_torchrun(cell.batch.identities)
            device = numerics.prepare(cell.compute.threads)
            with process_group(device) as group:
                network, start, history = _train(
                    cell, device, folder, group, note if group.first else _unnoted
                )
            if not group.first:
                return
            text = history_text(history)
            numbers = {
                moment: {target: score.numbers() for target, score in scores.items()}
                for moment, scores in moments.items()
            }
            result |= {"targets": numbers.pop(TRAINED), "before": numbers, "start": start}
            table = _queries(moments, stores).assign(variant=variant, seed=seed)
            save(network, cell.model, paths.cell_model(variant, seed))
        else:  # a declared output must be there
            write_bytes(paths.cell_model(variant, seed), b"")
        write_json(paths.cell_result(variant, seed), result)
        write_table(paths.cell_queries(variant, seed), table)
        write_text(paths.cell_history(variant, seed), text)


def _train(
    cell: Cell, device: torch.device, folder: CheckpointFolder, group: ProcessGroup, note: Note
) -> tuple[Network, dict[str, float], pd.DataFrame]:
    """Pre-train if the cell says so, then train on the source.

    Returns:
        The network, the last look at the pre-training, empty without one, and the history of the training.
    """
    store = training_subset(open_store(paths.tracklets(cell.source)), cell.train.identities, cell.seed)
    last: dict[str, float] = {}
    network = _initialise(cell, store)
    if cell.pretrain is not None:
        rendered = open_store(paths.tracklets(cell.synthetic))
        synthetic = training_subset(rendered, cell.pretrain.identities, cell.seed)
        start = _initialise(cell, synthetic)
        note("untrained", start.to(device))
        history = _fit(cell, start, synthetic, cell.pretrain, folder, group)
        note("pretrained", start)
        last = history[list(LOOKS)].iloc[-1].to_dict() if group.first else {}
        transfer(start, network)
    history = _fit(cell, network.to(device), store, cell.train, folder, group)
    note(TRAINED, network)
    return network, last, history


def _initialise(cell: Cell, store: Store) -> Network:
    height, width = store.frames.shape[1:3]
    classes = int(store.of_split("train")["identity"].nunique())
    return initialise(cell.model, cell.clip.frames, height, width, classes, cell.seed)


def _fit(
    cell: Cell,
    network: Network,
    store: Store,
    schedule: Schedule,
    folder: CheckpointFolder,
    group: ProcessGroup,
) -> pd.DataFrame:
    recipe = Recipe(cell.augment, cell.batch, cell.loss, schedule, cell.compute)
    with supervise(f"ablate {cell.variant} {cell.seed}", folder, group) as observer:
        return fit(network, store, recipe, cell.seed, group, observer)


def _unnoted(_: str, __: Network) -> None:
    """Only the first of several processes tests."""


def _queries(moments: Mapping[str, Mapping[str, Result]], stores: Mapping[str, Store]) -> pd.DataFrame:
    """One row a query, moment and data set."""
    tables = [
        queries(score, stores[target]).assign(target=target, moment=moment)
        for moment, scores in moments.items()
        for target, score in scores.items()
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


if __name__ == "__main__":
    run(main)
