"""Tables of whole numbers from MATLAB files of both containers, and from NumPy files.

Files that are cut short, empty or of another kind end with a sentence. Single wrong bytes inside a MATLAB 5
file that was saved without compression can crash SciPy's compiled reader itself; compressed files, MATLAB's
default, carry a checksum that tells.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray

from sttreid.data.readers.names import Ints
from sttreid.runtime.errors import InputError

Array = NDArray[Any]


def read_table(path: Path, key: str, columns: int) -> Ints:
    """A matrix with a given number of columns, int64 [rows, columns].

    MATLAB 7.3 files are HDF5, whose arrays arrive transposed; MATLAB 5 and NumPy files keep MATLAB's order. A
    matrix that has the columns only as rows is transposed.

    Args:
        path: ``.mat`` of either container, or ``.npy``.
        key: the variable's name; a ``.npy`` has none.
        columns: how many there must be.

    Raises:
        InputError: the file or the variable is missing, cannot be read, holds other than whole numbers, or
            has another shape.
    """
    array = _whole(path, key, _load(path, key))
    if array.ndim == 2 and array.shape[1] != columns and array.shape[0] == columns:
        array = array.T
    if array.ndim != 2 or array.shape[1] != columns:
        raise InputError(f"{path}: {key!r} must have {columns} columns, got the shape {array.shape}")
    return np.ascontiguousarray(array)


def read_vector(path: Path, key: str) -> Ints:
    """As :func:`read_table`, for a row or a column of numbers, int64 [n]."""
    array = _whole(path, key, _load(path, key))
    if array.ndim > 2 or array.size != max(array.shape, default=1):
        raise InputError(f"{path}: {key!r} must be a row or a column, got the shape {array.shape}")
    return array.ravel()


def read_queries(path: Path, key: str, tracklets: int) -> NDArray[np.bool_]:
    """Which of so many tracklets are asked for, from a vector of their rows, counted from 1.

    Raises:
        InputError: as :func:`read_vector`; a row does not exist or stands there twice.
    """
    rows = read_vector(path, key)
    outside = (rows < 1) | (rows > tracklets)
    if outside.any():
        raise InputError(f"{path}: a query must be a row from 1 to {tracklets}, got {rows[outside][0]}")
    asked = np.bincount(rows - 1, minlength=tracklets)
    if (asked > 1).any():
        raise InputError(f"{path}: a query must stand in {key!r} once, got {asked.argmax() + 1} again")
    return asked > 0


def _load(path: Path, key: str) -> Array:
    if not path.is_file():
        raise InputError(f"{path}: the file is missing")
    try:
        if path.suffix == ".npy":
            return np.asarray(np.load(path, allow_pickle=False))
        content = _hdf5(path, key) if h5py.is_hdf5(path) else scipy.io.loadmat(path, variable_names=[key])
    except Exception as error:  # what scipy raises on damaged files is anything from TypeError to zlib.error
        raise InputError(f"{path}: cannot be read as a MATLAB or NumPy file ({error})") from error
    if key not in content:
        known = ", ".join(sorted(_variables(path)))
        raise InputError(f"{path}: the variable {key!r} is missing, found {known or 'none'}")
    return np.asarray(content[key])


def _hdf5(path: Path, key: str) -> dict[str, Array]:
    with h5py.File(path, "r") as file:
        return {key: file[key][()].T} if key in file else {}


def _variables(path: Path) -> list[str]:
    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            return list(file)
    return [name for name, _, _ in scipy.io.whosmat(path)]


def _whole(path: Path, key: str, array: Array) -> Ints:
    number = array.dtype.kind in "iuf" and array.size > 0 and bool(np.isfinite(array).all())
    if not number or (array != np.floor(array)).any():
        raise InputError(f"{path}: {key!r} must hold whole numbers, got {array.dtype} {array.shape}")
    return array.astype(np.int64)
