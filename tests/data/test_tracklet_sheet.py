from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sttreid.data.readers.mars import read_mars
from sttreid.data.tracklet_sheet import HEIGHT, WIDTH, write_sheet
from sttreid.runtime.errors import InputError
from tests import sets


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return sets.mars(tmp_path)


def paint(root: Path) -> None:
    """Every image in the grey of its tracklet and frame."""
    result = read_mars(root)
    for row in range(len(result.table)):
        for index, path in enumerate(result.image_paths(row)):
            grey = 12 * row + 3 * index
            Image.new("RGB", (32, 64), (grey, grey, grey)).save(root / path, quality=95)


def test_a_row_shows_its_tracklet_from_the_first_frame_to_the_last(root: Path, tmp_path: Path) -> None:
    paint(root)
    result = read_mars(root)
    assert write_sheet(result, tmp_path / "new" / "sheet.png", 100, seed=0) == []
    with Image.open(tmp_path / "new" / "sheet.png") as image:
        page = np.asarray(image)
    half = page.shape[1] // 2
    for row, length in enumerate(result.table["length"]):
        block = page[row // 2 * HEIGHT :, row % 2 * half :]
        cells = [block[40, half - 8 * WIDTH + index * WIDTH + 20, 0] for index in range(min(length, 8))]
        grey = np.array(cells, int) - 12 * row
        wanted = 3 * np.unique(np.linspace(0, length - 1, 8).round())
        assert np.abs(grey - wanted).max() <= 1


def test_a_draw_is_repeated_by_its_seed_and_differs_by_it(root: Path, tmp_path: Path) -> None:
    paint(root)
    result = read_mars(root)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_sheet(result, tmp_path / f"{name}.jpg", 4, seed)
    a, b, c = ((tmp_path / f"{name}.jpg").read_bytes() for name in "abc")
    assert a == b != c


def test_images_that_cannot_be_read_are_red_and_named(root: Path, tmp_path: Path) -> None:
    folder = root / "bbox_train" / "0003"
    (folder / "0003C1T0001F001.jpg").write_bytes(b"no JPEG")
    whole = (folder / "0003C1T0001F002.jpg").read_bytes()
    (folder / "0003C1T0001F002.jpg").write_bytes(whole[: len(whole) - 60])
    (folder / "0003C1T0001F003.jpg").unlink()
    broken = write_sheet(read_mars(root), tmp_path / "sheet.png", 100, seed=0)
    assert [line.split(": ")[0] for line in broken] == [
        str(folder / f"0003C1T0001F00{number}.jpg") for number in (1, 2, 3)
    ]
    assert all("the image cannot be read" in line for line in broken)
    assert [line.count(str(root)) for line in broken] == [1, 1, 1]
    with Image.open(tmp_path / "sheet.png") as image:
        page = image.convert("RGB")
    left = page.width // 2 - 8 * WIDTH
    assert [page.getpixel((left + index * WIDTH + 5, 5)) for index in range(3)] == [(200, 30, 30)] * 3


def test_other_formats_and_empty_sheets_are_refused(root: Path, tmp_path: Path) -> None:
    result = read_mars(root)
    with pytest.raises(InputError, match=r"must end in .jpg, .jpeg, .png, got '.gif'"):
        write_sheet(result, tmp_path / "sheet.gif", 4, 0)
    with pytest.raises(InputError, match="at least one tracklet, got 0"):
        write_sheet(result, tmp_path / "sheet.png", 0, 0)
    assert not list(tmp_path.glob("sheet*"))
