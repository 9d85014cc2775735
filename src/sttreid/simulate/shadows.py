"""Shadows of persons on the ground (compiled): the mesh projected along the light, and a spot at the feet."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sttreid.simulate.geometry import Floats, Ints
from sttreid.simulate.kernels import kernel
from sttreid.simulate.raster import span
from sttreid.simulate.rays import OPEN_AIR

_SPOT: Final = 0.35  # share of the light lost under the feet
_SPOT_AREA: Final = 0.12  # square metres
_SPOT_END: Final = 10 * _SPOT_AREA  # square metres; there the spot is below a hundredth of a grey level
_THIN: Final = 1e-6  # twice the area, in pixels, below which a triangle is skipped
_NEAREST: Final = 0.3  # metres; nearer triangles are skipped


@kernel
def flatten(points: Floats, direction: Floats, out: Floats) -> None:
    """Write to ``out`` [V, 3] the shadows on the ground of points [V, 3] in light from ``direction`` [3]."""
    for v in range(points.shape[0]):
        out[v, 0] = points[v, 0] - direction[0] / direction[2] * points[v, 2]
        out[v, 1] = points[v, 1] - direction[1] / direction[2] * points[v, 2]
        out[v, 2] = 0


@kernel
def stencil(screen: Floats, faces: Ints, mask: NDArray[np.uint8], box: NDArray[np.int64]) -> None:
    """Set ``mask`` [H, W] to 1 in projected triangles; extends ``box`` (left, top, right, bottom)."""
    height, width = mask.shape
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        ax, ay, bx, by = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1]
        cx, cy = screen[c, 0], screen[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < _THIN or min(screen[a, 2], screen[b, 2], screen[c, 2]) < _NEAREST:
            continue
        left, right = max(0, int(np.ceil(min(ax, bx, cx) - 0.5))), min(width - 1, int(max(ax, bx, cx) - 0.5))
        top, bottom = max(0, int(np.ceil(min(ay, by, cy) - 0.5))), min(height - 1, int(max(ay, by, cy) - 0.5))
        if left > right or top > bottom:
            continue
        box[0], box[1] = min(box[0], left), min(box[1], top)
        box[2], box[3] = max(box[2], right), max(box[3], bottom)
        scale = 1 / area
        u_x, u_y, v_x, v_y = (cy - ay) * scale, (ax - cx) * scale, (ay - by) * scale, (bx - ax) * scale
        w_x = -u_x - v_x
        u_cross, v_cross, w_cross = -1 / u_x, -1 / v_x, -1 / w_x
        for y in range(top, bottom + 1):
            u = (left + 0.5 - ax) * u_x + (y + 0.5 - ay) * u_y
            v = (left + 0.5 - ax) * v_x + (y + 0.5 - ay) * v_y
            first, last = span(u, u_x, u_cross, 0.0, float(right - left))
            first, last = span(v, v_x, v_cross, first, last)
            first, last = span(1 - u - v, w_x, w_cross, first, last)
            if first > last:  # possibly outside of the range of integers
                continue
            for x in range(left + int(first), left + int(last) + 1):
                mask[y, x] = 1


@kernel
def darken(
    image: Floats,
    ground: Floats,
    mask: NDArray[np.uint8],
    box: NDArray[np.int64],
    position: Any,
    factor: float,
) -> None:
    """Darken the ground in ``box``, by ``factor`` in the mask, and at ``position`` [2]; clears the mask."""
    for y in range(max(0, box[1]), min(image.shape[0] - 1, box[3]) + 1):
        for x in range(max(0, box[0]), min(image.shape[1] - 1, box[2]) + 1):
            shaded = mask[y, x]
            mask[y, x] = 0
            if ground[y, x, 0] >= OPEN_AIR:
                continue
            square = (ground[y, x, 0] - position[0]) ** 2 + (ground[y, x, 1] - position[1]) ** 2
            if square > _SPOT_END and not shaded:
                continue
            share = factor if shaded else 1.0
            if square <= _SPOT_END:
                share *= 1.0 - _SPOT * np.exp(-square / _SPOT_AREA)
            for c in range(3):
                image[y, x, c] *= share
