"""The smallest rank-1 difference that the target sets can show: `python -m bench.power SEED ...`.

Two models (fine-tuned with the spatial constraint, and without it) are trained with every seed: a short
pre-training on the synthetic set of its own, then a short fine-tuning on each target. Every test query's
hit or miss at rank 1 is kept in artifacts/power/, so seeds may be run one by one and side by side. The
hierarchical bootstrap then draws seeds and, in each set, identities (all queries of a person together) with
replacement, and takes the mean over the sets of the difference between the two models. With few seeds that
interval is too narrow for what differs from seed to seed, so a t interval of the seeds' mean differences is
computed too, and the wider one counts. Half its width is the smallest difference that is told from nothing,
"resolved"; one 1.43 times as large is found in 80 % of all studies. The last row compares models of unlike
seeds: two models that share nothing.
"""

import argparse
import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from sttreid.training.start import initialise

from sttreid.analysis.uncertainty import Sample, resampled
from sttreid.config import paths
from sttreid.config.params import Loss, Params, Schedule, load
from sttreid.embedding import embed_tracklets
from sttreid.model.network import Network
from sttreid.model.weights import transfer
from sttreid.retrieval.scoring import score_network
from sttreid.runtime import numerics
from sttreid.tracklets.store import Store, open_store
from sttreid.training.loop import Recipe, fit
from sttreid.training.validation import accuracies

FOLDER: Final = Path("artifacts/power")
INPUTS: Final = (Path("params.yaml"), Path("data.dvc"))  # what the outcomes belong to
PRETRAIN: Final = 300  # steps; the two models only have to be alike, not good
FINETUNE: Final = 200
RESAMPLES: Final = 4000
MODELS: Final = ("with", "without")
ALL: Final = "mean of all"


def train(params: Params, seed: int, pretrain: int = PRETRAIN, finetune: int = FINETUNE) -> pd.DataFrame:
    """One row a query, model and target: target, query, identity, model, seed, hit."""
    device = numerics.prepare(params.compute.threads)
    synthetic = open_store(paths.tracklets(params.simulate.domain))
    start = initialise(params.model, params.clip.frames, synthetic, seed).to(device)
    _fit(params, start, synthetic, params.pretrain, pretrain, params.loss, seed)
    plain = replace(params.loss, spatial=0.0, spatial_part=0.0)
    tables = []
    for target in params.targets:
        store = open_store(paths.tracklets(target))
        for model, loss in zip(MODELS, (params.loss, plain), strict=True):
            network = initialise(params.model, params.clip.frames, store, seed).to(device)
            transfer(start, network)
            _fit(params, network, store, params.finetune, finetune, loss, seed)
            rules = params.evaluate.of(params.datasets[target])
            rows = score_network(
                network, store, rules, params.compute.embed_batch, params.compute.precision
            ).per_query
            hits = rows[rows["matches"] > 0]
            table = hits[["query", "identity"]].assign(hit=(hits["first_hit"] == 1).astype(int))
            tables.append(table.assign(target=target, model=model, seed=seed))
    return pd.concat(tables, ignore_index=True)


def _fit(
    params: Params, network: Network, store: Store, schedule: Schedule, steps: int, loss: Loss, seed: int
) -> None:
    short = replace(schedule, steps=steps, warmup=min(schedule.warmup, steps // 4), eval_every=steps)
    recipe = Recipe(params.augment, params.batch, loss, short, params.compute)
    look = partial(accuracies, store=store, embed=partial(embed_tracklets, batch=params.compute.embed_batch))
    fit(network, store, recipe, seed, look, f"power {seed}")


def differences(table: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Target -> [identities, seeds, 2]: sum of an identity's queries' hit differences, and their number."""
    signed = table.assign(signed=table["hit"] * table["model"].map({"with": 1, "without": -1}))
    out = {}
    for target, rows in signed.groupby("target", sort=False):
        sums = rows.pivot_table(index="identity", columns="seed", values="signed", aggfunc="sum")
        pairs = rows[rows["model"] == "with"]
        counts = pairs.pivot_table(index="identity", columns="seed", values="hit", aggfunc="size")
        out[str(target)] = np.stack([sums.to_numpy(float), counts.to_numpy(float)], -1)
    return out


def unpaired(table: pd.DataFrame) -> pd.DataFrame:
    """The same outcomes, but each model of one kind beside the other kind's model of the next seed."""
    seeds = sorted(table["seed"].unique())
    following = dict(zip(seeds, [*seeds[1:], seeds[0]], strict=True))
    return table.assign(seed=table["seed"].where(table["model"] == MODELS[0], table["seed"].map(following)))


def bootstrap(
    cells: dict[str, NDArray[np.float64]], seed: int, resamples: int = RESAMPLES
) -> NDArray[np.float64]:
    """Differences of rank-1 [resamples], means over the targets, of resampled seeds and identities."""
    samples = [
        Sample(target, "rank1", cell[..., 0].T, cell[:, 0, 1], np.arange(len(cell)))  # as often with any seed
        for target, cell in cells.items()
    ]
    return resampled(samples, resamples, seed)


def seed_interval(cells: dict[str, NDArray[np.float64]]) -> float:
    """Half the width of the 95 % interval of the difference by the t distribution over the seeds alone."""
    means = np.mean([cell[..., 0].sum(0) / cell[..., 1].sum(0) for cell in cells.values()], axis=0)
    count = len(means)
    return float(stats.t.ppf(0.975, count - 1) * means.std(ddof=1) / np.sqrt(count)) if count > 1 else np.inf


def report(table: pd.DataFrame, resamples: int = RESAMPLES) -> str:
    """The power as a Markdown table."""
    cells = differences(table)
    columns = "queries | rank-1 with / without | difference | bootstrap | t, +- | resolved | found in 80 %"
    lines = [f"| sets | {columns} |"]
    lines.append("|:--|--:|--:|--:|--:|--:|--:|--:|")
    unlike = differences(unpaired(table))
    chosen = {
        **{name: {name: cell} for name, cell in cells.items()},
        ALL: cells,
        f"{ALL}, unlike seeds": unlike,
    }
    for name, some in chosen.items():
        low, high = np.quantile(100 * bootstrap(some, 0, resamples), [0.025, 0.975])
        half, seeds_half = (high - low) / 2, 100 * seed_interval(some)
        rows = table[table["target"].isin(list(some))]
        means = 100 * rows.groupby(["target", "model"])["hit"].mean().groupby("model").mean()
        queries = int(sum(cell[:, 0, 1].sum() for cell in some.values()))
        with_it, without = means["with"], means["without"]
        resolved = max(half, seeds_half)
        lines.append(
            f"| {name} | {queries} | {with_it:.1f} / {without:.1f} | {with_it - without:+.1f} | "
            f"{low:.1f} to {high:.1f} | {seeds_half:.1f} | {resolved:.1f} | {resolved * 2.8 / 1.96:.1f} |"
        )
    seeds = sorted(table["seed"].unique())
    return "\n".join([f"{len(seeds)} seeds ({', '.join(map(str, seeds))}); points of rank-1.", "", *lines])


def main(arguments: list[str] | None = None) -> None:
    """Trains the seeds that are given, then reports on all seeds that are there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("seeds", type=int, nargs="*", help="to be trained; none: only report")
    given = parser.parse_args(arguments)
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in INPUTS)).hexdigest()[:12]
    folder = FOLDER / digest
    folder.mkdir(parents=True, exist_ok=True)
    for seed in given.seeds:
        path = folder / f"{seed}.parquet"
        if not path.exists():
            table = train(load(), seed)
            table.to_parquet(path.with_suffix(".tmp"))
            path.with_suffix(".tmp").replace(path)
    tables = [pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))]
    if not tables:
        parser.error("no seed has been trained on these data and parameters yet: name some")
    print(report(pd.concat(tables)))


if __name__ == "__main__":
    main()
