from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import motmetrics
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sttreid.simulate.tracks import (
    MAX_FRAME_GAP,
    MIN_BOXES,
    Box,
    Detector,
    drop_short_tracks,
    lost_frames,
    mot_lines,
    overlap,
    switch_identities,
    track_numbers,
)
from sttreid.simulate.truth import Truth

PERSON = Truth(3, 7, 100, 50, 40, 120, 1.0, 0.0, "none")


def find(truth: Truth, jitter: float = 0.0, seed: int = 0) -> Box | None:
    return Detector(np.random.default_rng(seed), jitter).box(truth, 640, 360)


def box(
    frame: int, person: int, left: float = 0.0, identity: int | None = None, visibility: float = 1
) -> Box:
    truth = Truth(frame, person, left, 0, 10, 20, visibility, 0, "none")
    return Box(identity or person, left, 0, 10, 20, truth)


def test_a_perfect_detector_draws_a_box_a_little_larger_than_the_person() -> None:
    result = find(PERSON)
    assert result is not None
    assert (result.frame, result.identity) == (3, 7)
    assert 90 < result.left < 100
    assert 140 < result.left + result.width < 150
    assert 45 < result.top < 50
    assert 170 < result.top + result.height < 175


def test_the_head_is_never_cut() -> None:
    for seed in range(200):
        result = find(PERSON, jitter=0.1, seed=seed)
        assert result is not None
        assert result.top <= 50


def test_errors_change_slowly_with_the_given_spread() -> None:
    detector = Detector(np.random.default_rng(0), 0.05)
    lefts = np.array([detector.box(PERSON, 640, 360).left for _ in range(4000)])  # type: ignore[union-attr]
    width = 0.38 * 120
    assert lefts.std() / width == pytest.approx(0.05, rel=0.15)
    assert np.corrcoef(lefts[:-1], lefts[1:])[0, 1] == pytest.approx(0.8, abs=0.05)


def test_boxes_are_clipped_to_the_image() -> None:
    result = find(replace(PERSON, left=-10, top=-10))
    assert result is not None
    assert result.left == 0
    assert result.top == 0
    assert result.width < 45


def test_a_person_that_is_mostly_hidden_or_outside_has_no_box() -> None:
    assert find(replace(PERSON, visibility=0.24)) is None
    assert find(replace(PERSON, left=700)) is None


def test_a_person_with_spread_arms_is_boxed_no_wider_than_detectors_do() -> None:
    result = find(replace(PERSON, left=50, top=100, width=200))
    assert result is not None
    assert result.width < 0.7 * 120


@given(length=st.integers(4, 60), seed=st.integers(0, 50))
def test_a_broken_track_leaves_two_fragments_that_are_long_enough(length: int, seed: int) -> None:
    gone = lost_frames(np.random.default_rng(seed), length, share=1.0)
    if length < 2 * MIN_BOXES + MAX_FRAME_GAP:
        assert len(gone) == 0
        return
    left = [frame for frame in range(length) if frame not in gone]
    assert len(left) == length - MAX_FRAME_GAP
    assert sorted(Counter(track_numbers(left, MAX_FRAME_GAP))) == [0, 1]
    assert min(Counter(track_numbers(left, MAX_FRAME_GAP)).values()) >= MIN_BOXES


def test_tracks_split_with_the_given_probability() -> None:
    broken = [len(lost_frames(np.random.default_rng(seed), 20, 0.3)) > 0 for seed in range(2000)]
    assert np.mean(broken) == pytest.approx(0.3, abs=0.04)
    assert not any(len(lost_frames(np.random.default_rng(seed), 20, 0.0)) for seed in range(50))


@given(st.sets(st.integers(1, 60), min_size=1), st.integers(1, 5))
def test_a_track_continues_over_small_gaps_only(frames: set[int], gap: int) -> None:
    ascending = sorted(frames)
    numbers = track_numbers(ascending, gap)
    assert numbers[0] == 0
    for (before, after), (first, second) in zip(pairwise(ascending), pairwise(numbers), strict=True):
        assert second - first == (after - before > gap)


def test_short_tracks_are_dropped() -> None:
    frames = [1, 2, 3, 4, 9, 10, 11, 20, 22, 24, 27]
    remaining = [b.frame for b in drop_short_tracks([box(frame, 1) for frame in frames])]
    assert remaining == [1, 2, 3, 4, 20, 22, 24, 27]
    assert drop_short_tracks([box(frame, 1) for frame in (1, 2, 3)]) == []


def crossing() -> list[Box]:
    """Two persons who meet in frame 11 and part again, and a third far away."""
    return [
        b
        for frame in range(1, 21)
        for b in (box(frame, 1, frame * 2), box(frame, 2, 44 - frame * 2), box(frame, 3, 500))
    ]


def test_without_switches_identities_are_unchanged() -> None:
    assert switch_identities(crossing(), 0.0, lambda *_: 0.0) == crossing()


def test_crossing_persons_exchange_their_identities() -> None:
    tossed = []

    def toss(first: int, second: int) -> float:
        tossed.append((first, second))
        return 0.2

    result = switch_identities(crossing(), 0.3, toss)
    assert tossed == [(1, 2)]
    first = next(f for f in range(1, 21) if overlap(box(f, 1, f * 2), box(f, 2, 44 - f * 2)) > 0.3)
    for b in result:
        exchanged = {1: 2, 2: 1, 3: 3}[b.truth.person]
        assert b.identity == (b.truth.person if b.frame < first else exchanged)
    assert Counter(b.identity for b in result) == Counter({1: 20, 2: 20, 3: 20})


def test_a_person_with_few_boxes_is_not_switched() -> None:
    late = [b for b in crossing() if b.truth.person != 2 or b.frame > 8]
    assert {b.identity == b.truth.person for b in switch_identities(late, 1.0, lambda *_: 0.0)} == {True}


def test_overlap_is_intersection_over_union() -> None:
    assert overlap(box(1, 1, 0), box(1, 2, 5)) == pytest.approx(100 / 300)
    assert overlap(box(1, 1, 0), box(1, 2, 11)) == 0
    assert overlap(box(1, 1, 3), box(1, 2, 3)) == 1


def test_lines_are_ordered_by_frame_and_identity() -> None:
    boxes = [box(2, 1), box(1, 9, 1.25, visibility=0.5), box(1, 4, identity=2)]
    assert mot_lines(boxes).splitlines() == [
        "1,2,0.0,0.0,10.0,20.0,1,1,1.00",
        "1,9,1.2,0.0,10.0,20.0,1,1,0.50",
        "2,1,0.0,0.0,10.0,20.0,1,1,1.00",
    ]


def test_an_independent_reader_reads_the_tracks(rendered: Path) -> None:
    for path in sorted(rendered.glob("c*.txt")):
        table = motmetrics.io.loadtxt(path, fmt="mot16").reset_index()
        lines = [[float(word) for word in line.split(",")] for line in path.read_text().splitlines()]
        columns = ["FrameId", "Id", "X", "Y", "Width", "Height", "Confidence", "ClassId", "Visibility"]
        expected = np.array(lines)
        expected[:, 2:4] -= 1  # the reader turns MATLAB's pixels into those that count from 0
        assert np.allclose(table[columns].to_numpy(float), expected)
