"""Small geometry: superellipsoids, bands of triangles, rotations."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sttreid.simulate.body import Floats, Ints

Doubles = NDArray[np.float64]


def band_faces(rows: int, columns: int, closed: bool) -> Ints:
    """Triangles [F, 3] of a grid of vertices; `closed` joins the last column to the first."""
    sides = columns if closed else columns - 1
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(sides), indexing="ij")
    here = (row * columns + column).ravel()
    right = (row * columns + (column + 1) % columns).ravel()
    first = np.stack([here, right, right + columns], 1)
    second = np.stack([here, right + columns, here + columns], 1)
    return np.concatenate([first, second]).astype(np.int32)


def superellipsoid(centre: Doubles, radii: Doubles, power: float) -> tuple[Floats, Ints]:
    """Vertices and triangles of |x/a|^p + |y/b|^p + |z/c|^p = 1: an ellipsoid for p = 2, then a box."""
    around, rings = 12, 8
    longitude = np.linspace(0, 2 * np.pi, around, endpoint=False)
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rings)
    x = _raised(np.cos(latitude), power)[:, None] * _raised(np.cos(longitude), power)
    y = _raised(np.cos(latitude), power)[:, None] * _raised(np.sin(longitude), power)
    z = np.repeat(_raised(np.sin(latitude), power)[:, None], around, 1)
    vertices = np.stack([x, y, z], -1).reshape(-1, 3) * radii + centre
    return vertices.astype(np.float32), band_faces(rings, around, closed=True)


def _raised(x: Doubles, power: float) -> Doubles:
    raised: Doubles = np.sign(x) * np.abs(x) ** (2 / power)
    return raised


def turn(axis: ArrayLike, angle: ArrayLike) -> Doubles:
    """Rotations [T, 3, 3] around the unit vector `axis` by the angles [T] or one angle, radians."""
    x, y, z = unit = np.asarray(axis, np.float64)
    a = np.atleast_1d(np.asarray(angle, np.float64))[:, None, None]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turns: Doubles = np.cos(a) * np.eye(3) + np.sin(a) * cross + (1 - np.cos(a)) * np.outer(unit, unit)
    return turns


def compose(first: Doubles, second: Doubles) -> Doubles:
    """Matrix products of turns [T or 1, 3, 3], the second applied first."""
    product: Doubles = np.einsum("tab,tbc->tac", *np.broadcast_arrays(first, second))
    return product
