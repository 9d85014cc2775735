"""A synthetic evaluation set: random features with the counts of MARS or LS-VID and a realistic accuracy.

The counts are those of the test sets of Zheng et al. (MARS, ECCV 2016) and Li et al. (LS-VID, ICCV 2019).
The gallery includes the queries; most identities have few tracklets and some have many; rows are shuffled.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

ROWS: Final = 4096  # of features drawn at once
LATENT: Final = 32  # dimensions in which identities differ
NOISE_SPREAD: Final = 0.5  # standard deviation of the logarithm of the tracklets' noise levels
TAIL: Final = 0.62  # the same of the tracklets per identity: 13 matches per query at the counts of MARS


@dataclass(frozen=True)
class Size:
    """The counts of a test set, and the noise of features in units of the spread between identities."""

    queries: int
    identities: int
    query_identities: int
    tracklets: int  # of identities, queries included
    junk: int
    distractors: int
    cameras: int
    unmatched: int = 0  # identities with one query and a single camera
    noise: float = 0.65
    width: int = 2048

    @property
    def gallery(self) -> int:
        """Rows of the gallery."""
        return self.tracklets + self.junk + self.distractors


MARS: Final = Size(1980, 634, 626, 8062, junk=870, distractors=3248, cameras=6)
LSVID: Final = Size(3504, 2730, 2730, 11333, junk=0, distractors=0, cameras=15, unmatched=4, noise=0.58)
SIZES: Final = {
    "mars": MARS,
    "lsvid": LSVID,
    "million": replace(MARS, distractors=1_000_000 - MARS.tracklets - MARS.junk),
}
TINY: Final = Size(24, 12, 10, 60, junk=6, distractors=14, cameras=3, width=64)


@dataclass(frozen=True)
class EvaluationSet:
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
    camera[first + 1] = camera[first] % size.cameras + 1  # not the first camera: each query has a match
    camera[(identity > 0) & (identity <= size.unmatched)] = 1
    query = np.zeros(size.gallery, np.bool_)
    query[first[: size.query_identities]] = True
    others = np.flatnonzero((identity > size.unmatched) & (identity <= size.query_identities) & ~query)
    query[rng.choice(others, size.queries - size.query_identities, replace=False)] = True
    columns = {"identity": identity, "camera": camera, "query": query}
    columns |= {"distractor": identity == 0, "junk": identity == -1}
    order = rng.permutation(size.gallery)
    return {name: column[order] for name, column in columns.items()}


def generate(size: Size, folder: Path, seed: int = 1) -> None:
    """Write an evaluation set, block by block: identities differ in LATENT dimensions of a rotated space."""
    rng = np.random.default_rng(seed)
    columns = labels(size, rng)
    centres = rng.standard_normal((size.identities + 1, LATENT), np.float32)
    rotation = np.linalg.qr(rng.standard_normal((size.width, LATENT)))[0].T.astype(np.float32)
    shape = (size.gallery, size.width)
    features = np.lib.format.open_memmap(folder / "features.npy", "w+", np.float32, shape)
    for start in range(0, size.gallery, ROWS):
        identity = columns["identity"][start : start + ROWS, None]
        distractors = rng.standard_normal((len(identity), LATENT), np.float32)
        noise = rng.standard_normal((len(identity), LATENT), np.float32)
        noise *= size.noise * rng.lognormal(0, NOISE_SPREAD, identity.shape).astype(np.float32)
        points = np.where(identity > 0, centres[identity[:, 0].clip(0)], distractors) + noise
        features[start : start + ROWS] = points / np.linalg.norm(points, axis=1, keepdims=True) @ rotation
    np.savez(folder / "labels.npz", **columns)
    np.save(folder / "queries.npy", features[columns["query"]])


def load(folder: Path, mapped: bool) -> EvaluationSet:
    """The evaluation set of a folder; the gallery in memory or as a copy-on-write memory map."""
    features = np.load(folder / "features.npy", mmap_mode="c" if mapped else None)
    with np.load(folder / "labels.npz") as columns:
        return EvaluationSet(np.load(folder / "queries.npy"), features, **columns)
