"""How good is a training regime? `python -m bench.regime [KEY=VALUE ...] [--seed 0] [--start MODEL]`.

Pre-trains with the overrides and measures direct transfer; then fine-tunes on every target and measures, for
several shares of the starting weights (``finetune.start_weight``), accuracy in-domain and cross-domain. With
--start, it fine-tunes that model instead of training one. No test split is read:

- direct transfer: the training and validation tracklets of a target, all of them queries and gallery. No
  identity of a target was seen in pre-training.
- after fine-tuning: the validation tracklets are the queries, the training tracklets are in the gallery too.

One line of JSON for each measurement, with CPU seconds, in per cent. Needs the tracklet stores
(`dvc repro decode`).
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from torch import Tensor

from bench.training import override
from sttreid.config import paths
from sttreid.config.params import Params, Schedule
from sttreid.embedding import embed_tracklets
from sttreid.model.network import Network
from sttreid.model.weights import restore, save, transfer
from sttreid.retrieval import Labels, evaluate
from sttreid.runtime import numerics
from sttreid.runtime.distributed import SINGLE
from sttreid.runtime.supervisor import supervise
from sttreid.stages.training_run import checkpoints, network_for, training_store
from sttreid.tracklets.store import Store, open_store
from sttreid.training.loop import Recipe, fit
from sttreid.training.optimisation import average_with_start

SHARES: Final = (1.0, 0.7, 0.5, 0.3, 0.15, 0.0)
SPLITS: Final = ("train", "validation")

Weights = dict[str, Tensor]
Numbers = dict[str, tuple[float, float]]  # target -> rank-1, mAP


def main() -> None:
    """Measure a regime."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path, help="fine-tune this model")
    parser.add_argument("--save", type=Path, help="where the pre-trained model goes")
    arguments = parser.parse_args()
    params = override(dict(pair.split("=", 1) for pair in arguments.overrides))
    for record in measure(params, arguments.seed, arguments.start, arguments.save):
        print(json.dumps({"seed": arguments.seed, "overrides": arguments.overrides, **record}), flush=True)


def measure(params: Params, seed: int, start: Path | None, target: Path | None) -> Iterator[dict[str, Any]]:
    """The record of the pre-training, if there is one, and one of each share of the starting weights."""
    numerics.prepare(params.compute.threads, numerics.current())
    if start is not None:
        pretrained = restore(start)
    else:
        clock = time.process_time()
        pretrained = train(params, params.simulate.domain, params.pretrain, seed, None)
        seconds = time.process_time() - clock
        if target is not None:
            save(pretrained, params.model, target)
        numbers = {name: accuracy(pretrained, store(name), SPLITS) for name in params.targets}
        yield {"cpu_seconds": round(seconds), "direct_transfer": _mean(numbers)}
    tested: dict[float, dict[str, Numbers]] = {share: {} for share in SHARES}
    clock = time.process_time()
    for source in params.targets:
        plain = replace(params.finetune, start_weight=0.0)
        network = train(params, source, plain, seed, pretrained)
        trained = _copied(network)
        transfer(pretrained, network)
        first = _copied(network)
        for share in SHARES:
            network.load_state_dict(trained)
            average_with_start(network, first, share)
            tested[share][source] = {
                name: accuracy(network, store(name), SPLITS[1:]) for name in params.targets
            }
    seconds = time.process_time() - clock
    for share, by_source in tested.items():
        inside = {source: numbers[source] for source, numbers in by_source.items()}
        across = {
            f"{source}->{name}": value
            for source, numbers in by_source.items()
            for name, value in numbers.items()
            if name != source
        }
        yield {
            "cpu_seconds": round(seconds),
            "start_weight": share,
            "in_domain": _mean(inside),
            "cross_domain": _mean(across),
        }


def train(params: Params, dataset: str, schedule: Schedule, seed: int, start: Network | None) -> Network:
    """One training run, from random weights or from those of another network."""
    tracklets = training_store(dataset, schedule.identities, seed)
    network = network_for(tracklets, params.model, params.clip.frames, seed)
    if start is not None:
        transfer(start, network)
    recipe = Recipe(params.augment, params.batch, params.loss, schedule, params.compute)
    words = "regime", dataset, seed
    with checkpoints(*words) as folder, supervise(" ".join(map(str, words)), folder, SINGLE) as observer:
        fit(network, tracklets, recipe, seed, SINGLE, observer, lambda *_: {})
    return network.eval()


def store(name: str) -> Store:
    """The tracklets of a data set."""
    return open_store(paths.tracklets(name))


def accuracy(network: Network, tracklets: Store, queries: tuple[str, ...]) -> tuple[float, float]:
    """Rank-1 and mAP of the splits ``queries`` against the training and validation tracklets."""
    rows = tracklets.tracklets
    rows = rows[rows["split"].isin(SPLITS)].reset_index(drop=True)
    features = embed_tracklets(network, tracklets, rows, 64).numpy()
    chosen = rows["split"].isin(queries).to_numpy()
    labels = Labels(rows["identity"], rows["camera"])
    result = evaluate(features[chosen], features, labels.take(np.flatnonzero(chosen)), labels, "market")
    return result.rank1, result.mAP


def _copied(network: Network) -> Weights:
    return {name: value.clone() for name, value in network.state_dict().items()}


def _mean(numbers: Mapping[str, tuple[float, float]]) -> list[float]:
    """Mean rank-1 and mAP in per cent."""
    return [round(100 * float(value), 1) for value in np.mean(list(numbers.values()), axis=0)]


if __name__ == "__main__":
    main()
