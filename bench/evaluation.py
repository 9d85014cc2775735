"""Cost of evaluation, compared with bare matrix products and other evaluators: `python -m bench.evaluation`.

The features are drawn at random with the counts of MARS or LS-VID (bench/evaluation_set.py); `--size million`
extends MARS to a million gallery rows, a memory map in `--folder` (8.2 GB, deleted at the end).
Each measurement is a process of its own, warmed up with a tiny set. It measures one call, from features to
metrics: user and system time of all threads, and the growth of the peak of resident memory (VmHWM, reset by
/proc/self/clear_refs; with a memory map, whose pages the kernel can reclaim, the anonymous memory, RssAnon,
sampled every 5 ms). The candidates (bench/evaluation_candidates.py) take turns; a ratio is the median of the
rounds' ratios. The baseline is the product of torch or of numpy, whichever takes less CPU time. torchreid's
Cython is measured if `--torchreid` names a folder with the compiled file. `--json` prints a row for each
alternative: the ratio of our cost to it, and its spread over the rounds.
"""

import argparse
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import Any, Final

import numpy as np
import torch

from bench.evaluation_candidates import BLOCKS, ONCE, PRODUCTS, Call, Outcome, names, prepare
from bench.evaluation_set import SIZES, TINY, Size, generate, load

PAGE: Final = 0.004096  # MB, the least that memory grows by
PERIOD: Final = 0.005  # seconds between two samples of the anonymous memory
MEMORY: Final = {"mars": 100.0, "million": 250.0}  # limit of the extra memory, MB
LIMITS: Final = (("cython", 1.0), ("float64", 1.0), ("python", 15.0))  # least ratio of their CPU time to ours
PRODUCT: Final = 1.75  # largest ratio of our CPU time to that of the product


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
    grown = (peak[0] if mapped else resident("VmHWM")) - before
    return Cost(seconds, wall, max(grown, PAGE), outcome)


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


def rounds(size: Size, repeats: int, options: argparse.Namespace, mapped: bool) -> Costs:
    """Generate an evaluation set in a temporary folder and measure the candidates in turn."""
    need, free = (
        size.gallery * size.width * 4,
        shutil.disk_usage(options.folder or tempfile.gettempdir()).free,
    )
    if free < 1.2 * need:
        raise SystemExit(f"--folder: {1.2 * need / 1e9:.1f} GB must be free, got {free / 1e9:.1f} GB")
    costs: Costs = {candidate: [] for candidate in names(mapped, options.torchreid)}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        (folder / "warm").mkdir()
        generate(size, folder)
        generate(replace(TINY, width=size.width), folder / "warm")
        for turn in range(repeats):
            for candidate, of_candidate in costs.items():
                if turn == 0 or candidate not in ONCE:
                    of_candidate.append(run(candidate, folder, mapped, options.threads, options.torchreid))
    return costs


def ratios(costs: Costs, above: str, below: str) -> list[float]:
    """The rounds' ratios of CPU seconds."""
    return [a.cpu / b.cpu for a, b in zip(costs[above], costs[below], strict=False)]


def ratio(costs: Costs, above: str, below: str) -> float:
    """The median of the rounds' ratios."""
    return median(ratios(costs, above, below))


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
    rules = [("at most", ratio(costs, "sttreid", least), PRODUCT, f"CPU time of sttreid / {least}")]
    for rival, limit in LIMITS:
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
    """Whether the others' metrics are the same: torchreid's rank-1 is a float32, its mAP a sum of float32."""
    ours = costs["sttreid"][0].outcome
    for rival, rows in costs.items():
        other = rows[0].outcome
        if rival != "sttreid" and other.mAP == other.mAP:
            gap = abs(other.mAP - ours.mAP)
            same = "equal" if np.float32(other.rank1) == np.float32(ours.rank1) else "DIFFERENT"
            held = "held" if gap <= 1e-5 else "MISSED"
            yield f"{rival} and sttreid: rank-1 {same}; mAP differs by {gap:.1e}, at most 1e-05: {held}"


def compared(name: str, costs: Costs) -> Iterator[dict[str, Any]]:
    """A row for each alternative: CPU seconds, and extra memory where the alternative has metrics."""
    for rival, rows in costs.items():
        if rival == "sttreid" or (rival in PRODUCTS | BLOCKS and rival != baseline(costs)):
            continue
        units = {"cpu": "CPU s"} | ({"memory": "MB"} if rows[0].outcome.mAP == rows[0].outcome.mAP else {})
        for key, unit in units.items():
            ours, theirs = ([getattr(cost, key) for cost in costs[each]] for each in ("sttreid", rival))
            quotients = [a / b for a, b in zip(ours, theirs, strict=False)]
            yield {
                "what": f"evaluation, {name}, against {rival}",
                "ours": median(ours),
                "alternative": median(theirs),
                "ratio": median(quotients),
                "spread": [min(quotients), max(quotients)],
                "unit": unit,
            }


def machine(threads: int) -> dict[str, Any]:
    """What a ratio depends on: the processor and its widest vectors, versions, threads."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    fields = dict(part for line in lines if len(part := re.split(r"\s*:\s*", line, maxsplit=1)) == 2)
    model = fields.get("model name", platform.machine())
    widest = [name for name in ("amx_tile", "avx512f", "avx2") if name in fields.get("flags", "").split()]
    return {
        "processor": f"{model} ({', '.join(widest)})",
        "cores": os.cpu_count(),
        "threads": threads,
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def main(words: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", nargs="*", default=["mars"], choices=list(SIZES))
    parser.add_argument("--repeats", type=int, default=5, help="rounds; a million has 3 at most")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--torchreid", type=Path, help="folder with rank.py and the compiled rank_cy.pyx")
    parser.add_argument(
        "--folder", type=Path, help="of the temporary features; default: the system's temporary folder"
    )
    parser.add_argument("--json", action="store_true", help="print the ratios as JSON, and nothing else")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.measure:
        child(options.measure)
        return
    rows: list[dict[str, Any]] = []
    if not options.json:
        print(", ".join(f"{key} {value}" for key, value in machine(options.threads).items()))
    for name in options.size:
        mapped = name == "million"
        costs = rounds(SIZES[name], min(options.repeats, 3) if mapped else options.repeats, options, mapped)
        rows += compared(name, costs)
        if not options.json:
            show(name, costs)
    if options.json:
        print(json.dumps({"machine": machine(options.threads), "rows": rows}, indent=1))


def show(name: str, costs: Costs) -> None:
    """Print a size's table and limits."""
    size = SIZES[name]
    print(
        f"\n{name}: {size.queries} queries x {size.gallery} gallery rows x {size.width}\n\n{table(costs)}\n"
    )
    print("\n".join(limits(costs, MEMORY.get(name))), flush=True)


if __name__ == "__main__":
    main()
