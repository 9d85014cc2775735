"""Numbers in file names, parsed for a million names at once, and arrays of ragged rows.

Images are in arrays [F], tracklet by tracklet; ``lengths`` [T] says how many images each tracklet has.
"""

import re
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sttreid.runtime.errors import InputError

Ints = NDArray[np.int64]
_BLOCK: Final = 1 << 16  # names parsed at once


def pattern_groups(pattern: str) -> list[str]:
    """The named groups of a regular expression."""
    return re.findall(r"\?P<(\w+)>", pattern)


def parse_names(
    names: pa.Array, pattern: str, where: Callable[[int], object], example: str
) -> dict[str, Ints]:
    """The numbers in every name; memory also holds the texts of one block of names.

    Args:
        names: string [F].
        pattern: a regular expression (RE2) of the whole name; every named group is a whole number, optionally
            negative or padded with zeros.
        where: index of a name -> the line or folder that it comes from, for errors.
        example: a name that fits, for errors.

    Returns:
        Group -> int64 [F].

    Raises:
        InputError: a name does not fit the pattern; the error names its line or folder.
    """
    fields = {group: np.empty(len(names), np.int64) for group in pattern_groups(pattern)}
    for start in range(0, len(names), _BLOCK):
        groups = pc.extract_regex(names.slice(start, _BLOCK), pattern)
        if groups.null_count:
            first = start + int(np.argmax(pc.is_null(groups).to_numpy(zero_copy_only=False)))
            name = names[first].as_py()
            raise InputError(f"{where(first)}: an image must be named like {example}, got {name!r}")
        for group, field in fields.items():
            field[start : start + _BLOCK] = _numbers(pc.struct_field(groups, group))
    return fields


def _numbers(texts: pa.Array) -> Ints:
    if pc.any(pc.match_substring(texts, "-")).as_py():  # MARS pads -1 as 00-1
        texts = pc.replace_substring_regex(texts, "^0+-", "-")
    numbers: Ints = pc.cast(texts, pa.int64()).to_numpy(zero_copy_only=False)
    return numbers


def concatenate_ranges(starts: Ints, lengths: Ints) -> Ints:
    """start, start + 1, ... of every range, end to end, int64 [sum of the lengths]."""
    before = np.cumsum(lengths) - lengths
    numbers: Ints = np.arange(int(lengths.sum())) + np.repeat(starts - before, lengths)
    return numbers


def tracklet_index(lengths: Ints) -> Ints:
    """The tracklet of every image, [F]: 0 ``lengths[0]`` times, then 1, and so on."""
    return np.repeat(np.arange(len(lengths)), lengths)


def first_values(values: NDArray[Any], lengths: Ints) -> NDArray[Any]:
    """The value of every tracklet's first image, [T]; -1 for a tracklet without images.

    Args:
        values: one per image, [F].
        lengths: images per tracklet, [T].
    """
    firsts = np.full(len(lengths), -1, values.dtype)
    filled = lengths > 0
    firsts[filled] = values[(np.cumsum(lengths) - lengths)[filled]]
    return firsts


def find_differing(values: Ints, lengths: Ints, expected: Ints) -> Ints:
    """The indices of images whose value is not that of their tracklet.

    Args:
        values: one per image, [F].
        lengths: images per tracklet, [T].
        expected: the value of each tracklet's images, [T].
    """
    return np.flatnonzero(values != np.repeat(expected, lengths))
