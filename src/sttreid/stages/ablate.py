"""Stage ``ablate``: one ablation cell: train its configuration on the source, test it on every target."""

from dataclasses import asdict
from functools import partial

import pandas as pd
import torch

from sttreid import machine, paths
from sttreid.cells import Cell, composition
from sttreid.conversion import parse
from sttreid.data.store import Store, open_store
from sttreid.files import read_json, write_bytes, write_json, write_table, write_text
from sttreid.model.network import Network
from sttreid.model.weights import save, transfer
from sttreid.params import Schedule, run
from sttreid.retrieval.accuracy import queries, rules, score_network
from sttreid.retrieval.embedding import embed_tracklets
from sttreid.training.checkpoints import Scratch, kept
from sttreid.training.looks import accuracies
from sttreid.training.loop import Recipe, fit, history_text
from sttreid.training.ranks import Ranks, joined
from sttreid.training.start import initialise


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
    with kept(paths.scratch(f"ablate-{variant}-{seed}")) as scratch:
        if not cell.reuses:
            machine.spread(cell.batch.identities)
            device = machine.prepare(cell.compute.threads)
            with joined(device) as ranks:
                network, history = _train(cell, device, scratch, ranks)
            if not ranks.first:
                return
            text = history_text(history)
            stores = {target: open_store(paths.tracklets(target)) for target in cell.targets}
            scores = {
                target: score_network(network, store, cell.compute, cell.evaluate[target])
                for target, store in stores.items()
            }
            result["targets"] = {target: score.numbers() for target, score in scores.items()}
            tables = [
                queries(score, stores[target]).assign(target=target) for target, score in scores.items()
            ]
            table = pd.concat(tables, ignore_index=True).assign(variant=variant, seed=seed)
            save(network, cell.model, paths.cell_model(variant, seed))
        else:  # a declared output must be there
            write_bytes(paths.cell_model(variant, seed), b"")
        write_json(paths.cell_result(variant, seed), result)
        write_table(paths.cell_queries(variant, seed), table)
        write_text(paths.cell_history(variant, seed), text)


def _train(cell: Cell, device: torch.device, scratch: Scratch, ranks: Ranks) -> tuple[Network, pd.DataFrame]:
    """Pre-train if the cell says so, then train on the source."""
    store = open_store(paths.tracklets(cell.source))
    network = initialise(cell.model, cell.clip.frames, store, cell.seed)
    if cell.pretrain is not None:
        synthetic = open_store(paths.tracklets(cell.synthetic))
        start = initialise(cell.model, cell.clip.frames, synthetic, cell.seed)
        _fit(cell, start.to(device), synthetic, cell.pretrain, scratch, ranks)
        transfer(start, network)
    return network, _fit(cell, network.to(device), store, cell.train, scratch, ranks)


def _fit(
    cell: Cell, network: Network, store: Store, schedule: Schedule, scratch: Scratch, ranks: Ranks
) -> pd.DataFrame:
    look = partial(accuracies, store=store, embed=partial(embed_tracklets, batch=cell.compute.clips))
    recipe = Recipe(cell.augment, cell.batch, cell.loss, schedule, cell.compute)
    name = f"ablate {cell.variant} {cell.seed}"
    return fit(network, store, recipe, cell.seed, look, name, scratch, ranks)


if __name__ == "__main__":
    run(main)
