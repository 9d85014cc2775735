"""Damaged and malicious NumPy files are refused in a sentence."""

import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sttreid.cli.feature_files import read_array, read_labels
from sttreid.runtime import parquet
from sttreid.runtime.errors import InputError
from tests.cli.command import run

SHAPES = [
    "(-1, 3)",
    "(-4,)",
    "(-2, -2)",
    "(0, -3)",
    f"({2**70}, 3)",
    f"({2**62}, 4)",
    "(True, 3)",
    "(2**9, 3)",
]


def array(shape: str) -> bytes:
    """A ``.npy`` file of 64 bytes whose header gives a shape."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + bytes(64)


def write_archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def saved(values: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(values))
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore:overflow encountered")  # NumPy's own, before its error
@pytest.mark.parametrize("shape", SHAPES)
def test_an_impossible_shape_is_refused(tmp_path: Path, shape: str) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(array(shape))
    with pytest.raises(InputError, match=r"^[^\n]*a\.npy: must be a NumPy file[^\n]*$"):
        read_array(path, "features")
    archive = write_archive(
        tmp_path / "a.npz", features=array(shape), identity=array(shape), camera=saved([1])
    )
    with pytest.raises(InputError, match=r"^[^\n]*a\.npz: features must be an array[^\n]*$"):
        read_array(archive, "features")
    with pytest.raises(InputError, match=r"^[^\n]*a\.npz: identity must be an array[^\n]*$"):
        read_labels(archive)


def test_a_small_archive_of_a_large_array_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write_archive(tmp_path / "a.npz", features=saved(np.zeros((1000, 1000), np.float32)))
    assert archive.stat().st_size < 10_000
    assert read_array(archive, "features").shape == (1000, 1000)
    monkeypatch.setattr(parquet, "ALWAYS", 2**20)
    with pytest.raises(
        InputError, match="features must take at most 1,048,576 bytes of memory, got 4,000,128"
    ):
        read_array(archive, "features")


def test_other_files_with_the_name_of_an_archive_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(saved([[1.0]]))
    with pytest.raises(InputError, match="must hold several arrays"):
        read_array(path, "features")
    archive = write_archive(path, features=saved([[1.0]] * 1000))
    content = bytearray(archive.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)
    with pytest.raises(InputError, match="features must be an array"):
        read_array(path, "features")


def test_arrays_behind_the_first_are_not_ignored(tmp_path: Path) -> None:
    """`numpy.save` called again for an open file writes behind what is there."""
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        for rows in (2, 3):
            np.save(file, np.ones((rows, 4)))
    with pytest.raises(InputError, match=r"a\.npy: .*one array"):
        read_array(path, "features")
    path.write_bytes(saved(np.ones((2, 4), np.float16, "F")))
    assert read_array(path, "features").shape == (2, 4)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("second", ["features.npy", "features"])
def test_two_arrays_of_one_name_are_refused(tmp_path: Path, second: str) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, rows in (("features.npy", 2), (second, 3)):
            archive.writestr(name, saved(np.ones((rows, 4))))
    with pytest.raises(InputError, match=r"a\.npz: .*'features' 2 times"):
        read_array(path, "features")


def write_sides(folder: Path, **columns: object) -> None:
    """Features and labels of four queries, of eight gallery tracklets of theirs and of one of another."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((4, 8))
    for name, people, camera in (("q", [0, 1, 2, 3], 1), ("g", [0, 1, 2, 3, 0, 1, 2, 3, 9], 2)):
        np.save(folder / f"{name}.npy", centres[np.array(people) % 4] + rng.standard_normal((len(people), 8)))
        labels = pd.DataFrame({"identity": people, "camera": camera})
        labels.assign(**columns if name == "g" else {}).to_csv(folder / f"{name}.csv", index=False)


def evaluate(folder: Path, protocol: str, *more: object) -> int:
    words: list[object] = ["evaluate", "--protocol", protocol]
    for side, name in (("query", "q"), ("gallery", "g")):
        words += [f"--{side}", folder / f"{name}.npy", f"--{side}-labels", folder / f"{name}.csv"]
    return run(*words, *more)


@pytest.mark.parametrize(("protocol", "flag"), [("minus-queries", "query"), ("no-distractors", "distractor")])
def test_a_protocol_that_leaves_tracklets_out_needs_their_flag(
    tmp_path: Path, protocol: str, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sides(tmp_path)
    assert evaluate(tmp_path, "market") == 0
    assert evaluate(tmp_path, protocol) == 2
    assert f"g.csv: protocol {protocol}" in (told := capsys.readouterr().err)
    assert f"column {flag}," in told
    write_sides(tmp_path, **{flag: [0] * 8 + [1]})
    assert evaluate(tmp_path, protocol, "--json") == 0
    assert json.loads(capsys.readouterr().out)["left_out"] == 1


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
@pytest.mark.parametrize("written", ["Junk", " junk", "is_junk", "isDistractor", "distractors", "QUERY"])
def test_a_flag_under_another_spelling_is_not_ignored(tmp_path: Path, suffix: str, written: str) -> None:
    path = tmp_path / f"labels{suffix}"

    def write(name: str) -> None:
        table = pd.DataFrame({"identity": [1, 2], "camera": [1, 2], name: [False, True]})
        if suffix == ".npz":
            np.savez(path, **{column: table[column].to_numpy() for column in table})
        else:
            table.to_csv(path, index=False) if suffix == ".csv" else table.to_parquet(path)

    write(written)
    with pytest.raises(InputError, match=rf"labels\{suffix}: .*'{written}' must be called"):
        read_labels(path)
    write("junk")
    assert read_labels(path).junk.tolist() == [False, True]
    write("query_id")
    assert not read_labels(path).query.any()


def test_features_without_labels_name_the_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_sides(tmp_path)
    words = "--query", tmp_path / "q.npy", "--gallery", tmp_path / "g.npy", "--protocol", "market"
    assert run("evaluate", *words) == 2
    assert "q.npy: " in (told := capsys.readouterr().err)
    assert "--query-labels" in told


@pytest.mark.parametrize("name", ["rows.csv", "g.npy/rows.parquet"])
def test_rows_that_cannot_be_written_are_refused_before_the_evaluation(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sides(tmp_path)
    assert evaluate(tmp_path, "market", "--per-query", tmp_path / "rows.parquet") == 0
    assert len(pd.read_parquet(tmp_path / "rows.parquet")) == 4
    capsys.readouterr()
    assert evaluate(tmp_path, "market", "--per-query", tmp_path / name) == 2
    told = capsys.readouterr()
    assert name in told.err
    assert not told.out
