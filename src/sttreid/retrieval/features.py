"""Feature rows of an array, a memory map or a tensor on any device, read in two precisions."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sttreid.retrieval.labels import Integers
from sttreid.runtime.errors import InputError

if TYPE_CHECKING:  # the evaluator works without torch
    import torch
    from torch import Tensor

CHUNK: Final = 32  # rows or pairs at once: few enough to stay in the processor's cache

Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]
Features: TypeAlias = "NDArray[np.floating] | Tensor"


@dataclass(frozen=True, eq=False)
class FeatureRows:
    """The ranked rows of a feature matrix.

    Attributes:
        side: "query" or "gallery", for errors.
        features: [N, D], any floating type, rows of any nonzero norm.
        rows: [n] the ranked rows; indices in the methods refer to these.
        lengths: [n] their norms, up to the factor of :meth:`read`; NaN before a row is first read.
    """

    side: str
    features: Features
    rows: Integers
    lengths: Doubles = field(init=False)

    def __post_init__(self) -> None:
        """Raises InputError: the features do not have two axes, or no column."""
        shape = tuple(self.features.shape)
        if len(shape) != 2 or shape[1] < 1:
            raise InputError(
                f"{self.side} features must have the shape [N, D] with D at least 1, got {shape}"
            )
        object.__setattr__(self, "lengths", np.full(len(self.rows), np.nan))

    @property
    def width(self) -> int:
        """D."""
        return int(self.features.shape[1])

    @property
    def device(self) -> "torch.device | None":
        """The CUDA device of the features; None for any other."""
        device = getattr(self.features, "device", None)
        return device if getattr(device, "type", "") == "cuda" else None

    def unit32(self, index: Integers) -> Singles:
        """L2-normalised rows [n, D] in single precision; norms are computed in double precision.

        Raises:
            InputError: a row is not finite, or all zero.
        """
        out = np.empty((len(index), self.width), np.float32)
        memory = np.empty((CHUNK, self.width))
        for start in range(0, len(index), CHUNK):
            rows, lengths = self.read(index[start : start + CHUNK], memory)
            rows *= 1 / lengths[:, None]  # faster than a division, and as exact in single precision
            out[start : start + CHUNK] = rows
        return out

    def unit64(self, index: Integers, memory: Doubles | None = None) -> Doubles:
        """The same in double precision, in the first rows of ``memory`` [at least n, D] if it is given."""
        out = np.empty((len(index), self.width)) if memory is None else memory[: len(index)]
        for start in range(0, len(index), CHUNK):
            rows, lengths = self.read(index[start : start + CHUNK], out[start:])
            rows /= lengths[:, None]
        return out

    def read(self, index: Integers, memory: Doubles) -> tuple[Doubles, Doubles]:
        """A few rows [n, D], each up to a factor, in double precision; and their norms [n].

        The rows are the first of ``memory`` [at least n, D]: fresh memory for each few takes as long as they.

        Raises:
            InputError: as :meth:`unit32`.
        """
        given = as_array(self.features[self.rows[index]])
        rows = memory[: len(index)]  # row by row, so that sums do not depend on the layout of the features
        rows[:] = given
        if not (given.dtype.kind == "f" and given.dtype.itemsize <= 4):  # squares of others leave the range
            largest = np.abs(rows).max(axis=1, keepdims=True)
            rows /= np.where(np.isfinite(largest) & (largest > 0), largest, 1.0)
        lengths = self.lengths[index]
        if (lengths > 0).all():
            return rows, lengths
        with np.errstate(invalid="ignore", over="ignore"):
            lengths = np.sqrt(_dots(rows, rows))
        broken = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
        if len(broken):
            row, values = self.rows[index[broken[0]]], given[broken[0]]
            first = int(np.argmax(~np.isfinite(values)))  # 0 where all are finite
            shown = f"{values[first : first + 3].tolist()} from column {first} on"
            raise InputError(f"{self.side} feature, row {row}: must be finite and not all 0, got {shown}")
        self.lengths[index] = lengths
        return rows, lengths


def as_array(values: Features) -> NDArray[np.floating]:
    """An array, or a tensor of any floating type as an array; types that NumPy lacks become float32."""
    if isinstance(values, np.ndarray):
        return values
    if not hasattr(values, "detach"):
        return np.asarray(values)
    import torch

    in_numpy = (torch.float16, torch.float32, torch.float64)
    if values.dtype.is_floating_point and values.dtype not in in_numpy:
        values = values.float()
    array: NDArray[np.floating] = values.detach().cpu().numpy()
    return array


def cosines(queries: FeatureRows, gallery: FeatureRows, query: Integers, column: Integers) -> Doubles:
    """[n] cosine similarities of single pairs, given by their indices, in double precision."""
    out, memory = np.empty(len(query)), np.empty((2, min(CHUNK, len(query)), queries.width))
    for start in range(0, len(out), CHUNK):
        part = slice(start, start + CHUNK)
        left, left_length = queries.read(query[part], memory[0])
        right, right_length = gallery.read(column[part], memory[1])
        out[part] = _dots(left, right) / (left_length * right_length)
    return out


def _dots(left: Doubles, right: Doubles) -> Doubles:
    """[n] dot products of rows."""
    dots: Doubles = np.einsum("nd,nd->n", left, right)
    return dots
