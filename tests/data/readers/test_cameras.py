import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sttreid.config.conversion import parse
from sttreid.data.camera_videos import COLUMNS, Camera
from sttreid.data.readers.cameras import CamerasOptions, read_cameras
from sttreid.runtime.errors import InputError

Edit = Callable[[Callable[[dict[str, Any]], object]], Path]


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as error:
        read_cameras(folder)
    return str(error.value)


def test_a_valid_folder_is_read_with_its_cameras_by_number(campus: Path) -> None:
    source = read_cameras(campus)
    assert (source.folder, source.name) == (campus, "campus")
    assert [camera.number for camera in source.cameras] == [1, 2, 10]
    assert source.cameras[2] == Camera(10, campus / "c10.mp4", campus / "c10.txt", 8)


def test_detections_are_the_lines_of_all_tracks_files(campus: Path) -> None:
    detections = read_cameras(campus).boxes
    assert list(detections.columns) == COLUMNS
    for camera, rows in detections.groupby("camera"):
        lines = (campus / f"c{camera}.txt").read_text().splitlines()
        assert rows["line"].tolist() == list(range(1, len(lines) + 1))
        written = [[float(word) for word in line.split(",")] for line in lines]
        result = rows[["frame", "identity", "left", "top", "width", "height", "visibility"]]
        assert result.to_numpy().tolist() == [line[:6] + line[8:] for line in written]


def test_every_detection_has_the_split_of_its_identity(campus: Path) -> None:
    detections = read_cameras(campus).boxes
    pairs = set(zip(detections["identity"], detections["split"], strict=True))
    assert pairs == {(7, "train"), (2, "train"), (5, "train"), (3, "validation"), (9, "test"), (4, "test")}


def test_a_missing_manifest_is_named(campus: Path) -> None:
    (campus / "manifest.json").unlink()
    assert refusal(campus) == f"{campus / 'manifest.json'}: the manifest of the data set is missing"


@pytest.mark.parametrize("text", ["{", "[1, 2]", "", '{"format": "other/1"}', "\x00"])
def test_a_manifest_of_another_kind_is_refused(campus: Path, text: str) -> None:
    (campus / "manifest.json").write_text(text)
    assert refusal(campus).startswith(f"{campus / 'manifest.json'}: ")


@pytest.mark.parametrize("name", ["c" + "9" * 5000, "a" * 255 + "1"])
def test_a_camera_has_a_possible_name(edit: Edit, name: str) -> None:
    message = refusal(edit(lambda manifest: manifest["cameras"].update({name: {}})))
    assert "manifest.json: a path must have at most" in message


@pytest.mark.parametrize("key", ["name", "cameras", "splits", "format"])
def test_a_missing_key_is_named(edit: Edit, key: str) -> None:
    message = refusal(edit(lambda manifest: manifest.pop(key)))
    assert "manifest.json: " in message
    assert key in message


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (lambda m: m["cameras"]["c2"].update(frames="8"), "'frames' must be of type int, got '8'"),
        (lambda m: m["cameras"]["c2"].update(frames=True), "'frames' must be of type int, got True"),
        (lambda m: m["cameras"]["c2"].update(frames=0), "'frames' of camera 'c2' must be at least 1, got 0"),
        (lambda m: m["cameras"]["c2"].pop("frames"), "the key 'frames' is missing"),
        (lambda m: m["cameras"].clear(), "'cameras' must name at least one camera, got none"),
        (lambda m: m["cameras"].update(gate={"frames": 8}), "end in digits, got 'gate'"),
        (lambda m: m["cameras"].update({"../c3": {"frames": 8}}), "end in digits, got '../c3'"),
        (lambda m: m["splits"].pop("test"), "the key 'test' is missing"),
        (
            lambda m: m["splits"].update(extra=[1]),
            "splits must be train, validation, test, distractors, got extra",
        ),
        (lambda m: m["splits"].update(test=4), "'test' must be of type list, got 4"),
        (
            lambda m: m["splits"].update(test=[4.0, 9]),
            "identities of 'test' must be integers or text, got 4.0",
        ),
        (lambda m: m["splits"].update(test=[True, 9]), "must be integers or text, got True"),
        (lambda m: m["splits"].update(test=["4", 4, 9]), "got 4 in 'test' and in 'test'"),
        (lambda m: m["splits"]["test"].append(4), "got 4 in 'test' and in 'test'"),
        (lambda m: m["splits"]["test"].append(7), "got 7 in 'train' and in 'test'"),
        (lambda m: m["splits"].update(distractors=[4]), "got 4 in 'test' and in 'distr"),
        (lambda m: m["splits"].update(distractors=[88]), "88 of the split 'distractors' must have a line"),
        (lambda m: m["splits"].update(distractors=None), "'distractors' must be of type list, got None"),
        (lambda m: m.update(gap=0), "'gap' must be at least 1, got 0"),
        (lambda m: m.update(gap="3"), "'gap' must be of type int, got '3'"),
        (lambda m: m.update(gap=True), "'gap' must be of type int, got True"),
        (lambda m: m.update(gap=2.0), "'gap' must be of type int, got 2.0"),
    ],
)
def test_a_broken_manifest_is_named_with_its_rule_and_value(
    edit: Edit, how: Callable[[dict[str, Any]], object], words: str
) -> None:
    message = refusal(edit(how))
    assert "manifest.json: " in message
    assert words in message


def test_two_videos_of_a_camera_are_refused(campus: Path) -> None:
    (campus / "c1.mkv").write_bytes(b"the same film in another container")
    with pytest.raises(InputError, match=r"c1\.mkv: .* got also c1\.mp4"):
        read_cameras(campus)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_an_empty_split_is_refused(edit: Edit, split: str) -> None:
    message = refusal(edit(lambda manifest: manifest["splits"].update({split: []})))
    assert f"the split '{split}' must hold at least one identity, got none" in message


def test_two_cameras_of_one_number_are_refused(edit: Edit, campus: Path) -> None:
    for end in ("mp4", "txt"):
        (campus / f"d02.{end}").write_bytes((campus / f"c2.{end}").read_bytes())
    message = refusal(edit(lambda manifest: manifest["cameras"].update(d02={"frames": 8})))
    assert "camera numbers must differ, got 'c2' and 'd02'" in message


@pytest.mark.parametrize("file", ["c2.mp4", "c2.txt"])
def test_a_missing_file_of_a_camera_is_named(campus: Path, file: str) -> None:
    (campus / file).unlink()
    assert refusal(campus) == f"{campus / file}: the manifest names this file, but it is missing"


@pytest.mark.parametrize(("file", "key"), [("c2.mp4", "sha256_video"), ("c2.txt", "sha256_tracks")])
def test_a_file_that_changed_after_its_manifest_is_refused(
    edit: Edit, campus: Path, file: str, key: str
) -> None:
    def sign(manifest: dict[str, Any]) -> None:
        manifest["cameras"]["c2"][key] = hashlib.sha256(path.read_bytes()).hexdigest()

    path = campus / file
    folder = edit(sign)
    assert read_cameras(folder).name == "campus"
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    assert refusal(folder).startswith(f"{path}: the checksum must be the manifest's {key} ")


def test_a_broken_line_is_named_with_its_file(campus: Path) -> None:
    path = campus / "c10.txt"
    path.write_text(path.read_text() + "9,2,1,1,5,5\n")
    last = len(path.read_text().splitlines())
    assert refusal(campus) == f"{path}:{last}: frame must be between 1 and the video's 8, got 9"


def test_an_identity_of_no_split_is_named_with_its_line(campus: Path) -> None:
    path = campus / "c2.txt"
    path.write_text("1,77,1,1,5,5\n" + path.read_text())
    assert refusal(campus).startswith(f"{path}:1: every identity must be in a split of ")


def test_an_identity_without_a_line_is_refused(edit: Edit) -> None:
    message = refusal(edit(lambda manifest: manifest["splits"]["validation"].append(88)))
    assert "identity 88 of the split 'validation' must have a line, got none" in message


@pytest.mark.parametrize(("identity", "split"), [(2, "train"), (3, "validation"), (4, "test")])
def test_an_identity_of_one_camera_is_named_with_it(campus: Path, identity: int, split: str) -> None:
    for camera in (1, 10):
        path = campus / f"c{camera}.txt"
        lines = path.read_text().splitlines()
        path.write_text("\n".join(line for line in lines if line.split(",")[1] != str(identity)))
    message = refusal(campus)
    assert f"identity {identity} of the split '{split}' must be seen by at least two cameras" in message
    assert message.endswith("got only camera 2")


def test_fragments_in_one_camera_do_not_count_as_two_cameras(edit: Edit, campus: Path) -> None:
    folder = edit(lambda manifest: manifest.update(gap=1))
    for camera in (1, 10):
        path = campus / f"c{camera}.txt"
        lines = path.read_text().splitlines()
        path.write_text("\n".join(line for line in lines if line.split(",")[1] != "4"))
    path = campus / "c2.txt"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith("2,4,")))
    assert refusal(folder).endswith("must be seen by at least two cameras, got only camera 2")


def renamed(edit: Edit, campus: Path, names: dict[int, int | str]) -> Path:
    """The set with other identities, in the tracks and in the manifest."""
    for path in campus.glob("c*.txt"):
        words = [line.split(",") for line in path.read_text().splitlines()]
        text = (",".join([frame, str(names[int(number)]), *rest]) for frame, number, *rest in words)
        path.write_text("\n".join(text))

    def rename(manifest: dict[str, Any]) -> None:
        for split, numbers in manifest["splits"].items():
            manifest["splits"][split] = [names[number] for number in numbers]

    return edit(rename)


@pytest.mark.parametrize(
    "names",
    [
        {2: 2**53, 3: 2**53 + 1, 4: 2**63 + 5, 5: 2**64 - 1, 7: 2**70, 9: 2**70 + 1},
        {2: 5, 3: 2**31, 4: 2**63, 5: "anna", 7: "p-1", 9: "z"},
    ],
)
def test_identities_that_the_store_cannot_hold_are_numbered_in_their_order(
    edit: Edit, campus: Path, names: dict[int, int | str]
) -> None:
    before = read_cameras(campus).boxes
    source = read_cameras(renamed(edit, campus, names))
    numbers = {2: 1, 3: 2, 4: 3, 5: 4, 7: 5, 9: 6}
    assert source.boxes["identity"].tolist() == before["identity"].map(numbers).tolist()
    assert source.boxes["split"].tolist() == before["split"].tolist()
    assert any("numbered anew" in remark for remark in source.remarks)
    assert source.track_table is None


def test_numbers_may_be_written_as_text_in_the_manifest(edit: Edit, campus: Path) -> None:
    before = read_cameras(campus)
    source = read_cameras(edit(lambda manifest: manifest["splits"].update(test=["9", "4"])))
    assert source.boxes.equals(before.boxes)
    assert source.track_table == before.track_table


def test_damaged_lines_are_counted_and_listed_with_skip(campus: Path) -> None:
    path = campus / "c2.txt"
    path.write_text(path.read_text() + "3,7,1,1,0,5\n90,7,1,1,5,5\n91,7,1,1,5,5\n")
    source = read_cameras(campus, on_error="skip")
    assert sorted((entry.path, entry.boxes) for entry in source.left_out) == [("c2.txt", 1), ("c2.txt", 2)]


def test_boxes_that_cannot_be_in_pixels_may_be_declared_as_right(painted: Path) -> None:
    for path in painted.glob("c*.txt"):
        words = [line.split(",") for line in path.read_text().splitlines()]
        path.write_text("\n".join(",".join([*line[:2], "400", *line[3:]]) for line in words))
    assert "must lie in the picture" in refusal(painted)
    options = parse(CamerasOptions, {"tracks": {"plausibility": "warn"}}, "options")
    source = read_cameras(painted, options, "skip")
    assert any("must lie in the picture" in warning for warning in source.warnings)


def test_the_gap_is_that_of_the_manifest_or_none(edit: Edit, campus: Path) -> None:
    assert read_cameras(campus).max_frame_gap is None
    assert read_cameras(edit(lambda manifest: manifest.update(gap=3))).max_frame_gap == 3


def test_one_camera_and_one_line_are_enough_for_a_distractor(edit: Edit, campus: Path) -> None:
    path = campus / "c2.txt"
    path.write_text(path.read_text() + "3,77,1,1,5,5\n")
    detections = read_cameras(edit(lambda m: m["splits"].update(distractors=[77]))).boxes
    assert detections[detections["split"] == "distractors"]["identity"].tolist() == [77]
    assert set(detections[detections["split"] == "test"]["identity"]) == {4, 9}


def test_there_may_be_no_distractors(edit: Edit, campus: Path) -> None:
    before = read_cameras(campus).boxes
    assert read_cameras(edit(lambda m: m["splits"].update(distractors=[]))).boxes.equals(before)


def test_other_members_of_the_manifest_are_ignored(edit: Edit, campus: Path) -> None:
    before = read_cameras(campus).boxes
    folder = edit(lambda m: m.update(version="v1", sha256_truth="0", scale={"gap": 9}, tables={"t": "0"}))
    assert read_cameras(folder).boxes.equals(before)
