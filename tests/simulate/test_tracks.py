import numpy as np
import pytest

from sttreid.simulate.tracks import Box, Detector, mot

PERSON = np.array([[100, 50], [140, 50], [120, 170], [110, 90]], np.float32)


def box(points: np.ndarray, visibility: float = 1.0, jitter: float = 0.0, seed: int = 0) -> Box | None:
    return Detector(np.random.default_rng(seed), jitter).box(3, 7, points, visibility, 640, 360)


def test_a_perfect_detector_draws_a_box_a_little_larger_than_the_person() -> None:
    found = box(PERSON)
    assert found is not None
    assert (found.frame, found.identity) == (3, 7)
    assert 90 < found.left < 100
    assert 140 < found.left + found.width < 150
    assert 45 < found.top < 50
    assert 170 < found.top + found.height < 175


def test_the_head_is_never_cut() -> None:
    for seed in range(200):
        found = box(PERSON, jitter=0.1, seed=seed)
        assert found is not None
        assert found.top <= 50


def test_errors_wander_slowly_with_the_spread_asked_for() -> None:
    detector = Detector(np.random.default_rng(0), 0.05)
    lefts = np.array([detector.box(n, 1, PERSON, 1.0, 640, 360).left for n in range(4000)])  # type: ignore[union-attr]
    width = 0.38 * 120
    assert lefts.std() / width == pytest.approx(0.05, rel=0.15)
    assert np.corrcoef(lefts[:-1], lefts[1:])[0, 1] == pytest.approx(0.8, abs=0.05)


def test_boxes_are_clipped_to_the_picture() -> None:
    found = box(PERSON - np.array([110, 60], np.float32))
    assert found is not None
    assert found.left == 0
    assert found.top == 0
    assert found.width < 45


def test_who_is_hardly_seen_or_outside_has_no_box() -> None:
    assert box(PERSON, visibility=0.24) is None
    assert box(PERSON + np.array([600, 0], np.float32)) is None


def test_a_person_with_spread_arms_is_boxed_no_wider_than_detectors_do() -> None:
    found = box(np.array([[0, 50], [200, 170]], np.float32) + 50)
    assert found is not None
    assert found.width < 0.7 * 120


def test_lines_are_ordered_by_frame_and_identity() -> None:
    boxes = [Box(2, 1, 1, 2, 3, 4, 1), Box(1, 9, 1.25, 2, 3.33, 4, 0.5), Box(1, 2, 1, 2, 3, 4, 1)]
    assert mot(boxes).splitlines() == [
        "1,2,1.0,2.0,3.0,4.0,1,1,1.00",
        "1,9,1.2,2.0,3.3,4.0,1,1,0.50",
        "2,1,1.0,2.0,3.0,4.0,1,1,1.00",
    ]
