"""The smallest rank-1 difference that the target sets can show: `python -m bench.power SEED ...`.

Two models, fine-tuned with and without the spatial constraint, are trained with every seed: a short
pre-training on the synthetic set, then a short fine-tuning on each target. artifacts/power/ keeps the
rank-1 hit of every query, so seeds can be trained one after the other or at the same time.

The hierarchical bootstrap resamples seeds and, in each set, identities (with all their queries), and takes
the mean over the sets of the difference between the two models. With few seeds its interval is too narrow
for the variance between seeds, so a t interval of the seeds' mean differences is computed too; the wider
one counts. Half its width is the smallest significant difference, "resolved"; a difference 1.43 times as
large is significant in 80 % of all studies. The last row pairs models of different seeds, which share
nothing.
"""

import argparse
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from sttreid.analysis.uncertainty import Sample, resampled
from sttreid.config import paths
from sttreid.config.params import Loss, Params, Schedule, load
from sttreid.data.registry import protocol_name
from sttreid.model.network import Network
from sttreid.model.weights import transfer
from sttreid.retrieval.scoring import score_network
from sttreid.runtime import numerics
from sttreid.runtime.distributed import SINGLE
from sttreid.runtime.supervisor import supervise
from sttreid.stages.training_run import network_for
from sttreid.tracklets.store import Store, open_store
from sttreid.training.loop import Recipe, fit

FOLDER: Final = Path("artifacts/power")
INPUTS: Final = (Path("params.yaml"), Path("data.dvc"))  # the outcomes depend on these
PRETRAIN: Final = 300  # steps; the two models must be comparable, not good
FINETUNE: Final = 200
RESAMPLES: Final = 4000
MODELS: Final = ("with", "without")
ALL: Final = "mean of all"


def train(params: Params, seed: int, pretrain: int = PRETRAIN, finetune: int = FINETUNE) -> pd.DataFrame:
    """One row per query, model and target: target, query, identity, model, seed, hit."""
    device = numerics.prepare(params.compute.threads, numerics.current())
    synthetic = open_store(paths.tracklets(params.simulate.domain))
    start = network_for(synthetic, params.model, params.clip.frames, seed).to(device)
    _fit(params, start, synthetic, params.pretrain, pretrain, params.loss, seed)
    plain = replace(params.loss, spatial=0.0, spatial_part=0.0)
    tables = []
    for target in params.targets:
        store = open_store(paths.tracklets(target))
        for model, loss in zip(MODELS, (params.loss, plain), strict=True):
            network = network_for(store, params.model, params.clip.frames, seed).to(device)
            transfer(start, network)
            _fit(params, network, store, params.finetune, finetune, loss, seed)
            rules = params.evaluate.of(protocol_name(params.datasets[target]))
            rows = score_network(
                network,
                store,
                rules,
                params.compute.embed_batch,
                params.compute.precision,
                flip=params.evaluate.flip,
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
    with supervise(f"power {seed}", None, SINGLE) as observer:
        fit(network, store, recipe, seed, SINGLE, observer)


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
    """The same outcomes, with each model of one kind paired with the other kind's model of the next seed."""
    seeds = sorted(table["seed"].unique())
    following = dict(zip(seeds, [*seeds[1:], seeds[0]], strict=True))
    return table.assign(seed=table["seed"].where(table["model"] == MODELS[0], table["seed"].map(following)))


def bootstrap(
    hits: dict[str, NDArray[np.float64]], seed: int, resamples: int = RESAMPLES
) -> NDArray[np.float64]:
    """Differences of rank-1 [resamples], means over the targets, of resampled seeds and identities."""
    samples = [
        Sample(target, "rank1", array[..., 0].T, array[:, 0, 1], np.arange(len(array)))
        for target, array in hits.items()
    ]
    return resampled(samples, resamples, seed)


def seed_interval(hits: dict[str, NDArray[np.float64]]) -> float:
    """Half the width of the 95 % interval of the difference by the t distribution over the seeds alone."""
    means = np.mean([array[..., 0].sum(0) / array[..., 1].sum(0) for array in hits.values()], axis=0)
    count = len(means)
    return float(stats.t.ppf(0.975, count - 1) * means.std(ddof=1) / np.sqrt(count)) if count > 1 else np.inf


def report(table: pd.DataFrame, resamples: int = RESAMPLES) -> str:
    """The power as a Markdown table."""
    hits = differences(table)
    columns = (
        "queries | rank-1 with / without | difference | bootstrap | t, +- | resolved | significant in 80 %"
    )
    lines = [f"| sets | {columns} |"]
    lines.append("|:--|--:|--:|--:|--:|--:|--:|--:|")
    chosen = {
        **{name: {name: array} for name, array in hits.items()},
        ALL: hits,
        f"{ALL}, different seeds": differences(unpaired(table)),
    }
    for name, sets in chosen.items():
        low, high = np.quantile(100 * bootstrap(sets, 0, resamples), [0.025, 0.975])
        half, seeds_half = (high - low) / 2, 100 * seed_interval(sets)
        rows = table[table["target"].isin(list(sets))]
        means = 100 * rows.groupby(["target", "model"])["hit"].mean().groupby("model").mean()
        queries = int(sum(array[:, 0, 1].sum() for array in sets.values()))
        with_it, without = means["with"], means["without"]
        resolved = max(half, seeds_half)
        lines.append(
            f"| {name} | {queries} | {with_it:.1f} / {without:.1f} | {with_it - without:+.1f} | "
            f"{low:.1f} to {high:.1f} | {seeds_half:.1f} | {resolved:.1f} | {resolved * 2.8 / 1.96:.1f} |"
        )
    seeds = sorted(table["seed"].unique())
    return "\n".join([f"{len(seeds)} seeds ({', '.join(map(str, seeds))}); points of rank-1.", "", *lines])


def main(arguments: list[str] | None = None) -> None:
    """Train the given seeds, then report on all trained seeds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("seeds", type=int, nargs="*", help="to train; none: report only")
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
        parser.error("no seed has been trained with these data and parameters: give seeds")
    print(report(pd.concat(tables)))


if __name__ == "__main__":
    main()
