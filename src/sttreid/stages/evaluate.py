"""Stage ``evaluate``: every model x every target -> the cross-domain matrix of one seed, with baselines."""

from dataclasses import asdict, replace

from sttreid import machine, paths
from sttreid.data.store import open_store
from sttreid.files import write_json
from sttreid.model.weights import restore
from sttreid.params import Clip, Compute, Evaluate, Model, Simulate, run
from sttreid.retrieval.accuracy import score_histogram, score_network
from sttreid.retrieval.protocol import protocol
from sttreid.training.start import initialise


def main(
    seed: int,
    simulate: Simulate,
    targets: list[str],
    clip: Clip,
    model: Model,
    evaluate: Evaluate,
    compute: Compute,
) -> None:
    """Score the synthetic model (direct transfer), the fine-tuned ones, an untrained one and histograms."""
    device = machine.prepare(compute.threads)
    rules = protocol(evaluate.protocol)
    stores = {target: open_store(paths.tracklets(target)) for target in targets}
    random = replace(model, backbone=replace(model.backbone, weights=""))
    untrained = initialise(random, clip.frames, stores[targets[0]], seed)
    networks = {name: restore(paths.model(name, seed)) for name in (simulate.domain, *targets)}
    rows = {
        name: {t: score_histogram(store, equalised, rules).numbers() for t, store in stores.items()}
        for name, equalised in (("histogram", False), ("equalised", True))
    }
    for name, network in {**networks, "untrained": untrained}.items():
        network.to(device)
        scores = {t: score_network(network, s, compute.clips, rules) for t, s in stores.items()}
        rows[name] = {target: result.numbers() for target, result in scores.items()}
    write_json(paths.cross_result(seed), {"protocol": asdict(rules), "seed": seed, "sources": rows})


if __name__ == "__main__":
    run(main)
