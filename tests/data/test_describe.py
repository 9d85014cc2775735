import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sttreid.data.describe import describe, histogram, main, read
from sttreid.data.published import READERS
from sttreid.data.readers.folders import LANDMARKS
from sttreid.errors import InputError
from tests import sets


def row(text: str, role: str) -> list[float]:
    """The numbers behind a role in the count table."""
    return [
        float(word) for line in text.splitlines() if line.startswith(f"{role} ") for word in line.split()[1:]
    ]


def test_the_count_table_has_a_row_for_each_role(tmp_path: Path) -> None:
    text = describe(read("mars", sets.mars(tmp_path)))
    assert row(text, "train") == [3, 4, 5, 14, 0, 1, 3, 4]
    assert row(text, "query") == [2, 4, 4, 21, 0, 2, 5, 9]
    assert row(text, "gallery") == [3, 5, 6, 24, 0, 1, 2, 9]
    assert row(text, "distractor") == [1, 2, 2, 4, 0, 1, 2, 3]
    assert row(text, "junk") == [1, 2, 2, 3, 0, 1, 1.5, 2]
    assert "validation" not in text
    assert "queries that also stand in the gallery: 4" in text


def test_every_check_is_reported(tmp_path: Path) -> None:
    found = read("ls_vid", sets.ls_vid(tmp_path))
    lines = describe(found).splitlines()
    for check in found.checks:
        assert f"{'ok ' if check.passed else 'OFF'}  {check}" in lines
    assert lines[-1] == f"{len(found.mismatches)} of {len(found.checks)} checks are off"


def test_gaps_in_the_frame_numbers_are_counted(tmp_path: Path) -> None:
    text = describe(read("duke_video", sets.duke(tmp_path)))
    assert "tracklets whose frame numbers leave a gap: 1" in text  # 9, 21, 45


@given(st.lists(st.integers(0, 10_000), min_size=1))
def test_every_tracklet_stands_in_the_bin_of_its_length(lengths: list[int]) -> None:
    bins = {}
    for line in histogram(pd.Series(lengths)).splitlines():
        label, count = line.replace("#", "").strip().rsplit(maxsplit=1)
        low, _, high = label.replace(",", "").partition(" to ")
        bins[int(low), int(high or low)] = int(count.replace(",", ""))
    assert sum(bins.values()) == len(lengths)
    for (low, high), count in bins.items():
        assert count == sum(low <= length <= high for length in lengths)


def test_the_command_prints_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = tmp_path / "sheet.jpg"
    main(["ilids_vid", str(sets.ilids(tmp_path)), "--split", "3", "--sheet", str(sheet), "--tracklets", "5"])
    printed = capsys.readouterr().out
    assert "iLIDS-VID, split 3" in printed
    assert "12 tracklets" in printed
    with Image.open(sheet) as picture:
        assert picture.format == "JPEG"


def test_an_error_is_a_sentence_and_an_exit_status(tmp_path: Path) -> None:
    root = sets.mars(tmp_path)
    command = [sys.executable, "-m", "sttreid.data.describe"]
    for words, sentence in (
        (["mars", str(root), "--strict"], "training identities: must be 625, got 3 (622 too few)"),
        (["ls_vid", str(root)], "it looks like mars"),
    ):
        done = subprocess.run([*command, *words], capture_output=True, text=True, env=os.environ, check=False)
        assert done.returncode == 1
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr


def test_options_belong_to_their_readers(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mars has no option --gap"):
        read("mars", tmp_path, gap=3)
    assert len(read("unreal_person", sets.unreal(tmp_path), gap=1000, split=None).table) == 4


def test_every_reader_can_be_recognised() -> None:
    assert READERS.keys() == LANDMARKS.keys()
