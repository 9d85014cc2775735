"""What the simulator costs: `python -m bench.simulator`. CPU seconds count imports, workers and x264.

Renderings are processes of their own. The first is of a tiny set and has an empty cache of machine code: what
it takes longer than the second is paid once after an installation.
"""

import cProfile
import multiprocessing
import os
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from sttreid.config.domain import Scale
from sttreid.config.params import Params, load
from sttreid.simulate.plan import sightings
from sttreid.simulate.render import film

TINY: Final = ["identities=6", "cameras=2", "shortest=6", "longest=6", "width=160", "height=96"]
PARTS: Final = {  # function -> what it does
    "encode": "x264",
    "shade": "people: cloth and light",
    "rasterise": "people: depth buffer",
    "composite": "people: laying over the picture",
    "_expose": "sensor and colour planes",
    "stencil": "shadows",
    "darken": "shadows",
    "photograph": "still scene",
}


@dataclass(frozen=True)
class Cost:
    """Of one rendering: seconds, and crops in the end."""

    cpu: float
    wall: float
    crops: int


def render(domain: str, scale: list[str], workers: int, cache: str | None = None) -> Cost:
    """What `python -m sttreid.simulate render` costs."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        words = ["render", domain, str(out), "--workers", str(workers)]
        words += ["--scale", *scale] if scale else []
        before, start = os.times(), time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "sttreid.simulate", *words],
            env=os.environ | ({"NUMBA_CACHE_DIR": cache} if cache else {}),
            check=True,
        )
        wall, after = time.monotonic() - start, os.times()
        cpu = after[2] + after[3] - before[2] - before[3]
        return Cost(cpu, wall, sum(len(path.read_text().splitlines()) for path in out.glob("c*.txt")))


def peak(params: Params, identities: int) -> float:
    """Peak memory in MB of a process that films one camera of the synthetic domain with so many people."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_film, (params, identities))


def _film(params: Params, identities: int) -> float:
    domain = params.domains[params.simulate.domain]
    with tempfile.TemporaryDirectory() as folder:
        film("peak", domain, params.simulate, 1, list(range(1, identities + 1)), Path(folder), lambda _: None)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def parts(params: Params) -> dict[str, float]:
    """Shares of the time of filming one camera of the synthetic set."""
    simulate = params.simulate
    domain = params.domains[simulate.domain]
    who = sightings(simulate.domain, domain, simulate)[1]
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        given = (simulate.domain, domain, simulate, 1, who, Path(folder), lambda _: None)
        film(*given)  # compiles
        profile.runcall(film, *given)
    seconds: dict[str, float] = defaultdict(float)
    for (_, _, name), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        part = next((PARTS[key] for key in PARTS if name == key or f"'{key}' of" in name), "the rest")
        seconds[part] += own
    total = sum(seconds.values())
    return {part: seconds[part] / total for part in sorted(seconds, key=lambda key: -seconds[key])}


def main() -> None:
    """Measures and prints."""
    params = load()
    simulate = params.simulate
    scale = [f"{field.name}={getattr(simulate, field.name)}" for field in fields(Scale)]
    with tempfile.TemporaryDirectory() as cache:
        cold, warm = (render(simulate.domain, TINY, 1, cache) for _ in range(2))
    print(f"compiling, once: {cold.cpu - warm.cpu:.1f} CPU-s")
    count = os.cpu_count() or 1
    for workers in dict.fromkeys((1, count)):
        cost = render(simulate.domain, scale, workers)
        speed = f"{cost.crops / cost.cpu:.0f} crops a CPU-second, {cost.crops / cost.wall:.0f} a second"
        print(f"{simulate.domain}, {workers} workers: {cost.crops} crops, {cost.cpu:.1f} CPU-s, {speed}")
    for target in params.targets:
        cost = render(target, [], count)
        print(f"{target}: {cost.crops} crops, {cost.cpu:.1f} CPU-s, {cost.crops / cost.cpu:.0f} a CPU-second")
    few, many = (peak(params, number) for number in (40, 400))
    print(f"peak memory of filming 40 people: {few:.0f} MB, ten times as many: {many:.0f} MB")
    print(", ".join(f"{part} {share:.0%}" for part, share in parts(params).items()))


if __name__ == "__main__":
    main()
