"""Procedural surfaces of the still scene (compiled)."""

from enum import IntEnum
from typing import Any

import numpy as np

from sttreid.simulate.kernels import kernel
from sttreid.simulate.noise import frac, lattice, smooth

Colour = tuple[float, float, float]


class Texture(IntEnum):
    """Surfaces."""

    PLASTER = 0
    TILES = 1
    BRICKS = 2
    WINDOWS = 3
    SHOPS = 4
    GRASS = 5
    STRIPES = 6
    CHESS = 7
    LEAVES = 8


@kernel
def paint(solid: Any, u: float, v: float) -> Colour:
    """The reflectance of a solid's texture at `u`, `v` metres."""
    seed, second, bright, texture = solid["seed"], 0.0, 1.0, solid["texture"]
    u, v = u / solid["unit"], v / solid["unit"]
    i, j, a, b = int(np.floor(u)), int(np.floor(v)), frac(u), frac(v)
    if texture == Texture.PLASTER:
        bright = 0.85 + 0.3 * smooth(u * 3, v * 3, seed) * (0.7 + 0.6 * smooth(u * 40, v * 40, seed + 1))
    elif texture == Texture.TILES:
        bright, second = 0.9 + 0.2 * lattice(i, j, seed), 1.0 if a < 0.05 or b < 0.05 else 0.0
    elif texture == Texture.BRICKS:
        row = np.floor(v * 2)
        along = u + 0.5 * (row % 2)
        bright = 0.8 + 0.4 * lattice(int(np.floor(along)), int(row), seed)
        second = 1.0 if frac(along) < 0.06 or frac(v * 2) < 0.1 else 0.0
    elif texture == Texture.WINDOWS:
        if 0.2 < a < 0.8 and 0.25 < b < 0.8:
            bright, second = 0.5 + lattice(i, j, seed), 0.3 if abs(a - 0.5) < 0.03 else 1.0
    elif texture == Texture.SHOPS:
        if 0.06 < a < 0.94 and 0.1 < b < 0.9:
            spot = lattice(int(np.floor(u * 7)), int(np.floor(v * 9)), seed + 4)
            shine = 0.7 + 0.6 * spot * lattice(i, j, seed)
            return (
                shine * (0.15 + 0.7 * lattice(i, j, seed + 1)),
                shine * (0.15 + 0.7 * lattice(i, j, seed + 2)),
                shine * (0.15 + 0.7 * lattice(i, j, seed + 3)),
            )
    elif texture == Texture.GRASS:
        second, bright = smooth(u * 1.5, v * 1.5, seed), 0.6 + 0.8 * smooth(u * 25, v * 25, seed + 1)
    elif texture == Texture.STRIPES:
        second, bright = 1.0 if a < 0.5 else 0.0, 0.92 + 0.16 * lattice(int(np.floor(u * 2)), 0, seed)
    elif texture == Texture.CHESS:
        second, bright = 1.0 if (i + j) % 2 == 0 else 0.0, 0.93 + 0.14 * smooth(u * 2, v * 2, seed)
    elif texture == Texture.LEAVES:
        second = smooth(u * 9, v * 9, seed)
        bright = 0.35 + 1.3 * smooth(u * 22, v * 22, seed + 1)
    one, other, s = solid["first"], solid["second"], 1 - second
    return (
        (one[0] * s + other[0] * second) * bright,
        (one[1] * s + other[1] * second) * bright,
        (one[2] * s + other[2] * second) * bright,
    )
