"""How costs grow with the data: `python -m bench.growth`.

Each part of the work runs at a size and at ten times that size, and the figure is the slope on logarithmic
axes: 1 where ten times the data cost ten times as much, below 1 where a fixed cost shows, above 1 where the
cost outgrows the data. Memory is the growth during the call, CPU time that of all processes.
"""

import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from bench.costs import Call, Candidate, Cost, side_by_side
from bench.decoding import footage, write_film
from bench.evaluation_set import Size, generate, load
from bench.figures import Figure, alone, command_line, show

TIMES: Final = 10
CROP: Final = 8, 4  # height and width of the tracklets' images


@dataclass(frozen=True)
class Growth:
    """A part of the work that grows: its label, the maker of its call, the smaller size."""

    label: str
    maker: Any
    size: int


def tracklets(count: int, folder: Path) -> Call:
    """Open a store of so many tracklets, four frames each, and plan a batch."""
    from sttreid.tracklets.batches import plan
    from sttreid.tracklets.store import open_store, write_store

    number = np.repeat(np.arange(count), 4)
    columns = {"tracklet": number, "identity": number // 4, "camera": number % 4}
    columns |= {"frame": np.tile(np.arange(1, 5), count)}
    index = pd.DataFrame(columns).assign(split="train", visibility=1.0)
    crop = np.zeros((*CROP, 3), np.uint8)
    write_store(folder / "store", index, ((row, crop) for row in range(len(index))), *CROP)

    def call() -> None:
        plan(open_store(folder / "store").of_split("train"), 16, 4, 0, 0)

    return call


def gallery(count: int, folder: Path) -> Call:
    """Rank a gallery of so many rows of 256 dimensions for 500 queries."""
    from sttreid.retrieval import Labels, evaluate, protocol

    size = Size(500, 300, 300, 1500, junk=0, distractors=count - 1500, cameras=6, width=256)
    generate(size, folder)
    data = load(folder, mapped=False)
    query = Labels(data.identity[data.query], data.camera[data.query])
    labels = Labels(data.identity, data.camera, query=data.query, distractor=data.distractor)

    def call() -> None:
        evaluate(data.queries, data.features, query, labels, protocol("market"))

    return call


def frames(count: int, folder: Path) -> Call:
    """Decode a film of so many frames into a store."""
    from sttreid.data.decoding import decode_videos

    film = footage(write_film(folder / "film.mp4", count), count)

    def call() -> None:
        decode_videos(film, 64, 32, folder / "store")

    return call


def identities(count: int, folder: Path) -> Call:
    """Render so many people in one camera of 320 x 180 pixels."""
    from sttreid.config.domain import Scale, load_domain
    from sttreid.config.params import load as load_params
    from sttreid.simulate.render import render_camera

    simulate = load_params().simulate
    domain = load_domain(simulate.domain)
    scale = {field.name: getattr(simulate, field.name) for field in fields(Scale)}
    small = Scale(**scale | {"identities": max(6, count), "width": 320, "height": 180})

    def call() -> None:
        render_camera("growth", domain, small, 1, list(range(1, count + 1)), folder, lambda _: None)

    render_camera("warm", domain, small, 1, [1], folder, lambda _: None)  # loads the machine code
    return call


PARTS: Final = (
    Growth("open a store, tracklets", tracklets, 2_000),
    Growth("evaluate, gallery rows", gallery, 10_000),
    Growth("decode, frames", frames, 100),
    Growth("render, identities", identities, 10),
)


def slopes(small: Sequence[Cost], large: Sequence[Cost], key: str) -> list[float]:
    """Of the rounds' costs."""
    pairs = zip(small, large, strict=True)
    return [math.log(getattr(b, key) / getattr(a, key), TIMES) for a, b in pairs]


def grow(part: Growth, rounds: int) -> Iterator[Figure]:
    """The slopes of CPU time and memory."""
    with tempfile.TemporaryDirectory() as name:
        candidates = {}
        for size in (part.size, TIMES * part.size):
            folder = Path(name) / str(size)
            folder.mkdir()
            candidates[str(size)] = Candidate(part.maker, (size, folder))
        small, large = side_by_side(candidates, rounds).values()
    what = f"{part.label} {part.size:,} -> {TIMES * part.size:,}"
    for key, label in (("cpu", "CPU time"), ("memory", "memory")):
        before, after = (sorted(getattr(c, key) for c in costs)[len(costs) // 2] for costs in (small, large))
        unit = "CPU-s" if key == "cpu" else "MB"
        note = f"{before:.3g} -> {after:.3g} {unit}"
        yield alone(f"{what}: {label}", "slope", slopes(small, large, key), note=note)


def figures(shrink: int = 1, rounds: int = 2) -> Iterator[Figure]:
    """What docs/performance.md quotes."""
    for part in PARTS:
        yield from grow(replace(part, size=max(1, part.size // shrink)), rounds)


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = command_line("growth", __doc__, figures)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(words)
    show(figures(rounds=given.rounds))


if __name__ == "__main__":
    main()
