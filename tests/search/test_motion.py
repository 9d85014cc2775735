"""Background subtraction: what it finds before a fixed camera, and when it refuses."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sttreid.runtime.errors import InputError
from sttreid.search.motion import LOOKS, START, MotionDetector, join_parts
from tests.search.walkers import BODY, Walker, film, ground

WALKERS = Walker(10, 20, 2), Walker(140, 70, -2)


def overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Intersection over union."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(sides.clip(0)))
    return shared / float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - shared)


def truth(number: int) -> list[NDArray[np.float64]]:
    corners = [(walker.left(number), walker.top) for walker in WALKERS]
    return [np.array([left, top, left + BODY[1], top + BODY[0]], float) for left, top in corners]


def test_it_finds_those_who_walk_and_nobody_else() -> None:
    detector = MotionDetector()
    found = [detector.detect(frame) for frame in film(40, *WALKERS)]
    assert not any(len(boxes) for boxes in found[:START])
    for number in range(20, 40):
        assert len(found[number]) == 2
        for person in truth(number):
            assert max(overlap(person, box) for box in found[number]) > 0.7


def test_large_pictures_are_reduced_and_boxes_are_in_their_pixels() -> None:
    detector = MotionDetector()
    for number, frame in enumerate(film(30, *WALKERS)):
        boxes = detector.detect(np.kron(frame, np.ones((10, 10, 1), np.uint8)))
        if number >= 20:
            assert len(boxes) == 2
            for person in truth(number):
                assert max(overlap(10 * person, box) for box in boxes) > 0.7


def test_a_still_scene_shows_nobody() -> None:
    detector = MotionDetector()
    assert not any(len(detector.detect(ground())) for _ in range(30))


def test_who_stands_still_from_the_start_is_not_found() -> None:
    detector = MotionDetector()
    assert not any(len(detector.detect(frame)) for frame in film(30, Walker(60, 30, 0)))


def test_flat_and_small_things_are_not_people() -> None:
    detector = MotionDetector()
    for number in range(-START, 30):
        frame = ground()
        if number >= 0:
            frame[60:72, 2 * number : 2 * number + 50] = (220, 30, 30)  # a car
            frame[20:25, 3 * number : 3 * number + 3] = (220, 30, 30)  # a bird
        assert not len(detector.detect(frame))


def test_a_camera_that_moves_is_refused_and_one_that_trembles_is_not() -> None:
    scene = np.kron(np.random.default_rng(1).integers(0, 255, (40, 120, 1)), np.ones((8, 8, 1)))
    scene = np.repeat(scene.astype(np.uint8), 3, axis=2)
    detector = MotionDetector()
    pictures = (scene[:240, 3 * number : 3 * number + 320] for number in range(20 * LOOKS))
    with pytest.raises(InputError, match="stands still"):
        list(map(detector.detect, pictures))
    detector = MotionDetector()
    for number in range(12 * LOOKS):
        left = number % 2
        detector.detect(scene[:240, left : left + 320])


def test_parts_above_each_other_are_joined_and_those_beside_are_not() -> None:
    head, body, leg = [10.0, 0.0, 16.0, 6.0], [8.0, 8.0, 20.0, 30.0], [9.0, 33.0, 14.0, 50.0]
    neighbour = [22.0, 5.0, 34.0, 50.0]
    joined = join_parts(np.array([head, neighbour, leg, body]), gap=4)
    assert sorted(joined.tolist()) == [[8, 0, 20, 50], neighbour]
    assert len(join_parts(np.array([head, body]), gap=1)) == 2
    assert join_parts(np.empty((0, 4)), gap=4).shape == (0, 4)
