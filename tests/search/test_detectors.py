"""Detectors: by name or as objects, and what is checked of their boxes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sttreid.runtime.errors import InputError
from sttreid.search.detectors import code_of, detect, load_detector
from sttreid.search.motion import MotionDetector

FRAME = np.zeros((60, 80, 3), np.uint8)
VIDEO = Path("hall.mp4")


class Fixed:
    """Always the same answer."""

    def __init__(self, answer: Any = ()) -> None:
        self.answer = answer

    def detect(self, _: Any) -> Any:
        return self.answer


def test_an_object_serves_all_films_and_a_class_gives_each_its_own() -> None:
    one = Fixed()
    make = load_detector(one)
    assert make() is make() is one
    make = load_detector(Fixed)
    made = make(), make(), make()
    assert all(isinstance(detector, Fixed) for detector in made)
    assert len({id(detector) for detector in made}) == 3


def test_a_name_means_the_built_in_one_or_an_attribute_of_a_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(load_detector("motion")(), MotionDetector)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # is taken back after the test, with what the loader appends
    (tmp_path / "ours_1.py").write_text("class People:\n    def detect(self, frame): return [[1, 2, 3, 4]]\n")
    assert load_detector("ours_1:People")().detect(FRAME) == [[1, 2, 3, 4]]
    first = code_of("ours_1:People")
    (tmp_path / "ours_1.py").write_text("# another one\n")
    assert len({first, code_of("ours_1:People"), code_of("motion")}) == 3


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("hog", "MODULE:ATTRIBUTE.*'hog'"),
        ("no_such_module:People", "no_such_module"),
        ("json:no_such_attribute", "no_such_attribute"),
        ("json:dumps.deeper", "deeper"),
        ("json:__name__", "detect"),
        ("builtins:dict", "detect"),
        (7, "detect.*7"),
    ],
)
def test_what_is_no_detector_is_named(source: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        load_detector(source)


def test_boxes_are_completed_cut_at_the_border_and_left_out_beyond() -> None:
    found = detect(Fixed([[-5, 10, 20, 70], [90, 10, 99, 20], [79, 0, 90, 50]]), FRAME, VIDEO, 1)
    assert found.tolist() == [[0, 10, 20, 60, 1]]
    found = detect(Fixed(np.array([[1, 2, 30, 40, 0.25]], np.float32)), FRAME, VIDEO, 1)
    assert found.tolist() == [[1, 2, 30, 40, 0.25]]
    for nothing in ([], np.empty((0, 4)), np.empty((0, 5))):
        assert detect(Fixed(nothing), FRAME, VIDEO, 1).shape == (0, 5)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ([[1, 2, 3]], r"\[1, 3\]"),
        ([1, 2, 3, 4], r"\[4\]"),
        ([[30, 20, 10, 40]], "30"),  # left, top, width, height
        ([[1, 2, 30, float("nan")]], "nan"),
    ],
)
def test_boxes_that_break_a_rule_are_named_with_film_and_frame(answer: Any, told: str) -> None:
    with pytest.raises(InputError, match=rf"hall\.mp4: frame 17: .*{told}"):
        detect(Fixed(answer), FRAME, VIDEO, 17)


def test_a_detector_that_refuses_a_film_is_told_with_the_film() -> None:
    class Refusing:
        def detect(self, _: Any) -> Any:
            raise InputError("too dark")

    with pytest.raises(InputError, match=r"hall\.mp4: too dark"):
        detect(Refusing(), FRAME, VIDEO, 1)
