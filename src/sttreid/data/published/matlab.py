"""Tables of whole numbers from MATLAB files of both containers, and from NumPy files.

Files that are cut short, empty or of another kind raise InputError. Single wrong bytes in a MATLAB 5 file
that was saved without compression can crash SciPy's compiled reader; compressed files, MATLAB's default, have
a checksum.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sttreid.data.published.file_names import Ints
from sttreid.runtime.errors import InputError

Array = NDArray[Any]


def read_table(path: Path, key: str, columns: int) -> Ints:
    """A matrix with a given number of columns, int64 [rows, columns].

    MATLAB 7.3 files are HDF5, with transposed arrays; MATLAB 5 and NumPy files keep MATLAB's order. A matrix
    that has the given number of columns only as rows is transposed.

    Args:
        path: ``.mat`` of either container, or ``.npy``.
        key: the variable's name; a ``.npy`` file has none.
        columns: the number of columns.

    Raises:
        InputError: the file or the variable is missing, cannot be read, holds other than whole numbers, or
            has another shape.
    """
    array = _as_integers(path, key, _load(path, key))
    if array.ndim == 2 and array.shape[1] != columns and array.shape[0] == columns:
        array = array.T
    if array.ndim != 2 or array.shape[1] != columns:
        raise InputError(f"{path}: {key!r} must have {columns} columns, got the shape {array.shape}")
    return np.ascontiguousarray(array)


def read_vector(path: Path, key: str) -> Ints:
    """As :func:`read_table`, for a row or a column of numbers, int64 [n]."""
    array = _as_integers(path, key, _load(path, key))
    if array.ndim > 2 or array.size != max(array.shape, default=1):
        raise InputError(f"{path}: {key!r} must be a row or a column, got the shape {array.shape}")
    return array.ravel()


def read_queries(path: Path, key: str, tracklets: int) -> NDArray[np.bool_]:
    """Which tracklets are queries, from a vector of their rows, counted from 1; bool [tracklets].

    Raises:
        InputError: as :func:`read_vector`; a row does not exist or is listed twice.
    """
    rows = read_vector(path, key)
    outside = (rows < 1) | (rows > tracklets)
    if outside.any():
        raise InputError(f"{path}: a query must be a row from 1 to {tracklets}, got {rows[outside][0]}")
    counts = np.bincount(rows - 1, minlength=tracklets)
    if (counts > 1).any():
        raise InputError(f"{path}: {key!r} must list a query once, got {counts.argmax() + 1} twice")
    return counts > 0


def _load(path: Path, key: str) -> Array:
    if not path.is_file():
        raise InputError(f"{path}: the file is missing")
    try:
        content, keys = _load_numpy(path) if path.suffix == ".npy" else _load_matlab(path, key)
    except InputError:
        raise
    except Exception as error:  # SciPy raises anything from TypeError to zlib.error for damaged files
        raise InputError(f"{path}: cannot be read as a MATLAB or NumPy file ({error})") from error
    if content is None:
        names = ", ".join(sorted(keys)) or "none"
        raise InputError(f"{path}: the variable {key!r} is missing, found {names}")
    return content


def _load_numpy(path: Path) -> tuple[Array, list[str]]:
    return np.asarray(np.load(path, allow_pickle=False)), []


def _load_matlab(path: Path, key: str) -> tuple[Array | None, list[str]]:
    """A variable, or None and the names of all variables."""
    try:
        import h5py
        import scipy.io
    except ImportError as error:
        raise InputError(
            f"{path}: h5py and SciPy are needed to read MATLAB files ({error}):"
            " pip install 'sttreid[pipeline]'"
        ) from error

    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            return (file[key][()].T if key in file else None), list(file)
    content = scipy.io.loadmat(path, variable_names=[key])
    if key in content:
        return np.asarray(content[key]), []
    return None, [name for name, _, _ in scipy.io.whosmat(path)]


def _as_integers(path: Path, key: str, array: Array) -> Ints:
    number = array.dtype.kind in "iuf" and array.size > 0 and bool(np.isfinite(array).all())
    if not number or (array != np.floor(array)).any():
        raise InputError(f"{path}: {key!r} must hold whole numbers, got {array.dtype} {array.shape}")
    return array.astype(np.int64)
