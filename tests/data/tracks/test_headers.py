"""Which column of a header is which."""

import pytest

from sttreid.data.tracks.headers import columns_of


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("id frame track_id x1 y1 x2 y2", "unused frame id left top right bottom"),
        ("frame track_id id x1 y1 x2 y2", "frame id unused left top right bottom"),
        ("frame t id x y w h", "frame unused id left top width height"),
        ("frame id x y w h x1 y1", "frame id unused unused width height left top"),
        ("frame id x y w h", "frame id left top width height"),
        ("frame person_id track_id x y w h", "frame id unused left top width height"),
    ],
)
def test_of_several_columns_with_one_meaning_a_full_name_counts(header: str, expected: str) -> None:
    assert columns_of(header.split()) == tuple(expected.split())


def test_a_header_without_identities_is_none() -> None:
    assert columns_of(["frame", "x", "y", "w", "h"]) is None
