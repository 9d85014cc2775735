from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from sttreid.runtime.errors import InputError
from sttreid.simulate.identity_sheet import CELL, draw_identities, write_identity_sheet


def test_a_sheet_has_a_cell_for_every_camera_and_time(rendered: Path) -> None:
    page = np.asarray(draw_identities(rendered, [5, 6]))
    assert page.shape[0] == CELL[1]
    first = page[:, : CELL[0] * 4]
    assert all(first[:, CELL[0] * k : CELL[0] * (k + 1)].std() > 5 for k in range(4))
    third = CELL[0] * 8 + 2 * 4
    assert (page[:, third : third + CELL[0] * 4] == 255).all()  # no third camera


def test_a_sheet_is_a_small_jpeg(rendered: Path, tmp_path: Path) -> None:
    write_identity_sheet(rendered, tmp_path / "sheet.jpg", 2)
    assert (tmp_path / "sheet.jpg").stat().st_size <= 300_000
    with Image.open(tmp_path / "sheet.jpg") as image:
        assert image.format == "JPEG"


def test_a_folder_without_a_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.json: cannot be read"):
        write_identity_sheet(tmp_path, tmp_path / "sheet.jpg", 2)


@pytest.mark.parametrize(
    "error", [av.PatchWelcomeError, av.DecoderNotFoundError, av.EOFError, av.MemoryError]
)
def test_every_error_of_ffmpeg_names_the_video(
    rendered: Path, monkeypatch: pytest.MonkeyPatch, error: type[av.FFmpegError]
) -> None:
    def fail(*_: object) -> None:
        raise error(1, "patches welcome")

    monkeypatch.setattr(av, "open", fail)
    with pytest.raises(InputError, match=r"c1\.mp4: the video cannot be decoded \(.*patches welcome"):
        draw_identities(rendered, [5])
