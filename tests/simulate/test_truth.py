from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sttreid.runtime.errors import InputError
from sttreid.simulate.tracks import MAX_FRAME_GAP, track_numbers
from sttreid.simulate.truth import SCHEMA, by_track, facing, read_truth, write_truth


@pytest.mark.parametrize(
    ("position", "yaw", "degrees"),
    [
        ((0, 10), -90, 0),  # far ahead, walking towards the camera
        ((0, 10), 90, 180),
        ((0, 10), 0, 90),  # to the right
        ((0, 10), 180, -90),
        ((5, 5), -135, 0),  # aside, still straight towards the camera
        ((-5, 5), -45, 0),
        ((5, 5), -90, 45),
    ],
)
def test_orientation_is_measured_from_the_direction_to_the_camera(
    position: tuple[float, float], yaw: float, degrees: float
) -> None:
    result = facing(np.array(position, float), np.deg2rad(yaw))
    assert np.exp(1j * np.deg2rad(result)) == pytest.approx(np.exp(1j * np.deg2rad(degrees)))


def table() -> pd.DataFrame:
    rows = [
        (1, 1, 5, 5, 1.0, 170.0, "none"),
        (1, 2, 5, 5, 0.6, -170.0, "pole"),
        (1, 3, 5, 8, 0.8, 180.0, "person"),
        (1, 9, 5, 5, 1.0, 10.0, "none"),
        (2, 1, 5, 5, 1.0, 0.0, "none"),
    ]
    columns = ["camera", "frame", "identity", "person", "visibility", "orientation", "occluder"]
    return pd.DataFrame(rows, columns=columns).assign(left=1.5, top=2.0, width=3.0, height=4.0)


def test_a_table_is_read_back_and_its_bytes_repeat(tmp_path: Path) -> None:
    write_truth(tmp_path / "a.parquet", table())
    write_truth(tmp_path / "b.parquet", table())
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    result = read_truth(tmp_path / "a.parquet")
    assert list(result.columns) == SCHEMA.names
    pd.testing.assert_frame_equal(result, table()[SCHEMA.names], check_dtype=False)


@pytest.mark.parametrize(
    ("occluders", "visibilities", "main"),
    [
        (["none", "pole", "person"], [0.1, 0.75, 0.5], "person"),
        (["pole", "person", "pole"], [0.75, 0.625, 0.75], "pole"),  # 0.5 in two boxes, more than 0.375 in one
        (["pole", "person", "none"], [0.5, 0.5, 1.0], "person"),  # a tie
        (["none", "none", "none"], [0.1, 0.1, 0.1], "none"),
    ],
)
def test_a_track_names_what_hides_the_largest_part(
    occluders: list[str], visibilities: list[float], main: str
) -> None:
    boxes = table().assign(occluder=[*occluders, "pole", "none"], visibility=[*visibilities, 0.5, 1.0])
    assert by_track(boxes, pd.Series([1, 1, 1, 2, 1]))["occluder"].tolist() == [main, "pole", "none"]


def test_tracks_summarise_their_boxes() -> None:
    result = by_track(table(), pd.Series([1, 1, 1, 2, 1]))
    assert result[["camera", "identity", "track", "first", "last", "boxes"]].to_numpy().tolist() == [
        [1, 5, 1, 1, 3, 3],
        [1, 5, 2, 9, 9, 1],
        [2, 5, 1, 1, 1, 1],
    ]
    assert result["visibility"].tolist() == [0.8, 1.0, 1.0]
    assert abs(result["orientation"][0]) == 180  # the mean of 170, -170 and 180, not of the numbers
    assert result["occluder"].tolist() == ["pole", "none", "none"]
    assert result["mistaken"].tolist() == [1, 0, 0]


def test_a_rendered_folder_has_the_truth_of_every_line(rendered: Path) -> None:
    truth = read_truth(rendered / "truth.parquet")
    lines = [
        (int(path.stem[1:]), *map(float, line.split(",")))
        for path in sorted(rendered.glob("c*.txt"))
        for line in path.read_text().splitlines()
    ]
    assert len(lines) == len(truth)
    for (camera, frame, identity, left, top, width, height, _, _, visibility), row in zip(
        lines, truth.itertuples(), strict=True
    ):
        assert (row.camera, row.frame, row.identity, row.person) == (camera, frame, identity, identity)
        assert row.visibility == pytest.approx(visibility, abs=0.0051)
        assert row.occluder == "none" or row.visibility <= 0.951
        assert row.occluder != "none" or row.visibility > 0.55  # many small causes, none of them named
        overlap = min(left + width, row.left + row.width) - max(left, row.left)
        assert overlap > 0.5 * min(width, row.width)
        assert min(top + height, row.top + row.height) - max(top, row.top) > 0.5 * row.height
    tracks = pd.read_csv(rendered / "tracks.csv")
    assert tracks["boxes"].sum() == len(truth)
    for _, row in tracks.iterrows():
        boxes = truth[(truth["camera"] == row["camera"]) & (truth["identity"] == row["identity"])]
        numbers = np.array(track_numbers(boxes["frame"], MAX_FRAME_GAP)) + 1
        boxes = boxes[numbers == row["track"]]
        limits = boxes["frame"].min(), boxes["frame"].max()
        assert (*limits, len(boxes)) == (row["first"], row["last"], row["boxes"])
        assert boxes["visibility"].mean() == pytest.approx(row["visibility"], abs=1e-3)


def test_no_box_makes_no_track() -> None:
    boxes = table()
    nothing = by_track(boxes.iloc[:0], pd.Series([], dtype=int))
    some = by_track(boxes, pd.Series([1, 1, 1, 2, 1]))
    assert list(nothing.columns) == list(some.columns)
    assert len(nothing) == 0
    assert len(some) > 0


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("visibility", pa.array(["9"] * 5)),
        ("frame", pa.array(["a"] * 5)),
        ("occluder", pa.array([b"pole"] * 5)),
        ("occluder", pa.array([["pole"]] * 5)),
        ("occluder", pa.array([1] * 5)),
        ("person", pa.array([1, None, 1, 1, 1], pa.int32())),
        ("occluder", pa.array([None, "a", "b", "c", "d"])),
    ],
)
def test_a_column_of_another_kind_is_refused(tmp_path: Path, name: str, column: pa.Array) -> None:
    path = tmp_path / "truth.parquet"
    write_truth(path, table())
    whole = pq.read_table(path)
    pq.write_table(whole.set_column(whole.column_names.index(name), name, column), path)
    with pytest.raises(InputError, match=f"{path}: {name} must be "):
        read_truth(path)


def test_a_column_is_there_once(tmp_path: Path) -> None:
    path = tmp_path / "truth.parquet"
    write_truth(path, table())
    whole = pq.read_table(path)
    pq.write_table(whole.append_column("occluder", whole["occluder"]), path)
    with pytest.raises(InputError, match=r"truth\.parquet: .*'occluder' twice"):
        read_truth(path)
