"""The cost of the simulator: `python -m bench.simulator`. CPU seconds include imports, workers and x264.

Every rendering is a separate process. The first renders a tiny set with an empty cache of machine code: the
difference to the second is the time of compilation, which an installation spends once.
"""

import cProfile
import json
import multiprocessing
import os
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from bench.figures import Figure, alone, at_least, command_line
from sttreid.config.domain import Domain, Scale, load_benchmark, load_domain
from sttreid.config.params import Simulate, load
from sttreid.simulate.plan import sightings
from sttreid.simulate.render import render_camera

TINY: Final = {"identities": 6, "cameras": 2, "min_frames": 6, "max_frames": 6, "width": 128, "height": 96}
PARTS: Final = {  # function -> what it computes
    "encode": "x264",
    "shade": "persons: cloth and light",
    "rasterise": "persons: depth buffer",
    "composite": "persons: compositing",
    "_expose": "sensor and colour planes",
    "stencil": "shadows",
    "darken": "shadows",
    "photograph": "still scene",
}
_RENDER: Final = """
import json, sys
from pathlib import Path
from sttreid.simulate.commands import render
if __name__ == "__main__":
    render(sys.argv[1], Path(sys.argv[2]), **json.loads(sys.argv[3]))
"""


@dataclass(frozen=True)
class RenderingCost:
    """Seconds of one rendering, and its number of crops."""

    cpu: float
    wall: float
    crops: int


def measure(domain: str, cache: str | None = None, **options: Any) -> RenderingCost:
    """Measures sttreid.simulate.commands.render in a process; ``cache`` is the folder of its machine code."""
    with tempfile.TemporaryDirectory() as folder:
        script, out = Path(folder) / "run.py", Path(folder) / "out"
        script.write_text(_RENDER)  # a file, because the workers import the main module
        before, start = os.times(), time.monotonic()
        subprocess.run(
            [sys.executable, str(script), domain, str(out), json.dumps(options)],
            env=os.environ | ({"NUMBA_CACHE_DIR": cache} if cache else {}),
            check=True,
        )
        wall, after = time.monotonic() - start, os.times()
        cpu = after[2] + after[3] - before[2] - before[3]
        crops = sum(len(path.read_text().splitlines()) for path in out.glob("c*.txt"))
        return RenderingCost(cpu, wall, crops)


def peak(domain: Domain, scale: Scale, identities: int) -> float:
    """Peak memory in MB of a process that renders one camera with a number of identities."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_render_camera, (domain, scale, identities))


def _render_camera(domain: Domain, scale: Scale, identities: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        numbers = list(range(1, identities + 1))
        render_camera("peak", domain, scale, 1, numbers, Path(folder), lambda _: None)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def parts(domain: Domain, simulate: Simulate) -> dict[str, float]:
    """Shares of the time of rendering one camera of the synthetic set."""
    identities = sightings(simulate.domain, domain, simulate)[1]
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        arguments = (simulate.domain, domain, simulate, 1, identities, Path(folder), lambda _: None)
        render_camera(*arguments)  # compiles
        profile.runcall(render_camera, *arguments)
    seconds: dict[str, float] = defaultdict(float)
    for (_, _, name), (_, _, time_in_function, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        part = next((PARTS[key] for key in PARTS if name == key or f"'{key}' of" in name), "the rest")
        seconds[part] += time_in_function
    total = sum(seconds.values())
    return {part: seconds[part] / total for part in sorted(seconds, key=lambda key: -seconds[key])}


def figures(fraction: float = 1.0, rounds: int = 3) -> Iterator[Figure]:
    """What docs/performance.md quotes: the synthetic set with a fraction of its identities."""
    simulate = load().simulate
    domain = load_domain(simulate.domain)
    scale = {field.name: getattr(simulate, field.name) for field in fields(Scale)}
    scale["identities"] = max(6, round(fraction * simulate.identities))
    costs = [measure(simulate.domain, scale=scale, workers=1) for _ in range(rounds)]
    what = f"render {costs[0].crops:,} crops of {simulate.domain} ({scale['identities']} identities)"
    speed = [cost.crops / cost.cpu for cost in costs]
    yield alone(what, "crops per CPU-s", speed, at_least(300, "ours"))
    with tempfile.TemporaryDirectory() as cache:
        cold, warm = (measure(simulate.domain, cache, scale=TINY, workers=1) for _ in range(2))
    yield alone("compile the simulator, once after an installation", "CPU-s", [cold.cpu - warm.cpu])
    few = min(40, scale["identities"])
    yield alone(f"memory of a camera with {few} identities", "MB", [peak(domain, simulate, few)])
    for part, share in parts(domain, replace(simulate, **scale)).items():
        yield alone(f"share of rendering: {part}", "%", [100 * share])


def main(words: Sequence[str] | None = None) -> None:
    """Measures and prints."""
    parser = command_line("simulator", __doc__, figures)
    parser.parse_args(words)
    simulate, benchmark = load().simulate, load_benchmark()
    domain = load_domain(simulate.domain)
    scale = {field.name: getattr(simulate, field.name) for field in fields(Scale)}
    with tempfile.TemporaryDirectory() as cache:
        cold, warm = (measure(simulate.domain, cache, scale=TINY, workers=1) for _ in range(2))
    print(f"compilation, once: {cold.cpu - warm.cpu:.1f} CPU-s")
    count = os.cpu_count() or 1
    for workers in dict.fromkeys((1, count)):
        cost = measure(simulate.domain, scale=scale, workers=workers)
        speed = f"{cost.crops / cost.cpu:.0f} crops per CPU-second, {cost.crops / cost.wall:.0f} per second"
        print(f"{simulate.domain}, {workers} workers: {cost.crops} crops, {cost.cpu:.1f} CPU-s, {speed}")
    for name in benchmark.domains:
        cost = measure(name, benchmark=True, workers=count)
        print(f"{name}: {cost.crops} crops, {cost.cpu:.1f} CPU-s, {cost.crops / cost.cpu:.0f} per CPU-second")
    few, many = (peak(domain, simulate, number) for number in (40, 400))
    print(f"peak memory of a camera with 40 identities: {few:.0f} MB, with 400: {many:.0f} MB")
    print(", ".join(f"{part} {share:.0%}" for part, share in parts(domain, simulate).items()))


if __name__ == "__main__":
    main()
