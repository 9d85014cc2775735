"""Ray casting of the still scene: ground, boxes, cylinders and ellipsoids (compiled)."""

from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sttreid.simulate.body import Floats
from sttreid.simulate.kernels import kernel
from sttreid.simulate.noise import smooth
from sttreid.simulate.optics import display
from sttreid.simulate.textures import Colour, Texture, paint

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
_OFF: Final = 0.02  # metres off a surface, where its own shadow does not begin
_RAGGED: Final = 0.9  # how far leaves are torn off towards the outline of a crown
_TWIGS: Final = 9.0  # gaps between leaves along a texture unit


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


Meeting = tuple[float, Face, float, float, float]


@kernel
def meet(solid: Any, px: float, py: float, pz: float, dx: float, dy: float, dz: float) -> Meeting:
    """Where the ray from point p along d first meets a solid: distance (MISS if not at all), Face, normal.

    The normal is a unit vector that points out of the solid.
    """
    if solid["shape"] == Shape.GROUND:
        distance = -pz / dz if dz < -1e-6 and pz > 0 else MISS
        return distance, Face.LEVEL, 0.0, 0.0, 1.0
    c, s, centre, half = solid["cosine"], solid["sine"], solid["centre"], solid["half"]
    px, py, pz = px - centre[0], py - centre[1], pz - centre[2]
    px, py = c * px + s * py, -s * px + c * py
    dx, dy = c * dx + s * dy, -s * dx + c * dy
    if solid["shape"] == Shape.BOX:
        distance, face, nx, ny, nz = _box(px, py, pz, dx, dy, dz, half[0], half[1], half[2])
    elif solid["shape"] == Shape.CYLINDER:
        distance, face, nx, ny, nz = _cylinder(px, py, pz, dx, dy, dz, half[0], half[2])
    else:
        distance, face, nx, ny, nz = _ellipsoid(px, py, pz, dx, dy, dz, half[0], half[1], half[2])
        if distance < MISS and solid["texture"] == Texture.LEAVES:
            facing = abs(nx * dx + ny * dy + nz * dz) / np.sqrt(dx * dx + dy * dy + dz * dz)
            u, v = _plane(px + distance * dx, py + distance * dy, pz + distance * dz, nx, ny, nz)
            twigs = _TWIGS / solid["unit"]
            if facing < _RAGGED * smooth(u * twigs, v * twigs, solid["seed"]):
                return MISS, face, 0.0, 0.0, 1.0
    return distance, face, c * nx - s * ny, s * nx + c * ny, nz


@kernel
def _box(
    px: float, py: float, pz: float, dx: float, dy: float, dz: float, a: float, b: float, c: float
) -> Meeting:
    enter, leave, axis = -MISS, MISS, 0
    for k in range(3):
        p, d, half = (px, dx, a) if k == 0 else ((py, dy, b) if k == 1 else (pz, dz, c))
        if abs(d) < 1e-9:
            if abs(p) > half:
                return MISS, Face.TOP, 0.0, 0.0, 1.0
            continue
        near, far = (-half - p) / d, (half - p) / d
        if near > far:
            near, far = far, near
        if near > enter:
            enter, axis = near, k
        leave = min(leave, far)
    if enter > leave or enter < _NEAREST:
        return MISS, Face.TOP, 0.0, 0.0, 1.0
    if axis == 0:
        return enter, Face.SIDE_X, -1.0 if dx > 0 else 1.0, 0.0, 0.0
    if axis == 1:
        return enter, Face.SIDE_Y, 0.0, -1.0 if dy > 0 else 1.0, 0.0
    return enter, Face.TOP, 0.0, 0.0, -1.0 if dz > 0 else 1.0


@kernel
def _cylinder(
    px: float, py: float, pz: float, dx: float, dy: float, dz: float, radius: float, half: float
) -> Meeting:
    a, b, c = dx * dx + dy * dy, px * dx + py * dy, px * px + py * py - radius * radius
    inside = b * b - a * c
    if inside < 0:
        return MISS, Face.ROUND, 0.0, 0.0, 1.0
    distance = (-b - np.sqrt(inside)) / a
    if distance < _NEAREST or abs(pz + distance * dz) > half:
        return MISS, Face.ROUND, 0.0, 0.0, 1.0
    return distance, Face.ROUND, (px + distance * dx) / radius, (py + distance * dy) / radius, 0.0


@kernel
def _ellipsoid(
    px: float, py: float, pz: float, dx: float, dy: float, dz: float, a: float, b: float, c: float
) -> Meeting:
    gx, gy, gz, fx, fy, fz = px / a, py / b, pz / c, dx / a, dy / b, dz / c
    square, mixed = fx * fx + fy * fy + fz * fz, gx * fx + gy * fy + gz * fz
    inside = mixed * mixed - square * (gx * gx + gy * gy + gz * gz - 1)
    if inside < 0:
        return MISS, Face.BALL, 0.0, 0.0, 1.0
    distance = (-mixed - np.sqrt(inside)) / square
    if distance < _NEAREST or distance >= MISS:
        return MISS, Face.BALL, 0.0, 0.0, 1.0
    nx, ny, nz = (gx + distance * fx) / a, (gy + distance * fy) / b, (gz + distance * fz) / c
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    return distance, Face.BALL, nx / length, ny / length, nz / length


@kernel
def _plane(x: float, y: float, z: float, nx: float, ny: float, nz: float) -> tuple[float, float]:
    """Coordinates of a point in the plane that its normal is nearest to: no texture runs out into stripes."""
    if abs(nz) > abs(nx) and abs(nz) > abs(ny):
        return x, y
    return (y, z) if abs(nx) > abs(ny) else (x, z)


@kernel
def _surface_colour(
    solid: Any, x: float, y: float, z: float, face: int, nx: float, ny: float, nz: float
) -> Colour:
    """The reflectance of the point (x, y, z) of a solid, where `meet` says `face` and normal n."""
    c, s, centre = solid["cosine"], solid["sine"], solid["centre"]
    x, y = x - centre[0], y - centre[1]
    x, y = c * x + s * y, -s * x + c * y
    if face == Face.LEVEL or face == Face.TOP:
        return paint(solid, x, y)
    if face == Face.SIDE_X:
        return paint(solid, y, z)
    if face == Face.SIDE_Y:
        return paint(solid, x, z)
    if face == Face.ROUND:
        return paint(solid, np.arctan2(y, x) * solid["half"][0], z)
    u, v = _plane(x, y, z, c * nx + s * ny, -s * nx + c * ny, nz)
    return paint(solid, u, v)


@kernel
def _spheres(solids: Any) -> NDArray[np.float64]:
    """Centre and squared radius of a ball around each solid, [N, 4]; the ground has none."""
    balls = np.zeros((solids.shape[0], 4))
    for i in range(solids.shape[0]):
        centre, half = solids[i]["centre"], solids[i]["half"]
        balls[i, 0], balls[i, 1], balls[i, 2] = centre[0], centre[1], centre[2]
        balls[i, 3] = half[0] * half[0] + half[1] * half[1] + half[2] * half[2]
        if solids[i]["shape"] == Shape.ELLIPSOID:
            balls[i, 3] = max(half[0], half[1], half[2]) ** 2
        if solids[i]["shape"] == Shape.GROUND:
            balls[i, 3] = -1.0
    return balls


@kernel
def _shaded(
    solids: Any, balls: NDArray[np.float64], px: float, py: float, pz: float, tx: float, ty: float, tz: float
) -> bool:
    """Whether a solid stands between the point p and the sun in the direction t, a unit vector."""
    for i in range(balls.shape[0]):
        x, y, z = balls[i, 0] - px, balls[i, 1] - py, balls[i, 2] - pz
        along = x * tx + y * ty + z * tz
        if (
            x * x + y * y + z * z - along * along < balls[i, 3]
            and meet(solids[i], px, py, pz, tx, ty, tz)[0] < MISS
        ):
            return True
    return False


@kernel
def sunlit(solids: Any, point: NDArray[np.float64], towards: NDArray[np.float64]) -> float:
    """1 where the ray from `point` towards the sun leaves the scene, 0 where a solid stands in its way."""
    balls = _spheres(solids)
    shaded = _shaded(solids, balls, point[0], point[1], point[2], towards[0], towards[1], towards[2])
    return 0.0 if shaded else 1.0


@kernel
def _extent(camera: Any, ball: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """First column, first row, last column, last row [4] that a ball may be seen in; all if it is near."""
    out[0], out[1], out[2], out[3] = -MISS, -MISS, MISS, MISS
    turn, place, centre = camera["turn"], camera["position"], camera["centre"]
    x, y, z = ball[0] - place[0], ball[1] - place[1], ball[2] - place[2]
    radius = np.sqrt(max(0.0, ball[3]))
    depth = turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * z
    if ball[3] < 0 or depth < 1.01 * radius + _NEAREST:
        return
    near, far = camera["focal"] / (depth - radius), camera["focal"] / (depth + radius)
    for k in range(2):
        middle = turn[k, 0] * x + turn[k, 1] * y + turn[k, 2] * z
        low, high = middle - radius, middle + radius
        out[k] = centre[k] + min(low * near, low * far) - 1
        out[k + 2] = centre[k] + max(high * near, high * far) + 1


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
    turn, focal, centre, place = camera["turn"], camera["focal"], camera["centre"], camera["position"]
    px, py, pz = float(place[0]), float(place[1]), float(place[2])
    sun, above, below = float(light["sun"]), float(light["sky"]), float(light["ground"])
    towards, curve = light["direction"], light["curve"]
    tx, ty, tz = float(towards[0]), float(towards[1]), float(towards[2])
    balls = _spheres(solids)
    extents, rows = np.zeros((solids.shape[0], 4)), np.zeros(solids.shape[0], np.int64)
    for i in range(solids.shape[0]):
        _extent(camera, balls[i], extents[i])
    share = 1 / (samples * samples)
    for y in range(depth.shape[0]):
        count = 0
        for i in range(solids.shape[0]):
            if extents[i, 1] <= y <= extents[i, 3]:
                rows[count] = i
                count += 1
        for x in range(depth.shape[1]):
            depth[y, x], ground[y, x, 0], ground[y, x, 1] = MISS, OPEN_AIR, OPEN_AIR
            kinds[y, x] = Kind.OPEN
            red, green, blue = 0.0, 0.0, 0.0
            for s in range(samples * samples):
                right = (x + (s % samples + 0.5) / samples - centre[0]) / focal
                down = (y + (s // samples + 0.5) / samples - centre[1]) / focal
                dx = turn[0, 0] * right + turn[1, 0] * down + turn[2, 0]
                dy = turn[0, 1] * right + turn[1, 1] * down + turn[2, 1]
                dz = turn[0, 2] * right + turn[1, 2] * down + turn[2, 2]
                nearest, seen, face, nx, ny, nz = _HORIZON, -1, Face.LEVEL, 0.0, 0.0, 1.0
                for place_in_row in range(count):
                    i = rows[place_in_row]
                    if not extents[i, 0] <= x <= extents[i, 2]:
                        continue
                    met = meet(solids[i], px, py, pz, dx, dy, dz)
                    if 0.05 < met[0] < nearest:
                        nearest, seen, face, nx, ny, nz = met[0], i, met[1], met[2], met[3], met[4]
                if seen < 0:
                    high = min(1.0, max(0.0, 0.5 - down))
                    red += curve[int(1024 * min(1.0, sky[0, 0] * high + sky[1, 0] * (1 - high)))]
                    green += curve[int(1024 * min(1.0, sky[0, 1] * high + sky[1, 1] * (1 - high)))]
                    blue += curve[int(1024 * min(1.0, sky[0, 2] * high + sky[1, 2] * (1 - high)))]
                    continue
                solid = solids[seen]
                qx, qy, qz = px + nearest * dx, py + nearest * dy, pz + nearest * dz
                colour = _surface_colour(solid, qx, qy, qz, face, nx, ny, nz)
                if s == 0:
                    depth[y, x], kinds[y, x] = nearest, solid["kind"]
                    if face == Face.LEVEL:
                        ground[y, x, 0], ground[y, x, 1] = qx, qy
                slope = nx * tx + ny * ty + nz * tz
                qx, qy, qz = qx + _OFF * nx, qy + _OFF * ny, qz + _OFF * nz
                energy = above * (0.5 + 0.5 * nz) + below * (0.5 - 0.5 * nz)
                if slope > 0 and not _shaded(solids, balls, qx, qy, qz, tx, ty, tz):
                    energy += sun * slope
                shown = display(colour[0] * energy, colour[1] * energy, colour[2] * energy, light)
                red, green, blue = red + shown[0], green + shown[1], blue + shown[2]
            picture[y, x, 0], picture[y, x, 1], picture[y, x, 2] = red * share, green * share, blue * share
