"""What callers give the evaluator: matrices of real numbers, or a sentence that says what they are instead.

NumPy would drop imaginary parts, read text as numbers and forget masks, all without an error.
"""

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from sttreid.runtime.errors import InputError

if TYPE_CHECKING:  # the evaluator works without torch
    from torch import Tensor


def as_matrix(what: str, values: Any) -> "NDArray[np.floating] | Tensor":
    """Features or distances as they are: an array, a memory map or a tensor; lists and tables as an array.

    Args:
        what: they are, for errors.
        values: as the caller gives them.

    Raises:
        InputError: they are no dense matrix of real numbers.
    """
    if isinstance(values, list | tuple):
        try:
            values = np.array(values)
        except (ValueError, TypeError, OverflowError) as error:
            raise InputError(
                f"{what} must be a matrix of real numbers, got rows of different kinds"
            ) from error
    elif hasattr(values, "to_numpy"):  # a table
        values = values.to_numpy()
    kind = _tensor_kind(values) if hasattr(values, "detach") else _array_kind(values)
    if kind:
        raise InputError(f"{what} must be a dense matrix of real numbers, got {kind}")
    if not hasattr(values, "detach") and type(values) not in (np.ndarray, np.memmap):
        values = np.asarray(values)  # without what a subclass changes, such as products
    if values.ndim != 2:
        raise InputError(f"{what} must have the shape [N, D] with D at least 1, got {tuple(values.shape)}")
    return cast("NDArray[np.floating]", values)


def unmasked(what: str, values: Any) -> NDArray[Any]:
    """Labels as an array of one axis.

    Raises:
        InputError: they are ragged, sparse or masked, or have no axis.
    """
    try:
        array = np.asarray(values)
    except Exception as error:  # NumPy and tensors raise many types
        raise InputError(f"{what} must be one value per tracklet, got rows of different kinds") from error
    if np.ma.isMaskedArray(values) and np.ma.getmaskarray(values).any():
        raise InputError(f"{what} must be given for every tracklet, got masked values")
    if array.ndim == 0:
        raise InputError(f"{what} must be one value per tracklet, got a single {type(values).__name__}")
    return array


def _array_kind(values: Any) -> str:
    """What is wrong with an array; empty if nothing is."""
    if hasattr(values, "tocsr"):
        return "a sparse matrix"
    if not isinstance(values, np.ndarray):
        return f"a value of type {type(values).__name__}"
    if np.ma.isMaskedArray(values) and np.ma.getmaskarray(values).any():
        return "masked values"
    return "" if values.dtype.kind in "fiu" else f"values of type {values.dtype}"


def _tensor_kind(values: Any) -> str:
    """The same of a tensor."""
    if getattr(values, "is_nested", False) or str(values.layout) != "torch.strided":
        return "a sparse or nested tensor"
    if values.device.type == "meta":
        return "a tensor without values"
    if values.is_quantized or values.dtype.is_complex or str(values.dtype) == "torch.bool":
        return f"values of type {values.dtype}"
    return ""
