"""Stage ``visualise``: networks and stores -> what the report shows of them (artifacts/visuals)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from torch import Tensor

from sttreid.config import paths
from sttreid.config.conversion import parse
from sttreid.config.params import Ablation, Simulate
from sttreid.config.variants import Evaluation
from sttreid.config.visualise import Visualise
from sttreid.embedding import embed_tracklets
from sttreid.model.network import Network
from sttreid.model.weights import restore
from sttreid.report import visuals
from sttreid.retrieval.ranked_lists import ranked_lists
from sttreid.runtime import numerics
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json, read_table, write_table
from sttreid.stages.command import run
from sttreid.tracklets.clips import consecutive_clips
from sttreid.tracklets.store import TEST, Store, open_store

NEIGHBOURS = 10  # in the feature map, whose data sets are counted


def main(
    simulate: Simulate, targets: list[str], seeds: list[int], ablation: Ablation, visualise: Visualise
) -> None:
    """All tables are of the first seed and are computed before the first is written."""
    path, seed, source = paths.evaluation_config(), seeds[0], ablation.source
    config = parse(Evaluation, read_json(path), str(path))
    numerics.prepare(config.compute.threads, config.compute.numerics)
    stores = {name: open_store(paths.tracklets(name)) for name in (*targets, simulate.domain)}
    networks = {
        name: _network("cross_domain", seed, source, config)
        if name == ablation.reference
        else _network("ablation", seed, name, config)
        for name in visualise.variants
    }
    frames, patches, clips = _attention(networks, stores[source], source, config, visualise)
    queries = read_table(paths.queries("cross_domain", seed))
    lists, films = [], [clips]
    for target in targets:
        in_domain = queries[(queries["source"] == target) & (queries["target"] == target)]
        table, film = _lists(stores[target], target, in_domain, config, visualise, seed)
        lists.append(table)
        films.append(film)
    maps = [_map(name, seed, stores, config, visualise) for name in (simulate.domain, source)]
    tables = {
        "frames": frames,
        "patches": patches,
        "lists": pd.concat(lists, ignore_index=True),
        "maps": pd.concat(maps, ignore_index=True),
        "strips": pd.concat(films, ignore_index=True),
    }
    for name, table in tables.items():
        write_table(paths.visual(name), table.assign(seed=seed))


def _network(group: paths.Group, seed: int, name: str, config: Evaluation) -> Network:
    return restore(paths.model(group, seed, name)).to(
        numerics.prepare(config.compute.threads, config.compute.numerics)
    )


def _attention(
    networks: Mapping[str, Network], store: Store, source: str, config: Evaluation, visualise: Visualise
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Attention on all frames of the queries, and on the patches of a few tracklets, with film strips."""
    for name, network in networks.items():
        if "stt" not in network.branches:
            rule = f"the variant {name} must have model.stt"
            raise InputError(f"params.yaml: visualise.variants: {rule}, got it without")
    lengths = {network.frames for network in networks.values()}
    if len(lengths) > 1:
        rule = f"{' and '.join(networks)} must have the same clip.frames"
        raise InputError(f"params.yaml: visualise.variants: {rule}, got {sorted(lengths)}")
    test, batch = store.of_split(TEST), config.compute.embed_batch
    test = test[test["query"]]
    frames = {name: visuals.temporal_attention(net, store, test, batch) for name, net in networks.items()}
    tracklets = visuals.most_occluded(next(iter(frames.values())), visualise.tracklets)
    shown = test[test["tracklet"].isin(tracklets)]
    patches = {name: visuals.spatial_attention(net, store, shown, batch) for name, net in networks.items()}
    length = shown.set_index("tracklet")["length"]
    cuts = [
        (tracklet, clip, np.unique(places))
        for tracklet in tracklets
        for clip, places in enumerate(consecutive_clips(int(length[tracklet]), lengths.copy().pop()))
    ]
    return (
        pd.concat([table.assign(variant=name) for name, table in frames.items()], ignore_index=True),
        pd.concat([table.assign(variant=name) for name, table in patches.items()], ignore_index=True),
        visuals.strips(store, source, cuts, visualise.height).assign(kind="clip"),
    )


def _lists(
    store: Store, target: str, queries: pd.DataFrame, config: Evaluation, visualise: Visualise, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ranked lists of a target's model, with film strips: of failures and of successes."""
    network, gallery = _network("cross_domain", seed, target, config), store.gallery()
    features = _embed(network, store, gallery, config)
    chosen = {
        "failure": visuals.failures(queries, visualise.failures),
        "success": visuals.successes(queries, visualise.samples),
    }
    columns = ["identity", "camera", "ap", "first_hit", "length", "visibility"]
    facts = queries.set_index("query")[columns].add_prefix("query_")
    tables = [
        ranked_lists(features, gallery, config.targets[target], numbers, visualise.top_k)
        .join(facts, on="query")
        .assign(kind=kind, dataset=target)
        for kind, numbers in chosen.items()
        if numbers
    ]
    lists, length = pd.concat(tables, ignore_index=True), gallery.set_index("tracklet")["length"]
    tracklets = sorted({*lists["query"].tolist(), *lists["tracklet"].tolist()})
    cuts = [(number, -1, visuals.spread(int(length[number]), visualise.frames)) for number in tracklets]
    return lists, visuals.strips(store, target, cuts, visualise.height, stacked=True).assign(kind="list")


def _embed(network: Network, store: Store, tracklets: pd.DataFrame, config: Evaluation) -> Tensor:
    """Features as in the stage ``evaluate``."""
    batch, precision = config.compute.embed_batch, config.compute.precision
    return embed_tracklets(network, store, tracklets, batch, precision, flip=config.flip)


def _map(
    name: str, seed: int, stores: Mapping[str, Store], config: Evaluation, visualise: Visualise
) -> pd.DataFrame:
    """Test tracklets of all data sets with a test split, in the embedding space of one model, on a plane."""
    network = _network("cross_domain", seed, name, config)
    rows, features = [], []
    for dataset, store in stores.items():
        queries = store.tracklets[(store.tracklets["split"] == TEST) & store.tracklets["query"]]
        if len(queries):
            drawn = visuals.draw(queries, visualise.points, visualise.seed)
            features.append(_embed(network, store, drawn, config).numpy())
            rows.append(drawn[["tracklet", "identity", "camera"]].assign(dataset=dataset))
    table, space = pd.concat(rows, ignore_index=True), np.concatenate(features)
    points = visuals.project(space, visualise.perplexity, visualise.seed)
    datasets = table["dataset"].to_numpy(str)
    identities = (table["dataset"] + " " + table["identity"].astype(str)).to_numpy(str)
    own = visuals.same_label_share(space, datasets, NEIGHBOURS)
    hit = visuals.same_label_share(space, identities, 1)
    return table.assign(model=name, x=points[:, 0], y=points[:, 1], own=own, hit=hit)


if __name__ == "__main__":
    run(main)
