"""Search a large gallery: seconds and peak memory; with an index also its recall.

    python -m bench.gallery --tracklets 1000000 --queries 100 --probes 16 64 256
    python -m bench.gallery --tracklets 1000000 --queries 100 --probes 16 64 256 --per-person 10

Unit vectors, written once to a memory map: its pages count as memory while they are read, and the system may
drop them at any time. They are random, the hardest case for an index, or each person has a random direction
and several tracklets around it. ``--probes`` also builds an index and searches with it; recall@k is the
share of the exact answers that it finds.
"""

import json
import resource
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.figures import Figure, alone, command_line, compared, missing
from sttreid.search.approximate import build_index
from sttreid.search.neighbours import Limits, nearest

NOISE = 0.8  # of a tracklet around its person: mean distance 0.39, about that of the models here
BLOCK = 1 << 14  # rows written at once


def write_gallery(
    path: Path, tracklets: int, dimensions: int, seed: int, per_person: int = 0
) -> NDArray[np.float32]:
    """Random unit rows in a file, if wanted around those of people; returns its read-only memory map."""
    rng = np.random.default_rng(seed)
    rows = np.lib.format.open_memmap(path, "w+", np.float32, (tracklets, dimensions))
    for start in range(0, tracklets, BLOCK):
        block = rng.standard_normal((min(BLOCK, tracklets - start), dimensions), np.float32)
        if per_person:
            centres = rng.standard_normal((-(-len(block) // per_person), dimensions), np.float32)
            block = centres.repeat(per_person, axis=0)[: len(block)] + NOISE * block
        rows[start : start + BLOCK] = block / np.linalg.norm(block, axis=1, keepdims=True)
    rows.flush()
    del rows
    mapped: NDArray[np.float32] = np.load(path, mmap_mode="r")
    return mapped


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def chosen_limits(rows: NDArray[np.float32], queries: int) -> tuple[NDArray[np.float32], Limits]:
    """``queries`` rows spread over the gallery, in one camera."""
    chosen = np.linspace(0, len(rows) - 1, queries).astype(np.int64)
    return np.array(rows[chosen]), Limits(chosen, np.zeros(len(rows), np.int64))


def measure(rows: NDArray[np.float32], queries: int, k: int) -> tuple[dict[str, Any], NDArray[np.int64]]:
    """Search exactly; returns the measures and the answers [Q, k]."""
    features, limits = chosen_limits(rows, queries)
    begin, cpu = time.perf_counter(), time.process_time()
    owner, row, _ = nearest(features, rows, limits, k)
    result = {
        "tracklets": len(rows),
        "queries": queries,
        "dimensions": rows.shape[1],
        "seconds": time.perf_counter() - begin,
        "processor seconds": time.process_time() - cpu,
        "peak memory, MB": peak(),
        "of which the memory-mapped gallery, MB": rows.nbytes / 2**20,
    }
    assert len(owner) == queries * k
    return result, row.reshape(queries, k)


def measure_index(
    rows: NDArray[np.float32], exact: NDArray[np.int64], probes: Sequence[int]
) -> dict[str, Any]:
    """Build an index and search with each number of probes; ``exact`` are the answers [Q, k]."""
    queries, k = exact.shape
    features, limits = chosen_limits(rows, queries)
    cpu = time.process_time()
    index = build_index(rows)
    result: dict[str, Any] = {
        "build, processor seconds": time.process_time() - cpu,
        "cells": index.cells.nlist,
    }
    for number in probes:
        index.cells.nprobe = number
        cpu = time.process_time()
        _, row, _ = index.nearest(features, rows, limits, k)
        found = [
            set(a) & set(b) for a, b in zip(row.reshape(queries, k).tolist(), exact.tolist(), strict=True)
        ]
        result[f"{number} probes"] = {
            "processor seconds": time.process_time() - cpu,
            f"recall@{k}": sum(map(len, found)) / exact.size,
        }
    return result | {"peak memory, MB": peak()}


def faiss_seconds(rows: NDArray[np.float32], queries: int, k: int, rounds: int) -> list[float]:
    """CPU seconds of an exact search by faiss."""
    import faiss

    faiss.omp_set_num_threads(1)
    features, _ = chosen_limits(rows, queries)
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(np.ascontiguousarray(rows))
    seconds = []
    for _ in range(rounds):
        cpu = time.process_time()
        index.search(features, k)
        seconds.append(time.process_time() - cpu)
    return seconds


def figures(tracklets: int = 1_000_000, queries: int = 100, rounds: int = 3) -> Iterator[Figure]:
    """What docs/performance.md quotes."""
    with TemporaryDirectory() as folder:
        rows = write_gallery(Path(folder, "rows.npy"), tracklets, 192, 0, 10)
        found = [measure(rows, queries, 10) for _ in range(rounds)]
        mine = [result["processor seconds"] for result, _ in found]
        what = f"search {queries} x {tracklets:,} x 192, 10 answers"
        if find_spec("faiss") is None:
            yield missing(what, "faiss is not installed")
            return
        memory = found[-1][0]["peak memory, MB"]
        yield compared(
            f"{what}, exact", "CPU-s", mine, "faiss, exact", faiss_seconds(rows, queries, 10, rounds)
        )
        held = f"{rows.nbytes / 2**20:.0f} MB of it the gallery in a file"
        yield alone(f"{what}, exact: memory", "MB", [memory], note=held)
        index = measure_index(rows, found[-1][1], [128])
        probed = index["128 probes"]
    recall = f"finds {100 * probed['recall@10']:.0f} % of the exact answers"
    yield compared(
        f"{what}, index, 128 cells", "CPU-s", [probed["processor seconds"]], "exact", mine, note=recall
    )
    yield alone(f"build the index of {tracklets:,} x 192", "CPU-s", [index["build, processor seconds"]])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = command_line("gallery", __doc__, figures)
    parser.add_argument("--tracklets", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--dimensions", type=int, default=192, help="of an embedding of the models here")
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--per-person", type=int, default=0, help="tracklets of a person; 0: no people")
    parser.add_argument("--probes", type=int, nargs="*", default=(), help="cells; needs faiss")
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        path = Path(folder, "rows.npy")
        rows = write_gallery(path, options.tracklets, options.dimensions, 0, options.per_person)
        result, exact = measure(rows, options.queries, options.k)
        if options.probes:
            result["index"] = measure_index(rows, exact, options.probes)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
