"""Deterministic noise for textures: the same place and seed give the same value on every machine."""

import numpy as np

from sttreid.simulate.kernels import kernel


@kernel
def frac(x: float) -> float:
    """The part of `x` after the point, 0 <= result < 1, also for negative numbers."""
    return x - float(np.floor(x))


@kernel
def lattice(i: int, j: int, seed: int) -> float:
    """A pseudo-random number, 0 <= result < 1, of the cell (i, j)."""
    h = np.uint32(i) * np.uint32(374761393) + np.uint32(j) * np.uint32(668265263)
    h = h + np.uint32(seed) * np.uint32(974634541)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(1274126177)
    return float(np.float32((h ^ (h >> np.uint32(16))) & np.uint32(0xFFFF)) * np.float32(1 / 65536.0))


@kernel
def smooth(x: float, y: float, seed: int) -> float:
    """Smooth noise, 0 <= result < 1, that changes over a distance of about 1."""
    i, j = int(np.floor(x)), int(np.floor(y))
    fx, fy = x - i, y - j
    fx = fx * fx * (3 - 2 * fx)
    fy = fy * fy * (3 - 2 * fy)
    low = lattice(i, j, seed) * (1 - fx) + lattice(i + 1, j, seed) * fx
    high = lattice(i, j + 1, seed) * (1 - fx) + lattice(i + 1, j + 1, seed) * fx
    return low * (1 - fy) + high * fy
