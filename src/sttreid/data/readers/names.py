"""Grammars of file names, applied to a million names at once."""

import re
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sttreid.runtime.errors import InputError

Ints = NDArray[np.int64]
_BLOCK: Final = 1 << 16  # names that are taken apart at once


def groups(pattern: str) -> list[str]:
    """The named groups of a regular expression."""
    return re.findall(r"\?P<(\w+)>", pattern)


def parse(names: pa.Array, pattern: str, where: Callable[[int], object], example: str) -> dict[str, Ints]:
    """The numbers in every name; beside them memory holds the texts of one block of names.

    Args:
        names: string [F].
        pattern: a regular expression (RE2) of the whole name; every named group is a whole number, maybe
            negative, maybe padded with zeros.
        where: the line or the folder that the name at a place of the array comes from.
        example: a name that fits, for the error.

    Returns:
        Group -> int64 [F].

    Raises:
        InputError: a name does not fit the pattern; the sentence names its line or folder.
    """
    fields = {group: np.empty(len(names), np.int64) for group in groups(pattern)}
    for start in range(0, len(names), _BLOCK):
        found = pc.extract_regex(names.slice(start, _BLOCK), pattern)
        if found.null_count:
            first = start + int(np.argmax(pc.is_null(found).to_numpy(zero_copy_only=False)))
            name = names[first].as_py()
            raise InputError(f"{where(first)}: a picture must be named like {example}, got {name!r}")
        for group, field in fields.items():
            field[start : start + _BLOCK] = _numbers(pc.struct_field(found, group))
    return fields


def _numbers(texts: pa.Array) -> Ints:
    if pc.any(pc.match_substring(texts, "-")).as_py():  # MARS pads -1 as 00-1
        texts = pc.replace_substring_regex(texts, "^0+-", "-")
    found: Ints = pc.cast(texts, pa.int64()).to_numpy(zero_copy_only=False)
    return found


def ranges(starts: Ints, lengths: Ints) -> Ints:
    """start, start + 1, ... of every range, end to end."""
    before = np.cumsum(lengths) - lengths
    found: Ints = np.arange(int(lengths.sum())) + np.repeat(starts - before, lengths)
    return found


def owners(lengths: Ints) -> Ints:
    """The tracklet of every picture: 0 ``lengths[0]`` times, then 1, and so on."""
    return np.repeat(np.arange(len(lengths)), lengths)


def firsts(values: NDArray[Any], lengths: Ints) -> NDArray[Any]:
    """The value of every tracklet's first picture; -1 for a tracklet without pictures."""
    found = np.full(len(lengths), -1, values.dtype)
    filled = lengths > 0
    found[filled] = values[(np.cumsum(lengths) - lengths)[filled]]
    return found


def differing(values: Ints, lengths: Ints, expected: Ints) -> Ints:
    """The places of pictures whose value is not the one expected of their tracklet."""
    return np.flatnonzero(values != np.repeat(expected, lengths))
