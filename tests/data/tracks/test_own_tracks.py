from pathlib import Path

import pytest

from sttreid.data.tracks.reading import COLUMNS
from sttreid.data.tracks.sources import read_tracks
from sttreid.runtime.errors import InputError


def read(tmp_path: Path, text: str, frames: int = 9) -> list[tuple[float, ...]]:
    path = tmp_path / "c1.txt"
    path.write_bytes(text.encode())
    table = read_tracks(path, frames).table
    assert list(table.columns) == list(COLUMNS)
    return [tuple(row) for row in table.itertuples(index=False)]


def test_every_column_of_a_full_line_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, "3,17,1.5,-2,30,60.25,0.9,1,0.75\n") == [(3, 17, 1.5, -2, 30, 60.25, 0.75, 1)]


def test_columns_after_the_height_may_be_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, "1,2,3,4,5,6\n2,2,3,4,5,6,1\n3,2,3,4,5,6,1,1") == [
        (1, 2, 3, 4, 5, 6, 1.0, 1),
        (2, 2, 3, 4, 5, 6, 1.0, 2),
        (3, 2, 3, 4, 5, 6, 1.0, 3),
    ]


def test_crlf_spaces_and_blank_lines_at_the_end_are_accepted(tmp_path: Path) -> None:
    assert read(tmp_path, "1, 2, 3, 4, 5, 6\r\n2,2,3,4,5,6\r\n\r\n \r\n") == read(
        tmp_path, "1,2,3,4,5,6\n2,2,3,4,5,6"
    )


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeff1,2,3,4,5,6") == read(tmp_path, "1,2,3,4,5,6")


def test_a_negative_visibility_means_unknown_and_counts_as_whole(tmp_path: Path) -> None:
    assert read(tmp_path, "1,2,3,4,5,6,0.4,-1,-1,-1")[0][6] == 1.0


def test_whole_numbers_may_be_written_with_a_point(tmp_path: Path) -> None:
    assert read(tmp_path, "1.0,2.0,3,4,5,6")[0][:2] == (1, 2)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("2,2,3,4,5", "at least frame,id,left,top,width,height, got '2,2,3,4,5'"),
        ("2,2,3,4,five,6", "width must be a number, got 'five'"),
        ("2;2;3;4;5;6", "got '2;2;3;4;5;6'"),
        ("2,-1,3,4,5,6", "every line must be the box of an identity"),
        ("2,1.23457e+08,3,4,5,6", "an id must have all its digits"),
        ("2.5,2,3,4,5,6", "frame must be a whole number, got '2.5'"),
        ("2,2.5,3,4,5,6", "id must be a whole number or text, got '2.5'"),
        ("0,2,3,4,5,6", "frame must be between 1 and the video's 9, got 0"),
        ("10,2,3,4,5,6", "frame must be between 1 and the video's 9, got 10"),
        ("2,2,3,4,0,6", "width and height of a box must be above 0, got 0 and 6"),
        ("2,2,3,4,5,-6", "width and height of a box must be above 0, got 5 and -6"),
        ("2,2,nan,4,5,6", "left must be finite, got 'nan'"),
        ("2,2,3,4,5,NaN", "height must be finite, got 'NaN'"),
        ("2,2,3,inf,5,6", "top must be finite, got 'inf'"),
        ("2,2,3,4,5,6,1,1,1.5", "visibility must be at most 1, got 1.5"),
        ("2,2,3,4,5,6,1,1,x", "visibility must be a number, got 'x'"),
        ("1,2,9,9,9,9", "an identity must have one box per frame, got identity 2 twice in frame 1"),
    ],
)
def test_a_broken_line_is_named_with_its_rule_and_value(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, f"1,2,3,4,5,6\n{line}\n3,2,3,4,5,6\n")
    assert str(error.value).startswith(f"{tmp_path / 'c1.txt'}:2: ")
    assert words in str(error.value)


def test_identities_of_any_size_and_text_are_kept_as_they_are(tmp_path: Path) -> None:
    names = [5, 2**53 + 1, 2**63 + 1, 2**64 - 1, 2**70, "p_1"]
    assert [row[1] for row in read(tmp_path, "".join(f"1,{name},3,4,5,6\n" for name in names))] == names


def test_damaged_lines_are_counted_with_skip(tmp_path: Path) -> None:
    path = tmp_path / "c1.txt"
    path.write_text("1,2,3,4,5,6\n2,2,3,4,0,6\n12,2,3,4,5,6\n")
    boxes = read_tracks(path, 9, "skip")
    assert (len(boxes.table), boxes.account.lines) == (1, 3)
    assert sorted(boxes.account.left_out.values()) == [1, 1]


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"c1\.txt: a tracks file must hold at least one line"):
        read(tmp_path, "\n\n")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"c7\.txt: the tracks file is missing"):
        read_tracks(tmp_path / "c7.txt", 9)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c1.txt"
    path.write_bytes(b"\xff\x81\x00")
    with pytest.raises(InputError, match=r"c1\.txt: the tracks cannot be read as text"):
        read_tracks(path, 9)
