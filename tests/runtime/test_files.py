"""Outputs appear whole or not at all."""

import errno
import json
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sttreid.runtime.errors import InputError
from sttreid.runtime.files import (
    check_writable,
    read_csv,
    read_json,
    read_table,
    replace_folder,
    write_bytes,
    write_json,
    write_table,
    write_text,
)


def test_content_arrives_and_folders_are_made(tmp_path):
    path = tmp_path / "a" / "b" / "c.bin"
    write_bytes(path, b"\x00one")
    write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["c.bin"]


def test_text_is_utf8_with_its_own_line_ends(tmp_path):
    write_text(tmp_path / "t.txt", "Zürich\r\nβ\n")
    assert (tmp_path / "t.txt").read_bytes() == b"Z\xc3\xbcrich\r\n\xce\xb2\n"


def test_json_is_sorted_indented_and_ends_in_a_newline(tmp_path):
    content = {"b": [1, 2.5], "a": {"ü": None}}
    write_json(tmp_path / "x.json", content)
    text = (tmp_path / "x.json").read_text()
    assert text == '{\n "a": {\n  "ü": null\n },\n "b": [\n  1,\n  2.5\n ]\n}\n'
    assert json.loads(text) == content


@pytest.mark.parametrize("content", [{"a": float("nan")}, {"a": object()}])
def test_what_json_cannot_say_leaves_the_old_file(tmp_path, content):
    path = tmp_path / "x.json"
    write_json(path, 1)
    with pytest.raises((ValueError, TypeError)):
        write_json(path, content)
    assert path.read_text() == "1\n"


def test_a_failing_rename_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "x.txt"
    write_text(path, "old")

    def refuse(*_):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_text(path, "new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("x.txt", "old")]


LIMITED = """
import resource, sys
from pathlib import Path
from sttreid.runtime.failures import machine_failure
from sttreid.runtime.files import write_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_bytes(Path(sys.argv[1]), bytes(2000))
except OSError as error:
    print(machine_failure(error))
"""


def test_a_write_beyond_the_limit_names_the_file_and_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    command = [sys.executable, "-c", LIMITED, str(path)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert told.startswith(f"{path}: ")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_a_folder_where_nothing_can_be_written_names_the_file(tmp_path, monkeypatch):
    def refuse(self, content):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(PermissionError) as told:
        write_bytes(tmp_path / "a.bin", b"new")
    assert told.value.filename == str(tmp_path / "a.bin")


def test_the_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "plain").write_text("")
    write_text(tmp_path / "ours", "")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "ours")]
    assert modes[0] == modes[1]


def test_json_is_read_back(tmp_path):
    content = {"ü": [1, None, 0.1]}
    write_json(tmp_path / "x.json", content)
    assert read_json(tmp_path / "x.json") == content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"a": 1,\n}', "must be JSON in UTF-8 .*line 2"),
        (b"", "must be JSON"),
        (b'"\xff"', "must be JSON in UTF-8"),
    ],
)
def test_broken_json_is_refused_with_its_name(tmp_path, content, reason):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=f"x.json: {reason}"):
        read_json(tmp_path / "x.json")


def test_a_missing_file_is_refused_with_its_name(tmp_path):
    with pytest.raises(InputError, match=r"none\.json: cannot be read \(No such file"):
        read_json(tmp_path / "none.json")


@pytest.fixture
def table():
    """Rows of every type that the project writes."""
    columns = {"query": np.arange(3), "ap": [0.1, np.nan, 1 / 3], "source": ["a", "ü", "c"]}
    return pd.DataFrame(columns, index=[5, 2, 9])


def test_a_table_is_read_back_without_its_row_names(tmp_path, table):
    write_table(tmp_path / "deep" / "t.parquet", table)
    pd.testing.assert_frame_equal(read_table(tmp_path / "deep" / "t.parquet"), table.reset_index(drop=True))


def test_an_empty_table_is_read_back(tmp_path):
    write_table(tmp_path / "t.parquet", pd.DataFrame())
    assert read_table(tmp_path / "t.parquet").shape == (0, 0)


def test_equal_tables_give_equal_bytes(tmp_path, table):
    write_table(tmp_path / "one", table)
    write_table(tmp_path / "two", table.reset_index(drop=True))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_table_that_cannot_be_written_leaves_the_old_file_and_no_other(tmp_path, table, monkeypatch):
    path = tmp_path / "t.parquet"
    write_table(path, table)
    with pytest.raises((ValueError, TypeError)):
        write_table(path, pd.DataFrame({"a": [object()]}))

    def refuse(*_):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_table(path, table.head(1))
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]
    assert len(read_table(path)) == 3


@pytest.mark.parametrize("kept", [0, 3, 0.5, 0.99])
def test_a_cut_table_is_refused_with_its_name(tmp_path, table, kept):
    path = tmp_path / "t.parquet"
    write_table(path, table)
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(InputError, match=r"t\.parquet: must be a Parquet table \(.+\)"):
        read_table(path)


def test_a_damaged_table_is_read_or_refused_in_one_line(tmp_path, table):
    path = tmp_path / "t.parquet"
    write_table(path, table)
    content, rng, sentences = path.read_bytes(), np.random.default_rng(0), []
    for place in rng.integers(0, len(content), 300):
        damaged = bytearray(content)
        damaged[place] ^= rng.integers(1, 256)
        path.write_bytes(damaged)
        try:
            read_table(path)
        except InputError as error:
            sentences.append(str(error))
    assert len(sentences) > 30
    assert all(sentence.startswith(f"{path}: must be a Parquet table (") for sentence in sentences)
    assert not any("\n" in sentence for sentence in sentences)


def test_a_missing_table_is_refused_with_its_name(tmp_path):
    with pytest.raises(InputError, match=r"none\.parquet: cannot be read \(No such file"):
        read_table(tmp_path / "none.parquet")


def test_a_finished_folder_takes_the_place_of_the_old_one(tmp_path):
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.txt").write_text(name)
    replace_folder(tmp_path / "old", by=tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["new.txt"]


def test_a_finished_folder_appears_where_nothing_was(tmp_path):
    (tmp_path / "new").mkdir()
    replace_folder(tmp_path / "there", by=tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_without_a_finished_folder_the_old_one_stays(tmp_path):
    (tmp_path / "old").mkdir()
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "old", by=tmp_path / "none")
    assert (tmp_path / "old").exists()


def test_a_table_with_two_columns_of_a_name_is_refused(tmp_path):
    pq.write_table(pa.table([[1], [2], [3]], names=["a", "b", "a"]), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"t\.parquet: .* names, got 'a' twice"):
        read_table(tmp_path / "t.parquet")


@pytest.mark.parametrize("rows", ["1,2,3\n4,5,6\n", "1,2,3\n2,5,6\n3,8,9\n", "1,2\n4,5,6\n", "x,1,2\n"])
def test_a_text_table_whose_rows_are_longer_than_its_header_is_refused(tmp_path, rows):
    """Otherwise the first cells would name the rows, and the columns would be shifted."""
    path = tmp_path / "a.csv"
    path.write_text(f"identity,camera\n{rows}")
    with pytest.raises(InputError, match=r"^[^\n]*a\.csv: must be a CSV or TSV table with a header"):
        read_csv(path)


def test_a_comma_after_the_last_cell_shifts_nothing(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("identity,camera\n1,2,\n4,5,\n")
    assert read_csv(path).to_dict("list") == {"identity": [1, 4], "camera": [2, 5]}


def test_a_text_table_with_two_columns_of_a_name_is_refused(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("step\tloss\tstep\n1\t2\t3\n")
    with pytest.raises(
        InputError, match=r"a\.tsv: the columns must have different names, got 'step' 2 times"
    ):
        read_csv(path, sep="\t")


def test_a_text_table_without_rows_is_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("identity,camera\n")
    assert read_csv(path).columns.tolist() == ["identity", "camera"]


def test_a_file_that_can_be_written_is_left_as_it_is(tmp_path):
    check_writable(tmp_path / "a" / "b.txt")
    assert list((tmp_path / "a").iterdir()) == []
    (tmp_path / "c.txt").write_text("old")
    check_writable(tmp_path / "c.txt")
    assert (tmp_path / "c.txt").read_text() == "old"


def test_a_file_that_cannot_be_written_is_refused_with_its_name(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(InputError, match=r"a/b.txt: cannot be written"):
        check_writable(tmp_path / "a" / "b.txt")
    (tmp_path / "c").mkdir()
    with pytest.raises(InputError, match="c: must be the name of a file"):
        check_writable(tmp_path / "c")
