"""From real footage to a page: vtest.avi of OpenCV's documentation, which this repository does not hold."""

import json
import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from sttreid.data.camera_frames import Frame
from sttreid.data.videos import count_frames, frames
from sttreid.model.weights import save
from sttreid.search.gallery import Gallery
from tests.cli.command import run
from tests.search.test_motion import overlap
from tests.sections import MODEL, small_network

VTEST = Path(os.environ.get("VTEST", "/usr/share/doc/opencv-doc/examples/data/vtest.avi"))
COUNT = 150  # frames; at 10 a second
MAN = (61, np.array([617.0, 235.0, 650.0, 340.0]))  # a frame, and somebody who walks there, measured by hand


@pytest.mark.skipif(not VTEST.exists(), reason=f"no {VTEST}: apt-get install opencv-doc, or set VTEST")
def test_a_real_film_without_tracks_becomes_a_page_of_answers(
    tmp_path: Path,
    write_video: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    first: list[Frame] = list(islice(frames(VTEST, count_frames(VTEST)), COUNT))
    write_video(tmp_path / "yard.mp4", first, x264="keyint=10:me=dia:subme=0")
    save(small_network(), MODEL, tmp_path / "m.pt")
    assert run("embed", "yard.mp4", "-m", "m.pt", "-o", "g.parquet", "--detect", "motion") == 0
    assert f"{COUNT} frames" in capsys.readouterr().err
    gallery = Gallery.read(tmp_path / "g.parquet")
    assert 8 <= len(gallery) <= 40
    rows = np.loadtxt(tmp_path / "g.tracks" / "yard.txt", delimiter=",")
    boxes = rows[rows[:, 0] == MAN[0], 2:6]
    boxes[:, 2:] += boxes[:, :2]
    assert max(overlap(MAN[1], box) for box in boxes) > 0.5
    assert run("search", "g.parquet", "--all", "-k", 5, "-o", "r.html") == 0
    queries = json.loads((tmp_path / "r.json").read_text())["queries"]
    assert len(queries) == len(gallery)
    assert all(len(query["answers"]) == 5 for query in queries)
    page = (tmp_path / "r.html").read_text()
    assert all(name in page for name in gallery.names)
