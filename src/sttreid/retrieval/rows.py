"""Feature rows, read where they lie (array, memory map, tensor on any device), in two precisions."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sttreid.errors import InputError
from sttreid.retrieval.labels import Integers

CHUNK = 256  # rows copied, or pairs compared, at once
PLAIN = 1e-30, 1e30  # squared lengths that single precision holds well

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
        """Rows [n, D] in single precision, each scaled to length 1.

        Raises:
            InputError: a row is not finite, or all zero.
        """
        out = np.empty((len(places), self.width), np.float32)
        for start in range(0, len(places), CHUNK):
            part = places[start : start + CHUNK]
            rows = self._raw(part)
            with np.errstate(over="ignore", invalid="ignore"):
                squares = np.einsum("nd,nd->n", rows, rows)
            odd = np.flatnonzero(~((squares > PLAIN[0]) & (squares < PLAIN[1])))  # too small, too large, NaN
            squares[odd] = 1
            target = out[start : start + len(part)]
            np.multiply(rows, (1 / np.sqrt(squares))[:, None], out=target, casting="same_kind")
            if len(odd):
                doubles, lengths = self.doubles(part[odd])
                target[odd] = doubles / lengths[:, None]
        return out

    def doubles(self, places: Integers) -> tuple[Doubles, Doubles]:
        """Rows [n, D] in double precision, and their lengths [n]; InputError as for :meth:`units`."""
        rows = self._raw(places).astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))
        broken = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
        if len(broken):
            row, values = self.numbers[places[broken[0]]], rows[broken[0], :3].tolist()
            raise InputError(
                f"{self.side} feature, row {row}: must be finite and not all 0, got {values} ..."
            )
        return rows, lengths

    def _raw(self, places: Integers) -> NDArray[np.floating]:
        part = self.features[self.numbers[places]]
        if isinstance(part, Tensor):
            part = (part if part.dtype == torch.float64 else part.float()).detach().cpu().numpy()
        return np.asarray(part, np.float64 if part.dtype == np.float64 else np.float32)


def cosines(queries: Rows, answers: Rows, asking: Integers, answering: Integers) -> Doubles:
    """[n] cosine similarities of single pairs, given by their places, in double precision."""
    out = np.empty(len(asking))
    for start in range(0, len(out), CHUNK):
        part = slice(start, start + CHUNK)
        (one, length), (other, other_length) = queries.doubles(asking[part]), answers.doubles(answering[part])
        out[part] = np.einsum("nd,nd->n", one, other) / (length * other_length)
    return out
