from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sttreid.data.published.disk_buffer import DiskBuffer
from sttreid.data.published.file_names import (
    concatenate_ranges,
    find_differing,
    first_values,
    parse_names,
    tracklet_index,
)
from sttreid.data.published.official_counts import CountCheck, compare_counts, expect_none, unmatched_queries
from sttreid.data.published.published_set import assemble, training_labels
from sttreid.runtime.errors import InputError

CELLS = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3)), max_size=12)
LENGTHS = st.lists(st.integers(0, 4), max_size=8)


@given(st.lists(st.tuples(st.integers(-1, 10**6), st.sampled_from(["train", "test"])), min_size=1))
def test_classes_are_places_in_the_sorted_training_identities(rows: list[tuple[int, str]]) -> None:
    table = pd.DataFrame(rows, columns=["identity", "split"])
    trained = sorted({identity for identity, split in rows if split == "train"})
    assert training_labels(table).tolist() == [
        trained.index(i) if split == "train" else -1 for i, split in rows
    ]


@given(CELLS, CELLS)
def test_a_query_matches_its_identity_before_another_camera(
    queries: list[tuple[int, int]], gallery: list[tuple[int, int]]
) -> None:
    tables = (pd.DataFrame(rows, columns=["identity", "camera"], dtype=int) for rows in (queries, gallery))
    wanted = [
        position
        for position, (identity, camera) in enumerate(queries)
        if not any(other == identity and seen != camera for other, seen in gallery)
    ]
    assert unmatched_queries(*tables).index.tolist() == wanted


@given(LENGTHS, st.data())
def test_ragged_arithmetic_is_that_of_loops(counts: list[int], data: st.DataObject) -> None:
    lengths = np.array(counts, np.int64)
    starts = np.array(
        data.draw(st.lists(st.integers(0, 50), min_size=len(counts), max_size=len(counts))), int
    )
    total = sum(counts)
    values = np.array(data.draw(st.lists(st.integers(0, 2), min_size=total, max_size=total)), np.int64)
    rows = [row for row, count in enumerate(counts) for _ in range(count)]
    assert tracklet_index(lengths).tolist() == rows
    runs = [
        s + position for s, count in zip(starts.tolist(), counts, strict=True) for position in range(count)
    ]
    assert concatenate_ranges(starts, lengths).tolist() == runs
    begin = [sum(counts[:row]) for row in range(len(counts))]
    first = [int(values[begin[row]]) if count else -1 for row, count in enumerate(counts)]
    assert first_values(values, lengths).tolist() == first
    wrong = [position for position, row in enumerate(rows) if values[position] != first[row]]
    assert find_differing(values, lengths, np.array(first, np.int64)).tolist() == wrong


def test_a_check_says_which_count_is_off_and_by_how_much() -> None:
    checks = compare_counts({"queries": 1_980, "cameras": 6}, {"cameras": 7, "queries": 1_979, "others": 1})
    assert [str(check) for check in checks] == [
        "queries: must be 1,980, got 1,979 (1 too few)",
        "cameras: must be 6, got 7 (1 too many)",
    ]
    assert str(CountCheck("queries", 3, 3)) == "queries: 3"
    assert expect_none("things", []).passed
    with pytest.raises(KeyError):
        compare_counts({"queries": 1}, {})


def test_a_name_that_does_not_fit_is_told_with_its_place() -> None:
    with pytest.raises(InputError) as error:
        parse_names(
            pa.array(["a1", "b", "a2"]), r"^a(?P<n>\d)$", lambda position: f"list:{position + 1}", "a1"
        )
    assert str(error.value) == "list:2: an image must be named like a1, got 'b'"
    assert parse_names(pa.array([], pa.string()), r"^a(?P<n>\d)$", str, "a1")["n"].tolist() == []


def test_a_data_set_without_tracklets_is_refused(tmp_path: Path) -> None:
    empty, spool = pd.DataFrame({"identity": []}), DiskBuffer(["frame"])
    with pytest.raises(InputError, match="Mine must hold at least one tracklet, got none"):
        assemble("Mine", tmp_path, [empty], spool, {}, lambda _: {})


@pytest.mark.parametrize(("column", "value"), [("identity", 2**31), ("identity", 2**62), ("camera", 2**31)])
def test_a_number_that_the_store_cannot_hold_is_refused(tmp_path: Path, column: str, value: int) -> None:
    row = {"identity": 1, "camera": 1, "split": "train", "kind": "person", "query": False, "gallery": False}
    rows = pd.DataFrame([row | {"folder": "a", "start": 0, "length": 1, "missing": 0}] * 2)
    rows.loc[1, [column, "folder"]] = [value, "b"]
    with pytest.raises(InputError, match=rf"b: {column} must be at most 2,147,483,647, got {value:,}"):
        assemble("Mine", tmp_path, [rows], DiskBuffer(["frame"]), {}, lambda _: {})
    fits = assemble(
        "Mine", tmp_path, [rows.assign(**{column: [1, 2**31 - 1]})], DiskBuffer(["frame"]), {}, lambda _: {}
    )
    assert fits.table[column].tolist() == [1, 2**31 - 1]
