"""Stage ``evaluate``: every model x every target -> the cross-domain matrix of one seed, with baselines."""

from dataclasses import asdict, replace

import pandas as pd

from sttreid.config import paths
from sttreid.config.datasets import Dataset
from sttreid.config.params import Clip, Compute, Evaluate, Model, Simulate, run
from sttreid.model.weights import restore
from sttreid.retrieval.scoring import query_table, rules, score_histogram, score_network
from sttreid.runtime import numerics
from sttreid.runtime.files import write_json, write_table
from sttreid.tracklets.store import open_store
from sttreid.training.start import initialise


def main(
    seed: int,
    simulate: Simulate,
    targets: list[str],
    clip: Clip,
    model: Model,
    evaluate: Evaluate,
    compute: Compute,
    datasets: dict[str, Dataset],
) -> None:
    """Score the synthetic model (direct transfer), the fine-tuned ones, an untrained one and histograms."""
    device = numerics.prepare(compute.threads)
    settings = {target: evaluate.of(datasets[target]) for target in targets}
    protocols = {target: asdict(rules(settings[target])) for target in targets}
    stores = {target: open_store(paths.tracklets(target)) for target in targets}
    random = replace(model, backbone=replace(model.backbone, weights=None))
    untrained = initialise(random, clip.frames, stores[targets[0]], seed)
    networks = {name: restore(paths.model(name, seed)) for name in (simulate.domain, *targets)}
    results = {
        (name, target): score_histogram(store, settings[target], equalised=equalised)
        for name, equalised in (("histogram", False), ("equalised", True))
        for target, store in stores.items()
    }
    for name, network in {**networks, "untrained": untrained}.items():
        network.to(device)
        for target, store in stores.items():
            results[name, target] = score_network(
                network, store, settings[target], compute.embed_batch, compute.precision
            )
    sources: dict[str, dict[str, object]] = {}
    for (name, target), result in results.items():
        sources.setdefault(name, {})[target] = result.numbers()
    tables = [
        query_table(result, stores[key[1]]).assign(source=key[0], target=key[1])
        for key, result in results.items()
    ]
    write_json(paths.cross_result(seed), {"protocol": protocols, "seed": seed, "sources": sources})
    write_table(paths.cross_queries(seed), pd.concat(tables, ignore_index=True).assign(seed=seed))


if __name__ == "__main__":
    run(main)
