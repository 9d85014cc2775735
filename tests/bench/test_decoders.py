import argparse
import sys

import numpy as np
import pytest

from bench.decoders import another, described, main


def test_differences_are_counted_by_frame():
    frames = np.full((4, 2, 2, 3), 100, np.uint8)
    other = frames.copy()
    assert described(frames, other) == "all 4 frames equal"
    other[1, 0, 0, 0], other[3] = 103, 99
    told = described(frames, other)
    assert told.startswith("2 of 4 frames equal")
    assert "at most 3, mean 0.312" in told  # (3 / 12 + 1) / 4
    assert "shape" in described(frames, other[:3])


def test_another_decoder_has_an_interface_and_an_interpreter():
    decoder = another("fork=decord:/some/python")
    assert (decoder.name, decoder.library, decoder.python) == ("fork", "decord", "/some/python")
    for wrong in ("fork=decord", "fork=other:/some/python", "decord"):
        with pytest.raises(argparse.ArgumentTypeError):
            another(wrong)


def test_decord_and_pyav_read_the_same_frames(tmp_path, write_video, numbered, capsys):
    film = write_video(tmp_path / "film.mp4", numbered(12, 96, 64))
    main([str(film), "--rounds", "1", "--also", f"again=pyav:{sys.executable}"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["decord", "PyAV", "again"]
    assert all("all 12 frames equal" in line for line in lines[1:])
