from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from sttreid.data.published.matlab import read_queries, read_table, read_vector
from sttreid.runtime.errors import InputError

TABLE = np.array([[1, 3, 5, 1], [4, 9, 5, 2], [10, 10, 7, 6]])


def write(path: Path, kind: str, table: np.ndarray = TABLE, key: str = "info") -> Path:
    """The table as MATLAB 5, MATLAB 7.3 (whose arrays lie transposed in the file) or NumPy writes it."""
    if kind == "5":
        scipy.io.savemat(path, {key: table, "other": 1})
    elif kind == "5 compressed":
        scipy.io.savemat(path, {key: table, "other": 1}, do_compression=True)
    elif kind == "7.3":
        with h5py.File(path, "w", userblock_size=512) as file:
            file[key], file["other"] = table.T, 1
    else:
        np.save(path.with_suffix(".npy"), table)
        return path.with_suffix(".npy")
    return path


@pytest.mark.parametrize("kind", ["5", "5 compressed", "7.3", "npy"])
@pytest.mark.parametrize("dtype", [np.int32, np.uint16, np.float64])
def test_all_containers_and_number_types_give_the_same_table(tmp_path: Path, kind: str, dtype: type) -> None:
    path = write(tmp_path / "info.mat", kind, TABLE.astype(dtype))
    result = read_table(path, "info", 4)
    assert result.dtype == np.int64
    assert result.tolist() == TABLE.tolist()


@pytest.mark.parametrize("kind", ["5", "7.3", "npy"])
@pytest.mark.parametrize("shape", [(1, 5), (5, 1)])
def test_vectors_lie_either_way(tmp_path: Path, kind: str, shape: tuple[int, int]) -> None:
    path = write(tmp_path / "info.mat", kind, np.arange(5).reshape(shape))
    assert read_vector(path, "info").tolist() == [0, 1, 2, 3, 4]


def test_a_transposed_table_is_turned_and_a_square_one_is_not(tmp_path: Path) -> None:
    assert read_table(write(tmp_path / "a.mat", "npy", TABLE.T), "", 4).tolist() == TABLE.tolist()
    square = np.arange(16).reshape(4, 4)
    for kind in ("5", "7.3", "npy"):
        assert read_table(write(tmp_path / "b.mat", kind, square), "info", 4).tolist() == square.tolist()


@pytest.mark.parametrize("kind", ["5", "7.3"])
def test_a_missing_variable_is_told_with_those_that_are_there(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "info.mat", kind)
    with pytest.raises(InputError, match=r"info.mat: the variable 'query' is missing, found info, other"):
        read_vector(path, "query")


@pytest.mark.parametrize("kind", ["5", "5 compressed", "7.3", "npy"])
def test_a_damaged_file_is_named_wherever_it_was_cut(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "info.mat", kind)
    whole = path.read_bytes()
    for length in (0, 3, 100, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError) as error:
            read_table(path, "info", 4)
        assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (TABLE[:, :3], r"must have 4 columns, got the shape \(3, 3\)"),
        (TABLE + 0.5, "must hold whole numbers"),
        (np.array([[np.nan, 1, 1, 1]]), "must hold whole numbers"),
        (np.array([[np.inf, 1, 1, 1]]), "must hold whole numbers"),
        (np.array([["a", "b", "c", "d"]]), "must hold whole numbers"),
        (np.zeros((0, 4)), "must hold whole numbers"),
    ],
)
def test_other_content_is_refused(tmp_path: Path, table: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_table(write(tmp_path / "info.mat", "npy", table), "info", 4)


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "info.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read as a MATLAB or NumPy file"):
        read_vector(path, "info")


def test_a_table_is_no_vector_and_queries_are_rows(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be a row or a column"):
        read_vector(write(tmp_path / "info.mat", "5"), "info")
    path = write(tmp_path / "query.mat", "5", np.array([[3, 1]]), "query")
    assert read_queries(path, "query", 4).tolist() == [True, False, True, False]
    with pytest.raises(InputError, match="a query must be a row from 1 to 2, got 3"):
        read_queries(path, "query", 2)


@pytest.mark.parametrize("link", ["external", "soft", "raw"])
def test_an_array_in_another_file_is_not_read(tmp_path: Path, link: str) -> None:
    other = write(tmp_path / "other.mat", "7.3")
    path = tmp_path / "info.mat"
    with h5py.File(path, "w") as file:
        if link == "external":
            file["info"] = h5py.ExternalLink(str(other), "info")
        elif link == "soft":
            file["info"] = h5py.SoftLink("/away")
            file["away"] = h5py.ExternalLink(str(other), "info")
        else:
            file.create_dataset("info", (4, 3), "i4", external=[(str(other), 0, 48)])
    with pytest.raises(InputError, match="'info' must be an array in this file"):
        read_table(path, "info", 4)


def test_a_small_file_of_a_large_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "info.mat"
    with h5py.File(path, "w") as file:
        file.create_dataset("info", (4, 2**40), "i4", chunks=(4, 1000), compression="gzip")
    with pytest.raises(InputError, match="bytes of memory"):
        read_table(path, "info", 4)
    np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint8, (3, 4))
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content.replace(b"(3, 4)", b"(-3, 4)"[:6]))
    with pytest.raises(InputError, match="cannot be read"):
        read_table(tmp_path / "a.npy", "", 4)


def test_the_names_of_variables_break_no_line(tmp_path: Path) -> None:
    path = write(tmp_path / "info.mat", "7.3", key="a\nb")
    with pytest.raises(InputError) as error:
        read_vector(path, "query")
    assert str(error.value).startswith(f"{path}: the variable 'query' is missing, found a")
    assert "\n" not in str(error.value)
