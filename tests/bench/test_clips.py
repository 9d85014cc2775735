"""The two ways that bench.clips compares read the same frames and make the same change."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.clips import apply_pil, figures, random_images, read_cv2, read_pil
from sttreid.tracklets.clips import STD, Change, apply

NONE = Change(
    flip=False,
    down=0,
    right=0,
    brightness=1.0,
    contrast=1.0,
    saturation=1.0,
    gains=np.ones(3, np.float32),
    gamma=1.0,
    hole=(0, 0, 0, 0),
)
LEVEL = float((1 / (255 * STD)).max())  # one of 256 levels after normalisation


@pytest.fixture
def clip() -> np.ndarray:
    return np.random.default_rng(0).integers(30, 200, (3, 12, 8, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        NONE,
        replace(NONE, flip=True, down=2, right=-3),
        replace(NONE, hole=(2, 6, 1, 4)),
        replace(NONE, gamma=1.2, brightness=0.8, gains=np.array([0.9, 1, 1.1], np.float32)),
        replace(NONE, saturation=0.5),
    ],
    ids=["nothing", "place", "hole", "tables", "saturation"],
)
def test_pil_makes_the_same_change_but_for_rounding(clip: np.ndarray, change: Change) -> None:
    ours, theirs = (np.empty((3, 3, 12, 8), np.float32) for _ in range(2))
    apply(clip, change, ours)
    apply_pil(clip, change, theirs)
    np.testing.assert_allclose(theirs, ours, atol=2 * LEVEL)


def test_store_and_files_hold_the_same_frames(tmp_path: Path) -> None:
    store = random_images(tmp_path, 64, 32)
    paths = [tmp_path / f"{number}.jpg" for number in (0, 5, 9)]
    by_pil, by_cv2 = read_pil(paths), read_cv2(paths)
    np.testing.assert_allclose(by_cv2.astype(int), by_pil.astype(int), atol=4)  # two decoders
    assert np.abs(by_pil.astype(int) - store.frames[[0, 5, 9]].astype(int)).mean() < 6


def test_each_size_has_loading_by_two_libraries_and_augmentation() -> None:
    found = list(figures(((16, 8, 2),), rounds=1))
    assert [figure.against for figure in found] == ["JPEG by PIL", "JPEG by cv2", "PIL per frame"]
    assert all(figure.ratio is not None and figure.ratio > 0 for figure in found)
