"""Orientations from the simulator's table of tracks, and the smallest viewpoint change to a match."""

import itertools

import numpy as np
import pandas as pd
import pytest

from sttreid.data.readers.cameras import TRACK_TABLE
from sttreid.data.views import read_orientations, viewpoint_changes
from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import write_store

# identity, camera, first frame, orientation of its track
TEST = [
    (1, 1, 5, 170.0),
    (1, 2, 3, -170.0),
    (1, 2, 40, 90.0),
    (2, 1, 9, 0.0),
    (2, 3, 1, -180.0),
    (3, 2, 7, 10.0),
]
DISTRACTOR = (4, 1, 2, 55.0)


@pytest.fixture
def store(tmp_path):
    rows = [
        {"tracklet": number, "identity": identity, "camera": camera, "frame": first + step}
        for number, (identity, camera, first, _) in enumerate([*TEST, DISTRACTOR])
        for step in range(3)
    ]
    index = pd.DataFrame(rows).assign(visibility=1.0)
    index["split"] = np.where(index["identity"] == DISTRACTOR[0], "distractors", "test")
    crops = ((row, np.zeros((4, 2, 3), np.uint8)) for row in range(len(index)))
    return write_store(tmp_path / "store", index, crops, 4, 2)


def write_tracks(folder, rows, columns=("identity", "camera", "first", "orientation")):
    folder.mkdir(exist_ok=True)
    pd.DataFrame(rows, columns=list(columns)).to_csv(folder / TRACK_TABLE, index=False)


def test_a_tracklet_takes_the_side_of_the_track_that_begins_with_it(store, tmp_path):
    write_tracks(tmp_path / "set", [(8, 8, 8, 1.0), *reversed([*TEST, DISTRACTOR])])
    result = read_orientations(store, tmp_path / "set" / TRACK_TABLE)
    assert result.tolist() == [side for *_, side in [*TEST, DISTRACTOR]]


def test_a_tracklet_whose_track_is_not_there_has_no_side(store, tmp_path):
    write_tracks(tmp_path / "set", TEST[1:])
    result = read_orientations(store, tmp_path / "set" / TRACK_TABLE)
    assert np.isnan(result).tolist() == [True, *[False] * 5, True]


def test_a_set_without_truth_says_nothing(store, tmp_path):
    assert np.isnan(read_orientations(store, tmp_path / TRACK_TABLE)).all()
    assert viewpoint_changes(store, read_orientations(store, tmp_path / TRACK_TABLE)).isna().all()


def test_a_table_without_a_column_is_refused_by_name(store, tmp_path):
    write_tracks(tmp_path / "set", [(1, 1, 5)], ("identity", "camera", "first"))
    with pytest.raises(InputError, match=r"tracks\.csv: .* must have the column 'orientation', got none"):
        read_orientations(store, tmp_path / "set" / TRACK_TABLE)


def test_an_empty_table_is_refused_by_name(store, tmp_path):
    (tmp_path / TRACK_TABLE).write_text("")
    with pytest.raises(InputError, match=r"tracks\.csv: "):
        read_orientations(store, tmp_path / TRACK_TABLE)


def test_the_viewpoint_change_is_the_smallest_angle_to_a_match_in_another_camera(store):
    """170 and -170 are 20 degrees apart; an identity of one camera has no match."""
    sides = np.array([side for *_, side in [*TEST, DISTRACTOR]])
    result = viewpoint_changes(store, sides)
    assert result.index.tolist() == list(range(len(TEST)))
    naive = dict.fromkeys(range(len(TEST)), np.nan)
    for (item, a), (_, b) in itertools.permutations(enumerate(TEST), 2):
        if a[0] == b[0] and a[1] != b[1]:
            turned = abs((a[3] - b[3] + 180) % 360 - 180)
            naive[item] = np.nanmin([naive[item], turned])
    np.testing.assert_allclose(result.to_numpy(), list(naive.values()))
    assert result.tolist()[:5] == [20.0, 20.0, 80.0, 180.0, 180.0]
