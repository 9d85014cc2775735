"""What reading a data set of the official size costs: `python -m bench.readers mars` (or `ls_vid`).

The tree is written to a temporary folder (`--folder` names its parent; LS-VID takes at least 300 MB and
millions of links). The reader runs in a new process, in strict mode, so the tree's counts are checked too.
"""

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import trees
from sttreid.data.published.published_set import PublishedSet
from sttreid.data.readers.ls_vid import read_ls_vid
from sttreid.data.readers.mars import read_mars

READERS: Final[dict[str, Callable[..., PublishedSet]]] = {"mars": read_mars, "ls_vid": read_ls_vid}


@dataclass(frozen=True)
class Cost:
    """Of reading a data set once."""

    cpu: float  # seconds
    wall: float
    start: float  # MB of memory before, imports included
    peak: float  # MB at most
    tracklets: int
    images: int


def write(name: str, folder: Path) -> int:
    """Writes a tree of the official size; the number of its images."""
    if name == "mars":
        return trees.write_mars(folder, {"train": trees.mars_train(), "test": trees.mars_test()})
    return trees.write_ls_vid(folder, {split: trees.ls_vid(split) for split in ("train", "val", "test")})


def read(name: str, folder: Path) -> Cost:
    """What reading costs a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_read, (name, folder))


def _read(name: str, folder: Path) -> Cost:
    start, cpu, wall = peak_memory(), time.process_time(), time.monotonic()
    result = READERS[name](folder, strict=True)
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    return Cost(cpu, wall, start, peak_memory(), len(result.table), len(result))


def peak_memory() -> float:
    """Peak memory of this process in MB (Linux); getrusage would include that of its parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main(arguments: list[str] | None = None) -> None:
    """Writes, reads twice and prints."""
    parser = argparse.ArgumentParser(prog="python -m bench.readers", description=__doc__)
    parser.add_argument("name", choices=READERS)
    parser.add_argument(
        "--folder", type=Path, default=None, help="for the temporary tree (default: the system's)"
    )
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        cpu, wall = time.process_time(), time.monotonic()
        links = write(given.name, Path(folder))
        print(
            f"written: {links:,} links, {time.process_time() - cpu:.0f} CPU-s,"
            f" {time.monotonic() - wall:.0f} s"
        )
        for _ in range(2):
            cost = read(given.name, Path(folder))
            print(
                f"{given.name}: {cost.tracklets:,} tracklets, {cost.images:,} images:"
                f" {cost.cpu:.1f} CPU-s, {cost.wall:.1f} s, at most {cost.peak:.0f} MB"
                f" ({cost.start:.0f} MB before)",
                flush=True,
            )


if __name__ == "__main__":
    main()
