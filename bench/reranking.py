"""Cost of re-ranking at the size of MARS, and its difference from another implementation.

    python -m bench.reranking [--queries 1980 --gallery 11310 --width 2048] [--reference PATH]

PATH is a file with torchreid's function `re_ranking(q_g_dist, q_q_dist, g_g_dist, k1, k2, lambda_value)`,
which is not part of this repository. Its input is Euclidean distances in single precision; their cost
counts. Each candidate runs in a process of its own. Its memory is the peak above what imports and features
need. Identities are clusters in 64 dimensions, projected to all dimensions, plus noise.
"""

import argparse
import importlib.util
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bench.evaluation import installed
from bench.figures import Figure, at_most, command_line, compared, missing
from sttreid.model.distances import euclidean
from sttreid.retrieval.rerank import rerank

Floats = NDArray[np.float32]
Candidate = Callable[[Floats, Floats, int, int, float], Floats]

DIRECTIONS: Final = 64
TRACKLETS: Final = 18  # of an identity in the gallery, on average, as in MARS
SIDES: Final = ("queries", "gallery")
OURS, REFERENCE = "sttreid", "reference"
QUIET: Final = 0.7  # share of the threads' time by the clock that is CPU time on a quiet machine
TOLERANCE: Final = 1e-5  # well above rounding in single precision


@dataclass(frozen=True)
class Setting:
    """The input of each candidate: features in a folder, threads, and the parameters of re-ranking."""

    folder: Path
    threads: int
    k1: int
    k2: int
    weight: float


@dataclass(frozen=True)
class Cost:
    """Of one run: seconds, and memory in MB."""

    wall: float
    cpu: float
    memory: float


def make(folder: Path, queries: int, gallery: int, width: int, copies: bool, seed: int) -> None:
    """Write the features of both sides; with copies, the queries are rows of the gallery."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(gallery // TRACKLETS, 1), DIRECTIONS), np.float32)
    projection = rng.standard_normal((DIRECTIONS, width), np.float32) / np.float32(DIRECTIONS**0.5)
    sides = {}
    for side, count in zip(SIDES, (queries, gallery), strict=True):
        clusters = rng.choice(centres, count) + rng.standard_normal((count, DIRECTIONS), np.float32)
        noise = rng.standard_normal((count, width), np.float32)
        sides[side] = clusters @ projection + np.float32(0.3) * noise
    if copies:
        sides["queries"] = sides["gallery"][rng.choice(gallery, queries, replace=False)]
    for side, features in sides.items():
        np.save(folder / f"{side}.npy", features)


def measure(setting: Setting, name: str, path: Path | None = None) -> Cost:
    """Run this repository's re-ranking, or a file's, in a process that writes its result to the folder."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (setting, name, path))


def _measure(setting: Setting, name: str, path: Path | None) -> Cost:
    torch.set_num_threads(setting.threads)
    threadpool_limits(setting.threads, user_api="blas")  # for the rest of the process
    run = rerank if path is None else dense(path)
    features = [np.load(setting.folder / f"{side}.npy") for side in SIDES]
    before, cpu, wall = memory("VmRSS"), time.process_time(), time.monotonic()
    distances = run(*features, setting.k1, setting.k2, setting.weight)
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    cost = Cost(wall, cpu, memory("VmHWM") - before)
    np.save(setting.folder / f"{name}.npy", distances)
    return cost


def dense(path: Path) -> Candidate:
    """The implementation in a file, on matrices of all pairs."""
    spec = importlib.util.spec_from_file_location(REFERENCE, path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"--reference must be a Python file, got {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(queries: Floats, gallery: Floats, k1: int, k2: int, weight: float) -> Floats:
        a, b = (torch.nn.functional.normalize(torch.from_numpy(side)) for side in (queries, gallery))
        matrices = [euclidean(x, y).numpy() for x, y in ((a, b), (a, a), (b, b))]
        distances: Floats = module.re_ranking(*matrices, k1=k1, k2=k2, lambda_value=weight)
        return distances

    return run


def memory(field: str) -> float:
    """Resident memory of this process (VmRSS) or its peak (VmHWM) in MB; Linux only."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise SystemExit(f"/proc/self/status has no {field}")


def gap(ours: Floats, theirs: Floats) -> str:
    """The difference of two results, in words."""
    difference = np.abs(ours - theirs)
    far = difference > TOLERANCE
    rows = int(far.any(axis=1).sum())
    return (
        f"largest difference {difference.max():.1e}, mean {difference.mean():.1e}; more than {TOLERANCE:.0e}:"
        f" {int(far.sum())} of {far.size} distances, in {rows} of {len(far)} queries"
    )


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_line("reranking", __doc__, figures)
    numbers = {"queries": 1980, "gallery": 11310, "width": 2048, "k1": 20, "k2": 6, "threads": 2, "seed": 0}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default, help="default: %(default)s")
    parser.add_argument("--weight", type=float, default=0.3, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=1, help="the fastest is shown (default: %(default)s)")
    parser.add_argument("--copies", action="store_true", help="queries are rows of the gallery")
    parser.add_argument("--reference", type=Path, help="a file with torchreid's re_ranking")
    return parser


def figures(queries: int = 1980, gallery: int = 11310, rounds: int = 3) -> Iterator[Figure]:
    """What docs/performance.md quotes; torchreid's program once, because it takes minutes."""
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        setting = Setting(Path(name), cores, 20, 6, 0.3)
        make(setting.folder, queries, gallery, 2048, copies=False, seed=0)
        ours = [measure(setting, OURS) for _ in range(rounds)]
        other = measure(setting, REFERENCE, installed("utils/rerank.py"))
        pair = [np.load(setting.folder / f"{label}.npy") for label in (OURS, REFERENCE)]
    what, against = f"re-rank {queries:,} x {gallery:,} x 2,048", "torchreid's re_ranking"
    yield compared(what, "CPU-s", [c.cpu for c in ours], against, [other.cpu], at_most(5, "ours"), gap(*pair))
    clock, limit = f"{what}, by the clock, threads: {cores}", at_most(5, "ours")
    if all(c.cpu > QUIET * cores * c.wall for c in (*ours, other)):
        yield compared(clock, "s", [c.wall for c in ours], against, [other.wall], limit)
    else:
        yield missing(clock, "other work took a part of the processors", limit)
    memory = [c.memory for c in ours], against, [other.memory]
    yield compared(f"{what}: memory beside the features", "MB", *memory, target=at_most(300, "ours"))


def main(words: list[str] | None = None) -> None:
    """Measure and print."""
    parser = arguments()
    given = parser.parse_args(words)
    candidates = {OURS: None} | ({REFERENCE: given.reference} if given.reference else {})
    with tempfile.TemporaryDirectory() as name:
        setting = Setting(Path(name), given.threads, given.k1, given.k2, given.weight)
        make(setting.folder, given.queries, given.gallery, given.width, given.copies, given.seed)
        print(f"{given.queries} queries, {given.gallery} tracklets, {given.width} numbers each")
        for label, path in candidates.items():
            costs = [measure(setting, label, path) for _ in range(given.rounds)]
            best = min(costs, key=lambda cost: cost.wall)
            print(f"{label}: {best.wall:.1f} s, {best.cpu:.1f} CPU-s, {best.memory:.0f} MB", flush=True)
        if given.reference:
            print(gap(*(np.load(setting.folder / f"{label}.npy") for label in candidates)))


if __name__ == "__main__":
    main()
