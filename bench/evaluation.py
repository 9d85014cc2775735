"""Cost of evaluation, compared with the bare matrix product and torchreid: `python -m bench.evaluation`.

The features are drawn at random with the counts of MARS or LS-VID (bench/evaluation_set.py); `--million`
extends MARS to a million gallery rows, a memory map in `--folder` (8.2 GB, deleted at the end).
Each measurement is a process of its own, warmed up with a tiny set. It measures one call, from features to
metrics: user and system time of all threads, and the growth of the peak of resident memory (VmHWM, reset by
/proc/self/clear_refs; with a memory map, whose pages the kernel can reclaim, the anonymous memory, RssAnon,
sampled every 5 ms). The candidates take turns; a ratio is the median of the rounds' ratios. The baseline is
the product of torch or of numpy, whichever takes less CPU time.

torchreid's metrics are measured if `--torchreid` names a folder with two files: rank.py of the PyPI package
(`pip download --no-deps --no-binary :all: torchreid==0.2.5`), and rank_cy.pyx, which is in no package,
compiled: it is in torchreid/metrics/rank_cylib/ of github.com/KaiyangZhou/deep-person-reid, and
`cythonize -i rank_cy.pyx` compiles it (Cython 3, no change needed). Its cost excludes normalisation, because
the features have length 1, and the removal of junk, which torchreid's readers never load: its gallery has
none.
"""

import argparse
import importlib.util
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from threading import Event, Thread
from types import ModuleType
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from bench.evaluation_set import SIZES, TINY, EvaluationSet, Size, generate, load

BLOCK: Final = 4096  # gallery rows at once
PERIOD: Final = 0.005  # seconds between two samples of the anonymous memory
MEMORY: Final = {"mars": 100.0, "million": 250.0}  # limit of the extra memory, MB


@dataclass(frozen=True)
class Outcome:
    """A candidate's metrics, NaN if it has none; CPU seconds of its ranking alone if they are measured."""

    rank1: float = np.nan
    mAP: float = np.nan  # noqa: N815 - the measure's own name
    ranking: float | None = None


# The preparation of a call is not measured.
Call = Callable[[], Outcome]


def done(_: object) -> Outcome:
    """The outcome of a bare product: no metrics."""
    return Outcome()


def torch_product(data: EvaluationSet) -> Call:
    """The bare product by torch, with the full result."""
    queries, gallery = torch.from_numpy(data.queries), torch.from_numpy(data.features)
    return lambda: done(torch.mm(queries, gallery.t()))


def numpy_product(data: EvaluationSet) -> Call:
    """The same by numpy."""
    return lambda: done(data.queries @ data.features.T)


def torch_blocks(data: EvaluationSet) -> Call:
    """The bare product by torch for BLOCK rows of the gallery at a time; each result is overwritten."""
    queries = torch.from_numpy(data.queries)

    def call() -> Outcome:
        out = torch.empty(len(queries) * BLOCK)
        for start in range(0, len(data.features), BLOCK):
            rows = torch.from_numpy(data.features[start : start + BLOCK])
            torch.mm(queries, rows.t(), out=out[: len(queries) * len(rows)].view(len(queries), -1))
        return Outcome()

    return call


def numpy_blocks(data: EvaluationSet) -> Call:
    """The same by numpy."""

    def call() -> Outcome:
        out = np.empty(len(data.queries) * BLOCK, np.float32)
        for start in range(0, len(data.features), BLOCK):
            rows = data.features[start : start + BLOCK]
            np.matmul(data.queries, rows.T, out=out[: len(out) // BLOCK * len(rows)].reshape(-1, len(rows)))
        return Outcome()

    return call


def sttreid(data: EvaluationSet) -> Call:
    """This project's evaluator."""
    from sttreid.retrieval import Labels, evaluate, protocol

    query = Labels(data.identity[data.query], data.camera[data.query])
    masks = {"query": data.query, "distractor": data.distractor, "junk": data.junk}
    gallery = Labels(data.identity, data.camera, **masks)
    rules = protocol("market")

    def call() -> Outcome:
        result = evaluate(data.queries, data.features, query, gallery, rules)
        return Outcome(result.rank1, result.mAP)

    return call


def torchreid(data: EvaluationSet, rank: Callable[..., tuple[NDArray[np.float32], float]]) -> Call:
    """A function of torchreid, and the cosine distances that it needs, computed as torchreid does."""
    queries = torch.from_numpy(data.queries)
    gallery = torch.from_numpy(data.features[~data.junk])
    sides = [column[rows] for column in (data.identity, data.camera) for rows in (data.query, ~data.junk)]

    def call() -> Outcome:
        distances = torch.mm(queries, gallery.t()).neg_().add_(1).numpy()
        start = cpu()
        curve, mean = rank(distances, *sides, 20)
        return Outcome(float(curve[0]), float(mean), cpu() - start)

    return call


def module(folder: Path, pattern: str) -> ModuleType:
    """torchreid's file of that name, without the rest of the package."""
    path = next(folder.glob(pattern))
    spec = importlib.util.spec_from_file_location(pattern.split(".")[0], path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings(action="ignore"):  # of rank.py, about the compiled file
        spec.loader.exec_module(loaded)
    return loaded


PRODUCTS: Final = {"torch product": torch_product, "numpy product": numpy_product}
BLOCKS: Final = {"torch in blocks": torch_blocks, "numpy in blocks": numpy_blocks}
BUILT_IN: Final = PRODUCTS | BLOCKS | {"sttreid": sttreid}


def prepare(candidate: str, data: EvaluationSet, folder: Path | None) -> Call:
    """A candidate by its name; `folder` contains torchreid's two files."""
    if candidate in BUILT_IN:
        return BUILT_IN[candidate](data)
    assert folder is not None
    if candidate == "cython":
        return torchreid(data, module(folder, "rank_cy.*.so").evaluate_cy)
    return torchreid(data, module(folder, "rank.py").eval_market1501)


@dataclass(frozen=True)
class Cost:
    """One call: seconds of CPU and clock, growth of the peak of resident memory in MB (10^6), the outcome."""

    cpu: float
    wall: float
    memory: float
    outcome: Outcome


def cpu() -> float:
    """User and system seconds of this process so far, and of its children that have ended."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def resident(name: str) -> float:
    """VmRSS, VmHWM or RssAnon of this process in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024 / 1e6


def measure(call: Call, mapped: bool) -> Cost:
    """Cost of one call, without the thread that samples the memory if there is a memory map."""
    stop, peak, sampling = Event(), [resident("RssAnon")], [0.0]

    def watch() -> None:
        while not stop.wait(PERIOD):
            peak.append(max(peak.pop(), resident("RssAnon")))
        sampling[0] = time.thread_time()

    thread = Thread(target=watch)
    before = resident("RssAnon" if mapped else "VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    if mapped:
        thread.start()
    start, clock = cpu(), time.monotonic()
    outcome = call()
    wall = time.monotonic() - clock
    stop.set()
    if mapped:
        thread.join()
    seconds = cpu() - start - sampling[0]
    return Cost(seconds, wall, (peak[0] if mapped else resident("VmHWM")) - before, outcome)


def run(candidate: str, folder: Path, mapped: bool, threads: int, files: Path | None) -> Cost:
    """Measure a candidate in a process of its own."""
    given = json.dumps([candidate, str(folder), mapped, threads, str(files) if files else None])
    libraries = ("OMP", "OPENBLAS", "MKL", "NUMBA")
    env = os.environ | {f"{library}_NUM_THREADS": str(threads) for library in libraries}
    words = [sys.executable, "-m", "bench.evaluation", "--measure", given]
    line = subprocess.run(words, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[
        -1
    ]
    values = json.loads(line)
    return Cost(**values | {"outcome": Outcome(**values["outcome"])})


def child(given: str) -> None:
    """The process of :func:`run`."""
    candidate, folder, mapped, threads, files = json.loads(given)
    torch.set_num_threads(threads)
    where = Path(files) if files else None
    prepare(candidate, load(Path(folder) / "warm", mapped), where)()
    call = prepare(candidate, load(Path(folder), mapped), where)
    print(json.dumps(asdict(measure(call, mapped))))


Costs = dict[str, list[Cost]]  # candidate -> its cost in each round


def rounds(size: Size, candidates: list[str], repeats: int, options: argparse.Namespace) -> Costs:
    """Generate an evaluation set in a temporary folder and measure the candidates in turn, `python` once."""
    need, free = (
        size.gallery * size.width * 4,
        shutil.disk_usage(options.folder or tempfile.gettempdir()).free,
    )
    if free < 1.2 * need:
        raise SystemExit(f"--folder: {1.2 * need / 1e9:.1f} GB must be free, got {free / 1e9:.1f} GB")
    costs: Costs = {candidate: [] for candidate in candidates}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        (folder / "warm").mkdir()
        generate(size, folder)
        generate(replace(TINY, width=size.width), folder / "warm")
        mapped = not BLOCKS.keys().isdisjoint(candidates)
        for turn in range(repeats):
            for candidate in candidates:
                if turn == 0 or candidate != "python":
                    costs[candidate].append(
                        run(candidate, folder, mapped, options.threads, options.torchreid)
                    )
    return costs


def ratio(costs: Costs, above: str, below: str) -> float:
    """The median of the rounds' ratios of CPU seconds."""
    return median(a.cpu / b.cpu for a, b in zip(costs[above], costs[below], strict=False))


def baseline(costs: Costs) -> str:
    """The product that takes the fewest CPU seconds."""
    products = costs.keys() & (PRODUCTS | BLOCKS)
    return min(products, key=lambda name: median(cost.cpu for cost in costs[name]))


def table(costs: Costs) -> str:
    """A Markdown table of medians, one row a candidate."""
    lines = ["| candidate | rounds | CPU s | wall s | extra MB | x product | rank-1 | mAP |"]
    lines.append("|:--|" + "--:|" * 7)
    least = baseline(costs)
    for name, rows in costs.items():
        seconds, wall, memory = (median(getattr(c, key) for c in rows) for key in ("cpu", "wall", "memory"))
        times = f"{len(rows)} | {seconds:.2f} | {wall:.2f} | {memory:.0f} | {ratio(costs, name, least):.2f}"
        outcome = rows[0].outcome
        rates = [f"{100 * rate:.4f}" if rate == rate else "" for rate in (outcome.rank1, outcome.mAP)]
        lines.append(f"| {name} | {times} | {rates[0]} | {rates[1]} |")
        if outcome.ranking is not None:
            alone = [cost.outcome.ranking or 0.0 for cost in rows]
            share = median(a / cost.cpu for a, cost in zip(alone, costs[least], strict=False))
            lines.append(
                f"| {name}, ranking alone | {len(rows)} | {median(alone):.2f} | | | {share:.2f} | | |"
            )
    return "\n".join(lines)


def limits(costs: Costs, memory: float | None) -> Iterator[str]:
    """The limits of the evaluator's cost and what was measured: a sentence each.

    Args:
        costs: of one size.
        memory: limit of the extra memory in MB; None: no limit.
    """
    if "sttreid" not in costs:
        return
    least = baseline(costs)
    rules = [("at most", ratio(costs, "sttreid", least), 1.5, f"CPU time of sttreid / {least}")]
    for rival, limit in (("cython", 1.4), ("python", 15.0)):
        if rival in costs:
            rules.append(
                ("at least", ratio(costs, rival, "sttreid"), limit, f"CPU time of {rival} / sttreid")
            )
    if memory is not None:
        used = median(cost.memory for cost in costs["sttreid"])
        rules.append(("at most", used, memory, "extra memory of sttreid in MB"))
    for rule, value, limit, what in rules:
        held = value <= limit if rule == "at most" else value >= limit
        yield f"{what}: {value:.2f}, {rule} {limit:g}: {'held' if held else 'MISSED'}"
    yield from agreement(costs)


def agreement(costs: Costs) -> Iterator[str]:
    """Whether torchreid's metrics are the same: its rank-1 is a float32, its mAP a sum of float32."""
    ours = costs["sttreid"][0].outcome
    for rival in ("cython", "python"):
        if rival in costs:
            other = costs[rival][0].outcome
            gap = abs(other.mAP - ours.mAP)
            same = "equal" if np.float32(other.rank1) == np.float32(ours.rank1) else "DIFFERENT"
            held = "held" if gap <= 1e-5 else "MISSED"
            yield f"{rival} and sttreid: rank-1 {same}; mAP differs by {gap:.1e}, at most 1e-05: {held}"


def main(words: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", nargs="*", default=["mars"], choices=["mars", "lsvid"])
    parser.add_argument(
        "--million", action="store_true", help="also with a million gallery rows, 3 rounds at most"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--torchreid", type=Path, help="folder with rank.py and the compiled rank_cy.pyx")
    parser.add_argument(
        "--folder", type=Path, help="of the temporary features; default: the system's temporary folder"
    )
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.measure:
        child(options.measure)
        return
    versions = f"torch {torch.__version__}, numpy {np.__version__}"
    print(f"{versions}, {options.threads} threads on {os.cpu_count()} processors")
    rivals = ["cython", "python"] if options.torchreid else []
    if not rivals:
        print("torchreid's metrics are not measured: --torchreid names no folder")
    for name in options.size:
        show(name, rounds(SIZES[name], [*PRODUCTS, "sttreid", *rivals], options.repeats, options))
    if options.million:
        show("million", rounds(SIZES["million"], [*BLOCKS, "sttreid"], min(options.repeats, 3), options))


def show(name: str, costs: Costs) -> None:
    """Print a size's table and limits."""
    size = SIZES[name]
    print(
        f"\n{name}: {size.queries} queries x {size.gallery} gallery rows x {size.width}\n\n{table(costs)}\n"
    )
    print("\n".join(limits(costs, MEMORY.get(name))), flush=True)


if __name__ == "__main__":
    main()
