"""What the sensor makes of a picture: soft focus, vignette, flicker, noise, and the planes of the video."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sttreid.simulate.body import Floats
from sttreid.simulate.kernels import kernel
from sttreid.simulate.scene import Scene

FLICKER: Final = 0.004  # standard deviation of the gain from frame to frame
_MARGIN: Final = (37, 53)  # the noise field is larger than the picture by so many rows and columns
_CHROMA_NOISE: Final = 0.25  # noise of the colour planes against that of the brightness

Single = np.float32


class Sensor:
    """Turns display pictures float32 [H, W, 3] into yuv420p planes uint8 [H * 3 / 2, W]."""

    def __init__(self, rng: np.random.Generator, scene: Scene, height: int, width: int) -> None:
        self._rng, self._scene = rng, scene
        field = rng.standard_normal((height + _MARGIN[0], width + _MARGIN[1]))
        self._noise: Floats = (field * scene.noise).astype(np.float32)
        self._luma = np.zeros((height, width), np.float32)
        self._planes = np.zeros(height * width * 3 // 2, np.uint8)

    def expose(self, picture: Floats) -> NDArray[np.uint8]:
        """The planes of the next frame; the array is used again for the frame after it."""
        row, column = (int(self._rng.integers(0, size)) for size in self._noise.shape)
        gain = 1 + self._rng.normal(0, FLICKER)
        scene = self._scene
        _expose(
            picture, self._noise, row, column, np.float32(gain), np.float32(scene.soft),
            np.float32(scene.vignette), self._luma, self._planes,
        )  # fmt: skip
        return self._planes.reshape(-1, self._luma.shape[1])


@kernel
def _expose(
    picture: Floats, noise: Floats, noise_row: int, noise_column: int,
    gain: Single, soft: Single, vignette: Single,
    luma: Floats, planes: NDArray[np.uint8],
) -> None:  # fmt: skip
    """ITU-R BT.601 planes with limited range, one after the other in `planes` [H * W * 3 / 2].

    The noise field is read from (noise_row, noise_column) on, cyclically.
    """
    height, width = luma.shape
    for y in range(height):
        for x in range(width):
            across, down = (x - width / 2) / (width / 2), (y - height / 2) / (height / 2)
            g = gain * (1 - vignette * np.float32(across * across + down * down))
            r, green, b = picture[y, x, 0], picture[y, x, 1], picture[y, x, 2]
            luma[y, x] = g * (
                np.float32(0.256788) * r + np.float32(0.504129) * green + np.float32(0.097906) * b
            )
    for y in range(height):
        above, below = max(0, y - 1), min(height - 1, y + 1)
        field = (y + noise_row) % noise.shape[0]
        column = noise_column
        for x in range(width):
            left, right = max(0, x - 1), min(width - 1, x + 1)
            around = np.float32(0.25) * (luma[above, x] + luma[below, x] + luma[y, left] + luma[y, right])
            value = np.float32(16.5) + (1 - soft) * luma[y, x] + soft * around + noise[field, column]
            planes[y * width + x] = np.uint8(min(np.float32(235), max(np.float32(16), value)))
            column += 1
            if column == noise.shape[1]:
                column = 0
    half = width // 2
    for y in range(height // 2):
        field = (2 * y + 1 + noise_row) % noise.shape[0]
        for x in range(half):
            r, green, b = np.float32(0), np.float32(0), np.float32(0)
            for k in range(4):
                r += picture[2 * y + k // 2, 2 * x + k % 2, 0]
                green += picture[2 * y + k // 2, 2 * x + k % 2, 1]
                b += picture[2 * y + k // 2, 2 * x + k % 2, 2]
            across, down = (2 * x + 1 - width / 2) / (width / 2), (2 * y + 1 - height / 2) / (height / 2)
            g = np.float32(0.25) * gain * (1 - vignette * np.float32(across * across + down * down))
            n = _CHROMA_NOISE * noise[field, (2 * x + noise_column) % noise.shape[1]]
            m = _CHROMA_NOISE * noise[field, (2 * x + 1 + noise_column) % noise.shape[1]]
            blue = np.float32(128.5) + g * (-0.148223 * r - 0.290993 * green + 0.439216 * b) + n
            red = np.float32(128.5) + g * (0.439216 * r - 0.367788 * green - 0.071427 * b) + m
            place = height * width + y * half + x
            planes[place] = np.uint8(min(np.float32(240), max(np.float32(16), blue)))
            planes[place + half * (height // 2)] = np.uint8(min(np.float32(240), max(np.float32(16), red)))
