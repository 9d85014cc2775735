"""The recording of a camera: soft focus, vignette, flicker and noise, colour planes, and the H.264 video."""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sttreid.simulate.geometry import Floats
from sttreid.simulate.kernels import kernel
from sttreid.simulate.scene import Scene

FLICKER: Final = 0.004  # standard deviation of the gain between frames
_MARGIN: Final = (37, 53)  # rows and columns by which the noise field is larger than the image
_CHROMA_NOISE: Final = np.float32(0.25)  # noise of the colour planes, as a share of that of the brightness
_RED, _GREEN, _BLUE = (np.float32(share) for share in (0.256788, 0.504129, 0.097906))
_BLUE_R, _BLUE_G, _BLUE_B = (np.float32(share) for share in (-0.148223, -0.290993, 0.439216))
_RED_R, _RED_G, _RED_B = (np.float32(share) for share in (0.439216, -0.367788, -0.071427))
_MIDDLE: Final = np.float32(128.5)  # grey (128), plus 0.5 for rounding
# There are no cuts or pans to search for.
_STILL_CAMERA: Final = {"sc_threshold": "0", "b_strategy": "0"}

Single = np.float32


class SensorModel:
    """Convert display images float32 [H, W, 3] to yuv420p planes uint8 [H * 3 / 2, W]."""

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

    def expose(self, image: Floats) -> NDArray[np.uint8]:
        """The planes of the next frame; the next call overwrites the returned array."""
        row, column = (int(self._rng.integers(0, start)) for start in self._starts)
        gain = np.float32(1 + self._rng.normal(0, FLICKER))
        _expose(image, self._noise, row, column, self._corners, gain, self._soft, self._planes)
        return self._planes.reshape(-1, self._width)


class VideoWriter:
    """An MP4 file of constant frame rate and equal bytes for equal images; a context manager.

    The encoder has one thread, because x264 produces other bytes with more, and writes no version strings.
    Presets slower than superfast give equal bytes only if the width is a multiple of 128 (observed with PyAV
    18.1: at other widths the bytes depend on memory outside of the image).
    """

    def __init__(
        self, path: Path, width: int, height: int, fps: int, crf: int, preset: str, keyframes: int
    ) -> None:
        self._time_base = Fraction(1, fps)
        flags = {"movflags": "faststart", "fflags": "+bitexact"}
        self._container = av.open(str(path), "w", format="mp4", options=flags)
        stream = self._container.add_stream("libx264", rate=fps)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = self._time_base
        stream.thread_count = 1
        quality: dict[str, object] = {"crf": str(crf), "preset": preset, "g": str(keyframes)}
        stream.options = quality | _STILL_CAMERA | {"flags": "+bitexact"}
        self._stream, self._frames = stream, 0

    def write(self, planes: NDArray[np.uint8]) -> None:
        """Append one frame: yuv420p planes uint8 [H * 3 / 2, W]."""
        frame = av.VideoFrame.from_numpy_buffer(planes, format="yuv420p")  # the encoder takes a copy
        frame.pts, frame.time_base = self._frames, self._time_base  # the muxer changes the stream's time base
        self._container.mux(self._stream.encode(frame))
        self._frames += 1

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            return
        with suppress(av.FFmpegError):  # closing an incomplete video fails as well; keep the first error
            self._container.close()


@kernel
def _expose(
    image: Floats, noise: Floats, noise_row: int, noise_column: int, corners: Floats,
    gain: Single, soft: Single, planes: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Write ITU-R BT.601 planes of limited range, one after the other, to ``planes`` [H * W * 3 / 2].

    The noise field is read from (noise_row, noise_column).
    """
    height, width = corners.shape
    pixels = height * width
    third = pixels // 4
    rows = np.zeros((3, width + 2), np.float32)
    above, row, below = rows[0], rows[1], rows[2]
    _luma(image[0], corners[0], gain, row)
    above[:] = row
    for y in range(height):
        if y + 1 < height:
            _luma(image[y + 1], corners[y + 1], gain, below)
        else:
            below[:] = row
        grain = noise[noise_row + y, noise_column : noise_column + width]
        _grey(above, row, below, grain, soft, planes[y * width : (y + 1) * width])
        if y % 2:
            start = pixels + y // 2 * (width // 2)
            _tint(
                image[y - 1], image[y], corners[y], grain, gain,
                planes[start : start + width // 2], planes[start + third : start + third + width // 2],
            )  # fmt: skip
        above, row, below = row, below, above


@kernel
def _luma(image: Floats, corners: Floats, gain: Single, out: Floats) -> None:
    """Write the brightness of a row [W, 3] to the middle of ``out`` [W + 2]; repeats it at both ends."""
    width = corners.shape[0]
    for x in range(width):
        grey = _RED * image[x, 0] + _GREEN * image[x, 1] + _BLUE * image[x, 2]
        out[x + 1] = gain * corners[x] * grey
    out[0], out[width + 1] = out[1], out[width]


@kernel
def _grey(
    above: Floats, row: Floats, below: Floats, noise: Floats, soft: Single, out: NDArray[np.uint8]
) -> None:
    """Write one row of the brightness plane, given three rows of ``_luma``."""
    centre, side = 1 - soft, np.float32(0.25) * soft
    for x in range(noise.shape[0]):
        around = above[x + 1] + below[x + 1] + row[x] + row[x + 2]
        value = np.float32(16.5) + centre * row[x + 1] + side * around + noise[x]
        out[x] = np.uint8(min(np.float32(235), max(np.float32(16), value)))


@kernel
def _tint(
    upper: Floats, lower: Floats, corners: Floats, noise: Floats, gain: Single,
    blues: NDArray[np.uint8], reds: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Write one row [W / 2] of each colour plane, given two rows of the image."""
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
