"""Two baselines without learning: colour histograms of horizontal stripes, plain and equalised.

Cameras differ in lighting, so the nearest tracklet by plain colours nearly always shows another identity in
the same camera. Equalisation replaces a channel's levels by their ranks among the pixels of the tracklet,
which are invariant to a monotone change of the channel (Finlayson et al., "Illuminant and device invariant
colour using histogram equalisation", Pattern Recognition 38, 2005).

A trained network must beat these baselines to show that it has learned more than colour statistics.
"""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import Store

STRIPES = 6  # from head to foot
HUES, SATURATIONS, VALUES = 8, 4, 4
BINS = HUES * SATURATIONS * VALUES
LEVELS = 32  # of a channel; finer than any bin

Pixels = NDArray[np.uint8]
Codes = NDArray[np.int64]


def histograms(store: Store, tracklets: pd.DataFrame, equalised: bool) -> Tensor:
    """Striped colour histograms, averaged over the frames of a tracklet.

    The left and right quarters of an image are ignored, because they mostly show background.

    Args:
        store: of the frames; images must be at least 6 pixels high and 2 wide.
        tracklets: G rows of ``store.tracklets``.
        equalised: equalise each channel first, so that it does not depend on the camera's lighting.

    Returns:
        [G, 768] float32, rows that sum to 1: 6 stripes x 8 hues x 4 saturations x 4 values.

    Raises:
        InputError: the images are smaller than that.
    """
    height, width = store.frames.shape[1:3]
    if height < STRIPES or width < 2:
        rule = f"at least {STRIPES} pixels high and 2 wide"
        raise InputError(f"the store's images must be {rule}, got {height} x {width}")
    middle = slice(width // 4, width - width // 4)
    table = _table()
    offset = (np.arange(height) * STRIPES // height * BINS)[:, None]  # [H, 1] first bin of a row's stripe
    out = np.empty((len(tracklets), STRIPES * BINS), np.float32)
    spans = zip(tracklets["start"].to_numpy(np.int64), tracklets["length"].to_numpy(np.int64), strict=True)
    for row, (start, length) in enumerate(spans):
        pixels = store.frames[start : start + length, :, middle]
        levels = equalise(pixels) if equalised else pixels // (256 // LEVELS)
        red, green, blue = np.moveaxis(levels, -1, 0)
        codes = table[red, green, blue] + offset
        out[row] = np.bincount(codes.ravel(), minlength=STRIPES * BINS) / codes.size
    return torch.from_numpy(out)


def equalise(pixels: Pixels) -> Pixels:
    """Replace each level of a channel by its rank among all pixels of the channel, in 32 equal steps.

    Args:
        pixels: [..., 3].

    Returns:
        [..., 3] between 0 and 31; pixels of the same level get their mean rank.
    """
    out = np.empty_like(pixels)
    for channel in range(3):
        levels = pixels[..., channel]
        counts = np.bincount(levels.ravel(), minlength=256)
        ranks = np.cumsum(counts) * 2 - counts  # twice the middle rank, to stay in integers
        out[..., channel] = (ranks * LEVELS // (2 * levels.size)).astype(np.uint8)[levels]
    return out


def bins(colours: NDArray[np.floating]) -> Codes:
    """The bin of each colour in hue, saturation and value.

    Args:
        colours: [..., 3] red, green and blue between 0 and 1.

    Returns:
        [...] between 0 and 127; a colour without saturation has hue 0.
    """
    red, green, blue = np.moveaxis(colours, -1, 0)
    value = colours.max(axis=-1)
    chroma = value - colours.min(axis=-1)
    safe = np.where(chroma > 0, chroma, 1.0)
    hue = np.select(
        [chroma == 0, value == red, value == green],
        [0.0, (green - blue) / safe % 6, (blue - red) / safe + 2],
        (red - green) / safe + 4,
    )
    saturation = chroma / np.where(value > 0, value, 1.0)
    h, s, v = (
        np.minimum((part * count).astype(np.int64), count - 1)
        for part, count in ((hue / 6, HUES), (saturation, SATURATIONS), (value, VALUES))
    )
    codes: Codes = (h * SATURATIONS + s) * VALUES + v
    return codes


def _table() -> Codes:
    """[32, 32, 32] the bin of the middle of each step of red, green and blue."""
    middles = (np.arange(LEVELS) + 0.5) / LEVELS
    return bins(np.stack(np.meshgrid(middles, middles, middles, indexing="ij"), axis=-1))
