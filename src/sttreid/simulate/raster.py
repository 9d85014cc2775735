"""Drawing people: skinning, projection, exact depth buffer, deferred shading and compositing (compiled).

Pictures are float32 [H, W, 3] in display space, 0 to 255. A person is drawn into a tile of its own with
SAMPLES x SAMPLES samples a pixel, tested against the depth of the scene, and laid over the picture from far
to near.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sttreid.simulate.body import Floats, Ints, Part
from sttreid.simulate.cloth import albedo
from sttreid.simulate.kernels import kernel
from sttreid.simulate.optics import display

Bytes = NDArray[np.uint8]
Longs = NDArray[np.int64]

SAMPLES: Final = 2
NOTHING: Final = -1
FAR: Final = np.float32(1e9)
HIDDEN: Final = 2  # place in the counts of `shade` where the kinds of solids begin
_WRAP: Final = np.float32(0.25)  # light reaches a little round the edge, as it does on cloth


@kernel
def skin(
    vertices: Floats,
    normals: Floats,
    weights: Floats,
    influences: Ints,
    matrices: Floats,
    out: Floats,
    turned: Floats,
) -> None:
    """Moves vertices and normals [V, 3] by their joints' matrices [J, 3, 4] into `out` and `turned`."""
    blend = np.zeros((3, 4), np.float32)
    for v in range(vertices.shape[0]):
        blend[:] = 0
        for k in range(weights.shape[1]):
            weight = weights[v, k]
            if weight > 0:
                for r in range(3):
                    for c in range(4):
                        blend[r, c] += weight * matrices[influences[v, k], r, c]
        x, y, z = vertices[v, 0], vertices[v, 1], vertices[v, 2]
        for r in range(3):
            out[v, r] = blend[r, 0] * x + blend[r, 1] * y + blend[r, 2] * z + blend[r, 3]
            turned[v, r] = (
                blend[r, 0] * normals[v, 0] + blend[r, 1] * normals[v, 1] + blend[r, 2] * normals[v, 2]
            )


@kernel
def project(points: Floats, cameras: Any, out: Floats) -> None:
    """World points [V, 3] to pixel column, pixel row and depth in metres, `out` [V, 3]."""
    camera = cameras[0]
    turn, place, focal = camera["turn"], camera["position"], camera["focal"]
    for v in range(points.shape[0]):
        x, y, z = points[v, 0] - place[0], points[v, 1] - place[1], points[v, 2] - place[2]
        depth = turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * z
        out[v, 0] = camera["centre"][0] + focal * (turn[0, 0] * x + turn[0, 1] * y + turn[0, 2] * z) / depth
        out[v, 1] = camera["centre"][1] + focal * (turn[1, 0] * x + turn[1, 1] * y + turn[1, 2] * z) / depth
        out[v, 2] = depth


@kernel
def rasterise(
    screen: Floats, faces: Ints, parts: Bytes, left: int, top: int, depth: Floats, hit: Ints, bary: Floats
) -> None:
    """Nearest triangle of every sample of a tile whose first pixel is (left, top).

    Fills `depth` [h, w], `hit` [h, w] (triangle or NOTHING) and `bary` [h, w, 2] (weights of its second and
    third corner); h and w count samples. Solids are seen from outside only, sheets (skirt, coat, hair) from
    both sides.
    """
    height, width = depth.shape
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        ax, ay, az = (screen[a, 0] - left) * SAMPLES, (screen[a, 1] - top) * SAMPLES, screen[a, 2]
        bx, by, bz = (screen[b, 0] - left) * SAMPLES, (screen[b, 1] - top) * SAMPLES, screen[b, 2]
        cx, cy, cz = (screen[c, 0] - left) * SAMPLES, (screen[c, 1] - top) * SAMPLES, screen[c, 2]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        sheet = parts[t] == Part.SKIRT or parts[t] == Part.COAT or parts[t] == Part.HAIR
        if abs(area) < 1e-6 or (area > 0 and not sheet):
            continue
        x_low = max(0, int(np.ceil(min(ax, bx, cx) - 0.5)))
        x_high = min(width - 1, int(np.floor(max(ax, bx, cx) - 0.5)))
        y_low = max(0, int(np.ceil(min(ay, by, cy) - 0.5)))
        y_high = min(height - 1, int(np.floor(max(ay, by, cy) - 0.5)))
        u_x, u_y, v_x, v_y = (cy - ay) / area, -(cx - ax) / area, -(by - ay) / area, (bx - ax) / area
        for y in range(y_low, y_high + 1):
            u = (x_low + 0.5 - ax) * u_x + (y + 0.5 - ay) * u_y
            v = (x_low + 0.5 - ax) * v_x + (y + 0.5 - ay) * v_y
            for x in range(x_low, x_high + 1):
                if u >= 0 and v >= 0 and u + v <= 1:
                    z = az + u * (bz - az) + v * (cz - az)
                    if z < depth[y, x]:
                        depth[y, x], hit[y, x] = z, t
                        bary[y, x, 0], bary[y, x, 1] = u, v
                u += u_x
                v += v_x


@kernel
def shade(
    faces: Ints, parts: Bytes, canonical: Floats, limb: Floats, normals: Floats, materials: Any, lights: Any,
    sunlit: float, view: Floats, depth: Floats, hit: Ints, bary: Floats, scene: Floats, kinds: Bytes,
    left: int, top: int, tile: Floats, counts: Longs,
) -> None:  # fmt: skip
    """Colours the samples of a tile that the scene does not hide.

    `view` [3] points from the person to the camera; `sunlit` is 0 in the shadow of the scene; `scene` [H,
    W] is its depth and `kinds` [H, W] the Kind of solid there. Writes `tile` [h, w, 4], display colour times
    coverage and coverage. `counts` [HIDDEN + kinds] receives the number of samples of the person inside the
    picture or not, of those that the scene leaves to be seen, and from HIDDEN on of those behind each Kind.
    """
    light, material = lights[0], materials[0]
    colour, total = np.zeros(3, np.float32), np.zeros(4, np.float32)
    point, normal = np.zeros(3, np.float32), np.zeros(3, np.float32)
    share = np.float32(1.0 / (SAMPLES * SAMPLES))
    for row in range(tile.shape[0]):
        for column in range(tile.shape[1]):
            inside = 0 <= top + row < scene.shape[0] and 0 <= left + column < scene.shape[1]
            total[:] = 0
            for sample in range(SAMPLES * SAMPLES):
                y, x = row * SAMPLES + sample // SAMPLES, column * SAMPLES + sample % SAMPLES
                t = hit[y, x]
                if t == NOTHING:
                    continue
                counts[0] += 1
                if not inside:
                    continue
                if depth[y, x] > scene[top + row, left + column]:
                    counts[HIDDEN + kinds[top + row, left + column]] += 1
                    continue
                counts[1] += 1
                a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
                u, v = bary[y, x, 0], bary[y, x, 1]
                w = 1 - u - v
                for k in range(3):
                    point[k] = w * canonical[a, k] + u * canonical[b, k] + v * canonical[c, k]
                    normal[k] = w * normals[a, k] + u * normals[b, k] + v * normals[c, k]
                along = w * limb[a] + u * limb[b] + v * limb[c]
                albedo(parts[t], point[0], point[1], point[2], along, material, colour)
                _lit(colour, normal, view, light, sunlit)
                display(colour, light)
                for k in range(3):
                    total[k] += colour[k]
                total[3] += 1
            for k in range(4):
                tile[row, column, k] = total[k] * share


@kernel
def _lit(colour: Floats, normal: Floats, view: Floats, light: Any, sunlit: float) -> None:
    """Multiplies a reflectance by the light that falls on a surface seen from `view`."""
    length = np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2) + np.float32(1e-6)
    facing = (normal[0] * view[0] + normal[1] * view[1] + normal[2] * view[2]) / length
    sign = np.float32(1.0) if facing >= 0 else np.float32(-1.0)  # the far side of a sheet
    to_sun, up = np.float32(0.0), sign * normal[2] / length
    for k in range(3):
        to_sun += sign * normal[k] / length * light["direction"][k]
    sun = light["sun"] * sunlit * max(np.float32(0.0), (to_sun + _WRAP) / (1 + _WRAP))
    energy = sun + light["sky"] * (0.5 + 0.5 * up) + light["ground"] * (0.5 - 0.5 * up)
    energy *= 0.72 + 0.28 * abs(facing)  # a little darker towards the outline
    for k in range(3):
        colour[k] *= energy


@kernel
def composite(
    tile: Floats,
    left: int,
    top: int,
    dx: float,
    dy: float,
    picture: Floats,
    owner: Ints,
    me: int,
    lost: Longs,
) -> None:
    """Lays a tile over the picture, blurred along (dx, dy) pixels of motion during the exposure.

    `owner` [H, W] holds who is seen in each pixel; covering another person's pixel adds one to `lost` of
    that person.
    """
    height, width = tile.shape[0], tile.shape[1]
    steps = int(np.ceil(np.sqrt(dx * dx + dy * dy))) + 1
    margin_x, margin_y = int(np.ceil(abs(dx) / 2)), int(np.ceil(abs(dy) / 2))
    mixed = np.zeros(4, np.float32)
    for row in range(max(-margin_y, -top), min(height + margin_y, picture.shape[0] - top)):
        for column in range(max(-margin_x, -left), min(width + margin_x, picture.shape[1] - left)):
            mixed[:] = 0
            for step in range(steps):
                shift = (step + 0.5) / steps - 0.5
                y, x = int(np.floor(row - shift * dy + 0.5)), int(np.floor(column - shift * dx + 0.5))
                if 0 <= y < height and 0 <= x < width:
                    for k in range(4):
                        mixed[k] += tile[y, x, k]
            if mixed[3] == 0:
                continue
            cover = mixed[3] / steps
            for k in range(3):
                under = picture[top + row, left + column, k]
                picture[top + row, left + column, k] = under * (1 - cover) + mixed[k] / steps
            if cover > 0.5:
                if owner[top + row, left + column] != NOTHING:
                    lost[owner[top + row, left + column]] += 1
                owner[top + row, left + column] = me
