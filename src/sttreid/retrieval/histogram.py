"""The baseline without learning: clothes' colours in horizontal stripes.

A trained network that does not beat it has learnt nothing about the video that a colour count does not say.
"""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from sttreid.data.store import Store
from sttreid.errors import InputError

STRIPES = 6  # from head to foot
HUES, SATURATIONS, VALUES = 8, 4, 4
BINS = HUES * SATURATIONS * VALUES
LEVELS = 32  # of each colour channel in the look-up table; finer than any bin

Codes = NDArray[np.int64]


def histograms(store: Store, tracklets: pd.DataFrame) -> Tensor:
    """The mean over a tracklet's frames of their striped colour histograms.

    Args:
        store: where the frames lie; pictures must be at least 6 rows high.
        tracklets: G rows of ``store.tracklets``.

    Returns:
        [G, 768] float32, rows that sum to 1: 6 stripes x 8 hues x 4 saturations x 4 values.

    Raises:
        InputError: the pictures are lower than the number of stripes.
    """
    height, width = store.frames.shape[1:3]
    if height < STRIPES:
        raise InputError(f"the store's pictures must be at least {STRIPES} rows high, got {height}")
    table = _table()
    offset = (np.arange(height) * STRIPES // height * BINS)[:, None]  # [H, 1] the stripe of a row
    out = np.empty((len(tracklets), STRIPES * BINS), np.float32)
    spans = zip(tracklets["start"].to_numpy(np.int64), tracklets["length"].to_numpy(np.int64), strict=True)
    for row, (start, length) in enumerate(spans):
        levels = store.frames[start : start + length] // (256 // LEVELS)
        codes = table[levels[..., 0], levels[..., 1], levels[..., 2]] + offset
        out[row] = np.bincount(codes.ravel(), minlength=STRIPES * BINS) / (length * height * width)
    return torch.from_numpy(out)


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """The Bhattacharyya coefficient of histograms that sum to 1: 1 for equal ones, 0 for disjoint ones.

    Args:
        a: [M, D].
        b: [N, D].

    Returns:
        [M, N].
    """
    return a.sqrt() @ b.sqrt().t()


def bins(colours: NDArray[np.floating]) -> Codes:
    """The bin of each colour in hue, saturation and value.

    Args:
        colours: [..., 3] red, green and blue between 0 and 1.

    Returns:
        [...] between 0 and 127; a colour without saturation has hue 0.
    """
    red, green, blue = np.moveaxis(colours, -1, 0)
    value = colours.max(axis=-1)
    spread = value - colours.min(axis=-1)
    safe = np.where(spread > 0, spread, 1.0)
    turn = np.select(
        [spread == 0, value == red, value == green],
        [0.0, (green - blue) / safe % 6, (blue - red) / safe + 2],
        (red - green) / safe + 4,
    )
    saturation = spread / np.where(value > 0, value, 1.0)
    h, s, v = (
        np.minimum((part * count).astype(np.int64), count - 1)
        for part, count in ((turn / 6, HUES), (saturation, SATURATIONS), (value, VALUES))
    )
    codes: Codes = (h * SATURATIONS + s) * VALUES + v
    return codes


def _table() -> Codes:
    """[32, 32, 32] the bin at the middle of every cell of red, green and blue."""
    middles = (np.arange(LEVELS) + 0.5) / LEVELS
    return bins(np.stack(np.meshgrid(middles, middles, middles, indexing="ij"), axis=-1))
