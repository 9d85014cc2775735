"""MATLAB 5 files as SciPy writes them, and with every byte damaged."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from sttreid.data.published.mat5 import HEADER, is_mat5, read_variable

MOST = 2**20
KINDS = ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]


def written(path: Path, values: dict[str, object], compress: bool = False) -> bytes:
    scipy.io.savemat(path, values, do_compression=compress)
    return path.read_bytes()


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_matrix_is_what_scipy_wrote(tmp_path: Path, kind: str, compress: bool) -> None:
    table = np.arange(24, dtype=kind).reshape(6, 4)
    content = written(tmp_path / "a.mat", {"first": 1, "long_name_of_it": table, "last": 2.5}, compress)
    assert is_mat5(content)
    found, before = read_variable(content, "long_name_of_it", MOST)
    assert found is not None
    assert (found.dtype, found.tolist(), before) == (np.dtype(kind), table.tolist(), ["first"])
    assert read_variable(content, "none", MOST) == (None, ["first", "long_name_of_it", "last"])


def test_the_narrow_types_of_matlab_and_the_other_order_of_bytes_are_read() -> None:
    def element(kind: int, data: bytes) -> bytes:
        return struct.pack(">II", kind, len(data)) + data + bytes(-len(data) % 8)

    flags, sides = struct.pack(">II", 6, 0), struct.pack(">ii", 2, 3)  # doubles, stored as bytes
    parts = element(6, flags) + element(5, sides) + struct.pack(">HHI", 1, 1, ord("a") << 24)
    content = bytes([32]) * 124 + b"\1\0MI" + element(14, parts + element(2, bytes([1, 2, 3, 4, 5, 6])))
    found, _ = read_variable(content, "a", MOST)
    assert found is not None
    assert (found.dtype, found.tolist()) == (np.float64, [[1, 3, 5], [2, 4, 6]])


@pytest.mark.parametrize("compress", [False, True])
def test_any_damage_gives_an_answer_or_a_value_error(tmp_path: Path, compress: bool) -> None:
    content = written(tmp_path / "a.mat", {"b": "text", "a": np.arange(12).reshape(3, 4)}, compress)
    refused = 0
    for place in range(HEADER, len(content)):
        for value in (0, 1, 0x7F, 0xFF, None):  # None: cut short
            damaged = (
                content[:place] if value is None else content[:place] + bytes([value]) + content[place + 1 :]
            )
            try:
                read_variable(damaged, "a", MOST)
            except ValueError:
                refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    "value",
    [np.array([1 + 2j]), "text", {"a": 1}, np.array([["a", 1]], object), np.array([True])[:0].astype("U1")],
)
def test_other_arrays_are_refused(tmp_path: Path, value: object) -> None:
    content = written(tmp_path / "a.mat", {"a": value})
    with pytest.raises(ValueError, match="matrix"):
        read_variable(content, "a", MOST)


def test_what_a_compressed_element_takes_is_bounded(tmp_path: Path) -> None:
    content = written(tmp_path / "a.mat", {"a": np.zeros((1000, 1000))}, compress=True)
    assert len(content) < 20_000
    with pytest.raises(ValueError, match="at most 1,048,576 bytes"):
        read_variable(content, "a", MOST)
    data = zlib.compress(b"")
    with pytest.raises(ValueError, match="cut short"):
        read_variable(content[:HEADER] + struct.pack("<II", 15, len(data)) + data, "a", MOST)
