"""How fast a set of the official size is packed: `python -m bench.packing mars` (or `ls_vid`).

The tree is that of bench.readers. Each round compares two new processes, in alternating order: plain reading
of every file in the store's order with plain writing of shards, and the stage ``decode``. Printed are the
ratio of the two (in wall-clock and in CPU time, which other work on the machine changes less), the cost of
the rest of the stage (manifest, reader, order), the peak memory, and the cost of opening the store and of
reading 8 frames of a tracklet. The first round warms the caches and is not counted.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.costs import in_process
from bench.figures import Figure, alone, command_line, compared
from bench.readers import READERS, peak_memory, read, write
from sttreid.config.datasets import Decode
from sttreid.config.params import load
from sttreid.data.folder_manifest import scan
from sttreid.data.packing import SHARD_BYTES, pack
from sttreid.data.store_rows import order_rows
from sttreid.tracklets.store import open_store

Figures = dict[str, float]


def settings() -> Decode:
    return load().decode


def plain(name: str, root: Path, out: Path) -> Figures:
    """Reads every image and writes it; nothing else."""
    published = READERS[name](root)
    rows = order_rows(published, settings().validation, "raise")
    paths = [f"{published.root}/{image}" for image in rows.names().to_pylist()]
    start, cpu = time.monotonic(), time.process_time()
    number, length, shard = 0, 0, (out / "0").open("wb")
    for path in paths:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            content = file.read()
        if length + len(content) > SHARD_BYTES:
            shard.close()
            number, length = number + 1, 0
            shard = (out / str(number)).open("wb")
        shard.write(content)
        length += len(content)
    shard.close()
    return {"plain": time.monotonic() - start, "cpu": time.process_time() - cpu}


def packed(name: str, root: Path, out: Path) -> Figures:
    """The work of the stage ``decode``, part by part."""
    decode = settings()
    marks = [time.monotonic()]
    manifest = scan(root)
    marks.append(time.monotonic())
    published = READERS[name](root, strict=True, scratch=out)
    rows = order_rows(published, decode.validation, decode.on_error)
    marks.append(time.monotonic())
    before, cpu = peak_memory(), time.process_time()
    pack(rows, published.root, manifest, decode, out / "store")
    marks.append(time.monotonic())
    cpu = time.process_time() - cpu
    parts = dict(zip(("manifest", "reader", "pack"), np.diff(marks).tolist(), strict=True))
    return {**parts, "cpu": cpu, "before": before, "memory": peak_memory()}


def opened(out: Path) -> Figures:
    """Opens the store and reads clips of 8 frames."""
    start = time.monotonic()
    store = open_store(out / "store")
    seconds = time.monotonic() - start
    rng = np.random.default_rng(0)
    long = store.tracklets[store.tracklets["length"] >= 8]
    rows = long.iloc[rng.integers(0, len(long), 500)][["start", "length"]].to_numpy()
    clips = [first + np.sort(rng.choice(length, 8, replace=False)) for first, length in rows]
    start = time.monotonic()
    for clip in clips:
        store.frames[clip]
    return {"open": seconds, "clips": len(clips) / (time.monotonic() - start), "memory": peak_memory()}


def compare(name: str, root: Path, folder: Path, rounds: int) -> Path:
    """Prints every round and the medians; the folder of the last one."""
    ratios = []
    for round_ in range(rounds + 1):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        done: dict[str, Figures] = {}
        for work in (plain, packed) if round_ % 2 else (packed, plain):
            done[work.__name__] = in_process(work, name, root, folder)
        item, two = done["plain"], done["packed"]
        ratios += [(item["plain"] / two["pack"], item["cpu"] / two["cpu"])] if round_ else []
        print(
            f"plain {item['plain']:.1f} s, {item['cpu']:.1f} CPU-s; packing {two['pack']:.1f} s,"
            f" {two['cpu']:.1f} CPU-s; manifest {two['manifest']:.1f} s, reader and order"
            f" {two['reader']:.1f} s; at most {two['memory']:.0f} MB, {two['before']:.0f} MB before packing",
            flush=True,
        )
    clock, cpu = (100 * statistics.median(subset) for subset in zip(*ratios, strict=True))
    print(f"packing at {clock:.0f} % of the plain speed by the clock, {cpu:.0f} % by CPU time (medians)")
    return folder


def figures(rounds: int = 2) -> Iterator[Figure]:
    """What docs/performance.md quotes, at the size of MARS."""
    with tempfile.TemporaryDirectory() as name:
        root, out = Path(name) / "set", Path(name) / "out"
        root.mkdir()
        write("mars", root)
        costs = [read("mars", root) for _ in range(rounds)]
        what = f"MARS, {costs[0].images:,} images of 2 kB"
        done: dict[str, list[Figures]] = {"plain": [], "packed": []}
        for round_ in range(rounds):
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            for work in (plain, packed) if round_ % 2 else (packed, plain):
                done[work.__name__].append(in_process(work, "mars", root, out))
        clips = in_process(opened, out)
    yield alone(f"{what}: read lists and names", "CPU-s", [cost.cpu for cost in costs])
    yield alone(f"{what}: read lists and names, memory", "MB", [cost.peak for cost in costs])
    seconds = {name: [each["cpu"] for each in runs] for name, runs in done.items()}
    yield compared(
        f"{what}: pack", "CPU-s", seconds["packed"], "a loop that reads and writes", seconds["plain"]
    )
    yield alone(f"{what}: pack, memory", "MB", [each["memory"] for each in done["packed"]])
    yield alone(f"{what}: open the store", "s", [clips["open"]])
    yield alone(f"{what}: read clips of 8 frames", "clips per s", [clips["clips"]])


def main(arguments: list[str] | None = None) -> None:
    """Writes, packs and prints."""
    parser = command_line("packing", __doc__, figures)
    parser.add_argument("name", choices=READERS)
    parser.add_argument("--folder", type=Path, help="for the temporary tree (default: the system's)")
    parser.add_argument("--rounds", type=int, default=3, help="that count (default: %(default)s)")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        root = Path(folder) / "set"
        root.mkdir()
        print(f"written: {write(given.name, root):,} links")
        out = compare(given.name, root, Path(folder) / "out", given.rounds)
        done = in_process(opened, out)
        files = list((out / "store").iterdir())
        total = sum(path.stat().st_size for path in files)
        print(f"{len(files)} files, {total:,} bytes, opened in {done['open']:.1f} s, {done['memory']:.0f} MB")
        print(f"{done['clips']:.0f} clips of 8 frames a second")


if __name__ == "__main__":
    main()
