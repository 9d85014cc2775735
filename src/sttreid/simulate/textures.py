"""Colours, noise and procedural textures of the still scene (compiled).

Colours are linear RGB reflectances from 0 to 1.
"""

from enum import IntEnum
from typing import Any

import numpy as np

from sttreid.simulate.geometry import Floats
from sttreid.simulate.kernels import kernel

Colour = tuple[float, float, float]


class Texture(IntEnum):
    """Kinds of surface."""

    PLASTER = 0
    TILES = 1
    BRICKS = 2
    WINDOWS = 3
    SHOPS = 4
    GRASS = 5
    STRIPES = 6
    CHESS = 7
    LEAVES = 8


def rgb_of_hsv(hue: float, saturation: float, value: float) -> Floats:
    """Linear RGB [3] of a hue (0 red, 1/3 green, 2/3 blue), saturation and value, all from 0 to 1."""
    wheel = (np.array([5.0, 3.0, 1.0]) + hue * 6) % 6
    colour: Floats = (value - value * saturation * np.clip(np.minimum(wheel, 4 - wheel), 0, 1)).astype(
        np.float32
    )
    return colour


@kernel
def frac(x: float) -> float:
    """The fractional part of ``x``, 0 <= result < 1, also for negative numbers."""
    return x - float(np.floor(x))


@kernel
def lattice(i: int, j: int, seed: int) -> float:
    """A pseudo-random number, 0 <= result < 1, for the cell (i, j); equal on every machine."""
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


@kernel
def paint(solid: Any, u: float, v: float) -> Colour:
    """Reflectance of a solid's texture at ``u``, ``v`` metres on its surface."""
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
    base, accent, s = solid["first"], solid["second"], 1 - second
    return (
        (base[0] * s + accent[0] * second) * bright,
        (base[1] * s + accent[1] * second) * bright,
        (base[2] * s + accent[2] * second) * bright,
    )
