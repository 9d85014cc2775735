"""What the sensor makes of a picture: soft focus, vignette, flicker, noise, and the planes of the video."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sttreid.simulate.body import Floats
from sttreid.simulate.kernels import kernel
from sttreid.simulate.scene import Scene

FLICKER: Final = 0.004  # standard deviation of the gain from frame to frame
_MARGIN: Final = (37, 53)  # the noise field is larger than the picture by so many rows and columns
_CHROMA_NOISE: Final = np.float32(0.25)  # noise of the colour planes against that of the brightness
_RED, _GREEN, _BLUE = (np.float32(share) for share in (0.256788, 0.504129, 0.097906))
_BLUE_R, _BLUE_G, _BLUE_B = (np.float32(share) for share in (-0.148223, -0.290993, 0.439216))
_RED_R, _RED_G, _RED_B = (np.float32(share) for share in (0.439216, -0.367788, -0.071427))
_MIDDLE: Final = np.float32(128.5)  # no colour, rounded

Single = np.float32


class Sensor:
    """Turns display pictures float32 [H, W, 3] into yuv420p planes uint8 [H * 3 / 2, W]."""

    def __init__(self, rng: np.random.Generator, scene: Scene, height: int, width: int) -> None:
        self._rng, self._height, self._width = rng, height, width
        self._soft = np.float32(scene.soft)
        self._starts = (height + _MARGIN[0], width + _MARGIN[1])
        field = (rng.standard_normal(self._starts) * scene.noise).astype(np.float32)
        self._noise: Floats = np.pad(field, ((0, height), (0, width)), mode="wrap")
        down, across = np.arange(height) / (height / 2) - 1, np.arange(width) / (width / 2) - 1
        square = down[:, None] ** 2 + across**2
        self._corners: Floats = (1 - scene.vignette * square).astype(np.float32)
        self._planes = np.zeros(height * width * 3 // 2, np.uint8)

    def expose(self, picture: Floats) -> NDArray[np.uint8]:
        """The planes of the next frame; the array is used again for the frame after it."""
        row, column = (int(self._rng.integers(0, start)) for start in self._starts)
        gain = np.float32(1 + self._rng.normal(0, FLICKER))
        _expose(picture, self._noise, row, column, self._corners, gain, self._soft, self._planes)
        return self._planes.reshape(-1, self._width)


@kernel
def _expose(
    picture: Floats, noise: Floats, noise_row: int, noise_column: int, corners: Floats,
    gain: Single, soft: Single, planes: NDArray[np.uint8],
) -> None:  # fmt: skip
    """ITU-R BT.601 planes with limited range, one after the other in `planes` [H * W * 3 / 2].

    The noise field is read from (noise_row, noise_column) on.
    """
    height, width = corners.shape
    pixels = height * width
    third = pixels // 4
    rows = np.zeros((3, width + 2), np.float32)
    above, here, below = rows[0], rows[1], rows[2]
    _luma(picture[0], corners[0], gain, here)
    above[:] = here
    for y in range(height):
        if y + 1 < height:
            _luma(picture[y + 1], corners[y + 1], gain, below)
        else:
            below[:] = here
        grain = noise[noise_row + y, noise_column : noise_column + width]
        _grey(above, here, below, grain, soft, planes[y * width : (y + 1) * width])
        if y % 2:
            start = pixels + y // 2 * (width // 2)
            _tint(
                picture[y - 1], picture[y], corners[y], grain, gain,
                planes[start : start + width // 2], planes[start + third : start + third + width // 2],
            )  # fmt: skip
        above, here, below = here, below, above


@kernel
def _luma(picture: Floats, corners: Floats, gain: Single, out: Floats) -> None:
    """The brightness of a row [W, 3] into the middle of `out` [W + 2], which goes on evenly at its ends."""
    width = corners.shape[0]
    for x in range(width):
        grey = _RED * picture[x, 0] + _GREEN * picture[x, 1] + _BLUE * picture[x, 2]
        out[x + 1] = gain * corners[x] * grey
    out[0], out[width + 1] = out[1], out[width]


@kernel
def _grey(
    above: Floats, here: Floats, below: Floats, noise: Floats, soft: Single, out: NDArray[np.uint8]
) -> None:
    """One row of the brightness plane out of three rows of `_luma`."""
    own, others = 1 - soft, np.float32(0.25) * soft
    for x in range(noise.shape[0]):
        around = above[x + 1] + below[x + 1] + here[x] + here[x + 2]
        value = np.float32(16.5) + own * here[x + 1] + others * around + noise[x]
        out[x] = np.uint8(min(np.float32(235), max(np.float32(16), value)))


@kernel
def _tint(
    upper: Floats, lower: Floats, corners: Floats, noise: Floats, gain: Single,
    blues: NDArray[np.uint8], reds: NDArray[np.uint8],
) -> None:  # fmt: skip
    """One row [W / 2] of the two colour planes out of two rows of the picture."""
    for x in range(blues.shape[0]):
        a, b = 2 * x, 2 * x + 1
        r = upper[a, 0] + upper[b, 0] + lower[a, 0] + lower[b, 0]
        g = upper[a, 1] + upper[b, 1] + lower[a, 1] + lower[b, 1]
        b_ = upper[a, 2] + upper[b, 2] + lower[a, 2] + lower[b, 2]
        light = np.float32(0.25) * gain * corners[b]
        blue = _MIDDLE + light * (_BLUE_R * r + _BLUE_G * g + _BLUE_B * b_) + _CHROMA_NOISE * noise[a]
        red = _MIDDLE + light * (_RED_R * r + _RED_G * g + _RED_B * b_) + _CHROMA_NOISE * noise[b]
        blues[x] = np.uint8(min(np.float32(240), max(np.float32(16), blue)))
        reds[x] = np.uint8(min(np.float32(240), max(np.float32(16), red)))
