"""Tables of whole numbers from MATLAB files of both containers, and from NumPy files.

Files that are cut short, empty or of another kind raise InputError. MATLAB 5 files are read by
:mod:`sttreid.data.published.mat5`, because single wrong bytes crash SciPy's compiled reader. A link of an
HDF5 file is not followed: it may lead to another file.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sttreid.data.published.file_names import Ints
from sttreid.data.published.mat5 import HEADER, is_mat5, read_variable
from sttreid.runtime.documents import read_bytes, read_whole
from sttreid.runtime.errors import InputError
from sttreid.runtime.parquet import most_memory

Array = NDArray[Any]
LARGEST: Final = 2**53  # whole number that MATLAB's usual type holds


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
    content = np.load(path, mmap_mode="r", allow_pickle=False)  # compares the shape with the file's length
    if not isinstance(content, np.ndarray):
        raise ValueError("it is an archive of several arrays")
    return np.array(content), []


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
            return (_dataset(path, h5py, file, key) if key in file else None), list(file)
    start = read_bytes(path, HEADER)
    if is_mat5(start):
        return read_variable(read_whole(path), key, most_memory(path))
    if 0 not in start[:4]:  # of MATLAB 4, whose files SciPy reads without compiled code
        raise ValueError("it is neither MATLAB 4, 5 nor 7.3")
    content = scipy.io.loadmat(path, variable_names=[key])
    if key in content:
        return np.asarray(content[key]), []
    return None, [name for name, _, _ in scipy.io.whosmat(path)]


def _dataset(path: Path, h5py: Any, file: Any, key: str) -> Array:
    """A data set of the file itself, whose length is checked before it takes memory."""
    found = file[key] if isinstance(file.get(key, getlink=True), h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
        raise InputError(f"{path}: the variable {key!r} must be an array in this file")
    most = most_memory(path)
    if found.dtype.kind not in "iuf" or found.nbytes > most:
        got = f"{found.nbytes:,} bytes of {found.dtype}"
        raise InputError(f"{path}: {key!r} must hold numbers, at most {most:,} bytes of memory, got {got}")
    return np.asarray(found[()]).T


def _as_integers(path: Path, key: str, array: Array) -> Ints:
    number = (
        array.dtype.kind in "iuf" and array.size > 0 and bool((np.abs(array.astype(float)) <= LARGEST).all())
    )
    if not number or (array != np.floor(array)).any():
        raise InputError(f"{path}: {key!r} must hold whole numbers, got {array.dtype} {array.shape}")
    return array.astype(np.int64)
