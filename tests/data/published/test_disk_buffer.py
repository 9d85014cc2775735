"""What is on the disk is what was put there, whatever is asked for."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sttreid.data.published import disk_buffer
from sttreid.data.published.disk_buffer import DiskBuffer, blocks, folder_blocks
from sttreid.runtime.errors import InputError

NAMES = st.lists(st.lists(st.text(max_size=4), max_size=5), max_size=4)


@given(NAMES, st.data())
def test_ranges_are_those_of_a_list(pieces: list[list[str]], data: st.DataObject) -> None:
    output, number = DiskBuffer(["frame", "place"]), 0
    for piece in pieces:
        array = pa.array(["before", *piece, "behind"], pa.string()).slice(1, len(piece))
        numbers = np.arange(number, number + len(piece))
        output.append(array, {"frame": -numbers, "place": numbers > 1, "other": numbers})
        number += len(piece)
    names = [name for piece in pieces for name in piece]
    assert len(output) == len(names)
    edges = st.tuples(st.integers(0, len(names)), st.integers(0, len(names))).map(sorted)
    ranges = data.draw(st.lists(edges, max_size=5))
    queries = np.array([[start, stop - start] for start, stop in ranges], np.int64).reshape(-1, 2).T
    wanted = [index for start, stop in ranges for index in range(start, stop)]
    assert output.names(*queries).to_pylist() == [names[index] for index in wanted]
    assert output.numbers("frame", *queries).tolist() == [-index for index in wanted]
    assert output.numbers("place", *queries).tolist() == [int(index > 1) for index in wanted]


def test_nothing_of_it_can_be_seen_in_the_folder(tmp_path: Path) -> None:
    output = DiskBuffer(["frame"], tmp_path)
    output.append(pa.array(["a.jpg"]), {"frame": np.array([7])})
    assert list(tmp_path.iterdir()) == []
    assert output.names(np.array([0]), np.array([1])).to_pylist() == ["a.jpg"]
    with pytest.raises(InputError, match=r"nowhere: .*No such file"):
        DiskBuffer(["frame"], tmp_path / "nowhere")


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
import pyarrow as pa
from sttreid.data.published.disk_buffer import DiskBuffer
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    output = DiskBuffer(["frame"], *map(Path, sys.argv[1:]))
    output.append(pa.array(["a"] * 999), {"frame": np.arange(999)})
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize("given", [True, False])
def test_a_full_disk_is_told_with_the_folder_of_the_files(tmp_path: Path, given: bool) -> None:
    words = [str(tmp_path)] if given else []
    command, environment = [sys.executable, "-c", LIMITED, *words], os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{tmp_path}: ")
    assert os.strerror(errno.EFBIG) in done.stdout
    assert ("TMPDIR" in done.stdout) is not given
    assert not done.stderr  # nor while the files are closed


@given(st.lists(st.integers(0, 5), max_size=12))
def test_blocks_hold_every_tracklet_once_and_not_more_than_a_block(counts: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk_buffer, "BLOCK", 4)
        parts = [counts[subset] for subset in blocks(np.array(counts, np.int64))]
        listed = [(str(index), pa.array(["a"] * count)) for index, count in enumerate(counts)]
        assert [item for batch in folder_blocks(listed) for item in batch] == listed
        held = [sum(len(names) for _, names in batch[:-1]) for batch in folder_blocks(listed)]
    assert [count for part in parts for count in part] == counts
    assert all(sum(part) <= 4 or len(part) == 1 for part in parts)
    assert all(count < 4 for count in held)
