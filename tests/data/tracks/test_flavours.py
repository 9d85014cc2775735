"""Every flavour: who wrote a file, which boxes it gives, and what becomes of each line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sttreid.config.conversion import parse
from sttreid.config.track_format import TrackFormat
from sttreid.data.tracks.flavours import FLAVOURS
from sttreid.data.tracks.sources import ReadTracks, TrackFile, read_all
from sttreid.runtime.errors import InputError

FRAMES = 20
Line = Callable[[int, int], str]  # frame from 1, and person from 1 -> a line
BOX = {person: (10 + 30 * person, 10, 20, 60) for person in (1, 2, 3)}


def declared(**content: object) -> TrackFormat:
    return parse(TrackFormat, content, "tracks")


def lines(line: Line, frames: int = FRAMES) -> str:
    return "".join(f"{line(frame, person)}\n" for frame in range(1, frames + 1) for person in BOX)


def written(separator: str, tail: str = "", form: str = "{}", first: int = 1) -> Line:
    def line(frame: int, person: int) -> str:
        numbers = (frame - 1 + first, person, *BOX[person])
        return separator.join([*(form.format(number) for number in numbers), *tail.split()])

    return line


def read(folder: Path, text: str | bytes, given: TrackFormat | None = None, **file: Any) -> ReadTracks:
    path = folder / "c1.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    (result,) = read_all([TrackFile(path, FRAMES, **file)], given or TrackFormat(), "raise")
    return result


def flavour(result: ReadTracks) -> str:
    return result.statement.partition(" ")[0]


def assert_all_boxes(result: ReadTracks) -> None:
    table = result.boxes.table
    assert result.boxes.account.used == len(table) == FRAMES * len(BOX)
    for row in table.itertuples():
        assert (row.left, row.top, row.width, row.height) == pytest.approx(BOX[row.identity], abs=0.01)
    assert sorted(set(table["frame"])) == list(range(1, FRAMES + 1))


KITTI = "{f} {p} Pedestrian 0 0 -1 {l} {t} {r} {b} -1 -1 -1 -1000 -1000 -1000 -10 0.9"


def kitti(frame: int, person: int) -> str:
    left, top, width, height = BOX[person]
    return KITTI.format(f=frame - 1, p=person, l=left, t=top, r=left + width, b=top + height)


def header(names: str, sign: str = ",") -> Callable[[Line], str]:
    return lambda line: f"{sign.join(names.split())}\n{lines(line)}"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mot_results", lines(written(","))),
        ("mot_results", lines(written(",", "0.87"))),
        ("mot_results", lines(written(", ", "-1 -1 -1 -1"))),
        ("mot_results", lines(lambda f, p: written(",", f"{'None' if p > 1 else 0.5} -1 -1 -1")(f, p))),
        ("mot_results", lines(written(",", "0 -1 -1 -1"))),  # a confidence written with %d
        ("mot_results", lines(written(" ", "-1 -1 -1 0"))),  # the first BoxMOT
        ("mot_results", lines(written("\t", "1 -1 -1 -1"))),
        ("mot_results", lines(written(";", "0,5 -1 -1 -1", "{},0"))),  # decimal commas
        ("mot_results", lines(written(",", "1 -1 -1 -1", "{:.18e}"))),  # numpy.savetxt
        ("mot_results", lines(written(",", "1 -1 -1 -1", "{:.2f}"))),  # DeepSORT
        ("mot_results", lines(written(",", "0.9 0 0 0"))),
        ("mot_gt", lines(written(",", "1 1 0.5"))),
        ("mot_gt", lines(written(",", "1 1 0.912345"))),  # BoxMOT: class + 1 and confidence
        ("boxmot", lines(written(" ", "0 0 -1"))),  # BoxMOT with %d: COCO's person
        ("csv", lines(written(" ", "person"))),
        ("csv", lines(written(",", "0.9 Pedestrian"))),
        ("trackeval", lines(written(",", "0.87 1 -1"))),
        ("visdrone", lines(written(",", "1 1 0 2"))),
        ("motmetrics", lines(written(",", "1 4.4 -5.2 0"))),
        ("motmetrics", lines(lambda f, p: written(",", f"1 {p - 4 + 2 * f} -5 0")(f, p))),
        ("kitti", lines(kitti)),
        ("csv", header("Frame,ID,X,Y,W,H".replace(",", " "))(written(","))),
        (
            "csv",
            header("frame_id track_id bb_left bb_top bb_width bb_height score", ";")(written(";", "0.4")),
        ),
        ("csv", "#" + header("frame id x y w h")(written(","))),
        ("csv", header('"frame" "id" "left" "top" "width" "height" "class"')(written(",", "person"))),
    ],
)
def test_a_flavour_is_recognised_and_every_box_is_read(tmp_path: Path, name: str, text: str) -> None:
    result = read(tmp_path, text)
    assert flavour(result) == name
    assert_all_boxes(result)
    for variant in (
        "\ufeff" + text,
        text.replace("\n", "\r\n"),
        text.replace("\n", "\n\n"),
        text.rstrip() if text[0] == "#" else "# made by a test\n" + text.rstrip(),
    ):
        again = read(tmp_path, variant)
        assert again.boxes.table.drop(columns="line").equals(result.boxes.table.drop(columns="line"))
        assert again.statement == result.statement


@pytest.mark.parametrize(
    ("text", "given", "used", "reasons"),
    [
        (lines(lambda f, p: written(",", f"1 {p} 1")(f, p)), {"class": [1, 3]}, 40, {"of another class": 20}),
        (lines(lambda f, p: written(",", f"1 {p} 1")(f, p)), {"class": "all"}, 60, {}),
        (lines(lambda f, p: written(" ", f"0 {p - 1} -1")(f, p)), {"class": 0}, 20, {"of another class": 40}),
        (lines(lambda f, p: written(" ", f"1 {p - 2} -1")(f, p)), {"class": 1}, 40, {"of another class": 20}),
        (lines(lambda f, p: written(",", f"{p // 2} 1 1")(f, p)), {}, 40, {"marked to be ignored": 20}),
        (lines(lambda f, p: written(",", "1 -1 -1 -1")(f, p).replace(",3,", ",-1,", 1)), {}, 40,
         {"without an identity": 20}),
    ],
)  # fmt: skip
def test_every_line_is_used_or_counted_with_its_reason(
    tmp_path: Path, text: str, given: dict[str, object], used: int, reasons: dict[str, int]
) -> None:
    account = read(tmp_path, text, declared(**given)).boxes.account
    assert (account.lines, account.used) == (60, used)
    assert {key.partition(" (")[0]: count for key, count in account.left_out.items()} == reasons
    assert account.used + sum(account.left_out.values()) == account.lines


def test_labels_name_the_classes(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("car\nPerson\n\ndog\n")
    text = lines(lambda f, p: written(",", f"1 {1 if p == 3 else 2} 1.0")(f, p))
    result = read(tmp_path, text, labels=tmp_path / "labels.txt")
    assert flavour(result) == "cvat"
    assert set(result.boxes.table["identity"]) == {1, 2}
    assert result.boxes.account.classes == {"car": 20}
    cars = read(tmp_path, text, declared(**{"class": "car"}), labels=tmp_path / "labels.txt")
    assert set(cars.boxes.table["identity"]) == {3}
    (tmp_path / "labels.txt").write_text("car\ndog\n")
    with pytest.raises(InputError, match=r"labels\.txt: a label must be person or pedestrian.*got car, dog"):
        read(tmp_path, text, labels=tmp_path / "labels.txt")


def test_the_cameras_of_a_set_are_judged_together(tmp_path: Path) -> None:
    """A camera that sees bicycles alone (COCO's 1) must not count them as pedestrians."""
    files = []
    for number, classes in enumerate([(0, 0, 1), (1, 1, 0)], 1):
        path = tmp_path / f"c{number}.txt"
        line = lambda f, p, classes=classes: written(" ", f"0 {classes[p - 1]} -1")(f, p)  # noqa: E731
        path.write_text(lines(line))
        files.append(TrackFile(path, FRAMES))
    first, second = read_all(files, declared(**{"class": 0}), "raise")
    assert (set(first.boxes.table["identity"]), set(second.boxes.table["identity"])) == ({1, 2}, {3})
    assert flavour(second) == "boxmot"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (lines(written(",", "1 2 1")), "most boxes must be used"),
        (lines(written(",", "0 1 1")), "most boxes must be used"),
        (lines(lambda f, p: written(",", f"0.9 {p + 1} -1")(f, p)), "most boxes must be used"),
        (lines(lambda f, p: written(",", "1 -1 -1 -1")(f, p).replace(f",{p},", ",-1,", 1)), "most boxes"),
        (lines(written(",", "0.9 40 -1")), "which are persons; set tracks.flavour"),
        (lines(written(",", "0.9 3 7 9")), "may be a class or world coordinates"),
        (lines(written(",", "0.9 2.5 -1")), "column 8 can be no class"),
        (lines(lambda f, p: written(",", f"{p}")(f, p)), "column 7 may be a class or a confidence"),
        (lines(lambda f, p: written(",", f"{p} -1 -1 -1")(f, p)), "column 7 may be a class or a confidence"),
        (lines(written(",", "0.9 -1 person")), "column 9 .* classes; set tracks.flavour"),
        (lines(written(",", "0.9 -1 -1 car")), "column 10 .* classes; set tracks.flavour"),
        (lines(lambda f, p: written(",", "car" if p == 3 else "0.9")(f, p)), "column 7 .* classes; set"),
        (lines(written(",", "1 2 3 4 5 6 7 8")), "14 columns fit no known writer"),
        (lines(written("|")), "cut by comma, semicolon, tab or blanks"),
        ("time,who,x,y,w,h\n" + lines(written(",")), "a header must name frame, id and a box"),
        ("1.2345e+08" + lines(written(","))[1:], "frame must be a whole number, got '1.2345e"),
    ],
)  # fmt: skip
def test_what_stays_open_is_an_error_that_says_what_to_set(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as error:
        read(tmp_path, text)
    assert str(error.value).startswith(str(tmp_path / "c1.txt"))


def test_declared_columns_and_separator_are_used(tmp_path: Path) -> None:
    def line(frame: int, person: int) -> str:
        left, top, width, height = BOX[person]
        return f"{person};{frame};x;{left + width / 2};{top + height};{top};{width}"

    columns = ["id", "frame", "unused", "x_center", "bottom", "top", "width"]
    assert_all_boxes(read(tmp_path, lines(line), declared(columns=columns, separator="semicolon")))
    with pytest.raises(InputError, match="cut by the separator comma"):
        read(tmp_path, lines(line), declared(columns=columns, separator="comma"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            {"columns": ["frame", "id", "left", "top", "width"]},
            "columns must name frame, id, and two of left",
        ),
        ({"columns": ["frame", "frame", "id"]}, "'frame' twice"),
        ({"flavour": "mott"}, "flavour"),
        ({"first_frame": -1}, "first_frame"),
        ({"separator": "|"}, "separator"),
        ({"klass": 1}, "klass"),
    ],
)
def test_a_wrong_declaration_is_told(content: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        declared(**content)


def test_ids_keep_all_their_digits(tmp_path: Path) -> None:
    names = {1: "9007199254740993", 2: "9007199254740992", 3: "18446744073709551615"}
    text = lines(lambda f, p: written(",")(f, p).replace(f"{f},{p},", f"{f},{names[p]},", 1))
    assert set(read(tmp_path, text).boxes.table["identity"]) == {int(name) for name in names.values()}
    text = lines(lambda f, p: written(",")(f, p).replace(f"{f},{p},", f"{f},person_{p},", 1))
    assert set(read(tmp_path, text).boxes.table["identity"]) == {"person_1", "person_2", "person_3"}
    text = lines(lambda f, p: written(",")(f, p).replace(f"{f},{p},", f"{f},1.2345{p}e+08,", 1))
    with pytest.raises(InputError, match=r"c1\.txt:1: an id must have all its digits"):
        read(tmp_path, text)


def yolo(folder: Path, conf: str, names: tuple[str, ...] = ("1", "2", "3"), stem: str = "hall") -> None:
    folder.mkdir(exist_ok=True)
    for frame in range(1, FRAMES + 1):
        rows = []
        for person, (left, top, width, height) in BOX.items():
            box = ((left + width / 2) / 256, (top + height / 2) / 128, width / 256, height / 128)
            rows.append(f"0 {' '.join(f'{value:g}' for value in box)} {conf}{names[person - 1]}".strip())
        (folder / f"{stem}_{frame}.txt").write_text("\n".join(rows) + "\n")


@pytest.mark.parametrize("conf", ["", "0.87 "])
def test_a_folder_of_normalised_boxes_is_read(tmp_path: Path, conf: str) -> None:
    yolo(tmp_path / "labels", conf)
    file = TrackFile(tmp_path / "labels", FRAMES, stem="hall", picture=(256, 128))
    (result,) = read_all([file], TrackFormat(), "raise")
    assert flavour(result) == "yolo"
    assert_all_boxes(result)


def test_a_folder_may_hold_the_boxes_of_several_videos(tmp_path: Path) -> None:
    yolo(tmp_path / "labels", "")
    yolo(tmp_path / "labels", "0.9 ", ("1", "2", ""), stem="door")
    files = [
        TrackFile(tmp_path / "labels", FRAMES, stem=stem, picture=(256, 128)) for stem in ("hall", "door")
    ]
    assert [result.boxes.account.used for result in read_all(files, TrackFormat(), "raise")] == [60, 40]


def test_boxes_without_identity_in_a_folder_are_counted(tmp_path: Path) -> None:
    yolo(tmp_path / "labels", "0.87 ", ("1", "2", ""))
    file = TrackFile(tmp_path / "labels", FRAMES, stem="hall", picture=(256, 128))
    (result,) = read_all([file], TrackFormat(), "raise")
    assert (result.boxes.account.used, list(result.boxes.account.left_out.values())) == (40, [20])


WORDS = st.one_of(
    st.integers(-3, 25).map(str),
    st.floats(allow_nan=True, allow_infinity=True).map(str),
    st.sampled_from(
        ["", "-1", "1e+02", "0.5", "person", "nan", "9007199254740993", "٣", "1_0", "--1", "0x1", "é"]
    ),
)
SIGNS = st.sampled_from([",", ";", "\t", " ", ", "])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 22), st.integers(-1, 4), st.lists(WORDS, max_size=6)), max_size=25),
    SIGNS,
    st.sampled_from([{}, *({"flavour": name} for name in FLAVOURS), {"class": "all"}, {"first_frame": 0}]),
    st.sampled_from(["raise", "skip"]),
    st.sampled_from(["", "frame,id,x,y,w,h,class\n", "# a remark\n", "\ufeff"]),
)
def test_a_line_is_used_or_counted_or_named_in_an_error(
    tmp_path: Path, rows: list[Any], sign: str, given: dict[str, object], on_error: Any, head: str
) -> None:
    path = tmp_path / "c1.txt"
    text = "".join(sign.join([str(f), str(i), "5", "6", "7", "8", *tail]) + "\n" for f, i, tail in rows)
    path.write_text(head + text)
    result = result_or_sentence(path, declared(**given), on_error)
    if isinstance(result, str):
        assert str(path) in result
        return
    account = result.boxes.account
    assert account.used == len(result.boxes.table)
    assert account.used + sum(account.left_out.values()) == account.lines == len(rows)
    assert result.boxes.table["frame"].between(1, FRAMES).all()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_is_read_or_refused_in_a_sentence(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "c1.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "ignore"))
    result = result_or_sentence(path, TrackFormat(), "raise")
    if isinstance(result, str):
        assert str(path) in result
    else:
        account = result.boxes.account
        assert account.used + sum(account.left_out.values()) == account.lines


def result_or_sentence(path: Path, given: TrackFormat, on_error: Any) -> ReadTracks | str:
    try:
        return read_all([TrackFile(path, FRAMES)], given, on_error)[0]
    except InputError as error:
        return str(error)


def test_a_class_that_no_column_gives_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tracks\.class needs a column with classes"):
        read(tmp_path, lines(written(",")), declared(**{"class": "person"}))
    with pytest.raises(InputError, match=r"needs labels\.txt"):
        read(tmp_path, lines(written(",", "1 1 1")), declared(flavour="cvat"))


def test_a_declared_column_of_classes_needs_the_classes(tmp_path: Path) -> None:
    columns = ["frame", "id", "left", "top", "width", "height", "class"]
    text = lines(written(",", "5"))
    with pytest.raises(InputError, match=r"most boxes must be used.*set tracks\.class"):
        read(tmp_path, text, declared(columns=columns))
    assert_all_boxes(read(tmp_path, text, declared(columns=columns, **{"class": 5})))


@pytest.mark.parametrize("tail", ["", " -1 -1 -1"])
def test_zeros_and_ones_in_column_7_that_may_be_marks_or_classes_are_a_warning(
    tmp_path: Path, tail: str
) -> None:
    def text(values: str) -> str:
        return lines(lambda frame, person: written(",", values[person % 2] + tail)(frame, person))

    assert any("column 7" in warning for warning in read(tmp_path, text("01")).warnings)
    for values in ("00", "11"):
        assert not any("column 7" in warning for warning in read(tmp_path, text(values)).warnings)
    declared_one = read(tmp_path, text("01"), declared(flavour="mot_results"))
    assert not any("column 7" in warning for warning in declared_one.warnings)
    marked = read(tmp_path, text("01"), declared(flavour="mot_gt"))
    assert marked.boxes.account.used == 2 * FRAMES


def test_tracks_that_end_before_the_middle_of_every_film_are_a_warning(tmp_path: Path) -> None:
    """As those of ultralytics with ``vid_stride``, whose numbers are of every second frame."""
    paths = [tmp_path / "c1.txt", tmp_path / "c2.txt"]
    for path in paths:
        path.write_text(lines(written(",", "1 -1 -1 -1")))

    def warned(*frames: int) -> bool:
        files = [TrackFile(path, count) for path, count in zip(paths, frames, strict=True)]
        return any(
            "vid_stride" in text for one in read_all(files, TrackFormat(), "raise") for text in one.warnings
        )

    assert warned(2 * FRAMES, 3 * FRAMES)
    assert not warned(2 * FRAMES, FRAMES + 5)  # a camera whose second half is empty
