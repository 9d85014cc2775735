"""From where the files of a set count, what shows it, and when it must be asked."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sttreid.data.tracks.first_frame import Numbering, Span, find_numbering
from sttreid.runtime.errors import InputError

NAME = Path("c1.txt")


def span(low: int, high: int, frames: int = 20, first_image: int | None = None) -> Span:
    return Span(NAME, low, high, frames, first_image)


def find(*spans: Span, declared: int | None = None, origin: int | None = None) -> list[Numbering]:
    return find_numbering(spans, declared, origin)


@pytest.mark.parametrize(
    ("spans", "origin", "first", "assumed"),
    [
        ([span(0, 19)], None, 0, False),
        ([span(0, 5)], 1, 0, False),  # a frame 0 outweighs the format
        ([span(1, 20)], None, 1, False),
        ([span(3, 20)], 0, 1, False),
        ([span(2, 19)], None, 1, True),
        ([span(2, 19)], 0, 0, False),
        ([span(2, 19)], 1, 1, False),
        ([span(2, 19), span(0, 7)], None, 0, False),  # of the same writer
        ([span(2, 19), span(4, 20)], None, 1, False),
        ([span(1, 0)], None, 1, True),  # no line
    ],
)
def test_a_video_is_numbered_by_what_its_tracks_show(
    spans: list[Span], origin: int | None, first: int, assumed: bool
) -> None:
    for numbering in find(*spans, origin=origin):
        assert (numbering.first_frame, numbering.start, numbering.frames) == (first, 1, 20)
        assert numbering.assumed == assumed


@pytest.mark.parametrize(
    ("spans", "origin", "first", "assumed"),
    [
        ([span(2, 25)], None, 1, True),
        ([span(0, 25)], None, 0, False),
        ([span(0, 25)], 1, 0, False),
        ([span(2, 25)], 0, 0, False),  # KITTI counts from 0, whatever is left out
        ([span(2, 25)], 1, 1, False),
        ([span(2, 25), span(2, 19)], None, 1, True),
        ([span(2, 25), span(0, 7)], 1, 0, False),
        ([span(2, 25), span(4, 20)], 0, 1, False),
    ],
)
def test_a_frame_that_does_not_exist_hides_nothing_that_the_others_show(
    spans: list[Span], origin: int | None, first: int, assumed: bool
) -> None:
    for numbering in find(*spans, origin=origin):
        assert (numbering.first_frame, numbering.start, numbering.frames) == (first, 1, 20)
        assert numbering.assumed == assumed


@pytest.mark.parametrize(
    ("tracks", "expected"),
    [
        (span(101, 125, 120, 101), (1, 1, 120)),
        (span(2, 25, 20, 1), (1, 1, 20)),
        (span(0, 25, 19, 0), (0, 0, 20)),
        (span(0, 25, 20, 1), (0, 1, 20)),
    ],
)
def test_images_keep_their_names_if_a_frame_lacks(tracks: Span, expected: tuple[int, int, int]) -> None:
    (numbering,) = find(tracks)
    assert (numbering.first_frame, numbering.start, numbering.frames) == expected


@pytest.mark.parametrize(
    ("tracks", "expected"),
    [
        (span(0, 19, 19, 0), (0, 0, 20)),  # images 0 to 19, named so in the tracks
        (span(1, 20, 19, 0), (1, 0, 20)),  # images 0 to 19, counted from 1
        (span(1, 20, 20, 1), (1, 1, 20)),
        (span(2, 9, 20, 1), (1, 1, 20)),
        (span(0, 19, 20, 1), (0, 1, 20)),  # images 1 to 20, counted from 0
        (span(101, 120, 120, 101), (1, 1, 120)),  # a part of a sequence, named so
        (span(1, 20, 120, 101), (1, 1, 120)),  # images may be missing: each name is a frame
        (span(2, 20, 20, 2), (1, 1, 20)),  # the first image is missing
        (span(1, 0, 19, 0), (0, 0, 20)),  # no line
    ],
)
def test_images_are_numbered_by_their_names_where_these_fit(
    tracks: Span, expected: tuple[int, int, int]
) -> None:
    (numbering,) = find(tracks)
    assert (numbering.first_frame, numbering.start, numbering.frames) == expected


def test_images_from_0_may_leave_it_open() -> None:
    with pytest.raises(
        InputError, match=r"c1\.txt: the images are numbered from 0.*tracks\.first_frame must be"
    ):
        find(span(1, 19, 19, 0))
    with pytest.raises(InputError, match=r"c1\.txt: the images are numbered from 0"):
        find(span(1, 25, 19, 0))
    assert [find(span(1, 19, 19, 0), declared=first)[0].first_frame for first in (0, 1)] == [0, 1]


def test_a_declared_number_is_the_first_frame() -> None:
    (numbering,) = find(span(5, 9, 120, 101), declared=0)
    assert (numbering.first_frame, numbering.start, numbering.frames) == (0, 101, 20)


@given(st.integers(1, 30), st.integers(0, 1), st.data())
def test_no_box_moves_if_every_frame_has_one(frames: int, first: int, data: st.DataObject) -> None:
    (numbering,) = find(span(first, first + frames - 1, frames))
    assert numbering.first_frame == first
    frame = data.draw(st.integers(first, first + frames - 1))
    assert 1 <= frame - numbering.first_frame + 1 <= numbering.frames
