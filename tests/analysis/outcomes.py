"""Runs whose rank-1 is known, and a published spread over seeds."""

from sttreid.analysis.comparison import GroupResults, Outcome
from sttreid.analysis.spread import Publication, Spread
from tests.analysis import contents
from tests.analysis.contents import TARGETS
from tests.tiny import parameters

VARIANTS = {"vanilla": {"pretrain": None}, "spatial": {"pretrain": None}}
MD5 = {target: f"{target}-tracklets" for target in (*TARGETS, "unreal")}


def default_results(gains):
    """The default run: seed -> gain in rank-1 over 0.5 in-domain, 0.3 cross-domain, 0.2 direct."""
    found = [contents.cross_domain_content(10 * gain) | {"seed": seed} for seed, gain in gains.items()]
    return GroupResults(found, contents.cross_domain_queries(found))


def variants_results(gains):
    """The ablation: seed -> gain in vanilla's rank-1 over 0.4 in-domain."""
    found = [contents.ablation_content(10 * gain) | {"seed": seed} for seed, gain in gains.items()]
    return GroupResults(found, contents.ablation_queries(found))


def tiny(seeds=(0,), **changes):
    """The tests' parameters with two variants, on the native numeric path."""
    values = {key.replace("__", "."): value for key, value in changes.items()}
    params = parameters({"compute.numerics": "native", **values})
    params["ablation"]["variants"] = dict(VARIANTS)
    return params | {"seeds": list(seeds)}


def outcome(name, gains, ablation=None, **changes):
    """A run; ``gains`` are those of :func:`default_results`, ``ablation`` those of the variants if any."""
    missing = None if ablation else f"{name} has none."
    return Outcome(
        name=name,
        commit=None,
        params=tiny(gains, **changes),
        domain={},
        tracklets=dict(MD5),
        code={},
        cross_domain=default_results(gains),
        ablation=variants_results(ablation) if ablation else None,
        missing=missing,
    )


def spread(sd):
    """Five seeds around 0.5."""
    steps = (-2, -1, 0, 1, 2)  # their standard deviation is the square root of 2.5
    values = {seed: 0.5 + step * sd / 2.5**0.5 for seed, step in enumerate(steps)}
    return Spread(0.5, sd, values)


def publication(sd=0.02, **changes):
    """The same spread of every setting and cell."""
    names = ["in_domain", "cross_domain", "direct_transfer"]
    names += [f"{source}->{target}" for source in (*TARGETS, "unreal") for target in TARGETS]
    numbers = {metric: {name: spread(sd) for name in names} for metric in ("rank1", "mAP")}
    params = tiny(range(5), **changes)
    protocols = dict.fromkeys(params["targets"], contents.PROTOCOL["name"])
    return Publication("0" * 40, "native", params, numbers, protocol=protocols)
