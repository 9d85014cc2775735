"""Ray casting of the still scene: ground, boxes, cylinders and ellipsoids (compiled)."""

from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sttreid.simulate.geometry import Doubles, Floats
from sttreid.simulate.kernels import kernel
from sttreid.simulate.optics import display
from sttreid.simulate.textures import Colour, Texture, paint, smooth

SOLID: Final = np.dtype(
    [
        ("kind", "i4"), ("shape", "i4"), ("texture", "i4"), ("seed", "i4"),
        ("centre", "f8", 3), ("half", "f8", 3),  # metres; half sizes or radii
        ("cosine", "f8"), ("sine", "f8"),  # of its rotation around the vertical axis
        ("first", "f8", 3), ("second", "f8", 3), ("unit", "f8"),  # two colours, metres per texture unit
    ],
    align=True,
)  # fmt: skip
OPEN_AIR: Final = 1e6  # ground coordinate of pixels that show no ground
MISS: Final = 1e9  # distance of a ray that meets nothing, metres
_HORIZON: Final = 150.0  # metres; beyond it is sky
_NEAREST: Final = 1e-3  # metres
_OFF: Final = 0.02  # metres from a surface at which shadow rays start, so that it does not shade itself
_RAGGED: Final = 0.9  # strength of the gaps between leaves at the outline of a crown
_TWIGS: Final = 9.0  # gaps between leaves per texture unit


class SolidKind(IntEnum):
    """The kind of a solid; OPEN is the ground and the sky, which hide no person."""

    OPEN = 0
    BUILDING = 1
    TREE = 2
    CAR = 3
    BOX = 4
    POLE = 5
    WALL = 6
    BUSH = 7


class Shape(IntEnum):
    """The shape of a solid."""

    GROUND = 0
    BOX = 1
    CYLINDER = 2
    ELLIPSOID = 3


class SolidFace(IntEnum):
    """The face of a solid that a ray meets; it selects the axes of the texture."""

    LEVEL = 0
    SIDE_X = 1
    SIDE_Y = 2
    TOP = 3
    ROUND = 4
    BALL = 5


Intersection = tuple[float, SolidFace, float, float, float]


@kernel
def meet(solid: Any, px: float, py: float, pz: float, dx: float, dy: float, dz: float) -> Intersection:
    """First intersection of the ray p + t d with a solid: distance or MISS, SolidFace, outward normal."""
    if solid["shape"] == Shape.GROUND:
        distance = -pz / dz if dz < -1e-6 and pz > 0 else MISS
        return distance, SolidFace.LEVEL, 0.0, 0.0, 1.0
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
) -> Intersection:
    enter, leave, axis = -MISS, MISS, 0
    for k in range(3):
        p, d, half = (px, dx, a) if k == 0 else ((py, dy, b) if k == 1 else (pz, dz, c))
        if abs(d) < 1e-9:
            if abs(p) > half:
                return MISS, SolidFace.TOP, 0.0, 0.0, 1.0
            continue
        near, far = (-half - p) / d, (half - p) / d
        if near > far:
            near, far = far, near
        if near > enter:
            enter, axis = near, k
        leave = min(leave, far)
    if enter > leave or enter < _NEAREST:
        return MISS, SolidFace.TOP, 0.0, 0.0, 1.0
    if axis == 0:
        return enter, SolidFace.SIDE_X, -1.0 if dx > 0 else 1.0, 0.0, 0.0
    if axis == 1:
        return enter, SolidFace.SIDE_Y, 0.0, -1.0 if dy > 0 else 1.0, 0.0
    return enter, SolidFace.TOP, 0.0, 0.0, -1.0 if dz > 0 else 1.0


@kernel
def _cylinder(
    px: float, py: float, pz: float, dx: float, dy: float, dz: float, radius: float, half: float
) -> Intersection:
    a, b, c = dx * dx + dy * dy, px * dx + py * dy, px * px + py * py - radius * radius
    inside = b * b - a * c
    if inside < 0:
        return MISS, SolidFace.ROUND, 0.0, 0.0, 1.0
    distance = (-b - np.sqrt(inside)) / a
    if distance < _NEAREST or abs(pz + distance * dz) > half:
        return MISS, SolidFace.ROUND, 0.0, 0.0, 1.0
    return distance, SolidFace.ROUND, (px + distance * dx) / radius, (py + distance * dy) / radius, 0.0


@kernel
def _ellipsoid(
    px: float, py: float, pz: float, dx: float, dy: float, dz: float, a: float, b: float, c: float
) -> Intersection:
    gx, gy, gz, fx, fy, fz = px / a, py / b, pz / c, dx / a, dy / b, dz / c
    square, mixed = fx * fx + fy * fy + fz * fz, gx * fx + gy * fy + gz * fz
    inside = mixed * mixed - square * (gx * gx + gy * gy + gz * gz - 1)
    if inside < 0:
        return MISS, SolidFace.BALL, 0.0, 0.0, 1.0
    distance = (-mixed - np.sqrt(inside)) / square
    if distance < _NEAREST or distance >= MISS:
        return MISS, SolidFace.BALL, 0.0, 0.0, 1.0
    nx, ny, nz = (gx + distance * fx) / a, (gy + distance * fy) / b, (gz + distance * fz) / c
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    return distance, SolidFace.BALL, nx / length, ny / length, nz / length


@kernel
def _plane(x: float, y: float, z: float, nx: float, ny: float, nz: float) -> tuple[float, float]:
    """Coordinates of a point in the coordinate plane most nearly normal to n; it stretches textures least."""
    if abs(nz) > abs(nx) and abs(nz) > abs(ny):
        return x, y
    return (y, z) if abs(nx) > abs(ny) else (x, z)


@kernel
def _surface_colour(
    solid: Any, x: float, y: float, z: float, face: int, nx: float, ny: float, nz: float
) -> Colour:
    """Reflectance of the point (x, y, z) of a solid; ``face`` and normal n are those of ``meet``."""
    c, s, centre = solid["cosine"], solid["sine"], solid["centre"]
    x, y = x - centre[0], y - centre[1]
    x, y = c * x + s * y, -s * x + c * y
    if face == SolidFace.LEVEL or face == SolidFace.TOP:
        return paint(solid, x, y)
    if face == SolidFace.SIDE_X:
        return paint(solid, y, z)
    if face == SolidFace.SIDE_Y:
        return paint(solid, x, z)
    if face == SolidFace.ROUND:
        return paint(solid, np.arctan2(y, x) * solid["half"][0], z)
    u, v = _plane(x, y, z, c * nx + s * ny, -s * nx + c * ny, nz)
    return paint(solid, u, v)


@kernel
def _spheres(solids: Any) -> Doubles:
    """Centre and squared radius [N, 4] of a bounding sphere of each solid; -1 for the ground."""
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
    solids: Any, balls: Doubles, px: float, py: float, pz: float, tx: float, ty: float, tz: float
) -> bool:
    """Whether a solid shades the point p from the sun in the direction t, a unit vector."""
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
def sunlit(solids: Any, point: Doubles, towards: Doubles) -> float:
    """1 if the sun in direction ``towards`` [3] lights ``point`` [3], 0 if a solid shades it."""
    balls = _spheres(solids)
    shaded = _shaded(solids, balls, point[0], point[1], point[2], towards[0], towards[1], towards[2])
    return 0.0 if shaded else 1.0


@kernel
def _extent(camera: Any, ball: Doubles, out: Doubles) -> None:
    """Write the first column, first row, last column, last row [4] of a sphere to ``out``; all if near."""
    out[0], out[1], out[2], out[3] = -MISS, -MISS, MISS, MISS
    turn, origin, centre = camera["turn"], camera["position"], camera["centre"]
    x, y, z = ball[0] - origin[0], ball[1] - origin[1], ball[2] - origin[2]
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
    image: Floats,
    depth: Floats,
    ground: Floats,
    kinds: NDArray[np.uint8],
) -> None:
    """Render the empty scene with ``samples`` x ``samples`` rays per pixel.

    Args:
        solids: [N] SOLID.
        cameras: [1] CAMERA.
        lights: [1] LIGHT.
        sky: [2, 3] colours at the zenith and at the horizon.
        samples: rays per pixel in each direction.
        image: [H, W, 3] display values, written.
        depth: [H, W] metres along the view axis, written.
        ground: [H, W, 2] position on the ground, OPEN_AIR where something else is visible; written.
        kinds: [H, W] SolidKind at ``depth``, written.
    """
    camera, light = cameras[0], lights[0]
    turn, focal, centre, origin = camera["turn"], camera["focal"], camera["centre"], camera["position"]
    px, py, pz = float(origin[0]), float(origin[1]), float(origin[2])
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
            kinds[y, x] = SolidKind.OPEN
            red, green, blue = 0.0, 0.0, 0.0
            for s in range(samples * samples):
                right = (x + (s % samples + 0.5) / samples - centre[0]) / focal
                down = (y + (s // samples + 0.5) / samples - centre[1]) / focal
                dx = turn[0, 0] * right + turn[1, 0] * down + turn[2, 0]
                dy = turn[0, 1] * right + turn[1, 1] * down + turn[2, 1]
                dz = turn[0, 2] * right + turn[1, 2] * down + turn[2, 2]
                nearest, hit, face, nx, ny, nz = _HORIZON, -1, SolidFace.LEVEL, 0.0, 0.0, 1.0
                for index in range(count):
                    i = rows[index]
                    if not extents[i, 0] <= x <= extents[i, 2]:
                        continue
                    met = meet(solids[i], px, py, pz, dx, dy, dz)
                    if 0.05 < met[0] < nearest:
                        nearest, hit, face, nx, ny, nz = met[0], i, met[1], met[2], met[3], met[4]
                if hit < 0:
                    high = min(1.0, max(0.0, 0.5 - down))
                    red += curve[int(1024 * min(1.0, sky[0, 0] * high + sky[1, 0] * (1 - high)))]
                    green += curve[int(1024 * min(1.0, sky[0, 1] * high + sky[1, 1] * (1 - high)))]
                    blue += curve[int(1024 * min(1.0, sky[0, 2] * high + sky[1, 2] * (1 - high)))]
                    continue
                solid = solids[hit]
                qx, qy, qz = px + nearest * dx, py + nearest * dy, pz + nearest * dz
                colour = _surface_colour(solid, qx, qy, qz, face, nx, ny, nz)
                if s == 0:
                    depth[y, x], kinds[y, x] = nearest, solid["kind"]
                    if face == SolidFace.LEVEL:
                        ground[y, x, 0], ground[y, x, 1] = qx, qy
                slope = nx * tx + ny * ty + nz * tz
                qx, qy, qz = qx + _OFF * nx, qy + _OFF * ny, qz + _OFF * nz
                energy = above * (0.5 + 0.5 * nz) + below * (0.5 - 0.5 * nz)
                if slope > 0 and not _shaded(solids, balls, qx, qy, qz, tx, ty, tz):
                    energy += sun * slope
                shown = display(colour[0] * energy, colour[1] * energy, colour[2] * energy, light)
                red, green, blue = red + shown[0], green + shown[1], blue + shown[2]
            image[y, x, 0], image[y, x, 1], image[y, x, 2] = red * share, green * share, blue * share
