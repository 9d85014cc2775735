from pathlib import Path

import numpy as np
import pytest

from bench import trees
from sttreid.data.published.published_set import PublishedSet
from sttreid.data.readers.ls_vid import OFFICIAL as LS_VID
from sttreid.data.readers.ls_vid import read_ls_vid
from sttreid.data.readers.mars import OFFICIAL as MARS
from sttreid.data.readers.mars import read_mars


def test_the_plans_have_the_official_sizes() -> None:
    train, test = trees.mars_train(), trees.mars_test()
    assert (len(train), train["length"].sum()) == (MARS["training tracklets"], MARS["training images"])
    assert (len(test), test["length"].sum()) == (MARS["test tracklets"], MARS["test images"])
    assert test["query"].sum() == MARS["queries"]
    plans = {split: trees.ls_vid(split) for split in ("train", "val", "test")}
    assert [len(plan) for plan in plans.values()] == [2_831, 779, 11_333]
    assert sum(plan["length"].sum() for plan in plans.values()) == 2_982_685
    assert plans["test"]["length"].sum() == LS_VID["test images"]


def off(result: PublishedSet) -> list[str]:
    """The checks that are off, but for those of numbers of images."""
    return [check.what for check in result.checks if not check.passed and "images" not in check.what]


def test_trees_with_one_image_a_tracklet_pass_every_check_that_counts_no_images(tmp_path: Path) -> None:
    sides = {"train": trees.mars_train(), "test": trees.mars_test()}
    output = trees.write_mars(
        tmp_path / "mars", {side: plan.assign(length=1) for side, plan in sides.items()}
    )
    result = read_mars(tmp_path / "mars" / "MARS")
    assert output == len(result) == 8_298 + 12_180
    assert off(result) == []


def test_the_tree_of_ls_vid_too(tmp_path: Path) -> None:
    plans = {split: trees.ls_vid(split).assign(length=1) for split in ("train", "val", "test")}
    output = trees.write_ls_vid(tmp_path, plans)
    result = read_ls_vid(tmp_path)
    assert output == len(result) == 2_831 + 779 + 11_333
    assert off(result) == []


@pytest.mark.parametrize("count", [100, 1001])
@pytest.mark.parametrize("mean", [60, 90])
def test_lengths_have_the_sum_the_extremes_and_the_median(count: int, mean: int) -> None:
    result = trees.lengths(count, count * mean, 5, 900, 36)
    assert result.sum() == count * mean
    assert (result.min(), result.max()) == (5, 900)
    assert np.median(result) == 36


def test_no_image_gets_more_links_than_a_file_takes() -> None:
    assert 2_982_685 / trees.JPEGS < 65_000
