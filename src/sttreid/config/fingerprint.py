"""Fingerprints of effective parameters: a short hash that tables carry, so that a reader sees what made them.

Two equal fingerprints mean that the same parameters decide the same numbers. Comments, names of variants and
parameters without effect on the numbers (``visualise``, ``compare``, ``claims``) are no part of it; neither
are code and data, whose hashes are in dvc.lock.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sttreid.config.conversion import dump
from sttreid.config.datasets import Compare, Dataset, Decode
from sttreid.config.domain import DOMAINS, read_domain
from sttreid.config.params import PARAMS, Params, Simulate, rendered_set
from sttreid.config.variants import content, default_run, resolve

FINGERPRINT: Final = "params"  # the key of a JSON file and the column of a table
LENGTH: Final = 9  # hexadecimal digits after a letter: digits alone, or with an e, read as a number


def fingerprint(values: object) -> str:
    """Of plain JSON values, such as "p70c2a6eb0"; the order of keys does not matter."""
    return "p" + hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:LENGTH]


def of_default_run(params: Params, domains: Path = DOMAINS) -> str:
    """Of what decides the results of the default run.

    Args:
        params: all parameters.
        domains: folder of the simulator's domains.

    Raises:
        InputError: as :func:`sttreid.config.variants.resolve`; or the domain's file breaks a rule.
    """
    trained = _numbers_of(content(default_run(params)))
    trained.pop("source")
    return fingerprint({**_testing(params), **_synthetic(params, domains), **trained})


def of_variants(params: Params, domains: Path = DOMAINS) -> dict[str, str]:
    """The same of each variant of the ablation, the reference included."""
    shared = {**_testing(params), "min_train_rank1": params.ablation.min_train_rank1}
    shared |= _of_study(params, domains)
    found = {}
    for name in params.ablation.variants:
        variant = resolve(params, name, params.seeds[0])
        synthetic = _synthetic(params, domains) if variant.pretrain else {}
        found[name] = fingerprint({**shared, **synthetic, **_numbers_of(content(variant))})
    if params.ablation.reference is not None:
        whole = {"default": of_default_run(params, domains), "source": params.ablation.source}
        found[params.ablation.reference] = fingerprint({**shared, **whole})
    return found


def of_ablation(params: Params, domains: Path = DOMAINS) -> str:
    """Of all variants together."""
    return fingerprint(of_variants(params, domains))


def of_comparison(
    datasets: Mapping[str, Dataset],
    decode: Decode,
    simulate: Simulate,
    targets: list[str],
    compare: Compare,
    domains: Path = DOMAINS,
) -> str:
    """Of the parameters that decide the domain shift of each pair of data sets (stage ``compare``).

    The arguments are sections of params.yaml.
    """
    compared = {name: dump(datasets[name]) for name in (*targets, simulate.domain)}
    values = {"datasets": compared, "decode": dump(decode), "compare": dump(compare)}
    return fingerprint({**values, "simulate": dump(simulate), "domain": _domain(simulate, domains)})


def _numbers_of(variant: Mapping[str, Any]) -> dict[str, Any]:
    """Without name and seed (:func:`_testing` has all seeds), and the data set of an absent pre-training."""
    left_out = {"variant", "seed", *([] if variant["pretrain"] else ["synthetic"])}
    return {key: value for key, value in variant.items() if key not in left_out}


def _testing(params: Params) -> dict[str, Any]:
    """What decides the stores and how models are tested on them."""
    return {
        "targets": {name: dump(params.datasets[name]) for name in params.targets},
        "decode": dump(params.decode),
        "evaluate": dump(params.evaluate),
        "seeds": params.seeds,
    }


def _synthetic(params: Params, domains: Path) -> dict[str, Any]:
    """What decides the synthetic set."""
    dataset = dump(params.datasets[params.simulate.domain])
    domain = _domain(params.simulate, domains)
    found = {"simulate": dump(params.simulate), "domain": domain, "dataset": dataset}
    rendered = _rendered(params, {params.simulate.domain}, domains)
    return {**found, "rendered": rendered} if rendered else found


def _of_study(params: Params, domains: Path) -> dict[str, Any]:
    """What only studies have: a start, sets beside the targets, a source of another name; elsewhere empty."""
    ablation, start, found = params.ablation, params.start, dict[str, Any]()
    if ablation.in_domain is not None:
        found["in_domain"] = ablation.in_domain
    if start is not None:
        found["start"] = dump(start)
    others = {ablation.source, *([start.dataset] if start else [])} - set(params.targets)
    if others:
        found["datasets"] = {name: dump(params.datasets[name]) for name in others}
    if rendered := _rendered(params, {*others, *params.targets}, domains):
        found["rendered_sets"] = rendered
    return found


def _rendered(params: Params, datasets: set[str], domains: Path) -> dict[str, Any]:
    """What decides those of the sets that a study renders which some data sets read."""
    folders = {params.datasets[name].root.name for name in datasets}
    sets = {
        name: rendered_set(params.rendered, dump(params.simulate), name, PARAMS)
        for name in params.rendered
        if name in folders
    }
    return {name: {"simulate": dump(made), "domain": _domain(made, domains)} for name, made in sets.items()}


def _domain(simulate: Simulate, domains: Path) -> Any:
    """None where the set is not simulated."""
    path = domains / f"{simulate.domain}.yaml"
    return dump(read_domain(path)) if path.exists() else None
