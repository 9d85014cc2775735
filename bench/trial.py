"""A test to score: random features with the counts of MARS or LS-VID and a realistic accuracy.

The counts are those of the test sets of Zheng et al. (MARS, ECCV 2016) and Li et al. (LS-VID, ICCV 2019).
The queries lie in the gallery too; most people have few tracklets and some have many; rows are shuffled.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

ROWS: Final = 4096  # of features drawn at once
LATENT: Final = 32  # dimensions in which people differ
UNLIKE: Final = 0.5  # how unlike the tracklets' noise is: standard deviation of its logarithm
TAIL: Final = 0.62  # of the logarithm of the tracklets per person: 13 matches a query at MARS' counts


@dataclass(frozen=True)
class Size:
    """A test's counts, and the noise of a tracklet's features in units of the spread between people."""

    queries: int
    identities: int
    asked: int  # identities with a query
    tracklets: int  # of identities, queries included
    junk: int
    distractors: int
    cameras: int
    lonely: int = 0  # asked once each, and seen by one camera only
    noise: float = 0.65
    width: int = 2048

    @property
    def gallery(self) -> int:
        """Rows of the gallery."""
        return self.tracklets + self.junk + self.distractors


MARS: Final = Size(1980, 634, 626, 8062, junk=870, distractors=3248, cameras=6)
LSVID: Final = Size(3504, 2730, 2730, 11333, junk=0, distractors=0, cameras=15, lonely=4, noise=0.58)
SIZES: Final = {
    "mars": MARS,
    "lsvid": LSVID,
    "million": replace(MARS, distractors=1_000_000 - MARS.tracklets - MARS.junk),
}
TINY: Final = Size(24, 12, 10, 60, junk=6, distractors=14, cameras=3, width=64)


@dataclass(frozen=True)
class Trial:
    """Features [Q, D] and [G, D], float32 of length 1, and [G] labels."""

    queries: NDArray[np.float32]
    features: NDArray[np.float32]
    identity: NDArray[np.int64]
    camera: NDArray[np.int64]
    query: NDArray[np.bool_]
    distractor: NDArray[np.bool_]
    junk: NDArray[np.bool_]


def labels(size: Size, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """[G] identity (0: distractor, -1: junk), camera and the masks query, distractor and junk, shuffled."""
    shares = rng.lognormal(0, TAIL, size.identities)
    counts = 2 + rng.multinomial(size.tracklets - 2 * size.identities, shares / shares.sum())
    first = np.cumsum(counts) - counts
    identity = np.zeros(size.gallery, np.int64)
    identity[: size.tracklets] = np.repeat(np.arange(1, size.identities + 1), counts)
    identity[size.tracklets : size.tracklets + size.junk] = -1
    camera = rng.integers(1, size.cameras + 1, size.gallery)
    camera[first + 1] = camera[first] % size.cameras + 1  # another camera than the first: nobody is lonely
    camera[(identity > 0) & (identity <= size.lonely)] = 1
    query = np.zeros(size.gallery, np.bool_)
    query[first[: size.asked]] = True
    others = np.flatnonzero((identity > size.lonely) & (identity <= size.asked) & ~query)
    query[rng.choice(others, size.queries - size.asked, replace=False)] = True
    columns = {"identity": identity, "camera": camera, "query": query}
    columns |= {"distractor": identity == 0, "junk": identity == -1}
    order = rng.permutation(size.gallery)
    return {name: column[order] for name, column in columns.items()}


def generate(size: Size, folder: Path, seed: int = 1) -> None:
    """Write a trial, block by block: people lie in LATENT dimensions, turned into the features' space."""
    rng = np.random.default_rng(seed)
    columns = labels(size, rng)
    people = rng.standard_normal((size.identities + 1, LATENT), np.float32)
    turn = np.linalg.qr(rng.standard_normal((size.width, LATENT)))[0].T.astype(np.float32)
    shape = (size.gallery, size.width)
    features = np.lib.format.open_memmap(folder / "features.npy", "w+", np.float32, shape)
    for start in range(0, size.gallery, ROWS):
        identity = columns["identity"][start : start + ROWS, None]
        strangers = rng.standard_normal((len(identity), LATENT), np.float32)
        noise = rng.standard_normal((len(identity), LATENT), np.float32)
        noise *= size.noise * rng.lognormal(0, UNLIKE, identity.shape).astype(np.float32)
        points = np.where(identity > 0, people[identity[:, 0].clip(0)], strangers) + noise
        features[start : start + ROWS] = points / np.linalg.norm(points, axis=1, keepdims=True) @ turn
    np.savez(folder / "labels.npz", **columns)
    np.save(folder / "queries.npy", features[columns["query"]])


def load(folder: Path, mapped: bool) -> Trial:
    """The trial of a folder, the gallery in memory or as a memory map whose file stays as it is."""
    features = np.load(folder / "features.npy", mmap_mode="c" if mapped else None)
    with np.load(folder / "labels.npz") as columns:
        return Trial(np.load(folder / "queries.npy"), features, **columns)
