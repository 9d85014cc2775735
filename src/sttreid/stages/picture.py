"""Stage ``picture``: networks and stores -> what the report shows of them (artifacts/pictures)."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sttreid.config import paths
from sttreid.config.conversion import parse
from sttreid.config.datasets import Dataset
from sttreid.config.params import Compute, Evaluate, Picture, ResolvedEvaluate, Simulate
from sttreid.config.variants import Cell
from sttreid.embedding import embed_tracklets
from sttreid.model.network import Network
from sttreid.model.weights import restore
from sttreid.pictures.attention import occluded, spatial, temporal
from sttreid.pictures.lists import evenly, hardest, nearest
from sttreid.pictures.maps import drawn, own_share, project
from sttreid.pictures.strips import spread, strips
from sttreid.runtime import numerics
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_json, read_table, write_table
from sttreid.stages.command import run
from sttreid.tracklets.clips import consecutive_clips
from sttreid.tracklets.store import TEST, Store, open_store


def main(
    simulate: Simulate,
    targets: list[str],
    seeds: list[int],
    evaluate: Evaluate,
    compute: Compute,
    picture: Picture,
    datasets: dict[str, Dataset],
) -> None:
    """Everything is of the first seed; all tables are computed before the first is written."""
    device, seed = numerics.prepare(compute.threads), seeds[0]
    stores = {name: open_store(paths.tracklets(name)) for name in (*targets, simulate.domain)}
    cells = {name: _cell(name, seed) for name in (picture.left, picture.right)}
    networks = {name: restore(_weights(cell)).to(device) for name, cell in cells.items()}
    source = cells[picture.left].source
    frames, patches, clips = _attention(networks, stores[source], source, compute, picture)
    lists, films = [], [clips]
    for target in targets:
        network = restore(paths.model(target, seed)).to(device)
        queries = read_table(paths.cross_queries(seed))
        queries = queries[(queries["source"] == target) & (queries["target"] == target)]
        rules = evaluate.of(datasets[target])
        table, film = _lists(network, stores[target], target, queries, rules, compute, picture)
        lists.append(table)
        films.append(film)
    shown = (simulate.domain, source)
    maps = [_map(name, seed, stores, device, compute, picture) for name in shown]
    tables = {
        "frames": frames,
        "patches": patches,
        "lists": pd.concat(lists, ignore_index=True),
        "maps": pd.concat(maps, ignore_index=True),
        "strips": pd.concat(films, ignore_index=True),
    }
    for name, content in tables.items():
        write_table(paths.picture(name), content.assign(seed=seed))


def _cell(variant: str, seed: int) -> Cell:
    path = paths.cell_config(variant, seed)
    cell = parse(Cell, read_json(path), str(path))
    if not cell.model.stt:
        raise InputError(f"params.yaml: picture: the variant {variant} must have model.stt, got it without")
    return cell


def _weights(cell: Cell) -> Path:
    return paths.model(cell.source, cell.seed) if cell.reuses else paths.cell_model(cell.variant, cell.seed)


def _attention(
    networks: Mapping[str, Network], store: Store, source: str, compute: Compute, picture: Picture
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Attention of every frame of the queries, of the patches of a few tracklets, and the strips of these."""
    lengths = {network.frames for network in networks.values()}
    if len(lengths) > 1:
        told = f"must have the same clip.frames, got {sorted(lengths)}"
        raise InputError(f"params.yaml: picture: {picture.left} and {picture.right} {told}")
    test = store.of_split(TEST)
    test = test[test["query"]]
    frames = {name: temporal(network, store, test, compute.embed_batch) for name, network in networks.items()}
    chosen = occluded(frames[picture.left], picture.tracklets)
    some = test[test["tracklet"].isin(chosen)]
    patches = {name: spatial(network, store, some, compute.embed_batch) for name, network in networks.items()}
    cuts = []
    for tracklet in chosen:
        length = int(some.loc[some["tracklet"] == tracklet, "length"].iloc[0])
        for clip, places in enumerate(consecutive_clips(length, lengths.copy().pop())):
            cuts.append((tracklet, clip, np.unique(places)))
    return (
        pd.concat([table.assign(variant=name) for name, table in frames.items()], ignore_index=True),
        pd.concat([table.assign(variant=name) for name, table in patches.items()], ignore_index=True),
        strips(store, source, cuts, picture.height).assign(kind="clip"),
    )


def _lists(
    network: Network,
    store: Store,
    target: str,
    queries: pd.DataFrame,
    evaluate: ResolvedEvaluate,
    compute: Compute,
    picture: Picture,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ranked lists of a target's own model, the hardest queries and some at even steps; and their strips."""
    gallery = store.gallery()
    features = embed_tracklets(network, store, gallery, compute.embed_batch, compute.precision)
    chosen = {"hardest": hardest(queries, picture.failures), "even": evenly(queries, picture.samples)}
    facts = queries.set_index("query")[["identity", "camera", "ap", "first_hit", "length", "visibility"]]
    tables = []
    for kind, asked in chosen.items():
        table = nearest(features, gallery, evaluate, asked, picture.answers)
        told = facts.loc[table["query"]].add_prefix("query_").reset_index(drop=True)
        tables.append(pd.concat([table, told], axis=1).assign(kind=kind, dataset=target))
    lists = pd.concat(tables, ignore_index=True)
    lengths = gallery.set_index("tracklet")["length"]
    tracklets = sorted({*lists["query"], *lists["tracklet"]})
    cuts = [(int(one), -1, spread(int(lengths[one]), picture.frames)) for one in tracklets]
    return lists, strips(store, target, cuts, picture.height).assign(kind="list")


def _map(
    name: str,
    seed: int,
    stores: Mapping[str, Store],
    device: torch.device,
    compute: Compute,
    picture: Picture,
) -> pd.DataFrame:
    """Test tracklets of all data sets that have a test in the space of one model, on a plane."""
    network = restore(paths.model(name, seed)).to(device)
    rows, features = [], []
    tests = {dataset: store for dataset, store in stores.items() if TEST in set(store.tracklets["split"])}
    for dataset, store in tests.items():
        some = drawn(store.of_split(TEST), picture.points, picture.seed)
        features.append(embed_tracklets(network, store, some, compute.embed_batch, compute.precision).numpy())
        rows.append(some[["tracklet", "identity", "camera"]].assign(dataset=dataset))
    table, space = pd.concat(rows, ignore_index=True), np.concatenate(features)
    places = project(space, picture.perplexity, picture.seed)
    own = own_share(space, table["dataset"].to_numpy(str))
    return table.assign(model=name, x=places[:, 0], y=places[:, 1], own=own)


if __name__ == "__main__":
    run(main)
