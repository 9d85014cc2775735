"""How far apart are the domains? `python -m bench.domain_gap campus-v2 winter-v2 station-v2 [--steps 3000]`.

Each domain is rendered twice at the scale of its benchmark (domains/benchmark*.yaml): the pinned test set and
a source of further people before the same cameras (``first_identity`` after the last pinned one), so that
nobody of the test is ever learnt. A model that was pre-trained on the synthetic set is fine-tuned on the
source of each domain, with the losses and augmentation of params.yaml and without a share of the starting
weights. Tested on the test set:

- in-domain: the model that was fine-tuned on the same domain
- cross-domain: the mean of those that were fine-tuned on the other domains
- direct transfer: the pre-trained model itself
- histogram: equalised colour histograms, which learn nothing

The gap is in-domain minus direct transfer, with the 95 % interval over test identities (one seed, so it says
nothing about another training). `--steps 0` measures direct transfer alone. artifacts/domain_gap/ keeps
videos, tracklets, models and one row per query (hits.parquet) under digests of what made them.
"""

import argparse
import hashlib
import json
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from bench.power import bootstrap, differences
from sttreid.config import paths
from sttreid.config.conversion import dump
from sttreid.config.domain import Scale, benchmark_of, load_domain
from sttreid.config.params import Params, Schedule, load
from sttreid.data.decoding import decode_videos
from sttreid.data.readers.cameras import READER, read_cameras
from sttreid.model.network import Network
from sttreid.model.weights import restore, save, start_from
from sttreid.retrieval.result import Result
from sttreid.retrieval.scoring import score_histogram, score_network
from sttreid.runtime import numerics
from sttreid.runtime.distributed import SINGLE
from sttreid.runtime.files import write_table
from sttreid.runtime.supervisor import supervise
from sttreid.simulate.dataset import render
from sttreid.simulate.manifest import recipe
from sttreid.stages.training_run import checkpoints, network_for
from sttreid.tracklets.store import Store, open_store
from sttreid.training.loop import Recipe, fit

FOLDER: Final = Path("artifacts/domain_gap")
PEOPLE: Final = 626  # for training: MARS has 625, and look-alikes come in pairs
VALIDATION, REST = 40, 6  # further people of a source: no split may be empty
LR: Final = 0.001
DIRECT, HISTOGRAM = "direct transfer", "histogram"
RESAMPLES: Final = 4000


def main(arguments: list[str] | None = None) -> None:
    """Render, train, test and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("domains", nargs="+", help="of domains/, each in a benchmark file")
    parser.add_argument("--model", type=Path, help="default: the default run's pre-trained model of the seed")
    parser.add_argument(
        "--steps", type=int, default=3000, help="of each fine-tuning; 0: direct transfer alone"
    )
    parser.add_argument("--lr", type=float, default=LR)
    parser.add_argument("--people", type=int, default=PEOPLE, help="even number of training people")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, help="processes that render; default: one per core")
    given = parser.parse_args(arguments)
    params = load()
    start = given.model or paths.model("cross_domain", given.seed, params.simulate.domain)
    numerics.prepare(params.compute.threads, numerics.current())
    models, tests = {DIRECT: restore(start)}, {}
    for name in given.domains:
        _, tests[name] = test_set(name, params, given.workers)
        if given.steps:
            key, source = source_set(name, params, given.people, given.workers)
            schedule = short(params.finetune, given.steps, given.lr)
            models[name] = fine_tuned(key, source, params, schedule, start, given.seed)
    hits = pd.concat([tested(name, store, models, params) for name, store in tests.items()])
    write_table(FOLDER / "hits.parquet", hits.assign(seed=given.seed))
    print(report(hits))


def test_set(name: str, params: Params, workers: int | None) -> tuple[str, Store]:
    """The test set of a domain, at the scale of its benchmark."""
    return rendered(name, plain(benchmark_of(name)), params, workers)


def source_set(name: str, params: Params, people: int, workers: int | None) -> tuple[str, Store]:
    """Further people before the cameras of the test set."""
    scale = plain(benchmark_of(name))
    whole = people + VALIDATION + REST
    return rendered(
        name,
        replace(
            scale,
            first_identity=scale.last_identity + 1,
            identities=whole,
            distractors=0,
            train=people / whole,
            validation=VALIDATION / whole,
        ),
        params,
        workers,
    )


def plain(scale: Scale) -> Scale:
    """The scale of a benchmark without its version."""
    return Scale(**{field.name: getattr(scale, field.name) for field in fields(Scale)})


def rendered(name: str, scale: Scale, params: Params, workers: int | None) -> tuple[str, Store]:
    """The key and the tracklets of a rendering; made once for equal inputs."""
    domain = load_domain(name)
    height, width = params.decode.height, params.decode.width
    key = f"{name}-{digest([recipe(name, domain, scale, None), height, width])}"
    videos, tracklets = FOLDER / "videos" / key, FOLDER / "tracklets" / key
    if not tracklets.exists():
        clock = time.monotonic()
        render(name, domain, scale, videos, workers)
        decode_videos(read_cameras(videos), height, width, tracklets)
        size = sum(path.stat().st_size for path in videos.iterdir())
        words = f"{scale.identities} identities, {size / 1e6:.1f} MB, {time.monotonic() - clock:.0f} s"
        print(f"{key}: {words}", flush=True)
    return key, open_store(tracklets)


def digest(values: object) -> str:
    """Eight digits that change with plain JSON values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def short(schedule: Schedule, steps: int, lr: float) -> Schedule:
    """A fine-tuning of another length and rate that keeps nothing of its start by averaging."""
    warmup = min(schedule.warmup, steps // 4)
    rates = {"lr": lr, "backbone_lr": lr}
    return replace(schedule, steps=steps, warmup=warmup, eval_every=steps, start_weight=0.0, **rates)


def fine_tuned(
    source_key: str, source: Store, params: Params, schedule: Schedule, start: Path, seed: int
) -> Network:
    """The model of a source; trained once for equal inputs."""
    begun = hashlib.sha256(start.read_bytes()).hexdigest()
    sections = [dump(part) for part in (params.clip, params.augment, params.batch, params.model, params.loss)]
    key = f"{source_key}-{digest([sections, dump(schedule), begun, seed])}"
    path = FOLDER / "models" / f"{key}.pt"
    if not path.exists():
        clock = time.process_time()
        network = network_for(source, params.model, params.clip.frames, seed)
        start_from(network, start)
        recipe_of_training = Recipe(params.augment, params.batch, params.loss, schedule, params.compute)
        with checkpoints("domain_gap", key) as folder, supervise(f"gap {key}", folder, SINGLE) as observer:
            fit(network, source, recipe_of_training, seed, SINGLE, observer, lambda *_: {})
            save(network, params.model, path)
        print(f"{key}: {schedule.steps} steps, {time.process_time() - clock:.0f} CPU s", flush=True)
    return restore(path)


def tested(name: str, store: Store, models: dict[str, Network], params: Params) -> pd.DataFrame:
    """One row per query and model: target, model, query, identity, hit (0 or 1), ap."""
    rules = params.evaluate.of(READER.protocol)
    compute, flip = params.compute, params.evaluate.flip
    results = {
        model: score_network(network, store, rules, compute.embed_batch, compute.precision, flip=flip)
        for model, network in models.items()
    }
    results[HISTOGRAM] = score_histogram(store, rules, equalised=True)
    return pd.concat([_hits(result).assign(target=name, model=model) for model, result in results.items()])


def _hits(result: Result) -> pd.DataFrame:
    rows = result.per_query[result.per_query["matches"] > 0]
    return rows[["query", "identity", "ap"]].assign(hit=(rows["first_hit"] == 1).astype(int))


def report(hits: pd.DataFrame) -> str:
    """The results as a Markdown table: rank-1 / mAP in per cent, and gaps of rank-1 in points."""
    scores = 100 * hits.groupby(["target", "model"], sort=False)[["hit", "ap"]].mean()
    targets = list(dict.fromkeys(hits["target"]))
    lines = ["| rank-1 / mAP, % | in-domain | cross-domain | direct transfer | histogram | gap |"]
    lines.append("|:--|--:|--:|--:|--:|--:|")
    columns: dict[str, list[tuple[float, float]]] = {}
    for target in targets:
        of = scores.loc[target]
        others = [model for model in targets if model != target and model in of.index]
        kinds = {"in": [target], "cross": others, "direct": [DIRECT], "histogram": [HISTOGRAM]}
        cells = []
        for kind, models in kinds.items():
            if models and set(models) <= set(of.index):
                pair = tuple(of.loc[models].mean())
                columns.setdefault(kind, []).append(pair)
                cells.append(f"{pair[0]:.1f} / {pair[1]:.1f}")
            else:
                cells.append("")
        lines.append(f"| {target} | {' | '.join(cells)} | {_gap(hits[hits['target'] == target])} |")
    means = [np.mean(columns[kind], axis=0) if kind in columns else None for kind in kinds]
    words = ["" if mean is None else f"{mean[0]:.1f} / {mean[1]:.1f}" for mean in means]
    lines.append(f"| mean | {' | '.join(words)} | {_gap(hits)} |")
    return "\n".join(lines)


def _gap(hits: pd.DataFrame) -> str:
    """In-domain minus direct transfer, with its interval over test identities; empty without in-domain."""
    own = hits[hits["model"] == hits["target"]].assign(model="with")
    start = hits[(hits["model"] == DIRECT) & hits["target"].isin(own["target"])].assign(model="without")
    if own.empty:
        return ""
    pairs = differences(pd.concat([own, start]).assign(seed=0))
    low, high = np.quantile(100 * bootstrap(pairs, 0, RESAMPLES), [0.025, 0.975])
    mean = 100 * float(np.mean([each[..., 0].sum() / each[..., 1].sum() for each in pairs.values()]))
    return f"{mean:+.1f} ({low:.1f} to {high:.1f})"


if __name__ == "__main__":
    main()
