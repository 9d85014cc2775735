"""Ray casting of the still scene: ground, boxes, cylinders, ellipsoids, procedural textures (compiled)."""

from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sttreid.simulate.body import Floats
from sttreid.simulate.kernels import kernel
from sttreid.simulate.noise import frac, lattice, smooth
from sttreid.simulate.optics import display

SOLID: Final = np.dtype(
    [
        ("kind", "i4"), ("shape", "i4"), ("texture", "i4"), ("seed", "i4"),
        ("centre", "f8", 3), ("half", "f8", 3),  # metres; half sizes or radii
        ("cosine", "f8"), ("sine", "f8"),  # of the angle by which it is turned around the vertical
        ("first", "f8", 3), ("second", "f8", 3), ("unit", "f8"),  # two colours, metres a texture unit
    ],
    align=True,
)  # fmt: skip
OPEN_AIR: Final = 1e6  # ground coordinate of pixels that do not show the ground
MISS: Final = 1e9  # metres
_HORIZON: Final = 150.0  # metres, beyond is sky
_NEAREST: Final = 1e-3


class Kind(IntEnum):
    """What a solid is; OPEN stands for the ground and the sky, which hide nobody."""

    OPEN = 0
    BUILDING = 1
    TREE = 2
    CAR = 3
    BOX = 4
    POLE = 5
    WALL = 6
    BUSH = 7


class Shape(IntEnum):
    """Shapes of solids."""

    GROUND = 0
    BOX = 1
    CYLINDER = 2
    ELLIPSOID = 3


class Face(IntEnum):
    """Which face of a solid a ray meets; it chooses the axes of the texture."""

    LEVEL = 0
    SIDE_X = 1
    SIDE_Y = 2
    TOP = 3
    ROUND = 4
    BALL = 5


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
def meet(
    solid: Any, origin: NDArray[np.float64], ray: NDArray[np.float64], normal: NDArray[np.float64]
) -> Any:
    """Distance along `ray` [3] (MISS if none) and Face; writes the outward `normal` [3]."""
    normal[:] = 0
    if solid["shape"] == Shape.GROUND:
        normal[2] = 1.0
        return (-origin[2] / ray[2] if ray[2] < -1e-6 and origin[2] > 0 else MISS), Face.LEVEL
    c, s = solid["cosine"], solid["sine"]
    px, py, pz = (
        origin[0] - solid["centre"][0],
        origin[1] - solid["centre"][1],
        origin[2] - solid["centre"][2],
    )
    px, py = c * px + s * py, -s * px + c * py
    dx, dy, dz = c * ray[0] + s * ray[1], -s * ray[0] + c * ray[1], ray[2]
    if solid["shape"] == Shape.BOX:
        distance, face = _box(px, py, pz, dx, dy, dz, solid["half"], normal)
    elif solid["shape"] == Shape.CYLINDER:
        distance, face = _cylinder(px, py, pz, dx, dy, dz, solid["half"], normal)
    else:
        distance, face = _ellipsoid(px, py, pz, dx, dy, dz, solid["half"], normal), Face.BALL
        if distance < MISS and solid["texture"] == Texture.LEAVES:
            facing = abs(normal[0] * dx + normal[1] * dy + normal[2] * dz) / np.sqrt(
                dx * dx + dy * dy + dz * dz
            )
            x, y, z = px + distance * dx, py + distance * dy, pz + distance * dz
            if facing < 0.75 * smooth(
                (x + 0.7 * z) * 6, (y - 0.7 * z) * 6, solid["seed"]
            ):  # a ragged outline
                return MISS, Face.BALL
    normal[0], normal[1] = c * normal[0] - s * normal[1], s * normal[0] + c * normal[1]
    return distance, face


@kernel
def _box(
    px: float, py: float, pz: float, dx: float, dy: float, dz: float, half: Any, normal: NDArray[np.float64]
) -> Any:
    enter, leave, axis = -MISS, MISS, 0
    for k in range(3):
        p, d = (px, dx) if k == 0 else ((py, dy) if k == 1 else (pz, dz))
        if abs(d) < 1e-9:
            if abs(p) > half[k]:
                return MISS, Face.TOP
            continue
        near, far = (-half[k] - p) / d, (half[k] - p) / d
        if near > far:
            near, far = far, near
        if near > enter:
            enter, axis = near, k
        leave = min(leave, far)
    if enter > leave or enter < _NEAREST:
        return MISS, Face.TOP
    d = dx if axis == 0 else (dy if axis == 1 else dz)
    normal[axis] = -1.0 if d > 0 else 1.0
    return enter, (Face.SIDE_X if axis == 0 else (Face.SIDE_Y if axis == 1 else Face.TOP))


@kernel
def _cylinder(
    px: float, py: float, pz: float, dx: float, dy: float, dz: float, half: Any, normal: NDArray[np.float64]
) -> Any:
    a, b, c = dx * dx + dy * dy, px * dx + py * dy, px * px + py * py - half[0] * half[0]
    inside = b * b - a * c
    if inside < 0:
        return MISS, Face.ROUND
    distance = (-b - np.sqrt(inside)) / a
    if distance < _NEAREST or abs(pz + distance * dz) > half[2]:
        return MISS, Face.ROUND
    normal[0], normal[1] = (px + distance * dx) / half[0], (py + distance * dy) / half[0]
    return distance, Face.ROUND


@kernel
def _ellipsoid(
    px: float, py: float, pz: float, dx: float, dy: float, dz: float, half: Any, normal: NDArray[np.float64]
) -> float:
    gx, gy, gz, fx, fy, fz = (
        px / half[0],
        py / half[1],
        pz / half[2],
        dx / half[0],
        dy / half[1],
        dz / half[2],
    )
    a, b, c = fx * fx + fy * fy + fz * fz, gx * fx + gy * fy + gz * fz, gx * gx + gy * gy + gz * gz - 1
    inside = b * b - a * c
    distance = (-b - np.sqrt(inside)) / a if inside >= 0 else MISS
    if distance < _NEAREST or distance >= MISS:
        return MISS
    normal[0] = (gx + distance * fx) / half[0]
    normal[1] = (gy + distance * fy) / half[1]
    normal[2] = (gz + distance * fz) / half[2]
    length = np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
    for k in range(3):
        normal[k] /= length
    return distance


@kernel
def _paint(solid: Any, u: float, v: float, out: Floats) -> None:
    """The texture of a solid at `u`, `v` metres: reflectance into `out` [3]."""
    seed, second, bright = solid["seed"], 0.0, 1.0
    u, v = u / solid["unit"], v / solid["unit"]
    i, j, a, b = int(np.floor(u)), int(np.floor(v)), frac(u), frac(v)
    texture = solid["texture"]
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
            for k in range(3):
                goods = 0.15 + 0.7 * lattice(i, j, seed + 1 + k)
                out[k] = goods * (0.7 + 0.6 * spot * lattice(i, j, seed))
            return
    elif texture == Texture.GRASS:
        second, bright = smooth(u * 1.5, v * 1.5, seed), 0.6 + 0.8 * smooth(u * 25, v * 25, seed + 1)
    elif texture == Texture.STRIPES:
        second, bright = 1.0 if a < 0.5 else 0.0, 0.92 + 0.16 * lattice(int(np.floor(u * 2)), 0, seed)
    elif texture == Texture.CHESS:
        second, bright = 1.0 if (i + j) % 2 == 0 else 0.0, 0.93 + 0.14 * smooth(u * 2, v * 2, seed)
    elif texture == Texture.LEAVES:
        second = smooth(u * 9, v * 9, seed)
        bright = 0.35 + 1.3 * smooth(u * 22, v * 22, seed + 1)
    for k in range(3):
        out[k] = (solid["first"][k] * (1 - second) + solid["second"][k] * second) * bright


@kernel
def sunlit(solids: Any, point: NDArray[np.float64], towards: NDArray[np.float64]) -> float:
    """1 where the ray from `point` towards the sun leaves the scene, 0 where a solid stands in its way."""
    normal = np.zeros(3)
    for i in range(solids.shape[0]):
        if solids[i]["shape"] != Shape.GROUND and meet(solids[i], point, towards, normal)[0] < MISS:
            return 0.0
    return 1.0


@kernel
def _surface_colour(solid: Any, point: NDArray[np.float64], face: int, out: Floats) -> None:
    c, s = solid["cosine"], solid["sine"]
    x, y = point[0] - solid["centre"][0], point[1] - solid["centre"][1]
    x, y, z = c * x + s * y, -s * x + c * y, point[2]
    if face == Face.LEVEL or face == Face.TOP:
        _paint(solid, x, y, out)
    elif face == Face.SIDE_X:
        _paint(solid, y, z, out)
    elif face == Face.SIDE_Y:
        _paint(solid, x, z, out)
    elif face == Face.ROUND:
        _paint(solid, np.arctan2(y, x) * solid["half"][0], z, out)
    else:
        _paint(solid, x + 0.7 * z, y - 0.7 * z, out)


@kernel
def photograph(
    solids: Any,
    cameras: Any,
    lights: Any,
    sky: Floats,
    samples: int,
    picture: Floats,
    depth: Floats,
    ground: Floats,
    kinds: NDArray[np.uint8],
) -> None:
    """The empty scene: `picture` [H, W, 3] in display values, `depth` [H, W] in metres along the view axis.

    `kinds` [H, W] says which Kind of solid `depth` belongs to.

    `ground` [H, W, 2] holds the place of the ground seen in a pixel, OPEN_AIR where something else is seen.
    `sky` [2, 3] are its colours at the zenith and at the horizon; `samples` x `samples` rays a pixel.
    """
    camera, light = cameras[0], lights[0]
    turn, focal, centre = camera["turn"], camera["focal"], camera["centre"]
    origin, ray, normal, best = np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3)
    towards, point, colour = np.zeros(3), np.zeros(3), np.zeros(3, np.float32)
    for k in range(3):
        origin[k], towards[k] = camera["position"][k], light["direction"][k]
    for y in range(depth.shape[0]):
        for x in range(depth.shape[1]):
            depth[y, x], ground[y, x, 0], ground[y, x, 1] = MISS, OPEN_AIR, OPEN_AIR
            picture[y, x] = 0
            kinds[y, x] = Kind.OPEN
            for s in range(samples * samples):
                right = (x + (s % samples + 0.5) / samples - centre[0]) / focal
                down = (y + (s // samples + 0.5) / samples - centre[1]) / focal
                for k in range(3):
                    ray[k] = turn[0, k] * right + turn[1, k] * down + turn[2, k]
                nearest, seen, seen_face = _HORIZON, -1, Face.LEVEL
                for i in range(solids.shape[0]):
                    distance, face = meet(solids[i], origin, ray, normal)
                    if 0.05 < distance < nearest:
                        nearest, seen, seen_face = distance, i, face
                        best[:] = normal
                if seen < 0:
                    high = min(1.0, max(0.0, 0.5 - down))
                    for k in range(3):
                        value = min(1.0, sky[0, k] * high + sky[1, k] * (1 - high))
                        picture[y, x, k] += light["curve"][int(1024 * value)]
                    continue
                for k in range(3):
                    point[k] = origin[k] + nearest * ray[k]
                _surface_colour(solids[seen], point, seen_face, colour)
                if s == 0:
                    depth[y, x] = nearest
                    kinds[y, x] = solids[seen]["kind"]
                    if seen_face == Face.LEVEL:
                        ground[y, x, 0], ground[y, x, 1] = point[0], point[1]
                slope = max(0.0, best[0] * towards[0] + best[1] * towards[1] + best[2] * towards[2])
                if slope > 0:
                    for k in range(3):
                        point[k] += 0.02 * best[k]
                    slope *= sunlit(solids, point, towards)
                energy = light["sun"] * slope
                energy += light["sky"] * (0.5 + 0.5 * best[2]) + light["ground"] * (0.5 - 0.5 * best[2])
                for k in range(3):
                    colour[k] *= energy
                display(colour, light)
                for k in range(3):
                    picture[y, x, k] += colour[k]
            for k in range(3):
                picture[y, x, k] /= samples * samples
