"""Stage ``evaluate``: every model of a group and seed x every target -> metrics, and one row per query.

The group ``cross_domain`` holds the default run's model of each data set; an untrained network and two colour
histograms are its baselines. The group ``ablation`` holds the variants.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import pandas as pd

from sttreid.config import paths
from sttreid.config.conversion import parse
from sttreid.config.fingerprint import fingerprint
from sttreid.config.params import Compute
from sttreid.config.variants import Evaluation, Variant, composition
from sttreid.config.variants import content as resolved
from sttreid.model.network import Network
from sttreid.model.weights import initialise, restore
from sttreid.retrieval.result import Result
from sttreid.retrieval.scoring import query_table, rules, score_histogram, score_network
from sttreid.runtime import numerics
from sttreid.runtime.files import read_json, write_json, write_table
from sttreid.runtime.progress import log
from sttreid.stages.command import record_machine, run
from sttreid.tracklets.store import Store, open_store

HISTOGRAMS = {"histogram": False, "equalised": True}
UNTRAINED, PRETRAINED, TRAINED = "untrained", "pretrained", "trained"


def main(group: paths.Group, seed: int) -> None:
    """Test all models before the first file is written."""
    path = paths.evaluation_config()
    config = parse(Evaluation, read_json(path), str(path))
    numerics.prepare(config.compute.threads, config.compute.numerics)
    stores = {target: open_store(paths.tracklets(target)) for target in config.targets}
    test_group = _cross_domain if group == "cross_domain" else _ablation
    content, queries = test_group(config, stores, seed)
    protocols = {target: asdict(rules(settings)) for target, settings in config.targets.items()}
    write_json(paths.result(group, seed), {"protocol": protocols, "seed": seed, **content})
    write_table(paths.queries(group, seed), queries.assign(seed=seed))
    record_machine("evaluate", group, seed)
    for name, targets in _found(content):
        numbers = ", ".join(f"{100 * each['rank1']:.1f} on {target}" for target, each in targets.items())
        log(f"evaluate {group} {seed}: {name}: rank-1 {numbers}")


def _found(content: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Mapping[str, float]]]]:
    """Every model and its numbers on the targets; a variant after its training."""
    yield from content.get("sources", {}).items()
    for name, variant in content.get("variants", {}).items():
        yield name, variant["moments"][TRAINED]


def _cross_domain(
    config: Evaluation, stores: Mapping[str, Store], seed: int
) -> tuple[dict[str, object], pd.DataFrame]:
    """The models of all data sets, and baselines."""
    results = {
        name: {
            target: score_histogram(store, config.targets[target], equalised=equalised)
            for target, store in stores.items()
        }
        for name, equalised in HISTOGRAMS.items()
    }
    for name, network in _networks(config, next(iter(stores.values())), seed):
        results[name] = _test(network, stores, config, config.compute)
    tables = [_queries(by_target, stores).assign(source=name) for name, by_target in results.items()]
    sources = {name: _numbers(by_target) for name, by_target in results.items()}
    return {"sources": sources}, pd.concat(tables, ignore_index=True)


def _networks(config: Evaluation, store: Store, seed: int) -> Iterator[tuple[str, Network]]:
    for name in (config.synthetic, *config.targets):
        yield name, restore(paths.model("cross_domain", seed, name))
    random = replace(config.model, backbone=replace(config.model.backbone, weights=None))
    height, width = store.frames.shape[1:3]
    classes = int(store.of_split("train")["identity"].nunique())
    yield UNTRAINED, initialise(random, config.clip.frames, height, width, classes, seed)


def _ablation(
    config: Evaluation, stores: Mapping[str, Store], seed: int
) -> tuple[dict[str, object], pd.DataFrame]:
    """All variants; those with synthetic pre-training also before it and after it."""
    variants: dict[str, object] = {}
    tables = []
    for path in sorted(paths.variant_config("", seed).parent.glob(f"*-{seed}.json")):
        variant = parse(Variant, read_json(path), str(path))
        results = {
            moment: _test(network, stores, config, variant.compute) for moment, network in _moments(variant)
        }
        variants[variant.variant] = {
            "source": variant.source,
            "config": fingerprint(resolved(variant)),  # the report leaves out what it does not know
            "composition": composition(variant),
            "pretrain_steps": variant.pretrain.steps if variant.pretrain else 0,
            "steps": variant.train.steps,
            "moments": {moment: _numbers(by_target) for moment, by_target in results.items()},
        }
        tables += [
            _queries(by_target, stores).assign(variant=variant.variant, moment=moment)
            for moment, by_target in results.items()
        ]
    return {"variants": variants}, pd.concat(tables, ignore_index=True)


def _moments(variant: Variant) -> Iterator[tuple[str, Network]]:
    """The networks of a variant over its training."""
    if variant.pretrain:
        pretrained = restore(paths.pretrained(variant.variant, variant.seed))
        shape = (pretrained.frames, *pretrained.image_size, pretrained.classes)
        yield UNTRAINED, initialise(variant.model, *shape, variant.seed)
        yield PRETRAINED, pretrained
    yield TRAINED, restore(paths.model("ablation", variant.seed, variant.variant))


def _test(
    network: Network, stores: Mapping[str, Store], config: Evaluation, compute: Compute
) -> dict[str, Result]:
    network.to(numerics.prepare(compute.threads, compute.numerics))
    return {
        target: score_network(
            network, store, config.targets[target], compute.embed_batch, compute.precision, flip=config.flip
        )
        for target, store in stores.items()
    }


def _numbers(results: Mapping[str, Result]) -> dict[str, dict[str, float]]:
    return {target: result.numbers() for target, result in results.items()}


def _queries(results: Mapping[str, Result], stores: Mapping[str, Store]) -> pd.DataFrame:
    tables = [query_table(result, stores[target]).assign(target=target) for target, result in results.items()]
    return pd.concat(tables, ignore_index=True)


if __name__ == "__main__":
    run(main)
