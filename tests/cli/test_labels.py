"""Labels that a user writes by hand."""

from pathlib import Path

import pytest

from sttreid.cli.labels import label, read_labels
from sttreid.runtime.errors import InputError
from tests.search.galleries import gallery_of


def test_spaces_make_nobody_another_person(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_text(
        "video, track, identity\ncam1.mp4,1,anna\ncam2.mp4, 1, anna \ncam1.mp4,2, \ncam2.mp4,2,\n"
    )
    gallery = label(gallery_of(), read_labels(path), path)
    found = dict(zip(gallery.names, gallery.tracklets["identity"], strict=True))
    assert found["cam1.mp4:1"] == found["cam2.mp4:1"] == "anna"
    assert gallery.tracklets["identity"].notna().sum() == 2
    path.write_text("video,track,identity\ncam1.mp4,1,anna\ncam1.mp4, 1,otto\n")
    with pytest.raises(InputError, match=r"l\.csv:3"):
        read_labels(path)
