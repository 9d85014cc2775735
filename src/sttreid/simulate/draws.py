"""Random draws: named streams, and draws from the ranges and weights of a domain."""

import zlib
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from sttreid.config.domain import Range

Generator = np.random.Generator


def stream(seed: int, purpose: str, domain: str, *numbers: int) -> Generator:
    """The generator of one purpose, e.g. ``stream(0, "look", "campus", identity)``.

    Every purpose has a separate stream, so a draw never depends on the number of other objects. Names enter
    by their CRC-32, because Python's own hash differs between processes. The words of ``purpose`` are part of
    the rendered bytes: renaming one renders another data set.
    """
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), zlib.crc32(domain.encode()), *numbers])


def uniform(rng: Generator, limits: Range) -> float:
    """A number drawn uniformly from a range of the domain."""
    return float(rng.uniform(limits.low, limits.high))


def weighted_choice(rng: Generator, weights: object) -> str:
    """The name of one field of a dataclass of weights, drawn in proportion to the weights."""
    names = [field.name for field in fields(weights)]  # type: ignore[arg-type]
    values: NDArray[np.float64] = np.array([getattr(weights, name) for name in names], np.float64)
    return names[int(rng.choice(len(names), p=values / values.sum()))]
