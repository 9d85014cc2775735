"""A store of encoded images is checked block by block, whatever the size of a block."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sttreid.runtime.errors import InputError
from sttreid.runtime.files import write_json
from sttreid.tracklets import store as module
from sttreid.tracklets.store import PLACES, WITH_ROLES, check_packed, open_store

SCHEMA = pa.schema([*WITH_ROLES, *PLACES])


@pytest.fixture(params=[1, 2, 5, 100])
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """Four tracklets of three images in two shards; the index is checked in blocks of some rows."""
    monkeypatch.setattr(module, "ROWS_AT_ONCE", request.param)
    rows = [
        {"tracklet": index // 3, "identity": 7 + index // 3, "camera": 1, "frame": 1 + index % 3}
        | {"split": "train" if index < 6 else "test", "visibility": None}
        | {"query": index >= 9, "gallery": index >= 6, "junk": False}
        | {"shard": index // 6, "offset": 10 * (index % 6), "bytes": 10}
        for index in range(12)
    ]
    folder = tmp_path / "store"
    folder.mkdir()
    write_index(folder, pd.DataFrame(rows))
    pq.write_table(pa.table({"name": [f"{index}.jpg" for index in range(12)]}), folder / "names.parquet")
    for number in range(2):
        (folder / f"pictures-{number:03d}.bin").write_bytes(bytes(60))
    write_json(folder / "store.json", {"format": "sttreid-pictures/1", "height": 8, "width": 4})
    return folder


def write_index(folder: Path, rows: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(rows, SCHEMA, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, folder / "index.parquet", row_group_size=6)


def put(column: str, row: int, value: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        rows = pq.read_table(folder / "index.parquet").to_pandas()
        rows.loc[row, column] = value
        write_index(folder, rows)

    return change


def drop(column: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        table = pq.read_table(folder / "index.parquet")
        pq.write_table(table.drop_columns([column]), folder / "index.parquet")

    return change


def cut(name: str, end: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:end])

    return change


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no index": (remove("index.parquet"), "the index of the tracklet store is missing"),
    "no Parquet": (cut("index.parquet", -3), "the index cannot be read as Parquet"),
    "a column less": (drop("junk"), "the columns must be tracklet int32, .*, got"),
    "the roles less": (drop("query"), "the columns must be"),
    "first tracklet": (put("tracklet", 0, 1), "row 0: tracklets must be numbered from 0, got 1"),
    "a step of two": (put("tracklet", 11, 5), "row 11: .*tracklet 5, frame 3"),
    "a step back": (put("tracklet", 6, 1), "row 6: the frames of a tracklet must ascend, got tracklet 1"),
    "a hole": (put("tracklet", 10, 1), "row 10: tracklets must be numbered from 0 and be contiguous, got"),
    "equal frames": (put("frame", 7, 1), "row 7: the frames of a tracklet must ascend, got tracklet 2"),
    "falling frames": (put("frame", 5, 0), "row 5: the frames of a tracklet must ascend, got tracklet 1"),
    **{
        f"two of {column}": (
            put(column, row, value),
            f"row {row}: a tracklet must have one identity, camera,",
        )
        for column, row, value in [
            ("identity", 1, 99),
            ("camera", 4, 2),
            ("split", 7, "validation"),
            ("query", 10, False),
            ("gallery", 7, False),
            ("junk", 1, True),
        ]
    },
    "an unknown split": (put("split", 8, "probe"), "row 8: split must be one of .*, got 'probe'"),
    "a short shard": (cut("pictures-000.bin", 59), "the shard must hold 60 bytes, got 59"),
    "a long shard": (put("bytes", 11, 9), "pictures-001.bin: the shard must hold 59 bytes, got 60"),
    "no shard": (remove("pictures-001.bin"), "the shard of the store cannot be opened"),
    "a shard between": (put("shard", 11, 3), "the shard must hold 50 bytes, got 60"),
    "no JSON": (cut("store.json", 5), "must be JSON"),
}


def test_a_whole_store_passes(store: Path) -> None:
    check_packed(store)
    assert len(open_store(store).frames) == 12


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_found_by_the_check_and_by_opening(store: Path, fault: str) -> None:
    plant, words = FAULTS[fault]
    plant(store)
    with pytest.raises(InputError, match=words) as checked:
        check_packed(store)
    with pytest.raises(InputError) as opened:
        open_store(store)
    assert str(checked.value) == str(opened.value)
