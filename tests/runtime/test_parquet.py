"""A small Parquet file that would fill the memory is refused before it does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sttreid.runtime import parquet
from sttreid.runtime.errors import InputError
from sttreid.runtime.files import read_table, write_table

ROWS = 1_000_000


def repeated(kind: str) -> pa.Array:
    """Many equal values, which take almost no space in a file."""
    if kind == "lists":
        offsets = pa.array(np.arange(0, 64 * ROWS + 1, 64, dtype=np.int32))
        return pa.ListArray.from_arrays(offsets, pa.array(np.zeros(64 * ROWS, np.float32)))
    values = {
        "numbers": pa.scalar(1.5),
        "texts": pa.scalar("long text " * 100),
        "bytes": pa.scalar(bytes(1000)),
        "fixed": pa.scalar(bytes(1000), pa.binary(1000)),
    }
    column = pa.array([0]).take(pa.array(np.zeros(ROWS, np.int32)))
    return pa.DictionaryArray.from_arrays(column, pa.array([values[kind].as_py()], values[kind].type))


def write(path: Path, kind: str, copies: int = 1) -> Path:
    table = pa.table({f"c{n}": repeated(kind) for n in range(copies)})
    pq.write_table(table, path, compression="zstd", store_schema=False)
    return path


@pytest.mark.parametrize("kind", ["numbers", "texts", "bytes", "fixed", "lists"])
def test_a_file_that_takes_too_much_memory_is_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ALWAYS", 2**26)
    path = write(tmp_path / "a.parquet", kind, 10 if kind == "numbers" else 1)
    assert path.stat().st_size < 200_000
    before = pa.default_memory_pool().max_memory()
    with pytest.raises(InputError, match=r"^.*a\.parquet: must take at most 67,108,864 bytes of memory"):
        read_table(path)
    assert pa.default_memory_pool().max_memory() <= max(before, 2**27)


def in_lists(values: pa.Array, depth: int) -> pa.Array:
    """Each value in a list of its own, that in another one, and so on."""
    for _ in range(depth):
        values = pa.ListArray.from_arrays(pa.array(np.arange(len(values) + 1, dtype=np.int32)), values)
    return values


@pytest.mark.parametrize("kind", ["one row", "absent", "absent in a list", "nested", "short", "texts", "map"])
def test_lists_are_counted_before_they_are_read(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {
        "one row": lambda: pa.ListArray.from_arrays(pa.array([0, 2**24], pa.int32()), np.zeros(2**24, "f4")),
        "absent": lambda: pa.array([None, None], pa.list_(pa.float32(), 2**23)),
        "absent in a list": lambda: pa.array([[None, None]], pa.list_(pa.list_(pa.float32(), 2**23))),
        "nested": lambda: in_lists(pa.array(np.zeros(2**18, np.int8)), 45),
        "short": lambda: in_lists(pa.array(np.zeros(2**20, bool)), 1),
        "texts": lambda: pa.array([["long text " * 1000] * 2**13], pa.list_(pa.string())),
        "map": lambda: pa.array(
            [[(b"\x00" * 10_000, 1) for _ in range(2**13)]], pa.map_(pa.binary(), pa.int32())
        ),
    }
    column = columns[kind]()
    pq.write_table(pa.table({"before": [0] * len(column), "c": column}), tmp_path / "a.parquet")
    del column
    assert (tmp_path / "a.parquet").stat().st_size < 60_000
    monkeypatch.setattr(parquet, "ALWAYS", 41_943_040)
    taken: list[int] = []
    batches = pq.ParquetFile.iter_batches

    def watched(*args: Any, **options: Any) -> Iterator[pa.RecordBatch]:
        for batch in batches(*args, **options):
            taken.append(batch.nbytes)
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", watched)
    monkeypatch.setattr(pd, "read_parquet", lambda source: taken.append(pq.read_table(source).nbytes))
    with pytest.raises(InputError, match=r"a\.parquet: must take at most 41,943,040 bytes of memory"):
        read_table(tmp_path / "a.parquet")
    assert sum(taken) < 2**20


def test_lists_that_fit_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ALWAYS", 2**20)
    values = np.random.default_rng(0).random((3000, 32), np.float32)
    fixed = pa.FixedSizeListArray.from_arrays(values.ravel(), 32)
    columns = {"fixed": fixed, "listed": fixed.cast(pa.list_(pa.float32()))}
    columns["texts"] = columns["listed"].cast(pa.list_(pa.string()))
    columns["structures"] = pa.StructArray.from_arrays([columns["texts"], fixed], ["a", "b"])
    columns["maps"] = pa.array(
        [[(str(n), [str(n), None])] for n in range(3000)], pa.map_("string", pa.list_(pa.string()))
    )
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    assert np.array_equal(np.stack(table["fixed"]), values)
    assert pa.Table.from_pandas(table, pa.schema({n: c.type for n, c in columns.items()})).equals(
        pa.table(columns)
    )


def test_damage_of_a_column_of_lists_does_not_end_the_process(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [[1.5, 2], [3.0]], "b": ["x", "yy"]}), path, row_group_size=1)
    column = b"\x25\x02\x18\x01b"  # b may be absent
    assert path.read_bytes().count(column) == 1
    path.write_bytes(path.read_bytes().replace(column, b"\x25\x00\x18\x01b"))  # but its statistics say so
    with pytest.raises(InputError, match=r"a\.parquet: must be a Parquet table"):
        read_table(path)


def test_what_a_file_of_its_length_may_take_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ALWAYS", 2**20)
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.integers(0, 2**60, 200_000), "b": rng.integers(0, 9, 200_000).astype(str)})
    write_table(tmp_path / "a.parquet", table)
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.parquet"), table)
    few = pd.DataFrame({"a": ["long text " * 1000] * 50, "b": 1})  # texts are measured
    write_table(tmp_path / "b.parquet", few)
    pd.testing.assert_frame_equal(read_table(tmp_path / "b.parquet"), few)


def test_categories_count_as_the_texts_that_they_stand_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ALWAYS", 2**24)
    path = tmp_path / "a.parquet"
    for number, copies in ((166, 1), (168, 1), (84, 2)):
        texts = pa.array(["y" * 100_000] * number).dictionary_encode()
        pq.write_table(pa.table({f"c{n}": texts for n in range(copies)}), path, compression="zstd")
        if number == 166:
            assert read_table(path)["c0"].str.len().eq(100_000).all()
            continue
        with pytest.raises(InputError, match=r"a\.parquet: must take at most 16,777,216 bytes of memory"):
            read_table(path)


def test_categories_are_read_as_their_values(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    plain = pd.DataFrame({"text": ["b", "a", None, "b"], "number": [3, 1, 3, 1], "other": [True] * 4})
    write_table(path, plain.astype({"text": "category", "number": "category"}))
    pd.testing.assert_frame_equal(read_table(path), plain)
    pq.write_table(pq.read_table(path), path, row_group_size=1)  # each group has its own dictionary
    pd.testing.assert_frame_equal(read_table(path), plain)


@pytest.mark.parametrize("kind", ["list", "struct", "extension"])
def test_categories_inside_of_another_kind_are_refused(tmp_path: Path, kind: str) -> None:
    texts = pa.array(["y" * 100_000] * 1000).dictionary_encode()
    columns = {
        "list": lambda: pa.ListArray.from_arrays(pa.array([0, 1000], pa.int32()), texts),
        "struct": lambda: pa.StructArray.from_arrays([texts], ["a"]),
        "extension": lambda: pa.ExtensionArray.from_storage(pa.opaque(texts.type, "a", "b"), texts),
    }
    pq.write_table(pa.table({"c": columns[kind]()}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=rf"a\.parquet: 'c' .* plain values, got '{kind}"):
        read_table(tmp_path / "a.parquet")
