"""Rasterisation of persons: skinning, projection, depth buffer, deferred shading, compositing (compiled).

Images are float32 [H, W, 3] in display space, 0 to 255. Each person is drawn into a tile with SAMPLES x
SAMPLES samples per pixel, tested against the depth of the scene; the tiles are composited from far to near.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sttreid.simulate.body import MeshPart
from sttreid.simulate.cloth import albedo, folds
from sttreid.simulate.geometry import Floats, Ints
from sttreid.simulate.kernels import kernel
from sttreid.simulate.optics import display

Bytes = NDArray[np.uint8]
Longs = NDArray[np.int64]

SAMPLES: Final = 2  # per pixel, in each direction
NOTHING: Final = -1  # in place of a triangle or person
FAR: Final = np.float32(1e9)  # metres
HIDDEN: Final = 2  # index in the counts of ``shade`` at which the kinds of solids begin
_THIN: Final = 1e-6  # twice the area, in samples, below which a triangle is skipped
_TOUCH: Final = 1e-9  # samples; so that a sample on a common edge belongs to a triangle
_NEAR: Final = 0.05  # metres; samples of a pixel closer than this belong to one surface
_TINY: Final = 1e-6
_WRAP: Final = 0.25  # wrap lighting: cloth is lit slightly beyond the terminator


class PosedMesh(NamedTuple):
    """The mesh of a person in one frame. V vertices, F triangles."""

    faces: Ints  # [F, 3]
    parts: Bytes  # [F] MeshPart
    canonical: Floats  # [V, 3] canonical positions
    limb: Floats  # [V] limb coordinate
    normals: Floats  # [V, 3]


class Samples(NamedTuple):
    """The nearest triangle of every sample of a tile. h, w samples."""

    depth: Floats  # [h, w] metres, FAR without a triangle
    hit: Ints  # [h, w] triangle or NOTHING
    bary: Floats  # [h, w, 2] weights of its second and third corner


class Surroundings(NamedTuple):
    """The empty scene. H, W pixels of the image."""

    depth: Floats  # [H, W] metres
    kinds: Bytes  # [H, W] SolidKind


def empty_samples(height: int, width: int) -> Samples:
    """The samples of a tile of height x width pixels, without triangles."""
    shape = (height * SAMPLES, width * SAMPLES)
    return Samples(
        depth=np.full(shape, FAR),
        hit=np.full(shape, NOTHING, np.int32),
        bary=np.empty((*shape, 2), np.float32),
    )


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
    """Move vertices and normals [V, 3] by the joints' matrices [J, 3, 4]; writes ``out`` and ``turned``."""
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
def project_points(points: Floats, cameras: Any, out: Floats) -> None:
    """Project world points [V, 3] to pixel column, pixel row and depth in metres, ``out`` [V, 3]."""
    camera = cameras[0]
    turn, origin, focal = camera["turn"], camera["position"], camera["focal"]
    for v in range(points.shape[0]):
        x, y, z = points[v, 0] - origin[0], points[v, 1] - origin[1], points[v, 2] - origin[2]
        depth = turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * z
        out[v, 0] = camera["centre"][0] + focal * (turn[0, 0] * x + turn[0, 1] * y + turn[0, 2] * z) / depth
        out[v, 1] = camera["centre"][1] + focal * (turn[1, 0] * x + turn[1, 1] * y + turn[1, 2] * z) / depth
        out[v, 2] = depth


@kernel
def extent(points: Floats) -> tuple[float, float, float, float]:
    """Bounding box (left, top, right, bottom) of the points [V, 2 or more]."""
    left, top, right, bottom = np.inf, np.inf, -np.inf, -np.inf
    for v in range(points.shape[0]):
        left, right = min(left, points[v, 0]), max(right, points[v, 0])
        top, bottom = min(top, points[v, 1]), max(bottom, points[v, 1])
    return left, top, right, bottom


@kernel
def rasterise(screen: Floats, faces: Ints, parts: Bytes, left: int, top: int, samples: Samples) -> None:
    """Find the nearest triangle of every sample of a tile whose first pixel is (left, top).

    Args:
        screen: [V, 3] pixel column, pixel row and depth in metres of the vertices.
        faces: [F, 3] triangles.
        parts: [F] MeshPart. Solids are visible from outside only, sheets (skirt, coat, hair) from both sides.
        left: first column of the tile.
        top: first row of the tile.
        samples: without triangles (``empty_samples``); written.
    """
    depth, hit, bary = samples.depth, samples.hit, samples.bary
    height, width = depth.shape
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        ax, ay = (screen[a, 0] - left) * SAMPLES, (screen[a, 1] - top) * SAMPLES
        bx, by = (screen[b, 0] - left) * SAMPLES, (screen[b, 1] - top) * SAMPLES
        cx, cy = (screen[c, 0] - left) * SAMPLES, (screen[c, 1] - top) * SAMPLES
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area > -_THIN:
            part = parts[t]
            if area < _THIN or not (part == MeshPart.SKIRT or part == MeshPart.COAT or part == MeshPart.HAIR):
                continue
        x_low = max(0, int(np.ceil(min(ax, bx, cx) - 0.5)))
        x_high = min(width - 1, int(np.floor(max(ax, bx, cx) - 0.5)))
        y_low = max(0, int(np.ceil(min(ay, by, cy) - 0.5)))
        y_high = min(height - 1, int(np.floor(max(ay, by, cy) - 0.5)))
        if x_low > x_high or y_low > y_high:  # between the samples
            continue
        scale = 1 / area
        u_x, u_y, v_x, v_y = (cy - ay) * scale, (ax - cx) * scale, (ay - by) * scale, (bx - ax) * scale
        w_x = -u_x - v_x
        u_cross, v_cross, w_cross = -1 / u_x, -1 / v_x, -1 / w_x
        z, z_u, z_v = screen[a, 2], screen[b, 2] - screen[a, 2], screen[c, 2] - screen[a, 2]
        for y in range(y_low, y_high + 1):
            u = (x_low + 0.5 - ax) * u_x + (y + 0.5 - ay) * u_y
            v = (x_low + 0.5 - ax) * v_x + (y + 0.5 - ay) * v_y
            first, last = span(u, u_x, u_cross, 0.0, float(x_high - x_low))
            first, last = span(v, v_x, v_cross, first, last)
            first, last = span(1 - u - v, w_x, w_cross, first, last)
            if first > last:
                continue
            u, v = u + first * u_x, v + first * v_x
            for x in range(x_low + int(first), x_low + int(last) + 1):
                near = z + u * z_u + v * z_v
                if near < depth[y, x]:
                    depth[y, x], hit[y, x] = near, t
                    bary[y, x, 0], bary[y, x, 1] = u, v
                u += u_x
                v += v_x


@kernel
def span(value: float, slope: float, cross: float, first: float, last: float) -> tuple[float, float]:
    """Narrow the steps first..last of a row to those at which ``value`` + step * ``slope`` is not negative.

    ``cross`` is -1 / ``slope``.
    """
    if slope > 0:
        return max(first, np.ceil(value * cross - _TOUCH)), last
    if slope < 0:
        return first, min(last, np.floor(value * cross + _TOUCH))
    return (first, last) if value > -_TOUCH else (1.0, 0.0)


@kernel
def shade(
    mesh: PosedMesh, samples: Samples, surroundings: Surroundings, materials: Any, lights: Any,
    sunlit: float, view: Floats, left: int, top: int, tile: Floats, counts: Longs,
) -> None:  # fmt: skip
    """Shade the samples of a tile that the scene does not hide.

    Args:
        mesh: the mesh of the person.
        samples: its nearest triangles, as written by ``rasterise``.
        surroundings: depth and kinds of the empty scene.
        materials: [1] MATERIAL.
        lights: [1] LIGHT.
        sunlit: 0 in the shadow of the scene, otherwise 1.
        view: [3] unit vector from the person to the camera.
        left: first column of the tile.
        top: first row of the tile.
        tile: [h, w, 4] display colour times coverage, and coverage; written.
        counts: [HIDDEN + kinds] number of samples of the person (inside the image or not), of those that the
            scene does not hide, and from HIDDEN on of those hidden by each SolidKind; added to.

    Patterns are evaluated per sample. Light and folds vary slowly: they are evaluated once for those samples
    of a pixel that lie close together on the same part.
    """
    faces, parts, normals = mesh.faces, mesh.parts, mesh.normals
    canonical, limb = mesh.canonical, mesh.limb
    depth, hit, bary = samples.depth, samples.hit, samples.bary
    scene, kinds = surroundings.depth, surroundings.kinds
    light, material = lights[0], materials[0]
    view_x, view_y, view_z = view[0], view[1], view[2]
    share = np.float32(1.0 / (SAMPLES * SAMPLES))
    whole, left_over = 0, 0
    for row in range(tile.shape[0]):
        for column in range(tile.shape[1]):
            red, green, blue, cover = 0.0, 0.0, 0.0, 0
            inside = 0 <= top + row < scene.shape[0] and 0 <= left + column < scene.shape[1]
            behind, kind = FAR, 0
            if inside:
                behind, kind = scene[top + row, left + column], int(kinds[top + row, left + column])
            alike, part, near, energy, brightness = 0, 0, FAR, 0.0, 0.0
            r, g, b = 0.0, 0.0, 0.0
            for sample in range(SAMPLES * SAMPLES):
                y, x = row * SAMPLES + sample // SAMPLES, column * SAMPLES + sample % SAMPLES
                t = hit[y, x]
                if t == NOTHING:
                    continue
                whole += 1
                if not inside:
                    continue
                if depth[y, x] > behind:
                    counts[HIDDEN + kind] += 1
                    continue
                left_over += 1
                i, j, k = faces[t, 0], faces[t, 1], faces[t, 2]
                u, v = bary[y, x, 0], bary[y, x, 1]
                w = 1 - u - v
                if alike == 0 or parts[t] != part or abs(depth[y, x] - near) > _NEAR:
                    if alike > 0:
                        shown = display(r * energy / alike, g * energy / alike, b * energy / alike, light)
                        red, green = red + alike * shown[0], green + alike * shown[1]
                        blue += alike * shown[2]
                    energy = _energy(
                        w * normals[i, 0] + u * normals[j, 0] + v * normals[k, 0],
                        w * normals[i, 1] + u * normals[j, 1] + v * normals[k, 1],
                        w * normals[i, 2] + u * normals[j, 2] + v * normals[k, 2],
                        view_x, view_y, view_z, light, sunlit,
                    )  # fmt: skip
                    alike, part, near, brightness = 0, int(parts[t]), depth[y, x], 0.0
                    r, g, b = 0.0, 0.0, 0.0
                px = w * canonical[i, 0] + u * canonical[j, 0] + v * canonical[k, 0]
                py = w * canonical[i, 1] + u * canonical[j, 1] + v * canonical[k, 1]
                pz = w * canonical[i, 2] + u * canonical[j, 2] + v * canonical[k, 2]
                along = w * limb[i] + u * limb[j] + v * limb[k]
                colour, woven = albedo(part, px, py, pz, along, material)
                factor = 1.0
                if woven:
                    if brightness == 0:
                        brightness = folds(px, py, pz, material)
                    factor = brightness
                r, g, b = r + colour[0] * factor, g + colour[1] * factor, b + colour[2] * factor
                alike += 1
                cover += 1
            if alike > 0:
                shown = display(r * energy / alike, g * energy / alike, b * energy / alike, light)
                red, green = red + alike * shown[0], green + alike * shown[1]
                blue += alike * shown[2]
            tile[row, column, 0], tile[row, column, 1] = red * share, green * share
            tile[row, column, 2], tile[row, column, 3] = blue * share, cover * share
    counts[0] += whole
    counts[1] += left_over


@kernel
def _energy(
    x: float, y: float, z: float, view_x: float, view_y: float, view_z: float, light: Any, sunlit: float
) -> float:
    """Light reflected by a surface with a normal along (x, y, z), as visible from ``view``."""
    facing = x * view_x + y * view_y + z * view_z
    turn = 1 / (np.sqrt(x * x + y * y + z * z) + _TINY)
    if facing < 0:  # the rear side of a sheet
        turn = -turn
    towards, up = light["direction"], z * turn
    to_sun = (x * towards[0] + y * towards[1] + z * towards[2]) * turn
    energy = light["sun"] * sunlit * max(0.0, (to_sun + _WRAP) / (1 + _WRAP))
    energy += light["sky"] * (0.5 + 0.5 * up) + light["ground"] * (0.5 - 0.5 * up)
    return float(energy * (0.72 + 0.28 * facing * turn))  # slightly darker at the outline


@kernel
def composite(
    tile: Floats,
    left: int,
    top: int,
    dx: float,
    dy: float,
    image: Floats,
    owner: Ints,
    number: int,
    lost: Longs,
) -> None:
    """Composite a tile over the image, blurred along (dx, dy) pixels of motion during the exposure.

    ``owner`` [H, W] holds the number of the person visible in each pixel, and receives ``number``; a pixel
    taken from another person adds one to ``lost`` of that person.
    """
    height, width = tile.shape[0], tile.shape[1]
    steps = int(np.ceil(np.sqrt(dx * dx + dy * dy))) + 1
    margin_x, margin_y = int(np.ceil(abs(dx) / 2)), int(np.ceil(abs(dy) / 2))
    for row in range(max(-margin_y, -top), min(height + margin_y, image.shape[0] - top)):
        for column in range(max(-margin_x, -left), min(width + margin_x, image.shape[1] - left)):
            if steps == 1 and tile[row, column, 3] == 0:
                continue
            red, green, blue, cover = 0.0, 0.0, 0.0, 0.0
            for step in range(steps):
                shift = (step + 0.5) / steps - 0.5
                y, x = int(np.floor(row - shift * dy + 0.5)), int(np.floor(column - shift * dx + 0.5))
                if 0 <= y < height and 0 <= x < width and tile[y, x, 3] > 0:
                    red, green = red + tile[y, x, 0], green + tile[y, x, 1]
                    blue, cover = blue + tile[y, x, 2], cover + tile[y, x, 3]
            if cover == 0:
                continue
            pixel, part = image[top + row, left + column], 1 / steps
            rest = 1 - cover * part
            pixel[0] = pixel[0] * rest + red * part
            pixel[1] = pixel[1] * rest + green * part
            pixel[2] = pixel[2] * rest + blue * part
            if cover * part > 0.5:
                if owner[top + row, left + column] != NOTHING:
                    lost[owner[top + row, left + column]] += 1
                owner[top + row, left + column] = number
