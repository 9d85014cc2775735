"""Fewer training identities: nested, drawn by the seed, and nothing else changes."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from sttreid.runtime.errors import InputError
from sttreid.tracklets.store import write_store
from sttreid.tracklets.subset import training_subset

IDENTITIES = 20  # in each split


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    splits = ("train", "validation", "test")
    rows = [
        {"identity": 100 * number + identity, "camera": camera, "frame": 1, "split": split}
        for number, split in enumerate(splits)
        for identity in range(1, IDENTITIES + 1)
        for camera in (1, 2)
    ]
    index = pd.DataFrame(rows).assign(visibility=1.0)
    index["tracklet"] = np.arange(len(index))
    crops = ((row, np.full((4, 2, 3), row, np.uint8)) for row in range(len(index)))
    return write_store(tmp_path_factory.mktemp("store") / "set", index, crops, 4, 2)


def identities(store):
    return set(store.of_split("train")["identity"])


def test_the_chosen_identities_keep_all_their_tracklets_and_pixels(store):
    few = training_subset(store, 7, 0)
    assert len(identities(few)) == 7
    rows = few.of_split("train")
    assert (rows.groupby("identity").size() == 2).all()
    table = store.tracklets.set_index("tracklet")
    for row in rows.to_dict("records"):
        assert table.loc[row["tracklet"], "start"] == row["start"]
        assert few.frames[row["start"]].max() == row["start"]


def test_subsets_are_nested_and_another_seed_draws_others(store):
    drawn = [identities(training_subset(store, count, 3)) for count in (2, 5, 11, IDENTITIES)]
    assert all(fewer < more for fewer, more in pairwise(drawn))
    assert len({tuple(sorted(identities(training_subset(store, 5, seed)))) for seed in range(10)}) > 5


def test_other_splits_do_not_change(store):
    few = training_subset(store, 2, 0)
    for split in ("validation", "test"):
        pd.testing.assert_frame_equal(few.of_split(split), store.of_split(split))
    pd.testing.assert_frame_equal(few.gallery(), store.gallery())


def test_none_are_all(store):
    assert training_subset(store, None, 0) is store


def test_more_identities_than_available_are_refused(store):
    with pytest.raises(InputError, match="must be at most the 20 of the training split, got 21"):
        training_subset(store, 21, 0)
