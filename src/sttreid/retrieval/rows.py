"""Feature rows, read where they lie (array, memory map, tensor on any device), in two precisions."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sttreid.retrieval.labels import Integers
from sttreid.runtime.errors import InputError

CHUNK = 32  # rows read, or pairs compared, at once: few enough to stay in a processor's cache

Array = NDArray[np.floating] | Tensor
Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of a feature table.

    Attributes:
        side: "query" or "gallery", for errors.
        features: [N, D], any floating type, rows of any length but 0.
        numbers: [n] which rows are meant; a place is an index into these.
    """

    side: str
    features: Array
    numbers: Integers

    def __post_init__(self) -> None:
        """Raises InputError: the features have not two axes, or no column."""
        shape = tuple(self.features.shape)
        if len(shape) != 2 or shape[1] < 1:
            raise InputError(
                f"{self.side} features must have the shape [N, D] with D at least 1, got {shape}"
            )

    @property
    def width(self) -> int:
        """D."""
        return int(self.features.shape[1])

    def units(self, places: Integers) -> Singles:
        """Rows [n, D] in single precision, each scaled to length 1, which is found in double precision.

        Raises:
            InputError: a row is not finite, or all zero.
        """
        out = np.empty((len(places), self.width), np.float32)
        for start in range(0, len(places), CHUNK):
            part = slice(start, start + CHUNK)
            rows, lengths = self.read(places[part])
            np.divide(rows, lengths[:, None], out=out[part], casting="same_kind")
        return out

    def directions(self, places: Integers) -> Doubles:
        """Rows [n, D] of length 1 in double precision.

        Raises:
            InputError: as :meth:`units`.
        """
        out = np.empty((len(places), self.width))
        for start in range(0, len(places), CHUNK):
            part = slice(start, start + CHUNK)
            rows, lengths = self.read(places[part])
            np.divide(rows, lengths[:, None], out=out[part])
        return out

    def read(self, places: Integers) -> tuple[NDArray[np.floating], Doubles]:
        """A few rows [n, D], up to a factor each, in single or double precision; and their lengths [n].

        Raises:
            InputError: as :meth:`units`.
        """
        rows = given = self._raw(places)
        if rows.dtype == np.float64:  # squares of what single precision holds cannot leave the range
            largest = np.abs(rows).max(axis=1, keepdims=True)
            rows = rows / np.where(np.isfinite(largest) & (largest > 0), largest, 1.0)
        with np.errstate(invalid="ignore", over="ignore"):
            lengths = np.sqrt(_dots(rows, rows))
        broken = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
        if len(broken):
            row, values = self.numbers[places[broken[0]]], given[broken[0]]
            first = int(np.argmax(~np.isfinite(values)))  # 0 where all are
            shown = f"{values[first : first + 3].tolist()} from column {first} on"
            raise InputError(f"{self.side} feature, row {row}: must be finite and not all 0, got {shown}")
        return rows, lengths

    def _raw(self, places: Integers) -> NDArray[np.floating]:
        part = as_array(self.features[self.numbers[places]])
        return np.asarray(part, np.float32 if part.dtype in (np.float16, np.float32) else np.float64)


def as_array(values: Array) -> NDArray[np.floating]:
    """An array, or a tensor of any floating type as one; types that NumPy lacks become single precision."""
    if not isinstance(values, Tensor):
        return np.asarray(values)
    known = (torch.float16, torch.float32, torch.float64)
    if values.dtype.is_floating_point and values.dtype not in known:
        values = values.float()
    return values.detach().cpu().numpy()


def cosines(queries: Rows, answers: Rows, asking: Integers, answering: Integers) -> Doubles:
    """[n] cosine similarities of single pairs, given by their places, in double precision."""
    out = np.empty(len(asking))
    for start in range(0, len(out), CHUNK):
        part = slice(start, start + CHUNK)
        one, length = queries.read(asking[part])
        other, other_length = answers.read(answering[part])
        out[part] = _dots(one, other) / (length * other_length)
    return out


def _dots(one: NDArray[np.floating], other: NDArray[np.floating]) -> Doubles:
    """[n] products of rows, summed in double precision, without a copy in it."""
    dots: Doubles = np.einsum("nd,nd->n", one, other, dtype=np.float64)
    return dots
