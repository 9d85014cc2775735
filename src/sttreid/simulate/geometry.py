"""Array types and small geometry: triangles, superellipsoids, vertex normals, rotations."""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int32]
_UNIT: Final = np.eye(3)


def band_faces(rows: int, columns: int, closed: bool) -> Ints:
    """Triangles [F, 3] of a grid of vertices, row by row; ``closed`` joins the last column to the first."""
    sides = columns if closed else columns - 1
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(sides), indexing="ij")
    left = (row * columns + column).ravel()
    right = (row * columns + (column + 1) % columns).ravel()
    first = np.stack([left, right, right + columns], 1)
    second = np.stack([left, right + columns, left + columns], 1)
    return np.concatenate([first, second]).astype(np.int32)


def superellipsoid(centre: Doubles, radii: Doubles, power: float) -> tuple[Floats, Ints]:
    """Vertices [V, 3] and triangles [F, 3] of |x/a|^p + |y/b|^p + |z/c|^p = 1.

    A power of 2 gives an ellipsoid; higher powers approach a box.
    """
    around, rings = 12, 8
    longitude = np.linspace(0, 2 * np.pi, around, endpoint=False)
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rings)
    x = _signed_power(np.cos(latitude), power)[:, None] * _signed_power(np.cos(longitude), power)
    y = _signed_power(np.cos(latitude), power)[:, None] * _signed_power(np.sin(longitude), power)
    z = np.repeat(_signed_power(np.sin(latitude), power)[:, None], around, 1)
    vertices = np.stack([x, y, z], -1).reshape(-1, 3) * radii + centre
    return vertices.astype(np.float32), band_faces(rings, around, closed=True)


def _signed_power(x: Doubles, power: float) -> Doubles:
    raised: Doubles = np.sign(x) * np.abs(x) ** (2 / power)
    return raised


def vertex_normals(vertices: Floats, faces: Ints) -> Floats:
    """Unit normals [V, 3] of vertices [V, 3]: the mean of their triangles [F, 3], weighted by area."""
    total = np.zeros_like(vertices)
    corner = vertices[faces]
    flat = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    for k in range(3):
        np.add.at(total, faces[:, k], flat)
    length = np.sqrt((total**2).sum(1, keepdims=True))
    unit: Floats = (total / (length + 1e-9)).astype(np.float32)
    return unit


def turn(axis: tuple[float, float, float], angle: ArrayLike) -> Doubles:
    """Rotations [T, 3, 3] around the unit vector ``axis`` by one angle or angles [T], radians."""
    a = np.atleast_1d(np.asarray(angle, np.float64))[:, None, None]
    cosine = np.cos(a)
    cross, outer = _products(axis)
    turns: Doubles = cosine * _UNIT + np.sin(a) * cross + (1 - cosine) * outer
    return turns


@cache
def _products(axis: tuple[float, float, float]) -> tuple[Doubles, Doubles]:
    """The matrices [3, 3] of the cross product and of the outer product with ``axis``; there are few axes."""
    x, y, z = axis
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]), np.outer(axis, axis)


def compose(first: Doubles, second: Doubles) -> Doubles:
    """Products of rotations [T or 1, 3, 3]; the second is applied first."""
    product: Doubles = np.einsum("tab,tbc->tac", first, second)
    return product
