"""Whether the boxes of a camera can be what they are taken for, before anything is decoded.

Limits, as shares of the boxes of a camera:

==========================================================  ========================
all boxes at most 1 pixel wide and high                     error: normalised
a quarter beyond the right or bottom border, and less than  error: corners
half of these if width and height are the corner, which all
are further right and down than left and top
a tenth beyond the right or bottom border as a whole, or    error: of another size
half with the centre there and none beyond left or top
half show less than 2 pixels of width or height (of 10)     error
half reach beyond right or bottom, none beyond left or top  warning: of another size
half cut by the border                                      warning
none reaches two thirds of the width and height (of 50)     warning: of another size
all wider and higher than their distance from left and top  warning: corners
(of 50), as corners always are
a tenth beyond the right or bottom border (of 50), and all  warning: middle
inside of the picture if left and top are the middle
less than 8 pixels of width or height in the picture, any   warning
half of the tracks have one frame                           warning
half do not touch the box before of their identity (of 50)  warning: swapped columns
==========================================================  ========================

A box of which less than 2 pixels of width or height lie in the picture is left out and counted: it has no
image of a person. ``tracks.plausibility: warn`` turns the errors into warnings.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sttreid.config.track_format import Plausibility
from sttreid.data.crops import SLIVER
from sttreid.data.tracks.label_folders import LinePlaces
from sttreid.runtime.errors import InputError

CORNERS: Final = 0.25  # least share of boxes beyond the right or bottom border
OUTSIDE: Final = 0.1  # least share of boxes that lie beyond the right or bottom border
MOST: Final = 0.5
REACH: Final = 2 / 3  # share of the picture's sides
ENOUGH: Final = 50  # boxes
FEW: Final = 3  # boxes that may lie anywhere
MANY: Final = 10  # boxes, most of which must have an image
SMALL: Final = 8  # pixels
OUT: Final = f"with less than {SLIVER:g} pixels in the picture"

_AS_CORNERS: Final = "[frame, id, left, top, right, bottom]"
_AS_MIDDLE: Final = "[frame, id, x_center, y_center, width, height]"

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Checked:
    """The boxes that have an image, the number of the others, a statement, and warnings."""

    table: pd.DataFrame
    left_out: int
    statement: str
    warnings: tuple[str, ...]


def check_boxes(
    path: Path,
    table: pd.DataFrame,
    picture: tuple[int, int] | None,
    frames: int,
    plausibility: Plausibility = "raise",
    places: LinePlaces | None = None,
) -> Checked:
    """Check the boxes of one video.

    Args:
        path: of the tracks, for errors.
        table: its boxes, with the columns of :data:`sttreid.data.tracks.reading.COLUMNS`.
        picture: width and height of the frames; None: unknown, and only sizes are checked.
        frames: number of frames.
        plausibility: as in :class:`sttreid.config.track_format.TrackFormat`.
        places: of the lines; None: of the lines of the file ``path``.

    Raises:
        InputError: the boxes are normalised, corners, of a picture of another size, or mostly without an
            image, and ``plausibility`` is ``raise``.
    """
    if table.empty:
        return Checked(table, 0, f"no box in {frames:,} frames", ())
    left, top, width, height = (table[name].to_numpy(float) for name in ("left", "top", "width", "height"))
    wide, high = picture or (np.inf, np.inf)
    right, bottom = left + width, top + height
    seen_width = np.minimum(right, wide) - np.maximum(left, 0)
    seen_height = np.minimum(bottom, high) - np.maximum(top, 0)
    sliver = (seen_width < SLIVER) | (seen_height < SLIVER) if picture else np.zeros(len(table), bool)
    fault = _fault((left, top, width, height), picture, sliver)
    if fault is not None and plausibility == "raise":
        raise InputError(f"{path}: {fault}; if they are right, set tracks.plausibility: warn")
    kept = table[~sliver].reset_index(drop=True)
    cut = ((left < 0) | (top < 0) | (right > wide) | (bottom > high)) & ~sliver
    small = ((seen_width < SMALL) | (seen_height < SMALL)) & ~sliver
    tracks = kept["identity"].value_counts()
    empty = frames - kept["frame"].nunique()
    statement = (
        f"{cut.mean():.0%} of the boxes cut by the border, smallest {width[~sliver].min(initial=np.inf):g} x"
        f" {height[~sliver].min(initial=np.inf):g}, median {np.median(width):g} x {np.median(height):g}"
        f" pixels, {small.sum():,} below {SMALL} pixels, {sliver.sum():,} {OUT}, {(tracks == 1).sum():,} of"
        f" {len(tracks):,} tracks of one frame, {empty:,} of {frames:,} frames without boxes"
    )
    reach = (right.max() / wide, bottom.max() / high)
    one_sided = (
        left.min() >= 0 and top.min() >= 0 and ((right > wide + 1) | (bottom > high + 1)).mean() > MOST
    )
    columns = _other_columns((left, top, width, height), picture) if picture and fault is None else ()
    slivers = _slivers(table, sliver, places or LinePlaces(path))
    warnings = (*slivers, *_warnings(len(table), cut, small, tracks, reach, one_sided))
    said = (*((fault,) if fault else ()), *columns, *warnings, *_jumps(table))
    return Checked(kept, int(sliver.sum()), statement, said)


def _fault(box: tuple[Floats, ...], picture: tuple[int, int] | None, sliver: NDArray[np.bool_]) -> str | None:
    """Why the boxes cannot be what they are taken for; None: they can."""
    width, height = box[2:]
    if width.max() <= 1 and height.max() <= 1:
        return (
            "boxes must be in pixels, but none is wider or higher than 1 (normalised?): multiply them by the"
            f" size of the picture, got at most {width.max():g} x {height.max():g}"
        )
    if picture is None:
        return None
    fault = _are_corners(box, picture) or _are_of_another_size(box, picture)
    if fault is None and len(sliver) >= MANY and sliver.mean() > MOST:
        fault = f"most boxes must be used, but {sliver.mean():.0%} are {OUT} of {picture[0]} x {picture[1]}"
    return fault


def _are_corners(box: tuple[Floats, ...], picture: tuple[int, int]) -> str | None:
    """The sentence on boxes whose width and height must be the right bottom corner."""
    left, top, width, height = box
    beyond = _beyond(left + width, top + height, picture)
    as_corners = _beyond(width, height, picture)  # trackers predict some beyond the borders
    if len(left) >= FEW and beyond >= CORNERS and as_corners < beyond / 2 and _may_be_corners(box):
        return (
            f"boxes must lie in the picture of {picture[0]} x {picture[1]}, but {beyond:.0%} reach"
            f" beyond its right or bottom border, and {as_corners:.0%} if columns 5 and 6 are the right"
            f" bottom corner: set tracks.columns: {_AS_CORNERS}"
        )
    return None


def _other_columns(box: tuple[Floats, ...], picture: tuple[int, int]) -> Iterator[str]:
    """Warnings on boxes that fit the picture but may be corners, or have their middle as left and top."""
    left, top, width, height = box
    if len(left) < ENOUGH:
        return
    if _may_be_corners(box):
        yield (
            "all boxes are wider than they are away from the left border, and higher than from the top, as"
            f" right bottom corners are: if they are corners, set tracks.columns: {_AS_CORNERS}"
        )
    inside = ((left >= width / 2 - 1) & (top >= height / 2 - 1)).all()
    beyond = _beyond(left + width, top + height, picture)
    if inside and beyond >= OUTSIDE and _beyond(left + width / 2, top + height / 2, picture) == 0:
        yield (
            f"{beyond:.0%} of the boxes reach beyond the right or bottom border, and none if columns 3 and 4"
            f" are the middle of the box: if they are, set tracks.columns: {_AS_MIDDLE}"
        )


def _may_be_corners(box: tuple[Floats, ...]) -> bool:
    left, top, width, height = box
    return bool(((width > left) & (height > top)).all())


def _beyond(right: Floats, bottom: Floats, picture: tuple[int, int]) -> float:
    """The share of boxes that reach more than a pixel beyond the right or bottom border."""
    return float(((right > picture[0] + 1) | (bottom > picture[1] + 1)).mean())


def _are_of_another_size(box: tuple[Floats, ...], picture: tuple[int, int]) -> str | None:
    """The sentence on boxes that must belong to a picture of another size."""
    left, top, width, height = box
    x, y, right, bottom = left + width / 2, top + height / 2, left + width, top + height
    beyond = (left > picture[0]) | (top > picture[1])
    centres = (x > picture[0]) | (y > picture[1])
    one_sided = left.min() >= 0 and top.min() >= 0
    as_a_whole = beyond.sum() >= FEW and beyond.mean() >= OUTSIDE
    if as_a_whole or (one_sided and len(x) >= FEW and centres.mean() > MOST):
        share = max(beyond.mean(), centres.mean())
        return (
            f"boxes must lie in the picture of {picture[0]} x {picture[1]}, but {share:.0%} have"
            f" their centre beyond its right or bottom border; they reach {right.max():g} x {bottom.max():g}:"
            " were they tracked in a video of another size, or do they belong to another video?"
        )
    return None


def _slivers(table: pd.DataFrame, sliver: NDArray[np.bool_], places: LinePlaces) -> Iterator[str]:
    if sliver.any():
        first = places.short(int(table["line"].to_numpy()[sliver][0]))
        yield f"{sliver.sum():,} boxes {OUT} give no crop (the first is {first})"


def _warnings(
    boxes: int,
    cut: NDArray[np.bool_],
    small: NDArray[np.bool_],
    tracks: "pd.Series[int]",
    reach: tuple[float, float],
    one_sided: bool,
) -> Iterator[str]:
    if one_sided:
        yield "most boxes reach beyond the right or bottom border, none the others: was the video larger?"
    elif cut.mean() > MOST:
        yield f"{cut.mean():.0%} of the boxes are cut by the border"
    if small.any():
        yield f"{small.sum():,} boxes show less than {SMALL} pixels of width or height"
    if boxes >= ENOUGH and 0 < max(reach) <= REACH:
        yield f"no box reaches beyond {max(reach):.0%} of the picture: was it tracked in a smaller video?"
    if (tracks == 1).mean() > MOST:
        yield f"{(tracks == 1).sum():,} of {len(tracks):,} tracks have one frame only"


def _jumps(table: pd.DataFrame) -> Iterator[str]:
    """A warning if boxes of an identity lie apart: its number is that of a frame, or of a detection."""
    identity, frame = pd.factorize(table["identity"])[0], table["frame"].to_numpy()
    order = np.lexsort((frame, identity))
    follows = np.diff(identity[order]) == 0
    apart = np.zeros(follows.sum(), bool)
    for start, length in (("left", "width"), ("top", "height")):
        low = table[start].to_numpy(float)[order]
        high = low + table[length].to_numpy(float)[order]
        apart |= ((low[1:] > high[:-1]) | (low[:-1] > high[1:]))[follows]
    if len(apart) >= ENOUGH and apart.mean() > MOST:
        yield (
            f"{apart.mean():.0%} of the boxes do not touch the one before of their identity: are frame and id"
            " in the right columns, and is id that of a track?"
        )
