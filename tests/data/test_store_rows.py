"""Published sets in the order of the store: what is read back from it is what the reader said."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sttreid.config.datasets import Validation
from sttreid.data.published.disk_buffer import DiskBuffer
from sttreid.data.published.published_set import PublishedSet, assemble
from sttreid.data.readers.ls_vid import read_ls_vid
from sttreid.data.readers.mars import read_mars
from sttreid.data.registry import ReadSettings, find_reader
from sttreid.data.splits import validation_identities
from sttreid.data.store_rows import StoreRows, order_rows
from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import SPLITS, WITH_ROLES
from tests import sets

TENTH = Validation(share=0.1, seed=0)
MAKERS = {
    "mars": sets.mars,
    "duke_video": sets.duke,
    "ls_vid": sets.ls_vid,
    "ilids_vid": sets.ilids,
    "prid2011": sets.prid,
    "unreal_person": sets.unreal,
}


def read(reader: str, folder: Path) -> PublishedSet:
    result = find_reader(reader)
    return result.read(MAKERS[reader](folder), result.options(**result.usual), ReadSettings(TENTH))


def tracklets(output: StoreRows) -> list[tuple[object, ...]]:
    """Split, identity, camera, roles and images of each tracklet."""
    names = output.names().to_pylist()
    columns = ["split", "identity", "camera", "query", "gallery", "junk"]
    out = []
    for _, subset in output.index().groupby("tracklet"):
        assert len(subset[columns].drop_duplicates()) == 1
        out.append((*subset[columns].iloc[0], [names[row] for row in subset.index]))
    return out


@pytest.mark.parametrize("reader", MAKERS)
def test_every_image_of_every_tracklet_is_there_once_and_in_order(tmp_path: Path, reader: str) -> None:
    result = read(reader, tmp_path)
    output = order_rows(result, TENTH, "skip")
    assert set(output.index().columns) == set(WITH_ROLES.names)
    expected = []
    for number, row in result.table.iterrows():
        position = "distractors" if row["split"] == "test" and row["kind"] != "person" else row["split"]
        names = [path.as_posix() for path in result.image_paths(number)]
        rest = (row["identity"], row["camera"], row["query"], row["gallery"], row["kind"] == "junk", names)
        if names:
            expected.append((position, *rest))
    held = (
        set(validation_identities(result.table, TENTH, Path("set")))
        if "validation" not in set(result.table["split"])
        else set()
    )
    expected = [("validation" if r[0] == "train" and r[1] in held else r[0], *r[1:]) for r in expected]
    expected.sort(key=lambda row: SPLITS.index(row[0]))  # stable: the official order stays
    assert tracklets(output) == expected
    assert all((result.root / name).is_file() for name in output.names().to_pylist())
    steps = output.index().groupby("tracklet")["frame"].diff().dropna()
    assert (steps > 0).all()


def test_mars_has_junk_and_distractors_after_its_test(tmp_path: Path) -> None:
    index = order_rows(read("mars", tmp_path), TENTH, "raise").index().drop_duplicates("tracklet")
    last = index[index["split"] == "distractors"]
    assert last["identity"].tolist() == [-1, -1, 0, 0]
    assert last["junk"].tolist() == [True, True, False, False]
    assert not last["query"].any()
    assert last["gallery"].all()
    queries = index[index["query"]]
    assert queries[["identity", "camera"]].to_numpy().tolist() == [[2, 1], [2, 5], [4, 3], [4, 6]]


def test_the_first_camera_has_the_queries_and_the_second_the_gallery(tmp_path: Path) -> None:
    index = order_rows(read("prid2011", tmp_path), TENTH, "skip").index()
    test = index[index["split"] == "test"]
    assert (test["query"] == (test["camera"] == 1)).all()
    assert (test["gallery"] == (test["camera"] == 2)).all()


def test_a_validation_split_of_the_set_s_own_stays(tmp_path: Path) -> None:
    index = order_rows(read("ls_vid", tmp_path), TENTH, "skip").index()
    assert set(index["identity"][index["split"] == "validation"]) == {1, 3}
    assert set(index["identity"][index["split"] == "train"]) == {2, 5}


def test_missing_images_stop_or_are_listed(tmp_path: Path) -> None:
    root = sets.mars(tmp_path)
    (root / "bbox_test/0002/0002C5T0002F003.jpg").unlink()
    result = read_mars(root)
    with pytest.raises(
        InputError, match=r"row 6 of test \(identity 2, camera 5\) lacks 1 of them, and 0 more"
    ):
        order_rows(result, TENTH, "raise")
    output = order_rows(result, TENTH, "skip")
    assert output.incomplete == [
        {
            "split": "test",
            "row": 6,
            "folder": "bbox_test/0002",
            "identity": 2,
            "camera": 5,
            "images": 8,
            "missing": 1,
        }
    ]
    assert "bbox_test/0002/0002C5T0002F003.jpg" in output.names().to_pylist()  # opening it reports the file


def test_a_tracklet_without_an_image_is_listed_and_has_no_row(tmp_path: Path) -> None:
    root = sets.ls_vid(tmp_path)
    (root / "tracklet_test/0002/0002_0001_15_0001_7.jpg").unlink()
    result = read_ls_vid(root)
    with pytest.raises(InputError, match=r"row 4 of test \(identity 2, camera 15\) lacks 1 of them"):
        order_rows(result, TENTH, "raise")
    output = order_rows(result, TENTH, "skip")
    assert [(row["row"], row["images"], row["missing"]) for row in output.incomplete] == [(4, 0, 1)]
    assert (2, 15) not in set(zip(output.index()["identity"], output.index()["camera"], strict=True))
    assert output.index()["tracklet"].drop_duplicates().tolist() == list(range(len(result.table) - 1))


@given(st.lists(st.lists(st.integers(0, 2**40), min_size=1, max_size=5), min_size=1, max_size=6))
def test_numbers_that_do_not_ascend_are_replaced(rows: list[list[int]]) -> None:
    output = arranged(rows)
    expected = []
    for row in rows:
        good = all(a < b for a, b in pairwise(row)) and max(row) < 2**31
        expected.append(row if good else list(range(1, len(row) + 1)))
    index = output.index()
    assert index["frame"].tolist() == [number for subset in expected for number in subset]
    assert index["tracklet"].tolist() == [position for position, subset in enumerate(rows) for _ in subset]


def arranged(rows: list[list[int]]) -> StoreRows:
    """PublishedSet with images of these numbers."""
    lengths = np.array([len(row) for row in rows])
    spool = DiskBuffer(["frame"])
    names = pa.array(
        [f"{row}_{position}.jpg" for row, subset in enumerate(rows) for position in range(len(subset))]
    )
    spool.append(names, {"frame": np.array([number for row in rows for number in row])})
    part = pd.DataFrame({"identity": range(1, len(rows) + 1), "camera": 1, "split": "test", "kind": "person"})
    part = part.assign(query=False, gallery=True, missing=0, start=np.cumsum(lengths) - lengths)
    part = part.assign(length=lengths, folder=[f"folder {row}" for row in range(len(rows))])
    return order_rows(assemble("Mine", Path(), [part], spool, {}, lambda _: {}), TENTH, "raise")


@given(
    st.lists(
        st.lists(st.integers(1, 99), min_size=1, max_size=5, unique=True).map(sorted), min_size=1, max_size=6
    ),
    st.data(),
)
def test_a_range_of_the_images_is_that_part_of_all(rows: list[list[int]], data: st.DataObject) -> None:
    output = arranged(rows)
    start = data.draw(st.integers(0, len(output)))
    stop = data.draw(st.integers(start, len(output) + 2))
    assert output.names(start, stop).to_pylist() == output.names().to_pylist()[start:stop]
    pd.testing.assert_frame_equal(
        output.index(start, stop), output.index()[start:stop].reset_index(drop=True)
    )
