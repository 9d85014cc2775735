"""Tracklets -> clips: which T frames a clip takes, and how their pixels become the network's input.

Pixels are normalised with ImageNet's mean and standard deviation, so 0 is the mean colour. All frames of a
clip get the same augmentation: viewing side, light and occluder do not change between frames of a real clip,
and the temporal transformer must not learn to undo such changes.
"""

import math
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from sttreid.config.params import Augment

MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)  # of ImageNet's pixels, RGB
STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # grey of an RGB colour, ITU-R BT.601
LOWEST, HIGHEST = (-MEAN / STD)[:, None], ((1 - MEAN) / STD)[:, None]  # of normalised colours
LEVELS = [level / 255 for level in range(256)]
BLOCK = 32768  # pixels whose colours are computed at once, in whole frames: they stay in the cache

Floats = NDArray[np.float32]


def restricted_random(length: int, frames: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw a training clip: one random frame from each of T even segments of the tracklet.

    Args:
        length: of the tracklet, in frames.
        frames: T.
        rng: source of the draws.

    Returns:
        [T], ascending, between 0 and ``length - 1``; a tracklet shorter than T gives each frame at least
        once.
    """
    edges = np.arange(frames + 1) * length // frames
    return rng.integers(edges[:-1], np.maximum(edges[1:], edges[:-1] + 1))


def consecutive_clips(length: int, frames: int) -> NDArray[np.int64]:
    """Cut a tracklet into clips of T consecutive frames, for testing; every frame is used.

    Args:
        length: of the tracklet, in frames.
        frames: T.

    Returns:
        [C, T] with C = ceil(length / T); a last clip with fewer than T frames repeats them from its start.
    """
    clips = np.arange(math.ceil(length / frames) * frames).reshape(-1, frames)
    start = int(clips[-1, 0])
    clips[-1] = start + np.arange(frames) % (length - start)
    return clips


def normalise(clip: NDArray[np.uint8], out: Floats) -> None:
    """Normalise pixels.

    Args:
        clip: [T, H, W, 3], RGB.
        out: [T, 3, H, W], overwritten.
    """
    np.multiply(clip.transpose(0, 3, 1, 2), (1 / (255 * STD))[:, None, None], out=out)
    out -= (MEAN / STD)[:, None, None]


@dataclass(frozen=True)
class Change:
    """The augmentation of one clip: the outcome of all random draws.

    Attributes:
        flip: mirrored left to right.
        down: shift in pixels; uncovered pixels get the mean colour.
        right: shift in pixels.
        brightness: factor of the pixel values (0 to 1).
        contrast: factor of the distance from the clip's mean grey.
        saturation: factor of the distance from each pixel's own grey.
        gains: [3], factor of each channel (white balance).
        gamma: exponent of the pixel values.
        hole: top, bottom, left, right of the erased rectangle in pixels; equal ends where nothing is erased.
    """

    flip: bool
    down: int
    right: int
    brightness: float
    contrast: float
    saturation: float
    gains: Floats
    gamma: float
    hole: tuple[int, int, int, int]


def augment(clip: NDArray[np.uint8], settings: Augment, rng: np.random.Generator, out: Floats) -> None:
    """Normalise and augment a clip, with the same random change for all its frames.

    Args:
        clip: [T, H, W, 3], RGB.
        settings: probabilities and ranges; with all of them at 0 this is :func:`normalise`.
        rng: source of the draws; their number does not depend on the settings.
        out: [T, 3, H, W], overwritten.
    """
    apply(clip, draw(settings, clip.shape[1], clip.shape[2], rng), out)


def draw(settings: Augment, height: int, width: int, rng: np.random.Generator) -> Change:
    """Draw the augmentation of one clip of H x W pixels.

    Factors are uniform in 1 +- the setting (never below 0), the logarithms of gamma and of the hole's aspect
    are uniform, those of the gains normal. Number and order of the draws are fixed, so one setting does not
    affect the draws of another.
    """
    flip, down, right, brightness, contrast, saturation, gamma, *hole = rng.random(12).tolist()
    gains = [math.exp(settings.white_balance * draw) for draw in rng.standard_normal(3).tolist()]
    return Change(
        flip=flip < settings.flip,
        down=math.floor(down * (2 * settings.pad + 1)) - settings.pad,
        right=math.floor(right * (2 * settings.pad + 1)) - settings.pad,
        brightness=_factor(brightness, settings.brightness),
        contrast=_factor(contrast, settings.contrast),
        saturation=_factor(saturation, settings.saturation),
        gains=np.array(gains, dtype=np.float32),
        gamma=math.exp(settings.gamma * (2 * gamma - 1)),
        hole=_hole(settings, height, width, hole),
    )


def apply(clip: NDArray[np.uint8], change: Change, out: Floats) -> None:
    """Apply a change; same shapes as :func:`augment`.

    Gamma is a table of 256 values. All other colour changes are linear and form one 3x3 matrix together with
    the normalisation; colours are clipped to the valid range once, after it. Powers and products are not
    NumPy's: its kernels round differently from one processor to another.
    """
    if change.flip:
        clip = clip[:, :, ::-1]
    frames, height, width = clip.shape[:3]
    at_once = max(1, BLOCK // (height * width))
    parts = [slice(start, start + at_once) for start in range(0, frames, at_once)]
    levels = np.fromiter(map(pow, LEVELS, repeat(change.gamma)), np.float32, len(LEVELS))
    planes = np.empty((3, frames, height, width), np.float32)
    for part in parts:
        for values, plane in zip(clip[part].transpose(3, 0, 1, 2), planes[:, part], strict=True):
            levels.take(values, out=plane, mode="wrap")  # 256 levels: none wraps, and none is checked
    means = planes.reshape(3, -1).sum(axis=1) / np.float32(planes[0].size)
    matrix, offset = _colours(change, float((LUMA * means).sum()))
    if change.down or change.right:
        out.fill(0)
    for part in parts:
        _shift(_linear(planes[:, part], matrix, offset).transpose(1, 0, 2, 3), change, out[part])
    top, bottom, left, right = change.hole
    out[:, :, top:bottom, left:right] = 0


def _linear(planes: Floats, matrix: Floats, offset: Floats) -> Floats:
    """[3, t, H, W] colours times the matrix plus the offset, clipped to the normalised valid range."""
    red, green, blue = planes.reshape(3, 1, -1)
    first, second, third = matrix.T[:, :, None]
    colours: Floats = red * first
    product = green * second
    colours += product
    colours += np.multiply(blue, third, out=product)
    colours += offset[:, None]
    colours.clip(LOWEST, HIGHEST, out=colours)
    return colours.reshape(planes.shape)


def _factor(draw: float, spread: float) -> float:
    """Uniform in 1 +- spread for a draw in [0, 1), not below 0."""
    return max(0.0, 1 + spread * (2 * draw - 1))


def _hole(settings: Augment, height: int, width: int, draws: list[float]) -> tuple[int, int, int, int]:
    """A rectangle inside the frame; a shape that does not fit is cut to the height or width of the frame."""
    chance, area, aspect, top, left = draws
    if chance >= settings.erase:
        return 0, 0, 0, 0
    low, high = settings.erase_area_low, settings.erase_area_high
    pixels = height * width * (low + area * (high - low))
    ratio = settings.erase_aspect ** (2 * aspect - 1)  # height : width
    rows = min(height, max(1, round(math.sqrt(pixels * ratio))))
    columns = min(width, max(1, round(math.sqrt(pixels / ratio))))
    y, x = math.floor(top * (height - rows + 1)), math.floor(left * (width - columns + 1))
    return y, y + rows, x, x + columns


def _colours(change: Change, grey: float) -> tuple[Floats, Floats]:
    """Matrix [3, 3] and offset [3] that map a colour (0 to 1) to its augmented and normalised value.

    Order: brightness, contrast around the clip's mean grey (``grey`` before the change), saturation, gains.
    """
    mixing = change.saturation * np.eye(3, dtype=np.float32) + (1 - change.saturation) * LUMA
    scale = change.gains / STD
    matrix = change.contrast * change.brightness * scale[:, None] * mixing
    offset = scale * ((1 - change.contrast) * change.brightness * grey) - MEAN / STD
    return matrix.astype(np.float32), offset.astype(np.float32)


def _shift(colours: Floats, change: Change, out: Floats) -> None:
    """[t, 3, H, W] -> [t, 3, H, W]; uncovered pixels are left as they are."""
    height, width = out.shape[2:]
    rows, from_rows = _overlap(change.down, height)
    columns, from_columns = _overlap(change.right, width)
    out[:, :, rows, columns] = colours[:, :, from_rows, from_columns]


def _overlap(shift: int, size: int) -> tuple[slice, slice]:
    """Target and source pixels of a shift along one axis."""
    rest = max(0, size - abs(shift))
    start = min(size, max(0, shift))
    source = min(size, max(0, -shift))
    return slice(start, start + rest), slice(source, source + rest)
