import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import Store, open_store, write_store

LENGTHS = {(5, 1, "train"): 3, (5, 4, "train"): 1, (2, 1, "validation"): 4, (7, 2, "test"): 2}
Crops = Iterator[tuple[int, NDArray[np.uint8]]]


def index() -> pd.DataFrame:
    rows = []
    for tracklet, ((identity, camera, split), length) in enumerate(LENGTHS.items()):
        for frame in range(length):
            rows.append((tracklet, identity, camera, 10 + 3 * frame, split, 0.1 * frame))
    return pd.DataFrame(rows, columns=["tracklet", "identity", "camera", "frame", "split", "visibility"])


def pixels(row: int) -> NDArray[np.uint8]:
    return np.random.default_rng(row).integers(0, 256, (6, 4, 3), dtype=np.uint8)


def write(folder: Path, order: list[int] | None = None) -> Store:
    rows = range(10) if order is None else order
    return write_store(folder, index(), ((row, pixels(row)) for row in rows), 6, 4)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    store = write(tmp_path / "store")
    assert np.array_equal(store.frames, np.stack([pixels(row) for row in range(10)]))
    for column in ("tracklet", "identity", "camera", "frame", "visibility"):
        assert np.allclose(store.index[column], index()[column])
    assert store.index["split"].tolist() == index()["split"].tolist()


def test_tracklets_say_where_their_frames_are(tmp_path: Path) -> None:
    table = write(tmp_path / "store").tracklets
    columns = ["tracklet", "identity", "camera", "split", "start", "length", "query", "gallery", "junk"]
    assert table.columns.tolist() == columns
    assert table.to_numpy().tolist() == [
        [0, 5, 1, "train", 0, 3, False, False, False],
        [1, 5, 4, "train", 3, 1, False, False, False],
        [2, 2, 1, "validation", 4, 4, False, False, False],
        [3, 7, 2, "test", 8, 2, True, True, False],
    ]


def test_distractors_are_in_the_gallery_and_no_queries(tmp_path: Path) -> None:
    table = index().assign(split=index()["split"].replace("validation", "distractors"))
    store = write_store(tmp_path / "store", table, ((row, pixels(row)) for row in range(10)), 6, 4)
    roles = store.tracklets[["query", "gallery", "junk"]].to_numpy().tolist()
    assert roles == [[False] * 3, [False] * 3, [False, True, False], [True, True, False]]


def test_roles_are_kept_and_belong_to_a_tracklet(tmp_path: Path) -> None:
    number = index()["tracklet"]
    table = index().assign(query=number == 3, gallery=number != 3, junk=number == 1)
    crops = [(row, pixels(row)) for row in range(10)]
    result = write_store(tmp_path / "store", table, iter(crops), 6, 4).tracklets
    assert result["query"].tolist() == [False, False, False, True]
    assert result["gallery"].tolist() == [True, True, True, False]
    assert result["junk"].tolist() == [False, True, False, False]
    table.loc[5, "gallery"] = False
    with pytest.raises(InputError, match="row 5: a tracklet must have one identity, camera, split and role"):
        write_store(tmp_path / "store", table, iter(crops), 6, 4)


def test_the_folder_holds_one_plain_array_and_one_parquet_table(tmp_path: Path) -> None:
    write(tmp_path / "store")
    assert set(files(tmp_path / "store")) == {"frames.npy", "index.parquet"}
    array = np.load(tmp_path / "store" / "frames.npy", mmap_mode="r")
    assert (array.shape, array.dtype, array.flags.c_contiguous) == ((10, 6, 4, 3), np.uint8, True)
    dtypes = pd.read_parquet(tmp_path / "store" / "index.parquet").dtypes.astype(str).to_dict()
    del dtypes["split"]
    assert dtypes == {
        "tracklet": "int32",
        "identity": "int32",
        "camera": "int32",
        "frame": "int32",
        "visibility": "float32",
    }


def test_frames_are_mapped_and_cannot_be_written(tmp_path: Path) -> None:
    frames = write(tmp_path / "store").frames
    assert isinstance(frames.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        frames[0] = 0


def test_bytes_are_equal_whatever_the_order_of_the_crops(tmp_path: Path) -> None:
    write(tmp_path / "one")
    write(tmp_path / "two", [9, 0, 4, 3, 8, 1, 2, 7, 5, 6])
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_an_old_store_is_replaced_by_a_complete_one(tmp_path: Path) -> None:
    write(tmp_path / "store")
    small = index().iloc[:3]
    write_store(tmp_path / "store", small, ((row, pixels(row)) for row in range(3)), 6, 4)
    assert len(open_store(tmp_path / "store").frames) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_an_old_store_survives_a_failure(tmp_path: Path) -> None:
    def failing() -> Crops:
        yield 0, pixels(5)
        raise InputError("the disk of this camera burnt down")

    write(tmp_path / "store")
    before = files(tmp_path / "store")
    with pytest.raises(InputError, match="burnt down"):
        write_store(tmp_path / "store", index(), failing(), 6, 4)
    assert files(tmp_path / "store") == before
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_leftovers_of_an_interrupted_run_are_removed(tmp_path: Path) -> None:
    write(tmp_path / "store")
    shutil.copytree(tmp_path / "store", tmp_path / ".store.partial")
    (tmp_path / ".store.partial" / "more.bin").write_bytes(b"rest")
    write(tmp_path / "store")
    assert set(files(tmp_path / "store")) == {"frames.npy", "index.parquet"}
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_crop_that_is_missing_or_given_twice_or_misshapen_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="got none for row 9"):
        write(tmp_path / "store", list(range(9)))
    with pytest.raises(ValueError, match="crop 2 must be given once"):
        write(tmp_path / "store", [0, 1, 2, 2])
    with pytest.raises(ValueError, match=r"crop 0 must be uint8 \(6, 5, 3\)"):
        write_store(tmp_path / "store", index(), iter([(0, pixels(0))]), 6, 5)
    assert not list(tmp_path.iterdir())


def test_an_empty_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must hold at least one frame, got none"):
        write_store(tmp_path / "store", index().iloc[:0], iter([]), 6, 4)


def test_a_split_gives_its_tracklets_with_rows_from_0(tmp_path: Path) -> None:
    store = write(tmp_path / "store")
    assert store.of_split("train")["tracklet"].tolist() == [0, 1]
    assert store.of_split("test")["tracklet"].tolist() == [3]
    assert store.of_split("test").index.tolist() == [0]


def test_the_gallery_is_the_test_and_then_the_distractors(tmp_path: Path) -> None:
    store = write(tmp_path / "plain")
    assert store.gallery().equals(store.of_split("test"))
    table = index()
    table["split"] = table["tracklet"].map({0: "distractors", 1: "distractors", 2: "train", 3: "test"})
    store = write_store(tmp_path / "store", table, ((row, pixels(row)) for row in range(10)), 6, 4)
    assert store.gallery()[["tracklet", "identity", "split", "start", "length"]].to_numpy().tolist() == [
        [3, 7, "test", 8, 2],
        [0, 5, "distractors", 0, 3],
        [1, 5, "distractors", 3, 1],
    ]
    assert store.gallery().index.tolist() == [0, 1, 2]
    assert (store.gallery().dtypes == store.tracklets.dtypes).all()


def test_a_gallery_needs_a_test(tmp_path: Path) -> None:
    table = index().assign(split="distractors")
    store = write_store(tmp_path / "store", table, ((row, pixels(row)) for row in range(10)), 6, 4)
    with pytest.raises(InputError, match="the store holds the splits distractors, got 'test'"):
        store.gallery()


def test_an_unknown_split_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the store holds the splits train, validation, test, got 'dev'"):
        write(tmp_path / "store").of_split("dev")


@pytest.mark.parametrize("file", ["frames.npy", "index.parquet"])
def test_a_missing_or_damaged_file_is_named(tmp_path: Path, file: str) -> None:
    write(tmp_path / "store")
    path = tmp_path / "store" / file
    content = path.read_bytes()
    for broken in (content[:-1], content[:20], b"", b"no such format" * 40):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=f"^{path}: the (crops are cut short|index cannot be read)"):
            open_store(tmp_path / "store")
    path.unlink()
    with pytest.raises(InputError, match=f"^{path}: .* missing"):
        open_store(tmp_path / "store")


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((10, 6, 4, 3), np.float32),
        np.zeros((10, 6, 4), np.uint8),
        np.zeros((10, 3, 6, 4), np.uint8),
        np.asfortranarray(np.zeros((10, 6, 4, 3), np.uint8)),
    ],
)
def test_frames_of_another_kind_are_refused(tmp_path: Path, array: NDArray[np.generic]) -> None:
    write(tmp_path / "store")
    np.save(tmp_path / "store" / "frames.npy", array)
    with pytest.raises(InputError, match=r"frames\.npy: the crops must be uint8 \[F, H, W, 3\]"):
        open_store(tmp_path / "store")


def test_an_index_of_another_length_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "store")
    np.save(tmp_path / "store" / "frames.npy", np.zeros((11, 6, 4, 3), np.uint8))
    with pytest.raises(InputError, match=r"index\.parquet: must have a row for each of 11 frames, got 10"):
        open_store(tmp_path / "store")


def test_an_index_of_other_columns_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "store")
    index().to_parquet(tmp_path / "store" / "index.parquet")
    with pytest.raises(
        InputError, match=r"index\.parquet: the columns must be tracklet int32, .* got tracklet int64"
    ):
        open_store(tmp_path / "store")


@pytest.mark.parametrize(
    ("row", "column", "value", "words"),
    [
        (0, "tracklet", 1, "row 0: tracklets must be numbered from 0, got 1"),
        (
            4,
            "tracklet",
            3,
            "row 4: tracklets must be numbered from 0 and be contiguous, got tracklet 3, frame 10",
        ),
        (9, "tracklet", 0, "row 9: tracklets must be numbered from 0 and be contiguous, got tracklet 0"),
        (2, "frame", 13, "row 2: the frames of a tracklet must ascend, got tracklet 0, frame 13"),
        (5, "frame", 9, "row 5: the frames of a tracklet must ascend, got tracklet 2, frame 9"),
        (1, "identity", 6, "row 1: a tracklet must have one identity, camera, split and role"),
        (2, "camera", 6, "row 2: a tracklet must have one identity, camera, split and role"),
        (7, "split", "test", "row 7: a tracklet must have one identity, camera, split and role"),
        (3, "split", "dev", "row 3: split must be one of train, validation, test, distractors, got 'dev'"),
    ],
)
def test_an_index_that_breaks_a_rule_is_refused_before_anything_is_replaced(
    tmp_path: Path, row: int, column: str, value: object, words: str
) -> None:
    table = index()
    table.loc[row, column] = value
    with pytest.raises(InputError) as error:
        write_store(tmp_path / "store", table, ((i, pixels(i)) for i in range(10)), 6, 4)
    assert words in str(error.value)
    assert not list(tmp_path.iterdir())
