"""Matrices of numbers in MATLAB 5 files, read without compiled code: wrong bytes must not end the process.

A file is a header of 128 bytes and elements: a type, a length and data, padded to eight bytes. A compressed
element holds one other. A matrix holds its class, its dimensions, its name and its numbers, by columns, in
the narrowest type. Source: MAT-File Format, The MathWorks, chapter 1.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

HEADER: Final = 128  # bytes
ORDERS: Final = {b"IM": "<", b"MI": ">"}  # how the mark at the header's end is written
TYPES: Final = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
CLASSES: Final = {
    6: "f8",
    7: "f4",
    8: "i1",
    9: "u1",
    10: "i2",
    11: "u2",
    12: "i4",
    13: "u4",
    14: "i8",
    15: "u8",
}
MATRIX: Final = 14
COMPRESSED: Final = 15
COMPLEX: Final = 0x0800  # flag
PARTS: Final = 5  # of a matrix: flags, dimensions, name, real and imaginary numbers
AXES: Final = 32


@dataclass(frozen=True)
class _Element:
    type: int
    data: bytes


def is_mat5(content: bytes) -> bool:
    """Whether a file is of this container."""
    return len(content) >= HEADER and content[126:128] in ORDERS and 0 not in content[:4]


def read_variable(content: bytes, key: str, most: int) -> tuple[NDArray[Any] | None, list[str]]:
    """A variable of a file, and the names of those before it; None and all names: there is none.

    Args:
        content: of the file.
        key: name of the variable, a matrix of real numbers.
        most: bytes that a compressed element may take.

    Raises:
        ValueError: the file is damaged, or the variable is another kind of array.
    """
    order = ORDERS[content[126:128]]
    names: list[str] = []
    for element in _elements(content[HEADER:], order):
        if element.type == COMPRESSED:
            element = next(_elements(_inflated(element.data, most), order))
        if element.type != MATRIX:
            raise ValueError(f"an element of type {element.type} is no array")
        parts = []
        for part in _elements(element.data, order):
            parts.append(part)
            if len(parts) == 3 and _name(parts) != key:
                break
            if len(parts) == PARTS:
                break
        name = _name(parts)
        if name == key:
            return _matrix(parts, order), names
        names.append(name)
    return None, names


def _elements(data: bytes, order: str) -> Iterator[_Element]:
    place = 0
    while place < len(data):
        if place + 8 > len(data):
            raise ValueError("it is cut short")
        kind, length = struct.unpack_from(f"{order}II", data, place)
        start = place + 8
        if kind >> 16:  # type and length share a word, and the data are in the other
            kind, length, start = kind & 0xFFFF, kind >> 16, place + 4
            if length > 4:
                raise ValueError(f"a small element must have at most 4 bytes, got {length}")
            end = place + 8
        else:
            end = start + length if kind == COMPRESSED else start + -(-length // 8) * 8
        if start + length > len(data):
            raise ValueError("it is cut short")
        yield _Element(kind, data[start : start + length])
        place = end


def _inflated(data: bytes, most: int) -> bytes:
    reader = zlib.decompressobj()
    try:
        content = reader.decompress(data, most + 1)
    except zlib.error as error:
        raise ValueError(f"a compressed element is damaged ({error})") from error
    if len(content) > most:
        raise ValueError(f"a compressed element must take at most {most:,} bytes")
    if not reader.eof or len(content) < 8:
        raise ValueError("a compressed element is cut short")
    return content


def _name(parts: list[_Element]) -> str:
    if len(parts) < 3:
        raise ValueError("an array lacks its name")
    return parts[2].data.decode("latin-1")


def _matrix(parts: list[_Element], order: str) -> NDArray[Any]:
    flags, dimensions, _, *numbers = parts
    if flags.type != 6 or len(flags.data) != 8 or dimensions.type != 5 or len(dimensions.data) % 4:
        raise ValueError("an array lacks its class or its dimensions")
    (word,) = struct.unpack_from(f"{order}I", flags.data)
    shape = tuple(int(side) for side in np.frombuffer(dimensions.data, f"{order}i4"))
    kind = CLASSES.get(word & 0xFF)
    if kind is None or word & COMPLEX or len(numbers) != 1 or numbers[0].type not in TYPES:
        raise ValueError(f"it is no matrix of real numbers, but of class {word & 0xFF}")
    stored = np.dtype(f"{order}{TYPES[numbers[0].type]}")
    if not 2 <= len(shape) <= AXES or min(shape) < 0 or len(numbers[0].data) != prod(shape) * stored.itemsize:
        raise ValueError(f"{len(numbers[0].data)} bytes are no matrix of {'x'.join(map(str, shape))} numbers")
    values = np.frombuffer(numbers[0].data, stored).astype(kind)
    return values.reshape(shape, order="F")
