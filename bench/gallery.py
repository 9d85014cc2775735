"""Search a large gallery: seconds and peak memory.

    python -m bench.gallery --tracklets 1000000 --queries 100

Random unit vectors, written once to a memory map: its pages count as memory while they are read, and the
system may drop them at any time.
"""

import argparse
import json
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sttreid.search.ranking import Limits, nearest

BLOCK = 1 << 14  # rows written at once


def write_gallery(path: Path, tracklets: int, dimensions: int, seed: int) -> NDArray[np.float32]:
    """Random unit rows in a file; returns its read-only memory map."""
    rng = np.random.default_rng(seed)
    rows = np.lib.format.open_memmap(path, "w+", np.float32, (tracklets, dimensions))
    for start in range(0, tracklets, BLOCK):
        block = rng.standard_normal((min(BLOCK, tracklets - start), dimensions), np.float32)
        rows[start : start + BLOCK] = block / np.linalg.norm(block, axis=1, keepdims=True)
    rows.flush()
    del rows
    mapped: NDArray[np.float32] = np.load(path, mmap_mode="r")
    return mapped


def measure(rows: NDArray[np.float32], queries: int, k: int) -> tuple[dict[str, Any], NDArray[np.int64]]:
    """Search ``queries`` rows spread over the gallery; returns the measures and the answers [Q, k]."""
    chosen = np.linspace(0, len(rows) - 1, queries).astype(np.int64)
    limits = Limits(chosen, np.zeros(len(rows), np.int64))
    features = np.array(rows[chosen])
    begin, cpu = time.perf_counter(), time.process_time()
    owner, row, _ = nearest(features, rows, limits, k)
    result = {
        "tracklets": len(rows),
        "queries": queries,
        "dimensions": rows.shape[1],
        "seconds": time.perf_counter() - begin,
        "processor seconds": time.process_time() - cpu,
        "peak memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "of which the memory-mapped gallery, MB": rows.nbytes / 2**20,
    }
    assert len(owner) == queries * k
    return result, row.reshape(queries, k)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracklets", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--dimensions", type=int, default=64)
    parser.add_argument("-k", type=int, default=10)
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        rows = write_gallery(Path(folder, "rows.npy"), options.tracklets, options.dimensions, 0)
        result, _ = measure(rows, options.queries, options.k)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
