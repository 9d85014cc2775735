"""What is on the disk is what was put there, whatever is asked for."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sttreid.data.published import disk_buffer
from sttreid.data.published.disk_buffer import DiskBuffer, blocks, folder_blocks

NAMES = st.lists(st.lists(st.text(max_size=4), max_size=5), max_size=4)


@given(NAMES, st.data())
def test_ranges_are_those_of_a_list(pieces: list[list[str]], data: st.DataObject) -> None:
    made, number = DiskBuffer(["frame", "place"]), 0
    for piece in pieces:
        array = pa.array(["before", *piece, "behind"], pa.string()).slice(1, len(piece))
        numbers = np.arange(number, number + len(piece))
        made.append(array, {"frame": -numbers, "place": numbers > 1, "other": numbers})
        number += len(piece)
    names = [name for piece in pieces for name in piece]
    assert len(made) == len(names)
    edges = st.tuples(st.integers(0, len(names)), st.integers(0, len(names))).map(sorted)
    ranges = data.draw(st.lists(edges, max_size=5))
    asked = np.array([[start, stop - start] for start, stop in ranges], np.int64).reshape(-1, 2).T
    wanted = [place for start, stop in ranges for place in range(start, stop)]
    assert made.names(*asked).to_pylist() == [names[place] for place in wanted]
    assert made.numbers("frame", *asked).tolist() == [-place for place in wanted]
    assert made.numbers("place", *asked).tolist() == [int(place > 1) for place in wanted]


def test_nothing_of_it_can_be_seen_in_the_folder(tmp_path: Path) -> None:
    made = DiskBuffer(["frame"], tmp_path)
    made.append(pa.array(["a.jpg"]), {"frame": np.array([7])})
    assert list(tmp_path.iterdir()) == []
    assert made.names(np.array([0]), np.array([1])).to_pylist() == ["a.jpg"]
    with pytest.raises(OSError, match="nowhere"):
        DiskBuffer(["frame"], tmp_path / "nowhere")


@given(st.lists(st.integers(0, 5), max_size=12))
def test_blocks_hold_every_tracklet_once_and_not_more_than_a_block(counts: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk_buffer, "BLOCK", 4)
        parts = [counts[own] for own in blocks(np.array(counts, np.int64))]
        listed = [(str(place), pa.array(["a"] * count)) for place, count in enumerate(counts)]
        assert [one for batch in folder_blocks(listed) for one in batch] == listed
        held = [sum(len(names) for _, names in batch[:-1]) for batch in folder_blocks(listed)]
    assert [count for part in parts for count in part] == counts
    assert all(sum(part) <= 4 or len(part) == 1 for part in parts)
    assert all(count < 4 for count in held)
