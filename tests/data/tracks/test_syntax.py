"""Headers of files: with an index, and in comments."""

from pathlib import Path

import pytest

from sttreid.config.track_format import TrackFormat
from sttreid.data.tracks.sources import TrackFile, read_all
from sttreid.runtime.errors import InputError

ROWS = ((1, 1, 40, 20, 30, 80), (2, 1, 41, 20, 30, 80), (2, 7, 140, 25, 30, 80))


def read(folder: Path, text: str) -> list[tuple[float, ...]]:
    path = folder / "c1.txt"
    path.write_text(text, newline="")
    (result,) = read_all([TrackFile(path, 2, picture=(640, 360))], TrackFormat(), "raise")
    assert result.statement.startswith("csv ")
    columns = ["frame", "identity", "left", "top", "width", "height"]
    return [tuple(row) for row in result.boxes.table[columns].itertuples(index=False)]


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_a_header_may_begin_with_the_empty_name_of_an_index(tmp_path: Path, sign: str) -> None:
    lines = [
        ["", "frame", "id", "left", "top", "width", "height"],
        *([n, *row] for n, row in enumerate(ROWS)),
    ]
    assert read(tmp_path, "".join(sign.join(map(str, line)) + "\n" for line in lines)) == list(ROWS)


@pytest.mark.parametrize(
    "head",
    [
        "# frame,id,x1,y1,x2,y2\n",
        "# written by a tracker\n\n# frame,id,x1,y1,x2,y2\n",
        "% frame,id,x1,y1,x2,y2\r\n% seconds: 12\r\n",
        "# tracks\r# frame,id,x1,y1,x2,y2\r",
        "# frame id x1 y1 x2 y2\n",
    ],
)
def test_any_comment_before_the_lines_may_name_the_columns(tmp_path: Path, head: str) -> None:
    corners = [(f, i, left, top, left + width, top + height) for f, i, left, top, width, height in ROWS]
    text = "".join(",".join(map(str, line)) + "\n" for line in corners)
    assert read(tmp_path, head + text) == list(ROWS)


@pytest.mark.parametrize("sign", [",", ";", "\t", " "])
def test_a_separator_between_quotation_marks_cuts_nothing(tmp_path: Path, sign: str) -> None:
    names = ["frame", "id", "remark", "left", "top", "width", "height"]
    lines = [[frame, one, f'"tall,{sign}red"', *box] for frame, one, *box in ROWS]
    text = "".join(sign.join(map(str, line)) + "\n" for line in [names, *lines])
    assert read(tmp_path, text) == list(ROWS)


def test_decimal_commas_between_separators_of_the_same_sign_are_refused(tmp_path: Path) -> None:
    """pandas' ``to_csv(decimal=",")``; without the marks, each number would be two."""
    with pytest.raises(InputError, match=r"c1\.txt:2: left .* '40,5'"):
        read(tmp_path, 'frame,id,left,top,width,height\n1,1,"40,5","20,5","30,5","80,5"\n')


def test_a_line_with_more_words_than_the_header_is_refused(tmp_path: Path) -> None:
    """R's ``write.table`` gives the numbers of the rows no name."""
    lines = ["frame,id,left,top,width,height", *(",".join(map(str, (1, *row))) for row in ROWS)]
    path = tmp_path / "c1.txt"
    with pytest.raises(InputError, match=r"c1\.txt:2: .* 6, .* got 7"):
        read(tmp_path, "\n".join(lines))
    given = TrackFormat(columns=["unused", "frame", "id", "left", "top", "width", "height"])
    (result,) = read_all([TrackFile(path, 2, picture=(640, 360))], given, "raise")
    assert len(result.boxes.table) == len(ROWS)
    comment = "".join(f"{','.join(map(str, (*row, 1, -1)))}\n" for row in ROWS)
    assert read(tmp_path, f"# frame,id,left,top,width,height\n{comment}") == list(ROWS)
