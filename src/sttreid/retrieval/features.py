"""Feature rows of an array, a memory map or a tensor on any device, read in two precisions."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

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
    """

    side: str
    features: Features
    rows: Integers

    def __post_init__(self) -> None:
        """Raises InputError: the features do not have two axes, or no column."""
        shape = tuple(self.features.shape)
        if len(shape) != 2 or shape[1] < 1:
            raise InputError(
                f"{self.side} features must have the shape [N, D] with D at least 1, got {shape}"
            )

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
        return self._unit(index, np.float32)

    def unit64(self, index: Integers) -> Doubles:
        """The same in double precision."""
        return self._unit(index, np.float64)

    def _unit(self, index: Integers, kind: type[np.floating]) -> NDArray[Any]:
        out = np.empty((len(index), self.width), kind)
        for start in range(0, len(index), CHUNK):
            rows, lengths = self.read(index[start : start + CHUNK])
            rows /= lengths[:, None]
            out[start : start + CHUNK] = rows
        return out

    def read(self, index: Integers) -> tuple[Doubles, Doubles]:
        """A few rows [n, D], each up to a factor, in double precision; and their norms [n].

        Raises:
            InputError: as :meth:`unit32`.
        """
        given = as_array(self.features[self.rows[index]])
        rows = np.array(given, np.float64, order="C")  # sums do not depend on the memory layout
        if given.dtype not in (np.float16, np.float32):  # their squares stay in double precision's range
            largest = np.abs(rows).max(axis=1, keepdims=True)
            rows /= np.where(np.isfinite(largest) & (largest > 0), largest, 1.0)
        with np.errstate(invalid="ignore", over="ignore"):
            lengths = np.sqrt(_dots(rows, rows))
        broken = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
        if len(broken):
            row, values = self.rows[index[broken[0]]], given[broken[0]]
            first = int(np.argmax(~np.isfinite(values)))  # 0 where all are finite
            shown = f"{values[first : first + 3].tolist()} from column {first} on"
            raise InputError(f"{self.side} feature, row {row}: must be finite and not all 0, got {shown}")
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
    out = np.empty(len(query))
    for start in range(0, len(out), CHUNK):
        part = slice(start, start + CHUNK)
        left, left_length = queries.read(query[part])
        right, right_length = gallery.read(column[part])
        out[part] = _dots(left, right) / (left_length * right_length)
    return out


def _dots(left: Doubles, right: Doubles) -> Doubles:
    """[n] dot products of rows."""
    dots: Doubles = np.einsum("nd,nd->n", left, right)
    return dots
