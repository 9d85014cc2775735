"""Stage ``ablate``: one ablation cell: train its configuration on the source, test it on every target."""

from dataclasses import asdict
from functools import partial

import pandas as pd
import torch

from sttreid import machine, paths
from sttreid.cells import Cell, composition
from sttreid.data.store import Store, open_store
from sttreid.files import read_json, write_json, write_table, write_text
from sttreid.model.network import Network
from sttreid.model.weights import transfer
from sttreid.params import Schedule, parse, run
from sttreid.retrieval.accuracy import queries, rules, score_network
from sttreid.retrieval.embedding import embed_tracklets
from sttreid.training.looks import accuracies
from sttreid.training.loop import Recipe, fit, history_text
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
        "protocol": asdict(rules(cell.evaluate)),
    }
    text, table = "", pd.DataFrame()
    if not cell.reuses:
        device = machine.prepare(cell.compute.threads)
        network, history = _train(cell, device)
        text = history_text(history)
        stores = {target: open_store(paths.tracklets(target)) for target in cell.targets}
        scores = {
            t: score_network(network, store, cell.compute, cell.evaluate) for t, store in stores.items()
        }
        result["targets"] = {target: score.numbers() for target, score in scores.items()}
        tables = [queries(score, stores[target]).assign(target=target) for target, score in scores.items()]
        table = pd.concat(tables, ignore_index=True).assign(variant=variant, seed=seed)
    write_json(paths.cell_result(variant, seed), result)
    write_table(paths.cell_queries(variant, seed), table)
    write_text(paths.cell_history(variant, seed), text)


def _train(cell: Cell, device: torch.device) -> tuple[Network, pd.DataFrame]:
    """Pre-train if the cell says so, then train on the source."""
    store = open_store(paths.tracklets(cell.source))
    network = initialise(cell.model, cell.clip.frames, store, cell.seed)
    if cell.pretrain is not None:
        synthetic = open_store(paths.tracklets(cell.synthetic))
        start = initialise(cell.model, cell.clip.frames, synthetic, cell.seed)
        _fit(cell, start.to(device), synthetic, cell.pretrain)
        transfer(start, network)
    return network, _fit(cell, network.to(device), store, cell.train)


def _fit(cell: Cell, network: Network, store: Store, schedule: Schedule) -> pd.DataFrame:
    look = partial(accuracies, store=store, embed=partial(embed_tracklets, batch=cell.compute.clips))
    recipe = Recipe(cell.augment, cell.batch, cell.loss, schedule)
    return fit(network, store, recipe, cell.seed, look, f"ablate {cell.variant} {cell.seed}")


if __name__ == "__main__":
    run(main)
