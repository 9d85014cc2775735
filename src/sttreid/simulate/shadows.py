"""Shadows of people on the ground (compiled): the figure flattened along the sun, and a spot at the feet."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sttreid.simulate.body import Floats, Ints
from sttreid.simulate.kernels import kernel
from sttreid.simulate.rays import OPEN_AIR

_SPOT: Final = 0.35  # darkness under the feet
_SPOT_AREA: Final = 0.12  # square metres
_NEAREST: Final = 0.3  # metres, nearer triangles are not drawn


@kernel
def flatten(points: Floats, direction: Floats, out: Floats) -> None:
    """Where the shadow of each point [V, 3] falls on the ground for light from `direction` [3]."""
    for v in range(points.shape[0]):
        out[v, 0] = points[v, 0] - direction[0] / direction[2] * points[v, 2]
        out[v, 1] = points[v, 1] - direction[1] / direction[2] * points[v, 2]
        out[v, 2] = 0


@kernel
def stencil(screen: Floats, faces: Ints, mask: NDArray[np.uint8], box: NDArray[np.int64]) -> None:
    """Sets `mask` [H, W] to 1 under projected triangles; widens `box` (left, top, right, bottom) to them."""
    height, width = mask.shape
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        if screen[a, 2] < _NEAREST or screen[b, 2] < _NEAREST or screen[c, 2] < _NEAREST:
            continue
        ax, ay, bx, by = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1]
        cx, cy = screen[c, 0], screen[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        left, right = max(0, int(np.ceil(min(ax, bx, cx) - 0.5))), min(width - 1, int(max(ax, bx, cx) - 0.5))
        top, bottom = max(0, int(np.ceil(min(ay, by, cy) - 0.5))), min(height - 1, int(max(ay, by, cy) - 0.5))
        if abs(area) < 1e-6 or left > right or top > bottom:
            continue
        box[0], box[1] = min(box[0], left), min(box[1], top)
        box[2], box[3] = max(box[2], right), max(box[3], bottom)
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                u = ((x + 0.5 - ax) * (cy - ay) - (y + 0.5 - ay) * (cx - ax)) / area
                v = ((bx - ax) * (y + 0.5 - ay) - (by - ay) * (x + 0.5 - ax)) / area
                if u >= 0 and v >= 0 and u + v <= 1:
                    mask[y, x] = 1


@kernel
def darken(
    picture: Floats,
    ground: Floats,
    mask: NDArray[np.uint8],
    box: NDArray[np.int64],
    place: Any,
    left_over: float,
) -> None:
    """Darkens the ground in `box`, to `left_over` under the mask and around `place` [2]; clears the mask."""
    for y in range(max(0, box[1]), min(picture.shape[0] - 1, box[3]) + 1):
        for x in range(max(0, box[0]), min(picture.shape[1] - 1, box[2]) + 1):
            if ground[y, x, 0] < OPEN_AIR:
                square = (ground[y, x, 0] - place[0]) ** 2 + (ground[y, x, 1] - place[1]) ** 2
                share = 1.0 - _SPOT * np.exp(-square / _SPOT_AREA)
                if mask[y, x]:
                    share *= left_over
                for c in range(3):
                    picture[y, x, c] *= share
            mask[y, x] = 0
