"""Stage ``ablate``: one ablation cell: train its configuration on the source, test it on every target."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial

import pandas as pd
import torch

from sttreid.config import paths
from sttreid.config.conversion import parse
from sttreid.config.params import Schedule, run
from sttreid.config.variants import Cell, composition
from sttreid.embedding import embed_tracklets
from sttreid.model.network import Network
from sttreid.model.weights import save, transfer
from sttreid.retrieval.result import Result
from sttreid.retrieval.scoring import query_table, rules, score_network
from sttreid.runtime import numerics
from sttreid.runtime.checkpoints import Scratch, kept
from sttreid.runtime.distributed import Ranks, joined
from sttreid.runtime.files import read_json, write_bytes, write_json, write_table, write_text
from sttreid.tracklets.store import Store, open_store
from sttreid.tracklets.subset import training_subset
from sttreid.training.loop import Recipe, fit, history_text
from sttreid.training.start import initialise
from sttreid.training.validation import accuracies

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
            target: score_network(
                network, store, cell.evaluate[target], cell.compute.embed_batch, cell.compute.precision
            )
            for target, store in stores.items()
        }

    with kept(paths.scratch(f"ablate-{variant}-{seed}")) as scratch:
        if not cell.reuses:
            numerics.spread(cell.batch.identities)
            device = numerics.prepare(cell.compute.threads)
            with joined(device) as ranks:
                network, start, history = _train(
                    cell, device, scratch, ranks, note if ranks.first else _unnoted
                )
            if not ranks.first:
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
    cell: Cell, device: torch.device, scratch: Scratch, ranks: Ranks, note: Note
) -> tuple[Network, dict[str, float], pd.DataFrame]:
    """Pre-train if the cell says so, then train on the source.

    Returns:
        The network, the last look at the pre-training, empty without one, and the history of the training.
    """
    store = training_subset(open_store(paths.tracklets(cell.source)), cell.train.identities, cell.seed)
    last: dict[str, float] = {}
    network = initialise(cell.model, cell.clip.frames, store, cell.seed)
    if cell.pretrain is not None:
        rendered = open_store(paths.tracklets(cell.synthetic))
        synthetic = training_subset(rendered, cell.pretrain.identities, cell.seed)
        start = initialise(cell.model, cell.clip.frames, synthetic, cell.seed)
        note("untrained", start.to(device))
        history = _fit(cell, start, synthetic, cell.pretrain, scratch, ranks)
        note("pretrained", start)
        last = history[list(LOOKS)].iloc[-1].to_dict() if ranks.first else {}
        transfer(start, network)
    history = _fit(cell, network.to(device), store, cell.train, scratch, ranks)
    note(TRAINED, network)
    return network, last, history


def _fit(
    cell: Cell, network: Network, store: Store, schedule: Schedule, scratch: Scratch, ranks: Ranks
) -> pd.DataFrame:
    look = partial(accuracies, store=store, embed=partial(embed_tracklets, batch=cell.compute.embed_batch))
    recipe = Recipe(cell.augment, cell.batch, cell.loss, schedule, cell.compute)
    name = f"ablate {cell.variant} {cell.seed}"
    return fit(network, store, recipe, cell.seed, look, name, scratch, ranks)


def _unnoted(_: str, __: Network) -> None:
    """Only the first of several processes tests."""


def _queries(moments: Mapping[str, Mapping[str, Result]], stores: Mapping[str, Store]) -> pd.DataFrame:
    """One row a query, moment and data set."""
    tables = [
        query_table(score, stores[target]).assign(target=target, moment=moment)
        for moment, scores in moments.items()
        for target, score in scores.items()
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


if __name__ == "__main__":
    run(main)
